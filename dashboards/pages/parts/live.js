// -- live: the flow at a label that was never simulated ----------------------------------
//
// A slider's release sends its label to the server, which answers with histograms of 10 000
// events of the flow and of its rivals. One request is under way at a time; of those made
// meanwhile, the last one follows.

const LIVE_TITLE = "Draw 10 000 events of the flow at any label of the trained range: move a slider, type, " +
  "or click into the label grid with the shift key held.";
const sliders = meta.live.parameters;
let asked = 0, underway = false, next = null;

const liveRoot = () => Bokeh.index.find_one_by_id?.(live_div.id)?.shadow_el ?? null;
const knobs = (kind) => [...(liveRoot()?.querySelectorAll(`input.${kind}`) ?? [])];
const typed = (value) => String(+value.toPrecision(6));
const said = (text, bad = false) => {
  const element = liveRoot()?.querySelector(".said");
  if (!element) return;
  element.textContent = element.title = text;
  element.classList.toggle("bad", bad);
};

function layLive() {
  if (meta.live.why) {
    write(live_div, `<div class="live none" title="${escaped(meta.live.why)}">${escaped(meta.live.why)}</div>`);
    return;
  }
  const rows = sliders.map((p, k) => {
    const about = `${escaped(p.name)}, trained ${typed(p.low)} … ${typed(p.high)} ${escaped(p.unit)}`;
    const step = (p.high - p.low) / 500 || 1;
    return `<span class="knob" title="${about}"><label for="knob${k}">${escaped(p.short)}</label>` +
      `<input class="slide" id="knob${k}" type="range" min="${p.low}" max="${p.high}" step="${step}">` +
      `<input class="typed" type="text" inputmode="decimal" autocomplete="off" aria-label="${about}">` +
      `<span>${escaped(p.unit)}</span></span>`;
  });
  write(live_div, `<div class="live"><b title="${escaped(LIVE_TITLE)}">live</b>` +
    `${rows.join("")}<button type="button" class="go"></button><span class="said" role="status"></span></div>`);
  knobs("slide").forEach((slide, k) => {
    slide.addEventListener("input", () => { knobs("typed")[k].value = typed(slide.valueAsNumber); cross(); });
    slide.addEventListener("change", () => draw(values()));
  });
  knobs("typed").forEach((box) => {
    box.addEventListener("change", () => draw(values()));
    box.addEventListener("keydown", (event) => { if (event.key === "Enter") draw(values()); });
  });
  liveRoot()?.querySelector(".go").addEventListener("click", () => state.live ? leaveLive() : draw(values()));
}

// The label in the boxes; null, with a word why, where one of them holds none.
function values() {
  const found = [];
  for (const [k, box] of knobs("typed").entries()) {
    const p = sliders[k], text = box.value.trim(), value = text === "" ? NaN : Number(text);
    const inside = value >= p.low * (1 - 1e-6 * Math.sign(p.low)) && value <= p.high * (1 + 1e-6 * Math.sign(p.high));
    box.classList.toggle("bad", !inside);
    const range = `${typed(p.low)} … ${typed(p.high)} ${p.unit}`;
    if (!Number.isFinite(value)) { said(`${p.short}: “${text}” is not a number; give ${range}`, true); return null; }
    if (!inside) { said(`${p.short} = ${typed(value)} is outside the trained range ${range}`, true); return null; }
    found.push(Math.min(Math.max(value, p.low), p.high));
  }
  return found;
}

function draw(label) {
  if (label === null) return;
  if (live !== null && String(label) === String(live.label) && !underway) { sayLive(); return; }
  state.live = label;
  showKnobs(label);
  cross();
  said(live === null ? "loading the flow …" : "drawing …");
  ask(label);
  rememberSoon();
}

function ask(label) {
  if (underway && performance.now() - underway < 20000) { next = label; return; }
  const wanted = [state.source, state.against].map((k) => sources[k]);
  const from = wanted.filter((name) => meta.live.flows.includes(name));
  underway = performance.now();
  next = null;
  live_request.data = {serial: [++asked], label: [label], sources: [from.length ? from : meta.live.flows.slice(0, 1)]};
}

function answered() {
  underway = false;
  const data = plain(live_answer.data);
  if (next) { ask(next); return; }
  if (state.live === null || data.serial[0] !== asked) return;  // gone back meanwhile
  if (data.error[0]) { said(data.error[0], true); return; }
  const about = JSON.parse(data.about[0]);
  const slot = {};
  about.sources.forEach((name, k) => { slot[cast.indexOf(name)] = k; });
  live = {...about, slot, edges: flat(data.edges[0]), counts: flat(data.counts[0]), cells: flat(data.cells[0])};
  sayLive();
  drawLabel();
}

const sayLive = () => said(live.strange || aboutRivals(), Boolean(live.strange));
function aboutRivals() {
  if (live.no_rival) return `no rival: ${live.no_rival}`;
  const label = live.nearest.map((v, k) => `${typed(+v.toPrecision(5))}${sliders[k].unit ? ` ${sliders[k].unit}` : ""}`);
  return `nearest trained: ${label.join(", ")}`;
}

function dropLive() {
  next = null;
  live = state.live = null;
  said("");
  cross();
}

function leaveLive() {
  dropLive();
  drawLabel();
  rememberSoon();
}

function liveScene() {
  const has = (k) => k > 0 && live.slot[k] !== undefined;
  const drawnLive = live.sources.filter((name) => meta.live.flows.includes(name)).map((n) => cast.indexOf(n));
  const plus = drawnLive.includes(state.source) ? state.source : drawnLive[0];
  const others = [state.against, meta.rivals.morphing, meta.rivals.nearest];
  const minus = others.find((k) => has(k) && k !== plus) ?? NONE;
  const shown = Object.keys(live.slot).map(Number);
  return {label: LIVE, left: plus, middle: minus, plus, minus, base: minus, scale: plus, shown,
    strips: minus === NONE ? [] : drawnLive.filter((k) => k !== minus)};
}

function liveHead() {
  const text = live.label.map((value, k) =>
    `${sliders[k].name} = ${typed(+value.toPrecision(5))}${sliders[k].unit ? ` ${sliders[k].unit}` : ""}`).join(", ");
  const known = table.findIndex((row) => row.every((v, k) => Math.abs(v - live.label[k]) <= 1e-6 * Math.abs(v)));
  const tag = known < 0 ? "never simulated" : regions[known] === "trained" ? "in the training" : "held out";
  const flows = live.sources.filter((name) => meta.live.flows.includes(name)).length;
  return {text, tag, more: `${whole(live.events[0] * flows)} events drawn in ${live.ms.toFixed(0)} ms · Esc back`};
}

// -- where it is -------------------------------------------------------------------------

// Squares stand at whole numbers: a value between two labels is that far between their squares.
function placeOf(value, axis) {
  if (axis.length < 2) return 0;
  let k = axis.findIndex((v) => v > value) - 1;
  if (k < 0) k = value < axis[0] ? 0 : axis.length - 2;
  return Math.min(Math.max(k + (value - axis[k]) / (axis[k + 1] - axis[k]), -0.5), axis.length - 0.5);
}
function valueOf(place, axis) {
  if (axis.length < 2) return axis[0];
  const k = Math.min(Math.max(Math.floor(place), 0), axis.length - 2);
  return axis[k] + (place - k) * (axis[k + 1] - axis[k]);
}

function cross() {
  const sliding = knobs("slide").some((slide) => slide.matches(":active"));
  const at = sliding ? knobs("slide").map((slide) => slide.valueAsNumber) : state.live;
  const data = at ? {x: [placeOf(at[0], meta.axes[0])], y: [at.length > 1 ? placeOf(at[1], meta.axes[1]) : 0]}
    : {x: [], y: []};
  put(grid.cross, {data});
}

function showKnobs(label) {
  knobs("slide").forEach((slide, k) => { slide.value = label[k]; });
  knobs("typed").forEach((box, k) => { box.value = typed(label[k]); box.classList.remove("bad"); });
}

// Sliders stand at the label that is shown, from where they are moved on.
function followLabel() {
  if (meta.live.why) return;
  const go = liveRoot()?.querySelector(".go");
  if (go) go.textContent = state.live ? "back" : "draw";
  if (state.live) return;
  said("");
  showKnobs(table[state.label].map((v, k) => Math.min(Math.max(v, sliders[k].low), sliders[k].high)));
}

// A click with the shift key draws where it was made.
function clickLive(x, y) {
  const label = table[state.label].map((v, k) => k > 1 ? v : valueOf([x, y][k], meta.axes[k]));
  draw(label.map((v, k) => Math.min(Math.max(v, sliders[k].low), sliders[k].high)));
}

// The first draw loads the network; done before, while nobody waits.
function warmUp() {
  if (!meta.live.why && asked === 0) live_request.data = {serial: [0], label: [[]], sources: [[]]};
}
