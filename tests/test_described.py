"""Files of one's own in a campaign: NumPy files, and descriptions in TOML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot

from presage.labels import LabelError
from presage.store import Store
from presage.studies.events import Campaign, NumpyReader, RootReader
from presage.studies.events.described import read_description

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
    "no TOML": ("= 1", r"cannot be read as TOML"),
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
    with pytest.raises(LabelError, match=r"none\.toml cannot be read"):
        read_description(tmp_path / "none.toml")
