"""What the pages' Help says: keys, what colours and marks mean, figures of merit."""

from __future__ import annotations

from html import escape

from .merits import MERITS

_KEYS = {
    "events": (
        ("← → ↑ ↓, click", "label"),
        ("1–9", "source; with ⇧ the one it is held against"),
        ("L, ⇧ click", "draw the flow live at any label"),
        ("Esc", "back from live"),
    ),
    "pdf": (
        ("← →", "number of events"),
        ("↑ ↓", "observation"),
        ("1–3", "posteriors that are shown"),
        ("C", "curve"),
    ),
    "store": (("/", "search"), ("↑ ↓", "entry")),
}
_READING = {
    "events": """The grid's colours are one figure of merit of the chosen source; the bar says
which end is good. White circles and diamonds are labels that were held out of the training,
inside the grid and at its edge. With a second source in “against”, blue is where the first one is
better.

The floor is what chance alone gives to two samples of one distribution, of these sizes: nothing
can be expected to do better. Pulls are differences over their statistical error; red cells and
positive pulls have too many generated events.

Triangles stand for points beyond the scale; ▲▼ counts them, and cells likewise.""",
    "pdf": """σ / σ ref. is the posterior's width over the exact one's (best: 1), Δ / σ ref. the
shift of its mean in widths of the exact one (best: 0); red where far off.

C2ST is the accuracy of a classifier that tells draws from exact ones (best: 0.5); beside it stands
what it gives for two exact samples, the floor. Importance efficiency is the share of the draws
that is left after weighting with the exact likelihood.""",
    "store": "Click an entry, or a box of the graph, for what it was made from and how.",
}


def guidance(page: str) -> str:
    """Return the HTML of a page's help."""
    keys = "".join(f"<dt>{escape(key)}</dt><dd>{what}</dd>" for key, what in _KEYS[page])
    said = "".join(f"<p>{text}</p>" for text in _READING[page].split("\n\n"))
    merits = "".join(
        f"<dt>{escape(merit.short)}</dt><dd>{escape(merit.meaning)} <code>"
        f"{escape(merit.formula)}</code></dd>"
        for merit in (MERITS.values() if page == "events" else ())
    )
    return (
        '<details class="help"><summary title="?">Help</summary><div>'
        f"<dl>{keys}<dt>?</dt><dd>this help</dd></dl>{said}<dl>{merits}</dl></div></details>"
    )
