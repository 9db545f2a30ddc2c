"""What a model did wrong at labels that it had not seen, carried to another label.

*Problem.* At labels that were held out it is known how far drawn events are from simulated ones.
A template stands at another label, where the same distances stand in other bins.

*Idea.* A place of a distribution is known by its cumulative probability. Simulated and drawn
events of a held-out label are both sent through x' = Q(F(x)), variable by variable: F of the
events that were drawn there, Q the quantiles of those that are drawn at the new label. What was
drawn becomes the template, and what was simulated differs from it by as much as it did at its
own label. How variables hang together stays that of the held-out label for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from presage.analysis.drawing import spacing
from presage.analysis.labelled import Floats, Grouped, group
from presage.labels import LabelError

#: Labels count by their distance to the new one as a normal law of so many steps of the grid.
REACH = 2.0


@dataclass(frozen=True)
class HeldOut:
    """Events at labels that models were not trained on.

    Parameters
    ----------
    simulated
        What was simulated there.
    drawn
        What models drew that had not seen these labels; each of its labels is one.
    """

    simulated: xr.Dataset
    drawn: tuple[xr.Dataset, ...]

    def pairs(self) -> list[Pair]:
        """Return simulated and drawn events of every label that was drawn at."""
        truth = group(self.simulated, "the simulated events")
        found = []
        for part in self.drawn:
            drawn = group(part, "the drawn events", like=truth)
            where = truth.find(drawn.table)
            found += [Pair(truth, int(i), drawn, k) for k, i in enumerate(where)]
        if len(found) < 2:
            raise LabelError(
                f"held-out labels say how far a model errs where there are two at least; "
                f"got {len(found)}"
            )
        return found


@dataclass(frozen=True)
class Pair:
    """Simulated and drawn events at one label."""

    truth: Grouped
    row: int  # which label of the simulated events
    drawn: Grouped
    place: int  # which label of the drawn ones

    @property
    def label(self) -> Floats:
        """Its label ``[parameter]``."""
        return np.asarray(self.truth.table[self.row])

    @property
    def noise(self) -> float:
        """Variance by chance of a bin's difference, over the bin's probability."""
        return float(1 / self.truth.effective[self.row] + 1 / self.drawn.sizes[self.place])

    @property
    def weights(self) -> Floats | None:
        """What each simulated event counts for, 1 on average ``[event]``; None: all alike."""
        own = self.truth.weights_at(self.row)
        return None if own is None else own / own.mean()

    def moved(
        self, names: list[str], quantiles: list[Floats], rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Return simulated and drawn events ``[event, variable]`` sent to another label.

        Parameters
        ----------
        names
            Variables.
        quantiles
            Ascending events of each at the other label.
        rng
            Places events within a value that several have.
        """
        ours = [_column(self.truth, self.row, name) for name in names]
        theirs = [_column(self.drawn, self.place, name) for name in names]
        triples = list(zip(ours, theirs, quantiles, strict=True))
        simulated = [_sent(a, np.sort(b), q, rng) for a, b, q in triples]
        drawn = [_sent(b, np.sort(b), q, rng) for _, b, q in triples]
        return np.stack(simulated, axis=1), np.stack(drawn, axis=1)


def nearness(pairs: list[Pair], label: Floats) -> Floats:
    """Return how much each pair counts at a label ``[parameter]``; they sum to 1."""
    table = np.array([pair.label for pair in pairs])
    steps = np.array([spacing(column) for column in table.T])
    squared = (((table - label) / steps) ** 2).sum(axis=1)
    weights = np.exp(-0.5 * (squared - squared.min()) / REACH**2)
    return np.asarray(weights / weights.sum())


def _column(grouped: Grouped, label: int, name: str) -> Floats:
    rows = slice(grouped.starts[label], grouped.starts[label + 1])
    return np.asarray(grouped.columns[name][rows], dtype=np.float64)


def _sent(x: Floats, ascending: Floats, quantiles: Floats, rng: np.random.Generator) -> Floats:
    """Return Q(F(x)), anywhere within the step of F where several events have one value."""
    low, high = (np.searchsorted(ascending, x, side=side) for side in ("left", "right"))
    share = (low + rng.random(len(x)) * (high - low)) / len(ascending)
    place = np.minimum((share * len(quantiles)).astype(np.int64), len(quantiles) - 1)
    return np.asarray(quantiles[place])
