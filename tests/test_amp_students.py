"""Students: they start as their teacher, learn, go on, and play where their teacher played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from presage.batches import BatchError, Batches
from presage.batches.tables import Buffers
from presage.fitting import fit, load
from presage.generate import simulate
from presage.labels import LabelError
from presage.store import Store
from presage.studies.amp import (
    MEASURES,
    Aliasing,
    Campaign,
    Student,
    TeacherTones,
    TeacherWaves,
    ToneBatches,
    Training,
    compare,
    load_teacher,
    read_amplifier,
    read_original_tones,
    write_amplifier,
    write_original_tones,
)

TEACHERS = {"ts9": "rec.weight_ih_l0", "wavenet_tiny": "mix.weight"}


@pytest.fixture(scope="module", params=TEACHERS)
def batches(request: pytest.FixtureRequest, store: Store) -> ToneBatches:
    """Tones of a teacher that is driven hard, so that it aliases, as waves."""
    mild, ending = load_teacher(request.param), TEACHERS[request.param]
    weights = {n: a * (8 if n.endswith(ending) else 1) for n, a in mild.weights.items()}
    path = store.root / f"{request.param}.nam"
    write_amplifier(replace(mild, weights=weights), path)
    source = TeacherTones(path, lowest=80, highest=115)
    tones = simulate(source, 32, store=store, progress=False)
    return ToneBatches(tones, source.amplifier, warm_up=4000, length=6000)


def trained(batches: ToneBatches, store: Store | None, **settings: Any) -> Any:
    """Return a student after two epochs."""
    options = {"epochs": 2, "batch_size": 8, "learning_rate": 2e-3, "validation": 0.25}
    return fit(Student(segment=2500), batches, store=store, progress=False, **options | settings)


def test_a_student_starts_as_its_teacher(batches: ToneBatches) -> None:
    same = trained(batches, None, learning_rate=1e-12, epochs=1)
    assert same.amplifier.form == batches.teacher.form
    for name, array in batches.teacher.weights.items():
        assert np.allclose(same.amplifier.weights[name], array, rtol=1e-6, atol=1e-7), name


def test_a_student_learns_and_is_found_again(batches: ToneBatches, store: Store) -> None:
    student = trained(batches, store)
    before = trained(batches, None, learning_rate=1e-12, epochs=1).history["validation_loss"]
    assert float(student.history["validation_loss"][-1]) < float(before[-1])
    again = load(student.key, store)
    assert again.difference(student) == 0
    assert again.amplifier.sha256 == student.amplifier.sha256 != batches.teacher.sha256


def test_a_student_plays_where_its_teacher_did(
    batches: ToneBatches, store: Store, tmp_path: Path
) -> None:
    """Written in its teacher's format and read again it gives the same sound."""
    student = trained(batches, store)
    path = tmp_path / "student.nam"
    write_amplifier(student.amplifier, path)
    written = read_amplifier(path)
    network = written.network()
    assert written.rest["metadata"]["teacher"]["sha256"] == batches.teacher.sha256
    batch = next(iter(Batches(batches, 4, shuffle="none")))
    with torch.inference_mode():
        expected, _ = network(torch.as_tensor(np.array(batch["input"])))
    waves = xr.DataArray(np.array(batch["input"]), dims=("tone", "time"), attrs={"units": "1"})
    for options in ({}, {"along": "time", "length": 3001}):
        played = student.apply(xr.Dataset({"input": waves}), **options)["output"]
        assert played.dims == ("tone", "time")
        assert np.abs(played.values - expected.numpy()).max() < 1e-5


def test_segments_are_the_whole(store: Store) -> None:
    """Without steps between them, the losses of segments are those of their signals."""
    source = TeacherTones("lstm_tiny", lowest=60, highest=100)
    tones = simulate(source, 32, store=store, progress=False)
    batches = ToneBatches(tones, source.amplifier, warm_up=4000, length=6000)
    student = Student(esr=1.0, nmr=0.0, dc=0.0, segment=3000)
    prepared = student.prepare(batches.dataset)
    network = student.build(prepared.declaration)
    network.start_from(prepared.state)
    arrays = next(iter(Batches(batches, 8, shuffle="none")))
    batch = {name: torch.as_tensor(np.array(arrays[name])) for name in ("input", "target")}
    before = len(network.taps) - 1
    with torch.inference_mode():
        output, _ = network.amplifier(batch["input"])
        carry, found = None, []
        for _ in range(2):
            losses, carry = network.segment_loss(batch, carry)
            found.append(losses)
        assert carry is None
        for losses, start in zip(found, (4000, 7000), strict=True):
            part = slice(start - before, start + 3000)
            expected = network._losses(output[:, part], batch["target"][:, part])
            assert torch.allclose(losses, expected, rtol=1e-4)


def test_systems_are_compared(store: Store) -> None:
    """The teacher at its own rate is the reference; a student that is the teacher is level."""
    source = TeacherTones("lstm_tiny", bins=(205, 1500), levels=(-18.0, -6.0), precision="float64")
    tones = simulate(source, store=store, progress=False)
    drawn = simulate(
        TeacherTones("lstm_tiny", lowest=60, highest=100), 32, store=store, progress=False
    )
    batches = ToneBatches(drawn, source.amplifier, warm_up=4000, length=6000)
    same = trained(batches, store, learning_rate=1e-12, epochs=1)
    product = compare(tones, source.amplifier, {"student": same}, store, (1, 2), 0.5)
    assert product.sizes["system"] == 3
    for name in MEASURES:
        assert product[name].dims == ("system", "level", "frequency")
        assert product[name].attrs["units"] == "dB"
    student, teacher = product.sel(system="student"), product.sel(system="teacher")
    assert float(abs(student["alias_ratio"] - teacher["alias_ratio"]).max()) < 1.0
    assert float(student["harmonic_error"].max()) < -100  # the rounding of its weights
    # A line of the spectrum is the peak level of a sine.
    at = int(teacher["bin"][0])
    assert np.isfinite(product["spectrum"].values[..., at]).all()
    report = Aliasing(product)
    assert report.students == ["student"]
    assert list(report.table().index) == ["teacher", "teacher, 2× sample rate", "student"]
    assert report.verdict().startswith("student: good in")
    assert compare(tones, source.amplifier, {"student": same}, store, (1, 2), 0.5).identical(
        product
    )


def test_tones_of_the_original_are_written_and_read(batches: ToneBatches, tmp_path: Path) -> None:
    path = write_original_tones(batches, tmp_path / "tones.pt")
    x, y, frequency, level = torch.load(path, weights_only=True)[3]
    assert x.shape == y.shape == (10_000,)
    assert isinstance(frequency, float)
    rate = batches.teacher.sample_rate
    again = read_original_tones(path, rate)
    assert again["target"].dims == ("tone", "time")
    assert float(again["frequency"][3]) == frequency
    assert abs(float(x.abs().max()) - 10 ** (level / 20)) < 1e-3
    assert np.array_equal(again["target"][3], y)
    expected = next(iter(Batches(batches, batches.samples, shuffle="none")))
    assert np.array_equal(again["input"], expected["input"])
    both = torch.stack([x, y]).double()  # views of one storage, numbers as tensors
    torch.save(((both[0], both[1], torch.tensor(frequency), torch.tensor([-6])),), path)
    again = read_original_tones(path, rate)
    assert np.array_equal(again["target"][0], y)
    assert (again["frequency"].item(), again["level"].item()) == (np.float32(frequency), -6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"x": torch.zeros(3)}, "holds a dict, not a list"),
        ([], "not a list of"),
        ([(torch.zeros(3), torch.zeros(3), 440.0)], "sample 0 is no"),
        ([(torch.zeros(3), [0.0], 440.0, -6.0)], "x and y are tensors"),
        ([(torch.zeros(3), torch.zeros(3), "a", -6.0)], "f0 and dB are numbers"),
        ([(torch.zeros(3), torch.zeros(4), 440.0, -6.0)], "of one length"),
        ([(torch.zeros(3), torch.zeros(3), 44_100.0, -6.0)], "not all below"),
        ([(torch.full((3,), float("nan")), torch.zeros(3), 440.0, -6.0)], "not finite"),
        ([(torch.zeros(3), torch.zeros(3), 440.0, float("inf"))], "levels in decibel"),
        ([(torch.zeros(0), torch.zeros(0), 440.0, -6.0)], r"these have \[0\]"),
        ([(torch.zeros(3), torch.zeros(3), torch.zeros(2), -6.0)], "f0 and dB are numbers"),
        ([(torch.zeros(3), torch.zeros(3), 1j * torch.ones(1), -6.0)], "f0 and dB are numbers"),
        ([Path("x")], "nothing was run"),
    ],
)
def test_what_is_no_list_of_tones_is_refused(content: Any, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "tones.pt")
    with pytest.raises(LabelError, match=said):
        read_original_tones(tmp_path / "tones.pt")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Student(esr=-1.0), "at least 0"),
        (lambda: Student(esr=0.0, nmr=0.0, dc=0.0), "not all of them"),
        (lambda: Student(segment=100), "at least 2048"),
        (lambda: Training(nmr=(1.5,)), "weights from 0 to 1"),
        (lambda: Training(nmr=()), "weights from 0 to 1"),
        (lambda: Training().fit(xr.Dataset()), "trains on a campaign"),
        (lambda: Campaign(Store("."), config=3).amplifier, "JCM800, needs its file"),
    ],
)
def test_what_cannot_be_trained_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_a_wavenet_needs_a_warm_up_as_long_as_its_memory(store: Store) -> None:
    source = TeacherTones("wavenet_tiny", lowest=60, highest=100)
    tones = simulate(source, 32, store=store, progress=False)
    with pytest.raises(LabelError, match="warm_up should be at least"):
        trained(ToneBatches(tones, source.amplifier, warm_up=10, length=6000), None)


@pytest.fixture(scope="module")
def waves(batches: ToneBatches, store: Store) -> xr.Dataset:
    """Strings, sweeps and noise through the same teacher."""
    paths = store.root.glob("*.nam")
    path = next(p for p in paths if read_amplifier(p).sha256 == batches.teacher.sha256)
    return simulate(TeacherWaves(path, seconds=0.3), 8, store=store, progress=False)


def test_waves_stand_behind_the_tones(batches: ToneBatches, waves: xr.Dataset) -> None:
    """Tones are what they were, waves what is stored; the recipe knows both."""
    both = replace(batches, waves=waves)
    assert both.samples == batches.samples + 8
    total = both.warm_up + both.length
    for name in ("input", "target"):
        found = both.dataset[name]
        assert np.array_equal(found[:-8], batches.dataset[name])
        assert np.array_equal(found[-8:], waves[name][:, :total])
    order = np.array([batches.samples, 0, batches.samples + 7])  # whatever the order
    assert np.array_equal(both.gather(order, 0, Buffers())["input"], both.dataset["input"][order])
    fits = [trained(source, None, epochs=1, batch_size=16) for source in (batches, both)]
    assert fits[0].key != fits[1].key


def test_a_teacher_at_eight_times_its_rate_is_itself_but_for_aliases(
    batches: ToneBatches, waves: xr.Dataset
) -> None:
    """On low strings, which hardly alias, both say the same; a wave reaches its level."""
    network = batches.teacher.network()
    plain = network(torch.tensor(waves["input"].values))[0].detach().numpy()
    target = waves["target"].values
    settled = slice(6000, -200)  # after the start, before the end that is resampled with it
    error = np.square(plain - target)[:, settled].sum(1) / np.square(target)[:, settled].sum(1)
    low = (waves["frequency"].values < 400) & (np.arange(8) % 4 != 3)  # each fourth is noise
    assert low.any()
    assert (error[low] < 1e-3).all()
    peaks = np.abs(waves["input"]).max("time")
    np.testing.assert_allclose(peaks, waves["level"], rtol=1e-5)


def test_waves_that_do_not_belong_are_refused(batches: ToneBatches, waves: xr.Dataset) -> None:
    """Another teacher's, or too short for what is looked at."""
    with pytest.raises(BatchError, match="generate longer ones"):
        replace(batches, waves=waves, length=20_000)
    with pytest.raises(BatchError, match="samples of TeacherWaves"):
        replace(batches, waves=batches.tones)
    for seconds in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(LabelError, match="seconds of a wave"):
            TeacherWaves("ts9", seconds=seconds)
    other = load_teacher("lstm_tiny")
    with pytest.raises(BatchError, match="another teacher's tones"):
        replace(batches, teacher=other, waves=waves)
