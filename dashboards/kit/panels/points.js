// -- points: a number against another one, a point for each member; a click chooses one ---------

KINDS.points = (spec, m) => {
  const {x_range: across, y_range: up} = m.figure, wide = ({start, end}) => end - start;
  const at = (k) => [spec.x, spec.y].map((name) => one(name, {[cast.dim]: k}));
  const there = () => cast.names.map((_, k) => k).filter((k) => at(k).every(Number.isFinite));
  const placed = (members) => ({x: members.map((k) => at(k)[0]), y: members.map((k) => at(k)[1])});
  // Names stand beside their points, or above what is there already.
  function beside(members) {
    const line = 13 * wide(up) / (m.figure.inner_height || 240), room = 0.33 * wide(across), taken = [];
    for (const k of [...members].sort((a, b) => at(a)[1] - at(b)[1])) {
      const [x, from] = at(k);
      const named = (y) => taken.some((other) => Math.abs(other.x - x) < room && Math.abs(other.y - y) < 0.99 * line);
      const marked = (y) => members.some((j) => at(j)[0] > x && at(j)[0] < x + room && Math.abs(at(j)[1] - y) < 0.8 * line);
      let y = from;
      while (named(y) || marked(y)) y += line / 4;
      taken.push({k, x, y});
    }
    return members.map((k) => taken.find((one) => one.k === k).y);
  }
  function reach(range, values, right) {
    const low = Math.min(...values), high = Math.max(...values), size = Math.max(high - low, 1e-9 * Math.abs(high)) || 1;
    put(range, {start: low - 0.1 * size, end: high + right * size});
  }
  function draw(now) {
    const all = there(), {x, y} = placed(all);
    if (all.length) { reach(across, x, 0.6); reach(up, y, 0.2); }
    put(m.points, {data: {x, y, beside: beside(all), colour: all.map((k) => cast.colours[k]), text: all.map(called)}});
    put(m.chosen, {data: placed(all.filter((k) => k === now.plus || k === now.minus))});
    const [aim_x, aim_y] = spec.aims.map((name) => one(name)), out = line();
    if (spec.aims.length) { add(out, aim_x, up.start); add(out, aim_x, up.end); gap(out); add(out, across.start, aim_y); add(out, across.end, aim_y); }
    put(m.aims, {data: out});
  }
  function click(x, y, shifted, from) {
    if (!cast.a || from?.id !== m.figure.id) return;
    const far = (k) => Math.hypot((at(k)[0] - x) / wide(across), (at(k)[1] - y) / wide(up));
    const [best] = there().sort((a, b) => far(a) - far(b));
    if (best !== undefined && far(best) < 0.06) set({[shifted ? cast.b : cast.a]: best});
  }
  m.figure.connect(m.figure.properties.inner_height.change, () => setTimeout(() => draw(scene())));
  return {draw, click};
};
