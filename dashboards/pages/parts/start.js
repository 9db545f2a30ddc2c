// -- state -----------------------------------------------------------------------------

const numbersOf = (label) => label.map((v) => String(+v.toPrecision(7))).join(",");
const inAddress = () => ({
  page: "events",
  key: meta.key.slice(0, 16),
  with: meta.with ? meta.with.slice(0, 16) : null,
  label: numbersOf(table[state.label]),
  live: state.live ? numbersOf(state.live) : null,
  ...choicesInAddress(),
});
const remembered = () => followLabel();

function setPanel() {
  const loss = state.panel === "loss";
  put(table_div, {visible: !loss});
  if (aside.visible !== loss) aside.visible = loss;  // the server fills it the first time
}

function set(change) {
  const before = state.source;
  Object.assign(state, change);
  if (state.against === state.source) {  // the two change places
    state.against = "source" in change && before !== state.source ? before : 0;
    follow("against");
  }
  if (state.live && ("label" in change || "rest" in change)) dropLive();
  if ("label" in change) state.rest = places[state.label].slice(2);
  if ("rest" in change) {
    const here = places[state.label];
    const like = places.findIndex((p, label) => inSlice(label) && p[0] === here[0] && p[1] === here[1]);
    const any = places.findIndex((p, label) => inSlice(label));
    state.label = like >= 0 ? like : any >= 0 ? any : state.label;
  }
  if ("colour" in change) setScale();
  if ("panel" in change) setPanel();
  if (["source", "against", "column", "rest"].some((name) => name in change)) drawGrid();
  drawLabel();
  if (state.live && ("source" in change || "against" in change)) ask(state.live);
  rememberSoon();
}

function beside(key) {
  const query = new URLSearchParams(location.search);
  for (const name of ["with", "against"]) query.delete(name);
  const foreign = (name) => name.includes(" · ");  // a source of the product that was beside it
  if (foreign(sources[state.source])) query.delete("source");
  query.set("overlay", state.overlay.filter((name) => !foreign(name)).join(","));
  if (key) query.set("with", key);
  location.search = query.toString();
}

const arrows = {ArrowLeft: 0, ArrowRight: 1, ArrowDown: 2, ArrowUp: 3};
onKeys((event, from, free) => {
  if (event.key === "Escape" && (state.live || from.classList?.contains("slide"))) {
    leaveControl();
    if (state.live) leaveLive();
    return;
  }
  if (!free) return;
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1] ?? /^[1-9]$/.exec(event.key)?.[0];
  if (event.key in arrows) {
    event.preventDefault();
    const next = neighbours[state.label][arrows[event.key]];
    if (next !== state.label || state.live) set({label: next});
  } else if (digit && Number(digit) <= drawn.length) {
    const source = sources.indexOf(drawn[Number(digit) - 1]), name = event.shiftKey ? "against" : "source";
    set({[name]: name === "against" && source === state.against ? 0 : source});
    follow(name);
  } else if (event.key.toLowerCase() === "l" && !meta.live.why) {
    event.preventDefault();
    knobs("slide")[0]?.focus();
  }
});

function click(x, y, shifted) {
  if (shifted && !meta.live.why) { clickLive(x, y); return; }
  let best = -1, least = 0.75;
  for (let label = 0; label < nLabels; label++) {
    if (!inSlice(label)) continue;
    const far = Math.max(Math.abs(places[label][0] - x), Math.abs((places[label][1] ?? 0) - y));
    if (far < least) { least = far; best = label; }
  }
  if (best >= 0) set({label: best});
}

window.presage = {
  state, set, click, leaveControl, meta, beside, picture, composed, answered,
  words: () => grid.bar.major_label_overrides, strips: () => marginals,
  draw, live: () => live, loaded: () => loaded.pair, received: () => { receive(); drawLabel(); },
};
receive();
setScale();
layLive();
drawGrid();
drawLabel();
if (state.panel !== "numbers") setPanel();
if (state.live) draw(state.live);
else setTimeout(warmUp, 2500);
remember();
followLabel();
setTimeout(() => keepStyles(figure_models), 300);  // once all is laid out
