// This project's engine.

import init, { Chains } from "../dual-mcmc-web.js";

export async function open(device, file, _energy, chains, x) {
  await init();
  const walk = await Chains.open(new Uint8Array(file), device === "webgpu", chains);
  walk.start(x, 1n);
  return {
    run: (steps, stepSize, noise) => walk.run(steps, stepSize, noise),
    energies: () => walk.energies(),
    close: () => walk.free(),
  };
}
