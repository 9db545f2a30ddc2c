// -- picture: what is seen, as one PNG -----------------------------------------------------
//
// The canvases are copied as they are; texts, rules and fills of the HTML between them are
// drawn where the browser has put them. Controls are left out, a title and the keys come in.

function* insides(root) {  // elements and texts, through shadow roots
  for (const node of root.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) yield node;
    if (node.nodeType !== Node.ELEMENT_NODE || ["STYLE", "SCRIPT", "BUTTON", "SELECT"].includes(node.tagName)) continue;
    yield node;
    if (node.shadowRoot) yield* insides(node.shadowRoot);
    yield* insides(node);
  }
}

function paintBox(c, element, style) {
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height) return;
  const seen = (colour) => colour && colour !== "transparent" && !/, 0\)$/.test(colour);
  if (element.classList.contains("mark")) { paintMark(c, element, box, style); return; }
  if (seen(style.backgroundColor)) { c.fillStyle = style.backgroundColor; c.fillRect(box.x, box.y, box.width, box.height); }
  if (element.classList.contains("tag")) {
    c.strokeStyle = style.borderTopColor;
    c.lineWidth = 1;
    c.beginPath();
    c.roundRect(box.x, box.y, box.width, box.height, 9);
    c.stroke();
    return;
  }
  for (const [side, y] of [["Top", box.y], ["Bottom", box.bottom - 1]]) {
    if (parseFloat(style[`border${side}Width`]) > 0 && style[`border${side}Style`] !== "none") {
      c.fillStyle = style[`border${side}Color`];
      c.fillRect(box.x, y, box.width, parseFloat(style[`border${side}Width`]));
    }
  }
}

function paintMark(c, element, box, style) {
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  c.beginPath();
  if (element.classList.contains("interior")) c.arc(x, y, 4, 0, 2 * Math.PI);
  else { c.moveTo(x - 5, y); c.lineTo(x, y - 5); c.lineTo(x + 5, y); c.lineTo(x, y + 5); c.closePath(); }
  c.fillStyle = "#ffffff";
  c.strokeStyle = style.borderTopColor;
  c.lineWidth = 1.6;
  c.fill();
  c.stroke();
}

function paintText(c, node) {
  const style = getComputedStyle(node.parentElement ?? node.parentNode.host);
  c.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  c.fillStyle = style.color;
  c.textBaseline = "alphabetic";
  const range = document.createRange(), text = node.textContent;
  let from = 0, top = null;
  const flush = (to) => {
    range.setStart(node, from);
    range.setEnd(node, to);
    const box = range.getBoundingClientRect(), line = text.slice(from, to).replace(/\s+/g, " ");
    if (!box.width || !line.trim()) return;
    const {fontBoundingBoxAscent: up, fontBoundingBoxDescent: down} = c.measureText(line);
    c.fillText(line, box.x, box.y + (box.height + up - down) / 2);
  };
  for (let i = 0; i < text.length; i++) {  // one piece for each line it is broken into
    range.setStart(node, i);
    range.setEnd(node, i + 1);
    const [box] = range.getClientRects();
    if (!box || !box.width) continue;
    if (top !== null && Math.abs(box.y - top) > 4) { flush(i); from = i; }
    top = box.y;
  }
  flush(text.length);
}

function composed() {
  const roots = [...models.texts, ...models.figures].map((model) => viewOf(model)?.el).filter(Boolean);
  const boxes = roots.map((el) => el.getBoundingClientRect()).filter((box) => box.width && box.height);
  const left = Math.min(...boxes.map((b) => b.left)) - 14, right = Math.max(...boxes.map((b) => b.right)) + 14;
  const top = Math.min(...boxes.map((b) => b.top)) - 36, bottom = Math.max(...boxes.map((b) => b.bottom)) + 30;
  const sharp = window.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round((right - left) * sharp);
  canvas.height = Math.round((bottom - top) * sharp);
  const c = canvas.getContext("2d");
  c.scale(sharp, sharp);
  c.fillStyle = "#ffffff";
  c.fillRect(0, 0, right - left, bottom - top);
  c.translate(-left, -top);
  for (const root of new Set(roots)) {
    for (const node of insides(root.shadowRoot ?? root)) {
      if (node.nodeType === Node.TEXT_NODE) { paintText(c, node); continue; }
      const style = getComputedStyle(node);
      if (style.visibility === "hidden" || style.display === "none") continue;
      const box = node.getBoundingClientRect();
      if (node.tagName !== "CANVAS") paintBox(c, node, style);
      else if (box.width && node.width) c.drawImage(node, box.x, box.y, box.width, box.height);
    }
  }
  c.fillStyle = "#262626";
  c.font = `600 14px ${fontOf()}`;
  c.fillText(pictureTitle(), left + 14, top + 18);
  c.fillStyle = "#6b6f76";
  c.font = `11px ${fontOf()}`;
  c.fillText(wordsOf("foot"), left + 14, bottom - 8);
  return canvas;
}

const fontOf = () => getComputedStyle(document.body).fontFamily || "sans-serif";

function pictureTitle() {
  if (!cast?.a) return wordsOf("picture");
  const other = !live && state[cast.b] ? ` and ${called(state[cast.b])}` : "";
  return `${called(state[cast.a])}${other} · ${wordsOf("head")} (${wordsOf("tag")})`;
}

function picture() {
  composed().toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${wordsOf("file")}-${meta.key.slice(0, 8)}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}
