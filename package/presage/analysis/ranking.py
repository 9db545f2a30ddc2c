"""The rank of the truth among draws, in any function of the parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from presage.labels import Floats, LabelError
from presage.progress import Bar
from presage.rng import generator

#: Numbers that are compared at once.
_AT_ONCE = 1 << 24


def ranks(
    truth: Mapping[str, xr.DataArray] | xr.DataArray,
    draws: Mapping[str, xr.DataArray] | xr.DataArray,
    *,
    observation: str = "observation",
    dim: str = "draw",
    seed: int = 0,
    progress: bool = False,
) -> xr.DataArray:
    """Count the draws below the truth.

    Parameters
    ----------
    truth
        ``[observation]``, or ``[observation, x]`` for a quantity of several values (a
        parameter vector, a curve on a grid); or name → such an array.
    draws
        The same with a dimension of draws: plain draws, not weighted ones.
    observation, dim
        Names of the dimensions.
    seed
        Of ties: a truth equal to k draws takes one of their k + 1 places at random.
    progress
        Whether a bar is shown, after two seconds.

    Returns
    -------
    xarray.DataArray
        ``rank`` ``[observation, quantity]``, whole numbers from 0 to
        ``attrs["draw_count"]``; quantities are called by the coordinate along their last
        dimension, or ``name[i]`` where that has none.

    Raises
    ------
    LabelError
        Names, coordinates or dimensions differ, or values are NaN.
    """
    truths = {"": truth} if isinstance(truth, xr.DataArray) else dict(truth)
    drawn = {"": draws} if isinstance(draws, xr.DataArray) else dict(draws)
    if list(truths) != list(drawn):
        raise LabelError(f"truth has {', '.join(truths)}; draws have {', '.join(drawn)}")
    rng = generator("calibration-ranks", seed, 0)
    names: list[str] = []
    columns: list[Floats] = []
    bar = Bar(truths.items(), desc="ranks", unit="quantity", disable=not progress)
    counts = {array.sizes.get(dim, 0) for array in drawn.values()}
    for name, value in bar:
        labels, true, sample = _matched(name, value, drawn[name], observation, dim)
        names += labels
        columns.append(counted(true, sample, rng))
    if len(counts) != 1:
        raise LabelError(f"quantities have different numbers of draws: {sorted(counts)}")
    if len(set(names)) < len(names):
        raise LabelError(f"two quantities have the same name: {', '.join(sorted(names))}")
    first = next(iter(truths.values()))
    coords = {observation: first.coords[observation]} if observation in first.coords else {}
    return xr.DataArray(
        np.concatenate(columns, axis=1).astype(np.int64),
        dims=(observation, "quantity"),
        coords={**coords, "quantity": np.array(names, dtype=object)},
        name="rank",
        attrs={"long_name": "draws below the truth", "units": "1", "draw_count": counts.pop()},
    )


def places(rank: xr.DataArray, seed: int = 0) -> xr.DataArray:
    """Return places in (0, 1) of ranks, exactly uniform where ranks are: (rank + u) / (D + 1)."""
    rng = generator("calibration-places", seed, 0)
    count = _draw_count(rank)
    found: xr.DataArray = (rank + rng.random(rank.shape)) / (count + 1)
    return found.rename("place").assign_attrs(long_name="place of the truth", units="1")


def _draw_count(rank: xr.DataArray) -> int:
    if "draw_count" not in rank.attrs:
        raise LabelError("rank should carry attrs['draw_count'], how many draws there were")
    return int(rank.attrs["draw_count"])


def _matched(
    name: str, truth: xr.DataArray, draws: xr.DataArray, observation: str, dim: str
) -> tuple[list[str], Floats, Floats]:
    """Return names of the columns, truth ``(L, Q)`` and draws ``(L, D, Q)``."""
    said = name or "the quantity"
    rest = [d for d in truth.dims if d != observation]
    if observation not in truth.dims or len(rest) > 1 or set(draws.dims) != {*truth.dims, dim}:
        raise LabelError(
            f"{said}: expected truth [{observation}] or [{observation}, x] and draws with "
            f"{dim!r} besides, got {truth.dims} and {draws.dims}"
        )
    try:
        truth, draws = xr.align(truth, draws, join="exact", exclude=[dim])
    except ValueError as error:
        raise LabelError(f"{said}: truth and draws are not of the same labels: {error}") from error
    true = truth.transpose(observation, *rest).values.astype(float)
    sample = draws.transpose(observation, dim, *rest).values.astype(float)
    if np.isnan(true).any() or np.isnan(sample).any():
        raise LabelError(f"{said} holds NaN")
    if not rest:
        return [name or str(truth.name or "quantity")], true[:, None], sample[..., None]
    along = str(rest[0])
    if along in truth.coords and truth[along].dtype.kind in "OUT":
        return [str(v) for v in truth[along].values], true, sample
    prefix = name or str(truth.name or along)
    return [f"{prefix}[{i}]" for i in range(truth.sizes[along])], true, sample


def counted(true: Floats, sample: Floats, rng: np.random.Generator) -> Floats:
    """Return how many draws ``(L, D, Q)`` are below the truth ``(L, Q)``, ties at random."""
    rows = max(1, _AT_ONCE // max(1, sample[0].size))
    pieces = []
    for start in range(0, len(true), rows):
        part = slice(start, start + rows)
        edge = true[part, None]
        below = (sample[part] < edge).sum(axis=1)
        equal = (sample[part] == edge).sum(axis=1)
        pieces.append(below + rng.integers(0, equal + 1))
    return np.concatenate(pieces)
