// -- texts ---------------------------------------------------------------------------------

const SIGMA = "Width of the posterior over that of the exact one; best: 1";
const SHIFT = "Shift of the mean in widths of the exact posterior; best: 0";
const C2ST = "Accuracy of a classifier that tells draws from exact ones; best: 0.5";
const percent = (value) => Number.isFinite(value) ? `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %` : "–";
const signed = (value) => !Number.isFinite(value) ? "–"
  : `${value > 0 ? "+" : ""}${value.toFixed(2)}`.replace("-", "−").replace(/^[+−]0\.00$/, "0.00");
const accuracy = (value) => Number.isFinite(value) ? value.toFixed(3) : "–";

function drawHead() {
  const keys = kinds.filter((kind) => state.kinds.includes(kind)).map((kind) => kind === "reference"
    ? keyOf("exact reference", `background:#d2d2d2;border-color:${colours[kind]}`, "fill")
    : keyOf(kind, `border-color:${colours[kind]}${kind === "corrected" ? ";border-top-style:dashed" : ""}`));
  keys.push(keyOf("truth", `border-color:${colours.truth}`),
    keyOf("prior", `border-color:${colours.prior};border-top-style:dotted`));
  write(head, `<div class="head"><span><b>${escaped(headText())}</b></span><span class="keys">${keys.join("")}</span></div>`);
}
const headText = () => `${meta.problem}, observation ${state.observation}, ${whole(sizes[state.size])} events`;

// What each posterior is worth here, beside what chance gives.
function drawNumbers() {
  const compared = kinds.filter((kind) => kind !== "reference" && made(kind));
  const name = (text, about = "") => `<td${about ? ` title="${about}"` : ""}>${escaped(text)}</td>`;
  const far = (value, limit) => Number.isFinite(value) && Math.abs(value) > limit ? ' class="off"' : "";
  const head = compared.map((kind) => `<th class="wide" colspan="2">${escaped(kind)}</th>`).join("");
  const sub = compared.map(() => `<th title="${SIGMA}">σ / σ ref.</th><th title="${SHIFT}">Δ / σ ref.</th>`).join("");
  const rows = parameters.map((parameter, p) => {
    const cells = compared.map((kind) => {
      const ratio = ofParameter("sd_ratio", kind, p), shift = ofParameter("mean_shift", kind, p);
      return `<td${far(ratio - 1, 0.25)}>${Number.isFinite(ratio) ? ratio.toFixed(2) : "–"}</td><td${far(shift, 0.5)}>${signed(shift)}</td>`;
    });
    return `<tr>${name(parameter, escaped(meta.titles[p]))}${cells.join("")}</tr>`;
  });
  const merit = compared.map((kind) =>
    `<td colspan="2">${accuracy(numberOf("c2st", kind))}</td>`).join("");
  const floor = given.c2st_floor[place()];
  const efficiency = given.efficiency[place()], tail = given.pareto_k[place()];
  const weights = Number.isFinite(efficiency)
    ? `Importance efficiency ${percent(efficiency)}, k̂\u00a0${Number.isFinite(tail) ? signed(tail).replace("+", "") : "–"}` +
      `${tail >= 0.7 ? " (above 0.7: not to be trusted)" : ""}.` : "No importance weights.";
  write(table_div, `<table class="numbers merit"><tr><th></th>${head}</tr><tr><th></th>${sub}</tr>${rows.join("")}` +
    `<tr>${name("C2ST", C2ST)}${merit}</tr></table><div class="merit-note">` +
    `${Number.isFinite(floor) ? `C2ST of two references: ${accuracy(floor)} (its floor). ` : ""}${weights}</div>`);
}

function drawCaption() {
  const used = Math.min(sizes[state.size], meta.events), dots = Math.min(used, MOST_POINTS);
  const cut = dots < used ? `, dots: the first ${whole(dots)}` : "";
  const more = used < sizes[state.size] ? ` (of ${whole(sizes[state.size])})` : "";
  const masses = meta.masses.map((mass) => (100 * mass).toFixed(0)).join(" and ");
  write(caption, `<div class="caption">Contours hold ${masses} % of ${whole(meta.draws)} draws, bands 68 ` +
    `and 95 %. Events: ${whole(used)}${more}${cut}. ${familiarity()}</div>`);
}
// How rare so unusual a set is among those that the network was trained with.
function familiarity() {
  const p = given.p_value ? given.p_value[place()] : NaN;
  if (!Number.isFinite(p)) return "";
  const shown = p < 0.001 ? p.toExponential(0).replace("-", "−") : p.toPrecision(2);
  return p < 0.01 ? `<b style="color:#b3261e">Unlike the training (p = ${shown}): the estimate means little.</b>`
    : `Among sets of the training: p = ${shown}.`;
}

function drawTexts() {
  drawNumbers();
  drawCaption();
  drawHead();
  drawSlider();
}

// -- the slider of the number of events ------------------------------------------------------

const insideOf = (div, name) => Bokeh.index.find_one_by_id?.(div.id)?.shadow_el?.querySelector(name);
function drawSlider() {
  const input = insideOf(slider_div, "input");
  if (!input) {
    write(slider_div, `<div class="size"><label for="size">events</label><input id="size" class="slide" type="range" ` +
      `min="0" max="${nSizes - 1}" step="1" value="${state.size}" aria-label="number of events"><b></b></div>`);
    insideOf(slider_div, "input")?.addEventListener("input", (event) => set({size: Number(event.target.value)}));
    insideOf(slider_div, "input")?.addEventListener("change", leaveControl);
  } else if (Number(input.value) !== state.size) input.value = String(state.size);
  const said = insideOf(slider_div, "b");
  if (said) said.textContent = whole(sizes[state.size]);
  insideOf(slider_div, "input")?.setAttribute("aria-valuetext", `${sizes[state.size]} events`);
}
