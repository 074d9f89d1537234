/**
 * The code of all figures of a page: fetched once, started, and started anew after a breakdown.
 */

/** Most new starts after a breakdown of the code, and the milliseconds that they are counted in. */
const MOST_RESTARTS = 3, RESTARTS_IN = 60_000;

/**
 * Where wasm and worker are, for pages whose builder does not find them beside this file: each an address, the wasm also its bytes or
 * the compiled module; `teach` and `teachWorker` are those of the training view. To be set before the first figure begins.
 */
export const assets = { wasm: null, worker: null, teach: null, teachWorker: null };

/** The version of this JavaScript, which is the wasm's, too. */
export const VERSION = '0.1.0';

/** The promise of the code, the code itself while it runs, its workers, when it was started anew, and an exception that may have broken it. */
const shared = { code: null, glue: null, workers: [], restarts: [], suspicion: null };

/** The code has broken down too often to be started anew. */
export class Stopped extends Error {}

/** The figures of the page. A breakdown of the code and its reason are told to their methods `lose`. */
export const figures = new Set();
export const lose = Symbol('lose');

/** The code, compiled and running. */
export function code() {
  shared.code ??= load().catch((error) => {
    // Another figure, or the next try, may have more luck.
    shared.code = null;
    throw error;
  });
  return shared.code;
}

async function load() {
  if (typeof WebAssembly === 'undefined') {
    throw new Error('This browser has no WebAssembly, or it is switched off.');
  }
  try {
    const glue = await import('./dual-mcmc-web.js');
    await glue.default({ module_or_path: assets.wasm ?? new URL('./dual-mcmc-web_bg.wasm', import.meta.url) });
    if (glue.version() !== VERSION) throw new WebAssembly.LinkError(`version ${glue.version()} beside ${VERSION}`);
    shared.glue = glue;
    glue.prepare(makeWorker, brokeDown);
    addEventListener('error', ({ message }) => suspect(message));
    addEventListener('unhandledrejection', ({ reason }) => suspect(String(reason)));
    return glue;
  } catch (error) {
    throw new Error(`${advice(error)} (${error?.message ?? error})`);
  }
}

/** What to do about code that does not start. */
function advice(error) {
  if (error instanceof WebAssembly.LinkError) return 'The wasm is of another version than its JavaScript: put the files of one version beside each other.';
  if (error instanceof WebAssembly.CompileError) return 'At the wasm’s address is something else, perhaps a page that says it is not there.';
  return 'Reload the page; if that does not help, its files are incomplete or this browser is older than 2023.';
}

/** A thread for chains on the processor. Where the code comes from another site, a worker of this one must import it. */
function makeWorker() {
  const worker = newWorker();
  shared.workers.push(new WeakRef(worker));
  return worker;
}

function newWorker() {
  // By name, so that builders do not take it for a file to be written into the page.
  const name = './worker.js';
  // Written out, as builders look for it.
  const here = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  return threadOf(assets.worker, new URL(name, import.meta.url), here);
}

/** A thread for a training run. */
export function newTeacher() {
  const name = './teach-worker.js';
  const here = () => new Worker(new URL('./teach-worker.js', import.meta.url), { type: 'module' });
  return threadOf(assets.teachWorker, new URL(name, import.meta.url), here);
}

/** A worker whose code lies where the page's author says, or beside this file, as `here` starts it. */
function threadOf(asset, beside, here) {
  const url = asset ? new URL(asset, document.baseURI) : beside;
  if (url.origin === location.origin) return asset ? new Worker(url, { type: 'module' }) : here();
  if (!elsewhere.has(url.href)) {
    elsewhere.set(url.href, URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' })));
  }
  return new Worker(elsewhere.get(url.href), { type: 'module' });
}

const elsewhere = new Map();

let trainer = null;

/** The compiled code of training runs, fetched once; `progress` is told the share that is there. */
export function trainerCode(progress = () => {}) {
  trainer ??= fetchTrainer(progress).catch((error) => {
    trainer = null;
    throw error;
  });
  return trainer;
}

async function fetchTrainer(progress) {
  const source = assets.teach;
  if (source instanceof WebAssembly.Module) return source;
  if (source && typeof source !== 'string' && !(source instanceof URL)) return WebAssembly.compile(source);
  const answer = await fetch(source ? new URL(source, document.baseURI) : new URL('./dual-mcmc-teach_bg.wasm', import.meta.url));
  if (!answer.ok) throw new Error(`Its file is not there (${answer.status}): it may still be being built; try again in a minute.`);
  const total = Number(answer.headers.get('content-length')), pieces = [];
  let there = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    there += value.length;
    if (total) progress(Math.min(there / total, 1));
  }
  try {
    return await WebAssembly.compile(await new Blob(pieces).arrayBuffer());
  } catch (error) {
    throw new Error(`${advice(error)} (${error.message})`);
  }
}

/** An exception somewhere on the page: if it came through our own code, that has been left in the middle of its work. */
function suspect(words) {
  shared.suspicion ??= words;
  // Not before our own code is off the stack.
  setTimeout(() => {
    if (shared.glue?.interrupted()) brokeDown(words);
    shared.suspicion = null;
  });
}

/** The code has broken down, which is a fault of its own: all figures start anew, with what they show and their seeds. */
function brokeDown(words) {
  if (!shared.glue) return;
  const glue = shared.glue;
  shared.glue = null;
  const now = performance.now();
  shared.restarts = shared.restarts.filter((time) => now - time < RESTARTS_IN);
  const again = shared.restarts.length < MOST_RESTARTS && typeof glue.__wbg_reset_state === 'function';
  shared.restarts.push(now);
  // What broke down first is what counts; a panic in what is left may follow.
  const reason = shared.suspicion ?? words;
  console.warn(`dual-mcmc: ${reason}`);
  for (const worker of shared.workers.splice(0)) worker.deref()?.terminate();
  // Whoever asks from now on must not get what has broken down.
  shared.code = new Promise((resolve, reject) => {
    // Not before the code that has broken down is off the stack.
    setTimeout(() => {
      if (again) {
        glue.__wbg_reset_state();
        glue.prepare(makeWorker, brokeDown);
        shared.glue = glue;
        resolve(glue);
      } else {
        reject(new Stopped(`This is a fault of its own; reload the page to go on. (${reason})`));
      }
      for (const figure of [...figures]) figure[lose](reason);
    });
  });
  shared.code.catch(() => {});
}
