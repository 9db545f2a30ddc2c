"""Densities of draws in one and two dimensions, and the lines that enclose a given mass.

Draws are counted on a fine grid and smoothed with a normal kernel of their own covariance
(Scott's rule). Kernels that reach beyond the prior lose mass there; the
smoothed counts are divided by the share of the kernel that is inside, so densities do not
sink towards an edge. Smoothing also widens a density, by some percent. The height of a
contour is therefore taken from the draws themselves: the one that has 68 % of *them* inside.

D. W. Scott, Multivariate Density Estimation, Wiley (1992), eq. 6.42.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import contourpy
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, irfft2, next_fast_len, rfft, rfft2
from scipy.ndimage import map_coordinates

from presage.labels import Floats, LabelError

#: Share of the draws inside each contour, ascending.
LEVELS = (0.68, 0.95)
#: Cells of the grid along each axis, and around it for the kernel to reach into.
_CELLS, _PAD = 80, 24
#: Points of the lines of one contour.
VERTICES = 90
#: Draws beyond these quantiles do not widen the grid.
_TAILS = (0.001, 0.999)


@dataclass(frozen=True)
class Surface:
    """A density over two parameters."""

    x: Floats  # centres of the cells, ``(C,)`` each
    y: Floats
    density: Floats  # ``(C, C)``, rows along `y`; its sum times the cell's area is 1
    heights: Floats  # ``(L,)``: the density on the contour of each level


def pairs_of(count: int) -> list[tuple[int, int]]:
    """Return the pairs (x, y) of a corner of `count` parameters: the panels below the diagonal."""
    return [(x, y) for y in range(count) for x in range(y)]


def span(draws: Floats, low: Floats, high: Floats, margin: float = 0.12) -> Floats:
    """Return the range of each parameter that holds the draws, ``(2, P)``, inside the prior.

    Draws are ``(D, P)``, the prior's edges ``(P,)``; `margin` is added on both sides, in units of
    the range.
    """
    first, last = np.quantile(draws, _TAILS, axis=0)
    wide = np.maximum(last - first, 1e-9 * (np.abs(first) + np.abs(last)) + 1e-300)
    return np.stack(
        [np.maximum(first - margin * wide, low), np.minimum(last + margin * wide, high)]
    )


def marginal(draws: Floats, grid: Floats, low: float = -np.inf, high: float = np.inf) -> Floats:
    """Return the smoothed density of draws ``(D,)`` of one parameter on an even grid, ``(G,)``.

    Draws beyond the grid count, but are not seen. `low` and `high` are edges of the prior: the
    density is 0 beyond them and does not sink towards them.
    """
    _check(draws[:, None])
    step = grid[1] - grid[0]
    size = next_fast_len(len(grid) + 2 * _PAD)
    centres = grid[0] + (np.arange(size) - _PAD) * step
    edges = np.append(centres, centres[-1] + step) - step / 2
    counts = np.histogram(draws, edges)[0]
    width = 0.8 * _spread(draws) * len(draws) ** (-1 / 5) / step
    inside = _share(edges, low, high)
    kernel = np.exp(-0.5 * ((2 * np.pi * np.arange(size // 2 + 1) / size) ** 2 * width**2))
    smooth, share = (irfft(rfft(a.astype(float)) * kernel, size) for a in (counts, inside))
    density = np.where(inside > 0, smooth / np.maximum(share, 1e-3), 0)[_PAD : _PAD + len(grid)]
    found: Floats = np.maximum(density, 0) / (len(draws) * step)
    return found


def surface(draws: Floats, low: Floats, high: Floats, levels: Sequence[float] = LEVELS) -> Surface:
    """Return the smoothed density of draws ``(D, 2)``, with the heights of its contours.

    The prior's edges are ``(2,)``, infinite ones are none; `levels` are shares of the draws inside.
    """
    _check(draws)
    (x0, y0), (x1, y1) = span(draws, low, high)
    step = np.array([x1 - x0, y1 - y0]) / _CELLS
    size = _CELLS + 2 * _PAD
    start = np.array([x0, y0]) - _PAD * step
    place = (draws - start) / step
    cell = np.floor(place).astype(int)
    known = ((cell >= 0) & (cell < size)).all(axis=1)
    flat = cell[known, 1] * size + cell[known, 0]
    counts = np.bincount(flat, minlength=size * size).reshape(size, size)
    smooth = _smooth(counts, _covariance(place), _inside(start, step, size, low, high))
    part = np.maximum(smooth[_PAD:-_PAD, _PAD:-_PAD], 0)
    density = part / (part.sum() * step.prod())
    at_draws = map_coordinates(density, (place[:, ::-1] - _PAD - 0.5).T, order=1, mode="nearest")
    heights = np.quantile(at_draws, 1 - np.asarray(levels, dtype=float))
    x, y = (start[k] + (_PAD + 0.5 + np.arange(_CELLS)) * step[k] for k in (0, 1))
    return Surface(x, y, density, heights)


def outline(found: Surface, height: float) -> list[Floats]:
    """Return the closed lines ``(V, 2)`` on which a density has one height.

    Where the density ends at the edge of the grid (the prior's edge) they run along it.
    """
    wide = [axis[1] - axis[0] for axis in (found.x, found.y)]
    axes = [_ringed(axis, step) for axis, step in zip((found.x, found.y), wide, strict=True)]
    ringed = np.pad(np.pad(found.density, 1, mode="edge"), 1)
    lines = contourpy.contour_generator(axes[0], axes[1], ringed).lines(height)
    return [np.asarray(line, dtype=float) for line in lines]


def contours(
    draws: Floats,
    low: Floats,
    high: Floats,
    levels: Sequence[float] = LEVELS,
    vertices: int = VERTICES,
) -> Floats:
    """Return the contours of draws, ``(len(levels), vertices, 2)``; see :func:`surface`.

    Several lines of one level follow each other with NaN between them; what is left over is NaN.
    """
    found = surface(draws, low, high, levels)
    packed = [_packed(outline(found, float(h)), vertices) for h in found.heights]
    return np.clip(np.stack(packed), low, high)


def _packed(lines: list[Floats], vertices: int) -> Floats:
    """Return the longest lines with evenly spaced points, each as many as its length deserves."""
    lengths = np.array([_lengths(line)[-1] for line in lines])
    order = [k for k in np.argsort(-lengths) if lengths[k] > 0.04 * lengths.max()]
    order = order[: max(1, vertices // 12)]
    room = vertices - len(order)
    counts = np.maximum(8, np.floor(room * lengths[order] / lengths[order].sum())).astype(int)
    packed, at = np.full((vertices, 2), np.nan), 0
    for k, count in zip(order, counts, strict=True):
        count = min(count, vertices - at)
        if count < 4:
            break
        packed[at : at + count] = _resampled(lines[k], count)
        at += count + 1
    return packed


def _lengths(line: Floats) -> Floats:
    """Return the way along a line, in units of its own extent on each axis, ``(V,)``."""
    extent = np.ptp(line, axis=0)
    steps = np.diff(line, axis=0) / np.where(extent > 0, extent, 1)
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*steps.T))])
    size: Floats = way * max(1e-300, float(extent.prod()))
    return size


def _resampled(line: Floats, count: int) -> Floats:
    way = _lengths(line)
    even = np.linspace(0, way[-1], count)
    return np.stack([np.interp(even, way, line[:, k]) for k in (0, 1)], axis=1)


def _ringed(axis: Floats, step: float) -> Floats:
    """Return centres with the edge of the grid, and a place just beyond it, on both sides."""
    first, last = axis[0] - step / 2, axis[-1] + step / 2
    beyond = 1e-6 * (last - first)
    return np.concatenate([[first - beyond, first], axis, [last, last + beyond]])


def _smooth(counts: NDArray[np.int64], covariance: Floats, inside: Floats) -> Floats:
    """Smooth counts ``(S, S)`` with a normal kernel (covariance in cells, x first)."""
    size = len(counts)
    ky = 2 * np.pi * np.fft.fftfreq(size)[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(size)
    (xx, xy), (_, yy) = covariance
    kernel = np.exp(-0.5 * (xx * kx**2 + 2 * xy * kx * ky + yy * ky**2))
    smooth, share = (irfft2(rfft2(a) * kernel, a.shape) for a in (counts.astype(float), inside))
    found: Floats = np.where(inside > 0, smooth / np.maximum(share, 1e-3), 0)
    return found


def _inside(start: Floats, step: Floats, size: int, low: Floats, high: Floats) -> Floats:
    edges = start[:, None] + np.arange(size + 1) * step[:, None]
    x, y = (_share(e, a, b) for e, a, b in zip(edges, low, high, strict=True))
    return np.outer(y, x)


def _share(edges: Floats, low: float, high: float) -> Floats:
    """Return how much of each cell is inside the prior."""
    inside = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    found: Floats = np.clip(inside / (edges[1] - edges[0]), 0, 1)
    return np.where(found < 1e-6, 0, found)


def _covariance(place: Floats) -> Floats:
    """Return the kernel's covariance in cells; at least half a cell wide."""
    scott = len(place) ** (-1 / 3)
    found: Floats = scott * np.atleast_2d(np.cov(place.T)) + 0.25 * np.eye(2)
    return found


def _spread(draws: Floats) -> float:
    """Return the smaller of standard deviation and half the central 68 %: peaks stay sharp."""
    low, high = np.quantile(draws, (0.16, 0.84))
    return float(min(np.std(draws), (high - low) / 2) or np.std(draws) or 1e-12)


def _check(draws: Floats) -> None:
    if draws.ndim != 2 or len(draws) < 10:
        raise LabelError(f"a density needs 10 draws at least, got the shape {draws.shape}")
    if not np.isfinite(draws).all():
        raise LabelError("draws hold values that are not finite")
