"""Everything that one visit to the events page is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from presage.store import EntryInfo, Store

from .choice import Choice, called
from .live import Bench, LiveError
from .opened import opened
from .origins import beside, flows_of, join, models_of
from .payload import Payload, plain
from .theme import colours
from .view import Query

#: What stands under the label grid.
PANELS = ("numbers", "loss")
STRIPS, SCALES = ("pull", "ratio"), ("log", "linear")
#: Drawn at new labels from the training events.
RIVALS = ("morphing", "nearest")
_NO_FLOW = (
    "No live sampling: no trained flow behind these residuals is in this store. "
    "Events drawn with presage.sample(flow, …) know theirs."
)
_NO_RANGE = "No live sampling: the flow was trained on other label parameters than are shown here."


@dataclass(frozen=True)
class Exhibit:
    """A product with what may stand beside it.

    Parameters
    ----------
    payload
        The product, with the models of a second one where the address names it.
    entry, products
        Its line in the store, and those of all products.
    partners, partner
        Products with the same labels and edges, and the one that is shown with it.
    bench
        What can be drawn live.
    fits
        Source → the fit behind it.
    """

    payload: Payload
    entry: EntryInfo
    products: list[EntryInfo]
    partners: list[EntryInfo]
    partner: EntryInfo | None
    bench: Bench
    fits: Mapping[str, EntryInfo]

    @classmethod
    def of(
        cls,
        store: Store,
        key: str,
        entries: list[EntryInfo],
        products: list[EntryInfo],
        query: Query,
    ) -> Exhibit:
        """Open a product, join what it is to be compared with, and find the flows behind it.

        Raises
        ------
        ValueError
            It holds no generated events.
        """
        entry = next(e for e in products if e.key == key)
        product, fits = opened(store, key), flows_of(entry, entries)
        partners = beside(entry, products)
        what = "residuals with the same labels and edges"
        partner = query.entry("with", partners, what)
        if partner is not None:
            tag, models = partner.key[:6], models_of(partner)
            try:
                product = join(product, opened(store, partner.key), models, tag, models_of(entry))
                found = flows_of(partner, entries)
                fits |= {f"{name} · {tag}": fit for name, fit in found.items()}
            except (OSError, RuntimeError, ValueError) as error:
                query.messages.append(f"{tag} cannot be compared with: {error}.")
                partner = None
        payload = Payload(product)
        if not payload.drawn or not payload.columns:
            raise ValueError(f"the residuals {key[:16]} hold no generated events")
        bench = Bench.of(
            store,
            {name: fit for name, fit in fits.items() if name in payload.drawn},
            parameters=[parameter.name for parameter in payload.parameters],
            variables=payload.variables,
            held_out=payload.table[np.array(payload.regions) != "trained"].tolist(),
            bins=payload.product.sizes["bin"],
        )
        return cls(payload, entry, products, partners, partner, bench, fits)

    @property
    def why_not_live(self) -> str:
        """Why no slider is there; empty where there are."""
        if self.bench.flows:
            return ""
        return _NO_RANGE if self.fits else _NO_FLOW

    @property
    def cast(self) -> list[str]:
        """All sources, and the rivals of live draws that are none of them."""
        extra = [r for r in RIVALS if self.bench.flows and r not in self.payload.sources]
        return [*self.payload.sources, *extra]

    @property
    def marked(self) -> list[str]:
        """Sources that may be drawn in the marginals."""
        payload = self.payload
        return payload.drawn + [r for r in self.cast[1:] if r in RIVALS and r not in payload.drawn]

    @cached_property
    def choices(self) -> list[Choice]:
        """What can be chosen, beside the label."""
        payload = self.payload
        drawn, pairs = payload.drawn, payload.pairs
        model = str(payload.product.attrs.get("model", ""))
        first = model if model in drawn else drawn[0]
        first = "flow" if "flow" in drawn else first
        rivals = [name for name in drawn if name not in (first, "floor")]
        joined = [s for s in drawn if self.partner and s.endswith(self.partner.key[:6])]
        places, titles = [payload.sources.index(s) for s in drawn], [called(s) for s in drawn]
        columns = payload.columns
        return [
            Choice("source", drawn, first, "source", titles, 104, places),
            Choice("against", ["reference", *drawn], (joined or ["reference"])[0], "against",
                   ["reference", *titles], 104, [0, *places], silent="reference"),
            Choice.numbered("column", [c.name for c in columns], heading="grid", asked="metric",
                            titles=[c.title for c in columns], width=142),
            Choice.numbered("pair", pairs, heading="pair" if len(pairs) > 1 else "",
                            titles=[plain(pair) for pair in pairs], width=170,
                            silent=pairs[0] if len(pairs) == 1 else None),
            Choice("overlay", drawn, rivals[:1], "overlay", titles, several=True,
                   colours=colours(payload.sources)),
            Choice("strip", STRIPS, heading="strip"),
            Choice("colour", SCALES, heading="density" if pairs else ""),
            Choice("panel", PANELS, heading="panel", silent=PANELS[0]),
        ]  # fmt: skip

    def initial_state(self, query: Query) -> dict[str, Any]:
        """Return what is shown first, from the address where it makes sense."""
        payload = self.payload
        label = query.label(payload.table, [p.name for p in payload.parameters], payload.worst)
        state = {choice.name: choice.read(query) for choice in self.choices}
        if state["against"] == state["source"]:
            state["against"] = 0
        rest = [int(place) for place in payload.places[label, 2:]]
        return {**state, "label": label, "rest": rest, "live": self._live(query)}

    def _live(self, query: Query) -> list[float] | None:
        """Return the label that the address asks a flow to be drawn at."""
        asked = query.given.get("live")
        if not asked:
            return None
        if self.why_not_live:
            query.messages.append(f"Address: {self.why_not_live}")
            return None
        try:
            return self.bench.check(asked.split(","), list(self.bench.flows)[:1])[0].tolist()
        except LiveError as error:
            query.messages.append(f"Address: live={asked!r}: {error}. Nothing was drawn live.")
            return None
