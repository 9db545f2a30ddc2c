"""Which samples are trained on, which are validated on, and in what order they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from presage.batches.plan import Positions
from presage.fitting.errors import FitError
from presage.rng import generator
from presage.store import made_rows
from presage.store.made import Maker


def order_of(train: xr.Dataset, shuffle: str) -> str:
    """Return the shuffle of a training: on the fly there is one alone.

    Raises
    ------
    FitError
        Another one was asked for.
    """
    if _maker(train) is None:
        return shuffle
    if shuffle not in ("auto", "aligned"):
        raise FitError(
            f"samples made on the fly come block by block, shuffle={shuffle!r} would make each of "
            "them many times over; give shuffle='aligned', or store the samples"
        )
    return "aligned"


def is_fresh(train: xr.Dataset) -> bool:
    """Say whether samples are made on the fly and are new in every epoch."""
    maker = _maker(train)
    return maker is not None and maker.fresh


def made_samples(train: xr.Dataset) -> int:
    """Return how many samples an epoch is apart from the next one, 0 where they are stored."""
    maker = _maker(train)
    return 0 if maker is None else maker.samples


def _maker(train: xr.Dataset) -> Maker | None:
    for array in train.data_vars.values():
        made = made_rows(array.variable)
        if made is not None:
            return made[0].maker
    return None


def split(samples: int, rule: Mapping[str, Any], last: bool = False) -> tuple[Positions, Positions]:
    """Return the positions to train on and those to validate on; they share none.

    Parameters
    ----------
    samples
        How many there are.
    rule
        ``{"fraction": f, "seed": s}``, a random choice that does not depend on the seed of
        the training, so that seeds can be compared; or ``{"start": a, "stop": b}``; or
        empty.
    last
        Whether the validation part has to be the last samples, so that the rest are whole
        blocks of a simulator.

    Raises
    ------
    FitError
        A part would be empty, the range is beyond the samples, or not the last ones.
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
