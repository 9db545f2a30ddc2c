"""The template at the chosen label, with its band: stored ones, and live ones of any label.

Stored templates are the newest ones of a flow behind the page. A live one is made of the flow that
is drawn, with the uncertainty that the store knows of: members of an ensemble, trainings on
bootstrap samples of the same events, labels held out in turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import numpy as np
import xarray as xr

from dashboards.kit.arrays import Array, title_of, words
from dashboards.kit.foot import link
from dashboards.kit.opened import opened
from dashboards.kit.page import Panel, Visit
from dashboards.kit.panels import caption, curve
from dashboards.kit.panels.curve import Line
from dashboards.kit.query import Query
from presage.exchange.histfactory import workspace
from presage.exchange.histograms import observables, write_histograms
from presage.labels import Variable
from presage.labels.equality import positions
from presage.recipe import Recipe
from presage.store import EntryInfo, Store

from .exhibit import Exhibit
from .live import EVENTS, SHELF, Drawn, bulk_edges
from .origins import inputs_of

_NONE = (
    "No template is stored for this label. Draw it live: move a slider, or press “draw” above. "
    "presage.emulation.templates(flow, labels, edges, store=store) keeps templates."
)
_STATISTICAL = (
    "the error of the draws alone, for the store holds nothing that tells how far the flow may be "
    "wrong: trainings with resample=0, 1, …, an ensemble, or a K-fold (--refine 10)"
)
#: What a source of uncertainty is called.
_SOURCES = {"members": "an ensemble's members", "resampled": "trainings on bootstrap samples",
            "held_out": "labels that were held out"}  # fmt: skip


@dataclass(frozen=True)
class TemplatePage:
    """What the page has of templates."""

    exhibit: Exhibit

    @cached_property
    def stored(self) -> tuple[EntryInfo | None, xr.Dataset, np.ndarray]:
        """The newest templates of one observable, and which is of each label, -1 for none."""
        keys = {fit.key for fit in self.exhibit.fits.values()}
        found = [
            entry
            for entry in self.exhibit.visit.entries
            if entry.producer == "templates" and entry.state == "complete"
            and keys & {parent.key for parent in entry.parents}
        ]  # fmt: skip
        for entry in sorted(found, key=lambda one: one.created, reverse=True):
            product = opened(self.exhibit.visit.store, [entry.key], _itself)
            where = _places(self.exhibit, product)
            if len(observables(product)) == 1 and (where >= 0).any():
                return entry, product, where
        return None, xr.Dataset(), np.full(len(self.exhibit.table), -1)

    @property
    def observable(self) -> str:
        """What is binned."""
        entry, product, _ = self.stored
        return self.exhibit.variables[0] if entry is None else observables(product)[0]

    def panels(self) -> list[Panel]:
        """Return the note and the figure."""
        entry, product, where = self.stored
        if entry is None:
            edges = self.exhibit.product["edges"].sel(variable=self.observable).values
            product, title = _empty(edges[0]), self.exhibit.axis_titles[0]
        else:
            title = title_of(product[self.observable])
        line = Line("expected events", title, "template_x", "template", residual="template_error")
        panel = curve("template", [line], _arrays(product, where, self.observable), levels=3,
                      strip_title="template_strip")  # fmt: skip
        return [caption("template_note", "template-note"), panel]

    def words(self) -> dict[str, Any]:
        """Return the note of each label."""
        entry, product, where = self.stored
        texts = [_NONE if place < 0 or entry is None else _words(entry, product, where, int(place))
                 for place in where]  # fmt: skip
        return {
            "template_strip": words("band / nominal"),
            "template_note": words([_noted(text) for text in texts], "label"),
        }

    def live(self, drawn: Drawn) -> tuple[dict[str, Array], dict[str, str]]:
        """Return arrays and words of the template at a label that was drawn at."""
        made, source = self.made(drawn.label, drawn.sources[0]), drawn.sources[0]
        label = ",".join(f"{value:.10g}" for value in drawn.label)
        asked = urlencode({"label": label, "source": source})
        key = self.exhibit.visit.entry.key[:16]
        files = _files({"ROOT": f"{key}.root?{asked}", "HistFactory": f"{key}.json?{asked}"})
        text = f"drawn live, a share of all events; band: {_band(made)}. {files}"
        arrays = _arrays(made, np.zeros(1, int), self.observable)
        told = {name: replace(array, values=array.values[0], dims=()) if array.dims else array
                for name, array in arrays.items()}  # fmt: skip
        return told, {"template_note": _noted(text)}

    def made(self, label: Sequence[float], source: str) -> xr.Dataset:
        """Return the template of a flow at a label, in the bins of the stored ones."""
        from presage.emulation import templates

        entry, product, _ = self.stored
        bench, name = self.exhibit.bench, self.observable
        flow = bench.flow(source)
        if entry is None:
            events = flow.sample([label], EVENTS)[name].values.astype(float)
            (edges,) = bulk_edges(events[:, None], bench.bins)
        else:
            edges = product[f"{name}_edges"].values
        behind = SHELF.get(
            ("behind", str(bench.store.root), bench.flows[source].key),
            partial(_behind, bench.store, bench.flows[source], self.exhibit.visit.entries),
        )
        # Of a label that is far from the training the live draw tells.
        known = replace(flow, seen=None)
        how = {"n": 2 * EVENTS, "progress": False, **behind}
        return templates(known, [label], {name: edges}, **how).dataset


def _behind(store: Store, fit: EntryInfo, entries: Sequence[EntryInfo]) -> dict[str, Any]:
    """Return what the store knows of the errors of a flow, as :func:`templates` takes it."""
    from presage.emulation.transport import HeldOut
    from presage.fitting import load

    found: dict[str, Any] = {}
    there = [e for e in entries if e.state == "complete" and e.recipe is not None]
    again = [
        e for e in there
        if e.producer.startswith("fit-") and e.parents == fit.parents
        and "resample" in (e.recipe.fields.get("training") or {})
    ]  # fmt: skip
    if len(again) > 1:
        found["resampled"] = [replace(load(e.key, store), seen=None) for e in again]
    events = {parent.key for parent in fit.parents}
    for entry in there:
        inputs = inputs_of(entry)
        if "kfold" in entry.recipe.fields and inputs.get("events", fit).key in events:
            parts = {name: store.open(p.key, p.start, p.stop) for name, p in inputs.items()
                     if name == "reference" or name.startswith("fold ")}  # fmt: skip
            found["held_out"] = HeldOut(parts.pop("reference"), tuple(parts.values()))
    return found


def written(store: Store, recipe: Recipe, kind: str, asked: Mapping[str, str]) -> bytes:
    """Return templates as a file: stored ones, or those of residuals' flow at a label.

    ``kind`` is ``root``, or ``json``: a HistFactory workspace of the signal at one label.
    LookupError, ValueError and OSError say that there is none.
    """
    if recipe.producer not in ("templates", "residuals"):
        raise LookupError("There are no templates with this key")
    if recipe.producer == "templates":
        made, label = store.open(recipe), int(asked.get("label", "0"))
    else:
        entries = store.list()
        entry = next(one for one in entries if one.key == recipe.key)
        exhibit = Exhibit.of(Visit(store, entry, entries, [entry], Query({})))
        values = asked.get("label", "").split(",")
        checked, sources = exhibit.bench.check(values, [asked.get("source", "")])
        made, label = TemplatePage(exhibit).made(checked.tolist(), sources[0]), 0
    if kind == "json":
        return json.dumps(workspace(made.isel(label=label), {}), indent=1).encode()
    with TemporaryDirectory(prefix="presage-") as folder:
        return write_histograms(made, Path(folder) / "templates.root").read_bytes()


def _itself(product: xr.Dataset) -> xr.Dataset:
    return product


def _places(exhibit: Exhibit, product: xr.Dataset) -> np.ndarray:
    """Return which template is of each label of the page, -1 for none, ``[label]``."""
    names = [parameter.name for parameter in exhibit.parameters]
    if not set(names) <= set(map(str, product.coords)):
        return np.full(len(exhibit.table), -1)
    declared: Sequence[Variable] = exhibit.parameters
    there = np.stack([product[name].values for name in names], axis=1)
    return np.asarray(positions(exhibit.table, there, declared))


def _empty(edges: np.ndarray) -> xr.Dataset:
    """Return templates of one label that show nothing."""
    nothing = np.full((1, len(edges) - 1), np.nan)
    of = ("label", "bin")
    return xr.Dataset(
        {"nominal": (of, nothing), "deviation": (("label", "source", "bin"), nothing[:, None]),
         "statistical_error": (of, nothing), "edges": ("edge", edges)}
    )  # fmt: skip


def _arrays(product: xr.Dataset, where: np.ndarray, name: str) -> dict[str, Array]:
    """Return nominal and band as steps, and the band over the nominal, ``[label, …]``."""
    place = np.maximum(where, 0)
    nominal = np.where(where[:, None] >= 0, product["nominal"].values[place], np.nan)
    error = np.sqrt((product["deviation"].values[place] ** 2).sum(axis=1))
    if not product.sizes["source"]:
        error = product["statistical_error"].values[place]
    levels = np.stack([np.maximum(nominal - error, 0), nominal, nominal + error], axis=1)
    over = np.divide(error, nominal, out=np.zeros_like(error), where=nominal > 0)
    share = np.stack([-over, np.zeros_like(over), over], axis=1)
    dims = ("label", "level", "point")
    edges = product["edges" if "edges" in product else f"{name}_edges"].values
    arrays = {
        "template_x": xr.DataArray(np.repeat(edges, 2)[1:-1], dims="point"),
        "template": xr.DataArray(np.repeat(levels, 2, axis=2), dims=dims),
        "template_error": xr.DataArray(np.repeat(share, 2, axis=2), dims=dims),
    }
    return {key: Array.of(values, *(d for d in ("level", "point") if d in values.dims))
            for key, values in arrays.items()}  # fmt: skip


def _words(entry: EntryInfo, product: xr.Dataset, where: np.ndarray, place: int) -> str:
    key = entry.key[:16]
    files = _files({"ROOT": f"{key}.root", "HistFactory": f"{key}.json?label={place}",
                    "netCDF": f"{key}.nc"})  # fmt: skip
    return (
        f"templates {link(entry.key, entry.key[:8])}, at {(where >= 0).sum()} of these labels; "
        f"band: {_band(product)}. {files}"
    )


def _band(product: xr.Dataset) -> str:
    """Say what the band is made of."""
    names = map(str, product["source"].values)
    return escape(" and ".join(_SOURCES.get(name, name) for name in names)) or _STATISTICAL


def _files(files: Mapping[str, str]) -> str:
    return " ".join(
        f'<a class="save" href="product/{escape(address)}" download>{word}</a>'
        for word, address in files.items()
    )


def _noted(text: str) -> str:
    return f'<div class="caption">{text}</div>'
