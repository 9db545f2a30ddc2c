"""Which samples are trained on and which are validated on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from presage.batches.permutation import is_long, scrambled
from presage.fitting.errors import FitError
from presage.positions import Computed, Positions, Rows
from presage.rng import generator

#: Scheme of recipes where what is held out, and the order of the rest, are computed and no lists.
COMPUTED = "fit/2"


def split(samples: int, rule: Mapping[str, Any], last: bool = False) -> tuple[Rows, Rows]:
    """Return the positions to train on and those to validate on, ascending; they share none.

    The rule ``{"fraction": f, "seed": s}`` is a random choice that does not depend on the seed of
    the training, so that seeds can be compared; ``{"start": a, "stop": b}`` is a range. With `last`
    the validation part has to be the last samples, so that the rest are whole blocks of a
    simulator.

    Of more samples than 2^24 a fraction is spread evenly: one
    of every 1 / f consecutive samples, at random, so that no list of them is needed.
    """
    if not rule:
        return range(samples), range(0)
    if "start" in rule:
        start, stop = rule["start"], rule["stop"]
        if stop > samples or stop - start == samples:
            raise FitError(
                f"validation [{start}, {stop}) must lie inside the {samples} samples and leave "
                "some to train on"
            )
        if last and stop != samples:
            raise FitError(
                f"shuffle='aligned' validates on the last samples: give ({start}, {samples}) "
                f"or a fraction, not ({start}, {stop})"
            )
        return _around(samples, start, stop)
    count = round(rule["fraction"] * samples)
    if not 0 < count < samples:
        raise FitError(
            f"a fraction {rule['fraction']} of {samples} samples leaves {count} to validate "
            f"on and {samples - count} to train on; give validation=0 or another fraction"
        )
    if last:
        if rule["seed"]:
            raise FitError("shuffle='aligned' validates on the last samples; give no seed")
        return _around(samples, samples - count, samples)
    rng = generator("presage.fit.validation", rule["seed"], 0)
    if is_long(samples):
        return _spread(samples, count, rng.integers(1 << 32, dtype=np.uint32))
    held = np.zeros(samples, bool)
    held[rng.permutation(samples)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def training_size(samples: int, rule: Mapping[str, Any]) -> int:
    """Return how many samples :func:`split` leaves to train on."""
    held = rule["stop"] - rule["start"] if "start" in rule else rule.get("fraction", 0) * samples
    return int(samples - round(held))


def _around(samples: int, start: int, stop: int) -> tuple[Rows, Rows]:
    """Return what is outside a range, and the range."""
    if start == 0 or stop == samples:
        return range(stop, samples) if start == 0 else range(start), range(start, stop)
    rest = Computed(samples - (stop - start), lambda i: i + (i >= start) * (stop - start))
    return rest if is_long(samples) else rest[:], range(start, stop)


def _spread(samples: int, count: int, key: np.uint32) -> tuple[Computed, Computed]:
    """Hold out one of each of `count` runs of samples, whose lengths differ by one at most."""
    rest = samples - count
    if samples * count >= 1 << 63 or samples >= count << 31:
        raise FitError(
            f"a fraction of {samples} samples is beyond what is counted with; give a range, "
            f"validation=({rest}, {samples})"
        )

    def held(run: Positions) -> Positions:
        first = run * samples // count
        length = (run + 1) * samples // count - first
        return first + (scrambled(run.astype(np.uint32), key).astype(np.int64) * length >> 32)

    def kept(place: Positions) -> Positions:
        run = ((place + 1) * count - 1) // rest  # the last one with fewer kept samples before it
        at = place + run
        return at + (at >= held(run))

    return Computed(rest, kept), Computed(count, held)
