"""Reading arrays from files as a labelled dataset.

Where a file does not say what its dimensions are, names are made up: the first one counts
samples.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from presage.exchange.about import ABOUT, restore
from presage.exchange.hdf5 import read_hdf5
from presage.exchange.netcdf import read_netcdf
from presage.exchange.numpy_archive import open_archive
from presage.inputs import LeftOut
from presage.labels import LabelError, nearest
from presage.lineage import LEFT_OUT
from presage.store.files import reading


def read_file(path: Path, sample: str = "sample", group: str | None = None) -> xr.Dataset:
    """Read a file of arrays as a dataset.

    Parameters
    ----------
    path
        ``.nc`` (classic or netCDF-4), ``.npz``, ``.h5``/``.hdf5`` (arrays, or a table whose
        columns become variables) or ``.pt`` (tensors by name; read without unpickling anything
        else). ROOT and ``.npy`` files of events have readers of their own in the study.
    sample
        Name of the first dimension of arrays that come without names.
    group
        Of ``.nc`` and ``.h5``; by default what stands outside of groups, else the only group.

    Returns
    -------
    xarray.Dataset
        Its attribute ``presage_left_out`` says what was not read, as does a warning.

    Raises
    ------
    LabelError
        An unknown suffix, no arrays, arrays of unequal length, no such group or several to
        choose from, or a file that is damaged, holds Python objects, or not the sizes that it
        declares.
    FileNotFoundError
        There is no such file.
    """
    _check_suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if group is not None and path.suffix in (".npz", ".pt"):
        raise LabelError(f"{path.name}: there are no groups in {path.suffix}; leave {group!r} out")
    left_out = LeftOut()
    with reading(path):
        if path.suffix == ".nc":
            dataset, left_out = read_netcdf(path, group)
        else:
            if path.suffix in (".npz", ".pt"):
                arrays = _READERS[path.suffix](path)
            else:
                arrays, left_out = read_hdf5(path, group)
            about = arrays.pop(ABOUT, None)
            dataset = (
                _label(arrays, sample, path)
                if about is None
                else restore(arrays, str(np.asarray(about)), path.name)
            )
    left_out.warn()
    return dataset.assign_attrs({LEFT_OUT: str(left_out)}) if str(left_out) else dataset


def _check_suffix(path: Path) -> None:
    known = (".nc", ".npz", ".h5", ".hdf5", ".pt")
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


def _read_pt(path: Path) -> dict[str, Any]:
    import torch

    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        # torch's own words would advise to load the file unsafely.
        raise LabelError(
            f"{path.name} holds other Python objects than tensors by name, or is damaged "
            f"({type(error).__name__}); only tensors are read"
        ) from None
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


_READERS = {".npz": _read_npz, ".pt": _read_pt}
