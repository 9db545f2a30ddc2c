"""HDF5 and netCDF files that lead elsewhere, lie, or break the library: a sentence each."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from presage.exchange import read_file
from presage.inputs import InputWarning
from presage.labels import LabelError, Schema, Variable
from presage.recipe import Recipe
from presage.store import Store, StoreError, hdf5, opening
from presage.store.netcdf import map_shard, open_dataset
from presage.store.sidecar import make_sidecar, read_sidecar, sidecar_path

X = np.arange(6.0)
MANY = 4096


def external(file: h5py.File, other: Path) -> None:
    file.create_dataset("x", (6,), "f8", external=[(str(other), 0, 48)])


def external_link(file: h5py.File, other: Path) -> None:
    file["x"] = h5py.ExternalLink(str(other), "x")


def external_group(file: h5py.File, other: Path) -> None:
    file["y"] = X
    file["g/h"] = h5py.ExternalLink(str(other), "/")


def behind_soft_link(file: h5py.File, other: Path) -> None:
    file["a/there"] = h5py.ExternalLink(str(other), "x")
    file["x"] = h5py.SoftLink("/a/there")


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((6,), "f8")
    layout[:] = h5py.VirtualSource(str(other), "x", (6,))
    file.create_virtual_dataset("x", layout)


def deep(file: h5py.File, _: Path) -> None:
    file["/".join("g" * 120) + "/x"] = X


def names(file: h5py.File, _: Path) -> None:
    file["x"] = np.zeros(1 << 18)
    file["x"].make_scale("x")
    for number in range(200):
        file[f"x{number}"] = file["x"]


def large_chunk(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", (6,), "f8", chunks=(1 << 26,), maxshape=(None,), compression=9)


def coordinate(file: h5py.File, _: Path) -> None:
    held = file.create_dataset("x", (1 << 26,), "f8", chunks=(1 << 20,), compression=9)
    held.make_scale("x")


def inflating(file: h5py.File, _: Path) -> None:
    held = file.create_dataset("x", (1 << 19,), "u1", chunks=(1 << 19,), compression=9)
    packer = zlib.compressobj(1)
    packed = [packer.compress(bytes(1 << 20)) for _ in range(200)]
    held.id.write_direct_chunk((0,), b"".join([*packed, packer.flush()]))


def texts(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", (MANY,), h5py.string_dtype())[0] = "a" * 70_000


def attribute(file: h5py.File, _: Path) -> None:
    file["x"] = X
    file["x"].attrs.create("t", ["a" * 70_000] + [""] * (MANY - 97), dtype=h5py.string_dtype())


#: What is in the file, and what is said of it, by headers alone.
BY_STRUCTURE: dict[str, tuple[Callable[[h5py.File, Path], None], str]] = {
    "external storage": (external, "has the values of 'x' in other files"),
    "external link": (external_link, "leads to another file by its link 'x'"),
    "external group": (external_group, "leads to another file by its link 'g/h'"),
    "behind a soft link": (behind_soft_link, "leads to another file by its link 'a/there'"),
    "virtual": (virtual, "has the values of 'x' in other files"),
    "deep": (deep, "has more than 100 groups within one another"),
    "names": (names, "declares 421527552 bytes of arrays"),
    "chunk": (large_chunk, "declares 536870912 bytes of arrays"),
    "coordinate": (coordinate, "declares 536870912 bytes of arrays"),
}
#: What only shows when it is read.
BY_READING: dict[str, tuple[Callable[[h5py.File, Path], None], str]] = {
    "inflating": (inflating, "cannot be read: .*filter"),
    "texts": (texts, "unpacks to far more bytes than it declares"),
    "attribute": (attribute, "unpacks to far more bytes than it declares"),
}


def made(path: Path, make: Callable[[h5py.File, Path], None]) -> Path:
    with h5py.File(other := path.with_name("other.h5"), "w") as file:
        file["x"] = X
    with h5py.File(path, "w") as file:
        make(file, other)
    content = bytearray(path.read_bytes())
    start = -1  # of the first reference to the long text, if there is one; all are made that one
    while (start := content.find(struct.pack("<I", 70_000), start + 1)) >= 0:
        (heap,) = struct.unpack("<Q", content[start + 4 : start + 12])
        if content[heap : heap + 4] == b"GCOL":
            end = start + 16 * (MANY - 96)
            content[start:end] = content[start : start + 16] * (MANY - 96)
            path.write_bytes(content)
            break
    return path


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [*((kind, ".nc") for kind in BY_STRUCTURE), *((kind, ".h5") for kind in BY_READING),
     ("virtual", ".h5"), ("external storage", ".h5"), ("attribute", ".nc")],
)  # fmt: skip
def test_it_is_refused(
    kind: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "inflating":
        monkeypatch.setattr(opening, "_MEMORY", 1 << 28)
    make, said = (BY_STRUCTURE | BY_READING)[kind]
    with pytest.raises(StoreError, match=rf"a\{suffix} {said}"):
        read_file(made(tmp_path / f"a{suffix}", make))


@pytest.mark.parametrize("kind", BY_STRUCTURE)
def test_the_store_refuses_it_too(kind: str, tmp_path: Path) -> None:
    """A file forged with its sidecar, whose hash is therefore right."""
    make, said = BY_STRUCTURE[kind]
    store, recipe = Store(tmp_path / "store"), Recipe("toy", 1, {})
    store.add(recipe, Schema("sample", (Variable("x", dtype="float64"),)), {"x": X}, 0)
    path = next(store.root.rglob("shard-*.nc"))
    mark = sidecar_path(path)
    before = read_sidecar(mark)
    path.unlink()
    made(path, make)
    mark.unlink()
    forged = replace(make_sidecar(path, {}, recipe.key), start=0, stop=6, arrays=before.arrays)
    mark.write_text(forged.text(), encoding="utf-8")
    with pytest.raises(StoreError, match=said):
        Store(store.root).open(recipe).load()
    with pytest.raises(StoreError, match=said):
        map_shard(path, ("x",))


def test_circles_are_not_walked(tmp_path: Path) -> None:
    def circles(file: h5py.File, _: Path) -> None:
        file["g/x"] = X
        file["g/again"] = file["g"]

    assert list(read_file(made(tmp_path / "a.nc", circles)).data_vars) == ["x"]
    assert list(read_file(made(tmp_path / "a.h5", circles)).data_vars) == ["x"]


def test_soft_links_are_said_or_refused(tmp_path: Path) -> None:
    def soft(file: h5py.File, _: Path) -> None:
        file["x"] = X
        file["up"], file["gone"] = h5py.SoftLink("/"), h5py.SoftLink("/gone")

    with pytest.raises(StoreError, match=r"a\.nc has soft links, .*: gone; up"):
        read_file(made(tmp_path / "a.nc", soft))
    with pytest.warns(InputWarning, match=r"a\.h5: 2 soft link\(s\) are not followed \(gone, up\)"):
        assert list(read_file(made(tmp_path / "a.h5", soft)).data_vars) == ["x"]


def test_variables_of_the_same_bytes(tmp_path: Path) -> None:
    """Classic netCDF of 200 coordinates that are one and the same array."""
    n, size = 200, 1 << 18
    names = [struct.pack(">i4s", 4, b"x%03d" % number) for number in range(n)]
    dims = b"".join(name + struct.pack(">i", size) for name in names)
    start = 32 + len(dims) + 36 * n
    variables = b"".join(
        name + struct.pack(">7i", 1, number, 0, 0, 6, 8 * size, start)
        for number, name in enumerate(names)
    )
    counts = struct.pack(">2i", 10, n), struct.pack(">4i", 0, 0, 11, n)
    path = tmp_path / "a.nc"
    path.write_bytes(
        b"CDF\x01" + bytes(4) + counts[0] + dims + counts[1] + variables + bytes(8 * size)
    )
    with pytest.raises(StoreError, match="bytes declare 419430400 bytes of arrays"):
        read_file(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "a.nc")
    for read in (read_file, lambda p: map_shard(p, ("x",)), lambda p: open_dataset(p).__enter__()):
        with pytest.raises(LabelError, match="a pipe or a device"):
            read(path)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("while True: pass", r"b.h5 is refused: the process that read it did not end within 1 s"),
        ("import os; os.abort()", r"b.h5 is refused: the process that read it crashed \(-6\)"),
    ],
)
def test_what_breaks_the_library(
    script: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Stand-ins for files at which the library loops or crashes: the files beside are read."""
    (tmp_path / "hdf5.py").write_text(
        Path(hdf5.__file__).read_text(encoding="utf-8").replace(
            "    try:\n        read_all", f"    if 'b.h5' in path:\n        {script}\n"
            "    try:\n        read_all"
        ), encoding="utf-8",
    )  # fmt: skip
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "hdf5.py"))
    monkeypatch.setattr(opening, "_SECONDS", 1)
    paths = [made(tmp_path / f"{name}.h5", lambda f, _: f.update(x=X)) for name in "abc"]
    os.truncate(paths[0], 200_000_000)  # whose time is not that of another file
    monkeypatch.setattr(opening, "Bar", partial(opening.Bar, delay=0))
    opening.read_apart(paths)
    assert "checking 3 files" in capsys.readouterr().err
    with pytest.raises(StoreError, match=said):
        read_file(paths[1])
    monkeypatch.setattr(opening, "_run", None)  # the others were read
    assert read_file(paths[0]).sizes == read_file(paths[2]).sizes == {"sample": 6}


# -- damage -------------------------------------------------------------------------------


def seeds(folder: Path) -> list[bytes]:
    """Return small files with everything in them that HDF5 and netCDF are written with."""
    for libver in ("earliest", "latest"):
        with h5py.File(folder / f"{libver}.h5", "w", libver=libver) as file:
            file.create_dataset("x", data=X, chunks=(2,), compression=9, shuffle=True)
            file.create_dataset("y", data=X.astype("i2"), chunks=(4,), fletcher32=True)
            file.create_dataset("z", data=X.astype("i4"), chunks=(3,), scaleoffset=4)
            file.create_dataset("s", data=list("abcdef"), dtype=h5py.string_dtype())
            file["t"] = np.array([(1.5, 2)] * 6, dtype=[("pt", "f4"), ("n", "i4")])
            file["x"].attrs["units"] = "mm"
            file["g/h/x"] = X
    with netCDF4.Dataset(folder / "a.nc", "w") as file:
        file.createDimension("sample", None)
        file.createVariable("x", "f4", ("sample",), zlib=True)[:] = X
        file.createVariable("name", str, ("sample",))[:] = np.array(list("abcdef"), object)
        file.createGroup("g").createVariable("y", "i2", ("sample",))[:] = X
    with netCDF4.Dataset(folder / "b.nc", "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("sample", 6)
        file.createVariable("x", "f4", ("sample",))[:] = X
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a file with a few bytes changed, a piece copied over another, or cut off."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(changed))
        kind = rng.randrange(5)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at : at + 8] = struct.pack("<Q", rng.choice((0, 1, 1 << 31, 2**64 - 1, at)))
        elif kind == 2:
            other, length = rng.randrange(len(changed)), rng.randrange(64)
            changed[at : at + length] = changed[other : other + length]
        elif kind == 3:
            changed[at] = rng.randrange(256)
        else:
            changed[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 8, 2**31, 2**32 - 1)))
    return bytes(changed[: rng.randrange(1, len(changed))] if rng.random() < 0.05 else changed)


def campaign(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Read so many damaged files and count what became of them."""
    rng, found = random.Random(seed), {"read": 0, "refused": 0, "lines": 0}
    (folder / "seeds").mkdir()
    known, paths = seeds(folder / "seeds"), []
    for number in range(count):
        content = mutated(rng.choice(known), rng)
        suffix = ".nc" if content.startswith(b"CDF") or rng.random() < 0.5 else ".h5"
        paths.append(folder / f"{number}{suffix}")
        paths[-1].write_bytes(content)
    opening.read_apart(paths)
    for path in paths:
        try:
            read_file(path)
        except (LabelError, StoreError) as error:
            found["lines"] = max(found["lines"], len(str(error).splitlines()))
            found["refused"] += 1
        else:
            found["read"] += 1
    return found


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_SECONDS", 2)
    found = campaign(tmp_path, 60, 0)
    assert found["read"] > 5
    assert found["refused"] > 5
    assert found["lines"] == 1
