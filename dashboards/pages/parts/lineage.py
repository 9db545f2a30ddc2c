"""What a dataset was made from, and what was made from it, as a picture with links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from presage.store import EntryInfo

from .theme import INK, MUTED, RULE

BOX, ROW, GAP, LINE = 148, 40, 14, 66


def lineage(key: str, entries: Sequence[EntryInfo]) -> str:
    """Return an SVG: ancestors above, descendants below, each a link to its entry.

    Parameters
    ----------
    key
        The entry in the middle.
    entries
        All there are; parents that are not among them are drawn as missing.
    """
    by_key = {entry.key: entry for entry in entries}
    edges = [(parent.key, entry.key) for entry in entries for parent in entry.parents]
    edges = list(dict.fromkeys(edges))
    levels = {key: 0}
    _spread(key, {}, levels, edges, -1)
    _spread(key, {}, levels, edges, +1)
    rows: dict[int, list[str]] = {}
    for node, level in levels.items():
        rows.setdefault(level, []).append(node)
    places = _places(rows)
    width = max(x for x, _ in places.values()) + BOX + GAP * 2
    height = max(y for _, y in places.values()) + ROW
    drawn = [(a, b) for a, b in edges if a in places and b in places]
    lines = "".join(_line(places[a], places[b]) for a, b in drawn)
    boxes = "".join(_box(node, by_key.get(node), at, node == key) for node, at in places.items())
    return (
        f'<svg viewBox="-2 -2 {width + 4} {height + 4}" style="width:100%;max-width:{width}px" '
        f'role="img" aria-label="lineage">{lines}{boxes}</svg>'
    )


def _spread(
    start: str, seen: dict[str, int], levels: dict[str, int], edges: list[tuple[str, str]], way: int
) -> None:
    """Give every ancestor (way −1) or descendant (+1) the longest distance from `start`."""
    queue = [(start, 0)]
    while queue:
        node, depth = queue.pop(0)
        near = [a for a, b in edges if b == node] if way < 0 else [b for a, b in edges if a == node]
        for other in near:
            if depth < len(edges) and seen.get(other, 0) < depth + 1:
                seen[other] = depth + 1
                queue.append((other, depth + 1))
    levels.update({node: way * depth for node, depth in seen.items() if node != start})


def _places(rows: Mapping[int, list[str]]) -> dict[str, tuple[float, float]]:
    """Return the upper left corner of each box; rows are centred."""
    widest = max(map(len, rows.values()))
    places = {}
    for depth, level in enumerate(sorted(rows)):
        free = (widest - len(rows[level])) * (BOX + GAP) / 2
        for i, node in enumerate(rows[level]):
            places[node] = (free + i * (BOX + GAP), depth * LINE)
    return places


def _line(parent: tuple[float, float], child: tuple[float, float]) -> str:
    x0, y0, x1, y1 = parent[0] + BOX / 2, parent[1] + ROW, child[0] + BOX / 2, child[1]
    # Past other boxes in a bow, so that it is not hidden behind them.
    bow = (BOX / 2 + GAP) / 0.75 if y1 - y0 > LINE else 0
    middle = (y0 + y1) / 2
    curve = f"M{x0:.0f},{y0:.0f} C{x0 + bow:.0f},{middle:.0f} {x1 + bow:.0f},{middle:.0f}"
    return f'<path d="{curve} {x1:.0f},{y1:.0f}" fill="none" stroke="#b4b8be" stroke-width="1.2"/>'


def _box(key: str, entry: EntryInfo | None, at: tuple[float, float], chosen: bool) -> str:
    x, y = at
    name = entry.producer if entry else "not in this store"
    name = name if len(name) <= 21 else name[:20] + "…"
    dash = "" if entry else ' stroke-dasharray="4 3"'
    stroke, wide = ("#0072b2", 2) if chosen else (RULE if entry else MUTED, 1)
    fill = "#f3f7fb" if chosen else "#ffffff"
    box = (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" height="{ROW}" rx="4" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="{wide}"{dash}/>'
        f'<text x="{x + BOX / 2:.0f}" y="{y + 17:.0f}" text-anchor="middle" font-size="12.5" '
        f'fill="{INK}">{escape(name)}</text>'
        f'<text x="{x + BOX / 2:.0f}" y="{y + 32:.0f}" text-anchor="middle" font-size="11" '
        f'fill="{MUTED}">{escape(key[:12])}</text>'
    )
    return f'<a href="?page=store&amp;key={escape(key[:16])}">{box}</a>' if entry else box
