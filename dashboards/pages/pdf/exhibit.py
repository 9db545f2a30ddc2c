"""Everything that one visit to the pdf page is about: a product of posteriors, a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import xarray as xr

from dashboards.kit.choice import Choice
from dashboards.kit.frame import complete
from dashboards.kit.opened import checked, opened
from dashboards.kit.page import Visit
from dashboards.kit.theme import whole
from presage.store import EntryInfo
from presage.studies.pdf.exhibits import completed
from presage.studies.pdf.posterior_figures import COLOURS

KINDS = ("reference", "estimate", "corrected")
#: What a product of posteriors has to hold, with its dims.
_NEEDED = {
    "draws": ("observation", "size", "kind", "draw", "parameter"),
    "theta": ("observation", "parameter"),
    "events": ("observation", "event", "feature"),
    "contour": ("observation", "size", "kind", "pair", "mass", "vertex", "axis"),
    "marginal": ("observation", "size", "kind", "parameter", "point"),
    "shown": ("observation", "size", "parameter", "edge"),
    "sd_ratio": ("observation", "size", "kind", "parameter"),
    "mean_shift": ("observation", "size", "kind", "parameter"),
    "efficiency": ("observation", "size"),
    "pareto_k": ("observation", "size"),
    "c2st": ("observation", "size", "kind"),
    "c2st_floor": ("observation", "size"),
}
_COORDS = ("parameter_low", "parameter_high")
#: Observations beyond which there is a menu.
_MOST_BUTTONS = 12


@dataclass(frozen=True)
class Exhibit:
    """A product with the calibration beside it."""

    product: xr.Dataset  # Posteriors with what follows from them, kinds in the page's order.
    visit: Visit  # What is asked for.
    checks: list[EntryInfo]  # Calibrations of the same problem, the best match first.
    checked: EntryInfo | None  # The one of these that is shown.

    @classmethod
    def of(cls, visit: Visit) -> Exhibit:
        """Open a product, ValueError says what it lacks, and find its calibrations."""
        product = opened(visit.store, [visit.entry.key], _prepared)
        checks = _beside(visit.entry, complete(visit.entries, "pdf_calibration"))
        asked = visit.query.entry("checks", checks, "calibration of this problem")
        return cls(product, visit, checks, asked or next(iter(checks), None))

    @cached_property
    def kinds(self) -> list[str]:
        """The posteriors that were made, the reference first."""
        return [str(kind) for kind in self.product["kind"].values]

    @cached_property
    def curves(self) -> list[str]:
        """Names of the curves."""
        return [c for c in str(self.product.attrs.get("curves", "")).split(",") if c]

    @cached_property
    def features(self) -> list[str]:
        """Names of the features."""
        return [str(name) for name in self.product["feature"].values]

    @cached_property
    def pairs(self) -> list[str]:
        """Pairs of features that can be drawn against each other, ``"x,Q2"``."""
        return [",".join(self.features[k] for k in place) for place in self.places]

    @cached_property
    def places(self) -> list[tuple[int, ...]]:
        """Numbers of the features of each pair; of the only one where there is one."""
        count = len(self.features)
        return list(combinations(range(count), 2)) if count > 1 else [(0,)]

    def calibration(self) -> xr.Dataset | None:
        """Return the calibration that is shown."""
        if self.checked is None:
            return None
        return self.visit.store.open(self.checked.key)

    @cached_property
    def choices(self) -> list[Choice]:
        """What can be chosen."""
        sizes = [str(int(size)) for size in self.product["size"].values]
        observations = [str(k) for k in range(self.product.sizes["observation"])]
        pairs, curves = self.pairs, self.curves
        of_curves = [
            Choice.numbered("curve", curves, heading="curve", width=150, cycle="c",
                            titles=[name.replace("_", " ") for name in curves]),
            Choice("strip", ("sigma", "ratio"), heading="residual in",
                   titles=("σ of reference", "ratio")),
            Choice("against", ("reference", "truth"), heading="against"),
        ]  # fmt: skip
        return [
            Choice.numbered("observation", observations, heading="observation",
                            width=70 if len(observations) > _MOST_BUTTONS else 0,
                            keys=("ArrowUp", "ArrowDown")),
            Choice.numbered("size", sizes, sizes[-1], keys=("ArrowLeft", "ArrowRight"),
                            titles=[whole(size) for size in sizes]),
            Choice("kinds", self.kinds, self.kinds, "shown", several=True, colours=COLOURS,
                   digits=self.kinds),
            *(of_curves if curves else ()),
            Choice("range", ("posterior", "prior"), heading="range"),
            Choice.numbered("features", pairs, width=120,
                            heading="events" if len(pairs) > 1 else "",
                            titles=[pair.replace(",", " × ") for pair in pairs],
                            silent=pairs[0] if len(pairs) == 1 else None),
            Choice("panel", ("posterior", "calibration"), heading="panel", silent="posterior"),
        ]  # fmt: skip


def _prepared(product: xr.Dataset) -> xr.Dataset:
    """Return a product with what follows from it, kinds in the page's order."""
    curves = filter(None, str(product.attrs.get("curves", "")).split(","))
    parts = [f"{curve}_{part}" for curve in curves for part in ("band", "true", "grid")]
    needed = {**_NEEDED, **dict.fromkeys((*_COORDS, *parts))}
    product = checked(product, "posteriors", needed, ["contour"])  # one parameter has no pairs
    there = [str(kind) for kind in product["kind"].values]
    return completed(product.sel(kind=[kind for kind in KINDS if kind in there]))


def _beside(entry: EntryInfo, calibrations: Sequence[EntryInfo]) -> list[EntryInfo]:
    """Return the calibrations of the same problem: of the same fits first, then the newest."""
    problem = _field(entry, "problem")
    ours = {parent.key for parent in entry.parents}
    found = [c for c in calibrations if _field(c, "problem") == problem]

    def shared(check: EntryInfo) -> tuple[int, bool, str]:
        same = len(ours & {parent.key for parent in check.parents})
        return same, _field(check, "kind") != "corrected", check.created

    return sorted(found, key=shared, reverse=True)


def _field(entry: EntryInfo, name: str) -> str:
    return str(entry.recipe.fields.get(name, "")) if entry.recipe is not None else ""


def title_of(entry: EntryInfo) -> str:
    """Return what menus call a product, ``"gaussian 1a2b3c4d"``, ``"corrected 1a2b3c4d"``."""
    name = _field(entry, "kind") or _field(entry, "problem")
    return f"{name or 'posteriors'} {entry.key[:8]}"
