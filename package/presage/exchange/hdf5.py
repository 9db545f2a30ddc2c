"""Reading HDF5: the arrays of one group, or the columns of a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from presage.exchange.about import ABOUT
from presage.exchange.groups import choose
from presage.inputs import LeftOut
from presage.labels import LabelError
from presage.store.netcdf import check_unpacked

_PANDAS_BLOCK = re.compile(r"(values_)?block_?\d+(_values)?")


def read_hdf5(path: Path, group: str | None) -> tuple[dict[str, Any], LeftOut]:
    """Read the arrays of one group.

    Raises
    ------
    LabelError
        There is no such group, several to choose from, or what it holds are no arrays.
    """
    with h5py.File(path, "r") as content:
        groups = _groups(content)
        named = {name: [n for n in held if n != ABOUT] for name, held in groups.items()}
        chosen, left_out = choose({n: a for n, a in named.items() if a}, group, path.name)
        held = content[chosen or "/"]
        if any(_PANDAS_BLOCK.fullmatch(name) for name in groups[chosen]):
            raise LabelError(
                f"{path.name}: {chosen!r} was written by pandas, which keeps the names of its "
                "columns as pickles; those are not read. Write df.to_xarray().to_netcdf(path), or "
                "df.to_hdf(path, key=..., format='table', data_columns=True)"
            )
        arrays = {n: held if isinstance(held, h5py.Dataset) else held[n] for n in groups[chosen]}
        check_unpacked(path, sum(array.nbytes for array in set(arrays.values())))
        return {name: _values(array, name, path) for name, array in arrays.items()}, left_out


def _groups(content: Any) -> dict[str, list[str]]:
    """Return the names of arrays by group; a table is a group of its columns."""
    found: dict[str, list[str]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            if item.dtype.names:
                found[name] = list(item.dtype.names)
            else:
                group, _, own = name.rpartition("/")
                found.setdefault(group, []).append(own)

    content.visititems(note)
    return dict(sorted(found.items()))


def _values(held: h5py.Dataset, name: str, path: Path) -> Any:
    """Return an array, or a column of a table; text as text."""
    column = held.dtype.names is not None
    dtype = held.dtype[name] if column else held.dtype
    if dtype.kind == "O" and h5py.check_string_dtype(dtype):
        texts = held[name] if column else held[()]
        return np.vectorize(_text, otypes=[object])(texts) if np.size(texts) else texts.astype(str)
    if dtype.kind in "OV" and not dtype.subdtype:
        raise LabelError(
            f"{path.name}: {name!r} holds {dtype}, not numbers or text; write each of its parts as "
            "an array of its own"
        )
    return held[name] if column else held[()]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
