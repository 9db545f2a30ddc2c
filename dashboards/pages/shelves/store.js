// Of the store page: entries change in place, the search narrows the list, checks say how far
// they are. Without this script every link still works.

const byId = (id) => document.getElementById(id);
const search = byId("search");

function narrow() {
  if (!search) return;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of document.querySelectorAll("table.entries tbody tr")) {
    row.hidden = !words.every((word) => row.dataset.text.includes(word));
    shown += !row.hidden;
  }
  document.querySelector("table.entries").classList.toggle("empty", !shown);
  const query = new URLSearchParams(location.search);
  if (search.value) query.set("q", search.value); else query.delete("q");
  history.replaceState(null, "", `?${query}`);
}

// A long list is searched by the server, once nothing was typed for a moment.
let pause;
function seek() {
  narrow();
  clearTimeout(pause);
  if (byId("part")) pause = setTimeout(() => go(location.href, false), 250);
}

// A link to another entry changes what is on the page, and nothing jumps.
let asked = 0;
async function go(href, push = true) {
  const number = ++asked;
  const url = new URL(href, location.href);
  if (search?.value) url.searchParams.set("q", search.value);
  let text;
  try {
    const answer = await fetch(url);
    text = await answer.text();
  } catch (error) {
    window.frame.lost();
    return;
  }
  if (number !== asked) return;
  const page = new DOMParser().parseFromString(text, "text/html");
  const parts = ["graph", "list", "details", "summary"];
  if (!parts.every((id) => page.getElementById(id) && byId(id))) {
    location.assign(url);  // the store is another by now
    return;
  }
  const at = byId("list").scrollTop;
  for (const id of parts) byId(id).innerHTML = page.getElementById(id).innerHTML;
  document.querySelectorAll("#main > .notice").forEach((notice) => notice.remove());
  byId("main").prepend(...page.querySelectorAll("#main > .notice"));
  if (push) history.pushState(null, "", url.search);
  narrow();
  byId("list").scrollTop = at;
  inView();
}

function inView() {
  document.querySelector("tr.chosen")?.scrollIntoView({block: "nearest"});
  const graph = byId("graph"), box = graph?.querySelector("[aria-current] rect");
  if (!box) return;
  const here = box.getBoundingClientRect(), room = graph.getBoundingClientRect();
  graph.scrollLeft += here.left - room.left - (room.width - here.width) / 2;
  graph.scrollTop += here.top - room.top - (room.height - here.height) / 2;
}

const size = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < 4; unit++) bytes /= 1000;
  return `${+bytes.toPrecision(3)} ${units[unit]}`;
};

async function check(button) {
  const key = button.dataset.check;
  const line = () => key ? document.querySelector("#details .progress") : byId("all");
  const told = (text, mark) => {
    const place = line();
    place.className = `progress ${mark}`;
    place.textContent = text;
  };
  button.disabled = true;
  told("checking …", "");
  try {
    const answer = await fetch("check", {method: "POST", body: new URLSearchParams({key})});
    if (!answer.ok) throw new Error(answer.statusText);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "", last = {};
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const text of lines) last = JSON.parse(text);
      if (last.of) told(`${size(last.done)} of ${size(last.of)}`, "");
    }
    if (!last.problems) throw new Error("the answer broke off");
    const many = key ? "This dataset holds" : `All ${last.datasets} datasets hold`;
    const good = !last.problems.length;
    const text = good ? `${many} what was published.` : last.problems.join("\n");
    await go(location.href, false);
    told(text, good ? "good" : "bad");
  } catch (error) {
    told(`The check did not end: ${error.message}.`, "bad");
    if (error instanceof TypeError) window.frame.lost();
  }
  button.disabled = false;
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  const range = document.createRange();
  range.selectNodeContents(code);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  let done = true;
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch (error) {
    done = document.execCommand("copy");
  }
  button.textContent = done ? "copied" : "press Ctrl+C";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

document.addEventListener("click", (event) => {
  const element = event.target;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const button = element.closest("button");
  if (button?.dataset.check !== undefined) return void check(button);
  if (button?.dataset.copy !== undefined) return void copy(button);
  const row = element.closest("table.entries tbody tr");
  const link = element.closest("a") ?? row?.querySelector("a");
  const href = link?.getAttribute("href") ?? "";
  if (!href.startsWith("?page=store&")) return;
  event.preventDefault();
  go(href);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    search?.focus();
  } else if (event.key === "Escape" && typing) {
    search.value = "";
    seek();
    search.blur();
  } else if (["ArrowUp", "ArrowDown"].includes(event.key) && !event.target.closest("pre")) {
    const rows = [...document.querySelectorAll("table.entries tbody tr:not([hidden])")];
    const here = rows.findIndex((row) => row.classList.contains("chosen"));
    const next = rows[here + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next || !rows.length) return;
    event.preventDefault();
    // The keys may be faster than the answers: the list shows at once where one is.
    rows[here]?.classList.remove("chosen");
    next.classList.add("chosen");
    go(next.querySelector("a").getAttribute("href"));
  }
});
addEventListener("popstate", () => go(location.href, false));
search?.addEventListener("input", seek);
if (search?.value) narrow();
inView();
