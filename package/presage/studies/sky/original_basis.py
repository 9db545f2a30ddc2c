"""The files of precomputed components that ``torch_unet`` of hugh reads and writes.

``pca_components_nfg<N>.pt`` is a dict of tensors: ``fg_components`` ``[channel, N]``,
``signal_components`` (the other eigenvectors), ``eigenvalues`` (descending, of the covariance
about the mean) and ``mean_per_freq``, with the numbers ``N_FG`` and ``N_freq``. Nothing in it says
what the channels are: whoever reads one has to.

Its vectors are float32. A basis of them leaves about 1e-7 of every foreground, which is a hundredth
of a signal 1e5 times fainter; one fitted by :func:`presage.fit` does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import xarray as xr

from presage.exchange.tensors import read_tensors
from presage.labels import LabelError
from presage.store.files import replace
from presage.transforms.basis import labelled_basis
from presage.transforms.channels import Channels, joined
from presage.transforms.pca import PCA

#: How far from orthonormal float32 vectors may be.
_LOOSE = 1e-3
_REAL = 1e-6


def read_original_basis(path: Path | str, like: xr.DataArray, dim: str = "frequency") -> xr.Dataset:
    """Read a file of components as a basis.

    Parameters
    ----------
    path
        The file; nothing in it is unpickled but tensors and numbers.
    like
        Labelled data that the basis belongs to, by the word of whoever calls: their channels, in
        the file's order, their unit, and whether they are complex. The components are real, and
        act on real and imaginary parts alike.
    dim
        The channels.

    Returns
    -------
    xarray.Dataset
        As a fit about the mean gives it: ``PCA(basis).clean(data, N, subtract_mean=True)`` is
        what the original does. Vectors are made orthonormal to float64, in their order, so that
        the first N span what they did.

    Raises
    ------
    LabelError
        No such file, another number of channels than the data have, vectors that are not
        orthonormal.
    """
    channels = Channels.of(like, dim)
    size = len(channels.values)
    held = _held(Path(path))
    vectors = np.concatenate([held["fg_components"], held["signal_components"]], axis=-1)
    shapes = {name: array.shape for name, array in held.items()}
    if not vectors.shape == (size, size) or not (
        shapes["eigenvalues"] == shapes["mean_per_freq"] == (size,)
    ):
        raise LabelError(f"{path} should hold a basis of {size} channels, it has {shapes}")
    if np.abs(vectors.T @ vectors - np.eye(size)).max() > _LOOSE:
        raise LabelError(f"{path}: the components are not orthonormal; it is no whole basis")
    straight, turned = np.linalg.qr(vectors)
    straight *= np.sign(turned.diagonal())
    values = np.clip(held["eigenvalues"], 0.0, None)
    parts = (held["mean_per_freq"], (straight * values) @ straight.T, straight)
    kind = complex if channels.is_complex else float
    mean, matrix, straight = (part.astype(kind) for part in parts)
    live = np.ones(size, dtype=bool)
    return labelled_basis(channels, mean, matrix, (values, straight), live, centred=True)


def write_original_basis(basis: PCA | xr.Dataset, modes: int, folder: Path | str) -> Path:
    """Write a basis as the file that the original reads, ``pca_components_nfg<modes>.pt``.

    Parameters
    ----------
    basis
        A basis, best one that was fitted about the mean: the original subtracts it.
    modes
        How many components count as foreground.
    folder
        Where to.

    Raises
    ------
    LabelError
        The basis is complex or has dead channels, which the original knows nothing of.
    """
    import torch  # only who meets such a file loads it

    pca = basis if isinstance(basis, PCA) else PCA(basis)
    vectors = pca.vectors(pca.dataset.sizes["mode"])
    if len(vectors) < pca.dataset.sizes[pca.dim]:
        raise LabelError("the basis has dead channels; fit it without them")
    if np.abs(vectors.imag).max() > _REAL:
        raise LabelError("the basis is complex, the original has real ones; fit it to real parts")
    pca.vectors(modes)
    arrays = {
        "fg_components": vectors.real[:, :modes],
        "signal_components": vectors.real[:, modes:],
        "eigenvalues": pca.eigenvalues.values,
        "mean_per_freq": joined(pca.dataset["mean"]).values.real,
    }
    content: dict[str, Any] = {
        name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()
    }
    content |= {"N_FG": int(modes), "N_freq": len(vectors)}
    path = Path(folder) / f"pca_components_nfg{modes}.pt"
    replace(path, lambda sink: torch.save(content, cast(IO[bytes], sink)))
    return path


def _held(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the file's arrays, float64."""
    content = read_tensors(path)
    names = ("fg_components", "signal_components", "eigenvalues", "mean_per_freq")
    missing = [name for name in names if not isinstance(content.get(name), np.ndarray)]
    if missing:
        raise LabelError(f"{path} is no basis of components: {missing[0]!r} is missing")
    return {name: np.asarray(content[name], np.float64) for name in names}
