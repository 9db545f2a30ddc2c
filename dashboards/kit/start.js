// -- start -------------------------------------------------------------------------------------

keep(meta.arrays, plain(given_arrays));
for (const spec of meta.panels) panels.push({spec, ...KINDS[spec.kind](spec, models.panels[spec.name])});
window.presage = {
  state, set, meta, beside, leaveControl, received, answered, picture, composed, draw,
  click: (x, y, shifted, from) => panels.forEach((panel) => panel.click?.(x, y, shifted, from)),
  live: () => live, words: () => panels.find((panel) => panel.words).words(), models,
  strips: () => meta.panels.filter(({kind}) => kind === "histogram").map(({name}) => models.panels[name]),
  // What of the state the arrays of a group belong to.
  loaded: (name) => arrays[name]?.key && JSON.parse(arrays[name].key),
};
layLive();
if (models.parts.some(({choice, values, parts}) => parts.some(({visible}) => visible !== values.includes(state[choice])))) showParts(choices.map(({name}) => name));
redraw(panels);
startLive();
remember();
setTimeout(() => keepStyles(models.figures), 300);  // once all is laid out
