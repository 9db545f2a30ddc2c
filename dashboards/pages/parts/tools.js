// What every page of figures needs: arrays as they come, models to change, numbers as text.

const plain = (v) => v instanceof Map ? Object.fromEntries([...v].map(([k, x]) => [k, plain(x)]))
  : Array.isArray(v) ? v.map(plain) : v;
const flat = (a) => {  // a plain typed view: Bokeh's own arrays cannot be cut
  const type = [Float64Array, Float32Array, Uint16Array, Int32Array].find((t) => a instanceof t);
  return new type(a.buffer, a.byteOffset, a.length);
};
// Changes stay in the browser: the server holds the empty figures only.
const put = (model, change) => model.setv(change, {sync: false});
// Text goes straight into its element: a new text of a Div lays out the whole page again.
const write = (div, html) => {
  const view = Bokeh.index.find_one_by_id?.(div.id);
  const element = view?.shadow_el?.querySelector(".text");
  if (element) element.innerHTML = html;
  else put(div, {text: `<div class="text">${html}</div>`});
};
const meta = JSON.parse(meta_text), state = meta.state, boxes = plain(controls);
const columnOf = (model, name) =>
  model.data instanceof Map ? model.data.get(name) : model.data[name];

const show = (value) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e4) return `${(value / 1e3).toPrecision(3)}k`;
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  const digits = size >= 1 ? 2 : size >= 0.1 ? 3 : 4;
  return size < 5e-5 ? "0" : value.toFixed(digits).replace("-", "−");
};
const whole = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

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

// Which line, point or shade is whose.
const keyOf = (name, css, fill = "") =>
  `<span class="key"><i class="${fill}" style="${css}"></i>${escaped(name)}</span>`;

// Text changes the page's styles, which Bokeh reads while it paints: figures first.
let textIsDue = false;
function drawTextSoon() {
  if (textIsDue) return;
  textIsDue = true;
  requestAnimationFrame(() => setTimeout(() => {
    textIsDue = false;
    drawTexts();
  }));
}

// What the address says of the page's choices (choice.py).
const choicesInAddress = () => Object.fromEntries(meta.choices.map(
  ({name, asked, values, held, silent, several}) => {
    const value = several ? values.filter((_, k) => state[name].includes(held[k])).join(",")
      : values[held.indexOf(state[name])];
    return [asked, value === undefined || value === silent ? null : value];
  }));
// A control follows what a key has chosen.
function follow(name) {
  const {held, several} = meta.choices.find((choice) => choice.name === name), box = boxes[name];
  const at = held.indexOf(state[name]);
  if (several) put(box, {active: held.flatMap((value, k) => state[name].includes(value) ? [k] : [])});
  else if (box) put(box, "options" in box ? {value: String(at)} : {active: at});
}

// The address holds what `inAddress` of the page returns; null is left out.
function remember() {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(inAddress())) if (value !== null) query.set(name, value);
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  history.replaceState(history.state, "", `${location.pathname}?${text}`);
}
let waiting = 0;
function rememberSoon() {  // browsers limit how often the address may change
  clearTimeout(waiting);
  waiting = setTimeout(() => { remember(); remembered(); }, 150);
}

// Keys that were not typed into something.
function onKeys(act) {
  document.addEventListener("keydown", (event) => {
    const from = event.composedPath()[0];
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    act(event, from, !["INPUT", "SELECT", "TEXTAREA"].includes(from.tagName));
  });
}

function leaveControl() {  // arrow keys are the grid's as soon as a choice was made
  let element = document.activeElement;
  while (element && element.shadowRoot && element.shadowRoot.activeElement) {
    element = element.shadowRoot.activeElement;
  }
  if (element && element !== document.body) element.blur();
}
