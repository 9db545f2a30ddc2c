"""Datasets to and from other formats: netCDF, NumPy's npz, HDF5, PyTorch's pt.

netCDF keeps everything. The others hold arrays by name: names of dimensions, units and
coordinates are lost on the way out and made up on the way in (the first dimension counts
samples), so a dataset that comes back is one to describe again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from presage.labels import LabelError, nearest

SUFFIXES = (".nc", ".npz", ".h5", ".hdf5", ".pt")


def read_file(path: Path, sample: str = "sample") -> xr.Dataset:
    """Read a file of arrays as a dataset.

    Parameters
    ----------
    path
        ``.nc``, ``.npz``, ``.h5``/``.hdf5`` (datasets of the root group) or ``.pt`` (tensors
        by name; read without unpickling anything else).
    sample
        Name of the first dimension of arrays that come without names.

    Raises
    ------
    LabelError
        An unknown suffix, no arrays, or arrays of unequal length.
    FileNotFoundError
        There is no such file.
    """
    _check_suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix == ".nc":
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    return _label(_READERS[path.suffix](path), sample, path)


def write_file(dataset: xr.Dataset, path: Path) -> Path:
    """Write a dataset in the format that the suffix says; a file of that name is replaced.

    Raises
    ------
    LabelError
        An unknown suffix.
    """
    _check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if path.suffix == ".nc":
            dataset.to_netcdf(temporary, engine="h5netcdf")
        else:
            arrays = {str(n): np.asarray(a) for n, a in dataset.variables.items()}
            _WRITERS[path.suffix](temporary, arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise LabelError(
            f"{path.name}: the suffix says the format, one of {', '.join(SUFFIXES)}"
            + (nearest(path.suffix, SUFFIXES) if path.suffix else "")
        )


def _label(arrays: Mapping[str, Any], sample: str, path: Path) -> xr.Dataset:
    """Give arrays of equal length dimension names."""
    if not arrays:
        raise LabelError(f"{path.name} holds no arrays")
    lengths = {name: np.shape(a)[0] if np.ndim(a) else None for name, a in arrays.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        shown = ", ".join(f"{n} {np.shape(a)}" for n, a in arrays.items())
        raise LabelError(f"{path.name}: the first dimension counts samples in every array; {shown}")
    return xr.Dataset({n: (_dims(n, np.ndim(a), sample), a) for n, a in arrays.items()})


def _dims(name: str, rank: int, sample: str) -> tuple[str, ...]:
    return (sample, *(f"{name}_{axis}" for axis in range(1, rank)))


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as content:
        return dict(content)


def _write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(path, allow_pickle=False, **arrays)


def _read_hdf5(path: Path) -> dict[str, Any]:
    import h5py

    with h5py.File(path) as content:
        return {n: item[()] for n, item in content.items() if isinstance(item, h5py.Dataset)}


def _write_hdf5(path: Path, arrays: Mapping[str, Any]) -> None:
    import h5py

    with h5py.File(path, "w") as content:
        for name, array in arrays.items():
            text = array.dtype.kind in "UO"
            content.create_dataset(name, data=array.astype(h5py.string_dtype()) if text else array)


def _read_pt(path: Path) -> dict[str, Any]:
    import torch

    content = torch.load(path, weights_only=True, map_location="cpu")
    if not isinstance(content, dict):
        raise LabelError(f"{path.name} holds a {type(content).__name__}, not tensors by name")
    tensors = {str(n): t for n, t in content.items() if isinstance(t, torch.Tensor)}
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _write_pt(path: Path, arrays: Mapping[str, Any]) -> None:
    import torch

    numbers = {n: a for n, a in arrays.items() if a.dtype.kind in "biuf"}
    torch.save({n: torch.from_numpy(np.array(a)) for n, a in numbers.items()}, path)


_READERS = {".npz": _read_npz, ".h5": _read_hdf5, ".hdf5": _read_hdf5, ".pt": _read_pt}
_WRITERS = {".npz": _write_npz, ".h5": _write_hdf5, ".hdf5": _write_hdf5, ".pt": _write_pt}
