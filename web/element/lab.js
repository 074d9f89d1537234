// What only the lab has: its address, the list of models beside it, files of the reader's own.
import './dual-mcmc.js';
import { apply, models, queryOf } from './address.js';
import { shares } from './share.js';

const figure = document.querySelector('dual-mcmc');
const element = (id) => document.getElementById(id);
const select = element('model');
let list = null, own = null;

/** Write what has been chosen to the address. */
function mirror() {
  const query = queryOf(figure);
  history.replaceState(null, '', query || location.pathname);
  element('embed-link').href = `embed.html${query}`;
}

/** Forget how the last model's chains ran. */
function forget() {
  for (const name of ['view', 'chains', 'rate', 'step-size', 'noise', 'start', 'sampler', 'chain', 'overlay', 'corners', 'walk', 'subject', 'example', 'mask', 'fill']) figure.removeAttribute(name);
}

function open(file) {
  if (figure.view === 'train' && /\.(csv|npy)$/i.test(file.name)) {
    figure.points = file;
    return;
  }
  if (file.type.startsWith('image/') || file.name.endsWith('.npy')) {
    figure.image = file;
    return;
  }
  own = file;
  forget();
  figure.model = file;
  figure.removeAttribute('src');
  mirror();
  show();
}

function choose(url) {
  own = null;
  forget();
  figure.src = url;
  mirror();
  show();
}

/** Set the figure to what a link of the text says, as opening it would. A model that is not beside this page leaves the one that is shown. */
function follow(link) {
  const query = new URL(link.href).searchParams;
  if (own) query.delete('model');
  else if (list && !list.some(({ url }) => url === query.get('model'))) query.set('model', figure.src ?? '');
  const seed = figure.getAttribute('seed');
  if (seed !== null) query.set('seed', seed);
  apply(figure, query);
  mirror();
  show();
  figure.scrollIntoView({ block: 'start', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
  const back = element('back');
  back.hidden = false;
  back.onclick = () => {
    back.hidden = true;
    link.scrollIntoView({ block: 'center' });
    link.focus();
  };
}

/** Fill the list of models, with what is shown now chosen. An open list is disturbed only when its entries change. */
function show() {
  const entries = (list ?? []).map(({ url, title }) => [url, title]);
  const shown = own ? '' : figure.src ?? '';
  if (own) entries.push(['', `${own.name} (your file)`]);
  else if (!shown) entries.push(['', 'no model yet']);
  else if (!entries.some(([url]) => url === shown)) entries.push([shown, shown.split('/').at(-1)]);
  const key = JSON.stringify(entries);
  if (select.dataset.entries !== key) {
    select.dataset.entries = key;
    select.replaceChildren(...entries.map(([url, title]) => new Option(title, url)));
    select.disabled = false;
  }
  select.value = shown;
  gallery(shown);
  element('no-models').hidden = !(list && !list.length && !own && !shown);
}

/** A picture of each model that has one, to be chosen by. */
function gallery(shown) {
  const pictured = (list ?? []).filter(({ thumbnail }) => thumbnail);
  const place = element('gallery');
  const key = JSON.stringify(pictured);
  if (place.dataset.entries !== key) {
    place.dataset.entries = key;
    place.replaceChildren(...pictured.map(({ url, title, thumbnail }) => {
      const button = document.createElement('button'), picture = new Image(96, 96);
      button.type = 'button';
      button.dataset.url = url;
      [picture.src, picture.alt, picture.loading] = [thumbnail, '', 'lazy'];
      button.append(picture, title);
      button.addEventListener('click', () => choose(url));
      return button;
    }));
  }
  place.hidden = !pictured.length;
  for (const button of place.children) button.setAttribute('aria-pressed', button.dataset.url === shown);
}

async function read() {
  const found = await models();
  // A list that cannot be read once does not take models away.
  if (found || !list) list = found ?? [];
  if (!own && !figure.src && list.length) figure.src = list[0].url;
  // There is no figure to wait for.
  if (!own && !figure.src) document.body.classList.remove('waits');
  followRun();
  show();
  setTimeout(look, list.some(({ live }) => live) ? 3_000 : 10_000);
}

/** Look at the list again, as soon as somebody sees the page. */
function look() {
  if (document.hidden) document.addEventListener('visibilitychange', look, { once: true });
  else read();
}

/** The newest checkpoint in the place of an older one of the same run. */
function followRun() {
  const path = (url) => url?.split('?')[0];
  const shown = own ? null : (list ?? []).find(({ live, url }) => live && path(url) === path(figure.src));
  const link = element('report');
  link.hidden = !shown?.report;
  if (!shown) return;
  if (shown.report) link.href = shown.report;
  if (shown.url !== figure.src) {
    figure.src = shown.url;
    mirror();
  }
}

apply(figure, location.search);
element('embed-link').href = `embed.html${queryOf(figure)}`;
figure.addEventListener('change', mirror);
// What comes after the figure comes once that has its size, so that nothing moves while one reads.
for (const name of ['load', 'problem']) {
  figure.addEventListener(name, () => requestAnimationFrame(() => requestAnimationFrame(() => document.body.classList.remove('waits'))), { once: true });
}
select.addEventListener('change', () => select.value && choose(select.value));
element('open').addEventListener('click', () => element('file').click());
element('train').addEventListener('click', () => {
  figure.setAttribute('view', 'train');
  mirror();
});
// What has been trained is a file of the reader's own.
figure.addEventListener('trained', ({ detail: { file } }) => {
  own = file;
  forget();
  figure.removeAttribute('src');
  mirror();
  show();
});
element('file').addEventListener('change', ({ target }) => {
  if (target.files[0]) open(target.files[0]);
  // So that the same file can be opened again once it has changed.
  target.value = '';
});
addEventListener('dragover', (event) => {
  event.preventDefault();
  element('drop').hidden = false;
});
addEventListener('dragleave', (event) => (element('drop').hidden = !event.relatedTarget));
addEventListener('paste', ({ clipboardData }) => {
  const picture = [...clipboardData?.files ?? []].find(({ type }) => type.startsWith('image/'));
  if (picture) open(picture);
});
addEventListener('drop', (event) => {
  event.preventDefault();
  element('drop').hidden = true;
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
for (const link of document.querySelectorAll('a.do')) {
  link.addEventListener('click', (event) => {
    // Opened in a window of its own, the link is an address like any other.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    follow(link);
  });
}
shares(figure);
show();
read();
