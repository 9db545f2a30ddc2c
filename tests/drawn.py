"""What a figure shows once it is drawn: its texts and where they are, its series and styles."""

from __future__ import annotations

from itertools import combinations

from matplotlib.colors import to_hex
from matplotlib.legend import Legend
from matplotlib.patches import StepPatch
from matplotlib.text import Text

INK = "#262626"


def drawn_texts(page, monkeypatch):
    """Draw a figure; return its texts with the boxes that they fill, in pixels."""
    found = []
    draw = Text.draw

    def watched(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            found.append((self, self.get_window_extent(renderer)))
        return draw(self, renderer, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", watched)
        page.canvas.draw()
    return [(text, box) for text, box in found if box.width and box.height]


def text_faults(page, monkeypatch):
    """Return in words what is wrong with a figure's texts, nothing if all is well."""
    faults = []
    texts = drawn_texts(page, monkeypatch)
    width, height = page.canvas.get_width_height()
    for text, box in texts:
        words = text.get_text()
        if text.get_size() < 7:
            faults.append(f"{words!r} has {text.get_size()} pt")
        if "_" in words.replace("$", ""):
            faults.append(f"{words!r} is a raw name")
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            faults.append(f"{words!r} leaves the canvas")
    for (one, a), (two, b) in combinations(texts, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        if wide > 1 and high > 1:
            faults.append(f"{one.get_text()!r} overlaps {two.get_text()!r}")
    return faults


def series(axis):
    """Return colour → styles (dash, marker, width, filled) of what an axis draws."""
    found: dict[str, set] = {}
    for line in axis.lines:
        dashes = tuple(line._unscaled_dash_pattern[1] or ())
        marker = line.get_marker() if line.get_marker() != "None" else ""
        style = ("", marker) if line.get_linestyle() == "None" else (dashes, marker)
        found.setdefault(to_hex(line.get_color()), set()).add((*style, line.get_linewidth()))
    for step in (p for p in axis.patches if isinstance(p, StepPatch) and not p.get_fill()):
        dashes = tuple(step._unscaled_dash_pattern[1] or ())
        found.setdefault(to_hex(step.get_edgecolor()), set()).add(
            (dashes, "", step.get_linewidth())
        )
    return {c: s for c, s in found.items() if c not in (INK, "#ffffff")}


def grey_faults(axis):
    """Return which colours of an axis cannot be told apart without colour."""
    known = series(axis)
    return [
        f"{a} and {b} look the same in grey: {known[a] & known[b]}"
        for a, b in combinations(known, 2)
        if known[a] & known[b]
    ]


def legends(page):
    """Return the texts of all legends of a figure."""
    return [t.get_text() for legend in page.findobj(Legend) for t in legend.get_texts()]
