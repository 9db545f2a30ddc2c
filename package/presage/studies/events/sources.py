"""Where a campaign's events come from, by name: a simulator, or files of one's own.

A source is one line in :data:`SOURCES` and one small function here, which builds it from what
the notebooks ask for. Everything else (what is held out, the truth, the floor) is the same
for all: a :class:`~presage.emulation.grid.LabelledSimulator` is asked again at its labels,
a reader has only what the files hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from presage.labels import LabelError
from presage.labels.errors import check_choices, check_name
from presage.plugins import resolve
from presage.simulator import Source

DEFAULT = "default"


@dataclass(frozen=True)
class Wish:
    """What the notebooks ask of a source.

    The fields are those of :class:`~presage.studies.events.campaign.Campaign`; without a `grid` it
    is the source's own.
    """

    source: str
    grid: tuple[int, ...] = ()
    weights: str = DEFAULT
    path: str = ""
    bad_files: str = "raise"

    def axes(self, number: int) -> tuple[int, ...]:
        """Return the grid, which should have this many axes.

        Raises
        ------
        LabelError
            It has another number of axes.
        """
        if self.grid and len(self.grid) != number:
            what = "1 axis" if number == 1 else f"{number} axes"
            raise LabelError(
                f"{self.source} has {what} of labels: grid= should be like {[10] * number}, "
                f"got {list(self.grid)}"
            )
        return self.grid

    def spread(self, default: str) -> str:
        """Return the weights, the source's own where none were asked for."""
        return default if self.weights == DEFAULT else self.weights

    def files(self) -> str:
        """Return the path of the files as it was given: it may be a pattern.

        Raises
        ------
        LabelError
            None was given.
        """
        if not self.path:
            raise LabelError(f"source={self.source!r} needs path=, a file or a folder of files")
        return str(self.path)


def _resonance(address: str) -> Callable[[Wish], Source]:
    """Return what builds the simulator at ``"module:class"``, whose grid has the two masses."""

    def source(wish: Wish) -> Source:
        phi, omega = wish.axes(2) or (10, 10)
        built: Source = resolve(address).on_grid(phi, omega, weights=wish.spread("acceptance"))
        return built

    return source


def _gaussians(layout: str, axes: int) -> Callable[[Wish], Source]:
    """Return what builds clouds on a layout, whose first settings are numbers of labels."""

    def source(wish: Wish) -> Source:
        from presage.studies.events.gaussians import LAYOUTS, Gaussians

        return Gaussians.on(LAYOUTS[layout](*wish.axes(axes)), weights=wish.spread("equal"))

    return source


def _gaussians_cube(wish: Wish) -> Source:
    from presage.studies.events.gaussians import Gaussians, UnitCube

    return Gaussians.on(UnitCube(wish.grid or (5, 5, 5)), weights=wish.spread("equal"))


def _root(wish: Wish) -> Source:
    from presage.studies.events.described import read_description
    from presage.studies.events.root import RootReader

    path = wish.files()
    # A description says for itself what to do with bad files; a wish to skip them adds to it.
    settings = {} if wish.bad_files == "raise" else {"bad_files": wish.bad_files}
    if _is_description(path):
        return read_description(Path(path), **settings)
    return RootReader.fedhex(path, **settings)


def _numpy(wish: Wish) -> Source:
    from presage.studies.events.described import read_description
    from presage.studies.events.numpy_files import NumpyReader

    path = wish.files()
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


def build(wish: Wish) -> Source:
    """Return the source that is asked for.

    Raises
    ------
    LabelError
        No such source, or a wish that it cannot fulfil.
    """
    check_choices(wish, LabelError, bad_files=("raise", "skip"))
    check_name("source", wish.source, SOURCES)
    return SOURCES[wish.source](wish)
