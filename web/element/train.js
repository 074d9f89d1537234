/**
 * The training view of a figure: the three networks learn a distribution of the plane in workers beside the page. Fetched when it is first
 * opened. The run itself is Rust (web/teach); here are its controls and pictures.
 */
import { trainerCode } from './code.js';
import { save } from './save.js';
import { drawCurves, drawLatents, drawPlane, fillTable, gridOf, themeOf } from './train-draw.js';
import { Run } from './train-run.js';
import { COMPARED, PHASES, style, SWITCHES, template } from './train-template.js';

/** Cells along a side of the map; milliseconds that slow motion rests at each phase; points of a stroke's spray and its width. */
const CELLS = 56, REST = 1_600, SPRAY = 5, BLUR = 0.09;
const SETS = ['ring', 'moons', 'spiral', 'checkerboard', 'own'];
const NUMBERS = { xSteps: [1, 500], zSteps: [1, 500], rate: [1e-3, 1e3], iterations: [1, 1e5], seed: [0, 2 ** 32 - 1] };
const WORDS = {
  set: SETS, preset: ['quick', 'full'], compare: Object.keys(COMPARED), slow: ['1'],
  ...Object.fromEntries(Object.entries(SWITCHES).map(([name, { choices }]) => [name, Object.keys(choices)])),
};
const DEFAULTS = { set: 'ring', preset: 'quick', compare: '', teachers: 'both', zStart: 'encoder', xStart: 'generator', persistent: 'on', seed: 0 };

/** What an attribute says, as `set=ring compare=energy`; and what of it cannot be used, a sentence each. */
export function read(text) {
  const chosen = {}, faults = [];
  for (const pair of (text ?? '').split(/\s+/).filter(Boolean)) {
    const [name, value = ''] = pair.split('=');
    const [low, high] = NUMBERS[name] ?? [], number = Number(value);
    const good = low === undefined ? WORDS[name]?.includes(value) : value !== '' && number >= low && number <= high;
    if (good) chosen[name] = low === undefined ? value : number;
    else if (!(name in WORDS) && low === undefined) faults.push(`“${name}” is no setting of a training run.`);
    else faults.push(`${name} takes ${low === undefined ? WORDS[name].filter(Boolean).join(', ') : `a number from ${low} to ${high}`}, not “${value}”.`);
  }
  return { chosen, faults };
}

/** The attribute for what has been chosen. */
export const write = (chosen) => Object.entries(chosen).map(([name, value]) => `${name}=${value}`).join(' ');

export class Training {
  #figure;
  #root;
  #place;
  #chosen = {};
  /** The reader's own points by strokes, and where the keys draw. */
  #strokes = [];
  #fromFile = false;
  #cursor = null;
  #runs = [];
  #half = 3;
  #plays = false;
  #seen = true;
  #drawn = false;
  /** Counts the beginnings: what belongs to an earlier one changes nothing. */
  #beginning = 0;
  #begun = null;
  #life = new AbortController();

  /** In `place`, a part of the figure's shadow tree. */
  constructor(figure, place, text) {
    [this.#figure, this.#place, this.#root] = [figure, place, place.getRootNode()];
    place.innerHTML = template;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    this.#root.adoptedStyleSheets = [...this.#root.adoptedStyleSheets, sheet];
    this.#listen();
    this.choose(text);
  }

  #ref(name) {
    return this.#place.querySelector(`[data-ref="${name}"]`);
  }

  #on(name, type, what) {
    const target = typeof name === 'string' ? this.#ref(name) : name;
    target.addEventListener(type, what, { signal: this.#life.signal });
  }

  #listen() {
    this.#on('train-play', 'click', () => (this.#plays ? this.pause() : this.play()).catch(() => {}));
    this.#on('train-one', 'click', () => this.step(1).catch(() => {}));
    this.#on('train-phase', 'click', () => this.#step(true).catch(() => {}));
    this.#on('train-reset', 'click', () => this.reset().catch(() => {}));
    this.#on('train-slow', 'change', ({ target }) => {
      this.#set({ slow: target.checked ? '1' : undefined });
      if (this.#plays) this.play().catch(() => {});
    });
    this.#on('train-settings', 'change', ({ target }) => {
      if (!target.name) return;
      const { value } = target;
      if (target.name in NUMBERS) {
        const [low, high] = NUMBERS[target.name];
        if (value !== '' && !(Number(value) >= low && Number(value) <= high)) {
          this.#notice(`${this.#place.querySelector(`label[for="${target.id}"]`).textContent} takes a number from ${low} to ${high}.`);
          target.value = this.#chosen[target.name] ?? '';
          return;
        }
      }
      this.#set({ [target.name]: value === '' || value === String(DEFAULTS[target.name]) ? undefined : target.name in NUMBERS ? Number(value) : value });
      this.#begin().catch(() => {});
    });
    this.#on('train-settings', 'submit', (event) => event.preventDefault());
    this.#on('train-open', 'click', () => this.#openInLab().catch((error) => this.#notice(error.message)));
    this.#on('train-save', 'click', () => this.#save('model', `${this.#name()}.safetensors`));
    this.#on('train-points', 'click', () => this.#save('points', 'points.npy'));
    this.#on('train-recipe', 'click', () => save(new Blob([this.#runs[0]?.recipe ?? '']), `${this.#name()}.toml`));
    this.#on('open-points', 'click', () => this.#ref('points-file').click());
    this.#on('points-file', 'change', ({ target }) => {
      if (target.files[0]) this.open(target.files[0]).catch(() => {});
      target.value = '';
    });
    this.#on('undo-points', 'click', () => this.#draw(() => this.#strokes.pop()));
    this.#on('clear-points', 'click', () => this.#draw(() => (this.#strokes = [])));
    const plane = this.#ref('plane-0');
    let held = false;
    this.#on(plane, 'pointerdown', (event) => {
      if (this.#settings.set !== 'own' || event.button) return;
      held = true;
      this.#fromFile = false;
      plane.setPointerCapture(event.pointerId);
      this.#strokes.push([]);
      this.#spray(this.#pointOf(event));
    });
    this.#on(plane, 'pointermove', (event) => held && this.#spray(this.#pointOf(event)));
    for (const type of ['pointerup', 'pointercancel']) {
      this.#on(plane, type, () => {
        if (!held) return;
        held = false;
        this.#begin().catch(() => {});
      });
    }
    this.#on(plane, 'keydown', (event) => this.#key(event));
    this.#on(plane, 'blur', () => this.#cursor && ((this.#cursor = null), this.redraw()));
    this.#on(window, 'beforeunload', (event) => {
      // A run that is under way would be lost.
      if (this.#plays) event.preventDefault();
    });
  }

  get #settings() {
    return { ...DEFAULTS, ...this.#chosen };
  }

  #name() {
    const { set, preset } = this.#settings;
    return preset === 'quick' ? `${set}-page` : set;
  }

  /** Take what an attribute says. */
  choose(text) {
    const { chosen, faults } = read(text);
    if (write(chosen) === write(this.#chosen) && this.#begun) return;
    this.#chosen = chosen;
    this.#begin().catch(() => {});
    if (faults.length) this.#notice(faults.join(' '));
  }

  /** Change what is chosen, and the attribute with it. */
  #set(changes) {
    const chosen = { ...this.#chosen, ...changes };
    this.#chosen = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
    const text = write(this.#chosen);
    if (text) this.#figure.setAttribute('training', text);
    else this.#figure.removeAttribute('training');
    this.#figure.dispatchEvent(new CustomEvent('change', { detail: { name: 'training', value: text || null } }));
    this.#show();
  }

  #notice(words) {
    this.#ref('train-notice').textContent = words ?? '';
    this.#ref('train-notice').hidden = !words;
    if (words) this.#figure.dispatchEvent(new CustomEvent('problem', { detail: { title: 'Training', advice: words, message: words } }));
  }

  /** The reader's own points. The last ones are held out: of what is drawn they are from all over it. */
  #own() {
    const points = this.#strokes.flat();
    if (this.#fromFile) return Float32Array.from(points.flat());
    // The golden ratio's multiples lie evenly, in every part of them.
    const place = (i) => (i * 0.6180339887498949) % 1;
    const order = points.map((_, i) => i).sort((a, b) => place(a) - place(b));
    return Float32Array.from(order.flatMap((i) => points[i]));
  }

  /** What the worker takes, of the run of this number. */
  #settingsOf(i) {
    const { compare, slow, ...settings } = { ...this.#settings, ...(i ? COMPARED[this.#settings.compare][1] : {}) };
    return {
      ...settings,
      set: settings.set === 'own' ? undefined : settings.set,
      persistent: settings.persistent === 'off' ? false : undefined,
    };
  }

  /** Start over: new runs of what is chosen. */
  #begin() {
    this.#begun = this.#beginNow();
    this.#begun.catch(() => {});
    return this.#begun;
  }

  async #beginNow() {
    this.#beginning += 1;
    const mine = this.#beginning;
    this.#plays = false;
    this.#notice(null);
    this.#show();
    const module = await trainerCode((share) => (this.#ref('train-progress').value = share)).catch((error) => {
      this.#ref('train-loading').hidden = true;
      this.#notice(`The trainer could not be loaded. ${error.message}`);
      throw error;
    });
    if (mine !== this.#beginning) return;
    this.#ref('train-loading').hidden = true;
    this.#ref('train-body').hidden = false;
    const count = this.#settings.compare ? 2 : 1;
    this.#runs = this.#runs.filter((run) => !run.broken);
    while (this.#runs.length > count) this.#runs.pop().end();
    while (this.#runs.length < count) this.#runs.push(new Run(module, (run, value, error) => this.#hear(run, error)));
    const own = this.#own();
    this.#half = Math.max(3, 1.1 * own.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    const map = gridOf(CELLS, this.#half);
    try {
      await Promise.all(this.#runs.map(async (run, i) => {
        await run.ready;
        await run.begin(this.#settingsOf(i), own, map);
      }));
      if (mine === this.#beginning) this.#show();
    } catch (error) {
      if (mine !== this.#beginning) return;
      // Points that are not drawn yet are no fault.
      if (this.#settings.set === 'own' && !this.#fromFile && own.length < 20) return void this.#show();
      this.#notice(error.message);
      throw error;
    }
  }

  #hear(run, error) {
    if (!this.#runs.includes(run)) return;
    if (error) {
      this.#plays = false;
      for (const other of this.#runs) if (!other.broken) other.ask('pause').catch(() => {});
      this.#notice(`${error.replace(/\.?$/, '.')}${run.broken ? ' Start over to go on.' : ''}`);
      this.#show();
      return;
    }
    const { wentBack } = run.news;
    if (wentBack && run.toldOf !== wentBack) {
      run.toldOf = wentBack;
      this.#notice(`Iteration ${wentBack.from} has diverged (${wentBack.cause}): the run has gone back to iteration ${wentBack.to}, with other random numbers and half the energy’s learning rate.`);
    }
    const done = this.#runs.every(({ news }) => news.done);
    if (done) this.#plays = false;
    if (done || this.#ref('train-reset').disabled) this.#show();
    this.redraw();
    this.#figure.dispatchEvent(new CustomEvent('step', { detail: { step: this.#runs[0]?.news.frame?.iteration ?? 0 } }));
  }

  async play() {
    await this.#begun;
    this.#plays = true;
    this.#cursor = null;
    const slow = this.#chosen.slow ? REST : 0;
    this.#show();
    if (!this.#seen) return;
    try {
      await Promise.all(this.#runs.map((run) => run.ask('play', { slow })));
    } catch (error) {
      this.#plays = false;
      this.#show();
      throw error;
    }
  }

  async pause() {
    this.#plays = false;
    this.#show();
    await this.#begun;
    await Promise.all(this.#runs.map((run) => run.ask('pause')));
    this.#show();
  }

  async #step(phase) {
    if (this.#plays) await this.pause();
    await this.#begun;
    await Promise.all(this.#runs.map((run) => (run.news.done ? null : run.ask('step', { phase }))));
    this.#show();
  }

  async step(n) {
    for (let i = 0; i < n; i += 1) await this.#step(false);
  }

  async reset(seed) {
    if (seed !== undefined) this.#set({ seed: seed || undefined });
    await this.#begin();
  }

  /** Whether it can be seen: what cannot rests. */
  see(seen) {
    if (seen === this.#seen) return;
    this.#seen = seen;
    if (!this.#plays) return;
    for (const run of this.#runs) run.ask(seen ? 'play' : 'pause', { slow: this.#chosen.slow ? REST : 0 }).catch(() => {});
  }

  async state() {
    await this.#begun;
    const runs = await Promise.all(this.#runs.map(async (run) => {
      const state = await run.ask('state');
      if (!state) return null;
      const { frame, map, figures, seconds, phases, done } = state;
      const plain = Object.fromEntries(Object.entries(frame).map(([name, value]) => [name, value.length === undefined ? value : [...value]]));
      return { ...plain, map: [...map], figures, seconds, phases, done, recipe: run.recipe, reports: run.history.report, likelihoods: run.history.figures };
    }));
    const there = runs.filter(Boolean);
    return { view: 'train', step: there[0]?.iteration ?? 0, playing: this.#plays, half: this.#half, points: this.#settings.set === 'own' ? [...this.#own()] : [], runs: there };
  }

  async energies(x) {
    await this.#begun;
    return this.#runs[0].ask('energies', { x });
  }

  /** The pictures as one file, or the model. */
  async toBlob(type) {
    await this.#begun;
    if (type === 'application/octet-stream') return new Blob([await this.#runs[0].ask('model')], { type });
    if (type !== 'image/png') throw new Error(`The training view gives image/png or application/octet-stream, the model, not ${type}.`);
    this.#paint();
    const pictures = this.#runs.flatMap((_, i) => [this.#ref(`plane-${i}`), this.#ref(`latents-${i}`)]);
    const whole = document.createElement('canvas');
    whole.width = pictures.reduce((sum, { width }) => sum + width + 16, -16);
    whole.height = Math.max(...pictures.map(({ height }) => height));
    let x = 0;
    for (const picture of pictures) {
      whole.getContext('2d').drawImage(picture, x, 0);
      x += picture.width + 16;
    }
    return new Promise((resolve) => whole.toBlob(resolve, 'image/png'));
  }

  /** A file of points. */
  async open(file) {
    this.#set({ set: 'own' });
    try {
      const module = await trainerCode();
      const reader = this.#runs[0] && !this.#runs[0].broken ? this.#runs[0] : new Run(module, () => {});
      await reader.ready;
      const points = await reader.ask('read', { name: file.name, file: await file.arrayBuffer() });
      if (!this.#runs.includes(reader)) reader.end();
      const pairs = [];
      for (let i = 0; i + 1 < points.length; i += 2) pairs.push([points[i], points[i + 1]]);
      [this.#strokes, this.#fromFile] = [[pairs], true];
    } catch (error) {
      this.#notice(error.message);
      throw error;
    }
    await this.#begin();
  }

  #draw(change) {
    this.#fromFile = false;
    change();
    this.#begin().catch(() => {});
  }

  #pointOf({ offsetX, offsetY, target }) {
    const at = (share) => (share * 2 - 1) * this.#half;
    return [at(offsetX / target.clientWidth), -at(offsetY / target.clientHeight)];
  }

  /** Points around a place, within the plane. */
  #spray([x, y]) {
    const within = (value) => Math.min(Math.max(value, -this.#half), this.#half);
    for (let i = 0; i < SPRAY; i += 1) {
      const [radius, angle] = [BLUR * Math.sqrt(-2 * Math.log(1 - Math.random())), 2 * Math.PI * Math.random()];
      this.#strokes.at(-1).push([within(x + radius * Math.cos(angle)), within(y + radius * Math.sin(angle))]);
    }
    if (this.#plays) this.pause().catch(() => {});
    this.#show();
  }

  #key(event) {
    if (this.#settings.set !== 'own' || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const [x, y] = this.#cursor ?? [0, 0], by = this.#half / (event.shiftKey ? 5 : 20);
    if (moves[event.key]) {
      const within = (value) => Math.min(Math.max(value, -this.#half), this.#half);
      this.#cursor = this.#cursor ? [within(x + moves[event.key][0] * by), within(y + moves[event.key][1] * by)] : [0, 0];
    } else if (event.key === ' ' || event.key === 'Enter') {
      this.#cursor ??= [0, 0];
      this.#strokes.push([]);
      for (let i = 0; i < 4; i += 1) this.#spray(this.#cursor);
      this.#begin().catch(() => {});
    } else if (event.key === 'Backspace') {
      this.#draw(() => this.#strokes.pop());
    } else return;
    event.preventDefault();
    this.redraw();
  }

  async #save(what, name) {
    try {
      await this.#begun;
      save(new Blob([await this.#runs[0].ask(what)], { type: 'application/octet-stream' }), name);
    } catch (error) {
      this.#notice(error.message);
    }
  }

  /** Hand the model to the other views. */
  async #openInLab() {
    await this.pause();
    const file = new File([await this.#runs[0].ask('model')], `${this.#name()}, trained here.safetensors`);
    this.#figure.model = file;
    this.#figure.removeAttribute('view');
    this.#figure.dispatchEvent(new CustomEvent('trained', { detail: { file }, bubbles: true }));
  }

  /** Bring controls in line with what is so. */
  #show() {
    const settings = this.#settings;
    for (const field of this.#ref('train-settings').elements) {
      if (!field.name) continue;
      if (field.type === 'radio') field.checked = field.value === settings[field.name];
      else if (document.activeElement !== this.#figure || this.#root.activeElement !== field) field.value = settings[field.name] ?? '';
    }
    for (const [name, { choices }] of Object.entries(SWITCHES)) {
      this.#place.querySelector(`[data-says="${name}"]`).textContent = choices[settings[name]][1];
    }
    const own = settings.set === 'own', count = this.#strokes.reduce((sum, stroke) => sum + stroke.length, 0);
    this.#ref('own-points').hidden = !own;
    this.#ref('points-count').textContent = count ? `${count} points, of which a tenth is held out.` : '';
    this.#ref('undo-points').disabled = this.#ref('clear-points').disabled = !count;
    this.#ref('plane-0').classList.toggle('draws', own);
    const ready = !own || count >= 10, done = this.#runs.length > 0 && this.#runs.every(({ news }) => news.done);
    const iterated = this.#runs.some(({ news }) => news.frame?.iteration > 0);
    this.#ref('train-play').textContent = this.#plays ? 'Pause' : done ? 'Done' : iterated ? 'Go on' : 'Train';
    for (const name of ['train-play', 'train-one', 'train-phase']) this.#ref(name).disabled = !ready || done;
    this.#ref('train-reset').disabled = !iterated && !this.#runs.some(({ broken }) => broken);
    for (const name of ['train-open', 'train-save']) this.#ref(name).disabled = !iterated;
    this.#ref('train-points').disabled = !ready;
    this.#ref('train-slow').checked = !!settings.slow;
    this.#ref('runs').classList.toggle('two-runs', !!settings.compare);
    this.#ref('run-1').hidden = !settings.compare;
    this.#ref('run-title-0').textContent = settings.compare ? 'As chosen' : '';
    this.#ref('run-title-1').textContent = settings.compare ? sentence(COMPARED[settings.compare][0]) : '';
    this.#ref('recipe').textContent = this.#runs[0]?.recipe ?? '';
    const data = own ? ' --data points.npy' : '';
    this.#ref('recipe-command').textContent = `dual-mcmc train ${this.#name()}.toml${data} --seed ${settings.seed} --out run`;
    this.redraw();
  }

  /** Draw with the next frame. */
  redraw() {
    if (this.#drawn) return;
    this.#drawn = true;
    requestAnimationFrame(() => {
      this.#drawn = false;
      if (!this.#life.signal.aborted) this.#paint();
    });
  }

  #paint() {
    const theme = themeOf(this.#place), own = this.#settings.set === 'own';
    const strokes = own ? this.#own() : null;
    let phase = null;
    [0, 1].forEach((i) => {
      const run = this.#runs[i];
      if (this.#ref(`run-${i}`).hidden) return;
      const { frame, map, figures } = run?.news ?? {};
      phase ??= run?.news.phase ?? null;
      const iterated = frame?.iteration > 0 || run?.news.phase;
      const points = own ? strokes : run?.points;
      drawPlane(this.#ref(`plane-${i}`), { map: iterated ? map : null, points, frame, half: this.#half, phase: run?.news.phase, cursor: i ? null : this.#cursor }, theme);
      drawLatents(this.#ref(`latents-${i}`), { frame, phase: run?.news.phase }, theme);
      if (run) this.#curves(run, i, theme);
      this.#tell(run, i, figures, points);
    });
    const lists = this.#ref('phases'), says = this.#ref('phase-says');
    lists.hidden = says.hidden = !phase && !this.#chosen.slow;
    for (const item of lists.children) item.toggleAttribute('aria-current', item.dataset.phase === phase);
    if (phase && says.dataset.phase !== phase) {
      says.dataset.phase = phase;
      says.innerHTML = PHASES[phase]?.[1] ?? '';
    }
  }

  #curves(run, i, theme) {
    const { report, figures } = run.history, last = Math.max(run.news.frame?.iteration ?? 0, 10);
    const of = (name) => report.map((line) => [line.iteration, line[name]]).filter(([, value]) => value !== null && value !== undefined);
    const known = figures.filter(({ logLikelihood }) => logLikelihood !== null), truth = figures.at(-1)?.truth;
    const likelihood = [{ values: known.map(({ iteration, logLikelihood }) => [iteration, logLikelihood]), colour: theme.mean }];
    if (Number.isFinite(truth)) likelihood.push({ values: [[0, truth], [last, truth]], colour: theme.soft, dashes: [4, 4] });
    drawCurves(this.#ref(`likelihood-${i}`), { lines: likelihood, last }, theme);
    const good = (which) => figures.filter((line) => line[which]).map((line) => [line.iteration, line[which].goodShare]);
    drawCurves(this.#ref(`good-${i}`), {
      lines: [{ values: good('generator'), colour: theme.mean }, { values: good('refined'), colour: theme.particle }], last, low: 0, high: 1,
    }, theme);
    drawCurves(this.#ref(`errors-${i}`), {
      lines: [{ values: of('generator_data_error'), colour: theme.mean }, { values: of('generator_ebm_error'), colour: theme.particle }], last, log: true,
    }, theme);
    drawCurves(this.#ref(`encoder-${i}`), {
      lines: [{ values: of('encoder_data_loss'), colour: theme.mean }, { values: of('encoder_model_loss'), colour: theme.particle }], last,
    }, theme);
    const gap = report.filter((line) => line.energy_data !== null).map((line) => [line.iteration, line.energy_data - line.energy_model]);
    drawCurves(this.#ref(`gap-${i}`), { lines: [{ values: gap, colour: theme.mean }], last }, theme);
  }

  /** What the pictures say, in words and numbers. */
  #tell(run, i, figures, points) {
    const { frame, seconds = 0 } = run?.news ?? {}, iteration = frame?.iteration ?? 0;
    if (!i) this.#ref('train-counter').textContent = run ? `iteration ${iteration} of ${frame?.iterations ?? '–'}, ${seconds.toFixed(0)} s` : '';
    const share = (value) => `${Math.round(100 * value)}%`, words = [];
    if (!points?.length) words.push('Nothing is drawn yet.');
    else if (!iteration) words.push('Nothing is learned yet: press Train.');
    if (figures && iteration) {
      if (figures.refined) {
        const better = figures.refined.goodShare - figures.generator.goodShare;
        words.push(`${share(figures.refined.goodShare)} of the samples after the x-chain are good, ${share(figures.generator.goodShare)} of those it starts from${better > 0.02 ? ': the chain betters them' : ''}.`);
      }
      if (figures.logLikelihood !== null) {
        const short = figures.truth - figures.logLikelihood;
        words.push(`Held-out points have a log-likelihood of ${figures.logLikelihood.toFixed(2)}${figures.truth !== null ? `, ${Math.abs(short).toFixed(2)} ${short >= 0 ? 'below' : 'above'} the truth` : ''}.`);
      }
    }
    const text = words.join(' ');
    if (this.#ref(`says-${i}`).textContent !== text) this.#ref(`says-${i}`).textContent = text;
    this.#ref(`truth-${i}`).textContent = Number.isFinite(figures?.truth) ? `; dashed: the truth, ${figures.truth.toFixed(2)}` : '';
    const count = (points?.length ?? 0) / 2;
    describe(this.#ref(`plane-${i}`), iteration
      ? `The plane after ${iteration} iterations: the energy as a map, ${count} points of data, ${frame.xHat.length / 2} samples of the generator and where the x-chain takes them. ${text}`
      : `The plane with ${count} points of data.${this.#settings.set === 'own' ? ' Arrow keys move, Space draws, Backspace takes back.' : ''}`);
    describe(this.#ref(`latents-${i}`), frame?.z0.length
      ? `The plane of latents: ${frame.z0.length / 2} guesses of the encoder, and where the z-chain takes them.` : 'The plane of latents, still empty.');
    for (const name of ['likelihood', 'good', 'errors', 'gap', 'encoder']) {
      const canvas = this.#ref(`${name}-${i}`);
      canvas.dataset.words ??= canvas.getAttribute('aria-label');
      describe(canvas, `${canvas.dataset.words}, over ${iteration} iterations; the numbers are in the table.`);
    }
    const table = this.#ref(`numbers-${i}`);
    if (run && table.closest('details').open) fillTable(table, run.history);
  }

  end() {
    this.#life.abort();
    for (const run of this.#runs) run.end();
    this.#runs = [];
  }
}

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

function describe(element, words) {
  if (element.getAttribute('aria-label') !== words) element.setAttribute('aria-label', words);
}
