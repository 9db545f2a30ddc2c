// -- live: what Python draws at a label that was never simulated ----------------------------------
//
// A slider's release sends its label to the server, which answers with arrays of the same names
// as the product's. They stand in for those, with the words that go with them. One request is
// under way at a time; of those made meanwhile, the last one follows.

const sliders = meta.live?.parameters ?? [], silent = !meta.live || meta.live.why;
let asked = 0, underway = false, next = null;
const knobs = (kind) => [...(viewOf(models.live)?.shadow_el?.querySelectorAll(`input.${kind}`) ?? [])];
const typed = (value) => String(+value.toPrecision(6));
const said = (text, bad = false) => {
  const element = insideOf(models.live, ".said");
  if (!element) return;
  element.textContent = element.title = text;
  element.classList.toggle("bad", bad);
};
const liveMarks = () => panels.forEach((panel) => panel.cross?.());
const clipped = (label) => label.map((v, k) => Math.min(Math.max(v, sliders[k].low), sliders[k].high));

function layLive() {
  if (!meta.live) return;
  const {why, title} = meta.live;
  if (why) {
    write(models.live, `<div class="live none" title="${escaped(why)}">${escaped(why)}</div>`);
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
  write(models.live, `<div class="live"><b title="${escaped(title)}">live</b>` +
    `${rows.join("")}<button type="button" class="go"></button><span class="said" role="status"></span></div>`);
  knobs("slide").forEach((slide, k) => {
    slide.addEventListener("input", () => { knobs("typed")[k].value = typed(slide.valueAsNumber); liveMarks(); });
    slide.addEventListener("change", () => draw(values()));
  });
  knobs("typed").forEach((box) => {
    box.addEventListener("change", () => draw(values()));
    box.addEventListener("keydown", (event) => { if (event.key === "Enter") draw(values()); });
  });
  insideOf(models.live, ".go")?.addEventListener("click", () => state.live ? endLive() : draw(values()));
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
    found.push(value);
  }
  return clipped(found);
}

function draw(label) {
  if (label === null) return;
  if (live && String(label) === String(live.label) && !underway) { sayLive(); return; }
  state.live = label;
  showKnobs(label);
  liveMarks();
  said(live ? "drawing …" : meta.live.loading);
  ask(label);
  rememberSoon();
}
function ask(label) {
  if (underway && performance.now() - underway < 20000) { next = label; return; }
  const members = [...[state[cast.a], state[cast.b]].map((k) => cast.names[k]), state.panel ?? ""];
  underway = performance.now();
  next = null;
  models.live_request.data = {serial: [++asked], label: [label], members: [members]};
}
function answered() {
  underway = false;
  const {serial, error, about, ...columns} = plain(models.live_answer.data);
  if (next) { ask(next); return; }
  if (!state.live || serial[0] !== asked) return;  // gone back meanwhile
  if (error[0]) { said(error[0], true); return; }
  const told = JSON.parse(about[0]), stand = {};
  for (const array of told.arrays) stand[array.name] = held(array, flat(columns[array.name][0]));
  live = {...told, arrays: stand};
  sayLive();
  redraw(panels);
}
const sayLive = () => said(live.said, live.bad);

function endLive() {
  next = live = state.live = null;
  said("");
  redraw(panels);
  followLabel();
  rememberSoon();
}
function leaveLive() {
  const slid = document.activeElement && knobs("slide").some((slide) => slide.matches(":focus"));
  if (!state.live && !slid) return false;
  leaveControl();
  if (state.live) endLive();
  return true;
}
function liveStarts() {
  if (silent) return false;
  knobs("slide")[0]?.focus();
  return true;
}
// What the state's change means: another label ends it, other members are drawn anew.
function liveLeft(moved) {
  if (!state.live || !moved.some((name) => [labels.name, "rest"].includes(name))) return false;
  next = live = state.live = null;
  return true;
}
function liveFollows(moved) {
  if (!meta.live) return;
  if (state.live && moved.some((name) => [cast.a, cast.b, "panel"].includes(name))) ask(state.live);
  followLabel();
}
// Where it is: of a slider that is being moved, else of what is drawn.
const liveLabel = () => knobs("slide").some((slide) => slide.matches(":active"))
  ? knobs("slide").map((slide) => slide.valueAsNumber) : state.live;
// A click with the shift key draws where it was made.
function liveAt(place) {
  if (silent) return false;
  draw(clipped(sliders.map((_, k) => place[k] ?? labels.table[state[labels.name]][k])));
  return true;
}
function showKnobs(label) {
  knobs("slide").forEach((slide, k) => { slide.value = label[k]; });
  knobs("typed").forEach((box, k) => { box.value = typed(label[k]); box.classList.remove("bad"); });
}
// Sliders stand at the label that is shown, from where they are moved on.
function followLabel() {
  const go = silent ? null : insideOf(models.live, ".go");
  if (!go) return;
  go.textContent = state.live ? "back" : "draw";
  if (state.live) return;
  said("");
  showKnobs(clipped(labels.table[state[labels.name]]));
}
function startLive() {
  followLabel();
  if (silent) return;
  if (state.live) { const label = state.live; state.live = null; draw(label); }
  // The first draw loads the network; done before, while nobody waits.
  else setTimeout(() => { if (!asked) models.live_request.data = {serial: [0], label: [[]], members: [[]]}; }, 2500);
}
