// The pdf page in the browser: all observations and sizes are here, so a flip asks nothing of the
// server. Runs once per document. Its arguments are arrays (typed, flat), names as JSON, and the
// Bokeh models to fill. What is shown is `state`; `set` changes it, redraws and writes it to the
// address.

const given = Object.fromEntries(Object.entries(plain(arrays)).map(([name, a]) => [name, flat(a)]));
const curves = plain(bands).map((one) => Object.fromEntries(
  Object.entries(one).map(([name, a]) => [name, flat(a)])));
const sheets = plain(sheet_models), axes = plain(ranges);
const {kinds, sizes, parameters, colours, features} = meta;
const nSizes = sizes.length, nKinds = kinds.length, nParameters = parameters.length;
const nPairs = nParameters * (nParameters - 1) / 2, nVertices = meta.vertices, nPoints = meta.points;
const nMasses = meta.masses.length, nLevels = meta.levels.length;
const GAP = 0.045;  // between a panel and its place, in units of a panel's side

// -- numbers -------------------------------------------------------------------------------

const place = () => state.observation * nSizes + state.size;
const spot = (kind) => place() * nKinds + kinds.indexOf(kind);
const made = (kind) => Number.isFinite(given.marginal[spot(kind) * nParameters * nPoints]);
const shownKinds = () => kinds.filter((kind) => state.kinds.includes(kind) && made(kind));
const truth = (parameter) => given.theta[state.observation * nParameters + parameter];
const rangeOf = (parameter) => {
  if (state.range === "prior") return [meta.low[parameter], meta.high[parameter]];
  const at = (place() * nParameters + parameter) * 2;
  return [given.shown[at], given.shown[at + 1]];
};
const shownOf = (parameter) => {  // where the marginal's points are, whatever the panel's range
  const at = (place() * nParameters + parameter) * 2;
  return [given.shown[at], given.shown[at + 1]];
};
const numberOf = (name, kind) => given[name][spot(kind)];
const ofParameter = (name, kind, parameter) => given[name][spot(kind) * nParameters + parameter];

// -- the corner ------------------------------------------------------------------------------

// A panel's frame in the figure: column and row from the upper left.
const cellAt = (column, row) => ({
  left: column + GAP, right: column + 1 - GAP,
  bottom: nParameters - 1 - row + GAP, top: nParameters - row - GAP,
});
const scaled = (from, to, [low, high]) => {
  const factor = (to - from) / (high - low);
  return (value) => from + (value - low) * factor;
};
const line = () => ({x: [], y: []});
const add = (to, x, y) => { to.x.push(x); to.y.push(y); };
const gap = (to) => add(to, NaN, NaN);
const inside = (value, [low, high]) => value >= low && value <= high;

function drawCorner() {
  const out = {outer: line(), inner: line(), prior: line(), truth: line(), cross: {...line(), size: []}};
  for (const kind of kinds) { out[kind] = line(); out[`${kind}_wide`] = line(); }
  const scales = newScales();
  for (let row = 0; row < nParameters; row++) {
    for (let column = 0; column <= row; column++) {
      const cell = cellAt(column, row), xs = rangeOf(column), ys = rangeOf(row);
      const onX = scaled(cell.left, cell.right, xs);
      const last = row === nParameters - 1;
      axisBelow(scales, cell, xs, false, last);
      if (last) scales.names.push([(cell.left + cell.right) / 2, -0.058 * nParameters, parameters[column], 0]);
      if (row === column) { drawMarginal(out, cell, column, onX); continue; }
      const onY = scaled(cell.bottom, cell.top, ys);
      axisBeside(scales, cell, ys, false, column === 0);
      if (column === 0) {
        scales.names.push([-0.082 * nParameters, (cell.bottom + cell.top) / 2, parameters[row], Math.PI / 2]);
      }
      drawContours(out, row * (row - 1) / 2 + column, onX, onY);
      if (!inside(truth(column), xs) || !inside(truth(row), ys)) continue;
      add(out.cross, onX(truth(column)), onY(truth(row)));
      out.cross.size.push(state.range === "prior" ? 6 : 12);  // contours are small there
    }
  }
  fillScales(sheets.corner, scales);
  for (const [name, data] of Object.entries(out)) put(sheets.corner[name], {data});
}

function drawMarginal(out, cell, parameter, onX) {
  const [low, high] = shownOf(parameter), range = rangeOf(parameter);
  const flatPrior = 1 / (meta.high[parameter] - meta.low[parameter]);
  let top = flatPrior;
  const there = shownKinds(), at = (kind) => (spot(kind) * nParameters + parameter) * nPoints;
  for (const kind of there) {
    for (let k = at(kind); k < at(kind) + nPoints; k++) if (given.marginal[k] > top) top = given.marginal[k];
  }
  const onY = scaled(cell.bottom, cell.top, [0, top * 1.06]);
  for (const kind of there) {
    const from = at(kind), fill = kind === "reference" ? out.inner : null;
    if (fill) add(fill, onX(low), onY(0));
    for (let k = 0; k < nPoints; k++) {
      const x = onX(low + (high - low) * k / (nPoints - 1)), y = onY(given.marginal[from + k]);
      add(out[kind], x, y);
      if (fill) add(fill, x, y);
    }
    if (fill) { add(fill, onX(high), onY(0)); gap(fill); }
    gap(out[kind]);
  }
  add(out.prior, cell.left, onY(flatPrior));
  add(out.prior, cell.right, onY(flatPrior));
  gap(out.prior);
  for (const edge of [meta.low[parameter], meta.high[parameter]]) {
    if (state.range === "prior" || !inside(edge, range)) continue;  // there the panel ends
    add(out.prior, onX(edge), cell.bottom); add(out.prior, onX(edge), onY(flatPrior)); gap(out.prior);
  }
  if (inside(truth(parameter), range)) {
    add(out.truth, onX(truth(parameter)), cell.bottom);
    add(out.truth, onX(truth(parameter)), cell.top);
    gap(out.truth);
  }
}

function drawContours(out, pair, onX, onY) {
  for (const kind of shownKinds()) {
    for (let m = 0; m < nMasses; m++) {
      const lines = m === 0 ? out[kind] : out[`${kind}_wide`];
      const fill = kind === "reference" ? (m === 0 ? out.inner : out.outer) : null;
      let at = (((spot(kind) * nPairs + pair) * nMasses) + m) * nVertices * 2;
      for (let k = 0; k < nVertices; k++, at += 2) {
        const x = onX(given.contour[at]), y = onY(given.contour[at + 1]);
        add(lines, x, y);
        if (fill) add(fill, x, y);
      }
      gap(lines);
      if (fill) gap(fill);
    }
  }
}

// -- curves ------------------------------------------------------------------------------------

// Levels of a band are 2.5, 16, 50, 84 and 97.5 %, so the middle one is the median.
const bandOf = (curve, kind, level) => {
  const size = curve.grid.length, at = (spot(kind) * nLevels + level) * size;
  return curve.band.subarray(at, at + size);
};
const trueCurve = (curve) => {
  const size = curve.grid.length;
  return curve.truth.subarray(state.observation * size, (state.observation + 1) * size);
};
const joined = (parts, x) => {  // several lines as one, with gaps
  const out = line();
  for (const y of parts) {
    for (let k = 0; k < x.length; k++) add(out, x[k], y[k]);
    gap(out);
  }
  return out;
};
const EMPTY = {x: [], y: []}, NO_BAND = {x: [], low: [], high: []};

function drawCurve() {
  if (!curves.length) return;
  const curve = curves[state.curve], about = meta.curves[state.curve];
  const x = about.log ? curve.grid.map(Math.log10) : curve.grid;
  const there = shownKinds(), is = trueCurve(curve);
  drawBands(sheets.curve, x, there, is, (kind, level) => bandOf(curve, kind, level));
  let low = Infinity, high = -Infinity;
  for (const kind of there.length ? there : kinds.filter(made)) {
    for (const [level, far] of [[0, low], [nLevels - 1, high]]) {
      for (const y of bandOf(curve, kind, level)) { if (y < low) low = y; if (y > high) high = y; }
    }
  }
  for (const y of is) { if (y < low) low = y; if (y > high) high = y; }
  const room = 0.05 * (high - low || 1);
  put(axes.y, {start: low >= 0 && low < 0.2 * high ? -0.3 * room : low - room, end: high + room});
  drawResidual(curve, x, there, is);
  put(axes.x, {start: x[0], end: x[x.length - 1]});
  setAxis(axes.x_axis, [x[0], x[x.length - 1]], about.log);
  setAxis(axes.top_axis, [x[0], x[x.length - 1]], about.log);
  put(axes.x_axis, {axis_label: about.x});
  put(axes.y_axis, {axis_label: about.title});
}

function drawBands(models, x, there, is, values) {
  const reference = there.includes("reference");
  const filled = (low, high) => reference
    ? {x, low: values("reference", low), high: values("reference", high)} : NO_BAND;
  put(models.outer, {data: filled(0, nLevels - 1)});
  put(models.inner, {data: filled(1, nLevels - 2)});
  for (const kind of kinds) {
    const on = there.includes(kind);
    put(models[kind], {data: on ? {x, y: values(kind, nLevels >> 1)} : EMPTY});
    if (kind === "reference") continue;
    put(models[`${kind}_wide`], {data: on ? joined([1, nLevels - 2].map((l) => values(kind, l)), x) : EMPTY});
  }
  put(models.truth, {data: {x, y: is}});
}

// What each curve is away from the reference's median, or from the truth: in half widths of the
// reference's 68 % band (its sigma), or as a ratio where the base is not nearly nothing.
function drawResidual(curve, x, there, is) {
  const unit = made("reference") ? "reference" : kinds.find(made);
  const base = state.against === "truth" ? is : bandOf(curve, unit, nLevels >> 1);
  const low = bandOf(curve, unit, 1), high = bandOf(curve, unit, nLevels - 2);
  const ratio = state.strip === "ratio";
  let most = 0;
  for (const value of base) most = Math.max(most, Math.abs(value));
  const away = (y) => y.map((value, k) => {
    const size = ratio ? (Math.abs(base[k]) > 1e-3 * most ? base[k] : NaN) : (high[k] - low[k]) / 2;
    return size ? (value - base[k]) / size : NaN;
  });
  drawBands(sheets.strip, x, there, away(is), (kind, level) => away(bandOf(curve, kind, level)));
  let reach = 2.6;
  if (ratio) {
    const wide = [];
    for (const kind of there.length ? there : [unit]) {
      for (const level of [1, nLevels - 2]) wide.push(...away(bandOf(curve, kind, level)).filter(Number.isFinite));
    }
    wide.sort((a, b) => Math.abs(a) - Math.abs(b));
    const typical = wide.length ? Math.abs(wide[Math.floor(0.7 * (wide.length - 1))]) : 0.1;
    reach = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((step) => 2 * typical <= step) ?? 5;
  }
  put(axes.strip, {start: -reach, end: reach});
  const what = state.against === "truth" ? "truth" : "ref.";
  put(axes.strip_axis, {axis_label: ratio ? `curve / ${what} − 1` : `(curve − ${what}) / σ`});
}

// -- events ------------------------------------------------------------------------------------

const MOST_POINTS = 700, BINS = 36;
function valuesOf(feature) {
  const count = Math.min(sizes[state.size], meta.events), out = new Float64Array(count);
  const {log} = features[feature], stride = features.length;
  let at = state.observation * meta.events * stride + feature;
  for (let k = 0; k < count; k++, at += stride) out[k] = log ? Math.log10(given.events[at]) : given.events[at];
  return out;
}
const span = (feature) => {  // of all events of the observation: it stays when the size changes
  const all = [], {log} = features[feature], stride = features.length;
  const step = Math.max(1, Math.floor(meta.events / 2000));
  for (let k = 0; k < meta.events; k += step) {
    const value = given.events[(state.observation * meta.events + k) * stride + feature];
    all.push(log ? Math.log10(value) : value);
  }
  all.sort((a, b) => a - b);
  const low = all[0], high = all[all.length - 1], room = 0.04 * (high - low) || 0.5;
  return [low - room, high + room];
};

function drawEvents() {
  const chosen = meta.feature_places[state.features];
  const out = {fill: line(), steps: line(), points: line()}, scales = newScales();
  const values = chosen.map(valuesOf), spans = chosen.map(span);
  const panel = (k) => ({left: k + 0.05, right: k + 0.94, bottom: 0.02, top: 1.02});
  const under = (k, text) => scales.names.push([k + 0.5, -0.21, text, 0]);
  let from = 0;
  if (chosen.length > 1) {
    const cell = panel(0), [a, b] = chosen;
    axisBelow(scales, cell, spans[0], features[a].log, true, 0.035);
    axisBeside(scales, cell, spans[1], features[b].log, true, 4);
    under(0, features[a].title);
    scales.names.push([-0.175, 0.5, features[b].title, Math.PI / 2]);
    const onX = scaled(cell.left, cell.right, spans[0]), onY = scaled(cell.bottom, cell.top, spans[1]);
    const count = Math.min(values[0].length, MOST_POINTS);
    for (let k = 0; k < count; k++) add(out.points, onX(values[0][k]), onY(values[1][k]));
    from = 1;
  }
  chosen.forEach((feature, k) => {
    const cell = panel(from + k), counts = new Float64Array(BINS), [low, high] = spans[k];
    for (const value of values[k]) {
      const bin = Math.floor((value - low) / (high - low) * BINS);
      if (bin >= 0 && bin < BINS) counts[bin] += 1;
    }
    const top = Math.max(...counts) || 1, onX = scaled(cell.left, cell.right, [0, BINS]);
    const onY = scaled(cell.bottom, cell.top, [0, 1.08 * top]);
    add(out.fill, cell.left, cell.bottom);
    for (let bin = 0; bin < BINS; bin++) {
      for (const edge of [bin, bin + 1]) {
        add(out.steps, onX(edge), onY(counts[bin]));
        add(out.fill, onX(edge), onY(counts[bin]));
      }
    }
    add(out.fill, cell.right, cell.bottom);
    gap(out.fill); gap(out.steps);
    axisBelow(scales, cell, spans[k], features[feature].log, true, 0.035);
    under(from + k, features[feature].title);
  });
  fillScales(sheets.data, scales);
  for (const [name, data] of Object.entries(out)) put(sheets.data[name], {data});
}
