/** What the training view adds to a figure's shadow tree, and its style. */
const option = ([value, words]) => `<option value="${value}">${words}</option>`;

/** The switches of the method, with a sentence on each choice. */
export const SWITCHES = {
  teachers: {
    label: 'The generator is taught by',
    choices: {
      both: ['data and the energy', 'Dual-MCMC teaching: data pull the generator through the z-chain, the energy pulls it through the x-chain.'],
      energy: ['the energy alone', 'Cooperative learning: the generator only follows the x-chain, and never sees data.'],
      data: ['data alone', 'The generator learns from the z-chain’s latents of data, as without an energy; the x-chain still starts at it.'],
    },
  },
  zStart: {
    label: 'The z-chain starts at',
    choices: {
      encoder: ['the encoder’s guess', 'The encoder has learned where the chain will end, so few steps are enough.'],
      prior: ['the prior', 'Without the encoder’s guess the same few steps start anywhere, and rarely arrive.'],
    },
  },
  xStart: {
    label: 'The x-chain starts at',
    choices: {
      generator: ['the generator’s samples', 'Near where data are, so few steps are enough.'],
      noise: ['noise', 'The energy is learned alone, without a generator and an encoder, from chains that come from far away.'],
    },
  },
  persistent: {
    label: 'Persistent chains',
    choices: {
      on: ['a share of the chains goes on', 'Some chains are carried over from one iteration to the next, and find where the energy is low without reason.'],
      off: ['none', 'All chains start at the generator: nothing ties the energies of places together that it does not reach.'],
    },
  },
};

/** What the second run differs in. */
export const COMPARED = {
  '': ['nothing: one run', {}],
  energy: ['cooperative learning', { teachers: 'energy' }],
  data: ['data alone teach the generator', { teachers: 'data' }],
  prior: ['z-chains from the prior', { zStart: 'prior' }],
  noise: ['x-chains from noise, no generator', { xStart: 'noise' }],
  off: ['no persistent chains', { persistent: 'off' }],
};

/** The phases of an iteration, as the text tells them. */
export const PHASES = {
  data: ['Data', 'A batch of data <i>x</i> is drawn, and as many latents <i>z</i> from the prior.'],
  'x-chain': ['x-chain', 'The generator makes <i>x̂</i> = <i>g</i>(<i>z</i>) (rings); Langevin steps down the energy take each to <i>x̃</i> (orange).'],
  'z-chain': ['z-chain', 'The encoder guesses a latent <i>z</i>₀ of each datum (rings, in the plane of latents); Langevin steps take it to <i>z̃</i> (orange), which explains the datum better.'],
  generator: ['Generator', '<i>g</i> learns from both ends: <i>g</i>(<i>z̃</i>) is drawn to the datum, <i>g</i>(<i>z</i>) to <i>x̃</i>.'],
  encoder: ['Encoder', 'The encoder learns where the z-chain ended for data, and which <i>z</i> lies behind each <i>x̃</i>.'],
  energy: ['Energy', 'The energy is lowered at data and raised at <i>x̃</i>: where both are alike, nothing changes any more.'],
};

const run = (i) => `
  <section class="run" data-ref="run-${i}" part="run" aria-label="Run ${i + 1}" ${i ? 'hidden' : ''}>
    <p class="run-title" data-ref="run-title-${i}"></p>
    <div class="pictures">
      <figure>
        <div class="panel plane"><canvas data-ref="plane-${i}" ${i ? '' : 'tabindex="0"'} role="img" part="panel map" aria-label="The plane"></canvas></div>
        <figcaption part="caption">
          <span class="key"><i class="swatch heat"></i>low energy</span> <span class="key"><i class="swatch datum"></i>data</span>
          <span class="key"><i class="swatch ring"></i>the generator’s <i>x̂</i></span> <span class="key"><i class="swatch particle"></i>after the x-chain, <i>x̃</i></span>
        </figcaption>
      </figure>
      <figure>
        <div class="panel plane"><canvas data-ref="latents-${i}" role="img" part="panel latent" aria-label="The plane of latents"></canvas></div>
        <figcaption part="caption">
          Latents of data: <span class="key"><i class="swatch ring"></i>the encoder’s guess</span> <span class="key"><i class="swatch particle"></i>after the z-chain</span>
        </figcaption>
      </figure>
    </div>
    <p class="says" data-ref="says-${i}" part="status"></p>
    <div class="curves">
      <figure><canvas data-ref="likelihood-${i}" role="img" part="plot" aria-label="Log-likelihood"></canvas>
        <figcaption part="caption">Log-likelihood of held-out points<span data-ref="truth-${i}"></span></figcaption></figure>
      <figure><canvas data-ref="good-${i}" role="img" part="plot" aria-label="Good samples"></canvas>
        <figcaption part="caption">Good samples: <span class="key"><i class="swatch mean"></i>generator</span> <span class="key"><i class="swatch particle"></i>x-chain</span></figcaption></figure>
      <figure><canvas data-ref="errors-${i}" role="img" part="plot" aria-label="Errors"></canvas>
        <figcaption part="caption">Squared errors: <span class="key"><i class="swatch mean"></i>‖<i>g</i>(<i>z̃</i>) − <i>x</i>‖²</span> <span class="key"><i class="swatch particle"></i>‖<i>g</i>(<i>z</i>) − <i>x̃</i>‖²</span></figcaption></figure>
      <figure><canvas data-ref="gap-${i}" role="img" part="plot" aria-label="Energy gap"></canvas>
        <figcaption part="caption"><span class="key"><i class="swatch mean"></i>gap <i>E</i>(<i>x</i>) − <i>E</i>(<i>x̃</i>)</span></figcaption></figure>
      <figure><canvas data-ref="encoder-${i}" role="img" part="plot" aria-label="Losses of the encoder"></canvas>
        <figcaption part="caption">The encoder’s losses: <span class="key"><i class="swatch mean"></i><i>z̃</i> of data</span> <span class="key"><i class="swatch particle"></i><i>z</i> of <i>x̃</i></span></figcaption></figure>
    </div>
    <details class="numbers"><summary>Numbers</summary><div class="table"><table data-ref="numbers-${i}"></table></div></details>
  </section>`;

export const template = /* html */ `
<p class="model-line">Draw a distribution, or take one, and watch the energy, the generator and the encoder learn it. All of it happens in this page.</p>
<p class="notice" data-ref="train-notice" role="alert" hidden></p>
<div class="train-progress" data-ref="train-loading"><label for="train-progress">The trainer is being loaded</label> <progress id="train-progress" data-ref="train-progress" max="1"></progress></div>
<div data-ref="train-body" hidden>
  <div class="transport" data-ref="train-transport" part="transport">
    <button type="button" data-ref="train-play" class="primary" part="button">Train</button>
    <button type="button" data-ref="train-one" part="button">One iteration</button>
    <button type="button" data-ref="train-phase" part="button">One phase</button>
    <button type="button" data-ref="train-reset" part="button">Start over</button>
    <label class="check"><input type="checkbox" data-ref="train-slow"> slow motion</label>
    <output class="counter" data-ref="train-counter"></output>
  </div>
  <ol class="phases" data-ref="phases" hidden>
    ${Object.entries(PHASES).map(([phase, [name]]) => `<li data-phase="${phase}">${name}</li>`).join('')}
  </ol>
  <p class="phase-says" data-ref="phase-says" role="status" aria-live="polite" hidden></p>
  <div class="train-columns">
    <div class="runs" data-ref="runs">${run(0)}${run(1)}</div>
    <form class="train-settings" data-ref="train-settings" part="controls" autocomplete="off" aria-label="What is trained, and how">
      <fieldset class="field">
        <legend>Learn</legend>
        <div class="segmented wrap">
          ${[['ring', 'ring'], ['moons', 'moons'], ['spiral', 'spiral'], ['checkerboard', 'checkerboard'], ['own', 'your own points']]
            .map(([value, words]) => `<label><input type="radio" name="set" value="${value}"><span>${words}</span></label>`).join('')}
        </div>
        <div data-ref="own-points" hidden>
          <p class="hint">Drag over the plane to draw points, or move there with the arrow keys and press Space. Or drop a .csv or .npy file of points.</p>
          <p><button type="button" data-ref="undo-points" class="quiet">Undo</button> <button type="button" data-ref="clear-points" class="quiet">Clear</button>
          <button type="button" data-ref="open-points" class="quiet">A file of points…</button>
          <input type="file" data-ref="points-file" accept=".csv,.npy" aria-label="A file of points" hidden></p>
          <p class="hint" data-ref="points-count"></p>
        </div>
      </fieldset>
      <div class="field"><label for="train-preset">Recipe</label>
        <select id="train-preset" name="preset">${[['quick', 'quick: a minute or two'], ['full', 'the program’s own: larger']].map(option).join('')}</select></div>
      <div class="field"><label for="train-compare">Beside it, from the same seed</label>
        <select id="train-compare" name="compare">${Object.entries(COMPARED).map(([value, [words]]) => option([value, words])).join('')}</select></div>
      <details><summary>Switches of the method</summary>
        ${Object.entries(SWITCHES).map(([name, { label, choices }]) => `
        <div class="field"><label for="train-${name}">${label}</label>
          <select id="train-${name}" name="${name}">${Object.entries(choices).map(([value, [words]]) => option([value, words])).join('')}</select>
          <p class="hint" data-says="${name}"></p></div>`).join('')}
        <div class="field pair"><label for="train-xSteps">Steps of the x-chain</label><input type="number" id="train-xSteps" name="xSteps" min="1" max="500" step="1" inputmode="numeric"></div>
        <div class="field pair"><label for="train-zSteps">Steps of the z-chain</label><input type="number" id="train-zSteps" name="zSteps" min="1" max="500" step="1" inputmode="numeric"></div>
        <div class="field pair"><label for="train-rate">Learning rates, times</label><input type="number" id="train-rate" name="rate" min="0.001" max="1000" step="any" inputmode="decimal"></div>
        <div class="field pair"><label for="train-iterations">Iterations</label><input type="number" id="train-iterations" name="iterations" min="1" max="100000" step="1" inputmode="numeric"></div>
      </details>
      <div class="field pair" data-ref="train-seed"><label for="train-seed">Seed</label><input type="number" id="train-seed" name="seed" min="0" max="4294967295" step="1" inputmode="numeric"></div>
      <fieldset class="field">
        <legend>The result</legend>
        <p><button type="button" data-ref="train-open" part="button">Open in the other views</button></p>
        <p><button type="button" data-ref="train-save" class="quiet">Save the model</button> <button type="button" data-ref="train-points" class="quiet">Save the points</button></p>
        <details data-ref="recipe-details"><summary>The recipe</summary>
          <p class="hint">With the program: <code data-ref="recipe-command"></code></p>
          <pre data-ref="recipe" tabindex="0" role="region" aria-label="The recipe"></pre>
          <button type="button" data-ref="train-recipe" class="quiet">Save the recipe</button>
        </details>
      </fieldset>
    </form>
  </div>
</div>
`;

export const style = /* css */ `
.train .transport { flex-wrap: wrap; align-items: center; }
.train .transport .counter { margin-left: auto; white-space: nowrap; }
.train .swatch.ring { width: .5rem; height: .5rem; border: 1px solid var(--ink); border-radius: 50%; background: var(--paper); }
.run-title { margin: .2rem 0 .5rem; font-size: 1rem; font-weight: 600; }
.run-title:empty { display: none; }
.train-columns { display: grid; margin-top: 1rem; grid-template-columns: minmax(0, 1fr) 17rem; gap: 1.6rem; align-items: start; }
.runs { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.4rem; }
.runs.two-runs { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.run[hidden] { display: none; }
.pictures { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 1rem; align-items: start; }
.two-runs .pictures { grid-template-columns: minmax(0, 1fr); }
.train figure { margin: 0; min-width: 0; }
.train .panel.plane { position: relative; aspect-ratio: 1; border: 1px solid var(--rule); border-radius: 4px; overflow: hidden; background: var(--raised); }
.train .panel.plane canvas { display: block; width: 100%; height: 100%; }
.train .panel.plane canvas.draws { cursor: crosshair; touch-action: none; }
.train .pictures figcaption, .train .curves figcaption { margin-top: .35rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .9rem; margin-top: .6rem; }
.curves canvas { display: block; width: 100%; height: 7.5rem; }
.train-settings .field { margin: 0 0 .9rem; }
.train-settings > details { margin-bottom: .9rem; }
.train-settings select { width: 100%; }
.train-settings pre { max-height: 18rem; overflow: auto; font-size: .75rem; padding: .5rem; border: 1px solid var(--rule); border-radius: 4px; }
.train .segmented.wrap { display: grid; grid-template-columns: 1fr 1fr; }
.train .segmented.wrap label:last-child { grid-column: 1 / -1; }
.train .segmented.wrap label + label span { border-left: 0; }
:host(:not([controls])) .train-settings { display: none; }
:host(:is(:not([controls]), [hide~="settings"])) .train-columns { grid-template-columns: minmax(0, 1fr); }
.train .check { display: inline-flex; gap: .35rem; align-items: center; min-height: 1.75rem; }
.train .says { min-height: 3em; margin: .5rem 0 0; }
.phases { display: flex; flex-wrap: wrap; gap: .3rem; margin: .7rem 0 0; padding: 0; list-style: none; }
.phases[hidden] { display: none; }
.phases li { padding: .1rem .6rem; border: 1px solid var(--rule); border-radius: 1rem; color: var(--soft); font-size: .88rem; }
.phases li[aria-current] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.phase-says { min-height: 3em; margin: .4rem 0 .6rem; }
.train .numbers table { border-collapse: collapse; font-size: .88rem; }
.train .numbers :is(th, td) { text-align: right; padding: .1rem 0 .1rem .9rem; font-weight: 400; white-space: nowrap; }
.train .numbers th:first-child { text-align: left; padding-left: 0; }
.train .numbers .table { overflow-x: auto; }
@media (forced-colors: active) {
  .phases li[aria-current] { background: Highlight; color: HighlightText; forced-color-adjust: none; }
}
@media (max-width: 60rem) { .train-columns { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 40rem) { .pictures, .runs.two-runs { grid-template-columns: minmax(0, 1fr); } }
`;
