// -- histogram: one variable's distributions with errors, and the strip of what they differ by ---

function outline(values, edge) {
  const bins = values.length, x = new Float64Array(2 * bins + 2), y = new Float64Array(2 * bins + 2);
  x[0] = edge[0];
  for (let i = 0; i < bins; i++) {
    x[2 * i + 1] = edge[i];
    x[2 * i + 2] = edge[i + 1];
    y[2 * i + 1] = y[2 * i + 2] = values[i];
  }
  x[2 * bins + 1] = edge[bins];
  return {x, y};
}

KINDS.histogram = (spec, panel) => {
  const {arrays: name} = spec;
  const variable = () => spec.pairs.length ? spec.pairs[state[spec.pair]][spec.place] : 0;
  function draw(now) {
    const fixed = {[spec.variable]: variable()}, alone = now.base === NONE;
    const of = (array, k) => read(name[array], {...fixed, [cast.dim]: k});
    const edge = read(name.edges, fixed), bins = edge.length - 1, ratio = state[spec.strip] === "ratio";
    const centres = Float64Array.from({length: bins}, (_, i) => (edge[i] + edge[i + 1]) / 2);
    const few = alone ? null : of("few", now.plus), low = {left: [], right: []};
    let top = 0;
    if (alone) for (const source of ["base", "bars"]) put(panel[source], {data: source === "base" ? EMPTY : NO_BAND});
    else top = drawBase(of("density", now.base), of("error", now.base), edge, centres);
    const floor = ratio && !alone ? of("ratio_floor", now.plus) : null, band = {x: [], low: [], high: []};
    for (let i = 0; i < bins; i++) {
      if (few?.[i]) {  // neighbours in one, or a seam is seen between them
        if (low.right[low.right.length - 1] === edge[i]) low.right[low.right.length - 1] = edge[i + 1];
        else { low.left.push(edge[i]); low.right.push(edge[i + 1]); }
      }
      // The floor: what chance alone does to the two samples, one standard deviation.
      const wide = few?.[i] ? 0 : floor ? floor[i] : 1;
      band.x.push(edge[i], edge[i + 1]);
      band.low.push(-wide, -wide);
      band.high.push(wide, wide);
    }
    put(panel.band, {data: band});
    put(panel.masked, {data: low});
    const sizes = [];
    for (const [member, source] of Object.entries(panel.outlines)) {
      const k = Number(member);
      if (!now.shown.includes(k)) {
        if (source.get_length()) { put(source, {data: EMPTY}); put(panel.points[member], {data: {...EMPTY, ...NO_BAND}}); }
        continue;
      }
      const density = of("density", k), masked = alone ? null : of("few", k);
      put(source, {data: outline(density, edge)});
      density.forEach((y, i) => { if (!masked?.[i]) top = Math.max(top, y); });
      if (!now.strips.includes(k)) { put(panel.points[member], {data: {...EMPTY, ...NO_BAND}}); continue; }
      const points = {x: [], y: [], low: [], high: []}, values = of(ratio ? "ratio" : "pull", k);
      const errors = ratio ? of("ratio_error", k) : null;
      for (let i = 0; i < bins; i++) {
        if (masked?.[i] || !Number.isFinite(values[i])) continue;
        points.x.push(centres[i]);
        points.y.push(values[i]);
        points.low.push(values[i] - (errors ? errors[i] : 1));
        points.high.push(values[i] + (errors ? errors[i] : 1));
        if (k === now.plus) sizes.push(Math.abs(values[i]));
      }
      put(panel.points[member], {data: points});
    }
    sizes.sort((a, b) => a - b);
    const typical = sizes.length ? sizes[Math.floor(0.9 * (sizes.length - 1))] : 1;
    const steps = ratio ? [0.03, 0.06, 0.12, 0.25, 0.5, 1, 2, 4] : [4, 8, 16, 32, 64, 128];
    const reach = steps.find((step) => typical * 1.3 <= step) ?? steps[steps.length - 1];
    markBeyond(now, reach, edge[bins]);
    put(panel.main.x_range, {start: edge[0], end: edge[bins]});
    put(panel.main.y_range, {start: 0, end: top * 1.08});
    put(panel.strip.y_range, {start: -reach, end: reach});
    put(panel.strip.below[0], {axis_label: spec.titles[variable()]});
    put(panel.strip.left[0], {axis_label: ratio ? "ratio − 1" : "pull"});
  }
  function drawBase(density, error, edge, x) {
    const low = density.map((y, i) => y - error[i]), high = density.map((y, i) => y + error[i]);
    put(panel.base, {data: outline(density, edge)});
    put(panel.bars, {data: {x, low, high}});
    return Math.max(...high);
  }
  // What is off the scale stands at its edge as a triangle, and is counted.
  function markBeyond(now, reach, right) {
    const out = {x: [], y: [], marker: [], colour: []};
    for (const k of now.strips) {
      const {x, y} = plain(panel.points[k].data);
      for (let i = 0; i < y.length; i++) {
        if (!(Math.abs(y[i]) > reach)) continue;
        out.x.push(x[i]);
        out.y.push(Math.sign(y[i]) * reach * 0.9);
        out.marker.push(y[i] > 0 ? "triangle" : "inverted_triangle");
        out.colour.push(cast.colours[k]);
      }
    }
    const count = out.x.length;
    if (!count && !panel.beyond.get_length()) return;
    put(panel.beyond, {data: out});
    put(panel.said, {data: count ? {x: [right], y: [reach], text: [`▲▼ ${count} off scale`]} : {x: [], y: [], text: []}});
  }
  return {draw};
};
