// -- line spectrum and sound ---------------------------------------------------------------------

// Lines of a spectrum in dB over frequency; members of the cast in their colours, floors below.
KINDS.spectrum = (spec, m) => ({draw(now) {
  for (const [member, source] of Object.entries(m.lines)) {
    const k = Number(member), on = !spec.cast || now.shown.includes(k), fixed = spec.cast ? {[cast.dim]: k} : {};
    const y = on ? [...read(spec.level, fixed)] : [], x = on ? [...read(spec.frequency, fixed)] : [];
    put(source, {data: {x, y: y.map((value) => Math.max(value, spec.floor)), base: y.map(() => spec.floor)}});
  }
}});

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
    samples.forEach((value, k) => view.setInt16(44 + 2 * k, 32767 * Math.max(-1, Math.min(1, value)), true));
    return URL.createObjectURL(new Blob([bytes], {type: "audio/wav"}));
  }
  return {draw() {}, say(now) {
    const members = spec.cast ? now.shown : [0], key = JSON.stringify([members, spec.on.map((name) => state[name])]);
    if (key === shown) return;
    shown = key;
    for (const old of viewOf(div)?.shadow_el?.querySelectorAll("audio") ?? []) URL.revokeObjectURL(old.src);
    write(div, members.map((k) => `<div class="sound"><span>${escaped(spec.cast ? called(k) : spec.title)}</span>` +
      `<audio controls src="${wave(read(spec.samples, spec.cast ? {[cast.dim]: k} : {}))}"></audio></div>`).join(""));
  }};
};
