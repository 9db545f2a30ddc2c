r"""Draws of one law made into draws of another: importance weights, and how far to trust them.

Draws of a proposal q stand for a target p with weights w = p / q, normalised to sum to 1.
Two numbers say whether they can: the *efficiency* 1 / (M Σ w²), the share of the M draws
that an equally good plain sample would have (Kong 1992), and the shape k̂ of the
generalised Pareto law of the largest weights (Vehtari et al. 2024, arXiv:1507.02646):
above 0.7 no affordable number of draws makes the estimate reliable.

Weights are logarithms throughout; arrays may have any dimensions besides the draws'.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

from presage.analysis.pareto import PARETO_BAR as PARETO_BAR
from presage.analysis.pareto import pareto_k as pareto_k
from presage.labels import Floats, LabelError, nearest, unitless
from presage.rng import generator


def importance(
    log_target: xr.DataArray, log_proposal: xr.DataArray, dim: str = "draw"
) -> xr.Dataset:
    """Weigh draws of a proposal so that they stand for a target.

    Parameters
    ----------
    log_target
        Logarithm of the target's density at each draw, up to a constant for each set of
        draws; -inf where it is zero.
    log_proposal
        Of the proposal's, at the same draws; finite.
    dim
        Dimension of the draws.

    Returns
    -------
    xarray.Dataset
        ``log_weight`` ``[*, draw]``, the logarithm of weights that sum to 1;
        ``efficiency`` ``[*]``; ``pareto_k`` ``[*]``; ``log_evidence`` ``[*]``, the logarithm
        of the mean ratio, which is the target's integral where the proposal is normalised.

    Raises
    ------
    LabelError
        Other coordinates, NaN, a target that is infinite or zero at all draws of a set, or
        a proposal that is zero at its own draws.

    Examples
    --------
    >>> same = xr.DataArray(np.zeros(100), dims="draw")
    >>> round(float(importance(same, same)["efficiency"]), 6)
    1.0
    """
    for array, what in ((log_target, "log_target"), (log_proposal, "log_proposal")):
        if dim not in array.dims:
            raise LabelError(f"{what} should have a dimension {dim!r}, got dims {array.dims}")
    try:
        target, proposal = xr.align(log_target, log_proposal, join="exact")
    except ValueError as error:
        raise LabelError(f"target and proposal are not of the same draws: {error}") from error
    target, proposal = xr.broadcast(target, proposal)
    target, proposal = target.transpose(..., dim), proposal.transpose(..., dim)
    _check(target.values, proposal.values, [str(d) for d in target.dims[:-1]])
    ratio = target.values.astype(float) - proposal.values.astype(float)
    total = np.asarray(logsumexp(ratio, axis=-1))
    log_weight = ratio - total[..., None]
    rest = target.dims[:-1]
    coords = {k: c for k, c in target.coords.items() if dim not in c.dims}
    found = xr.Dataset(coords=coords)
    weight = xr.DataArray(log_weight, dims=(*rest, dim), coords=target.coords)
    found["log_weight"] = weight.assign_attrs(unitless("logarithm of the normalised weight"))
    for name, values, what in (
        ("efficiency", efficiency(log_weight), "effective share of the draws"),
        ("pareto_k", pareto_k(log_weight), "shape of the largest weights"),
        ("log_evidence", total - math.log(ratio.shape[-1]), "logarithm of the evidence"),
    ):
        found[name] = (rest, values, unitless(what))
    return found


def efficiency(log_weight: Floats) -> Floats:
    """Return 1 / (M Σ w²) for log weights ``(*, M)`` of any normalisation, ``(*,)``."""
    first = logsumexp(log_weight, axis=-1)
    second = logsumexp(2 * log_weight, axis=-1)
    share: Floats = np.exp(2 * first - second) / log_weight.shape[-1]
    return share


def resample(
    draws: xr.Dataset, log_weight: xr.DataArray, n: int, *, seed: int = 0, dim: str = "draw"
) -> xr.Dataset:
    """Choose draws by weight, none twice: a plain sample of the target.

    Every draw is chosen with probability c w, at most 1, by systematic sampling in random
    order. As long as no probability has to be cut at 1, that is n times the largest weight
    is at most 1, the law of a chosen draw is exactly that of the weights. Repeats, which
    a classifier memorises, do not occur.

    Parameters
    ----------
    draws
        Variables along `dim`; others are kept as they are.
    log_weight
        ``[*, draw]``, of any normalisation.
    n
        Number to choose.
    seed
        Of the choice.
    dim
        Dimension of the draws.

    Returns
    -------
    xarray.Dataset
        `draws` with `n` draws, and ``clipped`` ``[*]``: the share of the weight that was
        cut off, which is the total variation distance from the weighted law.

    Raises
    ------
    LabelError
        Fewer draws have a weight than are asked for; the message says what to do.
    """
    if dim not in draws.dims:
        raise LabelError(f"no dimension {dim!r} of draws{nearest(dim, map(str, draws.dims))}")
    ordered = log_weight.transpose(..., dim)
    weights = np.exp(ordered.values - logsumexp(ordered.values, axis=-1, keepdims=True))
    there = int((weights > 0).sum(axis=-1).min())
    if there < n or n < 1:
        raise LabelError(
            f"{n} draws without repeats were asked for, but {there} of {weights.shape[-1]} have a "
            "weight: ask for fewer, or draw more from the proposal"
        )
    chance = _inclusion(weights.reshape(-1, weights.shape[-1]), n)
    chosen = _systematic(chance, n, generator("importance-resample", seed, 0))
    rest = ordered.dims[:-1]
    lost = (weights - chance.reshape(weights.shape) / n).clip(min=0).sum(axis=-1)
    index = xr.DataArray(chosen.reshape(*weights.shape[:-1], n), dims=(*rest, dim))
    kept = draws.drop_vars(dim, errors="ignore").isel({dim: index})
    kept["clipped"] = (rest, lost, unitless("share of the weight that was cut off"))
    return kept


def _check(target: Floats, proposal: Floats, dims: list[str]) -> None:
    """Refuse what gives no weights; the message names the first set of draws."""
    for values, what in ((target, "the target"), (proposal, "the proposal")):
        if np.isnan(values).any():
            raise LabelError(f"the log density of {what} is NaN at {np.isnan(values).sum()} draws")
    if np.isposinf(target).any():
        raise LabelError("the log density of the target is +inf at a draw; it should be finite")
    if not np.isfinite(proposal).all():
        raise LabelError(
            "the log density of the proposal is infinite at its own draws; give that of the law "
            "which they were drawn from"
        )
    lost = np.isneginf(target).all(axis=-1)
    if lost.any():
        first = np.unravel_index(int(np.argmax(lost)), lost.shape)
        place = ", ".join(f"{d} {i}" for d, i in zip(dims, first, strict=True))
        raise LabelError(
            f"the target is zero at every draw{' of ' if place else ''}{place}: the proposal "
            "misses it; draw more, or from a wider proposal"
        )


def _inclusion(weights: Floats, n: int) -> Floats:
    """Return min(1, c w) with c such that each row ``(R, M)`` sums to `n`."""
    descending = -np.sort(-weights, axis=1)
    left = descending[:, ::-1].cumsum(axis=1)[:, ::-1]
    # With the k largest certain, the others share n - k; the first k that leaves none above 1.
    room = n - np.arange(n)
    scale = room / left[:, :n]
    fits = scale * descending[:, :n] <= 1 + 1e-12
    fits[:, -1] = True
    first = fits.argmax(axis=1)[:, None]
    chance: Floats = np.minimum(1.0, np.take_along_axis(scale, first, axis=1) * weights)
    return chance


def _systematic(chance: Floats, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Choose exactly `n` of each row with the given probabilities, in random order."""
    rows, columns = chance.shape
    chosen = np.empty((rows, n), dtype=np.int64)
    for row, probabilities in enumerate(chance):
        order = rng.permutation(columns)
        edges = np.cumsum(probabilities[order])
        edges *= n / edges[-1]
        # A step at u, u + 1, ...: no probability above 1 holds two of them.
        places = np.searchsorted(edges, rng.random() + np.arange(n), side="right")
        chosen[row] = rng.permutation(order[np.minimum(places, columns - 1)])
    return chosen
