// The kit in the browser: arrays as they come, the state, keys, the address, texts. Runs once per
// document. Its arguments are the page's declaration as JSON, arrays (typed, flat) and the Bokeh
// models to fill. What is shown is `state`; `set` changes it, redraws what depends on it and
// writes it to the address. Panels only select, scale and draw: every statistic is an array.

const plain = (v) => v instanceof Map ? Object.fromEntries([...v].map(([k, x]) => [k, plain(x)]))
  : Array.isArray(v) ? v.map(plain) : v;
const flat = (a) => {  // a plain typed view: Bokeh's own arrays cannot be cut
  const type = [Float64Array, Float32Array, Uint8Array, Uint16Array, Int16Array, Int32Array].find((t) => a instanceof t);
  return new type(a.buffer, a.byteOffset, a.length);
};
// Changes stay in the browser: the server holds the empty figures only.
const put = (model, change) => model.setv(change, {sync: false});
const viewOf = (model) => model ? Bokeh.index.find_one_by_id?.(model.id) : null;
const insideOf = (div, name) => viewOf(div)?.shadow_el?.querySelector(name);
// Text goes straight into its element: a new text of a Div lays out the whole page again.
const write = (div, html) => {
  const element = insideOf(div, ".text");
  if (element) element.innerHTML = html;
  else put(div, {text: `<div class="text">${html}</div>`});
};
const columnOf = (model, name) => model.data instanceof Map ? model.data.get(name) : model.data[name];
const meta = JSON.parse(meta_text), {state, choices, cast} = meta, models = plain(given_models);
const choiceOf = (name) => choices.find((choice) => choice.name === name);

// -- arrays ----------------------------------------------------------------------------------

// Of 16 bits: sign, five bits of exponent, ten of fraction.
const halves = (codes) => Float32Array.from(codes, (code) => {
  const sign = code & 0x8000 ? -1 : 1, exponent = code >> 10 & 31, fraction = code & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
});
const arrays = {};  // name → what is known of it, with `values`
let live = null;  // what the server drew: its arrays stand in for the product's
const held = (about, values) => ({...about, values: about.half ? halves(values) : values,
  table: about.table ? Float32Array.from(about.table, (value) => value ?? NaN) : null});
const past = new Map();  // of those that Python worked out, the last ones: `name + key` → the same
const MOST = 64;
const keep = (about, columns) => about.forEach((one) => {
  arrays[one.name] = held(one, flat(columns[one.name]));
  if (one.key) past.set(one.name + one.key, arrays[one.name]);
  if (past.size > MOST) past.delete(past.keys().next().value);
});
const numberOf = (dim, fixed) => {  // where along a dim: as given, else as the state says
  const value = fixed[dim] ?? state[dim];
  return typeof value === "number" ? value : choiceOf(dim).held.indexOf(value);
};
const keyOf = (by) => JSON.stringify(by.map((name) => state[name]));
function arrayOf(name) {
  const by = meta.fetched[name]?.by;
  return live?.arrays[name] ?? (by && past.get(name + keyOf(by))) ?? arrays[name];
}

// The part of an array that belongs to the state, flat: the dims that are drawn, and from the
// first one that `fixed` leaves open (null) on. Null until it is there; of coded arrays the codes.
function codesOf(name, fixed = {}) {
  const array = arrayOf(name), {group, by} = (!live?.arrays[name] && meta.fetched[name]) || {};
  if (by && array?.key !== keyOf(by)) { wanted.add(group); return null; }
  if (!array) return null;
  const open = array.dims.findIndex((dim) => fixed[dim] === null), index = open < 0 ? array.dims : array.dims.slice(0, open);
  const size = array.shape.slice(index.length).reduce((a, b) => a * b, 1);
  let at = 0;
  for (const [k, dim] of index.entries()) {
    let here = numberOf(dim, fixed);
    if (array.slots?.[dim]) here = array.slots[dim].indexOf(here);
    if (!(here >= 0 && here < array.shape[k])) return null;
    at = at * array.shape[k] + here;
  }
  return array.values.subarray(at * size, (at + 1) * size);
}
const codeTable = (name) => arrayOf(name)?.table;
function read(name, fixed) {
  const codes = codesOf(name, fixed), table = codeTable(name);
  return codes && table ? Float32Array.from(codes, (code) => table[code]) : codes;
}
const one = (name, fixed) => read(name, fixed)?.[0] ?? NaN;

// What is not here is asked for: arrays that Python works out for some values of the state.
const wanted = new Set();
let fetching = false, arriving = false, last = "";
// Whether an array is still to come: until then, what was drawn stays.
const coming = (name) => !arriving && name in meta.fetched && !live?.arrays[name] &&
  arrayOf(name)?.key !== keyOf(meta.fetched[name].by);
function fetchSoon() {
  const request = JSON.stringify({groups: [...wanted], state});
  if (fetching || !wanted.size || request === last) return;  // asked before: there is none
  fetching = true;
  last = request;
  wanted.clear();
  models.request.data = {about: [request]};
}
function received() {
  fetching = false;
  const {about, ...columns} = plain(models.answer.data), told = JSON.parse(about[0]);
  keep(told, Object.fromEntries(Object.entries(columns).map(([name, [values]]) => [name, values])));
  arriving = true;
  redraw(panels.filter(({spec}) => spec.fetched));
  arriving = false;
}

// -- numbers and texts -------------------------------------------------------------------------

const show = (value) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e4) return `${(value / 1e3).toPrecision(3)}k`.replace("-", "−");
  if (size >= 100) return value.toFixed(0).replace("-", "−");
  if (size >= 10) return value.toFixed(1).replace("-", "−");
  const digits = size >= 1 ? 2 : size >= 0.1 ? 3 : 4;
  return size < 5e-5 ? "0" : value.toFixed(digits).replace("-", "−");
};
const FORMATS = {
  show,
  ratio: (value) => Number.isFinite(value) ? value.toFixed(2) : "–",
  tenths: (value) => Number.isFinite(value) ? value.toFixed(1).replace("-", "−") : "–",
  accuracy: (value) => Number.isFinite(value) ? value.toFixed(3) : "–",
  signed: (value) => !Number.isFinite(value) ? "–"
    : `${value > 0 ? "+" : ""}${value.toFixed(2)}`.replace("-", "−").replace(/^[+−]0\.00$/, "0.00"),
};
const whole = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// Words that Python wrote for each value of some dims.
function wordsOf(name, fixed = {}) {
  if (live?.words[name] !== undefined) return live.words[name];
  const {dims, shape, texts} = meta.words[name] ?? {dims: [], shape: [], texts: [""]};
  return texts[dims.reduce((at, dim, k) => at * shape[k] + numberOf(dim, fixed), 0)];
}

// Round numbers in a range, about so many, with as many digits as they need.
function roundNumbers([low, high], want) {
  const raw = (high - low) / want, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((s) => s * power >= raw * 0.72) * power;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    found.push({at: k * step, text: (k * step + 0).toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−")});
  }
  return found;
}

// -- who is shown ------------------------------------------------------------------------------

// Members of the cast: `left` and `middle` as pictures, then `plus` minus `minus`; `shown` on top
// of `base`, and in the strips each of `strips` against it. NONE: there is no such member.
const NONE = -1;
function scene() {
  if (!cast) return {shown: [], strips: []};
  if (live) return live.scene;
  if (cast.several) {
    const shown = cast.names.map((_, k) => k).filter((k) => state[cast.several].includes(cast.names[k]));
    return {shown, strips: shown, base: cast.base};
  }
  const a = state[cast.a], b = state[cast.b];
  const shown = cast.drawn.filter((k) => k === a || (b && k === b) || state[cast.overlay].includes(cast.names[k]));
  return {left: b ? a : 0, middle: b || a, plus: a, minus: b, base: 0, shown, strips: shown};
}
const called = (k) => cast.called[k];
// A line of the panel's legend: which line, point or shade is whose.
const keyLine = (name, css, fill = "") =>
  `<span class="key">${css ? `<i class="${fill}" style="${css}"></i>` : ""}${escaped(name)}</span>`;

// -- panels ------------------------------------------------------------------------------------

const KINDS = {};  // kind → (spec, its models) → what draws it
const panels = [];
function redraw(some) {
  const now = scene();
  for (const panel of some) panel.draw(now);
  drawTextSoon();
  fetchSoon();
}
// Text changes the page's styles, which Bokeh reads while it paints: figures first.
let textIsDue = false;
function drawTextSoon() {
  if (textIsDue) return;
  textIsDue = true;
  requestAnimationFrame(() => setTimeout(() => {
    textIsDue = false;
    const now = scene();
    for (const panel of panels) panel.say?.(now);
  }));
}
KINDS.words = (spec, {div}) => ({draw() {}, say: () => write(div, wordsOf(spec.words))});
KINDS.head = (spec, {div}) => ({
  draw() {},
  say: (now) => {
    const tag = wordsOf("tag"), more = wordsOf("more");
    const keys = spec.keys ? `<span class="keys">${keysOf(spec, now)}</span>` : `<span class="muted">${escaped(more)}</span>`;
    write(div, `<div class="head"><span><b>${escaped(wordsOf("head"))}</b>` +
      `${tag ? `<span class="tag">${escaped(tag)}</span>` : ""}</span>${keys}</div>`);
  },
});
KINDS.keys = (spec, {div}) => ({draw() {}, say: (now) => write(div, `<div class="keys">${keysOf(spec, now)}</div>`)});
const keysOf = (spec, now) => [
  ...spec.base && now.base !== NONE ? [keyLine(spec.base.replace("*", called(now.base)),
    `background:#e6e6e6;border-color:${cast.colours[now.base]}`, "fill")] : [],
  ...now.shown.filter((k) => !spec.base || k !== now.base).map((k) => keyLine(...cast.keys[k])),
  ...spec.more.map((key) => keyLine(...key)),
].join("");

// -- state -------------------------------------------------------------------------------------

// A control follows what a key has chosen.
function follow(name) {
  const {held, several} = choiceOf(name), box = models.controls[name], at = held.indexOf(state[name]);
  if (!box) return;
  if (several) put(box, {active: held.flatMap((value, k) => state[name].includes(value) ? [k] : [])});
  else put(box, "options" in box ? {value: String(at)} : {active: at});
}
function set(change) {
  const before = {...state};
  Object.assign(state, change);
  if (cast?.b && state[cast.b] === state[cast.a]) {  // the two change places
    state[cast.b] = cast.a in change && before[cast.a] !== state[cast.a] ? before[cast.a] : 0;
  }
  settle(change);
  const moved = Object.keys(state).filter((name) => name in change || state[name] !== before[name]);
  moved.filter((name) => choiceOf(name)).forEach(follow);
  showParts(moved);
  const left = liveLeft(moved);  // live things are anywhere
  redraw(left ? panels : panels.filter(({spec}) => moved.some((name) => spec.on.includes(name))));
  liveFollows(moved);
  rememberSoon();
}
// Labels of more than two parameters: the grid shows those that share the rest.
const labels = choices.find((choice) => choice.places);
const inSlice = (label) => state.rest.every((value, k) => labels.places[label][k + 2] === value);
function settle(change) {
  if (!labels) return;
  const {name, places} = labels;
  if (name in change) state.rest = places[state[name]].slice(2);
  if ("rest" in change) {
    const here = places[state[name]];
    const like = places.findIndex((p, k) => inSlice(k) && p[0] === here[0] && p[1] === here[1]);
    const any = places.findIndex((p, k) => inSlice(k));
    state[name] = like >= 0 ? like : any >= 0 ? any : state[name];
  }
}
// Parts that are seen for some values of a choice; the server fills a later one the first time.
function showParts(moved) {
  for (const {choice, values, parts, later} of models.parts) {
    if (!moved.includes(choice)) continue;
    const visible = values.includes(state[choice]);
    for (const part of parts) if (!later) put(part, {visible}); else if (part.visible !== visible) part.visible = visible;
  }
}

// The address holds every choice; what goes without saying is left out.
function remember() {
  const query = new URLSearchParams(meta.address);
  for (const {name, asked, values, held, silent, several} of choices) {
    const value = several ? values.filter((_, k) => state[name].includes(held[k])).join(",")
      : values[held.indexOf(state[name])];
    if (value !== undefined && value !== silent) query.set(asked, value);
  }
  if (state.live) query.set("live", state.live.map((v) => String(+v.toPrecision(7))).join(","));
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  history.replaceState(history.state, "", `${location.pathname}?${text}`);
}
let waiting = 0;
function rememberSoon() {  // browsers limit how often the address may change
  clearTimeout(waiting);
  waiting = setTimeout(remember, 150);
}
// Another product beside this one, or another one of what stands beside it.
function beside(name, key) {
  const query = new URLSearchParams(name === "key" ? {page: meta.address.page} : location.search);
  const foreign = (text) => text?.includes(" · ");  // a source of the product that was beside it
  if (cast?.a && name === "with") {
    query.delete(cast.b);
    if (foreign(cast.names[state[cast.a]])) query.delete(cast.a);
    query.set(cast.overlay, state[cast.overlay].filter((text) => !foreign(text)).join(","));
  }
  if (key) query.set(name, key);
  else query.delete(name);
  location.search = query.toString();
}

// -- keys --------------------------------------------------------------------------------------

const within = (value, count) => Math.max(0, Math.min(count - 1, value));
const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"];
function stepped({name, held, keys, neighbours}, key) {
  if (neighbours) return ARROWS.includes(key) ? neighbours[state[name]][ARROWS.indexOf(key)] : undefined;
  const way = keys.indexOf(key);
  return way < 0 ? undefined : held[within(held.indexOf(state[name]) + (way ? 1 : -1), held.length)];
}
function onKey(event, free) {
  if (event.key === "Escape" && leaveLive()) return;
  if (!free) return;
  const digit = Number(/^Digit([1-9])$/.exec(event.code)?.[1] ?? /^[1-9]$/.exec(event.key)?.[0] ?? 0);
  for (const choice of choices) {
    const {name, held, digits, shifted, several, cycle} = choice, next = stepped(choice, event.key);
    if (next !== undefined) {
      event.preventDefault();
      if (next !== state[name] || state.live) set({[name]: next});
    } else if (digit && digit <= digits.length && Boolean(shifted) === event.shiftKey) {
      const value = digits[digit - 1], now = state[name];
      if (!several) set({[name]: shifted && now === value ? held[0] : value});
      else set({[name]: now.includes(value) ? now.filter((v) => v !== value) : [...now, value]});
      return;
    } else if (cycle && event.key.toLowerCase() === cycle && held.length > 1) {
      set({[name]: held[(held.indexOf(state[name]) + 1) % held.length]});
    }
  }
  if (event.key.toLowerCase() === "l" && liveStarts()) event.preventDefault();
}
document.addEventListener("keydown", (event) => {  // that were not typed into something
  const from = event.composedPath()[0];
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  onKey(event, !["INPUT", "SELECT", "TEXTAREA"].includes(from.tagName));
});
function leaveControl() {  // arrow keys are the grid's as soon as a choice was made
  let element = document.activeElement;
  while (element && element.shadowRoot && element.shadowRoot.activeElement) {
    element = element.shadowRoot.activeElement;
  }
  if (element && element !== document.body) element.blur();
}

// A slider over the values of a choice.
KINDS.slider = (spec, {div}) => ({
  draw() {},
  say: () => {
    const {name, held, titles} = choiceOf(spec.choice), at = held.indexOf(state[name]);
    let input = insideOf(div, "input");
    if (!input) {
      write(div, `<div class="size"><label for="${name}">${escaped(spec.heading)}</label><input id="${name}" class="slide" type="range" ` +
        `min="0" max="${held.length - 1}" step="1" value="${at}" aria-label="${escaped(spec.title)}"><b></b></div>`);
      input = insideOf(div, "input");
      input?.addEventListener("input", (event) => set({[name]: held[Number(event.target.value)]}));
      input?.addEventListener("change", leaveControl);
    } else if (Number(input.value) !== at) input.value = String(at);
    if (!input) return;
    insideOf(div, "b").textContent = titles[at];
    input.setAttribute("aria-valuetext", `${titles[at]} ${spec.heading}`);
  },
});
