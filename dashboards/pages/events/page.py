"""The declaration of the events page: its panels, and the arrays of the product that they draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.models import Range1d

from dashboards.kit.arrays import Array, Fetched, words
from dashboards.kit.choice import called, entries_menu, named, same_rest, select
from dashboards.kit.page import Cast, Live, Page, Panel, Part, View, Visit
from dashboards.kit.panels import (
    Cell,
    Column,
    Picture,
    Scale,
    Table,
    head,
    heatmap,
    histogram,
    images,
    keys,
    table,
)
from dashboards.kit.pieces import column, later, row
from dashboards.kit.theme import MASK
from presage.analysis.bin_statistics import bin_statistics
from presage.analysis.canvas import colours
from presage.analysis.metrics import METRICS

from .answer import shown_live
from .arrays import PULL, ROLES, density_of, pictures_of, pulls_of, whole
from .exhibit import Exhibit, plain
from .loss import loss_panel
from .template import TemplatePage

#: Densities below this share of the reference's peak are white.
FAINTEST = 2e-3
_LIVE = (
    "Draw 10 000 events of the flow at any label of the trained range: move a slider, type, "
    "or click into the label grid with the shift key held."
)


def view(visit: Visit) -> View:
    """Return what a visit shows."""
    exhibit = Exhibit.of(visit)
    sources, shades = exhibit.cast, colours(exhibit.cast)
    cast = Cast(
        "source", sources, [shades[name] for name in sources], [called(s) for s in sources],
        a="source", b="against", overlay="overlay",
        drawn=[sources.index(s) for s in exhibit.marked],
    )  # fmt: skip
    ranges = Range1d(0, 1), Range1d(0, 1)
    grid = _grid(exhibit)
    numbers = _table(exhibit)
    maps = [_maps(exhibit)] if exhibit.pairs else []
    if maps:
        ranges = tuple(maps[0].models["ranges"])
    marginals = [_marginal(exhibit, cast, k, ranges[k]) for k in range(2 if maps else 1)]
    top = head()
    few = int(exhibit.product.attrs.get("few_events", 10))
    error = "√Σw²" if "counts_variance" in exhibit.product else "√n"
    legend = keys(f"* ± {error}", [
        ("±1 σ of chance", "background:#e9e9e9;border-color:#e9e9e9", "fill"),
        (f"under {few} events expected", "background:#f0eff2;border-color:#dfe1e5", "fill"),
        ("▲▼ off scale, counted", "", ""),
    ])  # fmt: skip
    aside = later(lambda: loss_panel(visit.store, exhibit.fits, shades))
    template = TemplatePage(exhibit)
    templates = template.panels()
    shown = [panel.place for panel in templates]
    for place in shown:
        place.visible = False  # until they are chosen
    left = column("left", grid.place, grid.models["caption"], numbers.place, aside, *shown)
    right = column("right", top.place, *(m.place for m in maps), legend.place,
                   row("marginals" if maps else "tall", *(m.place for m in marginals)))  # fmt: skip
    rows = [
        [*_products(exhibit), "column", "source", "against", "overlay", "pair", *_others(exhibit)],
        ["live", "strip", "colour", "panel"],
    ]
    address = {"page": "events", "key": visit.entry.key[:16]}
    if exhibit.partner:
        address["with"] = exhibit.partner.key[:16]
    return View(
        exhibit.choices, [grid, top, *maps, legend, *marginals, numbers, *templates],
        row("board", left, right), rows, cast, _live(exhibit, template),
        [Part("panel", ["numbers"], [numbers.place]), Part("panel", ["loss"], [aside], later=True),
         Part("panel", ["template"], shown)],
        _fetched(exhibit), _words(exhibit) | template.words(), address, {"live": exhibit.live()},
    )  # fmt: skip


# -- panels ------------------------------------------------------------------------------------


def _grid(exhibit: Exhibit) -> Panel:
    """Return the clickable grid of labels, coloured by a metric, held-out labels marked."""
    numbers = exhibit.numbers
    given = {"interior": "held out", "edge": "held out, edge", "trained": "all labels"}
    count = {str(name): int((np.array(exhibit.regions) == name).sum())
             for name in numbers["region"].values}  # fmt: skip
    columns = [
        Column(str(title), str(said), None if np.isnan(best) else float(best), bool(signed))
        for title, said, best, signed in zip(
            *(numbers[name].values for name in ("title", "said", "best", "signed")), strict=True)
    ]  # fmt: skip
    of_regions = ("median", "worst", "better", "median_difference")
    arrays = {name: Array.of(numbers[name].astype("f4"), "region") for name in of_regions}
    arrays["value"] = Array.of(numbers["value"].astype("f4"))
    return heatmap(
        exhibit.labels, columns, arrays, [p.title for p in exhibit.parameters[:2]], exhibit.names,
        [{"name": n, "title": given[n], "size": c} for n, c in count.items()], exhibit.regions,
        "column", exhibit.floor, ["source", "against"], value="value",
        median="median", worst="worst", better="better", difference="median_difference",
    )  # fmt: skip


def _slice(exhibit: Exhibit, state: Mapping[str, Any]) -> tuple[list[int], dict[str, Any]]:
    """Return the labels that are seen with the state's one and, of these and its pair, where."""
    label = state["label"]
    if not (isinstance(label, int) and 0 <= label < len(exhibit.table)):
        return [], {}
    found = same_rest(exhibit.table, label).tolist()
    return found, {"label": found, "pair": [state["pair"]]}


def _fetched(exhibit: Exhibit) -> dict[str, Fetched]:
    """Return what is asked for: pulls between two sources; cells, where all are too many."""
    product = exhibit.product
    if not exhibit.pairs:
        return {}

    def cells(state: Mapping[str, Any]) -> dict[str, Array]:
        labels, slots = _slice(exhibit, state)
        if not labels:
            return {}
        here, rest = product.isel(slots), {"source": range(1, product.sizes["source"])}
        return pictures_of(density_of(here), here["pull_2d"].isel(rest), rest, **slots)

    def between(state: Mapping[str, Any]) -> dict[str, Array]:
        labels, slots = _slice(exhibit, state)
        if not labels or not state["against"]:
            return {}
        names = ["counts", "counts_2d", "events", "edges"]
        pair = [exhibit.sources[state[name]] for name in ("source", "against")]
        here = product[names].isel(slots).sel(source=pair)
        pulls = bin_statistics(here, pair[1])["pull_2d"].isel(source=0, drop=True)
        return {"between": pulls_of(pulls, **slots)}

    of_two = Fetched(("between",), ("source", "against", "pair", "rest"), between)
    if whole(product):
        return {"between": of_two}
    return {"cells": Fetched(("picture", "pull_2d"), ("pair", "rest"), cells), "between": of_two}


def _maps(exhibit: Exhibit) -> Panel:
    """Return the panels reference, generated and pull on common axes."""
    product = exhibit.product
    density = {
        "log": Scale(FAINTEST, 1.0, "density / peak", log=True),
        "linear": Scale(FAINTEST, 1.0, "density / peak"),
    }
    pull = {"pull": Scale(-PULL, PULL, "pull", True, MASK, ticks=[-4, -2, 0, 2, 4])}
    return images(
        "joint",
        [Picture("picture", density, role="left", bar=False),
         Picture("picture", density, role="middle"),
         Picture("pull_2d", pull, role="plus", between="between", counted=True)],
        exhibit.arrays, (product.sizes["bin_y"], product.sizes["bin_x"]), scale="colour",
        on=["label", "pair", "source", "against", "rest"], edges="edges", variable="variable",
        pairs=exhibit.variables_of, pair="pair", titles=exhibit.axis_titles, total="events",
        fetched=True,
    )  # fmt: skip


def _marginal(exhibit: Exhibit, cast: Cast, place: int, x_range: Range1d) -> Panel:
    """Return the distribution of one variable of the pair."""
    return histogram(
        cast, exhibit.arrays, ROLES, x_range, "events per bin [%]", ["label", "rest", "pair"],
        variable="variable", titles=exhibit.axis_titles, pair="pair", place=place, strip="strip",
        pairs=exhibit.variables_of,
    )  # fmt: skip


def _table(exhibit: Exhibit) -> Panel:
    """Return the figures of merit of the label, beside their floors."""
    floor = exhibit.floor
    note = "Bold: the best. Floor: chance alone. Point at a name: what it is."
    pairs = exhibit.pairs or [exhibit.variables[0]]
    made = [_numbers_of(exhibit, pair) for pair in pairs]
    return table(made, {}, "pair" if exhibit.pairs else "", floor=floor, column="column", note=note,
                 on=["label", "source", "against", "column", "pair"])  # fmt: skip


def _numbers_of(exhibit: Exhibit, pair: str) -> Table:
    """Return a row for each metric: of each variable of a pair, or one of the pair or of all."""
    names, numbers, floor = pair.split(","), exhibit.numbers, exhibit.floor
    rivals = [k for k in range(1, len(exhibit.sources)) if k != floor]
    shown = ({"member": "source"}, {"member": "against", "when": "against"}, {"title": "floor"})
    columns = [{"group": plain(name), **about} for name in names for about in shown]
    of: dict[str, dict[str, int]] = {}
    metrics = zip(numbers["metric"].values, numbers["of"].values, strict=True)
    for k, (metric, what) in enumerate(metrics):
        of.setdefault(str(metric), {})[str(what)] = k

    def cells(place: int | None, best: float | None) -> list[Cell | None]:
        """Return a source's number, that of the one it is held against, and the floor."""
        if place is None:
            return [None, None, None]
        at = [{"column": place, "source": source} for source in ("source", "against", floor)]
        return [*(Cell("value", one, best=best, among=rivals) for one in at[:2]),
                Cell("value", at[2], floor=True)]  # fmt: skip

    rows = []
    for places in of.values():
        single = places.get(pair if exhibit.pairs else "", places.get(""))
        alone = [single, *[None] * (len(names) - 1)]
        about = numbers.isel(column=next(iter(places.values())))
        title, best = str(about["title"].item()), float(about["best"])
        rows.append({
            "title": title.rpartition(" · ")[0] or title, "said": str(about["said"].item()),
            "mark": list(places.values()),
            "cells": [cell for place in (map(places.get, names) if single is None else alone)
                      for cell in cells(place, None if np.isnan(best) else best)],
        })  # fmt: skip
    return Table([plain(name) for name in names], columns, rows)


# -- controls, words, live -----------------------------------------------------------------------


def _products(exhibit: Exhibit) -> list[Any]:
    """Return the menu of products, and of those that one can be compared with."""
    products, partners = exhibit.visit.products, exhibit.partners
    parts = entries_menu("product", products, exhibit.visit.entry) if len(products) > 1 else []
    if partners:
        parts += entries_menu("with", partners, exhibit.partner, "with", none=True)
    return parts


def _others(exhibit: Exhibit) -> list[Any]:
    """Return a menu for every parameter beyond the two of the grid."""
    labels, parts = exhibit.labels, []
    label = labels.read(type(exhibit.visit.query)(exhibit.visit.query.given))
    for k, parameter in enumerate(exhibit.parameters[2:]):
        values = [(str(i), f"{value:.5g}") for i, value in enumerate(labels.axes[k + 2])]
        code = (
            f"const rest = [...window.presage.state.rest]; rest[{k}] = Number(cb_obj.value); "
            "window.presage.set({rest})"
        )
        here = str(int(labels.places[label, k + 2]))
        parts += named(parameter.title, select(values, here, code, 90))
    return parts


def _words(exhibit: Exhibit) -> dict[str, Any]:
    entry = exhibit.visit.entry
    tags = ["in the training" if r == "trained" else f"held out, {r}" for r in exhibit.regions]
    flows = ", ".join(f"{name} {fit.key[:16]}" for name, fit in exhibit.fits.items())
    foot = f"presage · residuals {entry.key[:16]}" + (f" · fits: {flows}" if flows else "")
    files = ["events-" + "_".join(f"{v:.5g}" for v in label) for label in exhibit.table]
    return {"head": words(exhibit.names, "label"), "tag": words(tags, "label"),
            "foot": words(foot), "file": words(files, "label")}  # fmt: skip


def _live(exhibit: Exhibit, template: TemplatePage) -> Live:
    """Return what the sliders need: a range for each parameter, and what draws."""
    bench = exhibit.bench
    if exhibit.why_not_live:
        return Live(why=exhibit.why_not_live)
    sliders = []
    for parameter in exhibit.parameters:
        low, high = bench.ranges[parameter.name]
        unit = "" if parameter.unit == "1" else parameter.unit
        sliders.append({"name": parameter.long_name or parameter.name, "unit": unit,
                        "short": plain(parameter.name), "low": low, "high": high})  # fmt: skip

    def answer(label: list[Any], members: list[Any]) -> tuple[dict[str, Any], dict[str, Array]]:
        chosen = [name for name in members if name in bench.flows] or list(bench.flows)[:1]
        drawn = bench.draw(label, chosen)
        about, arrays = shown_live(exhibit, sliders, drawn, str(members[1]))
        if members[2:] == ["template"]:
            more, said = template.live(drawn)
            return {**about, "words": {**about["words"], **said}}, {**arrays, **more}
        return about, arrays

    return Live(sliders, answer, bench.warm, _LIVE, "loading the flow …")


PAGE = Page(
    "Events", "residuals", "residuals",
    "simulates a grid of events, trains a flow on it and compares the two", view,
    keys=(
        ("← → ↑ ↓, click", "label"),
        ("1–9", "source; with ⇧ the one it is held against"),
        ("L, ⇧ click", "draw the flow live at any label"),
        ("Esc", "back from live"),
    ),
    reading="""The grid's colours are one figure of merit of the chosen source; the bar says
which end is good. White circles and diamonds are labels that were held out of the training,
inside the grid and at its edge. With a second source in “against”, blue is where the first one is
better.

The floor is what chance alone gives to two samples of one distribution, of these sizes: nothing
can be expected to do better. Pulls are differences over their statistical error; red cells and
positive pulls have too many generated events.

Triangles stand for points beyond the scale; ▲▼ counts them, and cells likewise.""",
    terms=lambda: [(m.short_name, m.meaning, m.formula)
                   for name, m in METRICS.items() if name != "auc_error"],
)  # fmt: skip
