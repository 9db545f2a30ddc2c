"""The NumPy reader: FEDHEX's files and others there and back, and what hostile ones get."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from presage.exchange import instructions
from presage.generate import simulate
from presage.inputs import InputError, InputWarning
from presage.labels import LabelError, Parameter, Variable
from presage.store import Store
from presage.studies.events.numpy_files import NumpyFileError, NumpyReader

Dict = dict[str, Any]
NAMES: Dict = {"columns": ["x", "y"], "labels": ["a", "b"]}
MEBIBYTE = 2**20


def events(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Masses and labels on a 3 × 3 grid with decimal labels."""
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.choice([95.0, 685.6, 1276.1], n), rng.choice([0.25, 1.225, 9.025], n)])
    return labels.T * rng.normal(1.0, 0.05, (n, 2)) + (0.0, 0.5), labels.T


def whitened(values: np.ndarray, logit: bool = False, epsilon: float = 1e-5) -> tuple[Any, Dict]:
    """Scale to the unit interval, take the logit if wanted, standardise; with the constants."""
    low, high = values.min(axis=0), values.max(axis=0)
    if logit:
        low, high = low - epsilon, high + epsilon
    with np.errstate(invalid="ignore"):
        unit = (values - low) / (high - low)
        unit = np.log(unit / (1 - unit)) if logit else unit
        mean, std = unit.mean(axis=0), unit.std(axis=0)
        z = (unit - mean) / std
    return z, {"min": low, "max": high, "mean": mean, "std": std, "epsilon": epsilon}


def fedhex(masses: np.ndarray, labels: np.ndarray, logit: bool = False) -> Dict:
    """What FEDHEX's DataManager keeps, and its loader saves."""
    (data, whiten_data), (cond, whiten_cond) = whitened(masses, logit), whitened(labels, logit)
    return {"data": data, "cond": cond, "whiten_data": whiten_data, "whiten_cond": whiten_cond}


def save(path: Path, held: Any) -> Path:
    np.save(path, held, allow_pickle=True)
    return path


def as_pickle(path: Path, content: bytes) -> Path:
    """Write a file whose header declares one object, with these bytes as its pickle."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    path.write_bytes(buffer.getvalue() + content)
    return path


def read(reader: NumpyReader) -> dict[str, np.ndarray]:
    chunks = list(reader.chunks())
    return {name: np.concatenate([c[name] for c in chunks]) for name in chunks[0]}


def as_protocol_3(path: Path, held: Dict) -> Path:
    """Write as NumPy 1 did: protocol 3, its modules without the underscore."""
    wrapped = np.empty((), dtype=object)
    wrapped[()] = held
    return as_pickle(path, pickle.dumps(wrapped, 3).replace(b"numpy._core", b"numpy.core"))


def wrapped(held: Any, protocol: int = 4) -> bytes:
    array = np.empty((), dtype=object)
    array[()] = held
    return pickle.dumps(array, protocol)


class TestFedhex:
    @pytest.mark.parametrize("writer", [save, as_protocol_3], ids=["numpy 2", "numpy 1"])
    @pytest.mark.parametrize("logit", [False, True])
    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_its_files_come_back(
        self, tmp_path: Path, writer: Callable[..., Path], logit: bool, dtype: str
    ) -> None:
        masses, labels = events()
        held = fedhex(masses, labels, logit)
        held["data"], held["cond"] = held["data"].astype(dtype), held["cond"].astype(dtype)
        found = read(NumpyReader(writer(tmp_path / "train.npy", held)))
        assert list(found) == ["phi_label", "omega_label", "phi_mass", "omega_mass"]
        precise = 1e-12 if dtype == "float64" else 3e-5
        np.testing.assert_allclose(found["phi_mass"], masses[:, 0], rtol=precise)
        np.testing.assert_allclose(found["omega_mass"], masses[:, 1], rtol=precise * 10)
        if dtype == "float64" or not logit:  # exactly the decimal numbers they were
            np.testing.assert_array_equal(found["phi_label"], labels[:, 0])
            np.testing.assert_array_equal(found["omega_label"], labels[:, 1])

    def test_they_are_stored_with_names_and_units(self, tmp_path: Path) -> None:
        masses, labels = events()
        path = save(tmp_path / "train.npy", fedhex(masses, labels))
        dataset = simulate(NumpyReader(path), store=Store(tmp_path / "store"))
        assert dataset.sizes == {"event": len(masses)}
        assert dataset["omega_mass"].attrs["units"] == "GeV"
        assert dataset["phi_label"].attrs["role"] == "parameter"
        assert np.unique(dataset["omega_label"]).tolist() == [0.25, 1.225, 9.025]

    def test_a_label_that_never_varies(self, tmp_path: Path) -> None:
        masses, labels = events()
        labels[:, 1] = 0.5
        held = fedhex(masses, labels)
        assert np.isnan(held["cond"][:, 1]).all()  # 0/0, as FEDHEX writes it
        found = read(NumpyReader(save(tmp_path / "line.npy", held)))
        assert np.unique(found["omega_label"]).tolist() == [0.5]

    def test_numbers_that_are_not_whitened(self, tmp_path: Path) -> None:
        masses, labels = events()
        plain = save(tmp_path / "plain.npy", {"data": masses, "cond": labels, "note": "mine"})
        np.testing.assert_array_equal(read(NumpyReader(plain))["phi_mass"], masses[:, 0])
        held = {**fedhex(masses, labels), "data": masses, "cond": labels}
        marked = NumpyReader(save(tmp_path / "marked.npy", held), whitening="none")
        np.testing.assert_array_equal(read(marked)["omega_label"], labels[:, 1])

    def test_drawn_events_need_to_be_told(self, tmp_path: Path) -> None:
        held = fedhex(*events())
        inside = (np.abs(held["data"]) < 1).all(axis=1)
        held["data"], held["cond"] = held["data"][inside], held["cond"][inside] * 0.5
        path = save(tmp_path / "drawn.npy", held)
        with pytest.raises(NumpyFileError, match=r"with a logit does not show.*whitening='linear'"):
            read(NumpyReader(path))
        found = read(NumpyReader(path, whitening="linear"))
        np.testing.assert_allclose(found["phi_mass"], events()[0][inside, 0])

    def test_memory_does_not_grow_with_the_file(self, tmp_path: Path) -> None:
        masses, labels = events(400_000)
        path = save(tmp_path / "large.npy", fedhex(masses, labels))
        reader = NumpyReader(path, memory=MEBIBYTE)
        tracemalloc.start()
        total = sum(len(chunk["phi_mass"]) for chunk in reader.chunks())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == 400_000
        assert peak < path.stat().st_size / 2 < 8 * MEBIBYTE


def save_npz(path: Path, compressed: bool = False, **arrays: Any) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, allow_pickle=False, **arrays)
    return path


MASSES, LABELS = events(500)
TABLE = np.concatenate([MASSES, LABELS], axis=1)
COLUMNS = dict(zip(("x", "y", "a", "b"), TABLE.T.copy(), strict=True))
STRUCTURED = np.array([tuple(row) for row in TABLE], dtype=[(name, "f8") for name in COLUMNS])
#: Kind of file → its writer. All hold the same events.
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "data and cond": lambda p: save_npz(p / "f.npz", data=MASSES, cond=LABELS),
    "compressed": lambda p: save_npz(p / "f.npz", compressed=True, data=MASSES, cond=LABELS),
    "Fortran order": lambda p: save_npz(
        p / "f.npz", compressed=True, data=np.asfortranarray(MASSES), cond=np.asfortranarray(LABELS)
    ),
    "column by column": lambda p: save_npz(p / "f.npz", **COLUMNS, other=np.arange(3), note="mine"),
    "one array": lambda p: save(p / "f.npy", TABLE),
    "one Fortran array": lambda p: save(p / "f.npy", np.asfortranarray(TABLE)),
    "big-endian": lambda p: save(p / "f.npy", TABLE.astype(">f8")),
    "named columns": lambda p: save(p / "f.npy", STRUCTURED),
    "data and label beside each other": lambda p: save(
        p / "f.npy", np.stack([MASSES, LABELS], axis=2)
    ),
    "a dictionary": lambda p: save(p / "f.npy", {"data": MASSES, "cond": LABELS}),
    "a Fortran dictionary": lambda p: save(
        p / "f.npy", {"data": np.asfortranarray(MASSES), "cond": np.asfortranarray(LABELS)}
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_events(layout: str, tmp_path: Path) -> None:
    reader = NumpyReader(LAYOUTS[layout](tmp_path), **NAMES, memory=MEBIBYTE)
    object.__setattr__(reader, "memory", 3_000)  # a few chunks
    found = read(reader)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_columns_of_other_names_and_declarations(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "f.npz", m1=MASSES[:, 0], l1=LABELS[:, 0])
    mass = Variable("mass", unit="GeV", lower=0.0, follows="true_mass")
    reader = NumpyReader(
        path, columns={mass: "m1"}, labels={Parameter("true_mass", dtype="float64"): "l1"}
    )
    assert reader.variables == (mass,)
    np.testing.assert_array_equal(read(reader)["true_mass"], LABELS[:, 0])


def test_identity_is_the_content(tmp_path: Path) -> None:
    path = save(tmp_path / "f.npy", TABLE)
    (tmp_path / "elsewhere").mkdir()
    same = save(tmp_path / "elsewhere" / "f.npy", TABLE)
    reader = NumpyReader(path, **NAMES)
    assert reader.recipe().key == NumpyReader(same, **NAMES).recipe().key
    assert reader.recipe().key != NumpyReader(path, columns=["x"], labels=["a"]).recipe().key
    save(path, TABLE + 1.0)
    assert reader.recipe().key != NumpyReader(path, **NAMES).recipe().key
    with pytest.raises(InputError, match="was changed since"):
        read(reader)


def test_invalid_events_are_refused_or_dropped(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[7, 0], table[9, 1] = np.nan, -1.0
    path = save(tmp_path / "f.npy", table)
    columns = ["x", Variable("y", lower=0.0)]
    with pytest.raises(LabelError, match="'x' holds 1 values that are not finite"):
        simulate(NumpyReader(path, columns, ["a", "b"]), store=Store(tmp_path / "s"))
    dropping = NumpyReader(path, columns, ["a", "b"], invalid="drop")
    with pytest.warns(InputWarning, match="2 of 500 events"):
        assert len(simulate(dropping, store=Store(tmp_path / "s"))["x"]) == 498


def test_missing_values_are_left_out_and_counted(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[:7, 0], table[9, 1] = -999.0, np.nan
    path = save(tmp_path / "f.npy", table)
    columns = [Variable("x", lower=0.0, missing=-999.0), Variable("y", missing=np.nan)]
    store = Store(tmp_path / "s")
    with pytest.warns(InputWarning, match=r"8 of 500 events have a missing value"):
        made = simulate(NumpyReader(path, columns, ["a", "b"]), store=store)
    np.testing.assert_array_equal(made["x"], np.delete(table[:, 0], [*range(7), 9]).astype("f4"))
    assert made.attrs["presage_left_out"].startswith("492 events of 500; f.npy: 8 of 500")


def test_a_column_may_not_be_called_as_the_number_of_a_sample(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "f.npz", event=MASSES[:, 0])
    with pytest.raises(LabelError, match=r"as \{'event_number': 'event'\}"):
        NumpyReader(path, columns=["event"], labels=[])


# What a stranger's file may hold. Nothing of it may run, and no size be believed.


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def with_data(value: Any) -> bytes:
    return wrapped({"data": MASSES, "cond": LABELS, "whiten_data": value})


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def array_of(shape: bytes, dtype: str, content: bytes) -> bytes:
    """Spell out the pickle of an array, with whatever shape, type and content."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n"
        + text(dtype)
        + b"\x89\x88\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + content
        + b"tb"
    )


def dictionary(data: bytes) -> bytes:
    """Spell out the pickle of an object array with a dictionary with this as data."""
    held = b"](}" + text("data") + data + b"se"
    return b"\x80\x04" + array_of(b")", "O8", held) + b"."


def laughs() -> bytes:
    """Two references to two references to …: 2^60 empty tuples, where one follows them all."""
    return b")\x94" + b"".join(b"h" + bytes([i]) + b"\x86\x94" for i in range(60))


#: What is wrong → pickle, and what the error says.
PICKLES: dict[str, tuple[bytes, str]] = {
    "os.system": (with_data(Calls(os.system, "touch ran")), r"holds posix\.system;.*nothing was"),
    "eval": (with_data(Calls(eval, "open('ran', 'w')")), r"holds builtins\.eval"),
    "getattr": (with_data(Calls(getattr, "x", "upper")), r"holds builtins\.getattr"),
    "NumPy's own reader": (with_data(Calls(np.load, "x.npy")), r"holds numpy\.load"),
    "a class": (with_data(Path("x")), r"holds pathlib\.\w*Path"),
    "a function of this file": (with_data(events), r"holds [\w.]*test_numpy_files\.events"),
    "protocol 0": (wrapped({"data": 1}, protocol=0), r"the instruction"),
    "protocol 2": (wrapped({"data": MASSES}, protocol=2), r"holds _codecs\.encode"),
    "an old instance": (b"(ios\nsystem\n.", r"holds os\.system"),
    "a persistent name": (b"\x80\x04" + text("x") + b"Q.", r"the instruction BINPERSID"),
    "an extension": (b"\x80\x04\x82\x01.", r"the instruction EXT1"),
    "a set": (with_data({1, 2}), r"the instruction EMPTY_SET"),
    "a new object": (b"\x80\x04cnumpy\nndarray\n)\x81.", r"the instruction NEWOBJ"),
    "an unknown instruction": (b"\x80\x04\xff.", r"the instruction b'\\xff'"),
    "a subclass of arrays": (
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85C\x01b\x87R.",
        r"a call of _reconstruct",
    ),
    "a call of an array": (b"\x80\x04cnumpy\nndarray\n)R.", r"a call of ndarray"),
    "a call of text": (b"\x80\x04" + text("x") + b")R.", r"a call of something"),
    "objects in arrays": (with_data(np.array([{}, 1], object)), r"Python objects, shape \(2,\)"),
    "structured arrays": (with_data(STRUCTURED), r"type 'V32'"),
    "keys that are numbers": (wrapped({1: MASSES}), r"keys that are not text"),
    "a list": (wrapped([MASSES]), r"holds other objects; expected one dictionary"),
    "a number": (b"\x80\x04K\x01.", r"holds a int; expected one dictionary"),
    "too much shape": (
        dictionary(array_of(b"K\x7fK\x7f\x86", "f8", b"C\x08" + bytes(8))),
        r"with shape \(127, 127\) is 129032 bytes, and 8 are there",
    ),
    "negative shape": (
        dictionary(array_of(b"J\xff\xff\xff\xff\x85", "f8", b"C\x08" + bytes(8))),
        r"odd lengths",
    ),
    "enormous shape": (
        dictionary(array_of(b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x85", "f8", b"C\x08" + bytes(8))),
        r"and 8 are there",
    ),
    "a shape of shapes": (
        dictionary(array_of(laughs() + b"\x85", "f8", b"C\x00")),
        r"odd lengths",
    ),
    "a type that is none": (dictionary(array_of(b")", "i4,i4", b"C\x00")), r"type 'i4,i4'"),
    "values that are a list": (dictionary(array_of(b"K\x02\x85", "f8", b"]")), r"and 0 are there"),
    "bytes that are not there": (
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"abc.",
        r"4611686018427387904 bytes are declared at byte \d+ and 4 are there",
    ),
    "text that is not there": (b"\x80\x04X\xff\xff\xff\xffabc.", r"4294967295 bytes are declared"),
    "much text": (b"\x80\x04X\x00\x00\x20\x00" + b"x" * (2 << 20) + b".", r"1048576 bytes of text"),
    "a long number": (b"\x80\x04\x8a\xff" + b"\x01" * 255 + b".", r"an integer of 255 bytes"),
    "a longer number": (b"\x80\x04\x8b\xff\xff\xff\x7f.", r"the instruction LONG4"),
    "a memo at the far end": (b"\x80\x04Nr\xff\xff\xff\x7f.", r"holds a NoneType"),
    "many containers": (b"\x80\x04" + b"]" * 200_000, r"more than 50000 instructions"),
    "deep containers": (b"\x80\x04" + b"(" * 20_000 + b"t" * 20_000 + b".", r"holds a tuple"),
    "laughs": (b"\x80\x04" + laughs() + b".", r"holds a tuple"),
    "a name of laughs": (b"\x80\x04" + laughs() + text("x") + b"\x93.", r"not a pickle that NumPy"),
    "no end": (wrapped({"data": 1})[:-1], r"truncated, its pickle has no end"),
    "an array cut off": (wrapped({"data": np.zeros(9000)})[:9000], r"truncated, 72000 bytes are"),
    "nothing on the stack": (b"\x80\x04R.", r"not a pickle that NumPy writes \(IndexError"),
    "nothing in the memo": (b"\x80\x04h\x05.", r"not a pickle that NumPy writes \(KeyError"),
    "no pickle": (b"these are my events", r"the instruction|not a pickle|truncated"),
    "no bytes": (b"", r"truncated"),
    "a long name": (b"c" + b"a" * 90_000 + b"\nb\n.", r"holds a{20}"),
    "unprintable names": (b"c\x1b[31m\xff\nx\n.", r"holds .*\.x;"),
}


@pytest.mark.parametrize("what", PICKLES)
def test_hostile_pickles(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, message = PICKLES[what]
    monkeypatch.chdir(tmp_path)
    reader = NumpyReader(as_pickle(tmp_path / "events.npy", content), **NAMES)
    tracemalloc.start()
    with pytest.raises(NumpyFileError, match=message) as raised:
        read(reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "events.npy" in str(raised.value)
    assert len(str(raised.value)) < 500
    assert peak < 16 * MEBIBYTE
    assert [path.name for path in tmp_path.iterdir()] == ["events.npy"]  # nothing ran


def header(text: str | bytes, version: int = 1, length: int | None = None) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    size = struct.pack("<H" if version == 1 else "<I", len(content) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + content


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def declares(shape: str, descr: str = "'<f8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that comes twice
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def bomb() -> bytes:
    """300 MiB of zeros in 300 kB."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("data.npy", "w") as member,
    ):
        member.write(header(declares(f"({300 * MEBIBYTE // 16}, 2)")))
        for _ in range(300):
            member.write(bytes(MEBIBYTE))
    return buffer.getvalue()


def lying(size: int) -> bytes:
    """An archive whose directory tells another size of its member."""
    content = archive(("data.npy", npy(MASSES)), ("cond.npy", npy(LABELS)))
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02")) + 24
    return content[:place] + struct.pack("<I", size) + content[place + 4 :]


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def with_directory(content: bytes, size: int) -> bytes:
    """Tell another size of the archive's directory."""
    place = content.rindex(b"PK\x05\x06") + 12
    return content[:place] + struct.pack("<I", size) + content[place + 4 :]


PAIR = archive(("data.npy", npy(MASSES)), ("cond.npy", npy(LABELS)))
#: What is wrong → the file's bytes, and what the error says.
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"the file is empty"),
    "text": (b"these are my events\n", r"not a NumPy file, it begins with b'these ar'"),
    "version": (b"\x93NUMPY\x07\x01", r"version 7\.1 of the format"),
    "only a magic": (b"\x93NUMPY", r"version  of the format"),
    "huge header": (header("x", 2, length=2**32 - 1), r"a header of 4294967295 bytes; at most"),
    "header cut off": (header("{'descr':", length=500), r"truncated within its header"),
    "header that calls": (header("__import__('os').system('x')"), r"not one that NumPy writes"),
    "header of brackets": (header("[" * 9_000), r"not one that NumPy writes"),
    "header of other keys": (header("{'a': 1}"), r"not one that NumPy writes"),
    "header that is no text": (header(b"\xff\xfe{}"), r"not one that NumPy writes"),
    "a negative length": (header(declares("(-1, 4)")), r"declares shape \(-1, 4\)"),
    "a shape of text": (header(declares("('a',)")), r"declares shape \('a',\)"),
    "an enormous length": (header(declares("(10**6,)")), r"not one that NumPy writes"),
    "too many values": (
        header(declares("(9000000000000, 4)")),
        r"288000000000000 bytes, and 0 are there",
    ),
    "too few values": (npy(TABLE)[:-8], r"16000 bytes, and 15992 are there"),
    "values too many": (npy(TABLE) + b"x", r"and 16001 are there"),
    "text inside": (npy(np.array(["a", "b"])), r"'array' has shape \(2,\)"),
    "text as a column": (
        archive(*((f"{n}.npy", npy(np.array(["a", "b"]))) for n in ("x", "y", "a", "b"))),
        r"'a' holds <U1, not numbers",
    ),
    "nested columns": (header(declares("(1,)", "[('a', [('b', '<f8')])]")), r"type \[\('a', "),
    "type None": (header(declares("(1,)", "None")), r"type None"),
    "odd type": (header(declares("(1,)", "'<f3'")), r"type <f3"),
    "complex": (npy(TABLE + 0j), r"type <c16"),
    "objects": (npy(np.array([1, "a"], object)), r"Python objects, shape \(2,\)"),
    "three columns": (npy(TABLE[:, :3]), r"4 columns and labels are declared \(x, y, a, b\)"),
    "no events": (npy(TABLE[:0]), r"there are no events in it"),
    "one number": (npy(np.float64(3)), r"has shape \(\)"),
    "archive of nothing": (archive(), r"no column 'a'; there is none"),
    "archive cut off": (PAIR[:5_000], r"a damaged archive"),
    "archive of no arrays": (archive(("a.npy", b"text")), r"'a': not a NumPy file"),
    "archive with objects": (
        archive(("data.npy", npy(np.array([{}], object)))),
        r"'data': Python objects \(a pickle\)",
    ),
    "unequal lengths": (
        archive(("data.npy", npy(MASSES)), ("cond.npy", npy(LABELS[:-1]))),
        r"different numbers of events \(cond: 499, data: 500\)",
    ),
    "a name nearly right": (
        archive(("data.npy", npy(MASSES)), ("conds.npy", npy(LABELS))),
        r"no array 'cond'; did you mean 'conds'\?",
    ),
    "a column nearly right": (
        archive(*((f"{n}.npy", npy(TABLE[:, 0])) for n in ("xx", "y", "a", "b"))),
        r"no column 'x'; did you mean 'xx'\?",
    ),
    "a member too short": (
        archive(("data.npy", npy(MASSES)[:-1]), ("cond.npy", npy(LABELS))),
        r"'data': its header declares shape \(500, 2\) of float64, 8000 bytes, and 7999 are there",
    ),
    "a lying directory": (lying(50_000_000), r"8000 bytes, and 49999872 are there"),
    "a directory of gigabytes": (with_directory(PAIR, 2**31), r"a damaged archive"),
    "a wrong checksum": (flipped(PAIR, 1_000), r"'data': a damaged archive \(Bad CRC"),
    "two arrays of one name": (
        archive(("data.npy", npy(MASSES)), ("cond.npy", npy(LABELS)), ("data.npy", npy(MASSES))),
        r"two arrays are called 'data'",
    ),
    "a bomb": (bomb(), r"declare 314572\d* bytes of arrays, more than 100 times"),
    "odd compression": (
        archive(("data.npy", npy(MASSES)), method=zipfile.ZIP_BZIP2),
        r"encrypted or oddly compressed",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_wrong_files(what: str, tmp_path: Path) -> None:
    content, message = FILES[what]
    (tmp_path / "events.npy").write_bytes(content)
    reader = NumpyReader(tmp_path / "events.npy", **NAMES)
    tracemalloc.start()
    with pytest.raises(NumpyFileError, match=message):
        read(reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MEBIBYTE


def changed(**others: Any) -> Dict:
    held = {**fedhex(MASSES, LABELS), **others}
    return {name: value for name, value in held.items() if value is not None}


GOOD = fedhex(MASSES, LABELS)["whiten_data"]
#: What is wrong → a dictionary, and what the error says.
DICTS: dict[str, tuple[Dict, str]] = {
    "no data": (changed(data=None, dta=MASSES), r"no array 'data'; did you mean 'dta'\?"),
    "no labels": (changed(cond=None), r"no array 'cond'; .*it needs 'data' \[n, columns\]"),
    "data is a number": (changed(data=3.0), r"no array 'data'"),
    "text as data": (changed(data=np.array(["a", "b"])), r"'data' has shape \(2,\)"),
    "no constants of labels": (
        changed(whiten_cond=None, white_cond=GOOD),
        r"has no 'whiten_cond'; did you mean 'white_cond'\?",
    ),
    "a constant is missing": (
        changed(whiten_data={n: v for n, v in GOOD.items() if n != "std"}),
        r"whiten_data has no 'std'; there is epsilon, max, mean, min",
    ),
    "constants of another length": (
        changed(whiten_data={**GOOD, "std": np.ones(3)}),
        r"whiten_data\['std'\] should be 2 numbers, got float64 of shape \(3,\)",
    ),
    "constants that are text": (
        changed(whiten_data={**GOOD, "std": "wide"}),
        r"whiten_data\['std'\] should be 2 numbers, got <U4",
    ),
    "constants that are NaN": (
        changed(whiten_data={**GOOD, "min": np.array([np.nan, 0])}),
        r"whiten_data\['min'\] holds numbers that are not finite",
    ),
    "no range": (changed(whiten_data={**GOOD, "max": GOOD["min"] - 1}), r"max is below min"),
    "constants are a list": (changed(whiten_data=[1, 2]), r"whiten_data should be a dictionary"),
    "one column more": (
        changed(data=np.ones((500, 3))),
        r"'data' has shape \(500, 3\), and 2 columns are declared",
    ),
}


@pytest.mark.parametrize("what", DICTS)
def test_wrong_dictionaries(what: str, tmp_path: Path) -> None:
    held, message = DICTS[what]
    with pytest.raises(NumpyFileError, match=message):
        read(NumpyReader(save(tmp_path / "events.npy", held), **NAMES))


#: Settings that are wrong, and what the error says.
SETTINGS: tuple[tuple[Dict, str], ...] = (
    ({"columns": []}, r"columns= is empty"),
    ({"columns": "x"}, r"are lists of names, as \['x'\]"),
    ({"whitening": "logits"}, r"whitening='logits' is not known; did you mean 'logit'\?"),
    ({"invalid": "skip"}, r"invalid='skip' is not known"),
    ({"memory": 10}, r"memory is at least 1048576 bytes, got 10"),
    ({"columns": ["x", "a"]}, r"names must differ; twice: a"),
    ({"columns": {"x": "first", "y": "second"}}, r"have no names, so none is 'first'"),
)


@pytest.mark.parametrize(("settings", "message"), SETTINGS)
def test_wrong_settings(settings: Dict, message: str, tmp_path: Path) -> None:
    path = save(tmp_path / "f.npy", TABLE)
    with pytest.raises(LabelError, match=message):
        read(NumpyReader(path, **{**NAMES, **settings}))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npy cannot be read"):
        NumpyReader(tmp_path / "none.npy")


@pytest.mark.parametrize("kind", ["a dictionary", "compressed", "data and cond", "named columns"])
def test_any_damage_is_an_error_of_this_package(kind: str, tmp_path: Path) -> None:
    whole = LAYOUTS[kind](tmp_path).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.npy"
    refused = 0
    for _ in range(120):
        content = bytearray(whole)
        for _ in range(3):  # near the ends, where what describes the numbers stands
            place = int(rng.integers(400)) * int(rng.choice([-1, 1]))
            content[place : place + int(rng.integers(3))] = rng.bytes(int(rng.integers(1, 4)))
        path.write_bytes(content)
        try:
            read(NumpyReader(path, **NAMES))
        except NumpyFileError:
            refused += 1
    assert refused > 60


def test_the_limits_leave_room_for_real_files() -> None:
    content = wrapped(fedhex(MASSES, LABELS))
    steps = sum(1 for _ in pickletools.genops(content))
    assert 10 * steps < instructions.MAX_STEPS
