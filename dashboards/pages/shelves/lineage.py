"""What a dataset was made from, and what was made from it: a layered graph as SVG with links.

Layers follow the longest way from the beginning, so that every arrow points to the right. A
connection that passes layers goes through a place of its own in each of them: it is bent
around the boxes there. The order within layers comes from sweeps to the mean place of what a
node is connected with, which leaves few crossings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from dashboards.kit.theme import INK, MUTED, RULE, size_text, whole
from presage.store import EntryInfo

from .standing import Standing

BOX, TALL, STEP, GAP, THIN = 166, 46, 60, 100, 26
#: Most nodes that are drawn; the nearest are kept.
MOST = 40
_STRIPES = {"samples": "#0072b2", "product": "#d55e00", "files": "#009e73"}
_SWEEPS = 8
Node = tuple[str, int]  # key and layer: a connection's places have the key of its ends


@dataclass(frozen=True)
class Link:
    """Parent and child, and what of the parent went in."""

    parent: str
    child: str
    part: str


def lineage(key: str, entries: Sequence[EntryInfo], standings: Mapping[str, Standing]) -> str:
    """Return an SVG: ancestors to the left, descendants to the right, each a link to its entry.

    Parents that are not among the entries are drawn as missing.
    """
    by_key = {entry.key: entry for entry in entries}
    links = _links(entries)
    family, left_out = _family(key, links)
    links = [link for link in links if link.parent in family and link.child in family]
    layers = _layers(family, links)
    places, ways = _arranged(layers, links)
    width = (max(layers.values()) + 1) * (BOX + GAP) - GAP
    bends = [y for way in ways.values() for _, y in way]
    height = max(*(y + TALL for _, y in places.values()), *bends, 0)
    lines = "".join(_line(link, ways[link], places) for link in links)
    boxes = "".join(_box(node, by_key.get(node), standings.get(node), places[node], node == key)
                    for node in places)  # fmt: skip
    more = f'<p class="muted">{left_out} more are further away.</p>' if left_out else ""
    about = "what this was made from, and what was made from it"
    least = f"min-width:{0.8 * width:.0f}px;min-height:{0.8 * height:.0f}px"
    return (
        f'<svg viewBox="-3 -3 {width + 6:.0f} {height + 6:.0f}" width="{width + 6:.0f}" '
        f'style="{least}" role="group" aria-label="{about}">{_ARROW}{lines}{boxes}</svg>{more}'
    )


_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0,0.6 L7.4,4 L0,7.4 z" fill="#9aa0a8"/>'
    "</marker></defs>"
)


def _links(entries: Iterable[EntryInfo]) -> list[Link]:
    """Return one link for each parent of each entry; parts of one parent stand together."""
    samples = {entry.key: entry.samples for entry in entries}
    parts: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        for parent in entry.parents:
            text = ""
            if parent.stop:
                whole = parent.start == 0 and parent.stop == samples.get(parent.key)
                text = "all" if whole else f"{_count(parent.start)}–{_count(parent.stop)}"
                text = f"part of {text}" if parent.selection else text
            parts.setdefault((parent.key, entry.key), []).append(text)
    return [Link(*ends, ", ".join(dict.fromkeys(filter(None, t)))) for ends, t in parts.items()]


def _count(number: int) -> str:
    """Return a number of samples in a few characters: 48 499 as it is, 1.62M."""
    if number < 100_000:
        return whole(number)
    return f"{number / 1e6:.4g}M"


def _family(key: str, links: Sequence[Link]) -> tuple[set[str], int]:
    """Return the nearest ancestors and descendants, and how many were left out."""
    above = _grouped((link.child, link.parent) for link in links)
    below = _grouped((link.parent, link.child) for link in links)
    family, out = {key: None}, 0
    edge = [(key, above), (key, below)]
    while edge:
        following = []
        for node, ways in edge:
            for near in ways.get(node, ()):
                if near in family:
                    continue
                if len(family) >= MOST:
                    out += 1
                    continue
                family[near] = None
                following.append((near, ways))
        edge = following
    return set(family), out


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _layers(family: set[str], links: Sequence[Link]) -> dict[str, int]:
    """Return each node's layer: one beyond its furthest parent."""
    parents = _grouped((link.child, link.parent) for link in links)
    children = _grouped((link.parent, link.child) for link in links)
    layers: dict[str, int] = dict.fromkeys(sorted(family), 0)
    for _ in range(len(family)):  # keys are hashes of what holds the parents': there is no ring
        moved = {n: max((layers[p] + 1 for p in parents.get(n, ())), default=0) for n in layers}
        if moved == layers:
            break
        layers = moved
    for node in sorted(layers, key=lambda n: -layers[n]):  # a source stands beside what it is for
        if node not in parents and node in children:
            layers[node] = max(0, min(layers[child] for child in children[node]) - 1)
    return layers


def _arranged(
    layers: Mapping[str, int], links: Sequence[Link]
) -> tuple[dict[str, tuple[float, float]], dict[Link, list[tuple[float, float]]]]:
    """Return the upper left corner of each box, and the points that each link goes through."""
    rows: dict[int, list[Node]] = {}
    for key, layer in layers.items():
        rows.setdefault(layer, []).append((key, layer))
    near: dict[Node, list[Node]] = {}
    chains: dict[Link, list[Node]] = {}
    for link in links:
        first, last = layers[link.parent], layers[link.child]
        name = f"{link.parent}>{link.child}"
        chain = [(link.parent, first), *((name, k) for k in range(first + 1, last)),
                 (link.child, last)]  # fmt: skip
        for node in chain[1:-1]:
            rows.setdefault(node[1], []).append(node)
        for a, b in pairwise(chain):
            near.setdefault(a, []).append(b)
            near.setdefault(b, []).append(a)
        chains[link] = chain
    heights = _heights(rows, near, layers)
    places = {k: (layer * (BOX + GAP), heights[k, layer]) for k, layer in layers.items()}
    ways = {
        link: [(n[1] * (BOX + GAP), heights[n] + THIN / 2) for n in chain[1:-1]]
        for link, chain in chains.items()
    }
    return places, ways


def _heights(
    rows: Mapping[int, list[Node]], near: Mapping[Node, list[Node]], layers: Mapping[str, int]
) -> dict[Node, float]:
    """Return the y of each place: close to the mean of what it is connected with, none over none.

    Sweeps to the right and to the left; a row is put in order by the wished places, then
    pushed apart and moved back to its mean.
    """
    room = {node: STEP if node[0] in layers else THIN for row in rows.values() for node in row}
    y = dict.fromkeys(room, 0.0)
    for row in rows.values():
        _spread(row, {n: float(k) for k, n in enumerate(row)}, room, y)
    order = sorted(rows)
    for sweep in range(_SWEEPS):
        for layer in order if sweep % 2 else reversed(order):
            row = rows[layer]
            wish = {n: _mean([y[m] + room[m] / 2 for m in near.get(n, [n])]) - room[n] / 2
                    for n in row}  # fmt: skip
            row.sort(key=lambda n: (wish[n], n))
            _spread(row, wish, room, y)
    least = min(y.values())
    return {node: value - least for node, value in y.items()}


def _spread(
    row: list[Node], wish: Mapping[Node, float], room: Mapping[Node, float], y: dict[Node, float]
) -> None:
    at, placed = -float("inf"), []
    for node in row:
        at = max(at, wish[node])
        placed.append(at)
        at += room[node]
    back = _mean([p - wish[n] for n, p in zip(row, placed, strict=True)])
    for node, value in zip(row, placed, strict=True):
        y[node] = value - back


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _line(
    link: Link, way: list[tuple[float, float]], places: Mapping[str, tuple[float, float]]
) -> str:
    (x0, y0), (x1, y1) = places[link.parent], places[link.child]
    x, y = x0 + BOX, y0 + TALL / 2
    path = f"M{x:.0f},{y:.1f}"
    for px, py in [*way, (x1, y1 + TALL / 2)]:
        path += f" C{x + GAP / 2:.0f},{y:.1f} {px - GAP / 2:.0f},{py:.1f} {px:.0f},{py:.1f}"
        x, y = px, py
        if (px, py) != (x1, y1 + TALL / 2):
            x = px + BOX
            path += f" L{x:.0f},{y:.1f}"
    target = way[0] if way else (x1, y1 + TALL / 2)
    text = ""
    if link.part:  # where neither the parent's lines nor the child's are close together
        tx, y = x0 + BOX + GAP * 0.54, y0 + TALL / 2
        ty = y + 0.6 * (target[1] - y) + 3.5
        text = f'<text x="{tx:.0f}" y="{ty:.0f}" class="part">{escape(link.part)}</text>'
    return f'<path class="link" d="{path}" marker-end="url(#arrow)"/>{text}'


def _box(
    key: str,
    entry: EntryInfo | None,
    standing: Standing | None,
    at: tuple[float, float],
    chosen: bool,
) -> str:
    x, y = at
    name = entry.producer if entry else "not in this store"
    shown = name if len(name) <= 20 else name[:19] + "…"
    dash = "" if entry else ' stroke-dasharray="4 3"'
    stroke, wide = ("#0072b2", 2) if chosen else ("#c9ccd1" if entry else MUTED, 1)
    size = "" if not entry else size_text(entry.bytes)
    if entry and entry.samples:
        size = f"{_count(entry.samples)} samples"
    stripe = _STRIPES.get(entry.kind, RULE) if entry else RULE
    mark = "" if standing is None else f'<circle cx="{x + BOX - 10:.0f}" cy="{y + 11:.0f}" r="3.5" '
    mark += f'class="dot {standing.kind}"/>' if standing else ""
    box = (
        f'<rect x="{x:.0f}" y="{y:.1f}" width="{BOX}" height="{TALL}" rx="4" '
        f'fill="{"#eef5fb" if chosen else "#ffffff"}" stroke="{stroke}" stroke-width="{wide}"'
        f'{dash}/><rect x="{x + 1.5:.1f}" y="{y + 6:.1f}" width="3.5" height="{TALL - 12}" '
        f'fill="{stripe}" rx="1.7"/>'
        f'<text x="{x + 12:.0f}" y="{y + 19:.1f}" class="name" fill="{INK}">{escape(shown)}</text>'
        f'<text x="{x + 12:.0f}" y="{y + 35:.1f}" class="key">'
        f'<tspan class="mono">{escape(key[:8])}</tspan> · {escape(size or "parent")}</text>{mark}'
    )
    if entry is None:
        return f"<g><title>{escape(key)}</title>{box}</g>"
    here = ' aria-current="true"' if chosen else ""
    told = f"{name} {key[:16]}" + (f", {standing.text}" if standing else "")
    return (
        f'<a href="?page=store&amp;key={escape(key[:16])}"{here} aria-label="{escape(told)}">'
        f"<title>{escape(told)}</title>{box}</a>"
    )
