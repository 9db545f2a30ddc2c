"""Reading netCDF of any age: classic files through scipy, netCDF-4 with its groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5netcdf
import xarray as xr

from presage.exchange.groups import ROOT, choose
from presage.inputs import LeftOut
from presage.labels import LabelError
from presage.store.netcdf import check_unpacked, open_dataset

_CLASSIC = (b"CDF\x01", b"CDF\x02")


def read_netcdf(path: Path, group: str | None) -> tuple[xr.Dataset, LeftOut]:
    """Read one group of a netCDF file.

    Raises
    ------
    LabelError
        It is netCDF of another kind, there is no such group, or several to choose from.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start in _CLASSIC:
        return _read_classic(path, group)
    if start == b"CDF\x05":
        raise LabelError(
            f"{path.name} is netCDF of the 64-bit data format (CDF-5), which is not read; "
            "convert it: nccopy -k nc4 OLD NEW"
        )
    with h5netcdf.File(path, "r") as file:
        chosen, left_out = choose(dict(_groups(file)), group, path.name)
    with open_dataset(path, group=chosen or None) as dataset:
        check_unpacked(path, dataset.nbytes)
        return dataset.load(), left_out


def _groups(group: Any, name: str = ROOT) -> Iterator[tuple[str, list[str]]]:
    """Yield each group that holds variables, with their names."""
    if group.variables:
        yield name, list(map(str, group.variables))
    for child, inner in group.groups.items():
        yield from _groups(inner, f"{name}/{child}".strip("/"))


def _read_classic(path: Path, group: str | None) -> tuple[xr.Dataset, LeftOut]:
    """Read a classic file; it is mapped, so no array reaches beyond the file's end."""
    with xr.open_dataset(path, engine="scipy", mmap=True) as dataset:
        choose({ROOT: list(map(str, dataset.variables))}, group, path.name)
        return dataset.load(), LeftOut()
