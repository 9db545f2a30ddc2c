// -- texts -----------------------------------------------------------------------------

const middleOf = (list) => list[Math.floor((list.length - 1) / 2)] ?? NaN;

function drawCaption() {
  const column = columns[state.column], source = escaped(called(state.source));
  const kinds = ["interior", "edge"].filter((kind) => regions.includes(kind));
  const lines = (kinds.length ? kinds : ["trained"]).map((kind) => {
    const name = {trained: "all labels", interior: "held out", edge: "held out, edge"}[kind];
    const text = state.against ? comparedAt(kind, column) : measuredAt(kind, column);
    return `<span class="mark ${kind}"></span>${name}: ${text}`;
  });
  const what = state.against ? `${source} − ${escaped(called(state.against))}` : source;
  write(caption, `<div class="caption"><b title="${escaped(column.said)}">${escaped(column.title)}, ${what}</b>` +
    `<br>${lines.join("<br>")}</div>`);
}

function valuesAt(kind, value) {
  const list = [];
  for (let label = 0; label < nLabels; label++) {
    const here = value(label);
    if (regions[label] === kind && Number.isFinite(here)) list.push(here);
  }
  return list;
}

function measuredAt(kind, column) {
  const of = (s) => valuesAt(kind, (label) => number(state.column, s, label))
    .map((value) => column.signed ? Math.abs(value) : value)
    .sort((a, b) => column.best === null ? b - a : a - b);
  const here = of(state.source), floor = of(sources.indexOf("floor"));
  return `median ${show(middleOf(here))}, worst ${show(here[here.length - 1] ?? NaN)}` +
    (floor.length ? `, <span class="muted">floor ${show(middleOf(floor))}</span>` : "");
}

function comparedAt(kind, column) {
  const list = valuesAt(kind, valueAt).sort((a, b) => a - b);
  const better = list.filter((value) => column.best === null ? value > 0 : value < 0).length;
  return `median ${show(middleOf(list))}, ${escaped(called(state.source))} better at ` +
    `${better} of ${list.length}`;
}

function drawNumbers(label) {
  const used = pairs.length ? pairs[state.pair] : [0];
  const names = used.map((v) => meta.variables[v]);
  const floor = sources.indexOf("floor"), s = state.source, other = state.against;
  const compared = other ? [s, other] : [s];
  const rivals = sources.map((_, k) => k).filter((k) => k > 0 && k !== floor);
  const metrics = [...new Set(columns.map((c) => c.metric))];
  const good = ({best}, value) => best === null ? -value : Math.abs(value - best);
  const among = other ? compared : rivals;
  const gap = "<td></td>".repeat(compared.length + 1);
  const cell = (k) => {
    if (k < 0) return gap;
    const column = columns[k], worth = (source) => good(column, number(k, source, label));
    const shown = compared.map((source) => {
      const text = show(number(k, source, label));
      const best = Number.isFinite(number(k, source, label)) && source !== floor &&
        among.every((o) => o === source || !(worth(o) < worth(source)));
      return `<td>${best ? `<b>${text}</b>` : text}</td>`;
    });
    return `${shown.join("")}<td class="floor">${floor < 0 ? "–" : show(number(k, floor, label))}</td>`;
  };
  const rows = metrics.map((metric) => {
    const of = columns.map((c, k) => [c, k]).filter(([c]) => c.metric === metric);
    const {short, said} = of[0][0];
    const shownRow = columns[state.column].metric === metric ? ' class="shown"' : "";
    const single = of.find(([c]) => c.of === "" || (pairs.length && c.of === meta.pair_names[state.pair]));
    const cells = single ? cell(single[1]) + (names.length > 1 ? gap : "")
      : names.map((name) => cell((of.find(([c]) => c.of === name) ?? [null, -1])[1])).join("");
    return `<tr${shownRow}><td title="${escaped(said)}">${escaped(short)}</td>${cells}</tr>`;
  });
  const head = names.map((name) =>
    `<th class="wide" colspan="${compared.length + 1}">${escaped(name.replaceAll("_", " "))}</th>`);
  const sub = names.map(() => compared.map((k) => `<th>${escaped(called(k))}</th>`).join("") + "<th>floor</th>");
  write(table_div, `<table class="numbers${other ? " tight" : ""}"><tr><th></th>${head.join("")}</tr>` +
    `<tr><th></th>${sub.join("")}</tr>${rows.join("")}</table>` +
    `<div class="muted note">Bold: the best. Floor: chance alone. Point at a name: what it is.</div>`);
}

function drawLiveNumbers() {
  const first = live.sources[0];
  const rows = meta.variables.flatMap((variable, v) => [
    `<tr><th class="wide" colspan="5">${escaped(meta.axis_titles[v])}</th></tr>`,
    ...live.sources.map((name) => {
      const is = live.figures[name][v];
      const far = name === first ? "<td></td><td></td>"
        : `<td>${show(is.w1)}</td><td class="floor">${show(is.floor ?? NaN)}</td>`;
      return `<tr><td>${escaped(meta.called[name])}</td><td>${size(is.mean)}</td><td>${size(is.sigma68)}</td>${far}</tr>`;
    }),
  ]);
  write(table_div, `<table class="numbers"><tr><th></th><th>mean</th><th>σ68</th>` +
    `<th>W₁/std to ${escaped(meta.called[first])}</th><th>floor</th></tr>${rows.join("")}</table>` +
    `<div class="muted note">No truth is known here. σ68: half the central 68 % interval. ` +
    `Floor: the distance that two samples of one distribution, of these sizes, have on average. ` +
    `Morphing uses each training event at most once. Axes end at 6 σ68 from the median.</div>`);
}
// A number of a measured quantity: four digits, whatever its size.
const size = (value) => Number.isFinite(value) ? String(+value.toPrecision(4)).replace("-", "−") : "–";

function drawHead() {
  const {text, tag, more} = live === null ? storedHead(state.label) : liveHead();
  write(head, `<div class="head"><span><b>${escaped(text)}</b><span class="tag">${escaped(tag)}</span></span>` +
    `<span class="muted">${escaped(more)}</span></div>`);
}

function storedHead(label) {
  const tag = regions[label] === "trained" ? "in the training" : `held out, ${regions[label]}`;
  return {text: meta.names[label], tag, more: ""};
}

function drawLegend() {
  const {base, shown} = scene();
  const first = base === NONE ? [] : [keyOf(`${called(base)} ± √n`, `background:#e6e6e6;border-color:${meta.colours[cast[base]]}`, "fill")];
  const lines = shown.filter((k) => k !== base).map((k) => keyOf(called(k), `border-color:${meta.colours[cast[k]]}`));
  write(legend, `<div class="keys">${[...first, ...lines].join("")}` +
    keyOf("±1 σ of chance", "background:#e9e9e9;border-color:#e9e9e9", "fill") +
    keyOf(`under ${meta.low_bin} events`, "background:#f0eff2;border-color:#dfe1e5", "fill") +
    `<span class="key">▲▼ off scale, counted</span></div>`);
}

function drawTexts() {
  if (live === null) drawNumbers(state.label);
  else drawLiveNumbers();
  drawHead();
  drawLegend();
}
