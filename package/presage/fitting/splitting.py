"""Which samples are trained on and which are validated on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from presage.batches.plan import Positions
from presage.fitting.errors import FitError
from presage.rng import generator


def split(samples: int, rule: Mapping[str, Any], last: bool = False) -> tuple[Positions, Positions]:
    """Return the positions to train on and those to validate on; they share none.

    The rule ``{"fraction": f, "seed": s}`` is a random choice that does not depend on the seed of
    the training, so that seeds can be compared; ``{"start": a, "stop": b}`` is a range. With `last`
    the validation part has to be the last samples, so that the rest are whole blocks of a
    simulator.
    """
    everything = np.arange(samples, dtype=np.int64)
    if not rule:
        return everything, everything[:0]
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
        chosen = everything[start:stop]
    else:
        count = round(rule["fraction"] * samples)
        if not 0 < count < samples:
            raise FitError(
                f"a fraction {rule['fraction']} of {samples} samples leaves {count} to validate "
                f"on and {samples - count} to train on; give validation=0 or another fraction"
            )
        if last:
            if rule["seed"]:
                raise FitError("shuffle='aligned' validates on the last samples; give no seed")
            return everything[: samples - count], everything[samples - count :]
        order = generator("presage.fit.validation", rule["seed"], 0).permutation(samples)
        chosen = np.sort(order[:count])
    return np.setdiff1d(everything, chosen, assume_unique=True), chosen
