"""What the four notebooks of the study share: which events, what is held out, what is true.

Each notebook builds the same :class:`Campaign` from its parameters, and thereby the same
recipes; none passes file names to another. The first one makes the events, the others ask
for them and say how to make them when they are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import presage.plugins as plugins
from presage.analysis.labelled import FEWEST, declared, label_table
from presage.analysis.residuals import Residuals, residuals
from presage.emulation.grid import LabelledSimulator
from presage.emulation.sampling import sample
from presage.emulation.split import choose_held_out, hold_out, unique_labels
from presage.fitting import Fitted
from presage.generate import simulate
from presage.generate.reading import read_back
from presage.labels.equality import positions
from presage.simulator import Reader, Source
from presage.store import Store
from presage.studies import made_by
from presage.studies.events.sources import DEFAULT, SOURCES, build
from presage.studies.events.study import STUDY
from presage.studies.settings import StudySettings, setting

#: Events of a simulator where no number is given.
_SIMULATED = 48_500
#: Events at a label that is held out, where it is judged by others that are simulated anew.
_THERE = 20


@dataclass(frozen=True)
class Campaign(StudySettings):
    """Events on a grid of labels, some labels of which are held out.

    Parameters
    ----------
    store
        Where datasets live.
    source
        A simulator, or "root" and "numpy", files of one's own; "my_package.toys:MySimulator" is a
        class with defaults, an object of one, or a function that returns one.
    path
        For "root" a folder, for "numpy" a file, in FEDHEX's layout, or a .toml file that describes
        another one.
    n_events
        Events over the whole grid; 0 is all that files hold, and 48 500 of a simulator. Fewer
        than files hold are the first of them, with a warning of what is cut off.
    grid
        Numbers of a simulator's labels along each axis; empty is its own grid.
    weights
        How events are spread over the labels: "equal", or "default", the simulator's own way.
    interior
        Labels held out inside the grid; -1 is 4, of a small grid a third.
    edge
        Labels held out on its edge, likewise.
    n_truth
        Events simulated as the truth at each held-out label, and once more for the statistical
        floor; files have only what they hold.
    n_grid
        The same at each other label.
    seed
        Seed of the events; truth and floor use the next two.
    bad_files
        Of files that cannot be read: "raise", all of them named, or "skip" them.
    settings
        Further settings of the source, name to value.
    """

    store: Store
    source: str = setting("resonance", choices=tuple(SOURCES), group=plugins.SIMULATORS)
    path: str | Path = ""
    n_events: int = setting(0, least=0)
    grid: tuple[int, ...] = ()
    weights: str = DEFAULT
    interior: int = setting(-1, least=-1)
    edge: int = setting(-1, least=-1)
    n_truth: int = setting(100_000, least=1)
    n_grid: int = setting(10_000, least=1)
    seed: int = 0
    bad_files: str = setting("raise", choices=("raise", "skip"))
    settings: Mapping[str, Any] = field(default_factory=dict)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets

    @cached_property
    def producer(self) -> Source:
        """The simulator, or the reader of files."""
        return build(self)

    def inputs(self) -> dict[str, str]:
        """Return the recipe key of the events: of a simulator's settings, of files by content."""
        return {"events": self.producer.recipe(self.events_seed).key}

    @property
    def events_seed(self) -> int:
        """Seed of the events; files have none."""
        return 0 if isinstance(self.producer, Reader) else self.seed

    @property
    def _wanted(self) -> int | None:
        """How many events; None for all that files hold."""
        return self.n_events or (None if isinstance(self.producer, Reader) else _SIMULATED)

    def make(self) -> xr.Dataset:
        """Make what is missing of events, truth and floor, and return the events."""
        simulate(self.producer, self._wanted, seed=self.events_seed, store=self.store)
        if isinstance(self.producer, LabelledSimulator):
            source, n = self._again(self.producer)
            for step in (1, 2):
                simulate(source, n, seed=self.seed + step, store=self.store)
        return self.events

    @cached_property
    def events(self) -> xr.Dataset:
        """All events, which notebook 1 made."""
        with made_by("1_generate", "these events", "events"):
            if isinstance(self.producer, Reader):
                return read_back(self.producer, self._wanted, self.store)[0]
            return self.store.open(self.producer.recipe(self.seed), 0, self._wanted)

    @cached_property
    def held_out_labels(self) -> list[tuple[float, ...]]:
        """The labels that are held out, the inner ones first."""
        interior, edge = (None if n < 0 else n for n in (self.interior, self.edge))
        least = FEWEST if isinstance(self.producer, Reader) else _THERE
        return choose_held_out(self.events, interior, edge, least)

    @cached_property
    def new_labels(self) -> list[tuple[float, ...]]:
        """Up to two labels of which there are no events at all, amid four of the grid (or two)."""
        _, parameters, _ = declared(self.events)
        axes = [np.unique(axis) for axis in label_table(self.events, parameters).T]
        found = [tuple(_between(axis, share) for axis in axes) for share in (0.5, 0.8)]
        return list(dict.fromkeys(found))  # on three values or fewer both are the same

    @cached_property
    def _parts(self) -> tuple[xr.Dataset, xr.Dataset]:
        return hold_out(self.events, self.held_out_labels)

    @property
    def train(self) -> xr.Dataset:
        """Events to train on."""
        return self._parts[0]

    @property
    def held_out(self) -> xr.Dataset:
        """Events at the held-out labels, never trained on."""
        return self._parts[1]

    @cached_property
    def truth(self) -> xr.Dataset:
        """Reference events: simulated anew at every label, or the files' own held-out ones."""
        return self.references["truth"] if self.references else self.held_out

    @cached_property
    def floor(self) -> xr.Dataset | None:
        """A second, independent sample of the truth; None where there is no simulator."""
        return self.references.get("floor")

    @cached_property
    def references(self) -> dict[str, xr.Dataset]:
        """``truth`` and ``floor`` of a simulator; nothing for files."""
        if not isinstance(self.producer, LabelledSimulator):
            return {}
        source, n = self._again(self.producer)
        recipes = {"truth": source.recipe(self.seed + 1), "floor": source.recipe(self.seed + 2)}
        with made_by("1_generate", "the truth", "events"):
            return {name: self.store.open(recipe, 0, n) for name, recipe in recipes.items()}

    def counts(self) -> xr.Dataset:
        """Return the number of events at each label, laid out as a residuals product is.

        Returns
        -------
        xarray.Dataset
            ``events[source, label]`` of the one source ``simulated``; the labels and
            ``held_out`` are coordinates.
        """
        table = unique_labels(self.events)
        names = [name for name in table.data_vars if name != "events"]
        held = self._is_held_out(np.stack([table[name].values for name in names], axis=1))
        about = {"long_name": "held out from training"}
        table = table.set_coords(names)
        table = table.assign_coords(held_out=("label", held, about))
        return table.expand_dims(source=["simulated"]).assign_attrs(model="simulated")

    def draw(self, fitted: Fitted, n: int, seed: int = 0) -> xr.Dataset:
        """Draw `n` events at each held-out label and, as the truth has them, at the others."""
        labels, sizes = self._sizes(n)
        if isinstance(self.producer, Reader):
            labels, sizes = self.held_out_labels, [n] * len(self.held_out_labels)
        return sample(fitted, labels=labels, n=sizes, seed=seed, store=self.store)

    def residuals(
        self, fitted: Fitted, n: int, seed: int = 0, bins: int = 40, metrics: Sequence[Any] = ()
    ) -> Residuals:
        """Compare what :meth:`draw` draws with the truth; classify at held-out labels only.

        `metrics` are figures of merit of one's own, ``"my_module:function"``.
        """
        return residuals(
            self.draw(fitted, n, seed),
            self.truth,
            train=self.train,
            floor=self.floor,
            store=self.store,
            bins=bins,
            classifier="held_out",
            metrics=metrics,
            progress=True,
        )

    def _sizes(self, n: int) -> tuple[list[tuple[float, ...]], list[int]]:
        """Return all labels, and how many events each gets: `n` where held out."""
        table = label_table(self.events, declared(self.events)[1])
        sizes = np.where(self._is_held_out(table), n, self.n_grid)
        return [tuple(row) for row in table.tolist()], sizes.tolist()

    def _is_held_out(self, table: NDArray[np.float64]) -> NDArray[np.bool_]:
        held = np.array(self.held_out_labels).reshape(-1, table.shape[1])
        return positions(table, held, declared(self.events)[1]) >= 0

    def _again(self, producer: LabelledSimulator) -> tuple[LabelledSimulator, int]:
        """Return the simulator of the truth, and how many events it is asked for."""
        labels, sizes = self._sizes(self.n_truth)
        weights = tuple(float(size) for size in sizes)
        return replace(producer, labels=tuple(labels), weights=weights), sum(sizes)


def _between(values: NDArray[np.float64], share: float) -> float:
    """Return the middle between two neighbours, at about this share of the sorted values."""
    place = max(int(share * (len(values) - 1)), 0)
    return float(values[place : place + 2].mean())
