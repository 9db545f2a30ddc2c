"""Files of other programs: classic netCDF, groups, tables; read whole, or refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import torch

from presage.cli.main import main
from presage.exchange import read_file
from presage.inputs import InputWarning
from presage.labels import LabelError
from presage.lineage import LEFT_OUT
from presage.store import Store, StoreError

X = np.arange(6, dtype="f4")
ROWS = np.array([(1.5, 2)] * 6, dtype=[("pt", "f4"), ("n", "i4")])


def netcdf(path: Path, groups: tuple[str, ...] = ("",), kind: Any = "NETCDF4") -> Path:
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for name in groups:
            group = file.createGroup(name) if name else file
            group.createDimension("sample", None if kind == "NETCDF3_64BIT_OFFSET" else 6)
            for variable in ("x", "y"):
                group.createVariable(variable, "f4", ("sample",))[:] = X
    return path


def hdf5(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
def test_classic_netcdf_is_read(kind: str, tmp_path: Path) -> None:
    held = read_file(netcdf(tmp_path / "classic.nc", kind=kind))
    np.testing.assert_array_equal(held.x, X)
    assert held.x.dtype == np.dtype("f4")
    assert held.x.dtype.isnative
    assert held.x.dims == ("sample",)
    assert LEFT_OUT not in held.attrs


def test_a_cut_classic_file_is_read_right_or_refused(tmp_path: Path) -> None:
    content = netcdf(tmp_path / "whole.nc", kind="NETCDF3_CLASSIC").read_bytes()
    cut = tmp_path / "cut.nc"
    for length in range(0, len(content), 7):
        cut.write_bytes(content[:length])
        with pytest.raises((LabelError, StoreError), match=r"cut\.nc"):
            read_file(cut)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (lambda f: netcdf(f / "g.nc", ("events",)), ["x", "y"]),
        (lambda f: hdf5(f / "g.h5", events__x=X), ["x"]),
        (lambda f: hdf5(f / "t.h5", events=ROWS), ["pt", "n"]),
    ],
)
def test_the_only_group_is_taken_and_said(path: Any, names: list[str], tmp_path: Path) -> None:
    held = read_file(path(tmp_path))
    assert list(held.data_vars) == names
    assert held.sizes == {"sample": 6}
    assert "the group 'events' is read" in held.attrs[LEFT_OUT]
    assert "events" in Store().adopt(held, "in", sample="sample").attrs[LEFT_OUT]


def test_of_several_groups_one_has_to_be_named(tmp_path: Path) -> None:
    path = netcdf(tmp_path / "g.nc", ("a", "b"))
    with pytest.raises(LabelError, match=r"groups: a \(x, y\), b \(x, y\); say which with --group"):
        read_file(path)
    with pytest.raises(LabelError, match=r"no group 'bb' with arrays; did you mean 'b'"):
        read_file(path, group="bb")
    with pytest.warns(InputWarning, match=r"2 array\(s\) are not read \(2 in a\)"):
        held = read_file(path, group="b")
    np.testing.assert_array_equal(held.x, X)


def test_what_stands_beside_the_arrays_that_are_read_is_counted(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "m.h5", x=X, g__y=X[:3], g__t=ROWS)
    said = r"m\.h5: 3 array\(s\) are not read \(1 in g, 2 in g/t\)"
    with pytest.warns(InputWarning, match=said):
        assert list(read_file(path).data_vars) == ["x"]


REFUSED: dict[str, tuple[Any, str]] = {
    "CDF-5": (lambda f: netcdf(f / "c.nc", kind="NETCDF3_64BIT_DATA"), "nccopy -k nc4"),
    "pandas": (
        lambda f: hdf5(
            f / "p.h5",
            e__table=np.zeros(3, [("index", "i8"), ("values_block_0", "f8", (2,))]),
        ),
        "names of its columns as pickles",
    ),
    "nested": (
        lambda f: hdf5(f / "n.h5", t=np.zeros(3, [("a", [("b", "f4")])])),
        "'a' holds .*, not numbers or text",
    ),
    "empty": (lambda f: hdf5(f / "e.h5"), "holds no arrays"),
    "no HDF5": (lambda f: _bytes(f / "b.h5", b"no" * 99), "it is no netCDF or HDF5 file"),
    "no netCDF": (lambda f: _bytes(f / "b.nc", b"no" * 99), "b.nc cannot .* it is no netCDF"),
    "nothing": (lambda f: _bytes(f / "b.nc", b""), "b.nc cannot be read: it is no netCDF"),
    "half a file": (
        lambda f: _bytes(f / "c.nc", netcdf(f / "b.nc").read_bytes()[:3000]),
        "c.nc cannot be read: it is cut off; copy it again",
    ),
    "no tensors": (lambda f: _bytes(f / "b.pt", b"no" * 99), "only tensors are read"),
    "no archive": (lambda f: _bytes(f / "b.npz", b"no" * 99), "damaged archive"),
}


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_read_is_refused_in_words(kind: str, tmp_path: Path) -> None:
    make, said = REFUSED[kind]
    with pytest.raises((LabelError, StoreError), match=said):
        read_file(make(tmp_path))


def test_an_array_that_unpacks_to_far_more_than_its_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("x", (1 << 28,), "f8", chunks=(1 << 20,), compression=9)
    with pytest.raises(StoreError, match="declares 2147483648 bytes of arrays"):
        read_file(tmp_path / "bomb.h5")


def test_groups_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(netcdf(tmp_path / "g.nc", ("a", "b")))
    with pytest.raises(SystemExit, match="2"):
        main(["store", "import", path])
    assert "--group NAME" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["store", "import", path, "--group", "b"])
    captured = capsys.readouterr()
    assert "(2 in a)" in captured.err
    assert "Warning" not in captured.err
    assert Store().open(captured.out.split()[0]).sizes == {"sample": 6}


def test_tensors_are_still_read(tmp_path: Path) -> None:
    torch.save({"x": torch.arange(3)}, tmp_path / "x.pt")
    assert list(read_file(tmp_path / "x.pt").data_vars) == ["x"]
