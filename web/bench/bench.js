// The address says what is run: ?model=…&chains=16,64&steps=5&seconds=3&devices=webgpu,wasm&libraries=ours,jax,tensorflow
// `window.results` has the rows so far; `window.done` is true when there are no more to come.

import { energyOf } from "./model.js";

const LIBRARIES = { ours: "ours", jax: "jax-js", tensorflow: "TensorFlow.js" };
/** Energies after a few steps agree to this share of their spread. */
const TOLERANCE = 1e-3;

const query = new URLSearchParams(location.search);
const words = (name, otherwise) => (query.get(name) ?? otherwise).split(",");
const say = (text) => (document.getElementById("status").textContent = text);

/** Chains start at noise, the same for all. */
function startOf(n) {
  let state = 1;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) / 2;
  });
}

function disagreement(energies, expected) {
  const spread = Math.max(...expected) - Math.min(...expected);
  return Math.max(...expected.map((e, i) => Math.abs(e - energies[i]))) / spread;
}

async function timed(walk, steps, stepSize, noise, seconds) {
  await walk.run(steps, stepSize, noise);
  const begin = performance.now(), times = [];
  while (times.length < 3 || performance.now() - begin < 1e3 * seconds) {
    const start = performance.now();
    await walk.run(steps, stepSize, noise);
    times.push((performance.now() - start) / steps);
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
}

async function run() {
  const file = await (await fetch(query.get("model") ?? "model.safetensors")).arrayBuffer();
  const energy = energyOf(file);
  const steps = Number(query.get("steps") ?? 5), seconds = Number(query.get("seconds") ?? 3);
  for (const device of words("devices", "webgpu,wasm")) {
    for (const chains of words("chains", "16,64").map(Number)) {
      const x = startOf(chains * energy.input.reduce((a, b) => a * b));
      let expected, ours;
      for (const library of words("libraries", "ours,jax,tensorflow")) {
        say(`${LIBRARIES[library]} on ${device}, ${chains} chains…`);
        const row = { library: LIBRARIES[library], device, chains };
        try {
          const { open } = await import(`./${library}.js`);
          const walk = await open(device, file, energy, chains, x);
          // A step that moves the energies by about their spread.
          await walk.run(3, Number(query.get("step_size") ?? 1), 0);
          const energies = Array.from(await walk.energies());
          expected ??= energies;
          row.disagreement = disagreement(energies, expected);
          if (!(row.disagreement < TOLERANCE)) throw Error(`disagrees by ${row.disagreement}`);
          row.milliseconds_a_step = await timed(walk, steps, 0.01, 0.01, seconds);
          ours ??= row.milliseconds_a_step;
          row.ratio = row.milliseconds_a_step / ours;
          walk.close();
        } catch (error) {
          console.error(error);
          row.error = String(error.message ?? error);
        }
        window.results.push(row);
        show(row);
      }
    }
  }
  say("Done.");
}

function show(row) {
  const cells = row.error
    ? [row.library, row.device, row.chains, "—", "—", "—", row.error]
    : [
        row.library, row.device, row.chains, row.milliseconds_a_step.toPrecision(3),
        Math.round((1e3 * row.chains) / row.milliseconds_a_step), row.disagreement.toExponential(0),
        row.library === LIBRARIES.ours ? "" : `${row.ratio.toPrecision(3)} × as fast`,
      ];
  const line = document.createElement("tr");
  line.className = row.library === LIBRARIES.ours ? "ours" : "";
  line.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
  document.getElementById("rows").append(line);
}

window.results = [];
document.getElementById("run").addEventListener("click", async () => {
  document.getElementById("run").disabled = true;
  await run().catch((error) => say(String(error)));
  window.done = true;
});
