// The events page in the browser: all labels are here, so a flip asks nothing of the server.
// Runs once per document. Its arguments are arrays (typed, flat), the product's names as JSON,
// and the Bokeh models to fill. What is shown is `state`; `set` changes it, redraws and writes it
// to the address.

const [counts, edges, numbers, events] = arrays.map(flat);
const [joint, grid, marginals] = [joint_models, grid_models, marginal_models].map(plain);
const {sources, cast, columns, table, regions, neighbours, places, pairs, drawn} = meta;
const nSources = sources.length, nLabels = table.length, nVariables = meta.variables.length;
const nBins = meta.bins, side = meta.side;
const LIVE = -1;  // the number of the label that is drawn live, where a label's is asked for
let live = null;  // what the server drew there; live.js
const loaded = {slot: new Int32Array(nLabels).fill(-1), cells: null, pairs: 0, labels: 0, pair: -1};
// -- numbers ---------------------------------------------------------------------------

const number = (column, source, label) =>
  numbers[(column * nSources + source) * nLabels + label];
const total = (source, label) =>
  label === LIVE ? live.events[live.slot[source]] : Number(events[source * nLabels + label]);
const countsOf = (source, label, variable) => {
  if (label === LIVE) {
    const at = (live.slot[source] * nVariables + variable) * live.bins;
    return live.counts.subarray(at, at + live.bins);
  }
  const at = ((source * nLabels + label) * nVariables + variable) * nBins;
  return counts.subarray(at, at + nBins);
};
const edgesOf = (label, variable) => {
  if (label === LIVE) {
    const at = variable * (live.bins + 1);
    return live.edges.subarray(at, at + live.bins + 1);
  }
  const at = (label * nVariables + variable) * (nBins + 1);
  return edges.subarray(at, at + nBins + 1);
};
const cellsOf = (source, label, pair) => {
  if (label === LIVE) {
    const size = live.bins * live.bins, at = (live.slot[source] * pairs.length + pair) * size;
    return live.cells.subarray(at, at + size);
  }
  const slot = loaded.slot[label];
  const p = loaded.pair < 0 ? pair : pair === loaded.pair ? 0 : -1;
  if (slot < 0 || p < 0) return null;
  const size = side * side;
  const at = ((source * loaded.labels + slot) * loaded.pairs + p) * size;
  return loaded.cells.subarray(at, at + size);
};
const receive = () => {
  const data = plain(cells_source.data);
  loaded.slot.fill(-1);
  loaded.cells = flat(data.cells[0]);
  loaded.pair = data.pair[0];
  loaded.labels = data.labels[0].length;
  loaded.pairs = loaded.pair < 0 ? pairs.length : 1;
  data.labels[0].forEach((label, i) => { loaded.slot[label] = i; });
};

// Difference of two shares over its error were both one distribution. Their common share
// gives the error, so that an empty cell is not taken for a certain zero.
const pull = (x, y, m, n) => {
  const share = (x + y) / (m + n);
  return share > 0 ? (y / n - x / m) / Math.sqrt(share * (1 / m + 1 / n)) : 0;
};
// Whether the smaller sample can be expected to have events there.
const enough = (x, y, m, n) => ((x + y) / (m + n)) * Math.min(m, n) * 2 >= meta.low_cell;

// -- drawing ---------------------------------------------------------------------------

// Which samples are shown: `left` and `middle` as pictures, then `plus` minus `minus`, whose
// peak `scale` is the density's 1. Marginals show the sources `shown` on top of `base`, and in
// the strips each of `strips` against it. NONE: there is no such sample.
const NONE = -1;
// A title that a panel has room for, its unit kept.
const fitted = (title, room) => {
  const most = Math.max(10, Math.floor((room || 200) / 6.3)), unit = / \[[^\]]*\]$/.exec(title)?.[0] ?? "";
  return title.length <= most ? title : `${title.slice(0, most - unit.length - 1)}…${unit}`;
};
const called = (k) => meta.called[cast[k]];
// Pixels of a cell: live ones may be larger.
const wideness = (label) => label === LIVE ? side / live.bins : 1;
function scene() {
  if (live !== null) return liveScene();
  const {label, source, against} = state;
  const shown = drawn.map((name) => sources.indexOf(name)).filter(
    (k) => k === source || (against && k === against) || state.overlay.includes(sources[k]));
  const pictures = against ? {left: source, middle: against, minus: against}
    : {left: 0, middle: source, minus: 0};
  return {label, ...pictures, plus: source, base: 0, scale: 0, shown, strips: shown};
}

function drawJoint(now) {
  if (!pairs.length) return;
  const {label, left, middle, plus, minus} = now;
  const [v, w] = pairs[state.pair];
  const ex = edgesOf(label, v), ey = edgesOf(label, w);
  const last = ex.length - 1;
  const box = {x: [ex[0]], y: [ey[0]], dw: [ex[last] - ex[0]], dh: [ey[last] - ey[0]]};
  const alone = minus === NONE, g = cellsOf(plus, label, state.pair);
  let beyond = 0;
  const images = ["reference", "generated", "pull"].map((n) => columnOf(joint[n].source, "image")[0]);
  if (g === null) {
    for (const image of images) image.fill(NaN);
    request_source.data = {label: [label], pair: [state.pair]};
  } else {
    const r = alone ? g : cellsOf(minus, label, state.pair), top = cellsOf(now.scale, label, state.pair);
    const m = alone ? 1 : total(minus, label), n = total(plus, label);
    let peak = 0;
    for (let k = 0; k < top.length; k++) if (top[k] > peak) peak = top[k];
    peak /= total(now.scale, label);
    const scaleR = alone ? NaN : 1 / (m * peak), scaleG = 1 / (n * peak);
    const [a, b] = left === plus ? [images[1], images[0]] : images, c = images[2];
    const wide = wideness(label);
    for (let i = 0; i < side; i++) {
      const row = ((i / wide) | 0) * (side / wide);
      for (let j = 0; j < side; j++) {
        const from = row + ((j / wide) | 0), to = j * side + i;
        const x = r[from], y = g[from];
        a[to] = x * scaleR;
        b[to] = y * scaleG;
        c[to] = !alone && enough(x, y, m, n) ? pull(x, y, m, n) : NaN;
        if (Math.abs(c[to]) > meta.pull) beyond += 1;
      }
    }
  }
  ["reference", "generated", "pull"].forEach((name, k) => {
    // Filled in place: where nothing else differs, Bokeh sees no change unless it is told.
    const still = Object.keys(box).every((side) => columnOf(joint[name].source, side)[0] === box[side][0]);
    if (still) joint[name].source.change.emit();
    else put(joint[name].source, {data: {image: [images[k]], ...box}});
  });
  put(ranges[0], {start: ex[0], end: ex[last]});
  put(ranges[1], {start: ey[0], end: ey[last]});
  const named = (k) => k === NONE ? "no rival" : `${called(k)}, ${whole(total(k, label))} events`;
  put(joint.reference.figure.title, {text: named(left)});
  put(joint.generated.figure.title, {text: named(middle)});
  const cells = Math.round(beyond / wideness(label) ** 2);
  put(joint.pull.figure.title, {text: alone ? "" : `(${called(plus)} − ${called(minus)}) / σ${cells ? `, ▲▼ ${cells}` : ""}`});
  const rooms = [figure_models[1].inner_width + 6, figure_models[1].inner_height];
  const name = (axis, variable, room) => put(axis, {axis_label: fitted(meta.axis_titles[variable], room)});
  for (const panel of ["reference", "pull"]) name(joint[panel].figure.below[0], v, rooms[0]);
  name(joint.reference.figure.left[0], w, rooms[1]);
}

function outline(values, edge, scale) {
  const bins = values.length, x = new Float64Array(2 * bins + 2), y = new Float64Array(2 * bins + 2);
  x[0] = edge[0];
  for (let i = 0; i < bins; i++) {
    x[2 * i + 1] = edge[i];
    x[2 * i + 2] = edge[i + 1];
    y[2 * i + 1] = y[2 * i + 2] = values[i] * scale;
  }
  x[2 * bins + 1] = edge[bins];
  return {x, y};
}

function drawMarginal(panel, now, variable) {
  const {label, base, plus, shown, strips} = now, alone = base === NONE;
  const edge = edgesOf(label, variable), bins = edge.length - 1;
  const r = alone ? new Float32Array(bins) : countsOf(base, label, variable), m = alone ? 1 : total(base, label);
  const low = [[], []], band = {x: [], low: [], high: []};
  const bars = {x: [], low: [], high: []};
  const n0 = total(plus, label);
  const ratio = state.strip === "ratio";
  let top = 0;
  for (let i = 0; i < bins; i++) {
    const share = 100 / m, centre = (edge[i] + edge[i + 1]) / 2, error = Math.sqrt(r[i]);
    top = Math.max(top, (r[i] + error) * share);
    bars.x.push(centre);
    bars.low.push((r[i] - error) * share);
    bars.high.push((r[i] + error) * share);
    if (r[i] < meta.low_bin) {  // neighbours in one, or a seam is seen between them
      if (low[1][low[1].length - 1] === edge[i]) low[1][low[1].length - 1] = edge[i + 1];
      else { low[0].push(edge[i]); low[1].push(edge[i + 1]); }
    }
    // The floor: what chance alone does to the two samples, one standard deviation.
    const wide = r[i] < meta.low_bin ? 0 : ratio ? Math.sqrt((1 + m / n0) / r[i]) : 1;
    band.x.push(edge[i], edge[i + 1]);
    band.low.push(-wide, -wide);
    band.high.push(wide, wide);
  }
  put(panel.outlines.reference, {data: outline(r, edge, 100 / m)});
  put(panel.bars, {data: bars});
  put(panel.band, {data: band});
  put(panel.masked, {data: alone ? {left: [], right: []} : {left: low[0], right: low[1]}});
  const sizes = [];
  for (const name of meta.marked) {
    const s = cast.indexOf(name), points = {x: [], y: [], low: [], high: []};
    if (!shown.includes(s)) {
      if (!panel.outlines[name].get_length()) continue;
      put(panel.outlines[name], {data: {x: [], y: []}});
      put(panel.points[name], {data: points});
      continue;
    }
    const g = countsOf(s, label, variable), n = total(s, label), points_too = strips.includes(s);
    put(panel.outlines[name], {data: outline(g, edge, 100 / n)});
    for (let i = 0; i < bins; i++) {
      if (r[i] < meta.low_bin && !alone) continue;
      top = Math.max(top, 100 * g[i] / n);
      if (!points_too) continue;
      const variance = g[i] / (n * n) + r[i] / (m * m);
      const y = ratio ? (g[i] / n) / (r[i] / m) - 1 : pull(r[i], g[i], m, n);
      const bar = ratio ? Math.sqrt(variance) * m / r[i] : 1;
      points.x.push((edge[i] + edge[i + 1]) / 2);
      points.y.push(y);
      points.low.push(y - bar);
      points.high.push(y + bar);
      if (s === plus) sizes.push(Math.abs(y));
    }
    put(panel.points[name], {data: points});
  }
  sizes.sort((a, b) => a - b);
  const typical = sizes.length ? sizes[Math.floor(0.9 * (sizes.length - 1))] : 1;
  const steps = ratio ? [0.03, 0.06, 0.12, 0.25, 0.5, 1, 2, 4] : [4, 8, 16, 32, 64, 128];
  const reach = steps.find((step) => typical * 1.3 <= step) ?? steps[steps.length - 1];
  markBeyond(panel, strips, reach, edge[bins]);
  put(panel.main.x_range, {start: edge[0], end: edge[bins]});
  put(panel.main.y_range, {start: 0, end: top * 1.08});
  put(panel.strip.y_range, {start: -reach, end: reach});
  put(panel.strip.below[0], {axis_label: meta.axis_titles[variable]});
  put(panel.strip.left[0], {axis_label: ratio ? "ratio − 1" : "pull"});
}

// What is off the scale stands at its edge as a triangle, and is counted.
function markBeyond(panel, strips, reach, right) {
  const out = {x: [], y: [], marker: [], colour: []};
  for (const s of strips) {
    const {x, y} = plain(panel.points[cast[s]].data);
    for (let i = 0; i < y.length; i++) {
      if (!(Math.abs(y[i]) > reach)) continue;
      out.x.push(x[i]);
      out.y.push(Math.sign(y[i]) * reach * 0.9);
      out.marker.push(y[i] > 0 ? "triangle" : "inverted_triangle");
      out.colour.push(meta.colours[cast[s]]);
    }
  }
  const count = out.x.length;
  if (!count && !panel.beyond.get_length()) return;
  put(panel.beyond, {data: out});
  put(panel.said, {data: count ? {x: [right], y: [reach], text: [`▲▼ ${count} off scale`]} : {x: [], y: [], text: []}});
}

const inSlice = (label) => state.rest.every((value, k) => places[label][k + 2] === value);

// The number a square is coloured by: a source's own or, with another source chosen to compare
// with, by how much the first one's is larger (of signed metrics, in size).
function valueAt(label) {
  const here = number(state.column, state.source, label);
  if (!state.against) return here;
  const there = number(state.column, state.against, label);
  return columns[state.column].signed ? Math.abs(here) - Math.abs(there) : here - there;
}

function drawGrid() {
  const column = columns[state.column], two_sided = column.signed || state.against > 0;
  const x = [], y = [], value = [], index = [], text = [];
  const marks = {interior: {x: [], y: []}, edge: {x: [], y: []}};
  const what = state.against ? `${column.title}, ${called(state.source)} − ${called(state.against)}:` : column.title;
  const floor = sources.indexOf("floor");
  for (let label = 0; label < nLabels; label++) {
    if (!inSlice(label)) continue;
    const here = valueAt(label), chance = floor < 0 ? NaN : number(state.column, floor, label);
    const [i, j] = [places[label][0], places[label][1] ?? 0];
    x.push(i); y.push(j); value.push(here); index.push(label);
    text.push(`${meta.names[label]}: ${what} ${show(here)}${Number.isFinite(chance) ? `, floor ${show(chance)}` : ""}`);
    if (marks[regions[label]]) { marks[regions[label]].x.push(i); marks[regions[label]].y.push(j); }
  }
  const finite = value.filter(Number.isFinite).sort((a, b) => a - b);
  const at = (list, q) => list.length ? list[Math.floor(q * (list.length - 1))] : 0;
  let low = Math.min(0, at(finite, 0)), high = at(finite, 0.98);
  if (column.best === 0.5) low = 0.5;
  if (two_sided) { high = Math.max(Math.abs(at(finite, 0.02)), Math.abs(high)); low = -high; }
  else if (column.best === null) low = 0;
  if (!(high > low)) { high = low + 1e-6; low -= two_sided ? 1e-6 : 0; }
  const palette = two_sided ? meta.diverging : meta.sequential;
  put(grid.mapper, {palette: column.best === null ? [...palette].reverse() : palette, low, high});
  nameColours(column, [low, high]);
  put(grid.cells, {data: {x, y, value, label: index, text}});
  put(grid.interior, {data: marks.interior});
  put(grid.edge, {data: marks.edge});
  drawCaption();
}

// Which end of the colours is good, in words; between them the floor and round numbers.
function nameColours(column, [low, high]) {
  const away = (a, b) => Math.abs(a - b) > 0.07 * (high - low), more = column.best === null;
  let ends = more ? ["bad", "good"] : column.signed ? ["bad", "bad"] : ["good", "bad"];
  if (state.against) ends = [called(state.source), called(state.against)].map((name) => `${name}\nbetter`);
  if (state.against && more) ends.reverse();
  const words = new Map([[low, ends[0]], [high, ends[1]]]);
  const chance = middleOf(valuesIn(sources.indexOf("floor")));
  if (!state.against && !column.signed && !more && chance > low && chance < high && away(chance, low)) {
    words.set(chance, "floor");
  }
  for (const tick of roundNumbers([low, high], 4)) {
    if (![...words.keys()].every((word) => away(tick.at, word))) continue;
    words.set(tick.at, column.signed && tick.at === 0 && !state.against ? "0 good" : Math.abs(tick.at) < 1e4 ? tick.text : show(tick.at));
  }
  put(grid.bar.ticker, {ticks: [...words.keys()].sort((a, b) => a - b)});
  put(grid.bar, {major_label_overrides: words});
}
const valuesIn = (source) => source < 0 ? [] : table.map((_, label) => label).filter(inSlice)
  .map((label) => number(state.column, source, label)).filter(Number.isFinite).sort((a, b) => a - b);

function drawLabel() {
  const now = scene();
  const [i, j] = [places[state.label][0], places[state.label][1] ?? 0];
  put(grid.chosen, {data: live === null ? {x: [i], y: [j]} : {x: [], y: []}});
  drawJoint(now);
  marginals.forEach((panel, k) => drawMarginal(panel, now, pairs.length ? pairs[state.pair][k] : 0));
  drawTextSoon();
}

function setScale() {
  for (const panel of pairs.length ? [joint.reference, joint.generated] : []) {
    for (const [scale, models] of Object.entries(panel.scales)) {
      for (const model of models) put(model, {visible: scale === state.colour});
    }
  }
}
