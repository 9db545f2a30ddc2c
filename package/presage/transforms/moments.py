"""Streaming float64 moments over one named dimension, exact in any chunking.

A foreground is 1e5 times brighter than the signal under it. In float32 its covariance is
wrong by more than the signal's variance, so every sum here is float64, and means are taken
out block by block before anything is squared. For channels i, j and weights w (a mask is
a weight of 0 or 1; else 1/sigma, since data are multiplied by it) three matrices are kept:

    W_ij = sum w_i w_j,   B_ij = sum w_i w_j d_i / W_ij,
    M_ij = sum w_i w_j (d_i - B_ij) (d_j - B_ji)*

and two sets of samples a, b merge by the pairwise update of Chan, Golub & LeVeque (1979),
here for every pair of channels with its own weight:

    B = B_a + (B_b - B_a) W_b / W,
    M = M_a + M_b + (B_b - B_a)_ij (B_b - B_a)_ji* W_a W_b / W.

Nothing cancels, so one accumulator yields the covariance about the mean and the second
moment about zero alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr
from scipy.linalg.blas import dsyrk, zherk

from presage.labels import COMPONENT as PARTS
from presage.labels import LabelError, from_complex
from presage.labels.caller import warn_caller
from presage.transforms.channels import FITTED, NAN, Channels, Matrix, slabs, spread


@dataclass(frozen=True, eq=False)
class _Sums:
    """The three matrices of the module's head; see there."""

    weight: Matrix
    mean: Matrix
    moment: Matrix

    def merge(self, other: _Sums) -> _Sums:
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros_like(weight), where=weight > 0)
        shift = other.mean - self.mean
        between = shift * shift.T.conj() * (self.weight * share)
        return _Sums(weight, self.mean + shift * share, self.moment + other.moment + between)


def _gram(rows: Matrix) -> Matrix:
    """Return rows @ rows.conj().T, computed as one triangle (BLAS syrk or herk)."""
    columns = rows.T  # Fortran order where rows are C: BLAS then copies nothing
    product = zherk if np.iscomplexobj(rows) else dsyrk
    upper = product(1.0, columns, trans=2 if product is zherk else 1)
    upper = upper.conj()  # herk gives conj(rows) @ rows.T
    return np.asarray(np.triu(upper) + np.triu(upper, 1).conj().T)


def _complete(block: Matrix, mean: Matrix) -> _Sums:
    channels, count = block.shape
    block -= mean[:, None]
    means = np.repeat(mean[:, None], channels, axis=1)
    return _Sums(np.full((channels, channels), float(count)), means, _gram(block))


def _weighted(block: Matrix, weights: Matrix) -> _Sums:
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
    return _Sums(pairs, mean[:, None] + shift, _gram(block) - pairs * shift * shift.T.conj())


def block_moments(block: Matrix, weights: Matrix | None) -> _Sums:
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


class SpectralMoments:
    """Accumulates the moments of spectra from chunks in any order.

    Parameters
    ----------
    dim
        Name of the channels' dimension; every other one is averaged over.

    Examples
    --------
    >>> cube = xr.DataArray(np.eye(3), dims=("pixel", "frequency"),
    ...                     coords={"frequency": [500.0, 550.0, 600.0]})
    >>> basis = SpectralMoments().update(cube).finish()
    >>> basis.eigenvalues.sizes["mode"]
    3
    """

    def __init__(self, dim: str = "frequency") -> None:
        self.dim = dim
        self.spectra = 0
        self._channels: Channels | None = None
        self._sums: _Sums | None = None

    def update(self, chunk: xr.DataArray, weights: xr.DataArray | None = None) -> SpectralMoments:
        """Add a chunk of spectra and return the accumulator itself.

        Parameters
        ----------
        chunk
            Array with the channels at any position; NaN is a gap. It may be lazy.
        weights
            Factor for each value (1/sigma, or a mask), dims among those of the chunk.

        Raises
        ------
        LabelError
            The channels or units differ from the first chunk's, or values are infinite.
        """
        self._agree(Channels.of(chunk, self.dim))
        full = None if weights is None else spread(weights, chunk)
        for slab in slabs(chunk, self.dim, full):
            scratch = slab.scratch(FITTED)
            for place in slab.places(FITTED):
                block, weight = slab.block(place, scratch)
                self.spectra += block.shape[1]
                self._add(block_moments(block, weight))
        return self

    def merge(self, other: SpectralMoments) -> SpectralMoments:
        """Return the moments of both sets of spectra together; neither is changed.

        Raises
        ------
        LabelError
            The two belong to different channels or units.
        """
        if other.dim != self.dim:
            raise LabelError(f"cannot merge moments over {self.dim!r} and over {other.dim!r}")
        both = SpectralMoments(self.dim)
        for part in (self, other):
            if part._channels is not None and part._sums is not None:
                both._agree(part._channels)
                both._add(part._sums)
                both.spectra += part.spectra
        return both

    def _agree(self, channels: Channels) -> None:
        if self._channels is None:
            self._channels = channels
            return
        self._channels.check(channels)
        if channels.data_unit != self._channels.data_unit:
            raise LabelError(
                f"the first data were in {self._channels.data_unit!r}, "
                f"these are in {channels.data_unit!r}; convert them first"
            )

    def _add(self, sums: _Sums) -> None:
        self._sums = sums if self._sums is None else self._sums.merge(sums)

    def finish(self, *, centred: bool = False) -> xr.Dataset:
        """Diagonalise and return the labelled basis; more chunks may still be added.

        Parameters
        ----------
        centred
            Take the covariance about the mean instead of the second moment about zero.
            With the second moment the mean spectrum lies in the basis.

        Returns
        -------
        xarray.Dataset
            `mean` and `weight` per channel, `covariance`, `eigenvalues` (descending) and
            all `eigenvectors` per ``mode``. Channels without data are NaN throughout.

        Raises
        ------
        LabelError
            No data, or two live channels that were never seen together.
        """
        if self._channels is None or self._sums is None or not self._sums.weight.any():
            raise LabelError("there are no data to take moments of; call update(chunk) first")
        mean, matrix = _normalised(self._sums, centred)
        live = _live(self._sums, mean)
        self._refuse_unseen(live)
        values, vectors = _modes(matrix[np.ix_(live, live)])
        return _dataset(self, live, mean, matrix, values, vectors, centred)

    def _refuse_unseen(self, live: Matrix) -> None:
        if self._sums is None or self._channels is None:
            return
        unseen = np.argwhere((self._sums.weight <= 0) & live[:, None] & live[None, :])
        if len(unseen):
            first, second = self._channels.values[unseen[0]]
            raise LabelError(
                f"channels {first} and {second} of {self.dim!r} were never seen in one "
                f"spectrum ({len(unseen) // 2} such pairs); their covariance is unknown, "
                "leave one of them out"
            )


def _normalised(sums: _Sums, centred: bool) -> tuple[Matrix, Matrix]:
    """Return the mean and the covariance (or second moment), C_ij = <d_i d_j*>."""
    mean = sums.mean.diagonal().copy()
    offset = sums.mean - mean[:, None] if centred else sums.mean
    unseen = sums.weight <= 0
    matrix = sums.moment / np.where(unseen, 1.0, sums.weight) + offset * offset.T.conj()
    matrix[unseen] = np.nan
    return mean, matrix


def _live(sums: _Sums, mean: Matrix) -> Matrix:
    """Return which channels hold data: observed, and not zero throughout."""
    power = sums.moment.diagonal().real + np.abs(mean) ** 2
    return np.asarray((sums.weight.diagonal() > 0) & (power > 0))


def _modes(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Return eigenvalues, descending and clipped at zero, and vectors of fixed phase."""
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1].copy(), vectors[:, ::-1]
    rounding = 8 * len(values) * np.finfo(float).eps * np.abs(values).max(initial=0.0)
    negative = values[values < -rounding]
    if len(negative):
        warn_caller(
            f"{len(negative)} of {len(values)} eigenvalues are negative (least "
            f"{negative.min():.3g}, largest positive {values.max():.3g}) and are set to 0: "
            "pairwise weights leave the covariance indefinite where gaps are many",
        )
    peak = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None, :], axis=0)
    return np.clip(values, 0.0, None), vectors * (np.abs(peak) / peak)


def _dataset(
    moments: SpectralMoments,
    live: Matrix,
    mean: Matrix,
    matrix: Matrix,
    values: Matrix,
    vectors: Matrix,
    centred: bool,
) -> xr.Dataset:
    channels = moments._channels
    if channels is None or moments._sums is None:
        raise LabelError("there are no data to take moments of")
    dim, other, unit = channels.dim, f"{channels.dim}_other", channels.data_unit
    square = unit if unit == "1" else f"{unit}^2"
    nan = NAN if channels.is_complex else np.nan
    mean[~live] = nan
    matrix[~live] = matrix[:, ~live] = nan
    full = np.full((len(live), len(values)), nan, vectors.dtype)
    full[live] = vectors
    about = "covariance about the mean" if centred else "second moment about zero"
    weight = moments._sums.weight.diagonal().copy()
    arrays = {
        "mean": ((dim,), mean, unit, "mean spectrum"),
        "covariance": ((dim, other), matrix, square, about),
        "eigenvectors": ((dim, "mode"), full, "1", "principal components over " + dim),
        "eigenvalues": (("mode",), values, square, "eigenvalues of the " + about),
        "weight": ((dim,), weight, "1", "sum of squared weights"),
    }
    labels = {"units": channels.unit, "long_name": dim}
    dataset = xr.Dataset(
        {name: _labelled(*entry) for name, entry in arrays.items()},
        coords={
            dim: (dim, channels.values, labels),
            other: (other, channels.values, labels),
            "mode": ("mode", np.arange(len(values)), {"long_name": "principal component"}),
        },
        attrs={"channels": dim, "centred": int(centred), "spectra": moments.spectra},
    )
    has_parts = channels.is_complex
    return dataset.assign_coords(component=PARTS.variable()) if has_parts else dataset


def _labelled(dims: tuple[str, ...], values: Matrix, unit: str, long_name: str) -> xr.DataArray:
    attributes = {"units": unit, "long_name": long_name}
    array = xr.DataArray(values, dims=dims, attrs=attributes)
    return from_complex(array) if values.dtype.kind == "c" else array


@dataclass(frozen=True)
class PCABasis:
    """A basis of principal components, as :func:`presage.fit` fits it to stored samples.

    Parameters
    ----------
    variable
        Of the training data; NaN is a gap.
    dim
        The channels.
    centred
        Take the covariance about the mean instead of the second moment about zero.
    """

    variable: str
    dim: str = "frequency"
    centred: bool = False

    name: ClassVar[str] = "pca_basis"
    version: ClassVar[int] = 1

    @property
    def variables(self) -> str:
        """What is read."""
        return self.variable

    def accumulator(self) -> SpectralMoments:
        """Return what takes the spectra in."""
        return SpectralMoments(self.dim)

    def finish(self, moments: SpectralMoments) -> xr.Dataset:
        """Return the basis."""
        return moments.finish(centred=self.centred)
