"""What a live draw looks like: arrays in place of the product's, and the words that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from dashboards.kit.arrays import Array
from dashboards.kit.choice import called
from dashboards.kit.theme import whole
from presage.analysis.bin_statistics import bin_statistics

from .arrays import arrays_of, density_of, pictures_of
from .exhibit import Exhibit
from .live import EVENTS, Drawn

_NOTE = (
    "No truth is known here. σ68: half the central 68 % interval. Floor: the distance that two "
    "samples of one distribution, of these sizes, have on average. Morphing uses each training "
    "event at most once. Axes end at 6 σ68 from the median."
)


def shown_live(
    exhibit: Exhibit, sliders: Sequence[Mapping[str, Any]], drawn: Drawn, against: str
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what the browser has to know of a draw held against a source, and its arrays."""
    names, cast = drawn.sources, exhibit.cast
    plus = names[0]
    minus = next((n for n in (against, "morphing", "nearest") if n in names and n != plus), None)
    place = {name: cast.index(name) for name in names}
    base = -1 if minus is None else place[minus]
    flows = [name for name in names if name in exhibit.bench.flows]
    scene = {
        "left": place[plus], "middle": base, "plus": place[plus], "minus": base, "base": base,
        "shown": sorted(place.values()),
        "strips": [] if minus is None else [place[name] for name in flows if name != minus],
    }  # fmt: skip
    strange = "; ".join(drawn.strange)
    about = {
        "label": drawn.label, "scene": scene, "words": _words(exhibit, sliders, drawn, len(flows)),
        "table": _table(exhibit, drawn), "bad": bool(strange),
        "said": strange or _beside(sliders, drawn),
    }  # fmt: skip
    return about, _arrays(drawn.histograms, cast, plus, minus)


def _arrays(
    histograms: xr.Dataset, cast: Sequence[str], plus: str, minus: str | None
) -> dict[str, Array]:
    """Return the arrays, members in the page's order and NaN where one was not drawn."""
    found = histograms.merge(bin_statistics(histograms, minus))
    density = density_of(found, plus)
    found = found.assign(density=density, pull_2d=found.get("pull_2d", density * np.nan))
    here = found.drop_vars("counts_2d").reindex(source=list(cast)).isel(label=0)
    if "bin_few" in found:
        here["bin_few"] = here["bin_few"].fillna(0).astype(bool)
    arrays = arrays_of(here)
    if histograms.sizes["pair"]:
        arrays |= pictures_of(here["density"], here["pull_2d"], {})
    return arrays


def _words(
    exhibit: Exhibit, sliders: Sequence[Mapping[str, Any]], drawn: Drawn, flows: int
) -> dict[str, str]:
    text = _values(sliders, drawn.label, "{name} = ")
    known = np.isclose(exhibit.table, drawn.label, rtol=1e-6, atol=0).all(axis=1)
    region = exhibit.regions[int(known.argmax())] if known.any() else ""
    tag = {"": "never simulated", "trained": "in the training"}.get(region, "held out")
    more = f"{whole(EVENTS * flows)} events drawn in {drawn.milliseconds:.0f} ms · Esc back"
    file = "events-live-" + "_".join(f"{value:.5g}" for value in drawn.label)
    return {"head": text, "tag": tag, "more": more, "file": file}


def _beside(sliders: Sequence[Mapping[str, Any]], drawn: Drawn) -> str:
    if drawn.no_rival:
        return f"no rival: {drawn.no_rival}"
    return f"nearest trained: {_values(sliders, drawn.nearest)}"


def _values(sliders: Sequence[Mapping[str, Any]], label: Sequence[float], before: str = "") -> str:
    return ", ".join(f"{before.format(**p)}{value:.5g} {p['unit']}".rstrip()
                     for p, value in zip(sliders, label, strict=True))  # fmt: skip


def _table(exhibit: Exhibit, drawn: Drawn) -> str:
    """Return mean, width and distance of each source as HTML."""
    first, rows = drawn.sources[0], []
    for k, title in enumerate(exhibit.axis_titles):
        rows.append(f'<tr><th class="wide" colspan="5">{escape(title)}</th></tr>')
        for name in drawn.sources:
            is_ = drawn.figures[name][k]
            cells = f"<td>{_size(is_['mean'])}</td><td>{_size(is_['sigma68'])}</td>"
            far = f'<td>{_size(is_["w1"], 3)}</td><td class="floor">{_size(is_["floor"], 3)}</td>'
            far = "<td></td><td></td>" if name == first else far
            rows.append(f"<tr><td>{escape(called(name))}</td>{cells}{far}</tr>")
    head = f"<tr><th></th><th>mean</th><th>σ68</th><th>W₁/std to {escape(called(first))}</th>"
    return (
        f'<table class="numbers">{head}<th>floor</th></tr>{"".join(rows)}</table>'
        f'<div class="muted note">{_NOTE}</div>'
    )


def _size(value: float | None, digits: int = 4) -> str:
    """Return a number with so many digits, whatever its size."""
    known = value is not None and np.isfinite(value)
    return f"{value:.{digits}g}".replace("-", "−") if known else "–"
