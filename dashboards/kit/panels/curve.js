// -- curve: medians and bands over a grid, the truth, and below them what they are away from it ---

KINDS.curve = (spec, m) => {
  const joined = (parts, x) => {  // several lines as one, with gaps
    const out = line();
    for (const y of parts) {
      for (let k = 0; k < x.length; k++) add(out, x[k], y[k]);
      gap(out);
    }
    return out;
  };
  const members = Object.keys(m.main.lines).map(Number);
  const of = (k) => spec.cast ? {[cast.dim]: k} : {};
  // Levels lie evenly around the median: five are 95 and 68 % bands, three the 68 % band alone.
  const levels = spec.levels, middle = levels >> 1, inner = levels > 3 ? 1 : 0;
  const rows = (flatRows, size) => flatRows && Array.from({length: levels}, (_, k) => flatRows.subarray(k * size, (k + 1) * size));
  const isMade = (lines) => lines && Number.isFinite(lines[middle][0]);

  const least = Math.log10(Number.MIN_VALUE);
  function draw(now) {
    const about = spec.curves[spec.choice ? numberOf(spec.choice, {}) : 0];
    if (codesOf(about.band, of(members[0])) === null && coming(about.band)) return;
    const onY = about.log_y ? (v) => v > 0 ? Math.log10(v) : v <= 0 ? least : NaN : (v) => v;
    const readY = (name, fixed) => about.log_y ? read(name, fixed)?.map(onY) : read(name, fixed);
    const grid = read(about.grid), size = grid.length, x = about.log ? grid.map(Math.log10) : grid;
    const all = new Map(members.map((k) => [k, rows(readY(about.band, of(k)), size)]).filter(([, lines]) => isMade(lines)));
    const drawn = !spec.cast ? [0] : spec.pair ? [now.plus, now.minus] : now.shown;
    const there = drawn.filter((k) => all.has(k)), is = about.truth ? readY(about.truth) : null;
    const further = about.further.map((name) => readY(name));
    drawBands(m.main, x, new Map(there.map((k) => [k, all.get(k)])), is);
    let low = Infinity, high = -Infinity;
    const reach = (values) => { for (const y of values) { if (y < low && y > least) low = y; if (y > high) high = y; } };
    for (const k of there.length ? there : all.keys()) for (const values of all.get(k)) reach(values);
    for (const values of is ? [is, ...further] : further) reach(values);
    const {axes} = m, [from, to] = about.ends.map((end) => end === null ? null : onY(end));
    if (!(high >= low)) [low, high] = [from ?? 0, to ?? 1];
    [low, high] = [Math.max(low, from ?? low), Math.min(high, to ?? high)];
    const room = 0.05 * (high - low || 1);
    const range = [!about.log_y && low >= 0 && low < 0.2 * high ? -0.3 * room : low - room, high + room];
    put(axes.y, {start: range[0], end: range[1]});
    if (about.log_y) setAxis(axes.y_axis, range, true);
    m.main.further?.forEach((source, k) => put(source, {data: further[k] ? {x, y: further[k]} : EMPTY}));
    if (spec.mark) { const at = about.log ? Math.log10(one(spec.mark)) : one(spec.mark); put(m.main.mark, {data: {x: [at, at], y: range}}); }
    if (about.residual) drawStrip(about, x, size, there.length ? there : [...all.keys()].slice(0, 1), there);
    put(axes.x, {start: x[0], end: x[size - 1]});
    for (const axis of [axes.x_axis, axes.top_axis]) setAxis(axis, [x[0], x[size - 1]], about.log);
    put(axes.x_axis, {axis_label: about.x});
    put(axes.y_axis, {axis_label: about.title});
  }

  function drawBands(to, x, there, is) {
    const base = there.get(spec.cast ? cast.base : 0);
    const filled = (low) => base ? {x, low: base[low], high: base[levels - 1 - low]} : NO_BAND;
    if (to.outer) put(to.outer, {data: filled(0)});
    if (to.inner) put(to.inner, {data: filled(inner)});
    for (const k of members) {
      const lines = there.get(k);
      if (!lines && !to.lines[k].get_length()) continue;
      put(to.lines[k], {data: lines ? {x, y: lines[middle]} : EMPTY});
      if (to.wide[k]) put(to.wide[k], {data: lines && levels > 1 ? joined([lines[inner], lines[levels - 1 - inner]], x) : EMPTY});
    }
    if (is) put(to.truth, {data: {x, y: is}});
  }

  function drawStrip(about, x, size, judged, shown) {
    const away = new Map(judged.map((k) => [k, rows(read(about.residual, of(k)), size)]));
    drawBands(m.strip, x, new Map(shown.map((k) => [k, away.get(k)])), about.true_residual ? read(about.true_residual) : null);
    let reach = spec.reach[spec.scale ? state[spec.scale] : "sigma"];
    if (!reach) {  // a step that most of the bands are within
      const sizes = [...away.values()].flatMap((lines) => [inner, levels - 1 - inner].flatMap((k) => [...lines[k]]))
        .filter(Number.isFinite).map(Math.abs).sort((a, b) => a - b);
      const typical = sizes.length ? sizes[Math.floor(0.7 * (sizes.length - 1))] : 0.1;
      reach = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((step) => 2 * typical <= step) ?? 5;
    }
    put(m.axes.strip, {start: -reach, end: reach});
    put(m.axes.strip_axis, {axis_label: wordsOf(spec.strip_title)});
  }
  return {draw};
};
