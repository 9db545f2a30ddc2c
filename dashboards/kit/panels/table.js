// -- table: numbers of the state beside their floors; the best is bold, what is far off red -------

KINDS.table = (spec, {div}) => {
  const shown = ({when}) => !when || state[when] > 0;
  const fixedOf = (at) => Object.fromEntries(Object.entries(at).map(([dim, value]) => [dim,
    typeof value === "string" ? state[value] : value]));
  const worth = (best, value) => best === null ? -value : Math.abs(value - best);
  function cellText({array, at, format, floor, off, best, among, span}) {
    const fixed = fixedOf(at), value = one(array, fixed), text = FORMATS[format](value);
    const others = among ? (paired() ? [state[cast.a], state[cast.b]] : among) : [];
    const wins = best !== undefined && Number.isFinite(value) && fixed[cast.dim] !== spec.floor && others.every((k) =>
      k === fixed[cast.dim] || !(worth(best, one(array, {...fixed, [cast.dim]: k})) < worth(best, value)));
    const far = off && Math.abs(value - off[0]) > off[1];
    const classes = [floor && "floor", far && "off"].filter(Boolean).join(" ");
    return `<td${classes ? ` class="${classes}"` : ""}${span > 1 ? ` colspan="${span}"` : ""}>${wins ? `<b>${text}</b>` : text}</td>`;
  }
  const paired = () => spec.pair && cast?.b && state[cast.b] > 0;
  const hint = (text) => text ? ` title="${escaped(text)}"` : "";
  function say() {
    if (live?.table) { write(div, live.table); return; }
    const {groups, columns, rows} = spec.variants[spec.by ? state[spec.by] : 0], there = columns.map(shown);
    const count = (name) => columns.filter((column, k) => column.group === name && there[k]).length;
    const head = groups.map((name) => `<th class="wide" colspan="${count(name)}">${escaped(name)}</th>`).join("");
    const sub = columns.map(({title, member, hint: said}, k) => there[k]
      ? `<th${hint(said)}>${escaped(member ? called(state[member]) : title)}</th>` : "").join("");
    const body = rows.map(({title, said, mark, cells}) => {
      const lit = mark && mark.includes(state[spec.column]) ? ' class="shown"' : "";
      const all = cells.map((cell, k) => cell === null ? (there[k] ? "<td></td>" : "") : there[k] || cell.span > 1 ? cellText(cell) : "");
      return `<tr${lit}><td${hint(said)}>${escaped(title)}</td>${all.join("")}</tr>`;
    });
    const tight = paired() ? " tight" : "";
    const note = spec.words ? `<div class="merit-note">${wordsOf(spec.words)}</div>` : spec.note ? `<div class="muted note">${spec.note}</div>` : "";
    write(div, `<table class="numbers ${spec.class}${tight}"><tr><th></th>${head}</tr><tr><th></th>${sub}</tr>${body.join("")}</table>${note}`);
  }
  return {draw() {}, say};
};
