"""Files as users have them: where they lie, which are bad, what their branches are called."""

from __future__ import annotations

import os
import random
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
import xxhash

from presage.inputs import InputWarning
from presage.labels import Variable
from presage.studies.events.root import RootError, RootReader
from presage.studies.events.root.branches import Branches
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.finding import RootFile
from presage.studies.events.root.ntuple import _check_pages
from presage.studies.events.root.resolving import resolve

Read = dict[str, np.ndarray]


def write(path: Path, tree: str = "Events", kind: str = "TTree", **branches: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    branches = branches or {"m": np.arange(5, dtype="f4")}
    with uproot.recreate(path) as file:
        make = file.mktree if kind == "TTree" else file.mkrntuple
        make(tree, {n: a.dtype for n, a in branches.items()}).extend(branches)
    return path


def reader(files: Any, **settings: Any) -> RootReader:
    return RootReader(files, **{"columns": {"m": "m"}, **settings})


def read(source: RootReader) -> Read:
    chunks = list(source.chunks())
    return {name: np.concatenate([c[name] for c in chunks]) for name in chunks[0]}


def named(files: Any, **settings: Any) -> list[str]:
    return [file.name for file in reader(files, **settings).found]


# --- where they lie -----------------------------------------------------------------------


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three labels: one in a folder that is a link, one with an upper-case suffix."""
    write(tmp_path / "grid" / "Phi_1" / "a.root")
    write(tmp_path / "grid" / "Phi_2" / "B.ROOT")
    write(tmp_path / "eos" / "c.root")
    (tmp_path / "grid" / "Phi_3").symlink_to(tmp_path / "eos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EOS", str(tmp_path / "grid"))
    return tmp_path / "grid"


ALL = ["Phi_1/a.root", "Phi_2/B.ROOT", "Phi_3/c.root"]
#: What a user writes → the names of what is read.
WAYS: dict[str, list[str]] = {
    "grid": ALL,
    "~/grid": ALL,
    "$EOS": ALL,
    "grid/*": ALL,
    "grid/**": ALL,
    "grid/**/*": ALL,
    "grid/*/*": ALL,
    "grid/Phi_[12]/*": ALL[:2],
    "grid/*/*.root": ["Phi_1/a.root", "Phi_3/c.root"],
    "**/c.root": ["eos/c.root"],
    "grid/Phi_1/a.root": ["a.root"],
    "grid/Phi_1/a.root:Events": ["a.root"],
    "grid/*/*.root:Events": ["Phi_1/a.root", "Phi_3/c.root"],
    "grid:Events": ALL,
}


@pytest.mark.parametrize("text", WAYS)
def test_files_are_found_as_they_are_written(text: str, grid: Path) -> None:
    settings = {"duplicates": "skip"} if text.startswith("**") else {}
    assert named(text, **settings) == WAYS[text]


def test_a_colon_names_the_tree_unless_the_file_has_it(tmp_path: Path) -> None:
    x = np.arange(3, dtype="f4")
    write(tmp_path / "a.root", "other", m=x)
    assert read(reader(f"{tmp_path}/a.root:other"))["m"].tolist() == [0, 1, 2]
    key = reader(tmp_path / "a.root", tree="other").recipe().key
    assert reader(f"{tmp_path}/a.root:other").recipe().key == key
    write(tmp_path / "b.root:other", m=x + 5)
    assert read(reader(f"{tmp_path}/b.root:other"))["m"].tolist() == [5, 6, 7]
    with pytest.raises(RootError, match=r"names the tree 'other', and tree= is 'third'"):
        reader(f"{tmp_path}/a.root:other", tree="third")


def test_earlier_cycles_of_a_tree_are_not_lost_without_a_word(tmp_path: Path) -> None:
    """A tree saved while it was filled has all of it in its newest cycle; two trees do not."""
    x = np.arange(5, dtype="f4")
    for name, sizes in {"saved": (3, 5), "two": (5, 3)}.items():
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            for n in sizes:
                file.mktree("Events", {"m": "f4"}).extend({"m": x[:n]})
    assert len(read(reader(tmp_path / "saved.root"))["m"]) == 5
    with pytest.raises(RootError, match=r"several trees 'Events'; .* 'Events;1' with 5, 'Events;2"):
        read(reader(tmp_path / "two.root"))
    assert len(read(reader(f"{tmp_path}/two.root:Events;1"))["m"]) == 5
    assert len(read(reader(tmp_path / "two.root", tree="Events;2"))["m"]) == 3


def test_any_iterable_of_paths_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "a.root")
    assert len(reader(path for path in [tmp_path / "a.root"]).found) == 1


def test_names_do_not_depend_on_how_a_folder_is_written(grid: Path) -> None:
    keys = {reader(text).recipe().key for text in ("grid", "~/grid", "grid/*", "$EOS/**", grid)}
    assert len(keys) == 1


#: What cannot be read → what the error says.
NOT_THERE = {
    "grid/none/*.root": r"no such directory: .*none",
    "grid/*/x*.root": r"no \.root file matches this pattern",
    "grid/nothing.root": r"no such file or directory",
    "root://eos.cern.example//store/a.root": r"not over a network; copy them first \(xrdcp",
    "https://example.org/a.root": r"https://example\.org/a\.root: .*not over a network",
    "s3://bucket/a.root": r"not over a network",
}


@pytest.mark.parametrize("text", NOT_THERE)
def test_what_is_not_there_is_told(text: str, grid: Path) -> None:
    with pytest.raises(RootError, match=NOT_THERE[text]):
        reader(text).survey()


def test_links_in_a_circle_end(grid: Path) -> None:
    (grid / "Phi_1" / "up").symlink_to(grid)
    (grid.parent / "eos" / "back").symlink_to(grid)
    with pytest.warns(InputWarning, match="is a link to a folder around it and is not followed"):
        assert len(read(reader(grid))["m"]) == 15


def test_a_folder_that_cannot_be_listed_is_named(
    grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.iterdir

    def denied(self: Path) -> Any:
        if self.name == "Phi_2":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "iterdir", denied)
    for use in (RootReader.survey, RootReader.recipe):
        with pytest.raises(RootError, match=r"Phi_2: the folder cannot be listed: Permission den"):
            use(reader(grid))
    with pytest.warns(InputWarning, match=r"1 file\(s\) cannot be used .*Phi_2"):
        assert len(read(reader(grid, bad_files="skip"))["m"]) == 10


def test_what_lies_beside_the_files_is_counted(grid: Path) -> None:
    for name in ("._a.root", "a.root~", "a.root.bak", "log.txt", "old.txt"):
        (grid / "Phi_1" / name).write_text("x")
    expected = r"5 file\(s\) beside the ROOT files are not read: 2 \*\.txt, 1 hidden"
    with pytest.warns(InputWarning, match=expected):
        assert len(read(reader(grid))["m"]) == 15


COPIES: dict[str, Callable[[Path, Path], object]] = {
    "a copy": shutil.copyfile,
    "a link": lambda a, b: b.symlink_to(a),
    "a hard link": lambda a, b: os.link(a, b),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_file_that_is_there_twice(how: str, grid: Path) -> None:
    before = reader(grid).recipe().key
    COPIES[how](grid / "Phi_1" / "a.root", grid / "Phi_2" / "again.root")
    same = "is a copy of" if how == "a copy" else "is the same file as"
    with pytest.raises(RootError, match=rf"again\.root {same} .*a\.root; its events would count"):
        reader(grid).recipe()
    with pytest.warns(InputWarning, match="1 file.* each is read once: Phi_2/again.root"):
        assert len(read(reader(grid, duplicates="skip"))["m"]) == 15
    assert reader(grid, duplicates="skip").recipe().key == before
    with pytest.warns(InputWarning, match="all are counted"):
        assert len(read(reader(grid, duplicates="keep"))["m"]) == 20
    assert reader(grid, duplicates="keep").recipe().key != before


PATH_LABELS = {
    "cW_m0p5": -0.5,
    "cW_0p5": 0.5,
    "cW_1e3": 1000.0,
    "cW_1em3": 0.001,
    "cW_m1p5e-2": -0.015,
    "cW_-2": -2.0,
    "cWm2": -2.0,
    "cW_9p025": 9.025,
}


@pytest.mark.parametrize("folder", PATH_LABELS)
def test_numbers_in_paths(folder: str, tmp_path: Path) -> None:
    write(tmp_path / folder / "a.root")
    pattern = "cW_{c}" if "_" in folder else "cW{c}"
    assert read(reader(tmp_path, path=pattern))["c"].tolist() == [PATH_LABELS[folder]] * 5


def test_half_a_number_is_no_label(tmp_path: Path) -> None:
    write(tmp_path / "cW_1p5p2" / "a.root")
    with pytest.raises(RootError, match="the path does not match"):
        reader(tmp_path, path="cW_{c}").recipe()


# --- bad files ----------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two good files among one of each kind that is bad."""
    x = np.arange(200_000, dtype="f4")
    write(tmp_path / "a.root", m=x[:7])
    write(tmp_path / "z.root", m=x[:7] + 10)
    (tmp_path / "empty.root").touch()
    (tmp_path / "text.root").write_text("these are my events\n")
    write(tmp_path / "tree.root", tree="Runs", m=x[:5])
    write(tmp_path / "branch.root", mass=x[:5])
    with uproot.recreate(tmp_path / "list.root") as file:
        file.mktree("Events", {"m": "3 * float32"}).extend({"m": x[:6].reshape(2, 3)})
    whole = write(tmp_path / "damaged.root", m=x).read_bytes()
    seek = int(uproot.open(tmp_path / "damaged.root")["Events/m"].member("fBasketSeek")[0])
    spoilt = whole[: seek + 90_000] + bytes(1000) + whole[seek + 91_000 :]
    (tmp_path / "damaged.root").write_bytes(spoilt)
    (tmp_path / "cut.root").write_bytes(whole[: len(whole) // 2])
    return tmp_path


BAD = ("empty", "text", "tree", "branch", "damaged", "cut", "list")


def test_all_bad_files_are_named_at_once(mixed: Path) -> None:
    for use in (lambda r: list(r.chunks()), RootReader.survey):
        with pytest.raises(RootError, match="7 of 9 files cannot be used; bad_files='skip'") as e:
            use(reader(mixed))
        assert all(f"{name}.root: " in str(e.value) for name in BAD)
        assert len(str(e.value).splitlines()) == 8


@pytest.mark.parametrize("settings", [{}, {"labels": {"g": "m"}, "min_events": 1}])
def test_bad_files_are_left_out_whole(mixed: Path, settings: dict[str, Any]) -> None:
    """The damaged one is so in its middle: none of its events may be there."""
    source = reader(mixed, bad_files="skip", memory=2**20, **settings)
    with pytest.warns(InputWarning, match=r"7 file\(s\) cannot be used .* \(.*/branch"):
        assert read(source)["m"].tolist() == [*range(7), *range(10, 17)]
    assert source.survey().kept == 14


def test_a_pattern_says_what_differs_in_capitals_only(tmp_path: Path) -> None:
    for name in ("a.root", "b.ROOT"):
        write(tmp_path / name)
    with pytest.warns(InputWarning, match=r"1 file\(s\) beside .*not read: 1 \*\.ROOT"):
        one = read(reader(tmp_path / "*.root"))["m"]
    assert len(read(reader(tmp_path))["m"]) == 2 * len(one)


def test_a_setting_is_no_fault_of_a_file(tmp_path: Path) -> None:
    """What does not fit into memory is said, not skipped."""
    rng = np.random.default_rng(0)
    write(tmp_path / "a.root")
    write(tmp_path / "b.root", m=rng.normal(size=400_000).astype("f4"))
    with pytest.raises(RootError, match=r"b\.root: basket 0 .* more than memory=1048576"):
        read(reader(tmp_path, bad_files="skip", memory=2**20))


def test_wrong_choices_are_told(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="bad_files='drop' is not known; there is raise, skip"):
        reader(tmp_path, bad_files="drop")
    with pytest.raises(RootError, match="duplicates='drop' is not known"):
        reader(tmp_path, duplicates="drop")


# --- what branches are called -------------------------------------------------------------

X = np.arange(5, dtype="f4")
NAMES = (
    "lambda", "jet pt", "4l_mass", "x-y", "\u00b5_pt", "\u03bc_pt", "a:b", "EventInfoAux.", "p;1",
    "a/b", 'q"r', "s`t", "[0]", "x + 1", "True", "1e5", "get('x')", "日本",
)  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "a.root"
    return write(path, **{name: X + 10 * i for i, name in enumerate(NAMES)})


@pytest.mark.parametrize("name", NAMES)
def test_any_branch_can_be_named(name: str, odd: Path) -> None:
    quote = "`" if '"' in name else '"'
    text = f"{quote}{name}{quote}"
    expected = X + 10 * NAMES.index(name)
    got = read(RootReader(odd, columns={"v": text, "w": f"2 * {text} + 1"}))
    np.testing.assert_array_equal(got["v"], expected)
    np.testing.assert_array_equal(got["w"], 2 * expected + 1)
    if name not in ("True", "1e5"):  # which mean something else without quotes
        np.testing.assert_array_equal(read(RootReader(odd, columns={"v": name}))["v"], expected)


def test_a_text_that_could_mean_two_things_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", **{"x": X, "y": X, "x-y": X + 7})
    with pytest.raises(RootError, match=r"'x-y' is a branch, and an expression of x, y: write"):
        read(RootReader(path, columns={"v": "x-y"}))
    assert read(RootReader(path, columns={"v": '"x-y"'}))["v"][0] == 7
    assert read(RootReader(path, columns={"v": "(x-y)"}))["v"][0] == 0
    assert read(RootReader(path, columns={"v": "x - y"}))["v"][0] == 0


def test_a_quoted_name_that_is_not_there(odd: Path) -> None:
    with pytest.raises(RootError, match="no branch 'jet_pt'; did you mean 'jet pt'"):
        read(RootReader(odd, columns={"v": '"jet_pt"'}))
    with pytest.raises(RootError, match="v: 'jet ptt' is not an expression"):
        RootReader(odd, columns={"v": "jet ptt"})


class Toy(SimpleNamespace):
    """A branch as far as its type is asked for."""

    interpretation = uproot.AsDtype(">f4")
    typename = "float"


@pytest.fixture
def nested() -> Branches:
    """The sub-branches of a real file, two of one name."""
    header = "DataHeader/m_dataHeader/m_dataHeader.m_oid2"
    group = Toy(interpretation=None, typename=None)
    known = {
        **{f"{a}_{header}": Toy() for a in ("basic", "other")},
        **dict.fromkeys(("basic_DataHeader", "other_DataHeader", "Jet"), group),
        **dict.fromkeys(("x", "Jet/pt", "pt", "m", "m/pt"), Toy()),
    }
    tree = SimpleNamespace(classname="TTree", name="t", aliases={})
    return Branches(tree, RootFile("f.root", Path("f.root")), known)


def test_a_name_that_two_sub_branches_have_is_refused(nested: Branches) -> None:
    full = "basic_DataHeader/m_dataHeader/m_dataHeader.m_oid2"
    with pytest.raises(RootError, match=rf'is the name of 2 branches; .*in quotes: "{full}", "o'):
        nested.choose(["m_dataHeader.m_oid2"])
    for name in (full, "basic_DataHeader/m_dataHeader.m_oid2"):
        assert nested.choose([name]) == {name: full}
    assert nested.choose(["pt"]) == {"pt": "pt"}  # a whole path, where others only end so


def test_branches_of_one_path_cannot_be_told_apart(nested: Branches) -> None:
    twice = replace(nested, repeated=frozenset({"x"}))
    with pytest.raises(RootError, match="several branches have the path 'x': none can be named"):
        twice.choose(["x"])


def test_a_path_is_a_name_where_no_ratio_is_possible(nested: Branches) -> None:
    def names(text: str) -> frozenset[str]:
        return resolve(Expression(text), nested, {"alias"}).names

    assert names("sum(basic_DataHeader/m_dataHeader.m_oid2)") == {
        "basic_DataHeader/m_dataHeader.m_oid2"
    }
    assert names("2 * (Jet/pt[0]) + x") == {"Jet/pt", "x"}
    assert names("x/pt") == {"x", "pt"}
    assert names("alias/pt") == {"alias", "pt"}
    assert names('"Jet/pt" / x') == {"Jet/pt", "x"}
    with pytest.raises(RootError, match="'m/pt' is a branch, and an expression of m, pt"):
        names("m/pt")


def test_names_alone_are_read_from_the_branches_called_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", x=X, m=X)
    alone = RootReader(path, columns=["x"], labels=["m"])
    assert alone == RootReader(path, columns={"x": "x"}, labels={"m": "m"})
    with pytest.raises(RootError, match=r"are lists of names, as \['x'\]"):
        RootReader(path, columns="x")


def test_missing_values_are_left_out_and_counted(tmp_path: Path) -> None:
    x = np.array([1, -999, 3, np.nan, 5], "f4")
    path = write(tmp_path / "a.root", x=x, m=X, event=np.arange(5))
    columns = {Variable("x", lower=0.0, missing=-999.0): "x", Variable("m"): "m"}
    with pytest.raises(RootError, match="'x' is NaN or infinite in 1 of 4 selected"):
        read(RootReader(path, columns=columns))
    with pytest.warns(InputWarning, match="1 of 3 events have a missing value and are left out"):
        got = read(RootReader(path, columns=columns, cut="m < 3"))
    assert (got["x"].tolist(), got["m"].tolist()) == ([1, 3], [0, 2])
    gaps = {Variable("x", missing=np.nan): "x"}
    with pytest.warns(InputWarning, match="1 of 5 events have a missing value"):
        assert read(RootReader(path, columns=gaps))["x"].tolist() == [1, -999, 3, 5]


def test_a_column_may_not_be_called_as_the_number_of_a_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", event=np.arange(5) + 100)
    same = {"event": "event"}
    for wrong in ({"columns": same}, {"columns": {"m": "event"}, "labels": same}):
        with pytest.raises(ValueError, match=r"as \{'event_number': 'event'\}"):
            RootReader(path, **wrong)
    got = read(RootReader(path, columns={Variable("event_number", dtype="int64"): "event"}))
    assert got["event_number"].tolist() == [100, 101, 102, 103, 104]


# --- RNTuples -----------------------------------------------------------------------------


def events(n: int = 1000, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    pt = ak.unflatten(rng.exponential(30, counts.sum()).astype("f4"), counts)
    charge = ak.unflatten(rng.choice([-1, 1], counts.sum()).astype("i4"), counts)
    return {
        "m": rng.normal(91, 2, n).astype("f4"),
        "d": rng.normal(size=n),
        "n": rng.integers(0, 9, n).astype("u2"),
        "flag": rng.random(n) < 0.5,
        "jet pt": rng.normal(size=n).astype("f4"),
        "pt": pt,
        "charge": charge,
        "vector": rng.normal(size=(n, 3)).astype("f4"),
    }


COLUMNS = {
    "m": "m", "n": "n", "flag": "where(flag, 1, 0)", "jet": '"jet pt"', "first": "pt[0]",
    "sum": "sum(pt[charge > 0])", "z": "vector[2]", "len": "len(pt)",
}  # fmt: skip


def write_both(folder: Path, n: int = 1000, parts: int = 3) -> tuple[Path, Path]:
    """Write the same events as a TTree and as an RNTuple."""
    tree, ntuple = folder / "tree.root", folder / "ntuple.root"
    pieces = [events(n, seed) for seed in range(parts)]
    with uproot.recreate(tree) as file:
        types = {
            name: a.type.content if isinstance(a, ak.Array) else np.dtype((a.dtype, a.shape[1:]))
            for name, a in pieces[0].items()
        }
        writable = file.mktree("Events", types)
        for piece in pieces:
            writable.extend(piece)
    with uproot.recreate(ntuple) as file:
        writable = file.mkrntuple("Events", pieces[0])
        for piece in pieces[1:]:
            writable.extend(piece)
    return tree, ntuple


@pytest.mark.filterwarnings("ignore:.* have a missing value")
@pytest.mark.parametrize("memory", [2**20, 64 * 2**20])
def test_an_rntuple_is_read_as_the_same_ttree(tmp_path: Path, memory: int) -> None:
    tree, ntuple = write_both(tmp_path)
    settings = {"columns": COLUMNS, "labels": {"d": "d"}, "cut": "m > 88"}
    expected = read(RootReader(tree, **settings))
    got = read(RootReader(ntuple, memory=memory, **settings))
    assert len(expected["m"]) > 1000
    for name, array in expected.items():
        assert array.dtype == got[name].dtype
        np.testing.assert_array_equal(got[name], array, err_msg=name)


def test_parts_of_records_are_named(tmp_path: Path) -> None:
    given = events(50)
    record = ak.zip({"pt": given["pt"], "charge": given["charge"]})
    vertex = ak.zip({"x": given["d"], "pt": given["m"]})
    with uproot.recreate(tmp_path / "a.root") as file:
        file["Events"] = {"Muon": record, "vertex": vertex}
    columns = {"n": "len(Muon.pt)", "s": "sum(Muon/pt)", "x": "vertex.x", "q": "sum(charge)"}
    got = read(reader(tmp_path / "a.root", columns=columns))
    np.testing.assert_array_equal(got["n"], ak.num(given["pt"]))
    in_double = ak.sum(ak.values_astype(given["pt"], "f8"), axis=1)
    np.testing.assert_array_equal(got["s"], in_double.to_numpy().astype("f4"))
    np.testing.assert_array_equal(got["x"], given["d"].astype("f4"))
    for name, text in (("pt", "of 2 branches"), ("Muon", "holds .*; only numbers"), ("Mu", "did")):
        with pytest.raises(RootError, match=text):
            read(reader(tmp_path / "a.root", columns={"v": name}))


def test_an_rntuple_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """20 clusters of 0.5 MB a column, 1 MiB at a time, some parts of one cluster."""
    n = 60_000
    values = {name: np.arange(n, dtype="f8") for name in "abcd"}
    with uproot.recreate(tmp_path / "a.root") as file:
        writable = file.mkrntuple("Events", values)
        for _ in range(19):
            writable.extend(values)
    source = reader(tmp_path / "a.root", columns={k: k for k in "abcd"}, memory=2**20)
    chunks = source.chunks()
    first = next(chunks)
    assert len(first["a"]) == 32_768  # 4 columns of 8 bytes
    tracemalloc.start()
    rows = len(first["a"]) + sum(len(chunk["a"]) for chunk in chunks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 20 * n
    assert peak < 8 * 2**20
    with uproot.recreate(tmp_path / "b.root") as file:
        file["Events"] = {"a": np.arange(600_000.0)}
    with pytest.raises(RootError, match="cluster 0 of field 'a' declares 4800000 bytes, more than"):
        read(reader(tmp_path / "b.root", columns={"a": "a"}, memory=2**20))


def test_an_rntuple_that_declares_too_much(tmp_path: Path) -> None:
    """Its anchor says that the header is a terabyte, and its checksum is right."""
    path = write(tmp_path / "a.root", kind="RNTuple")
    content = bytearray(path.read_bytes())
    members = uproot.open(path)["Events"]._members
    seek, length = members["fSeekHeader"], members["fLenHeader"]
    place = content.index(struct.pack(">QQQ", seek, members["fNBytesHeader"], length))
    content[place + 16 : place + 24] = struct.pack(">Q", 2**40)
    anchor = content[place - 8 : place + 56]
    content[place + 56 : place + 64] = struct.pack(">Q", xxhash.xxh3_64_intdigest(bytes(anchor)))
    path.write_bytes(content)
    with pytest.raises(RootError, match="the header of the RNTuple declares 1099511627776 bytes"):
        read(reader(path))


def test_pages_are_held_against_their_checksums(tmp_path: Path) -> None:
    """As ROOT writes them behind each page; uproot writes none."""
    path = write(tmp_path / "a.root", kind="RNTuple")
    file = RootFile("a.root", path)
    page = uproot.open(path)["Events"].page_link_list[0][0].pages[0]
    place, size = page.locator.offset, page.locator.num_bytes
    content = bytearray(path.read_bytes())
    digest = xxhash.xxh3_64_intdigest(bytes(content[place : place + size]))
    content[place + size : place + size + 8] = digest.to_bytes(8, "little")

    def check() -> None:
        path.write_bytes(content)
        with uproot.open(path, handler=uproot.MemmapSource) as opened:
            ntuple = opened["Events"]
            ntuple.page_link_list[0][0].pages[0].has_checksum = True
            _check_pages(ntuple, [0], 0, file)

    check()
    content[place + 5] ^= 1
    with pytest.raises(RootError, match="page 0 of column 0 in cluster 0 does not agree with its"):
        check()


@pytest.mark.filterwarnings("ignore:.* left out")
@pytest.mark.parametrize("seed", range(30))
def test_damaged_rntuples_raise_nothing_but_our_error(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    with uproot.recreate(tmp_path / "damaged.root") as file:
        file["Events"] = events(500)
    content = bytearray((tmp_path / "damaged.root").read_bytes())
    for _ in range(rng.choice([1, 3, 20])):
        content[rng.randrange(rng.choice([0, len(content) - 2000]), len(content))] ^= (
            1 << rng.randrange(8)
        )
    (tmp_path / "damaged.root").write_bytes(content)
    told = "damaged.root"
    try:
        list(reader(tmp_path / told, columns=COLUMNS, invalid="drop").chunks())
    except RootError as error:
        told = str(error)
    assert "damaged.root" in told
