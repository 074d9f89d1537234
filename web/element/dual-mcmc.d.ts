/** Types of the element in dual-mcmc.js. docs/embedding.md says what everything means. */

export type View = 'sample' | 'landscape' | 'reconstruct' | 'energy' | 'latent' | 'train';
export type Subject = 'example' | 'generator' | 'noise' | 'tone';
/** Where chains start. Several, with spaces between them, are shown beside each other. */
export type Start = 'generator' | 'noise' | 'data' | (string & {});
export type Sampler = 'langevin' | 'mala' | 'descent';
/** What fills in the hidden part of an image. */
export type Fill = 'posterior' | 'energy';
export type Device = 'auto' | 'gpu' | 'cpu';
export type Loading = 'auto' | 'lazy' | 'eager';
export type Reveal = 'auto' | 'interaction' | 'manual';

/** How good a model is: log-likelihood of held-out points, that of their density, and shares of good samples before and after the x-chain. */
export interface Figures {
  logLikelihood: number | null;
  truth: number | null;
  generator: { goodShare: number; smallestMode: number } | null;
  refined: { goodShare: number; smallestMode: number } | null;
}

/** A training run. Samples and latents are points of the plane, in pairs of numbers; empty where the run has none. */
export interface TrainingRun {
  iteration: number;
  iterations: number;
  /** Seconds of computation so far. */
  seconds: number;
  /** Milliseconds that each phase has taken, all iterations together. */
  phases: Record<string, number>;
  done: boolean;
  /** Where the x-chains of the last iteration started and ended; the prior's latents; where its z-chains started and ended. */
  xHat: number[];
  xTilde: number[];
  z: number[];
  z0: number[];
  zTilde: number[];
  /** Energies, divided by the temperature, of the centres of a grid over the square from -half to half, rows from the top. */
  map: number[];
  figures?: Figures;
  /** The recipe, as TOML. */
  recipe: string;
  /** Figures of each iteration, named as in metrics.jsonl. */
  reports: Record<string, unknown>[];
  likelihoods: (Figures & { iteration: number; seconds: number })[];
}

/** What `state()` gives in the view `train`. */
export interface TrainingState {
  view: 'train';
  /** Iterations of the first run. */
  step: number;
  playing: boolean;
  /** Half of the side of the square that is shown. */
  half: number;
  /** Points of the reader's own, in pairs of numbers. */
  points: number[];
  /** One run, or two beside each other. */
  runs: TrainingRun[];
}

/** What `state()` gives in all other views. */
export interface State {
  device: 'gpu' | 'cpu';
  /** The adapter's name, or why the chains run on the processor. */
  adapter: string;
  /** The model's address as it was given, or the file's name. */
  model: string;
  view: View;
  chains: number;
  /** Shape of one sample. */
  shape: number[];
  /** Steps that all chains have taken. */
  step: number;
  playing: boolean;
  stepSize: number;
  noise: number;
  seed: number;
  /** Where the chains start, as many of them at each; none in a view of one sample. */
  starts: string[];
  sampler: Sampler;
  /** Share of MALA's proposals that were accepted. */
  acceptance?: number;
  /** In `landscape`, where the density is known and there are `controls`: of the first chains the share of good samples and of the smallest mode, and the model's log-likelihood once it is computed. */
  goodShare?: number;
  smallestMode?: number;
  logLikelihood?: number;
  /** Energies of the chains; none in `reconstruct`. */
  energies: number[];
  /** Squared errors of the chains in `reconstruct`; elsewhere none. */
  errors: number[];
  /** Mean energy, or squared error, before each step that is kept, and after the last. */
  trace: number[];
  /** The chains' states, [chains, ...shape] in row-major order; in `reconstruct` what the generator makes of them. */
  x: Float32Array;
  /** In `reconstruct` and `energy`: which held-out example it is, from 1, where it is one, and the sample itself. */
  example?: number;
  target: Float32Array;
  /** In `reconstruct`: what is hidden of it. */
  mask?: string;
  /** Whether x-chains have taken the place of the z-chains, to fill in what is hidden: then `step` and `energies` are theirs. */
  fills: boolean;
  /** In `energy`: the gradient of the sample's energy. */
  gradient: Float32Array;
  /** In `reconstruct`, where latents are points of the plane: the chains' latents, [chains, 2]. */
  z: Float32Array;
  /** The steps after which the states are kept, and may be scrubbed back to. */
  film: number[];
  /** The chosen chain, from 1, in the frame that is shown: its step, energy, Euclidean distance from its start, and state. */
  look?: { chain: number; step: number; energy?: number; distance: number; x: Float32Array };
}

export interface DualMcmcEventMap {
  /** The chains of a model have started. */
  load: CustomEvent<{ model: string; shape: number[]; view: View; chains: number; device: 'gpu' | 'cpu'; deviceWords: string }>;
  /** Bytes of the model so far, and of how many where the server says so. */
  progress: CustomEvent<{ loaded: number; total?: number }>;
  /** A choice was made at the figure; `playing` is 'true' or 'false'. The attribute has the value already. */
  change: CustomEvent<{ name: string; value?: string }>;
  /** Energies were read: the steps taken, and the chains' mean energy. At most some four times a second. */
  step: CustomEvent<{ step: number; energy?: number }>;
  /** Something is wrong: the sentence that the figure shows. */
  problem: CustomEvent<{ title: string; advice: string; message: string }>;
  /** A model that was trained in the view `train` has been opened in the others. */
  trained: CustomEvent<{ file: File }>;
  /** The figure has come into view, or gone. */
  visibility: CustomEvent<{ visible: boolean }>;
}

/** Attributes, as written in HTML. */
export interface DualMcmcAttributes {
  'src'?: string;
  'view'?: View;
  'chains'?: number | string;
  'rate'?: number | string;
  'step-size'?: number | string;
  'noise'?: number | string;
  'start'?: Start;
  'sampler'?: Sampler;
  'chain'?: number | string;
  'overlay'?: string;
  'corners'?: 'prior' | 'examples';
  'walk'?: string;
  'subject'?: Subject;
  'example'?: number | string;
  'mask'?: string;
  'fill'?: Fill;
  'training'?: string;
  'seed'?: number | string;
  'device'?: Device;
  'autoplay'?: boolean | '' | 'always';
  'controls'?: boolean | '';
  'hide'?: string;
  'loading'?: Loading;
  'reveal'?: Reveal;
  'poster'?: string;
  'alt'?: string;
}

/** Where the code of all figures is, if not beside dual-mcmc.js. To be set before the first figure begins. */
export interface Assets {
  /** An address, the bytes, or the compiled module. */
  wasm: string | URL | BufferSource | WebAssembly.Module | Response | null;
  /** An address. */
  worker: string | URL | null;
  /** Of the training view: its wasm, as `wasm`, and its worker. */
  teach: string | URL | BufferSource | WebAssembly.Module | null;
  teachWorker: string | URL | null;
}

export class DualMcmc extends HTMLElement {
  static readonly assets: Assets;
  static readonly version: string;
  src: string | null;
  view: View | null;
  chains: number | null;
  rate: number | null;
  stepSize: number | null;
  noise: number | null;
  start: Start | null;
  sampler: Sampler | null;
  chain: number | null;
  overlay: string | null;
  corners: 'prior' | 'examples' | null;
  walk: string | null;
  subject: Subject | null;
  example: number | null;
  mask: string | null;
  fill: Fill | null;
  training: string | null;
  seed: number | null;
  device: Device | null;
  autoplay: boolean | 'always';
  controls: boolean;
  hide: string | null;
  get loading(): Loading;
  set loading(value: Loading);
  get reveal(): Reveal;
  set reveal(value: Reveal);
  poster: string | null;
  alt: string | null;
  /** A model's file in the place of `src`. */
  get model(): Blob | null;
  set model(file: Blob | ArrayBuffer | ArrayBufferView | null);

  /** A picture, or samples in a file called .npy, to be reconstructed in the place of the examples. */
  get image(): Blob | null;
  set image(file: Blob | null);
  /** A .csv or .npy file of points of the plane, to be learned in the view `train`. */
  set points(file: File);

  /** Run the chains. They still rest while the figure cannot be seen. */
  play(): Promise<void>;
  /** Let the chains rest. */
  pause(): Promise<void>;
  /** Take `n` steps now (1 if not given), seen or not. */
  step(n?: number): Promise<void>;
  /** Start the chains anew, with another seed if one is given. */
  reset(seed?: number): Promise<void>;
  /** What runs: a `TrainingState` in the view `train`, else a `State`. */
  state(): Promise<State | TrainingState>;
  /** The energies of samples: as many numbers as samples have, one after the other. */
  energies(x: ArrayLike<number>): Promise<Float32Array>;
  /** The picture, as a file: 'image/png' (if not given), 'image/jpeg' or 'image/webp'; or 'image/apng', the run as it went. In `train` 'image/png', or 'application/octet-stream', the model's file. */
  toBlob(type?: string): Promise<Blob>;

  addEventListener<K extends keyof DualMcmcEventMap>(
    type: K, listener: (this: DualMcmc, event: DualMcmcEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'dual-mcmc': DualMcmc;
  }
}
