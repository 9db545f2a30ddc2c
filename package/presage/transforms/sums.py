"""Sums over spectra from which moments follow, by which any two sets of spectra can be joined.

For channels i, j and weights w (a mask is a weight of 0 or 1; else 1/sigma, since data are
multiplied by it) three matrices are kept, in float64:

    W_ij = sum w_i w_j,   B_ij = sum w_i w_j d_i / W_ij,
    M_ij = sum w_i w_j (d_i - B_ij) (d_j - B_ji)*

and two sets of samples a, b merge by the pairwise update of Chan, Golub & LeVeque (1979),
here for every pair of channels with its own weight:

    B = B_a + (B_b - B_a) W_b / W,
    M = M_a + M_b + (B_b - B_a)_ij (B_b - B_a)_ji* W_a W_b / W.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyrk, zherk

from presage.labels import LabelError
from presage.transforms.channels import Matrix


@dataclass(frozen=True, eq=False)
class Sums:
    """The three matrices of the module's head; see there."""

    weight: Matrix
    mean: Matrix
    moment: Matrix

    def merge(self, other: Sums) -> Sums:
        """Return the sums over both sets."""
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros_like(weight), where=weight > 0)
        shift = other.mean - self.mean
        between = shift * shift.T.conj() * (self.weight * share)
        return Sums(weight, self.mean + shift * share, self.moment + other.moment + between)


def _gram(rows: Matrix) -> Matrix:
    """Return rows @ rows.conj().T, computed as one triangle (BLAS syrk or herk)."""
    columns = rows.T  # Fortran order where rows are C: BLAS then copies nothing
    product = zherk if np.iscomplexobj(rows) else dsyrk
    upper = product(1.0, columns, trans=2 if product is zherk else 1)
    upper = upper.conj()  # herk gives conj(rows) @ rows.T
    return np.asarray(np.triu(upper) + np.triu(upper, 1).conj().T)


def _complete(block: Matrix, mean: Matrix) -> Sums:
    channels, count = block.shape
    block -= mean[:, None]
    means = np.repeat(mean[:, None], channels, axis=1)
    return Sums(np.full((channels, channels), float(count)), means, _gram(block))


def _weighted(block: Matrix, weights: Matrix) -> Sums:
    """Moments of a block with a weight for each value; a weight of 0 hides the value."""
    seen = weights > 0
    block[~seen] = 0.0
    total = weights.sum(axis=1)
    mean = (block * weights).sum(axis=1) / np.where(total > 0, total, 1.0)
    block -= mean[:, None]
    block *= weights
    pairs = weights @ weights.T
    shift = np.divide(
        block @ weights.T, pairs, out=np.zeros(pairs.shape, block.dtype), where=pairs > 0
    )
    return Sums(pairs, mean[:, None] + shift, _gram(block) - pairs * shift * shift.T.conj())


def block_moments(block: Matrix, weights: Matrix | None) -> Sums:
    """Return the moments of one float64 block ``[channel, spectrum]``, which is overwritten.

    NaN is a gap; an infinity is an error.
    """
    mean = block.mean(axis=1)
    if weights is None and np.isfinite(mean).all():
        return _complete(block, mean)
    gaps = np.isnan(block)
    if np.isinf(np.where(gaps, 0.0, block)).any():
        raise LabelError("the data hold infinities; mask them as NaN or give them weight 0")
    return _weighted(block, ~gaps * (1.0 if weights is None else weights))
