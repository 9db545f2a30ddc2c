"""Where a campaign's events come from, by name: a simulator, or files of one's own.

A source is one line in :data:`SOURCES` and one small function here, which builds it from what
the notebooks ask for. Everything else (what is held out, the truth, the floor) is the same
for all: a :class:`~presage.emulation.grid.LabelledSimulator` is asked again at its labels,
a reader has only what the files hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from presage.labels import LabelError
from presage.plugins import resolve
from presage.simulator import Source
from presage.studies import producer
from presage.studies.settings import made_of

DEFAULT = "default"


class Wish(Protocol):
    """What a :class:`~presage.studies.events.campaign.Campaign` says of its source, by field."""

    @property
    def source(self) -> str:
        """Its name or address."""

    @property
    def path(self) -> str | Path:
        """Of files."""

    @property
    def grid(self) -> tuple[int, ...]:
        """Labels along each axis."""

    @property
    def weights(self) -> str:
        """How events are spread."""

    @property
    def bad_files(self) -> str:
        """What is done with them."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Further settings."""


def _axes(campaign: Wish, number: int) -> tuple[int, ...]:
    """Return the grid, which should have this many axes."""
    if campaign.grid and len(campaign.grid) != number:
        what = "1 axis" if number == 1 else f"{number} axes"
        raise LabelError(
            f"{campaign.source} has {what} of labels: grid= should be like {[10] * number}, "
            f"got {list(campaign.grid)}"
        )
    return campaign.grid


def _weights(campaign: Wish, default: str) -> str:
    """Return the weights, the source's own where none were asked for."""
    return default if campaign.weights == DEFAULT else campaign.weights


def _files(campaign: Wish) -> str:
    """Return the path of the files as it was given: it may be a pattern."""
    if not campaign.path:
        raise LabelError(f"source={campaign.source!r} needs path=, a file or a folder of files")
    return str(campaign.path)


def _resonance(address: str) -> Callable[[Wish], Source]:
    """Return what builds the simulator at ``"module:class"``, whose grid has the two masses."""

    def source(campaign: Wish) -> Source:
        phi, omega = _axes(campaign, 2) or (10, 10)
        built: Source = resolve(address).on_grid(
            phi, omega, weights=_weights(campaign, "acceptance")
        )
        return built

    return source


def _gaussians(layout: str, axes: int) -> Callable[[Wish], Source]:
    """Return what builds clouds on a layout, whose first settings are numbers of labels."""

    def source(campaign: Wish) -> Source:
        from presage.studies.events.gaussians import LAYOUTS, Gaussians

        return Gaussians.on(
            LAYOUTS[layout](*_axes(campaign, axes)), weights=_weights(campaign, "equal")
        )

    return source


def _gaussians_cube(campaign: Wish) -> Source:
    from presage.studies.events.gaussians import Gaussians, UnitCube

    return Gaussians.on(UnitCube(campaign.grid or (5, 5, 5)), weights=_weights(campaign, "equal"))


def _root(campaign: Wish) -> Source:
    from presage.studies.events.described import read_description
    from presage.studies.events.root import RootReader

    path = _files(campaign)
    # A description says for itself what to do with bad files; a wish to skip them adds to it.
    settings = {} if campaign.bad_files == "raise" else {"bad_files": campaign.bad_files}
    if _is_description(path):
        return read_description(Path(path), **settings)
    return RootReader.fedhex(path, **settings)


def _numpy(campaign: Wish) -> Source:
    from presage.studies.events.described import read_description
    from presage.studies.events.numpy_files import NumpyReader

    path = _files(campaign)
    return read_description(Path(path)) if _is_description(path) else NumpyReader(Path(path))


def _is_description(path: str) -> bool:
    return path.lower().endswith(".toml")


#: Name → function that builds the source. A new source is one line here.
SOURCES: dict[str, Callable[[Wish], Source]] = {
    "resonance": _resonance("presage.studies.events.resonance:Resonance"),
    "resonance_decay": _resonance("presage.studies.events.decay:ResonanceDecay"),
    "gaussians_line": _gaussians("line", 1),
    "gaussians_grid": _gaussians("grid", 2),
    "gaussians_cube": _gaussians_cube,
    "gaussians_circle": _gaussians("circle", 1),
    "root": _root,
    "numpy": _numpy,
}


def build(campaign: Wish) -> Source:
    """Return the source that a campaign asks for: of this study, or a user's own."""
    usual = {"path": "", "bad_files": "raise", "weights": DEFAULT}
    settings = dict(campaign.settings)
    if campaign.source in SOURCES:
        found: Any = SOURCES[campaign.source](campaign)
    else:
        found = producer(campaign.source)
        given = {n: getattr(campaign, n) for n in usual}
        settings = {n: v for n, v in given.items() if v != usual[n]} | settings
        if campaign.grid and not hasattr(found, "on_grid"):
            raise LabelError(
                f"{campaign.source} has labels of its own and no on_grid(), so grid= says nothing "
                "to it; leave it out (grid=[])"
            )
        if campaign.grid:
            found = partial(found.on_grid, *campaign.grid)
    built: Source = made_of(found, settings, Source, campaign.source)
    return built
