"""Everything that one visit to the events page is about: residuals, with what stands beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from dashboards.kit.arrays import Array
from dashboards.kit.choice import Choice, Labels, called
from dashboards.kit.opened import checked, opened
from dashboards.kit.page import Visit
from presage.analysis.canvas import colours
from presage.analysis.numbers import merit_grid
from presage.analysis.report import parameters_of
from presage.analysis.residuals import completed
from presage.labels import Variable
from presage.store import EntryInfo, Store

from .arrays import arrays_of
from .live import Bench
from .origins import beside, flows_of, join, models_of

#: Drawn at new labels from the training events.
RIVALS = ("morphing", "nearest")
_NEEDED = ("counts", "counts_2d", "edges", "events", "region")
_NO_FLOW = (
    "No live sampling: no trained flow behind these residuals is in this store. "
    "Events drawn with presage.sample(flow, …) know theirs."
)
_NO_RANGE = "No live sampling: the flow was trained on other label parameters than are shown here."


@dataclass(frozen=True)
class Exhibit:
    """A product with what may stand beside it."""

    # With the statistics of its bins, sources in order, the reference first, and with the models
    # of a second product where the address names one.
    product: xr.Dataset
    numbers: xr.Dataset  # Its figures of merit (:func:`presage.analysis.numbers.merit_grid`).
    arrays: dict[str, Array]  # What the browser holds of it.
    visit: Visit  # What is asked for.
    partners: list[EntryInfo]  # Products with the same labels and edges.
    partner: EntryInfo | None  # The one of these that is shown with it.
    fits: Mapping[str, EntryInfo]  # Source → the fit behind it.

    @classmethod
    def of(cls, visit: Visit) -> Exhibit:
        """Join a product with what it is to be compared with, and find the flows behind it.

        ValueError says that it holds no generated events, or is none of residuals.
        """
        store, entry, query = visit.store, visit.entry, visit.query
        fits = flows_of(entry, visit.entries)
        partners = beside(entry, visit.products)
        partner = query.entry("with", partners, "residuals with the same labels and edges")
        if partner is not None:
            try:
                prepared = _prepared(store, entry, partner)
                found = flows_of(partner, visit.entries)
                fits |= {f"{name} · {partner.key[:6]}": fit for name, fit in found.items()}
            except (OSError, RuntimeError, ValueError) as error:
                query.messages.append(f"{partner.key[:6]} cannot be compared with: {error}.")
                partner = None
        if partner is None:
            prepared = _prepared(store, entry, None)
        shown = cls(*prepared, visit, partners, partner, fits)
        if not shown.drawn or not shown.numbers.sizes["column"]:
            raise ValueError(f"the residuals {entry.key[:16]} hold no generated events")
        return shown

    # -- what the product holds ----------------------------------------------------------------

    @cached_property
    def parameters(self) -> list[Variable]:
        """Declarations of the label's parameters."""
        return [Variable.of(self.product[n], "label") for n in parameters_of(self.product)]

    @cached_property
    def table(self) -> np.ndarray:
        """Labels ``[label, parameter]``."""
        columns = [self.product[p.name].values for p in self.parameters]
        return np.stack(columns, axis=1).astype(float)

    def _texts(self, name: str) -> list[str]:
        return [str(text) for text in self.product[name].values]

    @cached_property
    def sources(self) -> list[str]:
        """All sources, the reference first."""
        return self._texts("source")

    @cached_property
    def drawn(self) -> list[str]:
        """Sources other than the reference that have events (a floor that is a law has none)."""
        events = self.product["events"]
        return [s for s in self.sources[1:] if int(events.sel(source=s).max()) > 0]

    @cached_property
    def variables(self) -> list[str]:
        """Names of the variables."""
        return self._texts("variable")

    @cached_property
    def axis_titles(self) -> list[str]:
        """What each variable's axis is called, units included."""
        if "title" in self.product.coords:
            return self._texts("title")
        return [plain(name) for name in self.variables]

    @cached_property
    def pairs(self) -> list[str]:
        """Names of the pairs, ``"phi_mass,omega_mass"``."""
        return self._texts("pair")

    @cached_property
    def regions(self) -> list[str]:
        """``interior``, ``edge`` or ``trained`` for each label."""
        return self._texts("region")

    @cached_property
    def names(self) -> list[str]:
        """Each label in words."""
        return [
            ", ".join(
                f"{p.long_name or p.name} = {value:.5g}" + ("" if p.unit == "1" else f" {p.unit}")
                for p, value in zip(self.parameters, row, strict=True)
            )
            for row in self.table
        ]

    @property
    def worst(self) -> int:
        """The held-out label at which the first model does worst, by W1 where there is one."""
        first = self.sources.index(self.first)
        region = np.array(self.regions)
        held = next((h for h in (region == "interior", region != "trained") if h.any()), None)
        values = np.nan_to_num(self.numbers["value"].values[:2, first], nan=-np.inf).max(axis=0)
        return int(np.argmax(values if held is None else np.where(held, values, -np.inf)))

    @cached_property
    def floor(self) -> int:
        """The number of the source that is what chance gives; -1 where there is none."""
        return self.sources.index("floor") if "floor" in self.sources else -1

    @cached_property
    def variables_of(self) -> list[list[int]]:
        """The numbers of each pair's variables."""
        return [[self.variables.index(name) for name in pair.split(",")] for pair in self.pairs]

    # -- what is shown ---------------------------------------------------------------------------

    @cached_property
    def bench(self) -> Bench:
        """What can be drawn live."""
        return Bench.of(
            self.visit.store,
            {name: fit for name, fit in self.fits.items() if name in self.drawn},
            parameters=[parameter.name for parameter in self.parameters],
            variables=self.variables,
            held_out=self.table[np.array(self.regions) != "trained"].tolist(),
            bins=self.product.sizes["bin"],
        )

    @property
    def first(self) -> str:
        """The source that is shown first."""
        model = str(self.product.attrs.get("model", ""))
        return next((name for name in ("flow", model) if name in self.drawn), self.drawn[0])

    @property
    def why_not_live(self) -> str:
        """Why no slider is there; empty where there are."""
        if self.bench.flows:
            return ""
        return _NO_RANGE if self.fits else _NO_FLOW

    @property
    def cast(self) -> list[str]:
        """All sources, and the rivals of live draws that are none of them."""
        more = RIVALS if self.bench.flows else ()
        return [*self.sources, *(name for name in more if name not in self.sources)]

    @property
    def marked(self) -> list[str]:
        """Sources that may be drawn in the marginals."""
        rivals = [r for r in self.cast[1:] if r in RIVALS and r not in self.drawn]
        return [*self.drawn, *rivals]

    @cached_property
    def labels(self) -> Labels:
        """The choice of the label."""
        return Labels.on_grid(self.table, [p.name for p in self.parameters], self.worst)

    @cached_property
    def choices(self) -> list[Choice]:
        """What can be chosen."""
        drawn, pairs, numbers = self.drawn, self.pairs, self.numbers
        rivals = [name for name in drawn if name not in (self.first, "floor")]
        joined = [s for s in drawn if self.partner and s.endswith(self.partner.key[:6])]
        places, titles = [self.sources.index(s) for s in drawn], [called(s) for s in drawn]
        return [
            self.labels,
            Choice("source", drawn, self.first, "source", titles, 104, places, digits=places),
            Choice("against", ["reference", *drawn], (joined or ["reference"])[0], "against",
                   ["reference", *titles], 104, [0, *places], silent="reference", digits=places,
                   shifted=True),
            Choice.numbered("column", [str(c) for c in numbers["column"].values], heading="grid",
                            asked="metric", titles=[str(t) for t in numbers["title"].values],
                            width=142),
            Choice.numbered("pair", pairs, heading="pair" if len(pairs) > 1 else "",
                            titles=[plain(pair) for pair in pairs], width=170,
                            silent=pairs[0] if len(pairs) == 1 else None),
            Choice("overlay", drawn, rivals[:1], "overlay", titles, several=True,
                   colours=colours(self.sources)),
            Choice("strip", ("pull", "ratio"), heading="strip"),
            Choice("colour", ("log", "linear"), heading="density" if pairs else ""),
            Choice("panel", ("numbers", "loss", "template"), heading="panel", silent="numbers"),
        ]  # fmt: skip

    def live(self) -> list[float] | None:
        """Return the label that the address asks a flow to be drawn at."""
        query = self.visit.query
        asked = query.given.get("live")
        if not asked:
            return None
        if self.why_not_live:
            query.messages.append(f"Address: {self.why_not_live}")
            return None
        try:
            return self.bench.check(asked.split(","), list(self.bench.flows)[:1])[0].tolist()
        except ValueError as error:
            query.messages.append(f"Address: live={asked!r}: {error}. Nothing was drawn live.")
            return None


def plain(of: str) -> str:
    """Return the name of a variable or a pair for people, ``"phi mass × omega mass"``."""
    return of.replace("_", " ").replace(",", " × ")


_Prepared = tuple[xr.Dataset, xr.Dataset, dict[str, Array]]


def _prepared(store: Store, entry: EntryInfo, partner: EntryInfo | None) -> _Prepared:
    """Return a product with its statistics, joined with another one's models, numbers, arrays."""
    found: _Prepared
    if partner is None:
        found = opened(store, [entry.key], _complete)
    else:
        models = tuple(models_of(partner)), partner.key[:6], tuple(models_of(entry))
        found = opened(store, [entry.key, partner.key], _joined, *models)
    return found


def _joined(
    one: xr.Dataset, other: xr.Dataset, models: Sequence[str], tag: str, own: Sequence[str]
) -> _Prepared:
    return _complete(join(completed(one), completed(other), models, tag, own))


def _complete(product: xr.Dataset) -> _Prepared:
    product = completed(checked(product, "residuals", dict.fromkeys(_NEEDED)))
    names = [str(name) for name in product["source"].values]
    order = ["reference", *(name for name in names if name != "reference")]
    product = product if order == names else product.sel(source=order)
    return product, merit_grid(product), arrays_of(product)
