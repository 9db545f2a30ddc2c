"""A covariance over channels as a labelled basis: eigenvectors, descending, of fixed phase."""

from __future__ import annotations

import numpy as np
import xarray as xr

from presage.labels import COMPONENT, from_complex, squared
from presage.labels.caller import warn_caller
from presage.transforms.channels import NAN, Channels, Matrix


def principal_modes(matrix: Matrix) -> tuple[Matrix, Matrix]:
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


def labelled_basis(
    channels: Channels,
    mean: Matrix,
    matrix: Matrix,
    modes: tuple[Matrix, Matrix],
    live: Matrix,
    centred: bool,
) -> xr.Dataset:
    """Return the dataset that :class:`~presage.transforms.PCA` takes.

    The mean spectrum and the covariance (or second moment) are those of all channels, NaN in dead
    ones, `modes` the eigenvalues and eigenvectors of the `live` ones.
    """
    dim, other, unit = channels.dim, f"{channels.dim}_other", channels.data_unit
    square = squared(unit)
    values, vectors = modes
    full = np.full((len(live), len(values)), NAN if channels.is_complex else np.nan, vectors.dtype)
    full[live] = vectors
    about = "covariance about the mean" if centred else "second moment about zero"
    arrays = {
        "mean": ((dim,), mean, unit, "mean spectrum"),
        "covariance": ((dim, other), matrix, square, about),
        "eigenvectors": ((dim, "mode"), full, "1", "principal components over " + dim),
        "eigenvalues": (("mode",), values, square, "eigenvalues of the " + about),
    }
    labels = {"units": channels.unit, "long_name": dim}
    dataset = xr.Dataset(
        {name: _labelled(*entry) for name, entry in arrays.items()},
        coords={
            dim: (dim, channels.values, labels),
            other: (other, channels.values, labels),
            "mode": ("mode", np.arange(len(values)), {"long_name": "principal component"}),
        },
        attrs={"channels": dim, "centred": int(centred)},
    )
    return dataset.assign_coords(component=COMPONENT.variable()) if channels.is_complex else dataset


def _labelled(dims: tuple[str, ...], values: Matrix, unit: str, long_name: str) -> xr.DataArray:
    attributes = {"units": unit, "long_name": long_name}
    array = xr.DataArray(values, dims=dims, attrs=attributes)
    return from_complex(array) if values.dtype.kind == "c" else array
