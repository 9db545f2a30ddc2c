"""Everything that one visit to the events page is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from presage.store import EntryInfo, Store

from .live import Bench, LiveError
from .opened import opened
from .origins import beside, flows_of, join, models_of
from .payload import Payload
from .view import SCALES, STRIPS, Query

#: What stands under the label grid.
PANELS = ("numbers", "loss")
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
        partner = _partner(query, partners)
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

    def initial_state(self, query: Query) -> dict[str, Any]:
        """Return what is shown first, from the address where it makes sense."""
        payload = self.payload
        names = [column.name for column in payload.columns]
        model = str(payload.product.attrs.get("model", ""))
        default = model if model in payload.drawn else payload.drawn[0]
        default = "flow" if "flow" in payload.drawn else default
        label = query.label(payload.table, [p.name for p in payload.parameters], payload.worst)
        pair = query.choose("pair", payload.pairs, payload.pairs[0] if payload.pairs else "")
        rivals = [name for name in payload.drawn if name not in (default, "floor")]
        source = query.choose("source", payload.drawn, default)
        joined = [s for s in payload.drawn if self.partner and s.endswith(self.partner.key[:6])]
        against = query.choose(
            "against", ["reference", *payload.drawn], (joined or ["reference"])[0]
        )
        return {
            "label": label,
            "rest": [int(place) for place in payload.places[label, 2:]],
            "source": payload.sources.index(source),
            "against": payload.sources.index(against if against != source else "reference"),
            "column": names.index(query.choose("metric", names, names[0])),
            "pair": payload.pairs.index(pair) if pair else 0,
            "overlay": query.several("overlay", payload.drawn, rivals[:1]),
            "strip": query.choose("strip", STRIPS, STRIPS[0]),
            "colour": query.choose("colour", SCALES, SCALES[0]),
            "panel": query.choose("panel", PANELS, PANELS[0]),
            "live": self._live(query),
        }

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


def _partner(query: Query, partners: list[EntryInfo]) -> EntryInfo | None:
    asked = query.given.get("with")
    if not asked:
        return None
    lookup = Query({"key": asked})
    key = lookup.key([partner.key for partner in partners])
    if key is None:
        query.messages.append(
            f"Address: with={asked!r} is not the key of residuals with the same labels and edges."
        )
    return next((p for p in partners if p.key == key), None)
