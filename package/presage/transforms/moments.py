"""Streaming float64 moments over one named dimension, exact in any chunking.

A foreground is 1e5 times brighter than the signal under it. In float32 its covariance is
wrong by more than the signal's variance, so every sum here is float64, and means are taken
out block by block before anything is squared. Nothing cancels (see :mod:`presage.transforms.sums`),
so one accumulator yields the covariance about the mean and the second moment about zero alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from presage.labels import LabelError
from presage.transforms.basis import labelled_basis, principal_modes
from presage.transforms.channels import FITTED, NAN, Channels, Matrix, slabs, spread
from presage.transforms.sums import Sums, block_moments


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
        self._sums: Sums | None = None

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
        self._channels.check_unit(channels)

    def _add(self, sums: Sums) -> None:
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

        Warns
        -----
        UserWarning
            Channels hold no data, or are hidden throughout by their weights.
        """
        if self._channels is None or self._sums is None or not self._sums.weight.any():
            raise LabelError("there are no data to take moments of; call update(chunk) first")
        mean, matrix = _normalised(self._sums, centred)
        live = _live(self._sums, mean)
        self._refuse_unseen(live)
        self._channels.say_dead(live)
        modes = principal_modes(matrix[np.ix_(live, live)])
        mean[~live] = matrix[~live] = matrix[:, ~live] = (
            NAN if self._channels.is_complex else np.nan
        )
        basis = labelled_basis(self._channels, mean, matrix, modes, live, centred)
        weight = self._sums.weight.diagonal().copy()
        about = {"units": "1", "long_name": "sum of squared weights"}
        return basis.assign(weight=(self.dim, weight, about)).assign_attrs(spectra=self.spectra)

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


def _normalised(sums: Sums, centred: bool) -> tuple[Matrix, Matrix]:
    """Return the mean and the covariance (or second moment), C_ij = <d_i d_j*>."""
    mean = sums.mean.diagonal().copy()
    offset = sums.mean - mean[:, None] if centred else sums.mean
    unseen = sums.weight <= 0
    matrix = sums.moment / np.where(unseen, 1.0, sums.weight) + offset * offset.T.conj()
    matrix[unseen] = np.nan
    return mean, matrix


def _live(sums: Sums, mean: Matrix) -> Matrix:
    """Return which channels hold data: observed, and not zero throughout."""
    power = sums.moment.diagonal().real + np.abs(mean) ** 2
    return np.asarray((sums.weight.diagonal() > 0) & (power > 0))


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
