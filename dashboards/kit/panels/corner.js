// -- corner: contours of each two parameters and each one's marginal, in one figure --------------

const GAP = 0.045;  // between a panel and its place, in units of a panel's side

KINDS.corner = (spec, {sources: m}) => {
  const {parameters, low, high, points, vertices, masses} = spec, count = parameters.length, {base} = cast;
  const names = cast.names;
  const truth = (p) => read("theta")[p];
  const shownOf = (p) => read("shown").subarray(2 * p, 2 * p + 2);  // where the marginal's points are
  const rangeOf = (p) => state[spec.range] === "prior" ? [low[p], high[p]] : shownOf(p);
  const of = (array, k) => read(array, {[cast.dim]: k});
  const isMade = (k) => Number.isFinite(of("marginal", k)[0]);
  // A panel's frame in the figure: column and row from the upper left.
  const cellAt = (column, row) => ({left: column + GAP, right: column + 1 - GAP,
    bottom: count - 1 - row + GAP, top: count - row - GAP});
  const inside = (value, [from, to]) => value >= from && value <= to;

  function draw(now) {
    const out = {outer: line(), inner: line(), prior: line(), truth: line(), cross: {...line(), size: []}};
    for (const name of names) { out[name] = line(); out[`${name}_wide`] = line(); }
    const scales = newScales(), there = now.shown.filter(isMade);
    for (let row = 0; row < count; row++) {
      for (let column = 0; column <= row; column++) {
        const cell = cellAt(column, row), xs = rangeOf(column), ys = rangeOf(row);
        const onX = scaled(cell.left, cell.right, xs), last = row === count - 1;
        axisBelow(scales, cell, xs, false, last);
        if (last) scales.names.push([(cell.left + cell.right) / 2, -0.058 * count, parameters[column], 0]);
        if (row === column) { drawMarginal(out, there, cell, column, onX); continue; }
        const onY = scaled(cell.bottom, cell.top, ys);
        axisBeside(scales, cell, ys, false, column === 0);
        if (column === 0) scales.names.push([-0.082 * count, (cell.bottom + cell.top) / 2, parameters[row], Math.PI / 2]);
        drawContours(out, there, row * (row - 1) / 2 + column, onX, onY);
        if (!inside(truth(column), xs) || !inside(truth(row), ys)) continue;
        add(out.cross, onX(truth(column)), onY(truth(row)));
        out.cross.size.push(state[spec.range] === "prior" ? 6 : 12);  // contours are small there
      }
    }
    fillScales(m, scales);
    for (const [name, data] of Object.entries(out)) put(m[name], {data});
  }

  function drawMarginal(out, there, cell, p, onX) {
    const [from, to] = shownOf(p), range = rangeOf(p), flatPrior = read("prior_density")[p];
    const lines = there.map((k) => of("marginal", k).subarray(p * points, (p + 1) * points));
    let top = flatPrior;
    for (const values of lines) for (const value of values) if (value > top) top = value;
    const onY = scaled(cell.bottom, cell.top, [0, top * 1.06]);
    there.forEach((member, n) => {
      const fill = member === base ? out.inner : null, to_line = out[names[member]];
      if (fill) add(fill, onX(from), onY(0));
      for (let k = 0; k < points; k++) {
        const x = onX(from + (to - from) * k / (points - 1)), y = onY(lines[n][k]);
        add(to_line, x, y);
        if (fill) add(fill, x, y);
      }
      if (fill) { add(fill, onX(to), onY(0)); gap(fill); }
      gap(to_line);
    });
    add(out.prior, cell.left, onY(flatPrior));
    add(out.prior, cell.right, onY(flatPrior));
    gap(out.prior);
    for (const edge of [low[p], high[p]]) {
      if (state[spec.range] === "prior" || !inside(edge, range)) continue;  // there the panel ends
      add(out.prior, onX(edge), cell.bottom); add(out.prior, onX(edge), onY(flatPrior)); gap(out.prior);
    }
    if (!inside(truth(p), range)) return;
    add(out.truth, onX(truth(p)), cell.bottom);
    add(out.truth, onX(truth(p)), cell.top);
    gap(out.truth);
  }

  function drawContours(out, there, pair, onX, onY) {
    for (const member of there) {
      const contour = of("contour", member), name = names[member];
      for (let mass = 0; mass < masses; mass++) {
        const lines = mass === 0 ? out[name] : out[`${name}_wide`];
        const fill = member === base ? (mass === 0 ? out.inner : out.outer) : null;
        let at = (pair * masses + mass) * vertices * 2;
        for (let k = 0; k < vertices; k++, at += 2) {
          const x = onX(contour[at]), y = onY(contour[at + 1]);
          add(lines, x, y);
          if (fill) add(fill, x, y);
        }
        gap(lines);
        if (fill) gap(fill);
      }
    }
  }
  return {draw};
};
