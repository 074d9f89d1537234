// Chains on the processor: the page's own wasm once more, in a thread beside it. The first message is the compiled
// module; `work` answers all others, as web/src/engine/workers.rs says.
import init, { work } from './dual-mcmc-web.js';

let ready;
onmessage = async ({ data }) => {
  try {
    if (!ready) return void await (ready = init({ module_or_path: data }));
    await ready;
    postMessage(await work(data));
  } catch (error) {
    postMessage(String(error));
  }
};
