"""Principal components over one named dimension: fitted once, applied as a projector.

Problem: foregrounds 1e4 to 1e5 times brighter than the signal, but smooth in frequency, so
that a few modes hold nearly all of them.
Idea: with U the first n eigenvectors of C = <d d^H> (float64, see `moments`),

    clean(d) = d - U (U^H d)

is linear. No mean is subtracted: in the second moment about zero the mean spectrum is one
of the modes. Linearity gives three things: clean(e^{i phi} d) = e^{i phi} clean(d), an
exact signal loss clean(s) - s, and clean(g + s) = clean(g) + clean(s), so that cleaned
foregrounds and cleaned signals are computed once, stored in float32, and *added*.
In that order there is no cancellation left for float32 to spoil.

A spectrum with gaps has no projection; its amplitudes are the least-squares fit of U to
the channels that were seen, never the projection of a spectrum filled with zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from scipy.linalg.blas import dgemm, zgemm

from presage.labels import LabelError, nearest
from presage.transforms.channels import (
    COMPONENT,
    NAN,
    Channels,
    Matrix,
    joined,
    like,
    mapped,
    spread,
    stored_type,
)
from presage.transforms.gaps import fitted_amplitudes
from presage.transforms.moments import SpectralMoments


class PCA:
    """A basis of principal components, every number of modes of it.

    Parameters
    ----------
    dataset
        What :meth:`SpectralMoments.finish` returned, perhaps read back from the store.

    Raises
    ------
    LabelError
        The dataset is no such basis.

    Examples
    --------
    >>> mhz = xr.Variable("frequency", np.linspace(500.0, 600.0, 16), {"units": "MHz"})
    >>> index = xr.DataArray([-2.4, -2.5, -2.6], dims="pixel")
    >>> sky = (xr.DataArray(mhz, coords={"frequency": mhz}) / 550) ** index
    >>> basis = PCA.fit(sky)
    >>> bool(abs(basis.clean(sky, modes=3)).max() < 1e-9)
    True
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        for name in ("mean", "eigenvalues", "eigenvectors"):
            if name not in dataset:
                raise LabelError(
                    f"not a basis: {name!r} is missing{nearest(name, map(str, dataset))}"
                )
        if "channels" not in dataset.attrs:
            raise LabelError(
                "not a basis: the attribute 'channels' (name of the dimension) is missing"
            )
        self.dataset = dataset.load()
        self.dim = str(dataset.attrs["channels"])
        self._vectors = joined(dataset["eigenvectors"]).transpose(self.dim, "mode").values
        self._mean = joined(dataset["mean"]).values
        self._live = np.isfinite(self._vectors).all(axis=1)

    @classmethod
    def fit(
        cls,
        data: xr.DataArray | Iterable[xr.DataArray],
        dim: str = "frequency",
        *,
        centred: bool = False,
        weights: xr.DataArray | None = None,
    ) -> PCA:
        """Fit to one array, or to an iterable of chunks of bounded memory.

        Parameters
        ----------
        data
            Training foregrounds (with noise, if the basis is to know it); may be lazy.
        dim
            The channels.
        centred, weights
            As in :class:`SpectralMoments`; weights go with a single array.
        """
        moments = SpectralMoments(dim)
        for chunk in [data] if isinstance(data, xr.DataArray) else data:
            moments.update(chunk, weights)
        return cls(moments.finish(centred=centred))

    @cached_property
    def channels(self) -> Channels:
        """The channels it was fitted on."""
        frame = self.dataset["mean"]
        return Channels.of(frame, self.dim)

    @property
    def eigenvalues(self) -> xr.DataArray:
        """Eigenvalues by ``mode``, descending."""
        return self.dataset["eigenvalues"]

    def __repr__(self) -> str:
        kind = "complex" if self.channels.is_complex else "real"
        live, total = int(self._live.sum()), len(self._live)
        return f"PCA({self.dim!r}, {live} of {total} channels live, {kind})"

    def clean(
        self,
        data: xr.DataArray,
        modes: int,
        *,
        weights: xr.DataArray | None = None,
        subtract_mean: bool = False,
        passes: int = 1,
    ) -> xr.DataArray:
        """Remove the first `modes` components, d - U (U^H d).

        Parameters
        ----------
        data
            Array with the fitted channels at any position; may be lazy. NaN is a gap.
        modes
            How many components to remove.
        weights
            1/sigma of each value (0 hides it): the amplitudes are then a weighted fit.
        subtract_mean
            Also remove the mean spectrum; the operation is then affine, not linear, and
            belongs on data that contain the foreground.
        passes
            Repeat the projection to remove what rounding left of the first.

        Returns
        -------
        xarray.DataArray
            Dims, coordinates, attributes and float type of `data`; NaN in gaps, in dead
            channels, and in spectra with too few channels for a fit.

        Raises
        ------
        LabelError
            Other channels than those fitted, or more modes than there are.
        """
        basis = self.vectors(modes)

        def residual(block: Matrix, weight: Matrix | None) -> Matrix:
            living = self._living(block, subtract_mean)
            for _ in range(passes):
                found = self._amplitudes(living, self._living(weight), basis)
                living = _less(living, basis, found)
            return self._revive(living, block)

        return self._apply(residual, data, weights, None)

    def project(
        self, data: xr.DataArray, modes: int, *, weights: xr.DataArray | None = None
    ) -> xr.DataArray:
        """Return what :meth:`clean` takes away, U (U^H d); gaps are filled by the fit."""
        basis = self.vectors(modes)

        def projection(block: Matrix, weight: Matrix | None) -> Matrix:
            full, block = block, self._living(block)
            return self._revive(basis @ self._amplitudes(block, self._living(weight), basis), full)

        return self._apply(projection, data, weights, None)

    def modes_of(
        self,
        data: xr.DataArray,
        modes: int,
        *,
        weights: xr.DataArray | None = None,
        subtract_mean: bool = False,
    ) -> xr.DataArray:
        """Return the amplitudes U^H d, with the channels' dimension replaced by ``mode``."""
        basis = self.vectors(modes)

        def amplitudes(block: Matrix, weight: Matrix | None) -> Matrix:
            return self._amplitudes(self._living(block, subtract_mean), self._living(weight), basis)

        return self._apply(amplitudes, data, weights, modes)

    def inverse(self, amplitudes: xr.DataArray, *, add_mean: bool = False) -> xr.DataArray:
        """Return the spectra U a of amplitudes by ``mode``; any subset of modes will do.

        Raises
        ------
        LabelError
            A mode that the basis does not have.
        """
        if "mode" not in amplitudes.dims or "mode" not in amplitudes.coords:
            raise LabelError(
                f"amplitudes need a dimension and coordinate 'mode', got {amplitudes.dims}"
            )
        chosen = amplitudes["mode"].values
        known = self.dataset["mode"].values
        if not np.isin(chosen, known).all():
            raise LabelError(f"the basis has modes 0 to {len(known) - 1}, got {chosen}")
        vectors = joined(self.dataset["eigenvectors"]).sel(mode=chosen)
        values = joined(amplitudes)
        wide = values.astype(np.result_type(values.dtype, np.float64))
        spectra = xr.dot(vectors, wide, dim="mode")
        if add_mean:
            spectra = spectra + joined(self.dataset["mean"])
        order = [self.dim if d == "mode" else d for d in values.dims]
        spectra = spectra.transpose(*order).assign_attrs(amplitudes.attrs)
        return like(spectra.astype(values.dtype), amplitudes)

    def vectors(self, modes: int) -> Matrix:
        """Return the first components of the live channels, float64 ``[channel, mode]``.

        Raises
        ------
        LabelError
            More modes than there are.
        """
        most = self._vectors.shape[1]
        if int(modes) != modes or not 0 <= modes <= most:
            raise LabelError(f"modes should be a whole number from 0 to {most}, got {modes!r}")
        return np.ascontiguousarray(self._vectors[self._live, : int(modes)])

    def _living(self, block: Any, subtract_mean: bool = False) -> Any:
        """Return the rows of live channels, without the mean if asked."""
        if block is None or (self._live.all() and not subtract_mean):
            return block
        block = block[self._live]
        return block - self._mean[self._live][:, None] if subtract_mean else block

    def _revive(self, block: Matrix, full: Matrix) -> Matrix:
        """Put dead channels back as NaN; a gap is NaN in both parts of a complex number."""
        if block.dtype.kind == "c":
            block[np.isnan(block)] = NAN
        if self._live.all():
            return block
        out = np.full(full.shape, NAN if block.dtype.kind == "c" else np.nan, block.dtype)
        out[self._live] = block
        return out

    @staticmethod
    def _amplitudes(block: Matrix, weight: Matrix | None, basis: Matrix) -> Matrix:
        if weight is not None:
            return fitted_amplitudes(block, weight * ~np.isnan(block), basis)
        with np.errstate(invalid="ignore"):  # infinities are named below
            found = basis.conj().T @ block
            total = found.sum()
        if not np.isfinite(total):  # one NaN spoils every amplitude it enters
            gaps = ~np.isfinite(found).all(axis=0)
            part = block[:, gaps]
            found[:, gaps] = fitted_amplitudes(part, 1.0 * ~np.isnan(part), basis)
        return found

    def _apply(
        self, function: Any, data: xr.DataArray, weights: xr.DataArray | None, modes: int | None
    ) -> xr.DataArray:
        self.channels.check(Channels.of(data, self.dim))
        full = None if weights is None else spread(weights, data)
        rows = len(self._live) if modes is None else modes
        dtype = stored_type(data)
        values = mapped(data, self.dim, function, rows, dtype, full)
        dims = [d for d in data.dims if d != COMPONENT]
        out = xr.DataArray(
            values,
            dims=[("mode" if modes is not None and d == self.dim else d) for d in dims],
            name=data.name,
            attrs=data.attrs,
        )
        kept = {
            name: c
            for name, c in data.coords.items()
            if COMPONENT not in c.dims and (modes is None or self.dim not in c.dims)
        }
        if modes is not None:
            kept["mode"] = self.dataset["mode"][:modes]
        return like(out.assign_coords(kept), data)


def _less(block: Matrix, basis: Matrix, found: Matrix) -> Matrix:
    """Return block - basis @ found, in one step of BLAS that writes to the block where it can."""
    if not basis.shape[1]:
        return block
    product = zgemm if np.iscomplexobj(block) else dgemm
    if block.flags.f_contiguous:
        return np.asarray(product(-1.0, basis, found, 1.0, block, overwrite_c=1))
    return np.asarray(product(-1.0, found.T, basis.T, 1.0, block.T, overwrite_c=1)).T
