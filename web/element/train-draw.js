// Pictures of a training run: samples of the plane on the map of their energy, latents, and curves, these in numbers, too.

/** Colours and widths as the figure has them. */
export function themeOf(element) {
  const style = getComputedStyle(element), colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    heat: [0, 1, 2, 3, 4].map((i) => rgb(colour(`heat-${i}`))),
    particle: colour('particle'), datum: colour('datum'), mean: colour('mean'), soft: colour('soft'), rule: colour('rule'), accent: colour('accent'), paper: colour('paper'), ink: colour('ink'),
    font: '12px system-ui, sans-serif',
  };
}

function rgb(text) {
  const [, digits] = text.match(/^#([0-9a-f]{6})$/i) ?? [];
  if (digits) return [0, 2, 4].map((i) => parseInt(digits.slice(i, i + 2), 16));
  // Any other way to write a colour.
  const context = new OffscreenCanvas(1, 1).getContext('2d');
  context.fillStyle = text || '#888888';
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/** The canvas's context, as large as the page shows it, in CSS pixels; none while it is not shown. */
function context(canvas) {
  const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
  if (width < 40 || height < 40) return null;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const to = canvas.getContext('2d');
  to.setTransform(ratio, 0, 0, ratio, 0, 0);
  to.clearRect(0, 0, width, height);
  return { to, width, height };
}

/** Centres of `n` × `n` cells of the square from -half to half, rows from the top, in pairs of numbers. */
export function gridOf(n, half) {
  const at = (i) => ((i + 0.5) / n) * 2 * half - half;
  const points = new Float32Array(2 * n * n);
  for (let i = 0; i < n * n; i += 1) points.set([at(i % n), -at(Math.floor(i / n))], 2 * i);
  return points;
}

/** Energies of such a grid as pixels, the lowest in the first colour; colours end at the median, as on every map. */
function heat(energies, stops) {
  const n = Math.sqrt(energies.length), image = new ImageData(n, n);
  const sorted = Float32Array.from(energies).filter(Number.isFinite).sort();
  const low = sorted[0] ?? 0, high = Math.max(sorted[sorted.length >> 1] ?? 1, low + 1e-6);
  energies.forEach((energy, i) => {
    const level = Number.isFinite(energy) ? Math.min(Math.max((energy - low) / (high - low), 0), 1) : 1;
    const at = level * (stops.length - 1), stop = Math.min(Math.floor(at), stops.length - 2), share = at - stop;
    const colour = stops[stop].map((from, c) => from + share * (stops[stop + 1][c] - from));
    image.data.set([...colour, 255], 4 * i);
  });
  const canvas = new OffscreenCanvas(n, n);
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}

function dots({ to, width }, points, half, colour, size, alpha = 1) {
  if (!points) return;
  to.fillStyle = colour;
  to.globalAlpha = alpha;
  const at = (value) => ((value + half) / (2 * half)) * width;
  for (let i = 0; i + 1 < points.length; i += 2) {
    to.fillRect(at(points[i]) - size / 2, at(-points[i + 1]) - size / 2, size, size);
  }
  to.globalAlpha = 1;
}

/** Rings, which are seen on light and dark alike. */
function rings({ to, width }, points, half, theme, size, alpha = 1) {
  if (!points) return;
  to.globalAlpha = alpha;
  to.fillStyle = theme.paper;
  to.strokeStyle = theme.ink;
  to.lineWidth = 1;
  const at = (value) => ((value + half) / (2 * half)) * width;
  for (let i = 0; i + 1 < points.length; i += 2) {
    to.beginPath();
    to.arc(at(points[i]), at(-points[i + 1]), size / 2, 0, 2 * Math.PI);
    to.fill();
    to.stroke();
  }
  to.globalAlpha = 1;
}

function ways({ to, width }, from, until, half, colour) {
  if (!from?.length || from.length > until?.length) return;
  const at = (value) => ((value + half) / (2 * half)) * width;
  to.strokeStyle = colour;
  to.lineWidth = 1;
  to.globalAlpha = 0.6;
  to.beginPath();
  for (let i = 0; i + 1 < from.length; i += 2) {
    to.moveTo(at(from[i]), at(-from[i + 1]));
    to.lineTo(at(until[i]), at(-until[i + 1]));
  }
  to.stroke();
  to.globalAlpha = 1;
}

/** The plane of the data: the energy, data, where the x-chains start and where they end. */
export function drawPlane(canvas, { map, points, frame, half, phase, cursor }, theme) {
  const place = context(canvas);
  if (!place) return;
  const { to, width, height } = place;
  if (map?.length) {
    to.imageSmoothingEnabled = true;
    to.drawImage(heat(map, theme.heat), 0, 0, width, height);
  }
  dots(place, points, half, theme.datum, 1.6, 0.55);
  if (frame) {
    const ended = frame.xTilde.length > 0;
    if (phase === 'x-chain') ways(place, frame.xHat, frame.xTilde, half, theme.particle);
    rings(place, frame.xHat, half, theme, 4, ended && !phase ? 0.7 : 0.95);
    dots(place, frame.xTilde, half, theme.particle, 3.4, 0.9);
  }
  if (cursor) {
    const at = (value) => ((value + half) / (2 * half)) * width;
    to.strokeStyle = theme.accent;
    to.lineWidth = 2;
    to.strokeRect(at(cursor[0]) - 7, at(-cursor[1]) - 7, 14, 14);
  }
}

/** The plane of the latents: the prior's circles, the encoder's guesses and where the z-chains end. */
export function drawLatents(canvas, { frame, phase }, theme) {
  const place = context(canvas);
  if (!place) return;
  const { to, width } = place, half = 4;
  to.strokeStyle = theme.rule;
  to.lineWidth = 1;
  for (const radius of [1, 2, 3]) {
    to.beginPath();
    to.arc(width / 2, width / 2, (radius / (2 * half)) * width, 0, 2 * Math.PI);
    to.stroke();
  }
  if (!frame) return;
  if (phase === 'z-chain') ways(place, frame.z0, frame.zTilde, half, theme.particle);
  if (phase === 'data' || phase === 'x-chain' || phase === 'encoder') dots(place, frame.z, half, theme.datum, 2.4, 0.6);
  rings(place, frame.z0, half, theme, 4, 0.8);
  dots(place, frame.zTilde, half, theme.particle, 3, 0.9);
}

/** A number as one reads it. */
function readable(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return value.toFixed(size < 1 ? 3 : size < 100 ? 2 : 0);
}

/**
 * Curves over iterations: `lines`, each with `values` as `[iteration, value]`, a colour and perhaps dashes; on a logarithmic axis, or from
 * `low` to `high` where those are given.
 */
export function drawCurves(canvas, { lines, last, log = false, low, high }, theme) {
  const place = context(canvas);
  if (!place) return;
  const { to, width, height } = place, margin = [44, 18];
  const scale = (value) => (log ? Math.log10(Math.max(value, 1e-8)) : value);
  const all = lines.flatMap(({ values }) => values.map(([, value]) => scale(value))).filter(Number.isFinite).sort((a, b) => a - b);
  // A few far ones at the start do not flatten the rest.
  let from = low ?? all[Math.floor(all.length * 0.01)] ?? 0, until = high ?? all[Math.ceil(all.length * 0.99) - 1] ?? 1;
  if (until - from < 1e-6) [from, until] = [from - 0.5, until + 0.5];
  if (low === undefined) [from, until] = [from - 0.06 * (until - from), until + 0.06 * (until - from)];
  const x = (iteration) => margin[0] + (iteration / Math.max(last, 1)) * (width - margin[0] - 8);
  const y = (value) => 6 + (1 - (Math.min(Math.max(value, from), until) - from) / (until - from)) * (height - margin[1] - 6);
  to.font = theme.font;
  to.fillStyle = theme.soft;
  to.strokeStyle = theme.rule;
  to.lineWidth = 1;
  to.textAlign = 'right';
  to.textBaseline = 'middle';
  for (const share of [0.08, 0.5, 0.92]) {
    const value = from + share * (until - from), at = Math.round(y(value)) + 0.5;
    to.beginPath();
    to.moveTo(margin[0], at);
    to.lineTo(width - 8, at);
    to.stroke();
    to.fillText(readable(log ? 10 ** value : value), margin[0] - 6, at);
  }
  to.textAlign = 'left';
  to.textBaseline = 'alphabetic';
  to.fillText('0', margin[0], height - 3);
  to.textAlign = 'right';
  to.fillText(`iteration ${last}`, width - 4, height - 3);
  for (const { values, colour, dashes } of lines) {
    to.strokeStyle = colour;
    to.lineWidth = 1.8;
    to.setLineDash(dashes ?? []);
    to.beginPath();
    for (const [iteration, value] of values) if (Number.isFinite(scale(value))) to.lineTo(x(iteration), y(scale(value)));
    to.stroke();
  }
  to.setLineDash([]);
}

/** What the curves show, in numbers: a row for each quantity, a column for each of a few iterations, the last one among them. */
export function fillTable(table, { report, figures }) {
  const last = report.length - 1, chosen = [...new Set([0, 1, 2, 3, 4].map((part) => Math.round((last * part) / 4)))].filter((at) => at >= 0);
  const rows = new Map([['iteration', []]]), note = (name, column, value) => {
    const shown = [value].flat().map(readable).join(' → ');
    if (!rows.has(name)) rows.set(name, []);
    rows.get(name)[column] = shown;
  };
  chosen.forEach((at, column) => {
    const { iteration, rates, ...line } = report[at];
    rows.get('iteration')[column] = String(iteration);
    // Measured every few iterations: the latest that is known.
    const known = figures.findLast((measured) => measured.iteration <= iteration);
    if (known) {
      note('log-likelihood of held-out points', column, known.logLikelihood);
      if (known.generator) note('good samples of the generator', column, known.generator.goodShare);
      if (known.refined) note('good samples after the x-chain', column, known.refined.goodShare);
    }
    for (const [name, value] of Object.entries(line)) if (value !== null) note(name.replaceAll('_', ' '), column, value);
  });
  const cell = (kind, text, scope) => {
    const element = document.createElement(kind);
    element.textContent = text;
    if (scope) element.scope = scope;
    return element;
  };
  table.replaceChildren(...[...rows].map(([name, values]) => {
    const row = document.createElement('tr'), head = name === 'iteration';
    row.append(cell('th', name, head ? 'col' : 'row'), ...chosen.map((_, column) => (head ? cell('th', values[column], 'col') : cell('td', values[column] ?? '–'))));
    return row;
  }));
}
