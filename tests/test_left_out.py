"""What of a user's files is not in a dataset: counted, said, and kept in its attributes."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import uproot

from presage.emulation.split import unique_labels
from presage.generate import simulate
from presage.inputs import InputWarning, LeftOut
from presage.labels import LabelError, Parameter, Variable
from presage.pipeline.execute import _Progress
from presage.pipeline.steps import Notebook
from presage.simulator import Reader
from presage.store import Store, StoreError
from presage.studies.events import Campaign


@dataclass(frozen=True)
class Toy(Reader):
    """Ten events of five labels; a sixth file could not be read."""

    fails: bool = False
    name: ClassVar[str] = "toy-reader"
    parameters: ClassVar[Any] = (Parameter("g", dtype="float64"),)
    variables: ClassVar[Any] = (Variable("x"),)

    def chunks(self) -> Generator[dict[str, np.ndarray], None, LeftOut]:
        for g in range(5):
            yield {"g": np.full(2, float(g)), "x": np.arange(2, dtype="f4")}
        if self.fails:
            raise OSError("the disk is gone")
        left_out = LeftOut("10 of 12 events", ("one file is bad",))
        left_out.warn()
        return left_out


def said(source: Reader, store: Store, n: int | None = None) -> tuple[list[str], str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = simulate(source, n, store=store, progress=False)
    return [str(w.message) for w in caught], data.attrs["presage_left_out"]


def test_it_is_said_kept_and_said_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(2):  # read, then found
        assert said(Toy(), store) == (["one file is bad"], "10 of 12 events; one file is bad")
    cut = (
        "only the first 5 of 10 samples of toy-reader are used, as asked for, and 2 of 5 labels "
        "are left out altogether"
    )
    for _ in range(2):
        told, attribute = said(Toy(), store, 5)
        assert told == ["one file is bad", cut]
        assert attribute == f"10 of 12 events; one file is bad; {cut}"
    with pytest.raises(LabelError, match=r"holds 10 samples, 11 were asked for; .*n_events=0"):
        said(Toy(), store, 11)


def test_what_was_read_in_part_is_not_taken_for_all(tmp_path: Path) -> None:
    from presage.generate.reading import read_back

    with pytest.raises(OSError, match="gone"):
        simulate(Toy(fails=True), store=Store(tmp_path), progress=False)
    with pytest.raises(StoreError, match="toy-reader was not read to its end"):
        read_back(Toy(fails=True), None, Store(tmp_path))


DESCRIPTION = """
files = "grid"
path = "Phi_{phi}_omega_{omega}"
[columns]
x = "x"
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """4 × 4 labels of 10 events, and one file that is empty."""
    for phi in range(1, 5):
        for omega in range(1, 5):
            folder = tmp_path / "grid" / f"Phi_{phi}_omega_{omega}"
            folder.mkdir(parents=True)
            with uproot.recreate(folder / "a.root") as file:
                file.mktree("Events", {"x": "f4"}).extend({"x": np.arange(10, dtype="f4") + phi})
    (tmp_path / "own.toml").write_text(DESCRIPTION)
    return tmp_path


def test_by_default_a_campaign_takes_all_that_files_hold(grid: Path) -> None:
    given = {"source": "root", "path": str(grid / "own.toml"), "interior": 1, "edge": 1}
    whole = Campaign(Store(grid / "store"), **given).make()
    assert unique_labels(whole).sizes["label"] == 16
    campaign = Campaign(Store(grid / "store"), n_events=95, **given)
    with pytest.warns(InputWarning, match="only the first 95 of 160 .* 6 of 16 labels are left"):
        campaign.make()
    assert "6 of 16 labels" in campaign.events.attrs["presage_left_out"]
    with pytest.raises(LabelError, match=r"hold out fewer \(interior=0; -p interior 0\)"):
        _ = Campaign(Store(grid / "store"), **{**given, "interior": 9}).held_out_labels
    with pytest.raises(LabelError, match="n_events=0"):
        Campaign(Store(grid / "store"), n_events=1000, **given).make()
    assert Campaign(Store(grid / "store"))._wanted == 48_500


def test_bad_files_are_skipped_from_a_campaign(grid: Path) -> None:
    (grid / "grid" / "Phi_4_omega_4" / "b.root").touch()
    given = {"source": "root", "path": str(grid / "own.toml"), "interior": 1, "edge": 1}
    with pytest.raises(ValueError, match=r"1 of 17 files cannot be used"):
        Campaign(Store(grid / "store"), **given).make()
    with pytest.warns(InputWarning, match=r"1 file\(s\) cannot be used .*b\.root: the file is emp"):
        events = Campaign(Store(grid / "store"), bad_files="skip", **given).make()
    assert events.sizes["event"] == 160
    (grid / "own.toml").write_text('bad_files = "skip"\n' + DESCRIPTION)
    with pytest.warns(InputWarning, match="cannot be used"):
        again = Campaign(Store(grid / "store"), **given).make()
    assert again.attrs["presage_key"] == events.attrs["presage_key"]
    with pytest.raises(LabelError, match="no bad_files 'skipp'; did you mean 'skip'"):
        _ = Campaign(Store(grid), bad_files="skipp").producer


def test_a_notebook_s_warnings_stay_on_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    progress = _Progress(Notebook("1_generate", tmp_path, (), {}), 3, enabled=False)
    line = "/tmp/ipykernel_7/12.py:3: InputWarning: 4 of 16 labels\n  events = make()\n"
    for _ in range(2):
        progress.write(line)
    progress.write("/x/y.py:8: DeprecationWarning: old\n  code()\n 3/7 [00:01]")
    assert capfd.readouterr().err.splitlines() == ["1_generate: InputWarning: 4 of 16 labels"]
