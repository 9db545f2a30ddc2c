// -- state ---------------------------------------------------------------------------------

const inAddress = () => ({
  page: "pdf",
  key: meta.key.slice(0, 16),
  checks: meta.checks && meta.chose_checks ? meta.checks.slice(0, 16) : null,
  ...choicesInAddress(),
});
const remembered = () => {};

function setPanel() {
  const checks = state.panel === "calibration";
  for (const part of posterior_parts) put(part, {visible: !checks});
  if (aside.visible !== checks) aside.visible = checks;  // the server fills it the first time
}

const drawAll = () => { drawCorner(); drawCurve(); drawEvents(); drawTextSoon(); };
function set(change) {
  const before = {...state};
  Object.assign(state, change);
  const is = (...names) => names.some((name) => name in change && change[name] !== before[name]);
  if (is("panel")) setPanel();
  if (is("observation", "size", "kinds", "range")) drawCorner();
  if (is("observation", "size", "kinds", "curve", "strip", "against")) drawCurve();
  if (is("observation", "size", "features")) drawEvents();
  drawTextSoon();
  rememberSoon();
}

function check(key) {
  const query = new URLSearchParams(location.search);
  query.set("checks", key);
  location.search = query.toString();
}

function move(name, value) {
  set({[name]: value});
  follow(name);
}
const within = (value, count) => Math.max(0, Math.min(count - 1, value));
onKeys((event, from, free) => {
  if (!free) return;
  const steps = {ArrowLeft: ["size", -1], ArrowRight: ["size", 1],
    ArrowUp: ["observation", -1], ArrowDown: ["observation", 1]}[event.key];
  const digit = Number(/^[1-9]$/.exec(event.key)?.[0] ?? 0);
  if (steps) {
    const [name, step] = steps, next = within(state[name] + step, name === "size" ? nSizes : meta.observations);
    event.preventDefault();
    if (next !== state[name]) move(name, next);
  } else if (digit && digit <= nKinds) {
    const kind = kinds[digit - 1];
    move("kinds", state.kinds.includes(kind) ? state.kinds.filter((k) => k !== kind) : [...state.kinds, kind]);
  } else if (event.key.toLowerCase() === "c" && curves.length > 1) {
    move("curve", (state.curve + 1) % curves.length);
  }
});

// What picture.js asks of a page.
function pictureTitle() {
  return state.panel === "calibration" ? `${meta.problem}: calibration` : "";  // the head says it
}
function pictureFoot() {
  const checks = state.panel === "calibration" ? ` · pdf_calibration ${meta.checks.slice(0, 16)}` : "";
  return `presage · pdf_posteriors ${meta.key.slice(0, 16)}${checks}` +
    (meta.n_theta ? ` · trained on ${whole(meta.n_theta)} theta` : "");
}
function pictureName() {
  const what = state.panel === "calibration" ? "calibration" : `observation-${state.observation}-${sizes[state.size]}`;
  return `pdf-${meta.problem}-${what}-${meta.key.slice(0, 8)}.png`;
}

window.presage = {state, set, check, leaveControl, meta, picture, composed};
drawAll();
if (state.panel !== "posterior") setPanel();
remember();
setTimeout(() => keepStyles(figure_models), 300);  // once all is laid out
