/** The shadow tree of a figure. Rust finds its parts by `data-ref`; pages style them by `part`. */
export const template = /* html */ `
<div class="cover" data-ref="cover" part="cover">
  <slot name="poster"><img data-ref="poster" part="poster" alt="" hidden></slot>
  <p data-ref="cover-text">Chains of an energy-based model. They run in your browser, and only while you can see them.</p>
  <p><button type="button" data-ref="begin" class="primary" part="button">Run the chains</button></p>
</div>
<div class="notice" data-ref="notice" part="notice" role="alert" hidden>
  <slot name="error"></slot>
  <p><strong data-ref="notice-title"></strong> <span data-ref="notice-advice"></span></p>
  <p class="actions">
    <button type="button" data-ref="use-cpu" hidden>Continue on the processor</button>
    <button type="button" data-ref="retry" hidden>Try again</button>
  </p>
</div>
<div class="train" data-ref="train" part="train" hidden></div>
<div class="lab" data-ref="lab" hidden>
  <section class="stage" data-ref="stage" part="stage" aria-label="Chains of an energy-based model">
    <p class="model-line" data-ref="model-line" part="model"></p>
    <p class="remarks" data-ref="breakdown" hidden></p>
    <ul class="remarks" data-ref="remarks" hidden></ul>
    <div class="head" data-ref="head" hidden>
      <fieldset class="segmented" data-ref="view-choice">
        <legend class="sr">View</legend>
        <label><input type="radio" name="view" value="landscape"><span>Landscape</span></label>
        <label><input type="radio" name="view" value="sample"><span>Sample</span></label>
        <label><input type="radio" name="view" value="reconstruct"><span>Reconstruct</span></label>
        <label><input type="radio" name="view" value="energy"><span>Energy</span></label>
        <label><input type="radio" name="view" value="latent"><span>Latent</span></label>
      </fieldset>
      <p class="counter" data-ref="counter" aria-hidden="true">
        <span>step <b data-ref="step-count">0</b></span>
        <span><span data-ref="mean-label">mean energy</span> <b data-ref="mean-energy">–</b></span>
        <span data-ref="acceptance-line" hidden>accepted <b data-ref="acceptance"></b></span>
        <span><b data-ref="achieved">0</b> steps/s</span>
      </p>
    </div>

    <div class="figures one" data-ref="landscape" hidden>
      <figure>
        <div class="panel" data-ref="landscape-panel" part="panel map" tabindex="0" role="img" aria-label="Energy landscape with chains"></div>
        <figcaption part="caption" class="full">
          <span class="key"><i class="swatch heat"></i>energy, <span data-ref="heat-range"></span></span>
          <span class="key"><i class="swatch particle"></i>chains</span>
          <span class="key" data-ref="data-key"><i class="swatch datum"></i>data</span>
          <span class="key" data-ref="generator-key" hidden><i class="swatch made"></i>the generator’s samples</span>
          <span class="key" data-ref="density-key" hidden><i class="swatch exact"></i>the exact density</span>
          <span class="key" data-ref="field-key" hidden>arrows: downhill</span>
          <span class="says">Every dot is one chain. The bluer the map, the lower the energy, and the likelier the model holds data there. Click to start a chain there.</span>
        </figcaption>
        <table class="account full" data-ref="account" hidden>
          <caption class="sr">How good the model and its chains are, beside the truth</caption>
          <thead><tr><td></td><th scope="col">now</th><th scope="col">the truth</th></tr></thead>
          <tbody>
            <tr><th scope="row">good samples, of <span data-ref="judged"></span> chains</th><td data-ref="good-share"></td><td data-ref="true-good-share"></td></tr>
            <tr><th scope="row">the smallest mode’s share</th><td data-ref="smallest-mode"></td><td data-ref="true-smallest-mode"></td></tr>
            <tr><th scope="row">log-likelihood of held-out data, by quadrature</th><td data-ref="log-likelihood"></td><td data-ref="true-log-likelihood"></td></tr>
          </tbody>
        </table>
      </figure>
    </div>
    <div class="figures two" data-ref="sample" hidden>
${['', '-2', '-3'].map((row) => `
      <figure data-ref="start-figure${row}">
        <div class="panel" data-ref="start-panel${row}" part="panel start" tabindex="0" role="img" aria-label="Where the chains started"></div>
        <figcaption part="caption" data-ref="start-caption${row}">Start</figcaption>
      </figure>
      <figure data-ref="refined-figure${row}">
        <div class="panel" data-ref="refined-panel${row}" part="panel refined" tabindex="0" role="img" aria-label="The chains now"></div>
        <figcaption part="caption" data-ref="refined-caption${row}">Refined</figcaption>
      </figure>`).join('')}
    </div>
    <div class="figures many" data-ref="reconstruct" hidden>
      <figure>
        <div class="panel paints" data-ref="target-panel" part="panel target" tabindex="0" role="img" aria-label="What is reconstructed"></div>
        <figcaption part="caption" data-ref="target-caption"></figcaption>
      </figure>
      <figure data-ref="guess-figure">
        <div class="panel" data-ref="guess-panel" part="panel guess" role="img" aria-label="The encoder’s guess"></div>
        <figcaption part="caption" data-ref="guess-caption"></figcaption>
      </figure>
      <figure data-ref="encoder-figure">
        <div class="panel" data-ref="encoder-panel" part="panel posterior" role="img" aria-label="Chains from the encoder’s guess"></div>
        <figcaption part="caption" data-ref="encoder-caption"></figcaption>
      </figure>
      <figure>
        <div class="panel" data-ref="prior-panel" part="panel posterior" role="img" aria-label="Chains from the prior"></div>
        <figcaption part="caption" data-ref="prior-caption"></figcaption>
      </figure>
      <figure data-ref="latent-figure">
        <div class="panel" data-ref="latent-panel" part="panel latent" role="img" aria-label="Plane of latents"></div>
        <figcaption part="caption">The plane of latents: blue where the exact posterior is high; each dot is the latent of a chain</figcaption>
      </figure>
      <figure class="full strip" data-ref="examples-figure">
        <div class="panel" data-ref="examples-panel" part="panel" role="img" aria-label="Held-out examples; the field “Example” chooses one"></div>
        <figcaption part="caption"><span data-ref="examples-caption"></span>: click one. Drag over the picture above to hide a part of it.</figcaption>
      </figure>
    </div>
    <div class="figures many three" data-ref="energy" hidden>
      <figure>
        <div class="panel" data-ref="subject-panel" part="panel target" role="img" aria-label="The sample"></div>
        <figcaption part="caption" data-ref="subject-caption"></figcaption>
      </figure>
      <figure data-ref="slope-figure">
        <div class="panel" data-ref="slope-panel" part="panel slope" role="img" aria-label="What lowers its energy"></div>
        <figcaption part="caption" data-ref="slope-caption"></figcaption>
      </figure>
      <figure>
        <div class="panel" data-ref="chain-panel" part="panel refined" role="img" aria-label="The chain from it"></div>
        <figcaption part="caption" data-ref="chain-caption"></figcaption>
      </figure>
      <figure class="strip">
        <p class="rank" data-ref="rank" part="rank"></p>
        <p class="rank warn" data-ref="faults" hidden></p>
        <canvas class="histograms" data-ref="histogram-canvas" part="plot" role="img" aria-label="Histograms of energies"></canvas>
        <figcaption part="caption" class="full">
          <span class="key"><i class="swatch mean tall"></i>data and the model’s own samples</span>
          <span class="key"><i class="swatch line tall"></i>other kinds</span>
          <span class="key"><i class="swatch here"></i>this sample</span>
          <span class="key"><i class="swatch there"></i>its chain now</span>
        </figcaption>
      </figure>
    </div>
    <div class="figures close-up" data-ref="close-up" part="close-up" hidden>
      <figure>
        <div class="panel" data-ref="close-panel" part="panel chosen" role="img" aria-label="The chosen chain"></div>
      </figure>
      <figure>
        <p class="says" data-ref="close-caption" part="caption"></p>
        <div class="panel" data-ref="film-panel" part="panel film" role="img" aria-label="Its way"></div>
        <div class="field scrub">
          <label for="film">Back through its way <output data-ref="film-value" for="film"></output></label>
          <input type="range" id="film" data-ref="film" min="0" max="0" step="1" disabled>
        </div>
        <button type="button" data-ref="close-close-up" class="quiet">Close</button>
      </figure>
    </div>
    <div class="empty" data-ref="empty">
      <p data-ref="empty-text">The sampler is being loaded…</p>
      <div class="progress" data-ref="progress-line" hidden>
        <label for="progress" data-ref="progress-text">Loading the model</label>
        <progress id="progress" data-ref="progress" max="1"></progress>
      </div>
    </div>

    <figure class="trace" data-ref="trace" hidden>
      <canvas data-ref="trace-canvas" part="plot" role="img" aria-label="Energy of the chains over the steps"></canvas>
      <figcaption part="caption">
        <span data-ref="trace-title">Energy over the steps:</span> <span class="key"><i class="swatch line"></i>each chain</span>
        <span class="key" data-ref="mean-key"><i class="swatch mean"></i><span data-ref="mean-words">mean</span></span>
        <span class="key" data-ref="mean-2-key" hidden><i class="swatch mean second"></i><span data-ref="mean-2-words"></span></span>
        <span class="key" data-ref="mean-3-key" hidden><i class="swatch mean third"></i><span data-ref="mean-3-words"></span></span>
        <span class="key" data-ref="band-key"><i class="swatch band"></i>eight of ten chains</span>
        <span class="key" data-ref="held-out-key" hidden><i class="swatch held-out"></i>held-out data, nine of ten</span>
        <span class="says" data-ref="trace-says"></span>
        <span class="says" data-ref="long-run"></span>
      </figcaption>
    </figure>

    <details class="numbers" data-ref="numbers" part="numbers" hidden>
      <summary>The numbers</summary>
      <div class="tables" data-ref="number-tables" role="region" aria-label="Tables of numbers" tabindex="0"></div>
    </details>

    <div class="bar" data-ref="bar" part="bar" hidden>
      <button type="button" data-ref="bar-play" class="primary" part="button" disabled>Play</button>
      <button type="button" data-ref="bar-reset" part="button" disabled>Start over</button>
      <button type="button" data-ref="bar-undo" part="button" hidden>Undo</button>
      <slot name="bar"></slot>
    </div>
  </section>

  <div class="transport" data-ref="transport" part="transport" hidden>
    <button type="button" data-ref="play" class="primary" part="button" disabled>Play</button>
    <button type="button" data-ref="step" part="button" disabled>One step</button>
    <button type="button" data-ref="reset" part="button" disabled>Start over</button>
    <button type="button" data-ref="undo" part="button" hidden>Undo</button>
  </div>

  <form class="settings" data-ref="settings" part="controls" autocomplete="off" aria-label="Settings" hidden>
    <div class="field" data-ref="rate-choice">
      <label for="rate">Steps per second <output data-ref="rate-value" for="rate"></output></label>
      <input type="range" id="rate" data-ref="rate" min="0" max="8" step="1">
    </div>
    <div class="field" data-ref="chains-choice">
      <label for="chains">Chains</label>
      <select id="chains" data-ref="chains"></select>
    </div>
    <fieldset class="field" data-ref="start-choice">
      <legend>Chains start from</legend>
      <div class="segmented">
        <label><input type="checkbox" name="start" value="generator"><span>generator</span></label>
        <label><input type="checkbox" name="start" value="noise"><span>noise</span></label>
        <label><input type="checkbox" name="start" value="data"><span>data</span></label>
      </div>
      <p class="hint" data-ref="start-hint"></p>
    </fieldset>
    <div class="field" data-ref="corners-choice" hidden>
      <label for="corners">Corners of the plane</label>
      <select id="corners" data-ref="corners">
        <option value="prior">three samples of the prior</option>
        <option value="examples">the encoder’s guesses of examples</option>
      </select>
      <p class="hint">Drag the pictures on the left, or use the arrow keys on them, to walk through latent space.</p>
    </div>
    <fieldset class="field" data-ref="overlay-choice" hidden>
      <legend>Shown on the map</legend>
      <div class="checks">
        <label><input type="checkbox" name="overlay" value="field"> slope</label>
        <label><input type="checkbox" name="overlay" value="density"> exact density</label>
        <label><input type="checkbox" name="overlay" value="generator"> generator’s samples</label>
        <label><input type="checkbox" name="overlay" value="trails"> trails</label>
      </div>
    </fieldset>
    <div class="field" data-ref="subject-choice" hidden>
      <label for="subject">What it is about</label>
      <select id="subject" data-ref="subject">
        <option value="example">a held-out example</option>
        <option value="generator">a sample of the generator’s</option>
        <option value="noise">noise</option>
        <option value="tone">one value everywhere</option>
      </select>
    </div>
    <div class="field seed" data-ref="example-choice" hidden>
      <label for="example">Example</label>
      <input type="number" id="example" data-ref="example" min="1" max="64" step="1" inputmode="numeric">
      <button type="button" data-ref="next-example">Next</button>
    </div>
    <div class="field" data-ref="picture-choice" hidden>
      <button type="button" data-ref="open-picture">A picture of your own…</button>
      <input type="file" data-ref="picture-file" accept="image/*,.npy" aria-label="A picture of your own" hidden>
      <p class="hint">Or paste or drop one, or samples in a .npy file. A picture is cropped to a square and resized. All of it stays on your device.</p>
    </div>
    <div class="field" data-ref="mask-choice" hidden>
      <label for="mask">Hidden from the chains</label>
      <select id="mask" data-ref="mask">
        <option value="none">nothing</option>
        <option value="lower">the lower half</option>
        <option value="upper">the upper half</option>
        <option value="left">the left half</option>
        <option value="right">the right half</option>
        <option value="centre">the middle</option>
        <option value="painted" data-ref="mask-painted" hidden>what has been painted</option>
      </select>
      <p class="hint">Or paint on the picture: drag, or move with the arrow keys and press Space. What is hidden is filled in by the chains.</p>
      <div class="field" data-ref="fill-choice" hidden>
        <label for="fill">Filled in by</label>
        <select id="fill" data-ref="fill">
          <option value="posterior">the z-chain</option>
          <option value="energy">the z-chain, then the x-chain</option>
        </select>
      </div>
      <fieldset class="field brush">
        <legend class="sr">The brush</legend>
        <div class="segmented">
          <label><input type="radio" name="brush" value="hide" checked><span>brush hides</span></label>
          <label><input type="radio" name="brush" value="draw"><span>brush draws</span></label>
        </div>
      </fieldset>
    </div>
    <fieldset class="update" data-ref="update-choice">
      <legend>The update</legend>
      <p class="formula long" data-ref="z-formula" part="formula" role="math" aria-label="z becomes z minus half the squared step size times the gradient of the squared error divided by sigma squared plus half the squared length of z, plus noise n times epsilon" hidden>
        <i>z</i> ← <i>z</i> − <span class="frac">½</span><i class="s">s</i>² ∇<span class="bracket">[</span>‖<i>g</i>(<i>z</i>) − <i>x</i>‖²/<i>σ</i>² + <span class="frac">½</span>‖<i>z</i>‖²<span class="bracket">]</span> + <i class="n">n</i> <i>ε</i>
      </p>
      <p class="formula" data-ref="x-formula" part="formula" role="math" aria-label="x becomes x minus half the squared step size times the gradient of the energy, plus noise n times epsilon">
        <i>x</i> ← <i>x</i> − <span class="frac">½</span><i class="s">s</i>² ∇<i>E</i>(<i>x</i>) + <i class="n">n</i> <i>ε</i>
      </p>
      <div class="field pair" part="dial">
        <label for="step-size">Step size <i class="s">s</i></label>
        <input type="number" id="step-size" data-ref="step-size" min="0" step="any" inputmode="decimal">
        <input type="range" data-ref="step-size-range" min="0" max="100" step="1" aria-label="Step size, slider">
      </div>
      <div class="field pair" part="dial">
        <label for="noise">Noise <i class="n">n</i></label>
        <input type="number" id="noise" data-ref="noise" min="0" step="any" inputmode="decimal">
        <input type="range" data-ref="noise-range" min="0" max="100" step="1" aria-label="Noise, slider">
      </div>
      <div class="field" data-ref="sampler-choice">
        <label for="sampler">Steps</label>
        <select id="sampler" data-ref="sampler">
          <option value="langevin">Langevin, unadjusted</option>
          <option value="mala">accepted or rejected (MALA)</option>
          <option value="descent">gradient descent, no noise</option>
        </select>
      </div>
      <p class="temperature">
        <span class="t">Temperature <i>T</i> = (<i>n</i>/<i>s</i>)² = <output data-ref="temperature">–</output></span>
        <span class="hint" data-ref="temperature-hint"></span>
      </p>
      <button type="button" data-ref="defaults" class="quiet">The model’s own settings</button>
    </fieldset>
    <div class="field seed" data-ref="seed-choice">
      <label for="seed">Seed</label>
      <input type="number" id="seed" data-ref="seed" min="0" max="4294967295" step="1" inputmode="numeric">
      <button type="button" data-ref="reseed">New seed</button>
    </div>
    <div class="field" data-ref="device-choice">
      <label for="device">Runs on</label>
      <select id="device" data-ref="device">
        <option value="auto">what suits best</option>
        <option value="gpu">WebGPU</option>
        <option value="cpu">the processor</option>
      </select>
      <p class="hint" data-ref="device-line"></p>
    </div>
  </form>
  <p class="status" data-ref="status" part="status" role="status" aria-live="polite"></p>
  <details class="about" data-ref="about" part="about" hidden>
    <summary>About this model</summary>
    <dl data-ref="about-list"></dl>
  </details>
</div>
`;
