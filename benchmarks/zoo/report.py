"""The table: model, best rival and floor for each shape, and who wins.

W1/std, KS and the AUC above 0.5 are medians over seeds and labels of the worst variable. Of the
two rivals the one that has the smaller median stands there. Level is what differs by less than
the floor, of the AUC by less than twice the larger of the two errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from benchmarks.core import Result
from benchmarks.zoo.measure import MODEL, RIVALS, Outcome
from presage.analysis.judging import CONTESTS, worst_distance

#: Largest median W1/std where the floor allows it, least N_eq of the dense layout, P(n).
W1_BAR, EVENTS_BAR, PROBABILITY_BAR = 0.02, 3000, 0.01
#: So many times the floor is what can be asked for.
_FLOORS = 2.0


@dataclass(frozen=True)
class Row:
    """A shape in one layout.

    Parameters
    ----------
    name
        ``shape, layout``.
    outcomes
        One for each seed.
    dense, atoms
        Which bars it is held against.
    seconds
        What all of it took.
    """

    name: str
    outcomes: Sequence[Outcome]
    dense: bool
    atoms: bool
    seconds: float

    def typical(self, source: str, metric: str = "w1_over_std") -> float:
        """Return the median of the worst variable over seeds and labels."""
        found = [worst_distance(outcome.product, source, metric) for outcome in self.outcomes]
        return float(np.median(np.concatenate(found)))

    def worst(self, metric: str = "w1_over_std") -> float:
        """Return the model's worst value over seeds, labels and variables."""
        return max(float(worst_distance(o.product, MODEL, metric).max()) for o in self.outcomes)

    def events(self, source: str) -> float:
        """Return the median of the equivalent events, over variables too."""
        found = [o.product["equivalent_events"].sel(source=source) for o in self.outcomes]
        return float(xr.concat(found, "seed").median())

    def rival(self, metric: str = "w1_over_std") -> str:
        """Return the better rival."""
        return min(RIVALS, key=lambda name: np.nan_to_num(self.typical(name, metric), nan=np.inf))

    def outcome(self, metric: str) -> int:
        """Return 1 where the model is better than the rivals, -1 worse, 0 level or unknown."""
        if any(metric not in outcome.product for outcome in self.outcomes):
            return 0
        rival = self.rival(metric)
        gain = self.typical(rival, metric) - self.typical(MODEL, metric)
        chance = self.typical("floor", metric)
        if metric == "auc":  # a rival's events repeat: fewer of them can be told from the truth
            errors = [o.product["auc_error"].sel(source=[MODEL, rival]) for o in self.outcomes]
            chance = 2 * 2**0.5 * float(xr.concat(errors, "seed").max("source").median())
        return int(np.sign(gain)) if abs(gain) > chance else 0

    @property
    def winner(self) -> str:
        """``model``, ``level``, ``rival`` or ``mixed``, and in what."""
        found = {words: self.outcome(metric) for metric, words in CONTESTS.items()}
        lost = [words for words, sign in found.items() if sign < 0]
        if not lost:
            return "model" if any(sign > 0 for sign in found.values()) else "level"
        return f"{'mixed' if any(s > 0 for s in found.values()) else 'rival'} ({', '.join(lost)})"

    def results(self) -> list[Result]:
        """Return the figures that have bars."""
        w1, floor = self.typical(MODEL), self.typical("floor")
        beside = f"{self.rival()} {self.typical(self.rival()):.4f}, floor {floor:.4f}"
        bar = max(W1_BAR, _FLOORS * floor)
        note = f"worst {self.worst():.4f}; {beside}; {self.winner}; {self.seconds:.0f} s"
        results = [Result(f"zoo/{self.name}, W1/std", w1, "", bar, most=True, note=note)]
        if self.dense:
            note = f"best rival {max(map(self.events, RIVALS)):.0f}"
            results.append(
                Result(f"zoo/{self.name}, equivalent events", self.events(MODEL), "events",
                       EVENTS_BAR, note=note)
            )  # fmt: skip
        if self.atoms:
            error = self.typical(MODEL, "probability_error")
            note = f"floor {self.typical('floor', 'probability_error'):.4f}"
            results.append(
                Result(f"zoo/{self.name}, P of a value", error, "", PROBABILITY_BAR, most=True,
                       note=note)
            )  # fmt: skip
        return results


@dataclass(frozen=True)
class Refused:
    """A shape that the model does not take, and why."""

    name: str
    why: str

    def results(self) -> list[Result]:
        """Return a figure without value, which is no bar met."""
        return [Result(f"zoo/{self.name}, W1/std", None, "", W1_BAR, most=True, note=self.why)]


_HEAD = (
    "shape", "W1/std (worst)", "best rival", "floor", "KS", "rival", "floor", "AUC", "P(value)",
    "N_eq", "rival", "nats lost", "wins", "training s",
)  # fmt: skip


def markdown(rows: Sequence[Row | Refused]) -> str:
    """Return the rows as a table."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cells(row: Row | Refused) -> tuple[str, ...]:
    if isinstance(row, Refused):
        return (row.name, "refused", *("–",) * (len(_HEAD) - 2))
    rival, by_ks = row.rival(), row.rival("ks")
    lost = float(np.median([outcome.lost for outcome in row.outcomes]))
    auc = 0.5 + row.typical(MODEL, "auc")
    return (
        row.name,
        f"{row.typical(MODEL):.4f} ({row.worst():.4f})",
        f"{row.typical(rival):.4f} {rival}",
        f"{row.typical('floor'):.4f}",
        f"{row.typical(MODEL, 'ks'):.4f}",
        f"{row.typical(by_ks, 'ks'):.4f}",
        f"{row.typical('floor', 'ks'):.4f}",
        f"{auc:.4f}" if np.isfinite(auc) else "–",
        f"{row.typical(MODEL, 'probability_error'):.4f}" if row.atoms else "–",
        f"{row.events(MODEL):.0f}",
        f"{max(map(row.events, RIVALS)):.0f}",
        f"{lost:.4f}",
        row.winner,
        f"{np.median([outcome.seconds for outcome in row.outcomes]):.0f}",
    )
