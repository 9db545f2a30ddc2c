// -- line spectrum and sound ---------------------------------------------------------------------

// Lines of a spectrum in dB over frequency, on their floor: of the members that are shown, or of one
// in a figure each; kinds of lines have colours of their own, the later ones on top.
KINDS.spectrum = (spec, m) => {
  const of = (k) => spec.cast ? {[cast.dim]: k} : {};
  function sticks(k, kind) {
    const x = read(spec.frequency, of(k)), y = read(spec.level, of(k)), out = line();
    gap(out);  // a legend shows nothing of what is empty
    const kinds = spec.group ? read(spec.group, of(k)) : null;
    y?.forEach((value, i) => {
      if (!(value > spec.floor) || (kinds && kinds[i] !== kind)) return;
      add(out, x[i], spec.floor); add(out, x[i], value); gap(out);
    });
    return out;
  }
  return {draw(now) {
    for (const {figure, role, member, kind, source} of m.lines) {
      const k = role ? now[role] : member, on = !spec.cast || (role ? k !== NONE : now.shown.includes(k));
      put(source, {data: on ? sticks(k, kind) : EMPTY});
      if (spec.said && !kind) put(m.figures[figure].title, {text: on ? wordsOf(spec.said, of(k)) : ""});
    }
  }};
};

// What is heard: samples of the state as a file that the browser plays, 16 bit, one channel.
KINDS.audio = (spec, {div}) => {
  let shown = "";
  function wave(samples) {
    const bytes = new ArrayBuffer(44 + 2 * samples.length), view = new DataView(bytes);
    const text = (at, word) => [...word].forEach((c, k) => view.setUint8(at + k, c.charCodeAt(0)));
    text(0, "RIFF"); text(8, "WAVEfmt "); text(36, "data");
    view.setUint32(4, 36 + 2 * samples.length, true);
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, spec.rate, true); view.setUint32(28, 2 * spec.rate, true);
    view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    view.setUint32(40, 2 * samples.length, true);
    const unit = samples instanceof Int16Array ? 1 : 32767;
    samples.forEach((value, k) => view.setInt16(44 + 2 * k, Math.max(-32767, Math.min(32767, unit * value)), true));
    return URL.createObjectURL(new Blob([bytes], {type: "audio/wav"}));
  }
  const here = () => codesOf(spec.samples, spec.cast ? {[cast.dim]: 0} : {});  // or it is asked for
  return {draw: here, say(now) {
    if (!here()) return;
    const members = spec.cast ? now.shown : [0], key = JSON.stringify([members, spec.on.map((name) => state[name])]);
    if (key === shown) return;
    shown = key;
    for (const old of viewOf(div)?.shadow_el?.querySelectorAll("audio") ?? []) URL.revokeObjectURL(old.src);
    write(div, members.map((k) => `<div class="sound">${keyLine(...spec.cast ? cast.keys[k] : [spec.title])}` +
      `<audio controls src="${wave(read(spec.samples, spec.cast ? {[cast.dim]: k} : {}))}"></audio></div>`).join(""));
  }};
};
