"""Amplitudes of a basis in spectra with gaps or weights: least squares, never a projection."""

from __future__ import annotations

import numpy as np

from presage.labels import LabelError
from presage.labels.caller import warn_caller
from presage.transforms.channels import Matrix

#: Least eigenvalue ratio of the normal equations at which a fit still has an answer.
DETERMINED = 1e-12
#: Values of normal equations held at a time.
FITS = 1 << 21


def fitted_amplitudes(block: Matrix, weight: Matrix, basis: Matrix) -> Matrix:
    """Least-squares amplitudes: minimise sum_f w_f^2 |d_f - (U a)_f|^2 for each spectrum."""
    channels, modes = basis.shape
    if modes == 0:
        return np.zeros((0, block.shape[1]), np.result_type(block, basis))
    if np.isinf(block[weight > 0]).any():
        raise LabelError("the data hold infinities; mask them as NaN or give them weight 0")
    largest = weight.max(axis=0)
    square = (weight / np.where(largest > 0, largest, 1.0)) ** 2
    right = basis.conj().T @ np.where(square > 0, square * np.nan_to_num(block), 0.0)
    products = (basis.conj()[:, :, None] * basis[:, None, :]).reshape(channels, -1)
    found = np.empty_like(right)
    step = max(1, FITS // modes**2)
    for start in range(0, block.shape[1], step):
        part = slice(start, start + step)
        normal = (square[:, part].T @ products).reshape(-1, modes, modes)
        found[:, part] = _solved(normal, right[:, part])
    return found


def _solved(normal: Matrix, right: Matrix) -> Matrix:
    """Solve Hermitian normal equations; NaN and a warning where they have no one solution."""
    values, vectors = np.linalg.eigh(normal)
    lost = values[:, 0] <= DETERMINED * np.maximum(values[:, -1], DETERMINED)
    if lost.any():
        warn_caller(
            f"{int(lost.sum())} spectra have too few channels for {normal.shape[1]} modes; "
            "they become NaN",
        )
    inner = (vectors.conj().transpose(0, 2, 1) @ right.T[:, :, None])[:, :, 0]
    inner /= np.where(lost[:, None], np.nan, values)
    return np.asarray((vectors @ inner[:, :, None])[:, :, 0].T)
