r"""How often a classifier tells draws of two posteriors apart: the accuracy C2ST.

A network is trained to tell which of two samples a draw is of, and scored on draws that it
has not seen. Its accuracy is 0.5 where the laws agree and at most 1/2 + TV/2, TV the total
variation distance, which a perfect network reaches (Lopez-Paz & Oquab, arXiv:1610.06545;
as a score of posteriors Lueckmann et al., arXiv:2101.04653). The two sides count alike,
and draws may have weights.

Many pairs are compared at once: the small networks of all pairs and folds are trained side
by side in batched products. Inputs are whitened by the first sample and compressed by asinh,
so that neither a posterior much narrower than its prior nor an outlier is in the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import Floats, LabelError, unitless
from presage.progress import Bar
from presage.rng import generator

if TYPE_CHECKING:
    from torch import Tensor

#: Fewest draws of a side.
MINIMUM = 100
#: Networks that are trained side by side.
_AT_ONCE = 64
#: Two laws that agree stay below the floor in 97.5 of 100 cases.
_FLOOR_PULL = 1.96


@dataclass(frozen=True)
class Judge:
    """Settings of the networks: two hidden layers, AdamW, a one-cycle schedule."""

    width: int = 32  # units of a hidden layer
    steps: int = 200  # of the training; a batch holds this many draws of each side
    batch_size: int = 256
    learning_rate: float = 1e-2
    weight_decay: float = 1.0
    folds: int = 5  # every draw is scored by the network that did not see its fold


def c2st(
    first: xr.DataArray,
    second: xr.DataArray,
    *,
    log_weight: xr.DataArray | None = None,
    dim: str = "draw",
    over: str = "parameter",
    seed: int = 0,
    judge: Judge = Judge(),
    progress: bool = False,
) -> xr.Dataset:
    """Return how well a classifier tells draws of `second` from draws of `first`.

    Parameters
    ----------
    first
        ``[*, draw, parameter]``, the reference: without repeats, finite.
    second
        ``[*, draw, parameter]``; other dimensions broadcast, lengths of `dim` may differ.
    log_weight
        ``[*, draw]``, of the draws of `second`, of any normalisation.
    dim, over
        Names of the dimensions of draws and of what a draw consists of.
    seed
        Of folds, batches and initial weights.
    judge
        Its settings.
    progress
        Whether a bar is shown, after two seconds.

    Returns
    -------
    xarray.Dataset
        ``accuracy`` ``[*]`` on unseen draws, the mean of the two sides'; ``error`` ``[*]``,
        its standard deviation where the laws agree, √((1/n + 1/m) / 16) with effective
        sizes; ``floor`` ``[*]``, which it then stays below in 97.5 of 100 cases.

    Raises
    ------
    LabelError
        Fewer than 100 draws on a side, other parameters, or values that are not finite.
    """
    sides, rest, shape, coords = _aligned(first, second, dim, over)
    weight = _weights(second, log_weight, dim, rest, shape, coords)
    rng = generator("c2st", seed, 0)
    from presage.models.threads import one_thread  # torch, only where it is needed

    with one_thread():
        accuracies = _accuracies(sides[0], sides[1], weight, judge, rng, progress)
    effective = weight.sum(axis=1) ** 2 / (weight**2).sum(axis=1)
    error = np.sqrt((1 / sides[0].shape[1] + 1 / effective) / 16)
    found = xr.Dataset(coords=coords)
    for name, values, what in (
        ("accuracy", accuracies, "share of draws told apart"),
        ("error", error, "standard error where the laws agree"),
        ("floor", 0.5 + _FLOOR_PULL * error, "accuracy that equal laws stay below"),
    ):
        found[name] = (rest, values.reshape(shape), unitless(what))
    return found


def _aligned(
    first: xr.DataArray, second: xr.DataArray, dim: str, over: str
) -> tuple[tuple[Floats, Floats], list[str], tuple[int, ...], dict[str, Any]]:
    """Return both sides as ``(B, n, P)`` and what their leading dimensions are."""
    for array, name in ((first, "first"), (second, "second")):
        for needed in (dim, over):
            if needed not in array.dims:
                raise LabelError(f"{name} has no dimension {needed!r}, but {array.dims}")
        if array.sizes[dim] < MINIMUM:
            raise LabelError(
                f"{name} holds {array.sizes[dim]} draws; a classifier needs {MINIMUM} of each side"
            )
        if not np.isfinite(array.values).all():
            raise LabelError(f"{name} holds values that are not finite")
    apart = [a.rename({dim: f"_{k}"}).drop_vars(f"_{k}", errors="ignore")
             for k, a in enumerate((first, second))]  # fmt: skip
    try:
        a, b = xr.align(*apart, join="exact")
        a, b = xr.broadcast(a, b, exclude=["_0", "_1"])
    except ValueError as error:
        raise LabelError(f"the two samples are not of the same {over}s: {error}") from error
    rest = [str(d) for d in a.dims if d not in ("_0", over)]
    a, b = a.transpose(*rest, "_0", over), b.transpose(*rest, "_1", over)
    shape = tuple(a.sizes[d] for d in rest)
    coords = {str(k): c for k, c in a.coords.items() if set(c.dims) <= set(rest)}
    flat = [x.values.astype(float).reshape(-1, *x.shape[-2:]) for x in (a, b)]
    return (flat[0], flat[1]), rest, shape, coords


def _weights(
    second: xr.DataArray,
    log_weight: xr.DataArray | None,
    dim: str,
    rest: list[str],
    shape: tuple[int, ...],
    coords: dict[str, Any],
) -> Floats:
    """Return weights ``(B, m)`` of mean 1."""
    count = second.sizes[dim]
    if log_weight is None:
        return np.ones((math.prod(shape), count))
    sizes = dict(zip(rest, shape, strict=True))
    template = xr.DataArray(np.zeros((*shape, count)), dims=(*rest, dim), coords=coords)
    broad = (log_weight.drop_vars(dim, errors="ignore") + template).transpose(*rest, dim)
    if broad.shape != (*sizes.values(), count) or np.isnan(broad.values).any():
        raise LabelError(f"log_weight should be [{', '.join([*rest, dim])}] without NaN")
    logs = broad.values.reshape(-1, count)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    scaled: Floats = weights / weights.mean(axis=1, keepdims=True)
    return scaled


def _whitened(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Whiten both by the mean and covariance of the first, and compress what lies far out."""
    mean = first.mean(axis=1, keepdims=True)
    spread = first.std(axis=1, keepdims=True)
    spread = np.where(spread > 0, spread, 1.0)
    unit = [(x - mean) / spread for x in (first, second)]
    covariance = np.einsum("bni,bnj->bij", unit[0], unit[0]) / first.shape[1]
    values, vectors = np.linalg.eigh(covariance)
    turn = vectors / np.sqrt(np.maximum(values, 1e-8))[:, None, :]
    white = [x @ turn for x in unit]
    # Squares too: differences of width and shape then show from the first steps on.
    inputs = [np.concatenate([x, (x**2 - 1) / math.sqrt(2)], axis=2) for x in white]
    return np.arcsinh(inputs[0]), np.arcsinh(inputs[1])


def _accuracies(
    first: Floats,
    second: Floats,
    weight: Floats,
    judge: Judge,
    rng: np.random.Generator,
    progress: bool,
) -> Floats:
    """Return the accuracy of each pair ``(B,)``, a group of pairs at a time."""
    group = max(1, _AT_ONCE // judge.folds)
    found = []
    starts = range(0, len(first), group)
    for start in Bar(starts, desc="C2ST", unit="group", disable=not progress):
        part = slice(start, start + group)
        x, y = _whitened(first[part], second[part])
        found.append(_group(x, y, weight[part], judge, rng))
    return np.concatenate(found)


def _group(x: Floats, y: Floats, weight: Floats, judge: Judge, rng: np.random.Generator) -> Floats:
    """Train one network for each pair and fold, and score the draws of the fold."""
    import torch

    sides = [torch.from_numpy(side.astype(np.float32)) for side in (x, y)]
    weights = [torch.ones(sides[0].shape[:2]), torch.from_numpy(weight.astype(np.float32))]
    folds = [rng.permuted(np.arange(side.shape[1]) % judge.folds) for side in sides]
    layers = _layers(len(x) * judge.folds, x.shape[2], judge.width, rng)
    seen = [[np.flatnonzero(fold != k) for k in range(judge.folds)] for fold in folds]
    _train(layers, sides, weights, seen, judge, rng)
    right = []
    with torch.no_grad():
        for side, w, fold, sign in zip(sides, weights, folds, (-1.0, 1.0), strict=True):
            hits = torch.zeros(len(x))
            for k in range(judge.folds):
                held = torch.from_numpy(np.flatnonzero(fold == k))
                mine = [layer[k :: judge.folds] for layer in layers]
                score = _forward(mine, side[:, held])
                # A score of exactly 0 says nothing: half a hit.
                hits += (w[:, held] * (0.5 + 0.5 * torch.sign(sign * score))).sum(1)
            right.append(hits / w.sum(1))
    mean: Floats = ((right[0] + right[1]) / 2).double().numpy()
    return mean


def _layers(count: int, inputs: int, width: int, rng: np.random.Generator) -> list[Tensor]:
    """Return weights and biases of `count` networks, from our own generator."""
    import torch

    layers = []
    for before, after in ((inputs, width), (width, width), (width, 1)):
        bound = 1 / math.sqrt(before)
        for rows in (before, 1):
            values = rng.uniform(-bound, bound, size=(count, rows, after)).astype(np.float32)
            layers.append(torch.from_numpy(values).requires_grad_())
    return layers


def _forward(layers: list[Tensor], x: Tensor) -> Tensor:
    """Return the scores ``(networks, n)`` of inputs ``(networks, n, P)``."""
    import torch

    h = _silu(torch.baddbmm(layers[1], x, layers[0]))
    h = _silu(torch.baddbmm(layers[3], h, layers[2]))
    return torch.baddbmm(layers[5], h, layers[4])[..., 0]


def _silu(x: Tensor) -> Tensor:
    """Return x · sigmoid(x)."""
    import torch

    return torch.nn.functional.silu(x)


def _train(
    layers: list[Tensor],
    sides: list[Tensor],
    weights: list[Tensor],
    seen: list[list[NDArray[Any]]],
    judge: Judge,
    rng: np.random.Generator,
) -> None:
    """Minimise the cross entropy of batches that hold as many draws of either side."""
    import torch

    softplus = torch.nn.functional.softplus
    optimiser = torch.optim.AdamW(layers, lr=judge.learning_rate, weight_decay=judge.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, judge.learning_rate, total_steps=judge.steps
    )
    for _ in range(judge.steps):
        loss = torch.zeros(())
        for side, w, rows, sign in zip(sides, weights, seen, (1.0, -1.0), strict=True):
            batch = torch.from_numpy(np.stack([rng.choice(r, judge.batch_size) for r in rows]))
            score = _forward(layers, side[:, batch].flatten(0, 1))
            share = w[:, batch].flatten(0, 1)
            # Networks do not share weights: the sum trains each one by its own mean.
            loss = loss + (share * softplus(sign * score)).mean(1).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
