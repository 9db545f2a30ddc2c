"""Files of one's own in a campaign: NumPy files, and descriptions in TOML."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from guides import examples, run
from presage.labels import LabelError, Parameter, Variable
from presage.store import Store
from presage.studies.events import Campaign, NumpyReader, RootReader
from presage.studies.events.described import read_description
from presage.studies.events.root.grammar import ARGUMENTS

MASSES, LABELS = ("m1", "m2"), ("l1", "l2")


def columns(n: int = 50) -> dict[str, np.ndarray]:
    """Events on a 4 × 4 grid."""
    rng = np.random.default_rng(0)
    labels = np.repeat([(a, b) for a in (1.0, 2.0, 3.0, 4.0) for b in (0.1, 0.2, 0.3, 0.4)], n, 0)
    masses = labels * rng.normal(1.0, 0.1, labels.shape)
    named = zip((*LABELS, *MASSES), (*labels.T, *masses.T), strict=True)
    return {name: np.ascontiguousarray(values) for name, values in named}


NUMPY = """
file = "own.npz"
invalid = "drop"
[columns]
phi_mass = "m1"
[columns.omega_mass]
column = "m2"
unit = "GeV"
lower = 0.0
follows = "omega_label"
[labels]
phi_label = "l1"
[labels.omega_label]
column = "l2"
unit = "GeV"
"""
ROOT = """
files = "own.root"
tree = "t"
[columns.mass]
expression = "m1 + m2"
[labels.l1]
unit = "GeV"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "own.npz", **columns())
    with uproot.recreate(tmp_path / "own.root") as file:
        file.mktree("t", dict.fromkeys(columns(), "f8")).extend(columns())
    (tmp_path / "numpy.toml").write_text(NUMPY)
    (tmp_path / "root.toml").write_text(ROOT)
    return tmp_path


def test_a_numpy_file_is_described(folder: Path) -> None:
    reader = read_description(folder / "numpy.toml")
    assert isinstance(reader, NumpyReader)
    assert reader.invalid == "drop"
    assert [v.title for v in reader.variables] == ["phi_mass", "omega_mass [GeV]"]
    (chunk,) = reader.chunks()
    np.testing.assert_array_equal(chunk["omega_mass"], columns()["m2"])


def test_root_files_are_described(folder: Path) -> None:
    reader = read_description(folder / "root.toml")
    assert isinstance(reader, RootReader)
    (chunk,) = reader.chunks()
    np.testing.assert_allclose(chunk["mass"], columns()["m1"] + columns()["m2"])
    np.testing.assert_array_equal(chunk["l1"], columns()["l1"])


def test_a_campaign_of_a_numpy_file(folder: Path) -> None:
    table = columns()
    np.save(
        folder / "fedhex.npy",
        {
            "data": np.stack([table["m1"], table["m2"] + 1.0], axis=1),
            "cond": np.stack([table["l1"], table["l2"]], axis=1),
        },
        allow_pickle=True,
    )
    for path in (folder / "fedhex.npy", folder / "numpy.toml"):
        campaign = Campaign(
            Store(folder / "store"), "numpy", str(path), n_events=0, interior=1, edge=1
        )
        assert campaign.make().sizes["event"] == 16 * 50
        assert len(campaign.held_out_labels) == 2
        assert campaign.train.sizes["event"] == 14 * 50
        assert campaign.floor is None


#: What is wrong → description, and what the error says.
WRONG: dict[str, tuple[str, str]] = {
    "no TOML": ("= 1", r"is not TOML"),
    "no files": ("tree = 't'", r"needs files = '\.\.\.', a folder.*or file = '\.\.\.' of NumPy"),
    "unknown setting": ("file = 'own.npz'\nwhitning = 'none'", r"did you mean 'whitening'\?"),
    "unknown setting of ROOT": ("files = 'own.root'\ntre = 't'", r"did you mean 'tree'\?"),
    "a layout of NumPy": ("file = 'own.npz'\nlayout = 'fedhex'", r"no setting 'layout'"),
    "unknown layout": ("files = 'own.root'\nlayout = 'fedhx'", r"did you mean 'fedhex'\?"),
    "unknown field": (
        "file = 'own.npz'\n[columns.a]\ncolum = 'm1'",
        r"columns\.a: no field 'colum'; did you mean 'column'\?",
    ),
    "no tables": ("file = 'own.npz'\ncolumns = 3", r"columns should be tables"),
    "wrong bounds": (
        "file = 'own.npz'\n[columns.a]\nlower = 2\nupper = 1",
        r"columns\.a: a: lower 2 is not below upper 1",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_descriptions(what: str, folder: Path) -> None:
    text, message = WRONG[what]
    (folder / "wrong.toml").write_text(text)
    with pytest.raises(LabelError, match=message):
        read_description(folder / "wrong.toml")


def test_no_description(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"there is no file .*none\.toml: a description"):
        read_description(tmp_path / "none.toml")


# --- the guide -----------------------------------------------------------------------------

GUIDE = Path(__file__).parents[1] / "docs" / "files.md"
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)


def write_tree(path: Path, tree: str, **branches: np.ndarray | list[list[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        types = {
            n: a.dtype if isinstance(a, np.ndarray) else "var * float32"
            for n, a in branches.items()
        }
        file.mktree(tree, types).extend(
            {n: a if isinstance(a, np.ndarray) else ak.Array(a) for n, a in branches.items()}
        )


@pytest.mark.filterwarnings("ignore:.* have a missing value")
def test_the_guide_s_descriptions_are_read(folder: Path) -> None:
    x = np.array([3.0, 4.0, 5.0], "f4")
    write_tree(folder / "grid/Phi_1870_omega_m0p5/a.root", "Events", mp=x, mo=x + 1)
    lists = [[1.0, 2.0]] * 3
    for year in (2023, 2024):
        write_tree(
            folder / f"runs/{year}/a.root", "ntuple", n_photons=np.ones(3, "i4"), eta=x / 10,
            p2=x * 0 + year - 2023, Muon_E=lists, photon_pt=[[7.0, 8.0], [9.0, 1.0], [-999.0, 2.0]],
            best_photon=np.array([1, 0, 0], "i4"), gen_mass=lists, **{"jet pt": x},
        )  # fmt: skip
    grid, runs, numpy_file = (read(folder, text) for text in EXAMPLES)
    assert {n: v.tolist() for n, v in grid.items()} == {
        "phi_label": [1870.0] * 3, "omega_label": [-0.5] * 3,
        "phi_mass": [3.0, 4.0, 5.0], "omega_mass": [4.0, 5.0, 6.0],
    }  # fmt: skip
    np.testing.assert_allclose(runs["mass"], [3.0, 3.0, 8**0.5, 8**0.5], rtol=1e-6)
    assert runs["photon_pt"].tolist() == [8.0, 9.0, 8.0, 9.0]
    assert runs["jet_pt"].tolist() == [3.0, 4.0, 3.0, 4.0]
    assert runs["true_mass"].tolist() == [1.0] * 4
    np.testing.assert_array_equal(numpy_file["omega_mass"], columns()["m2"])


def read(folder: Path, text: str) -> dict[str, np.ndarray]:
    (folder / "guide.toml").write_text(text, encoding="utf-8")
    chunks = list(read_description(folder / "guide.toml").chunks())
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def test_the_guide_names_every_setting() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    own = {f.name for kind in (RootReader, NumpyReader) for f in fields(kind)}
    declared = {f.name for kind in (Variable, Parameter) for f in fields(kind)}
    # Readers' columns have no further dimensions; ranges and gaps are other words for bounds.
    for name in (own | declared) - {"name", "dims", "gaps", "low", "high"}:
        assert re.search(rf"\b{name}\b", text), name
    for name in ARGUMENTS:
        assert re.search(rf"\b{name}\b", text), name


def test_another_layout_is_answered_with_a_description_that_works(tmp_path: Path) -> None:
    x = np.arange(3, dtype="f4")
    for phi in (1, 2):
        path = tmp_path / f"grid/Phi_{phi}_omega_0p5/a.root"
        write_tree(path, "tree", m=x + phi, event=np.arange(3) + 7, **{"jet pt": x})
    with pytest.raises(ValueError, match="2 of 2 files cannot be used:") as raised:
        Campaign(Store(tmp_path / "s"), "root", str(tmp_path / "grid/*/*.root")).make()
    assert 'files = "' + (tmp_path / "grid/*/*.root").as_posix() in str(raised.value)
    with pytest.raises(ValueError, match="it could begin so"):
        Campaign(Store(tmp_path / "s"), "root", str(tmp_path / "grid"), bad_files="skip").make()
    lines = [line[4:] for line in str(raised.value).splitlines() if line.startswith("    ")]
    assert 'path = "Phi_{Phi}_omega_{omega}"' in "\n".join(lines)
    got = read(tmp_path, "\n".join(lines))
    assert list(got) == ["Phi", "omega", "m", "jet_pt"]
    assert "# also there: event" in str(raised.value)
    assert str(raised.value).count("the same\n") == 1  # not a sentence for each file
    assert got["m"].tolist() == [1.0, 2.0, 3.0, 2.0, 3.0, 4.0]
    assert got["omega"].tolist() == [0.5] * 6


def test_labels_in_the_names_of_files_are_suggested(tmp_path: Path) -> None:
    for mass in (800, 1200):
        write_tree(tmp_path / f"scan/m{mass}_w30.root", "reco", x=np.ones(3, "f4") * mass)
    with pytest.raises(ValueError, match="could begin so") as raised:
        Campaign(Store(tmp_path / "s"), "root", str(tmp_path / "scan")).make()
    lines = [line[4:] for line in str(raised.value).splitlines() if line.startswith("    ")]
    got = read(tmp_path, "\n".join(lines).replace("# path", "path"))
    assert list(got) == ["m", "w", "x"]
    assert got["m"].tolist() == got["x"].tolist()


def test_the_guide_s_python_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As written, but for the numbers of events and steps."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for a in (200, 300, 350, 400):
        for h in (600, 800, 1000):
            x, y = rng.normal(a, 9, 120).astype("f4"), rng.normal(h, 9, 120).astype("f4")
            write_tree(tmp_path / f"grid/mA{a}_mH{h}/a.root", "Events", x=x, y=y)
    (tmp_path / "grid.toml").write_text(
        'files = "grid"\npath = "mA{mA}_mH{mH}"\n[columns]\nx = "x"\ny = "y"\n', "utf-8"
    )
    example, *_ = examples(GUIDE)
    names: dict[str, Any] = {}
    small = "SplineFlow(hidden=(8,), bins=4), train, epochs=1,"
    run(example, {"100_000": "300", "SplineFlow(), train,": small}, names)
    sources = set(names["results"].dataset["source"].values)
    assert {"flow", "morphing", "nearest", "floor"} <= sources
    assert (tmp_path / "residual.pdf").read_bytes().startswith(b"%PDF")
    written = uproot.open(tmp_path / "new.root")["Events"].arrays(library="np")
    assert written["mA"].tolist() == [350.0] * 300
    np.testing.assert_array_equal(written["x"], names["new"]["x"])


def test_paths_in_a_description(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("MINE", str(folder))
    for files in ("own.root", "*.root", "~/own.root", "$MINE/own.root", "./elsewhere/../own.root"):
        assert len(read(folder, ROOT.replace("own.root", files))["mass"]) == 800
    with pytest.raises(ValueError, match=r"root://x//a\.root: .*not over a network"):
        read(folder, ROOT.replace("own.root", "root://x//a.root"))
    with pytest.raises(LabelError, match="a setting is of another type"):
        read(folder, 'min_events = "many"\n' + ROOT)
