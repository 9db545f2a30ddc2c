// The events page in the browser: all labels are here, so a flip asks nothing of the server.
// Runs once per document. Its arguments are arrays (typed, flat), the product's names as JSON,
// and the Bokeh models to fill. What is shown is `state`; `set` changes it, redraws and writes it
// to the address.

const plain = (v) => v instanceof Map ? Object.fromEntries([...v].map(([k, x]) => [k, plain(x)]))
  : Array.isArray(v) ? v.map(plain) : v;
const flat = (a) => {  // a plain typed view: Bokeh's own arrays cannot be cut
  const type = [Float64Array, Float32Array, Uint16Array, Int32Array].find((t) => a instanceof t);
  return new type(a.buffer, a.byteOffset, a.length);
};
const [counts, edges, numbers, events] = arrays.map(flat);
const [joint, grid, titles, marginals, scales] =
  [joint_models, grid_models, title_models, marginal_models, scale_models].map(plain);
const meta = JSON.parse(meta_text);
const {sources, columns, table, regions, neighbours, places, pairs, drawn} = meta;
const nSources = sources.length, nLabels = table.length, nVariables = meta.variables.length;
const nBins = meta.bins, side = meta.side;
const state = meta.state;
const loaded = {slot: new Int32Array(nLabels).fill(-1), cells: null, pairs: 0, labels: 0, pair: -1};
// Changes stay in the browser: the server holds the empty figures only.
const put = (model, change) => model.setv(change, {sync: false});
// Text goes straight into its element: a new text of a Div lays out the whole page again.
const write = (div, html) => {
  const view = Bokeh.index.find_one_by_id?.(div.id);
  const element = view?.shadow_el?.querySelector(".text");
  if (element) element.innerHTML = html;
  else put(div, {text: `<div class="text">${html}</div>`});
};
const columnOf = (model, name) =>
  model.data instanceof Map ? model.data.get(name) : model.data[name];

// -- numbers ---------------------------------------------------------------------------

const number = (column, source, label) =>
  numbers[(column * nSources + source) * nLabels + label];
const total = (source, label) => Number(events[source * nLabels + label]);
const countsOf = (source, label, variable) => {
  const at = ((source * nLabels + label) * nVariables + variable) * nBins;
  return counts.subarray(at, at + nBins);
};
const edgesOf = (label, variable) => {
  const at = (label * nVariables + variable) * (nBins + 1);
  return edges.subarray(at, at + nBins + 1);
};
const cellsOf = (source, label, pair) => {
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

const show = (value) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e4) return `${(value / 1e3).toPrecision(3)}k`;
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  const digits = size >= 1 ? 2 : size >= 0.1 ? 3 : 4;
  return size < 5e-5 ? "0" : value.toFixed(digits).replace("-", "−");
};
const whole = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// -- drawing ---------------------------------------------------------------------------

function drawJoint(label) {
  if (!pairs.length) return;
  const [v, w] = pairs[state.pair];
  const ex = edgesOf(label, v), ey = edgesOf(label, w);
  const box = {x: [ex[0]], y: [ey[0]], dw: [ex[nBins] - ex[0]], dh: [ey[nBins] - ey[0]]};
  const s = state.source;
  const r = cellsOf(0, label, state.pair), g = cellsOf(s, label, state.pair);
  const images = ["reference", "generated", "pull"].map((n) => columnOf(joint[n], "image")[0]);
  if (r === null) {
    for (const image of images) image.fill(NaN);
    request_source.data = {label: [label], pair: [state.pair]};
  } else {
    const m = total(0, label), n = total(s, label);
    let peak = 0;
    for (let k = 0; k < r.length; k++) if (r[k] > peak) peak = r[k];
    const scaleR = 1 / peak, scaleG = m / (n * peak);
    const [a, b, c] = images;
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        const from = i * side + j, to = j * side + i;
        const x = r[from], y = g[from];
        a[to] = x * scaleR;
        b[to] = y * scaleG;
        c[to] = enough(x, y, m, n) ? pull(x, y, m, n) : NaN;
      }
    }
  }
  ["reference", "generated", "pull"].forEach((name, k) => {
    put(joint[name], {data: {image: [images[k]], ...box}});
  });
  put(ranges[0], {start: ex[0], end: ex[nBins]});
  put(ranges[1], {start: ey[0], end: ey[nBins]});
  put(titles.reference, {text: `reference, ${whole(total(0, label))} events`});
  put(titles.generated, {text: `${sources[s]}, ${whole(total(s, label))} events`});
  put(titles.pull, {text: `(${sources[s]} − reference) / σ`});
}

function outline(values, edge, scale) {
  const x = new Float64Array(2 * nBins + 2), y = new Float64Array(2 * nBins + 2);
  x[0] = edge[0];
  for (let i = 0; i < nBins; i++) {
    x[2 * i + 1] = edge[i];
    x[2 * i + 2] = edge[i + 1];
    y[2 * i + 1] = y[2 * i + 2] = values[i] * scale;
  }
  x[2 * nBins + 1] = edge[nBins];
  return {x, y};
}

function drawMarginal(panel, label, variable) {
  const edge = edgesOf(label, variable), r = countsOf(0, label, variable), m = total(0, label);
  const shown = drawn.filter((name) => name === sources[state.source] || state.overlay.includes(name));
  const low = [[], []], band = {x: [], low: [], high: []};
  const bars = {x: [], low: [], high: []};
  const n0 = total(state.source, label);
  const ratio = state.strip === "ratio";
  let top = 0;
  for (let i = 0; i < nBins; i++) {
    const share = 100 / m, centre = (edge[i] + edge[i + 1]) / 2, error = Math.sqrt(r[i]);
    top = Math.max(top, (r[i] + error) * share);
    bars.x.push(centre);
    bars.low.push((r[i] - error) * share);
    bars.high.push((r[i] + error) * share);
    if (r[i] < meta.low_bin) { low[0].push(edge[i]); low[1].push(edge[i + 1]); }
    // The floor: what chance alone does to the two samples, one standard deviation.
    const wide = r[i] < meta.low_bin ? 0 : ratio ? Math.sqrt((1 + m / n0) / r[i]) : 1;
    band.x.push(edge[i], edge[i + 1]);
    band.low.push(-wide, -wide);
    band.high.push(wide, wide);
  }
  put(panel.outlines.reference, {data: outline(r, edge, 100 / m)});
  put(panel.bars, {data: bars});
  put(panel.band, {data: band});
  put(panel.masked, {data: {left: low[0], right: low[1]}});
  const sizes = [];
  for (const name of drawn) {
    if (!shown.includes(name)) {
      if (!panel.points[name].get_length()) continue;
      put(panel.outlines[name], {data: {x: [], y: []}});
      put(panel.points[name], {data: {x: [], y: [], low: [], high: []}});
      continue;
    }
    const s = sources.indexOf(name), g = countsOf(s, label, variable), n = total(s, label);
    put(panel.outlines[name], {data: outline(g, edge, 100 / n)});
    const points = {x: [], y: [], low: [], high: []};
    for (let i = 0; i < nBins; i++) {
      if (r[i] < meta.low_bin) continue;
      const variance = g[i] / (n * n) + r[i] / (m * m);
      const y = ratio ? (g[i] / n) / (r[i] / m) - 1 : pull(r[i], g[i], m, n);
      const bar = ratio ? Math.sqrt(variance) * m / r[i] : 1;
      top = Math.max(top, 100 * g[i] / n);
      points.x.push((edge[i] + edge[i + 1]) / 2);
      points.y.push(y);
      points.low.push(y - bar);
      points.high.push(y + bar);
      if (s === state.source) sizes.push(Math.abs(y));
    }
    put(panel.points[name], {data: points});
  }
  sizes.sort((a, b) => a - b);
  const typical = sizes.length ? sizes[Math.floor(0.9 * (sizes.length - 1))] : 1;
  const steps = ratio ? [0.03, 0.06, 0.12, 0.25, 0.5, 1, 2, 4] : [4, 8, 16, 32, 64, 128];
  const reach = steps.find((step) => typical * 1.3 <= step) ?? steps[steps.length - 1];
  put(panel.x_range, {start: edge[0], end: edge[nBins]});
  put(panel.y_range, {start: 0, end: top * 1.08});
  put(panel.strip_range, {start: -reach, end: reach});
  put(panel.axis, {axis_label: meta.axis_titles[variable]});
  put(panel.strip_axis, {axis_label: ratio ? "ratio − 1" : "pull"});
}

const inSlice = (label) => state.rest.every((value, k) => places[label][k + 2] === value);

function drawGrid() {
  const column = columns[state.column], s = state.source;
  const x = [], y = [], value = [], index = [], text = [], all = [];
  const marks = {interior: {x: [], y: []}, edge: {x: [], y: []}};
  for (let label = 0; label < nLabels; label++) {
    for (let k = 1; k < nSources; k++) {
      const other = number(state.column, k, label);
      if (Number.isFinite(other)) all.push(other);
    }
    if (!inSlice(label)) continue;
    const here = number(state.column, s, label);
    const [i, j] = [places[label][0], places[label][1] ?? 0];
    x.push(i); y.push(j); value.push(here); index.push(label);
    text.push(`${meta.names[label]}: ${column.title} ${show(here)}`);
    if (marks[regions[label]]) { marks[regions[label]].x.push(i); marks[regions[label]].y.push(j); }
  }
  const finite = value.filter(Number.isFinite).sort((a, b) => a - b);
  all.sort((a, b) => a - b);
  const at = (list, q) => list.length ? list[Math.floor(q * (list.length - 1))] : 0;
  let low = Math.min(0, at(finite, 0)), high = at(finite, 0.98);
  if (column.metric === "auc") low = 0.5;
  if (column.signed) { high = Math.max(Math.abs(at(finite, 0.02)), Math.abs(high)); low = -high; }
  if (column.large_is_good) low = 0;
  if (!(high > low)) high = low + 1e-6;
  const palette = column.signed ? meta.diverging : meta.sequential;
  put(grid.mapper, {palette: column.large_is_good ? [...palette].reverse() : palette, low, high});
  put(grid.cells, {data: {x, y, value, label: index, text}});
  put(grid.interior, {data: marks.interior});
  put(grid.edge, {data: marks.edge});
  drawCaption();
}

function drawCaption() {
  const column = columns[state.column];
  const kinds = ["interior", "edge"].filter((kind) => regions.includes(kind));
  const lines = (kinds.length ? kinds : ["trained"]).map((kind) => {
    const of = (s) => {
      const list = [];
      for (let label = 0; label < nLabels; label++) {
        const value = number(state.column, s, label);
        if (regions[label] === kind && Number.isFinite(value)) {
          list.push(column.signed ? Math.abs(value) : value);
        }
      }
      return list.sort((a, b) => column.large_is_good ? b - a : a - b);
    };
    const here = of(state.source), floor = of(sources.indexOf("floor"));
    const middle = (list) => show(list[Math.floor((list.length - 1) / 2)] ?? NaN);
    const name = kind === "trained" ? "all labels" : kind;
    return `<span class="mark ${kind}"></span>${name}: median ${middle(here)}, ` +
      `worst ${show(here[here.length - 1] ?? NaN)}` +
      (floor.length ? `, <span class="muted">floor ${middle(floor)}</span>` : "");
  });
  write(caption, `<div class="caption"><b>${escaped(column.title)}, ${escaped(sources[state.source])}</b>` +
    `${kinds.length ? " at the held-out labels" : ""}<br>${lines.join("<br>")}</div>`);
}

function drawNumbers(label) {
  const used = pairs.length ? pairs[state.pair] : [0];
  const names = used.map((v) => meta.variables[v]);
  const floor = sources.indexOf("floor"), s = state.source;
  const rivals = sources.map((_, k) => k).filter((k) => k > 0 && k !== floor);
  const metrics = [...new Set(columns.map((c) => c.metric))];
  const good = (column, value) =>
    column.metric === "auc" ? Math.abs(value - 0.5)
      : column.large_is_good ? -value : Math.abs(value - (column.metric.startsWith("chi2") ? 1 : 0));
  const cell = (k) => {
    if (k < 0) return `<td></td><td></td>`;
    const value = number(k, s, label), column = columns[k];
    const best = s !== floor && rivals.every((other) =>
      other === s || !(good(column, number(k, other, label)) < good(column, value)));
    const text = Number.isFinite(value) && best ? `<b>${show(value)}</b>` : show(value);
    return `<td>${text}</td><td class="floor">${floor < 0 ? "–" : show(number(k, floor, label))}</td>`;
  };
  const rows = metrics.map((metric) => {
    const of = columns.map((c, k) => [c, k]).filter(([c]) => c.metric === metric);
    const title = escaped(of[0][0].title.split(" · ")[0]);
    const shownRow = columns[state.column].metric === metric ? ' class="shown"' : "";
    const single = of.find(([c]) => c.of === "" || (pairs.length && c.of === meta.pair_names[state.pair]));
    const cells = single ? cell(single[1]) + (names.length > 1 ? "<td></td><td></td>" : "")
      : names.map((name) => cell((of.find(([c]) => c.of === name) ?? [null, -1])[1])).join("");
    return `<tr${shownRow}><td>${title}</td>${cells}</tr>`;
  });
  const head = names.map((name) => `<th class="wide" colspan="2">${escaped(name.replaceAll("_", " "))}</th>`);
  const source = escaped(sources[s]);
  const sub = names.map(() => `<th>${source}</th><th>floor</th>`);
  write(table_div, `<table class="numbers"><tr><th></th>${head.join("")}</tr>` +
    `<tr><th></th>${sub.join("")}</tr>${rows.join("")}</table>` +
    `<div class="muted note">Bold: the best of ${escaped(rivals.map((k) => sources[k]).join(", "))}. ` +
    `Grey: too few events to say (bins under ${meta.low_bin}). Band: ±1 σ of chance.</div>`);
}

function drawHead(label) {
  const kind = regions[label] === "trained" ? "in the training" : `held out, ${regions[label]}`;
  write(head, `<div class="head"><span><b>${escaped(meta.names[label])}</b>` +
    `<span class="tag">${kind}</span></span>` +
    `<span class="keys">← → ↑ ↓ label · 1–${drawn.length} source</span></div>`);
}

function drawLabel() {
  const label = state.label;
  const [i, j] = [places[label][0], places[label][1] ?? 0];
  put(grid.chosen, {data: {x: [i], y: [j]}});
  drawJoint(label);
  marginals.forEach((panel, k) => drawMarginal(panel, label, pairs.length ? pairs[state.pair][k] : 0));
  drawTextSoon();
}

// Text changes the page's styles, which Bokeh reads while it paints: figures first.
let textIsDue = false;
function drawTextSoon() {
  if (textIsDue) return;
  textIsDue = true;
  requestAnimationFrame(() => setTimeout(() => {
    textIsDue = false;
    drawNumbers(state.label);
    drawHead(state.label);
  }));
}

function setScale() {
  for (const {scale, models} of scales) {
    for (const model of models) put(model, {visible: scale === state.colour});
  }
}

// -- state -----------------------------------------------------------------------------

function remember() {
  const query = new URLSearchParams();
  query.set("page", "events");
  query.set("key", meta.key.slice(0, 16));
  query.set("label", table[state.label].map((v) => String(+v.toPrecision(7))).join(","));
  query.set("source", sources[state.source]);
  query.set("metric", columns[state.column].name);
  if (pairs.length > 1) query.set("pair", meta.pair_names[state.pair]);
  query.set("overlay", state.overlay.join(","));
  query.set("strip", state.strip);
  query.set("colour", state.colour);
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  history.replaceState(history.state, "", `${location.pathname}?${text}`);
}
let waiting = 0;
function rememberSoon() {  // browsers limit how often the address may change
  clearTimeout(waiting);
  waiting = setTimeout(remember, 150);
}

function leaveControl() {  // arrow keys are the grid's as soon as a choice was made
  let element = document.activeElement;
  while (element && element.shadowRoot && element.shadowRoot.activeElement) {
    element = element.shadowRoot.activeElement;
  }
  if (element && element !== document.body) element.blur();
}

function set(change) {
  Object.assign(state, change);
  if ("label" in change) state.rest = places[state.label].slice(2);
  if ("rest" in change) {
    const here = places[state.label];
    const like = places.findIndex((p, label) => inSlice(label) && p[0] === here[0] && p[1] === here[1]);
    const any = places.findIndex((p, label) => inSlice(label));
    state.label = like >= 0 ? like : any >= 0 ? any : state.label;
  }
  if ("colour" in change) setScale();
  if (["source", "column", "rest"].some((name) => name in change)) drawGrid();
  drawLabel();
  rememberSoon();
}

const arrows = {ArrowLeft: 0, ArrowRight: 1, ArrowDown: 2, ArrowUp: 3};
document.addEventListener("keydown", (event) => {
  const from = event.composedPath()[0];
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (["INPUT", "SELECT", "TEXTAREA"].includes(from.tagName)) return;
  if (event.key in arrows) {
    event.preventDefault();
    const next = neighbours[state.label][arrows[event.key]];
    if (next !== state.label) set({label: next});
  } else if (/^[1-9]$/.test(event.key) && Number(event.key) <= drawn.length) {
    const name = drawn[Number(event.key) - 1];
    source_control.active = Number(event.key) - 1;
    set({source: sources.indexOf(name)});
  }
});

function click(x, y) {
  let best = -1, least = 0.75;
  for (let label = 0; label < nLabels; label++) {
    if (!inSlice(label)) continue;
    const far = Math.max(Math.abs(places[label][0] - x), Math.abs((places[label][1] ?? 0) - y));
    if (far < least) { least = far; best = label; }
  }
  if (best >= 0) set({label: best});
}

window.presage = {state, set, click, leaveControl, meta, loaded: () => loaded.pair, received: () => { receive(); drawLabel(); }};
receive();
setScale();
drawGrid();
drawLabel();
remember();
setTimeout(() => keepStyles(figure_models), 300);  // once all is laid out
