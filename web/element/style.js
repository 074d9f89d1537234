/** What the attribute `hide` leaves out, by its words. */
const HIDES = {
  'view': '[data-ref=view-choice]', 'rate': '[data-ref=rate-choice]', 'chains': '[data-ref=chains-choice]',
  'start': '[data-ref=start-choice]', 'corners': '[data-ref=corners-choice]', 'overlay': '[data-ref=overlay-choice]',
  'subject': '[data-ref=subject-choice]', 'example': ':is([data-ref=example-choice], [data-ref=examples-figure])',
  'picture': '[data-ref=picture-choice]', 'mask': '[data-ref=mask-choice]', 'update': '[data-ref=update-choice]',
  'sampler': '[data-ref=sampler-choice]', 'seed': ':is([data-ref=seed-choice], [data-ref=train-seed])', 'device': '[data-ref=device-choice]',
  'settings': ':is([data-ref=settings], [data-ref=train-settings])',
  'transport': ':is([data-ref=transport], [data-ref=bar], [data-ref=train-transport])',
  'counter': ':is([data-ref=counter], [data-ref=train-counter])',
  'captions': 'figcaption', 'plot': ':is([data-ref=trace], .curves)', 'numbers': ':is([data-ref=account], .numbers)',
  'about': '[data-ref=about]',
};
const hides = Object.entries(HIDES).map(([word, parts]) => `:host([hide~="${word}"]) ${parts}`).join(',\n');

/**
 * The look of a figure. Pages set the custom properties `--dual-mcmc-…` and style parts; the colours that canvases are drawn
 * with are read from here too.
 */
export const style = /* css */ `
:host {
  --paper: var(--dual-mcmc-paper, #fcfbf8);
  --raised: var(--dual-mcmc-raised, #ffffff);
  --ink: var(--dual-mcmc-ink, #1f2226);
  --soft: var(--dual-mcmc-soft, #5d6168);
  --rule: var(--dual-mcmc-rule, #dddad2);
  --control: var(--dual-mcmc-control, #8b8d91);
  --accent: var(--dual-mcmc-accent, #1d5c87);
  --on-accent: var(--dual-mcmc-on-accent, #ffffff);
  --particle: var(--dual-mcmc-particle, #c2410c);
  --datum: var(--dual-mcmc-datum, #3b3f45);
  --mean: var(--dual-mcmc-mean, #1d5c87);
  --line: var(--dual-mcmc-line, #7a96a8);
  --band: var(--dual-mcmc-band, #d5e2ea);
  --held-out: var(--dual-mcmc-held-out, #e9dcb8);
  --warn: var(--dual-mcmc-warn, #9a3412);
  --warn-paper: var(--dual-mcmc-warn-paper, #fdf3ec);
  /* From the lowest energy to the highest shown: six digits each. */
  --heat-0: var(--dual-mcmc-heat-0, #3d6f90);
  --heat-1: var(--dual-mcmc-heat-1, #7ba2b8);
  --heat-2: var(--dual-mcmc-heat-2, #b7ccd5);
  --heat-3: var(--dual-mcmc-heat-3, #e0e6e5);
  --heat-4: var(--dual-mcmc-heat-4, #f6f4ee);
  --contour: var(--dual-mcmc-contour, #2c5570);
  --serif: var(--dual-mcmc-serif, "Iowan Old Style", Charter, "Palatino Linotype", Palatino, "Noto Serif", Georgia, serif);
  --sans: var(--dual-mcmc-sans, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif);
  display: block;
  container-type: inline-size;
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.55 var(--sans);
}
@media (prefers-color-scheme: dark) {
  :host {
    --paper: var(--dual-mcmc-paper, #15171b);
    --raised: var(--dual-mcmc-raised, #1c1f24);
    --ink: var(--dual-mcmc-ink, #e7e4dd);
    --soft: var(--dual-mcmc-soft, #a3a5a8);
    --rule: var(--dual-mcmc-rule, #34383e);
    --control: var(--dual-mcmc-control, #7d8187);
    --accent: var(--dual-mcmc-accent, #85b8d8);
    --on-accent: var(--dual-mcmc-on-accent, #10222e);
    --particle: var(--dual-mcmc-particle, #ffa25e);
    --datum: var(--dual-mcmc-datum, #d9d6ce);
    --mean: var(--dual-mcmc-mean, #8fc2e2);
    --line: var(--dual-mcmc-line, #587890);
    --band: var(--dual-mcmc-band, #26353f);
    --held-out: var(--dual-mcmc-held-out, #423a22);
    --warn: var(--dual-mcmc-warn, #f3a67c);
    --warn-paper: var(--dual-mcmc-warn-paper, #2a1d16);
    --heat-0: var(--dual-mcmc-heat-0, #5b93b8);
    --heat-1: var(--dual-mcmc-heat-1, #3b6787);
    --heat-2: var(--dual-mcmc-heat-2, #28465c);
    --heat-3: var(--dual-mcmc-heat-3, #1d2e3b);
    --heat-4: var(--dual-mcmc-heat-4, #171b20);
    --contour: var(--dual-mcmc-contour, #9cc4de);
  }
}
:host([hidden]) { display: none; }

* { box-sizing: border-box; }
[hidden] { display: none !important; }
${hides} { display: none !important; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
i { font-family: var(--serif); }
.sr {
  position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; border: 0;
  overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.hint, figcaption, .model-line, .counter { color: var(--soft); font-size: .88rem; line-height: 1.45; }
.hint { margin: .3rem 0 0; display: block; }

/* ---- before there are chains, and when something is wrong ---- */

.cover, .empty {
  display: grid; place-content: center; justify-items: center; text-align: center; gap: .6rem;
  min-height: var(--dual-mcmc-min-height, 16rem); padding: 1.5rem;
  border: 1px dashed var(--rule); border-radius: 6px; color: var(--soft);
}
.cover p, .empty p { margin: 0; max-width: 30rem; }
.cover img, .cover ::slotted(img) { display: block; max-width: 100%; height: auto; }
.progress { display: grid; gap: .3rem; width: min(24rem, 80cqi); font-size: .92rem; }
progress { width: 100%; height: .5rem; accent-color: var(--accent); }
.notice { margin: 0 0 1rem; padding: .8rem 1rem; border: 1px solid var(--warn); border-radius: 8px; background: var(--warn-paper); }
.notice p { margin: 0; }
.notice strong { color: var(--warn); }
.notice .actions { margin-top: .6rem; display: flex; gap: .5rem; flex-wrap: wrap; }
.notice .actions:not(:has(button:not([hidden]))) { display: none; }
.remarks { margin: 0 0 .9rem; padding: .1rem 0 .1rem 1rem; border-left: 3px solid var(--rule); list-style: none; color: var(--soft); font-size: .92rem; }

/* ---- buttons and fields ---- */

button, select, input[type="number"] {
  font: inherit; font-size: .94rem; color: inherit;
  min-height: 2.4rem; padding: .3rem .8rem;
  background: var(--raised); border: 1px solid var(--control); border-radius: 6px;
}
button { cursor: pointer; }
button:hover:not(:disabled) { border-color: var(--accent); color: var(--accent); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
button.primary:hover:not(:disabled) { color: var(--on-accent); filter: brightness(1.1); }
button.quiet { background: none; border-color: transparent; padding-inline: 0; color: var(--accent); min-height: 1.9rem; text-decoration: underline; text-underline-offset: .15em; }
button:disabled, select:disabled, input:disabled { opacity: .5; cursor: default; }
select { padding-right: .4rem; }
input[aria-invalid="true"] { border-color: var(--warn); outline-color: var(--warn); }
input[type="range"] { width: 100%; min-height: 1.6rem; margin: 0; accent-color: var(--accent); background: none; }
output { font-variant-numeric: tabular-nums; color: var(--ink); }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
legend { padding: 0; }
.segmented { display: inline-flex; flex-wrap: wrap; max-width: 100%; border: 1px solid var(--control); border-radius: 6px; overflow: hidden; background: var(--raised); }
.segmented label { position: relative; cursor: pointer; }
.segmented input { position: absolute; opacity: 0; inset: 0; margin: 0; cursor: pointer; }
.segmented span { display: block; padding: .42rem .95rem; font-size: .92rem; line-height: 1.3; }
.segmented label:not([hidden]) ~ label span { border-left: 1px solid var(--control); }
.segmented input:checked + span { background: var(--accent); color: var(--on-accent); }
.segmented input:disabled + span { opacity: .45; }
.segmented label:has(:focus-visible) span { outline: 2px solid var(--ink); outline-offset: -4px; border-radius: 5px; }

/* ---- pictures ---- */

.lab { display: grid; grid-template-columns: minmax(0, 1fr); gap: .55rem; }
.model-line { margin: 0 0 .6rem; min-height: 1.45em; }
.head { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: center; justify-content: space-between; margin-bottom: .9rem; }
.counter { margin: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-variant-numeric: tabular-nums; }
.counter span { white-space: nowrap; }
/* As wide as its numbers will be, so that nothing moves for them. */
.counter b { font-weight: 600; color: var(--ink); display: inline-block; min-width: 2.4em; }
.counter [data-ref=mean-energy] { min-width: 4.6em; }
.figures { display: grid; gap: 1.1rem; }
.figures.two { grid-template-columns: 1fr 1fr; max-width: var(--dual-mcmc-pair-width, none); margin-inline: auto; }
.figures.many { grid-template-columns: repeat(auto-fit, minmax(min(9.6rem, 40%), 1fr)); align-items: start; }
.figures.many .strip { grid-column: 1 / -1; }
[data-ref=latent-figure] { grid-column: span 2; }
.figures.many .strip .panel { cursor: pointer; }
.account { margin: .7rem auto 0; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.account th, .account td { padding: .2rem .9rem .2rem 0; text-align: left; font-weight: 400; }
.account thead th { color: var(--soft); }
.account tbody td:nth-child(2) { font-weight: 600; }
.account tbody td:nth-child(3) { color: var(--soft); }
.swatch.made { width: .4em; height: .4em; background: var(--mean); vertical-align: .1em; }
.swatch.exact { height: 2px; background: var(--datum); vertical-align: .25em; }
.checks { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem .8rem; }
.checks label { display: flex; gap: .45rem; align-items: center; min-height: 1.7rem; }
.checks input { flex: none; accent-color: var(--accent); width: 1.05rem; height: 1.05rem; margin: 0; }
.rank { margin: .4rem 0 .2rem; font: 1.05rem/1.45 var(--serif); text-wrap: pretty; }
.rank.warn { color: var(--warn); }
.histograms { display: block; width: 100%; margin-top: .7rem; }
.swatch.mean.tall, .swatch.line.tall { height: .7em; vertical-align: baseline; }
.figures.many.three { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.swatch.here, .swatch.there { width: 2px; height: 1em; vertical-align: -.15em; border-radius: 0; background: var(--particle); }
.swatch.there { background: var(--soft); }
.panel.drags { touch-action: none; cursor: grab; }
.panel.paints { touch-action: none; cursor: crosshair; }
figure { margin: 0; min-width: 0; }
.figures.one figure { max-width: min(100%, var(--dual-mcmc-picture-width, 40rem)); margin-inline: auto; width: 100%; }
figcaption { margin-top: .5rem; text-wrap: pretty; }
.figures.many:not(.three) figure:not(.strip) > figcaption { min-height: 5.8em; }
.says { display: block; }
.panel { position: relative; width: 100%; border-radius: 3px; }
.panel.plane { aspect-ratio: 1; border: 1px solid var(--rule); overflow: hidden; background: var(--heat-4); }
.panel canvas { display: block; width: 100%; height: auto; }
.panel.plane canvas { position: absolute; inset: 0; height: 100%; }
.panel .chosen { position: absolute; pointer-events: none; outline: 2px solid var(--particle); outline-offset: 1px; border-radius: 1px; }
.key { white-space: nowrap; margin-right: .9em; }
.swatch { display: inline-block; width: 1.1em; height: .7em; margin-right: .4em; border-radius: 2px; vertical-align: baseline; }
.swatch.heat { width: 3em; background: linear-gradient(to right, var(--heat-0), var(--heat-1), var(--heat-2), var(--heat-3), var(--heat-4)); border: 1px solid var(--rule); }
.swatch.particle { width: .6em; height: .6em; border-radius: 50%; background: var(--particle); }
.swatch.datum { width: .4em; height: .4em; border-radius: 50%; background: var(--datum); opacity: .55; vertical-align: .1em; }
.swatch.line { height: 1px; background: var(--line); vertical-align: .25em; }
.swatch.mean { height: 3px; background: var(--mean); vertical-align: .2em; }
.swatch.mean.second { background: var(--particle); }
.swatch.mean.third { background: var(--datum); }
.swatch.band { background: var(--band); }
.swatch.held-out { background: var(--held-out); }
.close-up { grid-template-columns: minmax(0, 10rem) minmax(0, 1fr); align-items: start; margin-top: 1.1rem; padding-top: 1.1rem; border-top: 1px solid var(--rule); }
.close-up .says { margin: 0 0 .6rem; font: 1.05rem/1.45 var(--serif); font-variant-numeric: tabular-nums; }
.close-up .panel canvas { image-rendering: pixelated; }
[data-ref=film-panel] { cursor: pointer; }
.scrub { margin-top: .6rem; font-size: .9rem; }
.scrub > label { font-weight: 400; color: var(--soft); }
.trace { margin-top: 1.3rem; }
.trace canvas { display: block; width: 100%; height: 11rem; }
.numbers { margin-top: 1rem; font-size: .9rem; }
.numbers summary { cursor: pointer; color: var(--accent); width: max-content; }
.tables { display: flex; flex-wrap: wrap; gap: 1.2rem 2.4rem; align-items: flex-start; margin-top: .7rem; max-height: 22rem; overflow: auto; }
.tables table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.tables caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
.tables th, .tables td { padding: .12rem 1.1rem .12rem 0; text-align: right; font-weight: 400; vertical-align: bottom; }
.tables th:first-child { text-align: left; }
.tables thead th { color: var(--soft); max-width: 8rem; border-bottom: 1px solid var(--rule); }
.bar { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .7rem; margin-top: .55rem; font-size: .88rem; }
.bar button { min-height: 2.1rem; padding-block: .15rem; font-size: .88rem; }
.bar ::slotted(*) { margin-left: auto; }
:host(:not([controls])) .full, :host(:not([controls])) .model-line { display: none; }
:host(:not([controls])) .status {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}

/* ---- the whole panel ---- */

.settings { display: grid; gap: 1.15rem; font-size: .94rem; align-content: start; }
.transport { display: flex; gap: .45rem; }
.transport button { flex: 1 0 auto; padding-inline: .3rem; white-space: nowrap; }
.field > label, .field > legend { display: block; font-weight: 600; margin-bottom: .3rem; }
.field label output { float: right; font-weight: 400; }
.field select { width: 100%; }
.pair { display: grid; grid-template-columns: 1fr 6.2rem; gap: .1rem .8rem; align-items: center; }
.pair > label { margin: 0; }
.pair input[type="range"] { grid-column: 1 / -1; }
.update { display: grid; gap: .75rem; padding: .95rem 1rem .8rem; border: 1px solid var(--rule); border-radius: 8px; background: var(--raised); }
.update legend { font-weight: 600; padding: 0 .35rem; margin-left: -.35rem; }
.formula { margin: 0; font: 1.06rem/1.3 var(--serif); text-align: center; white-space: nowrap; }
.formula.long { font-size: .98rem; line-height: 1.5; white-space: normal; text-wrap: balance; }
.formula .s, label .s { color: var(--accent); }
.formula .n, label .n { color: var(--particle); }
.temperature { margin: 0; }
.temperature .t { font-weight: 600; }
.brush, .field .field { margin-top: .6rem; }
.seed { display: grid; grid-template-columns: auto 1fr auto; gap: .6rem; align-items: center; }
.seed > label { margin: 0; }
.seed input { min-width: 0; }
.status { margin: 0; min-height: 2.9em; color: var(--soft); font-size: .88rem; line-height: 1.45; border-top: 1px solid var(--rule); padding-top: .7rem; }
/* Only told, while the settings that it stands under are not there. */
:host([controls]) .settings[hidden] ~ .status {
  position: absolute; width: 1px; height: 1px; min-height: 0; margin: -1px; padding: 0; border: 0;
  overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.about { border-top: 1px solid var(--rule); padding: .9rem 0; }
.about summary { cursor: pointer; font: 600 1.08rem/1.3 var(--serif); }
.about dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1.4rem; margin: .8rem 0 0; font-size: .92rem; }
.about dt { color: var(--soft); }
.about dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }

:host([controls]) .lab { gap: 1.15rem 2.2rem; padding-bottom: 1rem; }
:host([controls]) .settings, :host([controls]) .status { max-width: 34rem; width: 100%; margin-inline: auto; }
/* Under the thumb, wherever in the figure one reads. */
:host([controls]) .transport {
  order: 1; position: sticky; z-index: 1; bottom: 0; margin-inline: calc(-1 * var(--dual-mcmc-margin, 0px));
  padding: .55rem var(--dual-mcmc-margin, 0px) calc(.55rem + env(safe-area-inset-bottom));
  background: var(--paper); border-top: 1px solid var(--rule);
}
@container (min-width: 46rem) {
  :host([controls]) .lab {
    grid-template-columns: minmax(0, 1fr) 19rem;
    grid-template-rows: auto auto auto 1fr;
    grid-template-areas: "stage transport" "stage settings" "stage status" "stage ." "about about";
  }
  :host([controls]) .stage { grid-area: stage; }
  :host([controls]) .transport { grid-area: transport; order: 0; position: static; margin: 0; padding: 0; border: 0; }
  :host([controls]) .settings { grid-area: settings; }
  :host([controls]) .status { grid-area: status; }
  :host([controls]) .about { grid-area: about; }
}
@container (min-width: 46rem) {
  :host([controls][hide~="settings"]) .lab { grid-template: "stage" "transport" "status" "about" / minmax(0, 1fr); }
}
@container (max-width: 32rem) {
  .close-up { grid-template-columns: minmax(0, 6.5rem) minmax(0, 1fr); gap: .7rem; }
  .figures.two { gap: .7rem; }
  .model-line { min-height: 2.9em; }
  .head .segmented span { padding: .45rem .42rem; font-size: .84rem; }
  .head { justify-content: flex-start; }
  .trace canvas { height: 9rem; }
  figcaption { font-size: .82rem; }
}
/* The reader's own colours: what is chosen, and the keys of pictures, which keep theirs, are told by colour alone. */
@media (forced-colors: active) {
  .segmented input:checked + span { background: Highlight; color: HighlightText; forced-color-adjust: none; }
  .swatch { forced-color-adjust: none; }
  button.quiet { padding-inline: .5rem; }
}
@media (prefers-reduced-motion: no-preference) {
  button, .segmented span { transition: background-color .12s, border-color .12s, color .12s; }
}
`;
