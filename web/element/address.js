// The parameters of the lab's and the embedded page's address, and the attributes that they stand for.
export const PARAMETERS = {
  'model': 'src', 'view': 'view', 'chains': 'chains', 'rate': 'rate', 'step-size': 'step-size', 'noise': 'noise',
  'start': 'start', 'sampler': 'sampler', 'chain': 'chain', 'overlay': 'overlay', 'corners': 'corners', 'walk': 'walk', 'subject': 'subject', 'example': 'example', 'mask': 'mask', 'fill': 'fill', 'training': 'training', 'seed': 'seed', 'device': 'device', 'play': 'autoplay',
  'hide': 'hide',
};

/** What `play` says: 1 to run whatever the reader prefers, 0 to wait, and without it to run unless motion is unwelcome. */
const PLAY = { 1: 'always', 0: null, '': '' };

/** Give a figure the attributes that an address asks for. */
export function apply(figure, query) {
  const parameters = new URLSearchParams(query);
  for (const [parameter, attribute] of Object.entries(PARAMETERS)) {
    let value = parameters.get(parameter);
    if (attribute === 'autoplay') value = (value ?? '') in PLAY ? PLAY[value ?? ''] : value;
    if (value === null || (attribute === 'src' && value === '')) figure.removeAttribute(attribute);
    else figure.setAttribute(attribute, value);
  }
}

/** The address's query for a figure as it is, with its question mark; empty where nothing was chosen. */
export function queryOf(figure) {
  const before = new URLSearchParams(location.search), query = new URLSearchParams();
  for (const [parameter, attribute] of Object.entries(PARAMETERS)) {
    const value = parameter === 'play' ? before.get('play') : figure.getAttribute(attribute);
    if (value !== null) query.set(parameter, value);
  }
  const text = query.toString();
  return text && `?${text}`;
}

/** The models beside the page, `[{ url, title, thumbnail, live, report }]`, or null where there is no list. A live one is of a run that may be training. */
export async function models() {
  try {
    // A model that has just been trained is to turn up.
    const answer = await fetch('models/index.json', { cache: 'no-cache' });
    if (!answer.ok) return null;
    const { models } = await answer.json();
    return models.filter(({ file }) => file).map(({ file, title, thumbnail, live, report }) => ({
      url: `models/${file}`,
      title: title ?? file,
      live: !!live,
      report: report ?? null,
      thumbnail: thumbnail ? `models/${thumbnail}` : null,
    }));
  } catch {
    return null;
  }
}
