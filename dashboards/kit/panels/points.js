// -- points: a number against another one, a point for each member; a click chooses one ---------

KINDS.points = (spec, m) => {
  const at = (k) => [spec.x, spec.y].map((name) => one(name, {[cast.dim]: k}));
  const there = () => cast.names.map((_, k) => k).filter((k) => at(k).every(Number.isFinite));
  const placed = (members) => ({x: members.map((k) => at(k)[0]), y: members.map((k) => at(k)[1])});
  // Where names stand: beside their points, or above those that are there already.
  function beside(members) {
    const {x_range: across, y_range: up, inner_height: tall} = m.figure, taken = [];
    const line = 13 * (up.end - up.start) / (tall || 260), wide = 0.3 * (across.end - across.start);
    for (const k of [...members].sort((a, b) => at(a)[1] - at(b)[1])) {
      const [x, y] = at(k), near = taken.filter((other) => Math.abs(other.x - x) < wide);
      taken.push({k, x, y: Math.max(y, ...near.map((other) => other.y + line))});
    }
    return members.map((k) => taken.find((one) => one.k === k).y);
  }
  function draw(now) {
    const all = there();
    put(m.points, {data: {...placed(all), beside: beside(all), colour: all.map((k) => cast.colours[k]), text: all.map(called)}});
    put(m.chosen, {data: placed(all.filter((k) => k === now.plus || k === now.minus))});
  }
  function click(x, y, shifted, from) {
    if (from?.id !== m.figure.id) return;
    const {x_range: across, y_range: up} = m.figure;
    const far = (k) => Math.hypot((at(k)[0] - x) / (across.end - across.start), (at(k)[1] - y) / (up.end - up.start));
    const [best] = there().sort((a, b) => far(a) - far(b));
    if (best !== undefined && far(best) < 0.06) set({[shifted ? cast.b : cast.a]: best});
  }
  return {draw, click};
};
