"""Reading files whose arrays stand in groups: netCDF of any age, and HDF5.

One group is read, and what of the file is left out thereby is said. A table whose rows have
named columns counts as a group of its columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from presage.exchange.about import ABOUT
from presage.inputs import LeftOut
from presage.labels import LabelError, nearest
from presage.labels.errors import few
from presage.store.netcdf import check_unpacked, netcdf_of, open_classic
from presage.store.opening import opened

_ROOT = ""
_CLASSIC = (b"CDF\x01", b"CDF\x02")
_PANDAS_BLOCK = re.compile(r"(values_)?block_?\d+(_values)?")


def read_netcdf(path: Path, group: str | None) -> tuple[xr.Dataset, LeftOut]:
    """Read one group of a netCDF file."""
    with path.open("rb") as file:
        start = file.read(4)
    if start in _CLASSIC:
        return _read_classic(path, group)
    if start == b"CDF\x05":
        raise LabelError(
            f"{path.name} is netCDF of the 64-bit data format (CDF-5), which is not read; "
            "convert it: nccopy -k nc4 OLD NEW"
        )
    with opened(path, foreign=True) as content:
        file = netcdf_of(content).ds
        groups = {name: file[name] if name else file for name in content.groups}
        held = {name: list(map(str, one.variables)) for name, one in groups.items()}
        chosen, left_out = _choose({n: v for n, v in held.items() if v}, group, path.name)
        with xr.open_dataset(netcdf_of(content, chosen or None)) as dataset:
            check_unpacked(path, dataset.nbytes)
            return dataset.load(), left_out


def _read_classic(path: Path, group: str | None) -> tuple[xr.Dataset, LeftOut]:
    with open_classic(path) as dataset:
        _choose({_ROOT: list(map(str, dataset.variables))}, group, path.name)
        check_unpacked(path, dataset.nbytes)
        return dataset.load(), LeftOut()


def read_hdf5(path: Path, group: str | None) -> tuple[dict[str, Any], LeftOut]:
    """Read the arrays of one group."""
    with opened(path, foreign=True) as content:
        groups = _hdf5_groups(content.arrays)
        named = {name: [n for n in held if n != ABOUT] for name, held in groups.items()}
        chosen, left_out = _choose({n: a for n, a in named.items() if a}, group, path.name)
        if any(_PANDAS_BLOCK.fullmatch(name) for name in groups[chosen]):
            raise LabelError(
                f"{path.name}: {chosen!r} was written by pandas, which keeps the names of its "
                "columns as pickles; those are not read. Write df.to_xarray().to_netcdf(path), or "
                "df.to_hdf(path, key=..., format='table', data_columns=True)"
            )
        table = content.arrays.get(chosen)
        arrays = {n: table or content.arrays[f"{chosen}/{n}".strip("/")] for n in groups[chosen]}
        check_unpacked(path, sum(array.nbytes for array in set(arrays.values())))
        if content.soft_links:
            more = f"{len(content.soft_links)} soft link(s) are not followed"
            said = f"{path.name}: {more} ({few(content.soft_links, 4, ', ')})"
            left_out = replace(left_out, said=(*left_out.said, said))
        return {name: _values(array, name, path) for name, array in arrays.items()}, left_out


def _hdf5_groups(arrays: Mapping[str, h5py.Dataset]) -> dict[str, list[str]]:
    """Return the names of arrays by group; a table is a group of its columns."""
    found: dict[str, list[str]] = {}
    for name, array in arrays.items():
        if array.dtype.names:
            found[name] = list(array.dtype.names)
        else:
            group, _, own = name.rpartition("/")
            found.setdefault(group, []).append(own)
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


def _choose(
    groups: Mapping[str, Sequence[str]], wanted: str | None, where: str
) -> tuple[str, LeftOut]:
    """Return the group to read, and what is not read thereby.

    `groups` is path → names of arrays, the file's own at ``""``. Where nothing is `wanted` it is
    what the file holds outside of groups, else its only group.
    """
    if not groups:
        raise LabelError(f"{where} holds no arrays")
    shown = ", ".join(f"{group or '/'} ({few(names, 4, ', ')})" for group, names in groups.items())
    chosen = _ROOT if wanted is None else wanted.strip("/")
    if wanted is None and _ROOT not in groups:
        if len(groups) > 1:
            raise LabelError(
                f"{where} holds its arrays in groups: {shown}; say which with --group NAME "
                "(read_file(path, group=NAME))"
            )
        chosen = next(iter(groups))
    if chosen not in groups:
        raise LabelError(
            f"{where} has no group {wanted!r} with arrays{nearest(chosen, groups)}; it has {shown}"
        )
    return chosen, _left_out(groups, chosen, where)


def _left_out(groups: Mapping[str, Sequence[str]], chosen: str, where: str) -> LeftOut:
    taken = f"of {where} the group {chosen!r} is read" if chosen else ""
    others = {name: len(arrays) for name, arrays in groups.items() if name != chosen}
    if not others:
        return LeftOut(taken)
    counted = ", ".join(f"{n} in {name or '/'}" for name, n in others.items())
    said = (
        f"{where}: {sum(others.values())} array(s) are not read ({counted}); --group NAME reads "
        "another group"
    )
    return LeftOut(taken, (said,))
