"""The ROOT reader and writer: against uproot, against event-by-event Python, there and back."""

from __future__ import annotations

import math
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from presage.inputs import InputWarning
from presage.labels import Parameter, Variable
from presage.studies.events.resonance import Resonance
from presage.studies.events.root import (
    FEDHEX,
    Column,
    Layout,
    Range,
    RootReader,
    write_root,
)
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.finding import RootFile
from presage.studies.events.root.path_labels import path_labels
from presage.studies.events.root.values import Values

DATA = Path(__file__).parent / "data" / "root"
ZMUMU = Path(__file__).parents[1] / "notebooks/examples/data/uproot-Zmumu.root"
HZZ = DATA / "uproot-HZZ.root"
NANO = DATA / "nanoAOD_2015_CMS_Open_Data_ttbar.root"


def read_all(reader: RootReader) -> dict[str, np.ndarray]:
    chunks = list(reader.chunks())
    assert all(list(chunk) == list(chunks[0]) for chunk in chunks)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def toy(events: int = 3000, phi: int = 3, omega: int = 2) -> xr.Dataset:
    simulator = Resonance.on_grid(phi, omega, weights="equal")
    blocks = [simulator.block(0, i) for i in range(1 + events // simulator.block_size)]
    columns = {name: np.concatenate([b[name] for b in blocks])[:events] for name in blocks[0]}
    return xr.Dataset({name: ("event", array) for name, array in columns.items()})


def by_label(columns: dict[str, Any], labels: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Sort events by label, keeping their order within one."""
    order = np.lexsort([columns[name] for name in reversed(labels)])
    return {name: np.asarray(array)[order] for name, array in columns.items()}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert list(first) == list(second)
    for name in first:
        assert first[name].dtype == second[name].dtype, name
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def write_tree(path: Path, **branches: Any) -> Path:
    """Write a TTree "t" (assigning a mapping would make an RNTuple in recent uproot)."""
    with uproot.recreate(path) as file:
        file.mktree("t", {name: array.dtype for name, array in branches.items()}).extend(branches)
    return path


# --- expressions, against event-by-event Python -------------------------------------------


def at(values: list[float], index: int | None) -> float | None:
    return None if index is None or not 0 <= index < len(values) else values[index]


def over(function: Callable[..., Any], *values: float | None) -> Any:
    return None if any(value is None for value in values) else function(*values)


def both(a: bool | None, b: bool | None) -> bool | None:
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


EXPRESSIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "n": lambda e: e["n"],
    "x[0]": lambda e: at(e["x"], 0),
    "x[i]": lambda e: at(e["x"], e["i"]),
    "x[k[0]]": lambda e: at(e["x"], at(e["k"], 0)),
    "x[i] + y[i]": lambda e: over(lambda a, b: a + b, at(e["x"], e["i"]), at(e["y"], e["i"])),
    "x[i] > 0.5 and n >= 2": lambda e: both(
        over(lambda a: a > 0.5, at(e["x"], e["i"])), e["n"] >= 2
    ),
    "not (x[i] > 0.5)": lambda e: over(lambda a: not a > 0.5, at(e["x"], e["i"])),
    "n == 1 or x[i] > 0.5": lambda e: (
        True if e["n"] == 1 else (over(lambda a: a > 0.5, at(e["x"], e["i"])) or (
            None if at(e["x"], e["i"]) is None else False))
    ),
    "(n > 1) & (n < 4) | (n == 0)": lambda e: (1 < e["n"] < 4) or e["n"] == 0,
    "1 < n <= 3": lambda e: 1 < e["n"] <= 3,
    "n - 3": lambda e: e["n"] - 3,
    "-n * 2 + n // 2 - n % 2": lambda e: -e["n"] * 2 + e["n"] // 2 - e["n"] % 2,
    "7 % n": lambda e: 7 % e["n"] if e["n"] else None,
    "n & 1": lambda e: e["n"] & 1,
    "abs(y[0]) ** 2 / 4": lambda e: over(lambda a: abs(a) ** 2 / 4, at(e["y"], 0)),
    "hypot(x[0], y[0])": lambda e: over(math.hypot, at(e["x"], 0), at(e["y"], 0)),
    "sqrt(abs(z)) * cosh(z)": lambda e: math.sqrt(abs(e["z"])) * math.cosh(e["z"]),
    "where(n > 1, z, -z)": lambda e: e["z"] if e["n"] > 1 else -e["z"],
    "where(n > 1, x[1], z)": lambda e: at(e["x"], 1) if e["n"] > 1 else e["z"],
    "any(x > 0.5)": lambda e: any(v > 0.5 for v in e["x"]),
    "all(x > y)": lambda e: all(a > b for a, b in zip(e["x"], e["y"], strict=True)),
    "sum(x > z)": lambda e: sum(v > e["z"] for v in e["x"]),
    "len(k)": lambda e: len(e["k"]),
    "max(x)": lambda e: max(e["x"], default=None),
    "min(y[y > 0])": lambda e: min((v for v in e["y"] if v > 0), default=None),
    "sum(x[k] > 0)": lambda e: sum(at(e["x"], k) > 0 for k in e["k"] if at(e["x"], k) is not None),
    "max(x[k])": lambda e: max((at(e["x"], k) for k in e["k"] if 0 <= k < e["n"]), default=None),
    "any(x[k] > 0.5)": lambda e: any(at(e["x"], k) > 0.5 for k in e["k"] if 0 <= k < e["n"]),
    "x[y > 0][1]": lambda e: at([a for a, b in zip(e["x"], e["y"], strict=True) if b > 0], 1),
    "round(z, 1)": lambda e: float(np.round(e["z"], 1)),
    "minimum(n, 2) == maximum(0, 2)": lambda e: min(e["n"], 2) == 2,
    "True": lambda e: True,
}  # fmt: skip

FLOATS = st.floats(-2, 2).map(lambda value: round(value, 3))


@st.composite
def some_events(draw: st.DrawFn) -> list[dict[str, Any]]:
    events = []
    for n in draw(st.lists(st.integers(0, 4), max_size=8)):
        exactly = {"min_size": n, "max_size": n}
        index = st.integers(-2, 5)
        events.append(
            {
                "n": n,
                "x": draw(st.lists(FLOATS, **exactly)),
                "y": draw(st.lists(FLOATS, **exactly)),
                "z": draw(FLOATS),
                "i": draw(index),
                "k": draw(st.lists(index, max_size=3)),
            }
        )
    return events


def columns_from(events: list[dict[str, Any]]) -> dict[str, Values]:
    columns = {}
    for name, kind in (("n", int), ("i", int), ("z", float)):
        columns[name] = Values(np.array([e[name] for e in events], dtype=kind))
    for name, kind in (("x", float), ("y", float), ("k", int)):
        lists = [e[name] for e in events]
        offsets = np.concatenate(([0], np.cumsum([len(v) for v in lists]))).astype(np.int64)
        columns[name] = Values(np.array([v for part in lists for v in part], dtype=kind), offsets)
    return columns


@pytest.mark.parametrize("text", EXPRESSIONS)
@settings(max_examples=15)
@given(events=some_events())
def test_expressions_are_what_python_says_event_by_event(
    text: str, events: list[dict[str, Any]]
) -> None:
    result = Expression(text).evaluate(columns_from(events))
    data = np.broadcast_to(result.data, len(events))
    known = np.broadcast_to(result.known, len(events))
    expected = [EXPRESSIONS[text](event) for event in events]
    assert [value is not None for value in expected] == known.tolist()
    for got, want in zip(data[known], [w for w in expected if w is not None], strict=True):
        assert got == pytest.approx(want, rel=1e-12, abs=1e-12)


def test_picking_keeps_type_and_bits() -> None:
    pt = Values(np.array([1.1, 2.2, 3.3], np.float32), np.array([0, 1, 3]))
    picked = Expression("pt[i]").evaluate({"pt": pt, "i": Values(np.array([0, 1]))})
    assert picked.data.dtype == np.float32
    assert picked.data.tolist() == np.array([1.1, 3.3], np.float32).tolist()


def test_a_float32_is_compared_in_double_precision() -> None:
    """220.1 is no float32; rounding the constant would let float32(220.1) pass '>= 220.1'."""
    value = np.float32(220.1)
    result = Expression("x >= 220.1").evaluate({"x": Values(np.array([value]))})
    assert result.data.tolist() == [float(value) >= 220.1]


def test_sums_of_single_precision_are_made_in_double() -> None:
    x = np.array([1e8, *[1.0] * 1000, 3.5], np.float32)
    values = {"x": Values(x, np.array([0, 1001, 1002]))}
    total = Expression("sum(x)").evaluate(values)
    assert (total.data.dtype, total.data.tolist()) == (np.float64, [1e8 + 1000, 3.5])


# --- real files, against plain uproot -----------------------------------------------------


def test_zmumu_with_continuous_conditions() -> None:
    reader = RootReader(
        ZMUMU,
        tree="events",
        columns={Variable("mass", unit="GeV", lower=0.0): "M", "pt": "pt1"},
        labels={"eta1": "eta1", "eta2": "eta2"},
        cut="Q1 != Q2 and pt1 > 20 and abs(eta1) < 2.4",
    )
    raw = uproot.open(ZMUMU)["events"].arrays(library="np")
    keep = (raw["Q1"] != raw["Q2"]) & (raw["pt1"] > 20) & (np.abs(raw["eta1"]) < 2.4)
    assert 1000 < keep.sum() < 2304
    expected = {
        "eta1": raw["eta1"][keep],
        "eta2": raw["eta2"][keep],
        "mass": raw["M"][keep].astype(np.float32),
        "pt": raw["pt1"][keep].astype(np.float32),
    }
    same(read_all(reader), expected)
    assert [p.name for p in reader.parameters] == ["eta1", "eta2"]
    survey = reader.survey()
    assert (survey.entries, survey.kept, survey.cut) == (2304, keep.sum(), 2304 - keep.sum())


def test_hzz_with_lists_aliases_and_an_invariant_mass() -> None:
    mass = "sqrt(maximum(energy ** 2 - px ** 2 - py ** 2 - pz ** 2, 0.0))"
    reader = RootReader(
        HZZ,
        tree="events",
        columns={"mass": mass, "first": "Muon_Px[0]"},
        aliases={
            **{f"p{c}": f"Muon_P{c}[0] + Muon_P{c}[1]" for c in "xyz"},
            "energy": "Muon_E[0] + Muon_E[1]",
            "pt0": "hypot(Muon_Px[0], Muon_Py[0])",
        },
        cut="NMuon >= 2 and pt0 > 20 and sum(Muon_Charge) == 0 and not any(Jet_btag > 2)",
    )
    raw = uproot.open(HZZ)["events"].arrays(library="ak")
    raw = raw[raw.NMuon >= 2]
    raw = raw[
        (np.hypot(ak.to_numpy(raw.Muon_Px[:, 0]).astype(float), raw.Muon_Py[:, 0]) > 20)
        & (ak.sum(raw.Muon_Charge, axis=1) == 0)
        & ~ak.any(raw.Jet_btag > 2, axis=1)
    ]
    total = [
        ak.to_numpy(raw[f"Muon_{c}"][:, 0]).astype(float) + ak.to_numpy(raw[f"Muon_{c}"][:, 1])
        for c in ("E", "Px", "Py", "Pz")
    ]
    squared = total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2
    got = read_all(reader)
    assert len(got["mass"]) == len(raw) > 500
    np.testing.assert_allclose(got["mass"], np.sqrt(np.maximum(squared, 0)), rtol=1e-6)
    np.testing.assert_array_equal(got["first"], ak.to_numpy(raw.Muon_Px[:, 0]))
    assert 85 < np.median(got["mass"]) < 95


@pytest.mark.filterwarnings("ignore:.* have a missing value")
def test_nanoaod_with_indices_of_minus_one() -> None:
    """The jet that goes with the leading photon, in Python: -1 means there is none."""
    reader = RootReader(
        NANO,
        columns={"photon": "Photon_pt[0]", "jet": "Jet_pt[Photon_jetIdx[0]]"},
        cut="nPhoton - 2 < 0 and Photon_pt[0] > 10",
    )
    raw = uproot.open(NANO)["Events"].arrays(
        ["nPhoton", "Photon_pt", "Photon_jetIdx", "Jet_pt"], library="ak"
    )
    pairs = [
        (e["Photon_pt"][0], e["Jet_pt"][e["Photon_jetIdx"][0]])
        for e in raw.to_list()
        if e["nPhoton"] == 1 and e["Photon_pt"][0] > 10 and e["Photon_jetIdx"][0] >= 0
    ]
    got = read_all(reader)
    assert list(zip(got["photon"].tolist(), got["jet"].tolist(), strict=True)) == pairs
    survey = reader.survey()
    assert survey.missing == np.sum((raw.nPhoton == 1) & (ak.firsts(raw.Photon_jetIdx) == -1))
    assert survey.missing > 0


def test_only_the_named_branches_are_read(tmp_path: Path) -> None:
    """All other branches' data are overwritten; nothing may notice."""
    content = bytearray(HZZ.read_bytes())
    for name, branch in uproot.open(HZZ)["events"].items():
        if name not in ("Muon_Px", "NMuon"):
            seeks, sizes = branch.member("fBasketSeek"), branch.member("fBasketBytes")
            for seek, size in zip(seeks[: branch.num_baskets], sizes, strict=False):
                content[seek : seek + size] = bytes(size)
    broken = tmp_path / "broken.root"
    broken.write_bytes(content)
    settings = {"tree": "events", "columns": {"px": "Muon_Px[0]"}, "cut": "NMuon > 1"}
    same(read_all(RootReader(broken, **settings)), read_all(RootReader(HZZ, **settings)))
    with pytest.raises(ValueError, match=r"broken\.root.*damaged"):
        read_all(RootReader(broken, tree="events", columns={"x": "Jet_E[0]"}))


# --- there and back -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* have a missing value")
@pytest.mark.parametrize("distractors", [0.0, 0.7])
def test_written_events_come_back_bit_for_bit(tmp_path: Path, distractors: float) -> None:
    events = toy()
    folder = write_root(events, tmp_path / "grid", distractors=distractors, chunk=170)
    labels = ("phi_label", "omega_label")
    expected = by_label({n: events[n].values for n in (*labels, "phi_mass", "omega_mass")}, labels)
    reader = RootReader.fedhex(folder)
    same(by_label(read_all(reader), labels), expected)
    survey = reader.survey()
    assert survey.entries == pytest.approx(3000 * (1 + distractors), abs=20)
    assert (survey.cut > 0) == (survey.missing > 0) == (distractors > 0)
    from_paths = RootReader.fedhex(folder, labels={}, path=FEDHEX.folder)
    same(by_label(read_all(from_paths), labels), expected)


def test_single_precision_labels_are_the_decimals_they_stand_for(tmp_path: Path) -> None:
    """As in the production files: 9.025 from a float branch, from the path, and typed."""
    events = toy(900)
    step = np.array([0.25, 1.225, 9.025], np.float32)[np.arange(900) % 3]
    single = {"omega_label": ("event", step), "phi_label": ("event", np.full(900, 1870, "f4"))}
    folder = write_root(events.assign(single), tmp_path / "grid")
    assert (folder / "Phi_1870_omega_9p025").is_dir()
    got = read_all(RootReader.fedhex(folder))
    assert got["omega_label"].dtype == np.float64
    assert sorted(set(got["omega_label"].tolist())) == [0.25, 1.225, 9.025]
    same(read_all(RootReader.fedhex(folder, labels={}, path=FEDHEX.folder)), got)


def test_written_files_have_the_production_layout(tmp_path: Path) -> None:
    events = toy(200).assign(phi_label=("event", np.full(200, 1870.0)))
    events["omega_label"] = ("event", np.full(200, 9.025))
    write_root(events, tmp_path / "grid")
    path = tmp_path / "grid" / "Phi_1870_omega_9p025" / "events.root"
    tree = uproot.open(path)["Events"]
    types = {name: branch.typename for name, branch in tree.items()}
    assert types == {
        "nPhoton": "int32_t", "Photon_pt": "float[]",
        "nTwoProng": "int32_t", "TwoProng_massPi0": "float[]",
        "nGenPhi": "int32_t", "GenPhi_mass": "double[]",
        "nGenOmega": "int32_t", "GenOmega_mass": "double[]",
        "CBL_RecoPhi_mass": "float", "CBL_Region": "int32_t",
        "CBL_RecoPhi_photonindex": "int32_t", "CBL_RecoPhi_twoprongindex": "int32_t",
    }  # fmt: skip
    assert not list(tmp_path.glob(".*"))


@pytest.mark.filterwarnings("ignore:.* have a missing value")
def test_three_labels_and_three_columns_of_another_layout(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layout = Layout(
        tree="ntuple",
        columns=(
            Column(Variable("a", dtype="float64"), "A"),
            Column(Variable("b"), "B[2]"),
            Column(Variable("c"), "C[best]"),
        ),
        labels=tuple(Column(Parameter(n, dtype="float64"), n.upper()) for n in ("u", "v", "w")),
        folder="u{u}/v_{v}_w_{w}",
        cut="flag == 1",
        passing=(Range("flag", 1, 1, "int32"),),
        failing=(Range("flag", 0, 0, "int32"),),
    )
    table = np.array([(u, v, w) for u in (-1.5, 0.0) for v in (1.0, 2.25) for w in (1e-7, 3e10)])
    columns = dict(zip("uvw", table[rng.integers(0, 8, 500)].T, strict=True))
    columns |= {"a": rng.normal(size=500), "b": rng.normal(size=500).astype("f4")}
    columns["c"] = rng.normal(size=500).astype("f4")
    events = xr.Dataset({name: ("event", array) for name, array in columns.items()})
    folder = write_root(events, tmp_path / "grid", layout, distractors=0.3)
    reader = RootReader.of(folder, layout)
    expected = by_label(columns, ("u", "v", "w"))
    same(by_label(read_all(reader), ("u", "v", "w")), expected)
    paths = RootReader.of(folder, layout, labels={}, path=layout.folder)
    same(by_label(read_all(paths), ("u", "v", "w")), expected)


def test_chunks_do_not_change_what_is_read(tmp_path: Path) -> None:
    """1 MiB at a time, counted in one pass and read again in a second: the same events."""
    folder = write_root(toy(60_000, 1, 2), tmp_path / "grid", chunk=4000)
    whole = RootReader.fedhex(folder)
    small = RootReader.fedhex(folder, memory=2**20)
    chunks = list(small.chunks())
    assert len(chunks) > len(list(whole.chunks())) == 2
    assert max(len(chunk["phi_mass"]) for chunk in chunks) <= 2**20 // (8 * 8)
    same(read_all(small), read_all(whole))
    assert small.recipe().key == whole.recipe().key


def test_memory_is_bounded_by_the_setting(tmp_path: Path) -> None:
    """14 MB of uncompressed data, 1 MiB at a time."""
    folder = write_root(toy(200_000, 1, 1), tmp_path / "grid", chunk=5000)
    reader = RootReader.fedhex(folder, memory=2**20, min_events=0)
    chunks = reader.chunks()
    next(chunks)  # libraries are imported and the file's own description is read
    tracemalloc.start()
    try:
        events = sum(len(chunk["phi_mass"]) for chunk in chunks)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert events > 180_000
    assert peak < 6 * 2**20


@pytest.mark.filterwarnings("ignore:.* have a missing value")
def test_labels_with_few_events_are_dropped_and_said(tmp_path: Path) -> None:
    events = toy(1000, 2, 2).isel(event=slice(0, 1000))
    light = (events["phi_label"] < 100).values
    few = events.isel(
        event=np.sort(np.concatenate([np.flatnonzero(light)[:60], np.flatnonzero(~light)]))
    )
    folder = write_root(few, tmp_path / "grid", distractors=0.2)
    reader = RootReader.fedhex(folder)
    with pytest.warns(
        InputWarning, match="2 of 4 labels have fewer than min_events=150.*60 events"
    ):
        got = read_all(reader)
    assert set(got["phi_label"]) == {5410.0}
    assert len(got["phi_label"]) == 500


def test_invalid_values_are_dropped_with_a_count(tmp_path: Path) -> None:
    x = np.array([1.0, np.nan, -5.0, np.inf, 2.0])
    path = write_tree(tmp_path / "x.root", x=x, y=np.arange(5))
    reader = RootReader(
        path, tree="t", columns={Variable("x", lower=0.0): "x", "y": "y"}, invalid="drop"
    )
    with pytest.warns(InputWarning, match="3 of 5 events have a value that is not finite"):
        got = read_all(reader)
    assert got["x"].tolist() == [1.0, 2.0]
    assert got["y"].tolist() == [0.0, 4.0]
    assert reader.survey().invalid == 3


@pytest.mark.parametrize(
    ("pattern", "path", "labels"),
    [
        ("Phi_{phi}_omega_{omega}", "x/Phi_1870_omega_9p025/f.root", (1870.0, 9.025)),
        ("Phi_{phi}_omega_{omega}", "Phi_1_omega_2/Phi_3_omega_0p5_v2.root", (3.0, 0.5)),
        ("m{mass}", "m-1.5e3.root", (-1500.0,)),
        ("a_{a}/b_{b}", "q/a_7/b_1e-05/f.root", (7.0, 1e-5)),
        ("{a}", "run/0p25.root", (0.25,)),
    ],
)
def test_labels_in_paths(tmp_path: Path, pattern: str, path: str, labels: tuple[float]) -> None:
    file = RootFile(path, tmp_path / path)
    assert tuple(path_labels(pattern, file).values()) == labels


def test_path_labels_stand_in_expressions(tmp_path: Path) -> None:
    for mass in (10, 20):
        (tmp_path / f"m_{mass}").mkdir()
        write_tree(tmp_path / f"m_{mass}" / "f.root", x=np.arange(30.0))
    reader = RootReader(
        tmp_path, tree="t", columns={"r": "x / m"}, labels={"m": "m"}, path="m_{m}", cut="x > m"
    )
    got = read_all(reader)
    assert got["m"].tolist() == [10.0] * 19 + [20.0] * 9
    np.testing.assert_allclose(got["r"][:2], [1.1, 1.2], rtol=1e-6)


def test_a_single_file_takes_its_label_from_the_folder_around_it(tmp_path: Path) -> None:
    folder = write_root(toy(300, 2, 1), tmp_path / "grid")
    file = sorted(folder.rglob("*.root"))[0]
    got = read_all(RootReader.fedhex(file, labels={}, path=FEDHEX.folder, min_events=0))
    assert set(got["phi_label"]) == {5410.0}


# --- identity -----------------------------------------------------------------------------


def test_identity_is_content_and_settings_not_place(tmp_path: Path) -> None:
    folder = write_root(toy(400, 2, 1), tmp_path / "grid")
    key = RootReader.fedhex(folder).recipe().key
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "copy")
    assert RootReader.fedhex(moved).recipe().key == key
    assert RootReader.fedhex(moved, cut="CBL_Region == 1").recipe().key != key
    assert RootReader.fedhex(moved, min_events=7).recipe().key != key
    file = sorted(moved.rglob("*.root"))[0]
    file.write_bytes(file.read_bytes() + b"\0")
    assert RootReader.fedhex(moved).recipe().key != key


def test_order_of_files_is_fixed(tmp_path: Path) -> None:
    folder = write_root(toy(400, 2, 2), tmp_path / "grid")
    names = [file.name for file in RootReader.fedhex(folder).found]
    assert names == sorted(names)
    files = sorted(folder.rglob("*.root"))
    reader = RootReader.fedhex(files[::-1], min_events=0)
    assert [file.path for file in reader.found] == files[::-1]


def test_a_file_that_changes_while_in_use_is_noticed(tmp_path: Path) -> None:
    folder = write_root(toy(400, 1, 1), tmp_path / "grid")
    reader = RootReader.fedhex(folder)
    _ = reader.recipe()
    file = next(folder.rglob("*.root"))
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="was changed while it was in use"):
        read_all(reader)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from presage.studies.events.root import writer

    real, calls = writer._write_file, []

    def fails_late(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(writer, "_write_file", fails_late)
    with pytest.raises(OSError, match="No space"):
        write_root(toy(100), tmp_path / "grid")
    assert list(tmp_path.iterdir()) == []
