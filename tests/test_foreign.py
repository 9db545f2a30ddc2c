"""Files that ask for far more than they hold, or never end: a sentence, in little memory."""

from __future__ import annotations

import io
import os
import pickle
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from presage import foreign
from presage.exchange import read_file, write_file
from presage.exchange.tensors import read_tensors
from presage.inputs import InputError
from presage.labels import LabelError
from presage.pipeline.parameters import combinations
from presage.studies.amp import read_original_tones
from presage.studies.events import read_description
from presage.studies.events.numpy_files import NumpyReader
from presage.studies.events.root import RootError, RootReader
from presage.studies.events.root.columns import Names
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.finding import RootFile, find
from presage.studies.events.root.path_labels import path_labels, path_names
from presage.studies.events.root.values import Values
from presage.studies.pdf.original_files import OriginalFile
from presage.studies.sky import SkyCubes, read_original_basis
from presage.typed import Declared, Kind, literal

NAMES: dict[str, Any] = {"columns": ["x", "y"], "labels": ["a", "b"]}
MEBIBYTE = 1 << 20
#: A tuple of two of the tuple before, and so on.
LAUGHS = b"".join(b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(200, 254))
TENSOR = {"x": torch.arange(1000.0)}


def as_npy(
    descr: Any, shape: tuple[int, ...], content: bytes = b"", fortran: bool = False
) -> bytes:
    sink = io.BytesIO()
    about = {"descr": descr, "fortran_order": fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(sink, about)
    return sink.getvalue() + content


def zipped(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def many_columns(path: Path) -> Path:
    thetas = np.zeros((2, 300_000), order="F")
    np.savez_compressed(path, thetas=thetas, events=np.zeros((2, 1, 3, 2)))
    return path


def nested_constants(folder: Path) -> Path:
    """Pickle 2^60 numbers in a few hundred bytes: pairs of one pair of one pair …."""
    laughs: Any = (1.0, 2.0)
    for _ in range(40):
        laughs = (laughs, laughs)
    ends = dict.fromkeys(("min", "max", "mean", "std"), laughs)
    held = np.empty((), object)
    held[()] = {"data": np.ones((3, 2)), "cond": np.ones((3, 2)), "whiten_data": ends}
    held[()]["whiten_cond"] = ends
    path = folder / "nested.npy"
    path.write_bytes(as_npy("|O", (), pickle.dumps(held, 4)))
    return path


def rewritten(folder: Path, edit: Callable[[str, bytes], bytes], method: int = 0) -> Path:
    """Write a file of tensors again with other members, or compressed."""
    torch.save(TENSOR, folder / "good.pt")
    with (
        zipfile.ZipFile(folder / "good.pt") as good,
        zipfile.ZipFile(folder / "x.pt", "w", method) as bad,
    ):
        for info in good.infolist():
            bad.writestr(info.filename, edit(info.filename, good.read(info)))
    return folder / "x.pt"


def pickled(folder: Path, old: bytes, new: bytes) -> Path:
    def edit(name: str, content: bytes) -> bytes:
        if not name.endswith("data.pkl"):
            return content
        assert old in content
        return content.replace(old, new)

    return rewritten(folder, edit)


def saved(folder: Path, held: Any, **how: Any) -> Path:
    torch.save(held, folder / "x.pt", **how)
    return folder / "x.pt"


def within_itself(held: list[Any]) -> list[Any]:
    held.append(held)
    return held


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def aliases(folder: Path, *inner: str) -> Path:
    both = [("a", inner[0]), ("b", inner[1])]
    lines = [f"{name}{n} = '{text.format(n + 1)}'" for name, text in both for n in range(400)]
    text = "\n".join(["files = 'x.root'", "[columns]\nx = 'a0'", "[aliases]", *lines])
    return written(folder / "d.toml", text)


def device(_: Path) -> Path:
    return Path("/dev/zero")


def folder_(folder: Path) -> Path:
    (folder / "x.npz").mkdir()
    return folder / "x.npz"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.npz")
    return folder / "x.npz"


def chunks(reader: Any) -> Any:
    return next(iter(reader.chunks()))


NO_FILE = "is a folder, a pipe or a device; give the path of a file"
#: What it is → file, what reads it, and what is said.
BOMBS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any], str]] = {
    "constants of nested tuples": (
        nested_constants,
        lambda p: chunks(NumpyReader(p, **NAMES)),
        r"whiten_data\['min'\] should be 2 numbers",
    ),
    "text of no letters": (
        lambda f: zipped(f / "x.npz", x=as_npy("<U0", (10**12,))),
        read_file,
        r"values of type <U0; expected",
    ),
    "many lengths of nothing": (
        lambda f: zipped(f / "x.npz", x=as_npy("<f8", (10**12, 0, 10**12))),
        read_file,
        r"declares shape \(1000000000000, 0, 1000000000000\)",
    ),
    "many columns one behind another": (
        lambda f: many_columns(f / "x.npz"),
        lambda p: chunks(OriginalFile(p, problem="gaussian")),
        r"\(Fortran order\), so it cannot be read in pieces",
    ),
    "compressed tensors": (
        lambda f: rewritten(f, lambda _, c: c + bytes(MEBIBYTE), 8),
        read_file,
        r"x\.pt.*compressed",
    ),
    "a storage larger than its member": (
        lambda f: pickled(f, b"M\xe8\x03t", b"J\x00\x00\x00\x01t"),
        read_file,
        r"shape \(16777216,\) ends at byte 67108864 of 4000",
    ),
    "a shape beyond its storage": (
        lambda f: pickled(f, b"M\xe8\x03\x85", b"J\x00\x00\x00\x01\x85"),
        read_file,
        r"shape \(16777216,\) ends at byte 67108864 of 4000",
    ),
    "expanded strides": (
        lambda f: saved(f, {"x": torch.ones(1).expand(1 << 14, 1 << 14)}),
        read_file,
        r"declare 1073741824 bytes of arrays, more than 100 times",
    ),
    "an expanded basis": (
        lambda f: saved(f, {"fg_components": torch.ones(1).expand(1 << 14, 1 << 14)}),
        lambda p: read_original_basis(p, xr.DataArray([1.0], [("frequency", [1.0])])),
        r"declare 1073741824 bytes of arrays",
    ),
    "an expanded tone": (
        lambda f: saved(f, [(*[torch.ones(1).expand(1 << 27)] * 2, 440.0, -6.0)]),
        read_original_tones,
        r"declare 1073741824 bytes of arrays",
    ),
    "one tone many times": (
        lambda f: saved(f, [(torch.ones(8000), torch.ones(8000), 440.0, -6.0)] * 20_000),
        read_original_tones,
        r"declare 1280000000 bytes of arrays",
    ),
    "a list of tones in itself": (
        lambda f: saved(f, within_itself([])),
        read_original_tones,
        r"sample 0 is no \(x, y, f0, dB\)",
    ),
    "a tone that is a program": (
        lambda f: saved(f, [(torch.ones(3), torch.ones(3), bytearray(3), -6.0)]),
        read_original_tones,
        r"holds \w+\.bytearray; .* nothing was run",
    ),
    "tensors before there were archives": (
        lambda f: saved(f, TENSOR, _use_new_zipfile_serialization=False),
        read_file,
        r"no zip archive",
    ),
    "a key of two to the sixty": (
        lambda f: pickled(f, b"X\x01\x00\x00\x00x", b")q\xc8" + LAUGHS),
        read_file,
        r"keys that are not text",
    ),
    "a call that allocates": (
        lambda f: saved(f, {"x": bytearray(3)}),
        read_file,
        r"holds \w+\.bytearray; .* nothing was run",
    ),
    "paths among aliases": (
        lambda f: aliases(f, "a{0} + b{0}", "a{0} * b{0}"),
        read_description,
        "",
    ),
    "aliases that go round": (
        lambda f: written(
            f / "d.toml",
            "files='x.root'\n[columns]\nx='a'\n[aliases]\na = 'b + x'\nb = 'abs(c)'\nc = 'a'",
        ),
        read_description,
        r"alias 'a' refers to itself: a -> b -> c -> a",
    ),
    "a key of many parts": (
        lambda f: written(f / "d.toml", "a." * 100_000 + "a = 1"),
        foreign.read_toml,
        r"a\.a\.a\..* is a key of more than 64 parts",
    ),
    "a key of quoted parts": (
        lambda f: written(f / "d.toml", "x = {" + "'a.=' . " * 100_000 + "a = 1}"),
        foreign.read_toml,
        r"is a key of more than 64 parts",
    ),
    "deep lists": (
        lambda f: written(f / "d.toml", "a = " + "[" * 100_000),
        read_description,
        r"nested too deeply",
    ),
    "a long integer": (
        lambda f: written(f / "d.toml", "a = " + "1" * 100_000),
        read_description,
        r"is not TOML: Exceeds the limit",
    ),
    "long settings": (
        lambda f: written(f / "d.toml", "#" * (2 << 20)),
        read_description,
        r"2097152 bytes; at most 1048576 are read",
    ),
    "no UTF-8": (
        lambda f: Path(f / "d.toml").write_bytes(b"\xff") and f / "d.toml",
        foreign.read_toml,
        r"is not TOML: 'utf-8' codec",
    ),
    "a pattern of labels side by side": (
        lambda f: written(f / ("1" * 100 + ".root"), ""),
        lambda p: RootReader(p, tree="t", columns={"x": "x"}, path="{a}{b}{c}{d}{e}{f}{g}_x"),
        r"\{a\} is followed by what could belong to its number",
    ),
    "a pattern of points": (
        lambda f: written(f / ("1p" * 100 + ".root"), ""),
        lambda p: RootReader(p, tree="t", columns={"x": "x"}, path="{a}p{b}p{c}p{d}p{e}p{f}_x"),
        r"\{a\} is followed by what could belong to its number",
    ),
    "tensors of a device": (device, read_tensors, NO_FILE),
    "settings of a device": (device, foreign.read_toml, NO_FILE),
    "a description of a device": (device, read_description, NO_FILE),
    "cubes of a device": (device, SkyCubes, "is no file|there is no file"),
    "events of a device": (device, NumpyReader, "is no file"),
    "a pipe": (pipe, read_file, NO_FILE),
    "events of a pipe": (pipe, NumpyReader, "is no file"),
    "a description of a pipe": (pipe, read_description, NO_FILE),
    "a folder": (folder_, read_file, NO_FILE),
}


@pytest.mark.parametrize("what", BOMBS)
def test_it_is_refused_at_once(what: str, tmp_path: Path) -> None:
    make, read, said = BOMBS[what]
    path = make(tmp_path)
    tracemalloc.start()
    began = time.perf_counter()
    try:
        if said:
            with pytest.raises((LabelError, RootError, InputError), match=said) as raised:
                read(path)
            assert len(str(raised.value)) < 600
        else:
            read(path)
        assert time.perf_counter() - began < 10.0
        assert tracemalloc.get_traced_memory()[1] < 16 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_long_chains_of_aliases_are_followed() -> None:
    texts = {f"a{n}": f"a{n + 1} + b" for n in range(2000)} | {"a2000": "b"}
    names = Names({"b": Values(np.ones(3))}, {n: Expression(text) for n, text in texts.items()})
    np.testing.assert_array_equal(names["a0"].data, [2001.0] * 3)


@pytest.mark.parametrize(
    ("pattern", "path", "labels"),
    [
        ("m{m}_w{w}.root", "a/m5p3_w2.root", {"m": 5.3, "w": 2.0}),
        ("m{m}.{w}x", "m5.3x", None),
        ("m{m}p", "m5p", {"m": 5.0}),
        ("m{m}-{w}", "m5-m3e2", {"m": 5.0, "w": -300.0}),
        (
            "_".join(f"{{l{n}}}" for n in range(40)),
            "1_" * 3000 + "1",
            dict.fromkeys(map("l{}".format, range(40)), 1.0),
        ),
    ],
)
def test_labels_in_paths(pattern: str, path: str, labels: dict[str, float] | None) -> None:
    if labels is None:
        with pytest.raises(RootError, match="could belong to its number"):
            path_names(pattern)
    else:
        assert path_labels(pattern, RootFile(path, Path(path))) == labels


def test_a_pattern_of_any_depth_is_looked_for_once(tmp_path: Path) -> None:
    inner = tmp_path.joinpath(*"abcdefghijkl")
    inner.mkdir(parents=True)
    (inner / "x.root").touch()
    found = find(str(tmp_path / "/".join(["**"] * 16) / "*.root"))
    assert [file.path for file in found.files] == [inner / "x.root"]


def test_a_sweep_has_a_limit() -> None:
    given = {f"p{n}": "1,2" for n in range(40)}
    known = {name: Declared(name, Kind("int"), 0) for name in given}
    with pytest.raises(ValueError, match="a sweep of 1099511627776 combinations; at most 10000"):
        combinations([("-p", given)], known)


@pytest.mark.parametrize(
    "text", ["(" * 300, "-" * 100_000 + "1", "[" * 100_000, "1" + "+1j" * 20_000]
)
def test_a_text_that_is_no_literal_stays_a_text(text: str) -> None:
    assert literal(text) == text


def test_tensors_of_every_kind_are_read(tmp_path: Path) -> None:
    held = {
        "wide": torch.arange(12.0).reshape(3, 4).T[1:],
        "small": torch.arange(3).to(torch.uint16),
        "yes": torch.tensor([True, False]),
        "z": torch.ones(2, dtype=torch.complex64),
        "one": torch.tensor(3),
        "none": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    beside = {"n": 3, "states": {0: {"step": 1.5}}, "size": torch.Size([1]), "dtype": torch.float32}
    beside |= {"net": torch.nn.Linear(2, 2).state_dict(), "device": torch.device("cpu")}
    read = read_tensors(saved(tmp_path, held | beside))
    for name, tensor in held.items():
        assert read[name].dtype == tensor.detach().numpy().dtype, name
        np.testing.assert_array_equal(read[name], tensor.detach().numpy())
    assert read["n"] == 3
    assert list(read) == [*held, *beside]


def test_what_no_array_can_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"holds torch\.BFloat16Storage; only"):
        read_tensors(saved(tmp_path, {"x": torch.ones(3, dtype=torch.bfloat16)}))


def test_zeros_of_a_small_file_are_no_bomb(tmp_path: Path) -> None:
    mask = xr.Dataset({"mask": (("sample", "x"), np.zeros((2000, 2000)))})
    for suffix in ("npz", "h5", "nc"):
        path = write_file(mask, tmp_path / f"x.{suffix}", compression=9)
        assert path.stat().st_size < 100_000
        assert read_file(path)["mask"].shape == (2000, 2000)
