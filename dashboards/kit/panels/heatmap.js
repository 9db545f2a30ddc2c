// -- heat map: a number over one index (labels on a grid) or two; a click chooses ---------------

KINDS.heatmap = (spec, m) => {
  const [first, second] = spec.over.map(choiceOf), {columns, regions} = spec;
  const cells = second
    ? first.held.flatMap((u, i) => second.held.map((v, j) => ({at: [i, j], set: {[first.name]: u, [second.name]: v}})))
    : first.held.map((u, k) => ({at: first.places ? [first.places[k][0], first.places[k][1] ?? 0] : [k, 0], set: {[first.name]: u}}));
  const seen = (k) => first !== labels || inSlice(k);
  const column = () => columns[spec.column ? state[spec.column] : 0];
  const compared = () => cast?.b && state[cast.b] > 0;
  const of = (k) => cast?.a ? {[cast.dim]: k} : {};
  const every = Object.fromEntries(spec.over.map((name) => [name, null]));
  const valuesOf = (k) => read(spec.value, {...of(k), ...every}) ?? [];
  let words = new Map();

  // The number a square is coloured by: a member's own or, with another one to compare with, by
  // how much the first one's is larger (of signed numbers, in size).
  function values() {
    const here = valuesOf(state[cast?.a]);
    if (!compared()) return here;
    const there = valuesOf(state[cast.b]), {signed} = column();
    return here.map((value, k) => signed ? Math.abs(value) - Math.abs(there[k]) : value - there[k]);
  }

  function draw() {
    const about = column(), two_sided = about.signed || compared(), here = values();
    const chance = spec.floor === NONE ? null : valuesOf(spec.floor);
    const shown = {x: [], y: [], value: [], cell: [], text: []};
    const marks = Object.fromEntries(regions.map(({name}) => [name, {x: [], y: []}]));
    const what = compared() ? `${about.title}, ${called(state[cast.a])} − ${called(state[cast.b])}:` : about.title;
    cells.forEach(({at: [x, y]}, k) => {
      if (!seen(k)) return;
      shown.x.push(x); shown.y.push(y); shown.value.push(here[k]); shown.cell.push(k);
      const floor = chance && Number.isFinite(chance[k]) ? `, floor ${show(chance[k])}` : "";
      shown.text.push(`${spec.names[k]}: ${what} ${show(here[k])}${floor}`);
      marks[spec.marks[k]]?.x.push(x); marks[spec.marks[k]]?.y.push(y);
    });
    const finite = shown.value.filter(Number.isFinite).sort((a, b) => a - b);
    const at = (q) => finite.length ? finite[Math.floor(q * (finite.length - 1))] : 0;
    let low = Math.min(0, at(0)), high = at(0.98);
    if (about.best === 0.5) low = 0.5;
    if (two_sided) { high = Math.max(Math.abs(at(0.02)), Math.abs(high)); low = -high; }
    else if (about.best === null) low = 0;
    if (!(high > low)) { high = low + 1e-6; low -= two_sided ? 1e-6 : 0; }
    const palette = two_sided ? spec.diverging : spec.sequential;
    put(m.mapper, {palette: about.best === null ? [...palette].reverse() : palette, low, high});
    nameColours(about, low, high);
    put(m.cells, {data: shown});
    for (const name of Object.keys(marks)) if (m[name]) put(m[name], {data: marks[name]});
    mark();
  }

  // Which end of the colours is good, in words; between them the floor and round numbers.
  function nameColours(about, low, high) {
    const away = (a, b) => Math.abs(a - b) > 0.07 * (high - low), more = about.best === null;
    let ends = more ? ["bad", "good"] : about.signed ? ["bad", "bad"] : ["good", "bad"];
    if (compared()) ends = [cast.a, cast.b].map((name) => `${called(state[name])}\nbetter`);
    if (compared() && more) ends.reverse();
    words = new Map([[low, ends[0]], [high, ends[1]]]);
    const chance = spec.floor === NONE ? NaN : read(spec.median, of(spec.floor))?.[0] ?? NaN;
    if (!compared() && !about.signed && !more && chance > low && chance < high && away(chance, low)) words.set(chance, "floor");
    for (const tick of roundNumbers([low, high], 4)) {
      if (![...words.keys()].every((word) => away(tick.at, word))) continue;
      words.set(tick.at, about.signed && tick.at === 0 && !compared() ? "0 good" : Math.abs(tick.at) < 1e4 ? tick.text : show(tick.at));
    }
    put(m.bar.ticker, {ticks: [...words.keys()].sort((a, b) => a - b)});
    put(m.bar, {major_label_overrides: words});
  }

  function mark() {
    const {at} = cells.find(({set}) => Object.entries(set).every(([name, value]) => state[name] === value));
    put(m.chosen, {data: live ? {x: [], y: []} : {x: [at[0]], y: [at[1]]}});
    cross();
  }
  function cross() {  // where something is drawn live, between the squares
    const at = liveLabel(), {axes} = first;
    if (m.cross) put(m.cross, {data: at ? {x: [placeOf(at[0], axes[0])], y: [at.length > 1 ? placeOf(at[1], axes[1]) : 0]} : {x: [], y: []}});
  }

  function say() {
    if (!m.caption) return;
    const about = column(), source = cast?.a ? escaped(called(state[cast.a])) : "";
    const there = regions.filter(({name}) => name !== "trained");
    const lines = (there.length ? there : regions).map(({name, title}) => {
      const text = compared() ? comparedAt(name, source) : measuredAt(name);
      return `<span class="mark ${name}"></span>${title}: ${text}`;
    });
    const what = compared() ? `${source} − ${escaped(called(state[cast.b]))}` : source;
    write(m.caption, `<div class="caption"><b title="${escaped(about.said)}">${escaped(about.title)}${what ? `, ${what}` : ""}</b>` +
      `<br>${lines.join("<br>")}</div>`);
  }
  const placed = (name) => regions.findIndex((region) => region.name === name);
  function measuredAt(name) {
    const k = placed(name), number = (array, source) => show(read(array, of(source))?.[k] ?? NaN);
    const floor = spec.floor === NONE ? "" : `, <span class="muted">floor ${number(spec.median, spec.floor)}</span>`;
    return `median ${number(spec.median, state[cast?.a])}, worst ${number(spec.worst, state[cast?.a])}${floor}`;
  }
  function comparedAt(name, source) {
    const k = placed(name), pair = {[cast.dim]: state[cast.a], [cast.b]: state[cast.b]};
    return `median ${show(read(spec.difference, pair)[k])}, ${source} better at ${read(spec.better, pair)[k]} of ${regions[k].size}`;
  }

  function click(x, y, shifted, from = m.figure) {
    if (from.id !== m.figure.id) return;
    if (shifted && liveAt([x, y].map((place, k) => first.axes?.[k] && valueOf(place, first.axes[k])))) return;
    let best = -1, least = 0.75;
    cells.forEach(({at}, k) => {
      const far = Math.max(Math.abs(at[0] - x), Math.abs(at[1] - y));
      if (seen(k) && far < least) { least = far; best = k; }
    });
    if (best >= 0) set(cells[best].set);
  }
  return {draw, mark, cross, say, click, words: () => words};
};

// Squares stand at whole numbers: a value between two labels is that far between their squares.
function placeOf(value, axis) {
  if (axis.length < 2) return 0;
  let k = axis.findIndex((v) => v > value) - 1;
  if (k < 0) k = value < axis[0] ? 0 : axis.length - 2;
  return Math.min(Math.max(k + (value - axis[k]) / (axis[k + 1] - axis[k]), -0.5), axis.length - 0.5);
}
function valueOf(place, axis) {
  if (axis.length < 2) return axis[0];
  const k = Math.min(Math.max(Math.floor(place), 0), axis.length - 2);
  return axis[k] + (place - k) * (axis[k + 1] - axis[k]);
}
