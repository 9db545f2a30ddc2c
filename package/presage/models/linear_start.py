"""Where a network of cubes starts: scales, and the linear answer, from a few samples.

Three quarters of the samples give the scale of every column and the normal equations of
:mod:`presage.models.mixing`, solved for what is to be added to the first cube. The rest choose
the ridge and say what the linear answer leaves in each shell: how strongly the channels of that
vary, where the error bands start, and their covariance, by which a loss can weigh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from presage.labels import LabelError
from presage.models.cubes import Layout
from presage.models.mixing import Across, Mixing, NormalEquations, real_rows

#: Shares of the diagonal that are tried: the least is above the squared rounding of float32, so
#: that what a projection removed is not divided by its rounding; the largest adds nearly nothing.
RIDGES = (1e-9, 1e-6, 1e-4, 1e-2, 1e2)

#: Share of a normal distribution within one standard deviation.
HELD = 0.6826894921370859

#: Columns of inputs and of the target of some samples, ``[sample, *apart, column, *periodic]``.
Pairs = Iterable[tuple[Tensor, Tensor]]


def fit_start(
    train: Callable[[], Pairs],
    check: Callable[[], Pairs],
    layout: Layout,
    nodes: Sequence[float],
    mixed: int,
) -> dict[str, NDArray[np.float64]]:
    """Return where a network starts.

    Parameters
    ----------
    train, check
        Give columns, float64, to fit and to judge by; called more than once.
    layout
        Of the cubes; the target's columns, and the first as many of the inputs, are channels at
        each point of `along`.
    nodes
        Wave numbers of the linear map.
    mixed
        The first columns of the inputs, which it takes.

    Returns
    -------
    dict
        ``shift`` and ``width`` ``[column]`` of the inputs, ``target_width`` ``[row]``,
        ``matrix`` ``[node, row, column]`` in these scales, and of what it leaves: ``deviation``
        and ``half_width`` ``[row]``, which holds 68 % of it, ``power`` ``[mode]``, its mean square,
        and ``residual`` ``[node, row, row]``, its covariance where that is divided out.

    Raises
    ------
    LabelError
        A channel of the target is the same number everywhere.
    """
    across, column = layout.across, 1 + len(layout.apart)
    shift, width = _moments((x for x, _ in train()), column)
    width = torch.where(width > 0, width, 1.0)
    _, target_width = _moments((y for _, y in train()), column)
    if not bool((target_width > 0).all()):
        raise LabelError("the target never changes in some channel: nothing can be learned there")
    rows, tail = len(target_width), (..., *(None,) * len(layout.periodic))
    identity = width[:rows] / target_width

    def added(pairs: Pairs) -> Pairs:
        """Yield modes of the inputs and of what has to be added to the first cube."""
        for x, y in pairs:
            given = ((x - shift[tail]) / width[tail]).narrow(column, 0, mixed)
            first = given.narrow(column, 0, rows) * identity[tail]
            rest = y / target_width[tail] - first
            yield (
                across.modes(given).flatten(0, column - 1),
                across.modes(rest).flatten(0, column - 1),
            )

    power = _power((across.modes(y).flatten(0, column - 1) for _, y in train()), target_width)
    equations = NormalEquations(across, nodes, power)
    for x, y in added(train()):
        equations.update(x, y)

    def rest(matrix: Tensor) -> Iterator[Tensor]:
        """Yield the modes that the judges' samples have left."""
        mixing = Mixing(across, nodes, rows, mixed).double()
        mixing.matrix.copy_(matrix)
        yield from (y - mixing.of_modes(x) for x, y in added(check()))

    def level(matrix: Tensor) -> float:
        covariance = _covariance(rest(matrix), across, nodes)
        return float(delay_power(covariance, layout.sizes[0]).log().mean())

    matrix = min((equations.solve(ridge) for ridge in RIDGES), key=level)
    power = _of_shells(_power(rest(matrix), torch.ones(rows)), across)
    deviation, half_width = _widths(rest(matrix), across)
    root = torch.as_tensor(np.sqrt(power))
    residual = _covariance((some / root for some in rest(matrix)), across, nodes)
    matrix[:, range(rows), range(rows)] += identity
    found = {
        "shift": shift, "width": width, "target_width": target_width, "matrix": matrix,
        "residual": residual, "deviation": deviation, "half_width": half_width,
    }  # fmt: skip
    return {"power": power, **{name: value.numpy() for name, value in found.items()}}


def delay_rows(length: int) -> Tensor:
    """Return the rows of a real Fourier transform along a tapered axis, ``[length, length]``.

    The taper is Blackman's: of a wave it leaves less than 1e-5 of the power two waves away.
    """
    waves = (np.arange(length) + 1) // 2
    phase = 2 * np.pi * np.outer(waves, np.arange(length)) / length
    rows = np.where(np.arange(length)[:, None] % 2, np.sin(phase), np.cos(phase))
    return torch.as_tensor(rows * np.blackman(length + 2)[1:-1])


def _moments(arrays: Iterable[Tensor], column: int) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column."""
    count, sums, squares = 0, torch.zeros(()), torch.zeros(())
    for array in arrays:
        flat = array.movedim(column, 0).flatten(1)
        count += flat.shape[1]
        sums, squares = sums + flat.sum(1), squares + flat.square().sum(1)
    mean = sums / count
    return mean, (squares / count - mean**2).clamp(min=0).sqrt()


def _power(modes: Iterable[Tensor], width: Tensor) -> NDArray[np.float64]:
    """Return the mean square of each mode, over samples and columns of these widths."""
    sums, samples = torch.zeros(()), 0
    for some in modes:
        sums = sums + (some / width[:, None]).abs().square().mean(1).sum(0)
        samples += len(some)
    power: NDArray[np.float64] = (sums / samples).numpy()
    return power


def _of_shells(power: NDArray[np.float64], across: Across) -> NDArray[np.float64]:
    """Return the mean over modes of the same wave number, at least 1e-4 of the largest.

    Where a beam leaves no signal there is nothing to be wrong about, and such shells count less.
    """
    _, shell = np.unique(across.wave_number().round(9), return_inverse=True)
    mean = np.bincount(shell, power) / np.bincount(shell)
    floored: NDArray[np.float64] = np.maximum(mean, 1e-4 * mean.max())[shell]
    return floored


def _widths(modes: Iterable[Tensor], across: Across) -> tuple[Tensor, Tensor]:
    """Return root mean square, and the half width that holds 68 %, of each column's values."""
    squares, widths = [], []
    for some in modes:
        fields = across.fields(some).movedim(1, 0).flatten(1).abs().numpy()
        squares.append(np.square(fields).mean(1))
        widths.append(np.quantile(fields, HELD, axis=1))
    return torch.as_tensor(np.sqrt(np.mean(squares, 0))), torch.as_tensor(np.mean(widths, 0))


def _covariance(modes: Iterable[Tensor], across: Across, nodes: Sequence[float]) -> Tensor:
    """Return the covariance of columns in each shell, ``[node, row, row]``."""
    weights, samples = torch.as_tensor(across.hats(nodes) * across.multiplicity()), 0
    sums: list[Any] = [0.0] * len(nodes)
    for some in modes:
        samples += len(some)
        for b, weight in enumerate(weights):
            at = torch.nonzero(weight)[:, 0]
            rows = real_rows(some[..., at] * weight[at].sqrt())
            sums[b] = sums[b] + rows.T @ rows
    return _steadied(torch.stack(sums), samples * weights.sum(1))


def _steadied(sums: Tensor, counts: Tensor) -> Tensor:
    """Return covariances of sums over so many modes; few of them lean on those of all shells."""
    pooled, rows = sums.sum(0) / counts.sum(), sums.shape[-1]
    power = sums.diagonal(dim1=1, dim2=2).mean(1) / counts.clamp(min=1e-12)
    like = pooled * (power / pooled.diagonal().mean()).clamp(min=1e-12)[:, None, None]
    return (sums + rows * like) / (counts + rows)[:, None, None]


def delay_power(residual: Tensor, length: int) -> Tensor:
    """Return the power of a covariance ``[node, row, row]`` in each delay, ``[node, row]``."""
    rows = _delays(residual, length)
    power: Tensor = ((rows @ residual) * rows).sum(-1)
    return power.clamp(min=1e-12 * float(power.max()))


def delay_weights(residual: Tensor, length: int) -> Tensor:
    """Return what takes an array of this covariance to its delays, each with a mean square of 1."""
    return _delays(residual, length) / delay_power(residual, length).sqrt()[..., None]


def whitening(residual: Tensor) -> Tensor:
    """Return what takes an array of this covariance ``[node, row, row]`` to white noise.

    Combinations of channels of which less than 1e-4 of the usual is left count as those: no more
    is known of them from so few samples.
    """
    values, vectors = torch.linalg.eigh(residual)
    usual, mean = values.median(1, keepdim=True).values, values.mean(1, keepdim=True)
    least = (1e-4 * usual).maximum(1e-6 * mean)
    # The symmetric root, which changes little from node to node: hats interpolate between them.
    white: Tensor = vectors / values.maximum(least).sqrt()[:, None] @ vectors.mT
    return white


def _delays(residual: Tensor, length: int) -> Tensor:
    count = residual.shape[1] // length
    return torch.kron(torch.eye(count, dtype=torch.float64), delay_rows(length))
