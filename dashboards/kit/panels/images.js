// -- images: pictures beside one another on common axes, the last one mostly a difference --------

// A title that a panel has room for, its unit kept.
const fitted = (title, room) => {
  const most = Math.max(10, Math.floor((room || 200) / 6.3)), unit = / \[[^\]]*\]$/.exec(title)?.[0] ?? "";
  return title.length <= most ? title : `${title.slice(0, most - unit.length - 1)}…${unit}`;
};

KINDS.images = (spec, m) => {
  const axesNow = () => {
    if (!spec.pairs) return spec.axes.map(({edges, title}) => ({edges, title}));
    return spec.pairs[state[spec.pair]].map((v) => ({edges: read(spec.edges, {[spec.variable]: v}), title: spec.titles[v]}));
  };
  // Which array a picture is of, and which member: of the scene, or what the state says.
  function codesAt({array, role, between}, now) {
    if (!role) return {name: array, codes: codesOf(array)};
    if (now[role] === NONE || (between && now.minus === NONE)) return {};
    const name = between && now.minus !== 0 && !live ? between : array;
    return {name, codes: codesOf(name, {[cast.dim]: now[role]})};
  }
  // Returns how many values lie beyond the scale, and whether any pixel is another one than before.
  function fill(image, picture, now) {
    const {name, codes} = codesAt(picture, now);
    if (!codes) { if (!coming(name)) image.fill(NaN); return [0, true]; }
    let changed = false;
    const put = (at, value) => { const before = image[at]; image[at] = value; changed ||= !Object.is(image[at], before); };
    const table = codeTable(name), last = table ? 254 : NaN;
    const side = spec.side, wide = side / Math.round(Math.sqrt(codes.length));  // live ones may be larger
    let beyond = 0;
    if (!spec.square || wide === 1) {
      for (let k = 0; k < codes.length; k++) {
        put(k, table ? table[codes[k]] : codes[k]);
        if (codes[k] === 0 || codes[k] === last) beyond += 1;
      }
      return [beyond, changed];
    }
    for (const code of codes) if (code === 0 || code === last) beyond += 1;
    for (let j = 0; j < side; j++) {
      for (let i = 0; i < side; i++) put(j * side + i, table[codes[((j / wide) | 0) * (side / wide) + ((i / wide) | 0)]]);
    }
    return [beyond, changed];
  }
  function draw(now) {
    const [x, y] = axesNow(), last = (list) => list[list.length - 1];
    const box = {x: [x.edges[0]], y: [y.edges[0]], dw: [last(x.edges) - x.edges[0]], dh: [last(y.edges) - y.edges[0]]};
    spec.pictures.forEach((picture, k) => {
      const {source, figure} = m.pictures[k], image = columnOf(source, "image")[0];
      const [beyond, changed] = fill(image, picture, now);
      const moved = Object.keys(box).some((side) => columnOf(source, side)[0] !== box[side][0]);
      // Filled in place: where nothing else differs, Bokeh sees no change unless it is told.
      if (changed && !moved) source.change.emit();
      if (moved) put(source, {data: {image: [image], ...box}});
      put(figure.title, {text: titleOf(picture, now, picture.counted ? beyond : 0)});
      put(figure.below[0], {axis_label: k % 2 ? " " : fitted(x.title, m.pictures[0].figure.inner_width + 6)});
    });
    put(m.ranges[0], {start: x.edges[0], end: last(x.edges)});
    put(m.ranges[1], {start: y.edges[0], end: last(y.edges)});
    put(m.pictures[0].figure.left[0], {axis_label: fitted(y.title, m.pictures[0].figure.inner_height)});
    if (spec.over.length) mark([x, y]);
  }
  // The chosen cell, and a click on another one.
  const stepOf = ({edges}, count) => (edges[edges.length - 1] - edges[0]) / count;
  const counts = spec.over.map((name) => choiceOf(name).held.length);
  function mark(axes) {
    const [x, y] = axes.map((axis, k) => axis.edges[0] + (numberOf(spec.over[k], {}) + 0.5) * stepOf(axis, counts[k]));
    put(m.chosen, {data: {x: [x], y: [y]}});
  }
  function click(x, y, shifted, from) {
    if (!spec.over.length || !m.pictures.some(({figure}) => figure.id === from?.id)) return;
    const at = axesNow().map((axis, k) => within(Math.floor(([x, y][k] - axis.edges[0]) / stepOf(axis, counts[k])), counts[k]));
    set(Object.fromEntries(spec.over.map((name, k) => [name, choiceOf(name).held[at[k]]])));
  }
  function titleOf({title, role, between, unit}, now, beyond) {
    const tail = beyond ? `, ▲▼ ${beyond}` : "";
    if (!role) return title + tail;
    if (between) return now.minus === NONE ? "" : `(${called(now.plus)} − ${called(now.minus)}) / σ${tail}`;
    if (now[role] === NONE) return "no rival";
    if (title) return title.replace("*", called(now[role])) + tail;
    const total = spec.total ? one(spec.total, {[cast.dim]: now[role]}) : NaN;
    return called(now[role]) + (Number.isFinite(total) ? `, ${whole(total)} ${unit}` : "");
  }
  function setScale() {
    for (const {scales} of m.pictures) {
      for (const [scale, shown] of Object.entries(scales)) for (const model of shown) put(model, {visible: Object.keys(scales).length < 2 || scale === state[spec.scale]});
    }
  }
  let scale = null;
  return {click, draw: (now) => { if (spec.scale && scale !== state[spec.scale]) { scale = state[spec.scale]; setScale(); } draw(now); }};
};
