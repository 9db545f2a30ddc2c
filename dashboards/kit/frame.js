// Of every page: fetches the figures, and says when the server is gone.

const said = document.getElementById("said");
function say(text, link) {
  said.replaceChildren();
  if (!text) return;
  const line = document.createElement("div");
  line.className = "notice";
  line.append(text);
  if (link) {
    const again = document.createElement("a");
    again.href = location.href;
    again.textContent = link;
    line.append(again);
  }
  said.append(line);
}

// The session ends with the connection: a later server knows nothing of this page.
let waiting = false;
function lost() {
  if (waiting) return;
  waiting = true;
  say("The server has stopped or lost this page. What was loaded can still be looked at.");
  const ask = () => fetch("alive").then(
    (answer) => answer.ok && say("The server is there again.", "Load the page anew"),
    () => setTimeout(ask, 2000));
  setTimeout(ask, 1000);
}

async function draw() {
  const main = document.getElementById("main");
  const before = [...main.children];
  try {
    const item = {token: given.token, elementid: "main"};
    await Bokeh.embed.embed_items({}, [item], location.pathname.replace(/[^/]*$/, given.board));
  } catch (error) {
    lost();
  }
  before.forEach((element) => element.remove());
}
if (given.token) document.addEventListener("DOMContentLoaded", draw);
document.addEventListener("click", (event) => {
  const element = event.composedPath()[0];
  if (element.matches?.(".notice .close")) element.closest(".notice").remove();
});
const help = document.querySelector(".help");
document.addEventListener("keydown", (event) => {
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.composedPath()[0].tagName);
  if (event.key === "?" && !typing) help.open = !help.open;
  else if (event.key === "Escape") help.open = false;
});
document.addEventListener("click", (event) => {
  if (!event.composedPath().includes(help)) help.open = false;
});
window.frame = {say, lost};
