// -- sample: points of one variable against another, and each one's histogram, in one figure ------

KINDS.sample = (spec, {sources: m}) => {
  const {features, places, bins, dots} = spec;
  function draw() {
    const chosen = places[spec.choice ? state[spec.choice] : 0], scales = newScales();
    const out = {fill: line(), steps: line(), points: line()};
    const edges = read("event_edges"), span = (f) => [edges[f * (bins + 1)], edges[f * (bins + 1) + bins]];
    const panel = (k) => ({left: k + 0.05, right: k + 0.94, bottom: 0.02, top: 1.02});
    const under = (k, text) => scales.names.push([k + 0.5, -0.21, text, 0]);
    let from = 0;
    if (chosen.length > 1) {
      const cell = panel(0), [a, b] = chosen, values = read("events"), stride = features.length;
      axisBelow(scales, cell, span(a), features[a].log, true, 0.035);
      axisBeside(scales, cell, span(b), features[b].log, true, 4);
      under(0, features[a].title);
      scales.names.push([-0.175, 0.5, features[b].title, Math.PI / 2]);
      const onX = scaled(cell.left, cell.right, span(a)), onY = scaled(cell.bottom, cell.top, span(b));
      for (let k = 0; k < dots[state[spec.size]]; k++) add(out.points, onX(values[k * stride + a]), onY(values[k * stride + b]));
      from = 1;
    }
    chosen.forEach((f, k) => {
      const cell = panel(from + k), counts = read("event_counts").subarray(f * bins, (f + 1) * bins);
      const edge = edges.subarray(f * (bins + 1), (f + 1) * (bins + 1)), top = Math.max(...counts) || 1;
      const onX = scaled(cell.left, cell.right, span(f)), onY = scaled(cell.bottom, cell.top, [0, 1.08 * top]);
      add(out.fill, onX(edge[0]), cell.bottom);
      for (let bin = 0; bin < bins; bin++) {
        for (const at of [bin, bin + 1]) {
          add(out.steps, onX(edge[at]), onY(counts[bin]));
          add(out.fill, onX(edge[at]), onY(counts[bin]));
        }
      }
      add(out.fill, onX(edge[bins]), cell.bottom);
      gap(out.fill); gap(out.steps);
      axisBelow(scales, cell, span(f), features[f].log, true, 0.035);
      under(from + k, features[f].title);
    });
    fillScales(m, scales);
    for (const [name, data] of Object.entries(out)) put(m[name], {data});
  }
  return {draw};
};
