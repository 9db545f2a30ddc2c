"""Writing a dataset in the format that a file's suffix says, a few rows at a time."""

from __future__ import annotations

import glob
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from presage.exchange.about import ABOUT, check_suffix, describe
from presage.extras import extra
from presage.labels import Array, LabelError
from presage.lineage import SAMPLE
from presage.store.files import Sink, replace, require_room, sweep
from presage.store.netcdf import write_dataset

#: Tree of a ROOT file.
TREE = "Events"
_CHUNK_BYTES = 16 << 20
#: Zlib's levels.
_LEVELS = range(10)


def write_file(dataset: xr.Dataset, path: str | os.PathLike[str], *, compression: int = 0) -> Path:
    """Write a dataset in the format that the suffix says; a file of that name is replaced.

    It appears when it is complete. Sample numbers that are a range are left out of all formats
    but netCDF, which has them as a coordinate.

    Parameters
    ----------
    dataset
        What to write; ``.root`` and ``.npy`` hold variables of samples only.
    path
        ``.nc``, ``.root``, ``.npz``, ``.npy``, ``.h5``/``.hdf5`` or ``.pt``.
    compression
        Zlib's level, 0 to 9; 0 for none. Random numbers hardly compress.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    LabelError
        An unknown suffix, a level that there is not, or variables that the format has no
        place for.
    """
    path = Path(path)
    check_suffix(path, _WRITERS)
    if compression not in _LEVELS or (compression and path.suffix in _PLAIN):
        levels = "0, there is no compression" if path.suffix in _PLAIN else "0 to 9"
        raise LabelError(f"{path.name}: compression is {levels}; got {compression!r}")
    require_room(path.parent, 0 if compression else dataset.nbytes)
    sweep(path.parent, glob.escape(path.name))
    replace(path, lambda sink: _WRITERS[path.suffix](dataset, sink, compression))
    return path


def _without_range(dataset: xr.Dataset) -> xr.Dataset:
    """Leave the sample numbers out where they follow one another."""
    sample = dataset.attrs.get(SAMPLE)
    numbers = dataset.indexes.get(sample) if sample else None
    if isinstance(numbers, pd.RangeIndex) and numbers.step == 1:
        return dataset.drop_vars(str(sample))
    return dataset


def _table(dataset: xr.Dataset, suffix: str) -> xr.Dataset:
    """Return a dataset of variables along one dimension, which comes first.

    It is refused where it has others, or no samples.
    """
    dataset = _without_range(dataset)
    first = dataset.attrs.get(SAMPLE) or next(
        (dim for variable in dataset.data_vars.values() for dim in variable.dims), ""
    )
    for name, variable in dataset.data_vars.items():
        if first not in variable.dims or variable.dtype.kind not in "biuf":
            raise LabelError(
                f"{suffix} holds samples only, and {name!r} is {variable.dtype} with dims "
                f"{variable.dims}, not numbers along {first!r}; write it as .nc, or drop it with "
                "drop_vars"
            )
    if not dataset.data_vars or not dataset.sizes[first]:
        raise LabelError(f"there are no samples to write as {suffix}")
    kept = dataset.reset_index(first) if first in dataset.indexes else dataset
    return kept.reset_coords([n for n in kept.coords if first in kept[n].dims]).transpose(
        first, ...
    )


def _rows(table: xr.Dataset) -> Iterator[dict[str, Array]]:
    """Yield name → values of a table, a piece of all columns at a time."""
    first = next(iter(table.data_vars.values())).dims[0]
    for place in _places(table.sizes[first], table.nbytes):
        part = table.isel({first: place})
        yield {str(name): np.ascontiguousarray(a.values) for name, a in part.data_vars.items()}


def _write_nc(dataset: xr.Dataset, sink: Sink, compression: int) -> None:
    level = {"zlib": True, "complevel": compression} if compression else {}
    write_dataset(sink, dataset, dict.fromkeys(map(str, dataset.data_vars), level))


def _write_root(dataset: xr.Dataset, sink: Sink, compression: int) -> None:
    with extra("root", "writing ROOT files"):
        import uproot

    table = _table(dataset, ".root")
    types = {
        str(n): np.dtype((a.dtype, a.shape[1:])) if a.ndim > 1 else a.dtype
        for n, a in table.data_vars.items()
    }
    level = uproot.ZLIB(compression) if compression else None
    with uproot.recreate(sink, compression=level) as file:
        tree = file.mktree(TREE, types, title=str(dataset.attrs.get("presage_producer", "")))
        for rows in _rows(table):
            tree.extend(rows)
        file[ABOUT] = describe(table)


def _write_npy(dataset: xr.Dataset, sink: Sink, _: int) -> None:
    table = _table(dataset, ".npy")
    fields = [(str(n), a.dtype, a.shape[1:]) for n, a in table.data_vars.items()]
    dtype = np.dtype(fields)
    (total, *_rest) = next(iter(table.data_vars.values())).shape
    _write_header(sink, dtype, (total,))
    for rows in _rows(table):
        records = np.empty(len(next(iter(rows.values()))), dtype)
        for name, values in rows.items():
            records[name] = values
        sink.write(records.view(np.uint8).data)


def _write_npz(dataset: xr.Dataset, sink: Sink, compression: int) -> None:
    dataset = _without_range(dataset)
    method = zipfile.ZIP_DEFLATED if compression else zipfile.ZIP_STORED
    variables = {str(name): variable for name, variable in dataset.variables.items()}
    variables[ABOUT] = xr.Variable((), np.array(describe(dataset)))
    with zipfile.ZipFile(sink, "w", method, compresslevel=compression or None) as archive:
        for name, variable in variables.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_array(member, variable)


def _write_array(file: Any, variable: xr.Variable) -> None:
    """Write a variable as the content of an ``.npy`` file, without holding all of it."""
    if variable.dtype.kind in "OT":  # text
        variable = variable.copy(data=np.asarray(variable.values, dtype=np.str_))
    if not variable.ndim or not variable.size:
        np.lib.format.write_array(file, variable.values, allow_pickle=False)
        return
    _write_header(file, variable.dtype, variable.shape)
    for _, values in _pieces(variable):
        file.write(values.tobytes())


def _pieces(variable: xr.Variable) -> Iterator[tuple[Any, Array]]:
    """Yield places along the first dimension, and the values there, a piece at a time."""
    if not variable.ndim:
        yield (), variable.values
        return
    for place in _places(variable.shape[0], variable.nbytes):
        yield place, variable[place].values


def _places(length: int, size: int) -> Iterator[slice]:
    """Yield parts of an axis of what has `size` bytes in all."""
    step = max(1, _CHUNK_BYTES * length // max(size, 1))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _write_header(file: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    about = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, about)


def _write_hdf5(dataset: xr.Dataset, sink: Sink, compression: int) -> None:
    import h5py

    dataset = _without_range(dataset)
    with h5py.File(sink, "w") as content:
        for name, variable in dataset.variables.items():
            text = variable.dtype.kind in "UOT"
            kind = h5py.string_dtype() if text else variable.dtype
            settings = {"compression": compression} if compression and variable.ndim else {}
            held = content.create_dataset(str(name), variable.shape, kind, **settings)
            if variable.size:
                for place, values in _pieces(variable):
                    held[place] = values.astype(kind) if text else values
        content[ABOUT] = describe(dataset)


def _write_pt(dataset: xr.Dataset, sink: Sink, _: int) -> None:
    import torch

    dataset = _without_range(dataset)
    held: dict[str, Any] = {ABOUT: describe(dataset)}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind in "biuf":
            held[str(name)] = torch.from_numpy(np.array(variable.values))
        elif variable.dtype.kind in "UOT" and variable.ndim == 1:
            held[str(name)] = [str(text) for text in variable.values]
    torch.save(held, cast(IO[bytes], sink))


_WRITERS: dict[str, Callable[[xr.Dataset, Sink, int], None]] = {
    ".nc": _write_nc,
    ".root": _write_root,
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".pt": _write_pt,
}
SUFFIXES = tuple(_WRITERS)
_PLAIN = (".npy", ".pt")
