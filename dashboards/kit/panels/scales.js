// -- axes of panels that share one figure, lines with gaps ---------------------------------------

const EMPTY = {x: [], y: []}, NO_BAND = {x: [], low: [], high: []};
const scaled = (from, to, [low, high]) => {
  const factor = (to - from) / (high - low);
  return (value) => from + (value - low) * factor;
};
const line = () => ({x: [], y: []});
const add = (to, x, y) => { to.x.push(x); to.y.push(y); };
const gap = (to) => add(to, NaN, NaN);

const RAISED = {"-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹"};
const powerText = (exponent) => exponent >= -2 && exponent <= 3 ? String(+(10 ** exponent).toPrecision(3))
  : `10${[...String(exponent)].map((c) => RAISED[c]).join("")}`;
// Of a range of logarithms: decades, and where there are few of them 2 and 5 as well.
function decades([low, high], want) {
  const found = [], wide = high - low;
  const every = Math.max(1, Math.ceil(wide / want)), between = wide < 0.35 * want ? [1, 2, 5] : [1];
  for (let power = Math.floor(low); power <= high; power += 1) {
    if (power % every) continue;
    for (const lead of between) {
      const at = power + Math.log10(lead);
      if (at < low || at > high) continue;
      found.push({at, text: lead === 1 ? powerText(power) : String(+(lead * 10 ** power).toPrecision(2))});
    }
  }
  return found.length > 1 ? found : roundNumbers([low, high], want).map(
    ({at}) => ({at, text: String(+(10 ** at).toPrecision(3))}));
}
const ticksOf = (range, log, want) => log ? decades(range, want) : roundNumbers(range, want);

// Numbers stand in the figure's own axes as fixed ticks, so that a log axis can follow a curve.
function setAxis(axis, range, log) {
  const ticks = ticksOf(range, log, 6);
  put(axis.ticker, {ticks: ticks.map(({at}) => at), minor_ticks: []});
  put(axis, {major_label_overrides: new Map(ticks.map(({at, text}) => [at, text]))});
}

const newScales = () => ({axes: line(), below: [], beside: [], names: []});
const TICK = 0.028;

// As many numbers as stand beside each other, `wide` being a digit's width.
function axisBelow(scales, cell, range, log, numbered, wide = 0.062) {
  const on = scaled(cell.left, cell.right, range), {axes} = scales;
  add(axes, cell.left, cell.bottom); add(axes, cell.right, cell.bottom); gap(axes);
  let ticks = [];
  for (const want of [4, 3, 2, 1]) {
    ticks = ticksOf(range, log, want).map(({at, text}) => ({x: on(at), text, half: 0.5 * wide * text.length}));
    if (ticks.every((t, k) => !k || t.x - t.half > ticks[k - 1].x + ticks[k - 1].half + 0.6 * wide)) break;
  }
  for (const {x, text, half} of ticks) {
    add(axes, x, cell.bottom); add(axes, x, cell.bottom - TICK); gap(axes);
    const fits = x - half > cell.left - 0.05 && x + half < cell.right + 0.05;
    if (numbered && fits) scales.below.push([x, cell.bottom - TICK, text]);
  }
}

function axisBeside(scales, cell, range, log, numbered, want = 3) {
  const on = scaled(cell.bottom, cell.top, range), {axes} = scales;
  add(axes, cell.left, cell.bottom); add(axes, cell.left, cell.top); gap(axes);
  for (const {at, text} of ticksOf(range, log, want)) {
    const y = on(at);
    add(axes, cell.left, y); add(axes, cell.left - TICK, y); gap(axes);
    if (numbered && y > cell.bottom + 0.02 && y < cell.top - 0.02) scales.beside.push([cell.left - TICK, y, text]);
  }
}

function fillScales(models, scales) {
  const columns = (rows, names) => Object.fromEntries(names.map((name, k) => [name, rows.map((row) => row[k])]));
  put(models.axes, {data: scales.axes});
  put(models.below, {data: columns(scales.below, ["x", "y", "text"])});
  put(models.beside, {data: columns(scales.beside, ["x", "y", "text"])});
  put(models.names, {data: columns(scales.names, ["x", "y", "text", "angle"])});
}
