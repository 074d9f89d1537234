// What leaves the lab: links, code for other pages, and files.
import { save } from './save.js';
import { queryOf } from './address.js';

/** A link to a figure as it is, with the seed that it has, so that it gives the same chains again. */
async function linkTo(figure, page) {
  const { seed } = await figure.state();
  const url = new URL(page, document.baseURI);
  url.search = queryOf(figure);
  url.hash = '';
  url.searchParams.set('seed', seed);
  return url.href;
}

/** The element that shows what a figure shows, and the script it needs, as HTML. */
async function elementCode(figure) {
  const { seed } = await figure.state();
  const place = document.createElement('div'), copy = document.createElement('dual-mcmc');
  for (const { name, value } of figure.attributes) {
    if (!['id', 'tabindex', 'loading', 'class', 'style'].includes(name)) copy.setAttribute(name, value);
  }
  copy.setAttribute('src', new URL(figure.src, document.baseURI).href);
  copy.setAttribute('seed', seed);
  place.append(copy);
  const script = new URL('dual-mcmc.js', document.baseURI).href;
  return `<script type="module" src="${script}"></script>\n${place.innerHTML.replaceAll('=""', '')}\n`;
}

async function frameCode(figure) {
  const frame = document.createElement('iframe');
  frame.src = await linkTo(figure, 'embed.html');
  frame.title = 'Chains of an energy-based model';
  frame.width = '100%';
  frame.height = '520';
  frame.setAttribute('style', 'border: 0');
  return `${frame.outerHTML}\n`;
}

/** Each chain's energy, or its squared error where that is what the view is about, as CSV. */
export function table({ energies, errors, starts }) {
  const [name, values] = energies.length ? ['energy', energies] : ['squared_error', errors];
  const each = values.length / Math.max(starts.length, 1);
  const start = (chain) => (starts.length ? `,${starts[Math.floor(chain / each)]}` : '');
  const rows = [...values].map((value, chain) => `${chain}${start(chain)},${value}`);
  return [`chain${starts.length ? ',start' : ''},${name}`, ...rows, ''].join('\n');
}

/** Numbers as a file that NumPy reads (format 1.0, little-endian floats of 32 bits). */
export function npy(values, shape) {
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  // Magic, version and the length take ten bytes; the whole is a multiple of 64 and ends in a line break.
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10;
  const head = new Uint8Array(10 + length).fill(0x20);
  head.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  head.set(new TextEncoder().encode(dictionary), 10);
  head[head.length - 1] = 0x0a;
  const bytes = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i += 1) bytes.setFloat32(4 * i, values[i], true);
  return new Blob([head, bytes.buffer]);
}

async function states(figure) {
  const { x, shape } = await figure.state();
  const count = x.length / shape.reduce((a, b) => a * b, 1);
  return npy(x, [count, ...shape]);
}

async function model(figure) {
  if (!figure.src) return figure.model;
  const answer = await fetch(figure.src);
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  return answer.blob();
}

/** Name of the model that is shown, without its ending. */
function stem(figure) {
  const name = figure.src ? new URL(figure.src, document.baseURI).pathname.split('/').at(-1) : figure.model.name;
  return decodeURIComponent(name).replace(/\.safetensors$/, '');
}

/** Let the lab's buttons share and save what a figure shows. */
export function shares(figure) {
  const element = (id) => document.getElementById(id);
  const said = element('shared'), text = element('shared-text');

  /** Do it, and say what came of it. */
  const when = (id, act) => element(id).addEventListener('click', async () => {
    text.hidden = true;
    try {
      if (!figure.src && !figure.model) throw new Error('There is no model yet.');
      said.textContent = await act();
    } catch (error) {
      said.textContent = `That did not work: ${error.message}`;
    }
  });
  const copies = (id, make, what) => when(id, async () => {
    if (!figure.src) return 'A link cannot hold a file of your own. Put the model on a server, and open it by its address (?model=…).';
    const code = await make(figure);
    try {
      await navigator.clipboard.writeText(code);
      return `${what} is in the clipboard.`;
    } catch {
      text.value = code;
      text.hidden = false;
      text.select();
      return `${what}, to be copied from here:`;
    }
  });
  const saves = (id, make, ending) => when(id, async () => {
    const name = `${stem(figure)}${ending}`;
    save(await make(figure), name);
    return `Saved as ${name}.`;
  });

  copies('copy-link', () => linkTo(figure, ''), 'The link');
  copies('copy-element', elementCode, 'The element’s HTML');
  copies('copy-frame', frameCode, 'The iframe’s HTML');
  saves('save-picture', () => figure.toBlob(), '.png');
  saves('save-run', () => figure.toBlob('image/apng'), '.apng');
  saves('save-energies', async () => new Blob([table(await figure.state())], { type: 'text/csv' }), '.csv');
  saves('save-states', states, '.npy');
  saves('save-model', model, '.safetensors');

  const keys = element('keys');
  element('show-keys').addEventListener('click', () => keys.showModal());
  addEventListener('keydown', (event) => {
    const typed = event.composedPath()[0];
    const types = typed instanceof HTMLInputElement || typed instanceof HTMLTextAreaElement;
    if (event.key === '?' && !types && !keys.open) keys.showModal();
  });
}
