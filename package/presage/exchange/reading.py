"""Reading arrays from files as a labelled dataset.

Where a file does not say what its dimensions are, names are made up: the first one counts
samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from presage.exchange.about import ABOUT, restore
from presage.exchange.numpy_archive import open_archive
from presage.labels import LabelError, nearest


def read_file(path: Path, sample: str = "sample") -> xr.Dataset:
    """Read a file of arrays as a dataset.

    Parameters
    ----------
    path
        ``.nc``, ``.npz``, ``.h5``/``.hdf5`` (datasets of the root group) or ``.pt`` (tensors
        by name; read without unpickling anything else). ROOT and ``.npy`` files of events have
        readers of their own in the study.
    sample
        Name of the first dimension of arrays that come without names.

    Raises
    ------
    LabelError
        An unknown suffix, no arrays, arrays of unequal length, or a file that is damaged,
        holds Python objects, or not the sizes that it declares.
    FileNotFoundError
        There is no such file.
    """
    _check_suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix == ".nc":
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    arrays = _READERS[path.suffix](path)
    about = arrays.pop(ABOUT, None)
    if about is not None:
        return restore(arrays, str(np.asarray(about)), path.name)
    return _label(arrays, sample, path)


def _check_suffix(path: Path) -> None:
    known = (".nc", *_READERS)
    if path.suffix not in known:
        raise LabelError(
            f"{path.name}: the suffix says the format, one of {', '.join(known)}"
            + (nearest(path.suffix, known) if path.suffix else "")
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
    with open_archive(path, path.name) as members:
        return {name: member.whole() for name, member in members.items()}


def _read_hdf5(path: Path) -> dict[str, Any]:
    import h5py

    with h5py.File(path) as content:
        return {n: _values(d) for n, d in content.items() if isinstance(d, h5py.Dataset)}


def _values(dataset: Any) -> Any:
    """Return a dataset's values, text as text."""
    return dataset.asstr()[()] if dataset.dtype.kind == "O" else dataset[()]


def _read_pt(path: Path) -> dict[str, Any]:
    import torch

    content = torch.load(path, weights_only=True, map_location="cpu")
    if not isinstance(content, dict):
        raise LabelError(f"{path.name} holds a {type(content).__name__}, not tensors by name")
    found: dict[str, Any] = {
        str(n): t.numpy() for n, t in content.items() if isinstance(t, torch.Tensor)
    }
    if isinstance(content.get(ABOUT), str):  # written by presage: text stands there as lists
        found |= {str(n): np.asarray(t) for n, t in content.items() if _is_text(t)}
    return found


def _is_text(held: Any) -> bool:
    texts = held if isinstance(held, list) else [held]
    return all(isinstance(text, str) for text in texts)


_READERS = {".npz": _read_npz, ".h5": _read_hdf5, ".hdf5": _read_hdf5, ".pt": _read_pt}
