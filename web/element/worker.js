// Chains on the processor: the same wasm once more, in a thread beside the page. The first message is the compiled
// module; `work` answers all others, as web/src/engine/question.rs says.
import init, { work } from './dual-mcmc-web.js';

let ready;
onmessage = async ({ data }) => {
  try {
    if (!ready) return void await (ready = init({ module_or_path: data }));
    await ready;
    postMessage(await work(data));
  } catch (error) {
    // After a breakdown nothing here is in a state to go on: the page hears an error, and starts another worker.
    setTimeout(() => { throw error; });
  }
};
