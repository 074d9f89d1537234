/**
 * What embed.html tells the page around it, and what that page may ask, by `postMessage`. docs/embedding.md has the host's side.
 *
 * Events of the figure go out as `{ source: 'dual-mcmc', event, detail }`. A request comes in as
 * `{ target: 'dual-mcmc', id, method, arguments }`, and is answered by `{ source: 'dual-mcmc', id, value }` or `{ …, id, error }`.
 */
import { PARAMETERS } from './address.js';

const EVENTS = ['load', 'progress', 'step', 'change', 'visibility', 'problem'];

/** What any page around may ask, and what only one may that is allowed to see states and pictures. */
const OPEN = new Set(['play', 'pause', 'step', 'reset', 'set']);
const GUARDED = new Set(['state', 'energies', 'toBlob']);

/** Set a choice; none takes it back. */
function set(figure, name, value) {
  const known = Object.values(PARAMETERS).includes(name);
  if (!known) throw new Error(`There is no choice “${name}”.`);
  if (value === null || value === undefined) figure.removeAttribute(name);
  else figure.setAttribute(name, String(value));
}

/** Origins that may see states and pictures: this page's own, and those that its address allows. */
export function allowed(query, own) {
  const asked = new URLSearchParams(query).getAll('allow');
  const origins = asked.flatMap((text) => {
    try {
      const { origin, protocol } = new URL(text);
      return protocol === 'https:' || protocol === 'http:' ? [origin] : [];
    } catch {
      return [];
    }
  });
  return new Set([own, ...origins]);
}

/** Let a figure speak with the window around its page. */
export function converse(figure) {
  const host = window.parent;
  if (host === window) return;
  const seers = allowed(location.search, location.origin);
  for (const event of EVENTS) {
    figure.addEventListener(event, ({ detail }) => host.postMessage({ source: 'dual-mcmc', event, detail }, '*'));
  }
  const answer = async ({ method, arguments: given = [] }, origin) => {
    if (!Array.isArray(given)) throw new Error('The arguments are not a list.');
    if (method === 'set') return set(figure, ...given);
    if (GUARDED.has(method)) {
      if (!seers.has(origin)) {
        throw new Error(`“${method}” is only for pages of ${location.origin}, or of an origin that the frame’s address names: allow=${origin}.`);
      }
      const drawn = /\bset=own\b/.test(figure.getAttribute('training') ?? '');
      if (figure.model || figure.image || drawn) throw new Error('A file of the reader’s own is shown, which stays here.');
    } else if (!OPEN.has(method)) {
      throw new Error(`There is no method “${method}”.`);
    }
    return figure[method](...given);
  };
  addEventListener('message', async ({ source, origin, data }) => {
    if (source !== host || data?.target !== 'dual-mcmc') return;
    const reply = { source: 'dual-mcmc', id: data.id };
    try {
      reply.value = await answer(data, origin);
    } catch (error) {
      reply.error = error.message;
    }
    // A page without an origin, as in a sandboxed frame, cannot be addressed by it.
    host.postMessage(reply, origin === 'null' ? '*' : origin);
  });
}
