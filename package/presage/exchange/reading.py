"""Reading arrays from files as a labelled dataset.

Where a file does not say what its dimensions are, names are made up: the first one counts
samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from presage.exchange.about import ABOUT, check_suffix, restore
from presage.exchange.grouped import read_hdf5, read_netcdf
from presage.exchange.numpy_archive import open_archive
from presage.exchange.tensors import read_tensors
from presage.foreign import file_size
from presage.inputs import LeftOut
from presage.labels import LabelError
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
    check_suffix(path, _READERS)
    file_size(path)
    if group is not None and path.suffix in (".npz", ".pt"):
        raise LabelError(f"{path.name}: there are no groups in {path.suffix}; leave {group!r} out")
    with reading(path):
        content, left_out = _READERS[path.suffix](path, group)
        if isinstance(content, xr.Dataset):
            dataset = content
        elif ABOUT in content:
            about = str(np.asarray(content.pop(ABOUT)))
            dataset = restore(content, about, path.name)
        else:
            dataset = _label(content, sample, path)
    left_out.warn()
    return dataset.assign_attrs({LEFT_OUT: str(left_out)}) if str(left_out) else dataset


def _label(arrays: Mapping[str, Any], sample: str, path: Path) -> xr.Dataset:
    """Give arrays of equal length dimension names."""
    if not arrays:
        raise LabelError(f"{path.name} holds no arrays")
    lengths = {name: np.shape(a)[0] if np.ndim(a) else None for name, a in arrays.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        shown = ", ".join(f"{n} {np.shape(a)}" for n, a in arrays.items())
        raise LabelError(f"{path.name}: the first dimension counts samples in every array; {shown}")
    dims = {n: (sample, *(f"{n}_{k}" for k in range(1, np.ndim(a)))) for n, a in arrays.items()}
    return xr.Dataset({name: (dims[name], array) for name, array in arrays.items()})


def _read_npz(path: Path, _: str | None) -> tuple[dict[str, Any], LeftOut]:
    with open_archive(path, path.name) as members:
        return {name: member.whole() for name, member in members.items()}, LeftOut()


def _read_pt(path: Path, _: str | None) -> tuple[dict[str, Any], LeftOut]:
    content = read_tensors(path)
    found: dict[str, Any] = {n: a for n, a in content.items() if isinstance(a, np.ndarray)}
    if isinstance(content.get(ABOUT), str):  # written by presage: text stands there as lists
        found |= {str(n): np.asarray(t) for n, t in content.items() if _is_text(t)}
    return found, LeftOut()


def _is_text(held: Any) -> bool:
    texts = held if isinstance(held, list) else [held]
    return all(isinstance(text, str) for text in texts)


#: Suffix → function (path, group) that returns arrays or a dataset, and what it left out.
_READERS: dict[str, Callable[[Path, str | None], tuple[Any, LeftOut]]] = {
    ".nc": read_netcdf,
    ".npz": _read_npz,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".pt": _read_pt,
}
