"""What the ROOT reader says of wrong input: a table of inputs and texts."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
import xarray as xr

from presage.inputs import InputWarning
from presage.labels import Parameter, Variable
from presage.studies.events.root import (
    Column,
    Layout,
    RootError,
    RootReader,
    write_root,
)
from presage.studies.events.root.expression import Expression

DATA = Path(__file__).parent / "data" / "root"
ZMUMU = Path(__file__).parents[1] / "notebooks/examples/data/uproot-Zmumu.root"
HZZ = DATA / "uproot-HZZ.root"
NANO = DATA / "nanoAOD_2015_CMS_Open_Data_ttbar.root"
MASS = {"mass": "M"}


def write_tree(path: Path, **branches: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        file.mktree("t", {name: array.dtype for name, array in branches.items()}).extend(branches)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files of every kind that goes wrong."""
    top = tmp_path_factory.mktemp("files")
    x, label = np.arange(12.0), np.repeat([1.0, 2.0], [8, 4])
    write_tree(top / "good.root", x=x, label=label, i=np.arange(12))
    write_tree(top / "nan.root", x=np.where(x == 7, np.nan, x), label=label)
    write_tree(top / "infinite.root", x=np.where(x > 9, np.inf, x), label=label)
    write_tree(top / "none" / "zero.root", x=x[:0], label=label[:0])
    write_tree(top / "Phi_x_omega_y" / "f.root", x=x)
    (top / "empty.root").touch()
    (top / "text.root").write_text("these are my events\n")
    (top / "short.root").write_bytes(ZMUMU.read_bytes()[:11])
    (top / "cut_off.root").write_bytes(ZMUMU.read_bytes()[:150_000])
    (top / "other").mkdir()
    (top / "other" / "events.npy").touch()
    (top / "nothing").mkdir()
    with uproot.recreate(top / "histogram.root") as file:
        file["h"] = np.histogram(x)
    _huge_basket(top / "good.root", top / "huge.root")
    return top


def _huge_basket(source: Path, target: Path) -> None:
    """Let a basket of x declare 2 GB uncompressed (bytes 6 to 9 of its key)."""
    content = bytearray(source.read_bytes())
    seek = int(uproot.open(source)["t/x"].member("fBasketSeek")[0])
    content[seek + 6 : seek + 10] = struct.pack(">i", 2**31 - 1)
    target.write_bytes(content)


def toy(path: Any, /, **settings: Any) -> RootReader:
    return RootReader(path, **{"tree": "t", "columns": {"x": "x"}, **settings})


#: What is wrong → reader of it (given the folder of files), and what the error says.
WRONG: dict[str, tuple[Callable[[Path], RootReader], str]] = {
    "missing branch": (
        lambda _: RootReader(ZMUMU, "events", {"x": "pt3"}),
        r"Zmumu\.root: tree 'events' has no branch 'pt3'; did you mean 'pt[12]'\?",
    ),
    "missing branch of few": (
        lambda top: toy(top / "good.root", columns={"x": "momentum"}),
        r"has no branch 'momentum'; there is i, label, x",
    ),
    "missing branch among many": (
        lambda _: RootReader(NANO, columns={"x": "Qqqqqqqq"}),
        r"no branch 'Qqqqqqqq' among its 947 branches",
    ),
    "missing branch in a cut": (
        lambda top: toy(top / "good.root", cut="lable > 1"),
        r"no branch 'lable'; did you mean 'label'",
    ),
    "missing branch in an alias": (
        lambda top: toy(top / "good.root", columns={"x": "a"}, aliases={"a": "xx + 1"}),
        r"no branch 'xx'; did you mean 'x'",
    ),
    "wrong tree": (
        lambda _: RootReader(ZMUMU, "Events", MASS),
        r"no tree 'Events'; did you mean 'events'\? \(its trees: events\)",
    ),
    "no tree at all": (
        lambda top: toy(top / "histogram.root"),
        r"no tree 't'; there is none \(it holds no tree\)",
    ),
    "not a tree": (
        lambda top: toy(top / "histogram.root", tree="h"),
        r"'h' is a TH1D; only TTrees and RNTuples are read",
    ),
    "empty file": (lambda top: toy(top / "empty.root"), r"empty\.root: the file is empty \(0 byt"),
    "not a ROOT file": (
        lambda top: toy(top / "text.root"),
        r"text\.root: not a ROOT file, it begins with b'these ar'",
    ),
    "very short": (lambda top: toy(top / "short.root"), r"truncated, only 11 bytes are there"),
    "cut off": (
        lambda top: toy(top / "cut_off.root"),
        r"truncated, it has 150000 bytes of the 178971 that its header tells; copy it again",
    ),
    "no file": (lambda top: toy(top / "missing.root"), r"missing\.root: no such file or directory"),
    "no ROOT file": (
        lambda top: toy(top / "other"),
        r"no \.root file in this directory or below; there is events\.npy",
    ),
    "empty directory": (lambda top: toy(top / "nothing"), r"no \.root file .*; it is empty"),
    "no path": (lambda _: RootReader([], columns=MASS), r"no ROOT file or directory was given"),
    "a file twice": (
        lambda top: toy([top / "good.root", top / "good.root"]),
        r"good\.root is given twice; its events would count twice",
    ),
    "no entries": (
        lambda top: toy(top / "none"),
        r"tree 't' has no entries in any of 1 file\(s\)",
    ),
    "huge basket": (
        lambda top: toy(top / "huge.root"),
        r"basket 0 of branch 'x' declares 2147483\d+ bytes, more than memory=67108864; raise",
    ),
    "strings": (
        lambda _: RootReader(ZMUMU, "events", {"x": "Type"}),
        r"branch 'Type' holds char\*; only numbers and lists of numbers",
    ),
    "NaN": (
        lambda top: toy(top / "nan.root"),
        r"nan\.root: 'x' is NaN or infinite in 1 of 12 selected .* entry 7; give invalid='drop'",
    ),
    "NaN behind a cut": (
        lambda top: toy(top / "nan.root", cut="label > 0 and x != 3"),
        r"1 of 11 selected events, first nan in entry 7",
    ),
    "infinities": (
        lambda top: toy(top / "infinite.root"),
        r"infinite\.root: 'x' is NaN or infinite in 2 of 12 selected events, first inf in entry 10",
    ),
    "division by zero": (
        lambda top: toy(top / "good.root", columns={"ratio": "label / x"}),
        r"'ratio' is NaN or infinite in 1 of 12 selected events, first inf in entry 0",
    ),
    "beyond a bound": (
        lambda top: toy(top / "good.root", columns={Variable("x", lower=2.0, upper=9.0): "x"}),
        r"'x' is beyond its bounds \(2, 9\) in 4 of 12 .* first 0\.0 in entry 0",
    ),
    "not whole": (
        lambda top: toy(top / "good.root", columns={Variable("x", dtype="int8"): "x / 2"}),
        r"'x' is declared int8, but holds float64 values that do not fit",
    ),
    "whole numbers that are rounded": (
        lambda top: toy(top / "good.root", columns={"run": "i * 0 + 16777217"}),
        r"'run' holds whole numbers that float32 rounds \(16777217 to 16777216\); .*dtype='int64'",
    ),
    "an empty path": (lambda _: RootReader("", columns=MASS), r"no ROOT file or directory was"),
    "too few events": (
        lambda top: toy(top / "good.root", labels={"g": "label"}, min_events=150),
        r"too few events: no label has min_events=150; the fullest, g=1, has 8\. 12 events",
    ),
    "no event passes": (
        lambda top: toy(top / "good.root", cut="x > 100"),
        r"no event remains: 0 events of 12 entries in 1 file\(s\); left out: 12 by the cut",
    ),
    "path does not match": (
        lambda top: toy(top / "Phi_x_omega_y", path="Phi_{phi}_omega_{omega}"),
        r"f\.root: the path does not match 'Phi_\{phi\}_.*'; .* like 'Phi_9p025_omega_9p025'",
    ),
    "path without names": (
        lambda top: toy(top, path="Phi_1870"),
        r"path pattern 'Phi_1870' names no label; write one as 'Phi_\{phi_label\}'",
    ),
    "a name twice in the path": (
        lambda top: toy(top, path="{a}_{a}"),
        r"\{a\} should be a label's name, once each",
    ),
    "list where a value is needed": (
        lambda _: RootReader(HZZ, "events", {"px": "Muon_Px"}),
        r"px: 'Muon_Px' gives a list per event where one value is needed; .* as Muon_Px\[0\]",
    ),
    "list as a cut": (
        lambda _: RootReader(HZZ, "events", {"n": "NMuon"}, cut="Muon_Px > 20"),
        r"cut: 'Muon_Px > 20' gives a list per event .* as any\(\.\.\.\)",
    ),
    "number as a cut": (
        lambda _: RootReader(HZZ, "events", {"n": "NMuon"}, cut="MET_px + 1"),
        r"cut: 'MET_px \+ 1' is a number, not a condition; compare it",
    ),
    "number as a condition": (
        lambda _: RootReader(HZZ, "events", {"n": "NMuon"}, cut="MET_px and NMuon > 1"),
        r"cut: in 'MET_px and NMuon > 1': 'MET_px' is a number, not true or false; compare it",
    ),
    "index that is no whole number": (
        lambda _: RootReader(HZZ, "events", {"px": "Muon_Px[MET_px]"}),
        r"px: in 'Muon_Px\[MET_px\]': an index must be a whole number, but 'MET_px' is float32",
    ),
    "index that is a condition": (
        lambda _: RootReader(HZZ, "events", {"px": "Muon_Px[NMuon > 1]"}),
        r"an index must be a whole number, but 'NMuon > 1' is true or false",
    ),
    "index on one value": (
        lambda _: RootReader(HZZ, "events", {"px": "MET_px[0]"}),
        r"'MET_px' has one value per event: no index to take",
    ),
    "lists of different lengths": (
        lambda _: RootReader(HZZ, "events", {"n": "sum(Muon_Px * Jet_Px)"}),
        r"in 'Muon_Px \* Jet_Px': lists of different lengths meet; pick one value of each",
    ),
    "conditions without brackets": (
        lambda _: RootReader(HZZ, "events", {"n": "NMuon"}, cut="NMuon == 2 & NJet > 1"),
        r"'&' and '\|' bind tighter than comparisons; write 'and' and 'or', or put each",
    ),
    "& of a number and a condition": (
        lambda _: RootReader(HZZ, "events", {"n": "NMuon"}, cut="NMuon & (NJet > 1)"),
        r"'&' and '\|' join two conditions \(in brackets\) or two whole numbers",
    ),
    "any of one value": (
        lambda _: RootReader(HZZ, "events", {"n": "NMuon"}, cut="any(NMuon > 1)"),
        r"any needs a list per event, 'NMuon > 1' is none",
    ),
    "no columns": (lambda top: toy(top, columns={}), r"columns= is empty; name what to read"),
    "wrong choice": (
        lambda top: toy(top, invalid="skip"),
        r"invalid=.skip. is not known; there is",
    ),
    "too little memory": (
        lambda top: toy(top, memory=10),
        r"memory is at least 1048576 bytes, got 10",
    ),
    "minimum without labels": (
        lambda top: toy(top, min_events=5),
        r"min_events= counts events per label, and there are no labels",
    ),
    "circular aliases": (
        lambda top: toy(top, aliases={"a": "b + 1", "b": "a"}),
        r"alias 'a' refers to itself: a -> b -> a",
    ),
    "alias that is no name": (
        lambda top: toy(top, aliases={"a b": "x"}),
        r"an alias is a name such as 'photon_pt', not 'a b'",
    ),
    "alias and path label": (
        lambda top: toy(top, aliases={"phi": "x"}, path="Phi_{phi}"),
        r"'phi' is an alias and a label in path=; rename one",
    ),
    "a name for two columns": (
        lambda top: toy(top, labels={"x": "label"}),
        r"variable names must differ; twice: x",
    ),
    "a wrong expression names its column": (
        lambda top: toy(top, columns={"x": "x +"}),
        r"x: 'x \+' is not an expression: invalid syntax",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_told_clearly(what: str, files: Path) -> None:
    make, text = WRONG[what]
    with pytest.raises(ValueError, match=text):
        list(make(files).chunks())


#: Text that is no expression → what the error says. None of it may run.
REFUSED = {
    "__import__('os').system('true')": r"only functions .* not .__import__\('os'\)\.system.; there",
    "().__class__": r"'\(\)\.__class__' \(Attribute\) is not allowed",
    "x.__class__.__mro__()": r"only functions can be called",
    "eval('1')": r"only functions can be called, not 'eval'; did you mean",
    "sqr(x)": r"not 'sqr'; did you mean 'sqrt'\?",
    "'text'": r"'text' is not a number that an expression may hold",
    "x == 'a'": r"is not a number that an expression may hold",
    "1j * x": r"1j is not a number",
    "None": r"None is not a number",
    "1e999": r"inf is not a number",
    "9999999999999999999": r"9999999999999999999 is not a number",
    "lambda: x": r"\(Lambda\) is not allowed",
    "[i for i in x]": r"\(ListComp\) is not allowed",
    "[x, y]": r"\(List\) is not allowed",
    "{x}": r"\(Set\) is not allowed",
    "(x, y)": r"\(Tuple\) is not allowed",
    "x[0:2]": r"\(Slice\) is not allowed",
    "x[-1]": r"an index counts from 0; negative ones mean a missing value",
    "x if y else z": r"\(IfExp\) is not allowed",
    "(a := x)": r"\(NamedExpr\) is not allowed",
    "f'{x}'": r"\(JoinedStr\) is not allowed",
    "*x": r"not an expression|\(Starred\) is not allowed",
    "x is y": r"Is is not allowed",
    "x in y": r"In is not allowed",
    "x << 70": r"LShift is not allowed",
    "x @ y": r"MatMult is not allowed",
    "x ^ y": r"BitXor is not allowed",
    "sqrt(x, y)": r"sqrt takes 1 argument\(s\), by position",
    "sqrt(x=y)": r"sqrt takes 1 argument\(s\), by position",
    "sqrt(*x)": r"sqrt takes 1 argument\(s\), by position",
    "round(x, y)": r"round takes a fixed number of digits",
    "x > 1 && y > 2": r"is not an expression: write 'and' for '&&'",
    "x > 1 || y > 2": r"write 'or' for '\|\|'",
    "!x": r"write 'not' for '!'",
    "import os": r"is not an expression: invalid syntax",
    "x; y": r"is not an expression",
    "x\ny": r"is not an expression",
    "x\0": r"is not an expression",
    "": r"is not an expression",
    "(" * 300 + "x" + ")" * 300: r"is not an expression: too many nested parentheses",
    "-" * 3000 + "x": r"nested too deeply|not an expression",
    "+".join(["x"] * 100): r"nested too deeply; use aliases",
    "x" * 5000: r"an expression of 5000 characters; at most 4000 are read",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_what_is_no_expression_is_refused_before_any_file_is_opened(text: str) -> None:
    with pytest.raises(RootError, match=REFUSED[text]):
        Expression(text)
    with pytest.raises(RootError):
        RootReader("no such folder", columns={"x": "x"}, cut=text or "()")


def test_an_alias_inside_a_file_does_not_stand_in_for_a_branch(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree can carry aliases, which uproot would evaluate as Python."""
    from uproot.behaviors.TTree import TTree

    monkeypatch.setattr(TTree, "aliases", {"x": "__import__('os').abort()"})
    with pytest.raises(RootError, match="'x' is an alias inside the file; write its expression"):
        list(toy(files / "good.root").chunks())


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_raise_nothing_but_our_error(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    content = bytearray(ZMUMU.read_bytes())
    for _ in range(rng.choice([1, 3, 20])):
        low = rng.choice([0, 100_000, len(content) - 6000])
        content[rng.randrange(low, len(content))] = rng.randrange(256)
    path = tmp_path / "damaged.root"
    path.write_bytes(content)
    reader = RootReader(path, "events", MASS, {"eta": "eta1"}, invalid="drop")
    told, events = "", 0
    try:
        events = sum(len(chunk["mass"]) for chunk in reader.chunks())
    except RootError as error:
        told = str(error)
    assert "damaged.root" in told or events == 2304
    told.encode()  # a name with stray bytes must not break the terminal


@pytest.mark.parametrize("size", [1, 15, 60, 300, 5000, 90_000, 178_970])
def test_truncated_files_are_told_at_any_length(size: int, tmp_path: Path) -> None:
    path = tmp_path / "t.root"
    path.write_bytes(ZMUMU.read_bytes()[:size])
    with pytest.raises(RootError, match=r"t\.root: (truncated|not a ROOT file)"):
        list(RootReader(path, "events", MASS).chunks())


def test_one_bad_file_among_many_is_named(files: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_tree(tmp_path / f"{name}.root", x=np.arange(5.0))
    (tmp_path / "b.root").write_bytes(b"root")
    with pytest.raises(RootError, match=r"b\.root: truncated"):
        list(toy(tmp_path).chunks())


def test_too_many_labels_are_not_labels(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presage.studies.events.root.survey.MOST_LABELS", 5)
    with pytest.raises(
        RootError, match=r"more than 5 different labels .* read them with min_event"
    ):
        list(toy(files / "good.root", labels={"g": "i"}, min_events=1).chunks())


def events(**columns: Any) -> xr.Dataset:
    full = {"phi_label": [1.0], "omega_label": [1.0], "phi_mass": [1.0], "omega_mass": [1.0]}
    return xr.Dataset({k: ("event", np.array(v)) for k, v in {**full, **columns}.items()})


def test_the_writer_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no 'phi_mass'; did you mean 'phi_mas'"):
        write_root(events().rename(phi_mass="phi_mas"), tmp_path / "a")
    with pytest.raises(RootError, match=r"should have dims \('event',\), got \('event', 'k'\)"):
        write_root(events().assign(phi_mass=(("event", "k"), [[1.0]])), tmp_path / "a")
    with pytest.raises(RootError, match="there are no events to write"):
        write_root(events().isel(event=[]), tmp_path / "a")
    write_root(events(), tmp_path / "a")
    with pytest.raises(RootError, match="a exists and is not empty; choose another folder"):
        write_root(events(), tmp_path / "a")
    layout = Layout(
        "t", (Column(Variable("phi_mass"), "x + 1"),), (Column(Parameter("phi_label"), "y"),), "{0}"
    )
    with pytest.raises(RootError, match="'x \\+ 1' cannot be written: a column stands at a branch"):
        write_root(events(), tmp_path / "b", Layout(**{**vars(layout), "folder": "p{phi_label}"}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


def test_warnings_are_told_apart(files: Path) -> None:
    reader = toy(files / "good.root", labels={"g": "label"}, min_events=5)
    with pytest.warns(InputWarning, match=r"1 of 2 labels .* 4 events in all \(g=2: 4\)"):
        list(reader.chunks())
