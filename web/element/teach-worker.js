// A training run, in a thread beside the page. The first message is the compiled module; each one after it is answered by one of the same
// number. While a run goes on, its news come by themselves, under the number 0.
import init, { Run, readPoints, version, writePoints } from './dual-mcmc-teach.js';

/** Milliseconds between two pieces of news, and between two of how good the model is; the latter takes about a tenth of a second. */
const NEWS = 60, FIGURES = 2_500;
/** Most milliseconds that the energies of a map may take of each second. */
const MAPS = 120;

let ready, run = null, plays = false, slow = 0, loop = 0;
let seconds = 0, points = new Float32Array(), map = null;
/** Milliseconds that the phases have taken, all iterations together. */
let phases = {};
/** Figures of the iterations that the page has not been told of. */
let reports = [];
let news = { at: 0, map: 0, cost: 0, figures: 0 };

/** Lets messages come in. */
const channel = new MessageChannel();
const breathe = () => new Promise((done) => {
  channel.port1.onmessage = done;
  channel.port2.postMessage(null);
});

function begin(settings, own, grid) {
  end();
  run = new Run(settings, own);
  [points, seconds, map, phases, reports] = [own, 0, grid, {}, []];
  let phase = null, since = 0;
  run.observe((name) => {
    const time = performance.now();
    // What lies between two iterations is none of the last phase's.
    if (phase && name !== 'data') phases[phase] = (phases[phase] ?? 0) + time - since;
    [phase, since] = [name, time];
  });
  news = { at: 0, map: 0, cost: 0, figures: 0 };
  return { points: run.points(600), recipe: run.recipe(), ...now({}, true) };
}

function end() {
  plays = false;
  loop += 1;
  run?.free();
  run = null;
}

/** The run as it is. The map is part of it where it is due, or asked for. */
function now(done, all) {
  const time = performance.now();
  const told = { ...done, frame: run.frame(), seconds, phases, reports: reports.splice(0), done: run.isDone() };
  if (map && (all || time - news.map > (news.cost * 1000) / MAPS)) {
    told.map = run.energies(map);
    news.cost = performance.now() - time;
    news.map = performance.now();
  }
  if (run.iteration() > 0 && (all || time - news.figures > FIGURES)) {
    told.figures = run.figures();
    news.figures = performance.now();
  }
  news.at = performance.now();
  return told;
}

/** The run, where there is one. */
function there() {
  if (!run) throw new Error('Nothing can be learned yet: draw some points first.');
  return run;
}

/** One step: a phase where it is slow, else an iteration. */
function step(phase) {
  const start = performance.now();
  const done = phase ? there().step() : there().iterate();
  seconds += (performance.now() - start) / 1000;
  if (done.report) reports.push(done.report);
  return done;
}

/** Say why not. After a breakdown of the code nothing here is in a state to go on. */
function refuse(number, error) {
  postMessage({ number, error: error.message, broken: error instanceof WebAssembly.RuntimeError });
}

async function play() {
  plays = true;
  loop += 1;
  const mine = loop;
  try {
    while (plays && mine === loop && !run.isDone()) {
      const done = step(slow > 0);
      const last = run.isDone();
      if (slow || done.wentBack || last || performance.now() - news.at > NEWS) {
        postMessage({ number: 0, value: now(done, last || slow > 0) });
      }
      if (slow && !last) await new Promise((next) => setTimeout(next, slow));
      else await breathe();
    }
  } catch (error) {
    refuse(0, error);
  }
  if (mine === loop) plays = false;
}

const answers = {
  begin: ({ settings, points, map }) => begin(settings, points, map),
  play: ({ slow: pause }) => {
    there();
    slow = pause;
    if (!plays) play();
  },
  pause: () => {
    plays = false;
    return run && now({}, true);
  },
  step: ({ phase }) => now(step(phase), true),
  state: () => run && now({}, true),
  model: () => there().model(seconds),
  points: () => writePoints(points.length ? points : there().points(1 << 20)),
  read: ({ name, file }) => readPoints(name, new Uint8Array(file)),
  energies: ({ x }) => there().energies(x),
  end,
};

onmessage = async ({ data }) => {
  try {
    if (!ready) {
      ready = init({ module_or_path: data.module });
      await ready;
      if (version() !== data.version) throw new Error(`version ${version()} beside ${data.version}`);
      return void postMessage({ number: data.number, value: null });
    }
    await ready;
    postMessage({ number: data.number, value: answers[data.ask](data) });
  } catch (error) {
    refuse(data.number, error);
  }
};
