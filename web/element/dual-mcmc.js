/**
 * `<dual-mcmc>`: chains of an energy-based model, live, as a figure on any page.
 *
 *   <script type="module" src="dual-mcmc.js"></script>
 *   <dual-mcmc src="models/ring.safetensors" autoplay>Shown where scripts are off.</dual-mcmc>
 *
 * docs/embedding.md has its attributes, methods and events; dual-mcmc.d.ts has their types. This file is the element's life on
 * the page: when its code is fetched, whether it can be seen, what its attributes are. Everything else is in Rust.
 * Imported where there is no page, as on a server, it does nothing.
 */
import { assets, code, figures, lose, Stopped, VERSION } from './code.js';
import { style } from './style.js';
import { template } from './template.js';

const ATTRIBUTES = [
  'src', 'view', 'chains', 'rate', 'step-size', 'noise', 'start', 'sampler', 'chain', 'overlay', 'corners', 'walk', 'subject', 'example', 'mask', 'fill', 'training', 'seed', 'device', 'autoplay',
  'controls', 'hide', 'loading', 'reveal', 'poster', 'alt',
];
const NUMBERS = new Set(['chains', 'rate', 'step-size', 'noise', 'chain', 'example', 'seed']);

let styles = null;

function sheet() {
  if (!styles) {
    styles = new CSSStyleSheet();
    styles.replaceSync(style);
  }
  return styles;
}

const calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** @extends HTMLElement */
export class DualMcmc extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = ATTRIBUTES;
  /** Where wasm and worker are, if not beside this file. */
  static assets = assets;
  static version = VERSION;

  #root = this.attachShadow({ mode: 'open' });
  /** What Rust holds of this figure; none before it is needed. */
  #figure = null;
  #starting = null;
  /** The promise of the training view, once that has been opened. */
  #training = null;
  /** Counts the beginnings, so that one that has been superseded changes nothing. */
  #beginning = 0;
  /** Ends all listeners and observers when the figure leaves its page. */
  #life = null;
  #file = null;
  /** A picture to be reconstructed. */
  #image = null;
  #near = false;
  #seen = false;
  /** Whether somebody has asked for the figure, by a click or a method. */
  #asked = false;
  #plays = false;
  /** Whether there is something to be seen: chains, or a problem. */
  #shows = false;
  /** Promises that a breakdown must not leave open. */
  #open = new Set();

  constructor() {
    super();
    this.#root.innerHTML = template;
    this.#root.adoptedStyleSheets = [sheet()];
    this.#ref('begin').addEventListener('click', () => this.play().catch(() => {}));
    for (const name of ['load', 'problem']) {
      this.addEventListener(name, () => {
        this.#shows ||= name === 'load' || !this.#ref('notice').hidden;
        this.#cover();
      });
    }
  }

  connectedCallback() {
    // Moved within the page: everything goes on.
    if (this.#life) return;
    for (const name of [...ATTRIBUTES.map(property), 'model', 'image']) {
      // Set before the element was defined.
      if (Object.hasOwn(this, name)) {
        const value = this[name];
        delete this[name];
        this[name] = value;
      }
    }
    this.#life = new AbortController();
    const { signal } = this.#life;
    figures.add(this);
    this.#watch(signal);
    this.#describe();
    this.#cover();
    if (this.loading === 'eager') this.#start().catch(() => {});
  }

  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.#life && !this.isConnected) this.#end();
    });
  }

  attributeChangedCallback(name, _, value) {
    // The training view is none of the figure's own.
    if (name !== 'view' || value !== 'train') this.#figure?.attribute(name, value ?? undefined);
    if (!this.#life) return;
    if (name === 'view') this.#look();
    if (name === 'training') this.#training?.then((training) => training.choose(value), () => {});
    if (name === 'poster' || name === 'alt') this.#describe();
    if (name === 'autoplay' && this.#mayPlay()) this.#figure?.autoplay();
    this.#cover();
    this.#startIfDue();
  }

  #watch(signal) {
    const observe = (margin, see) => {
      if (typeof IntersectionObserver === 'undefined') return see(true);
      const observer = new IntersectionObserver((entries) => see(entries.at(-1).isIntersecting), { rootMargin: margin });
      observer.observe(this);
      signal.addEventListener('abort', () => observer.disconnect());
    };
    observe('200px', (near) => {
      this.#near = near;
      this.#startIfDue();
    });
    observe('0px', (seen) => {
      this.#seen = seen;
      this.#look();
    });
    let width = 0;
    const sizes = new ResizeObserver(([{ contentRect }]) => {
      // Only the width is the page's choice; the height is the figure's own.
      if (contentRect.width === width) return;
      width = contentRect.width;
      this.#redraw();
    });
    sizes.observe(this);
    signal.addEventListener('abort', () => sizes.disconnect());
    document.addEventListener('visibilitychange', () => {
      this.#look();
      this.#startIfDue();
    }, { signal });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw(), { signal });
    matchMedia('(prefers-reduced-motion: reduce)').addEventListener('change', ({ matches }) => {
      if (matches && this.getAttribute('autoplay') !== 'always') this.#figure?.pause();
    }, { signal });
  }

  #look() {
    const seen = this.#seen && !document.hidden;
    this.#figure?.see(seen && !this.#trains);
    this.#training?.then((training) => training.see(seen && this.#trains), () => {});
  }

  #redraw() {
    this.#figure?.redraw();
    this.#training?.then((training) => training.redraw(), () => {});
  }

  /** Whether it shows the training view, which has code of its own. */
  get #trains() {
    return this.getAttribute('view') === 'train';
  }

  #mayPlay() {
    const autoplay = this.getAttribute('autoplay');
    return autoplay === 'always' || (autoplay !== null && !calm());
  }

  /** Begin to load, if it is time. */
  #startIfDue() {
    if (!this.#life || (this.#trains ? this.#training : this.#figure || this.#starting)) return;
    const waits = this.loading !== 'lazy' && this.reveal !== 'auto' && !this.#asked;
    const due = this.loading === 'eager' || (this.#near && !document.hidden && !waits);
    if (due && this.#trains) this.#train().catch(() => {});
    else if (due && (this.src || this.#file)) this.#start().catch(() => {});
  }

  /** The training view, once it is there. */
  #train() {
    if (!this.#life) return Promise.reject(new Error('The figure is not on a page.'));
    if (this.#training) return this.#training;
    const beginning = this.#beginning;
    this.#training = import('./train.js').then(({ Training }) => {
      if (beginning !== this.#beginning) throw new Error('The figure has left its page meanwhile.');
      this.#shows = true;
      const training = new Training(this, this.#ref('train'), this.getAttribute('training'));
      // A run begins when somebody asks for it.
      if (this.#plays || this.getAttribute('autoplay') === 'always') training.play().catch(() => {});
      return training;
    });
    this.#training.then(() => {
      this.#look();
      this.dispatchEvent(new CustomEvent('load', { detail: { view: 'train' } }));
    }, (error) => {
      this.#training = null;
      this.#fail('The trainer could not be loaded', `Reload the page. (${error.message})`);
    });
    this.#cover();
    return this.#training;
  }

  /** What Rust holds of this figure, once there is a figure. */
  #start() {
    if (!this.#life) return Promise.reject(new Error('The figure is not on a page.'));
    this.#starting ??= this.#begin();
    return this.#starting;
  }

  async #begin() {
    const beginning = this.#beginning;
    this.#ref('begin').disabled = true;
    this.#ref('cover-text').textContent = 'The sampler is being loaded…';
    try {
      const { Figure } = await code();
      if (beginning !== this.#beginning) throw new Error('The figure has left its page, or begun again, meanwhile.');
      const figure = new Figure(this, this.#root);
      for (const name of ATTRIBUTES) {
        if (this.hasAttribute(name) && !(name === 'view' && this.#trains)) figure.attribute(name, this.getAttribute(name));
      }
      if (this.#file) figure.open(this.#file, this.#file.name ?? 'the model');
      if (this.#image) figure.picture(this.#image, this.#image.name ?? 'the picture');
      if (this.#plays || (this.reveal === 'auto' && this.#mayPlay())) figure.autoplay();
      this.#figure = figure;
      this.#look();
      this.#cover();
      return figure;
    } catch (error) {
      if (beginning === this.#beginning) {
        this.#starting = null;
        this.#fail(error instanceof Stopped ? 'The sampler has stopped' : 'The sampler could not be loaded', error.message);
      }
      throw error;
    }
  }

  /** The figure leaves its page, and all that it has goes. */
  #end() {
    this.#life.abort();
    this.#life = null;
    figures.delete(this);
    this.#figure?.free();
    this.#training?.then((training) => training.end(), () => {});
    this.#training = null;
    this.#forget();
    for (const reject of this.#open) reject(new Error('The figure is no longer on the page.'));
    this.#open.clear();
  }

  /** As before there was a figure. */
  #forget() {
    this.#beginning += 1;
    this.#figure = null;
    this.#starting = null;
    this.#asked = this.#plays = this.#shows = this.#near = this.#seen = false;
    const fresh = document.createElement('template');
    fresh.innerHTML = template;
    const focus = this.#root.activeElement?.dataset.ref;
    // A training run goes on.
    if (this.#training) fresh.content.querySelector('[data-ref=train]').replaceWith(this.#ref('train'));
    this.#root.replaceChildren(fresh.content);
    this.#ref('begin').addEventListener('click', () => this.play().catch(() => {}));
    this.#describe();
    if (focus) this.#ref(focus)?.focus();
  }

  /** The code has broken down: begin again, unless it has stopped for good. */
  [lose](words) {
    const figure = this.#figure;
    for (const reject of this.#open) reject(new Error('The sampler has stopped, by a fault of its own.'));
    this.#open.clear();
    if (!figure && !this.#starting) return;
    const { near, seen, asked } = { near: this.#near, seen: this.#seen, asked: this.#asked };
    const plays = this.#plays || this.#ref('play').textContent === 'Pause';
    this.#forget();
    [this.#near, this.#seen, this.#asked, this.#plays] = [near, seen, asked, plays];
    this.#start().then(() => this.#note(`The sampler has stopped, by a fault of its own (${words}), and has started anew.`), () => {});
  }

  #note(words) {
    this.#ref('breakdown').textContent = words;
    this.#ref('breakdown').hidden = false;
  }

  #fail(title, advice) {
    this.#ref('notice-title').textContent = `${title}.`;
    this.#ref('notice-advice').textContent = advice;
    this.#ref('notice').hidden = false;
    this.#ref('cover-text').textContent = 'Nothing runs.';
    this.#ref('begin').hidden = true;
    this.dispatchEvent(new CustomEvent('problem', { detail: { title, advice, message: `${title}: ${advice}` } }));
  }

  /** Show the poster, or what is behind it. */
  #cover() {
    const waits = this.reveal !== 'auto' && !this.#asked;
    const poster = this.hasAttribute('poster') || this.querySelector('[slot=poster]');
    const trains = this.#trains;
    const covered = waits || !(trains ? this.#training : this.#figure) || (poster && !this.#shows);
    this.#ref('cover').hidden = !covered;
    this.#ref('lab').hidden = covered || trains;
    this.#ref('train').hidden = covered || !trains;
    this.#ref('begin').hidden = this.reveal === 'manual' || (this.reveal === 'auto' && (trains || !!this.src));
    const text = this.#ref('cover-text');
    text.hidden = !!poster && !this.#starting;
  }

  #describe() {
    const image = this.#ref('poster');
    const poster = this.getAttribute('poster');
    image.hidden = !poster;
    if (poster) image.src = poster;
    else image.removeAttribute('src');
    image.alt = this.alt ?? '';
    this.#ref('stage').setAttribute('aria-label', this.alt ?? 'Chains of an energy-based model');
  }

  #ref(name) {
    return this.#root.querySelector(`[data-ref="${name}"]`);
  }

  /** Ask the figure something, which brings it to life wherever it is. */
  #ask(method, ...values) {
    this.#asked = true;
    return new Promise((resolve, reject) => {
      this.#open.add(reject);
      const settle = (how) => (value) => {
        this.#open.delete(reject);
        how(value);
      };
      (this.#trains ? this.#train() : this.#start())
        .then((figure) => {
          this.#cover();
          return figure[method](...values);
        })
        .then(settle(resolve), settle(reject));
    });
  }

  /** Run the chains. They still rest while the figure cannot be seen. */
  play() {
    this.#plays = true;
    return this.#ask('play');
  }

  /** Let the chains rest. */
  pause() {
    this.#plays = false;
    return this.#ask('pause');
  }

  /** Take `n` steps now, seen or not. */
  step(n = 1) {
    if (!(Number.isInteger(n) && n >= 0 && n <= 1e6)) {
      return Promise.reject(new Error(`step takes a whole number from 0 to 1000000, not ${n}.`));
    }
    return this.#ask('step', n);
  }

  /** Start the chains anew, with another seed if one is given. */
  reset(seed) {
    if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)) {
      return Promise.reject(new Error(`reset takes a seed, a whole number from 0 to 4294967295, not ${seed}.`));
    }
    return this.#ask('reset', seed);
  }

  /** What runs, with the chains' states. */
  state() {
    return this.#ask('state');
  }

  /** The energies of samples: as many numbers as samples have, one after the other. */
  energies(x) {
    return this.#ask('energies', Float32Array.from(x));
  }

  /** The picture, as a file. */
  toBlob(type = 'image/png') {
    return this.#ask('toBlob', String(type));
  }

  /** A model's file, as a Blob, File or ArrayBuffer, in the place of `src`. */
  get model() {
    return this.#file;
  }
  set model(file) {
    const blob = is(file, 'ArrayBuffer') || ArrayBuffer.isView(file) ? new Blob([file]) : file;
    if (blob !== null && !is(blob, 'Blob', 'File')) throw new TypeError('model takes a Blob, a File or an ArrayBuffer.');
    this.#file = blob;
    if (!blob) return;
    this.#figure?.open(blob, blob.name ?? 'the model');
    if (this.#life) this.#startIfDue();
  }

  /** A picture, as a Blob or File, or samples in a File called .npy, that are reconstructed in the place of the examples. */
  get image() {
    return this.#image;
  }
  set image(file) {
    if (file !== null && !is(file, 'Blob', 'File')) throw new TypeError('image takes a Blob or a File.');
    this.#image = file;
    if (file) this.#figure?.picture(file, file.name ?? 'the picture');
  }

  /** A .csv or .npy file of points of the plane, to be learned in the training view. */
  set points(file) {
    if (!is(file, 'File')) throw new TypeError('points takes a File.');
    this.#ask('open', file).catch(() => {});
  }

  get controls() {
    return this.hasAttribute('controls');
  }
  set controls(value) {
    this.toggleAttribute('controls', !!value);
  }

  get autoplay() {
    const value = this.getAttribute('autoplay');
    return value === null ? false : value === 'always' ? value : true;
  }
  set autoplay(value) {
    if (value === false || value === null || value === undefined) this.removeAttribute('autoplay');
    else this.setAttribute('autoplay', value === 'always' ? value : '');
  }

  get loading() {
    return word(this.getAttribute('loading'), ['auto', 'lazy', 'eager']);
  }
  set loading(value) {
    this.setAttribute('loading', value);
  }

  get reveal() {
    return word(this.getAttribute('reveal'), ['auto', 'interaction', 'manual']);
  }
  set reveal(value) {
    this.setAttribute('reveal', value);
  }
}

/** Whether it is of one of these kinds, of this window or of another one. */
const is = (it, ...kinds) => kinds.includes(Object.prototype.toString.call(it).slice(8, -1));
const word = (value, words) => (words.includes(value) ? value : words[0]);
const property = (attribute) => attribute.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

for (const name of ATTRIBUTES) {
  if (property(name) in DualMcmc.prototype) continue;
  Object.defineProperty(DualMcmc.prototype, property(name), {
    configurable: true,
    enumerable: true,
    get() {
      const value = this.getAttribute(name);
      return value === null || !NUMBERS.has(name) ? value : Number(value);
    },
    set(value) {
      if (value === null || value === undefined) this.removeAttribute(name);
      else this.setAttribute(name, value);
    },
  });
}

if (globalThis.customElements) {
  const first = customElements.get('dual-mcmc');
  if (!first) customElements.define('dual-mcmc', DualMcmc);
  else if (first.version !== VERSION) console.warn(`dual-mcmc ${VERSION}: the figures of this page are those of version ${first.version}, which was loaded first.`);
}
