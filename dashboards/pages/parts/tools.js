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

function leaveControl() {  // arrow keys are the grid's as soon as a choice was made
  let element = document.activeElement;
  while (element && element.shadowRoot && element.shadowRoot.activeElement) {
    element = element.shadowRoot.activeElement;
  }
  if (element && element !== document.body) element.blur();
}
