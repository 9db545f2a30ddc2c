"""Tones on a prime period: no leakage, known folding, settled teachers, measures, batches."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from presage.batches import BatchError, Batches
from presage.generate import simulate
from presage.labels import LabelError
from presage.models.fitted import FitError
from presage.store import Store
from presage.studies import rebuild
from presage.studies.amp import (
    AmplifierError,
    Ear,
    Judge,
    TeacherTones,
    TeacherWaves,
    ToneBatches,
    ToneGrid,
    load_teacher,
    rebuilt,
    steady,
    windowed_harmonics,
    write_amplifier,
)

GRID = ToneGrid()
BINS = GRID.nearest([55.0, 440.0, 1234.0, 5000.0, 11_000.0])
ONES = np.ones(len(BINS))


def ratio(part: Any, whole: Any) -> float:
    """Return energy over energy in decibel."""
    return float(10 * np.log10(np.sum(np.abs(part) ** 2) / np.sum(np.abs(whole) ** 2) + 1e-300))


def test_a_sine_has_no_aliases() -> None:
    spectrum = GRID.spectrum(GRID.sines(BINS, 0.5 * ONES, 0.3 * ONES))
    harmonic = GRID.is_harmonic(BINS)
    for one, where in zip(spectrum, harmonic, strict=True):
        assert ratio(one[1:][~where[1:]], one[where]) < -200
        assert abs(2 * abs(one[where][0]) - 0.5) < 1e-12


@pytest.mark.parametrize("frequency", [1000.3, 3333.3, 9876.5])
def test_a_windowed_sine_has_next_to_none(frequency: float) -> None:
    wave = 0.5 * np.sin(2 * np.pi * ((np.arange(44_100) * frequency / 44_100) % 1) + 0.3)
    mean, harmonics = windowed_harmonics(wave, frequency, 44_100)
    again = rebuilt(mean, harmonics, frequency, 44_100, len(wave))
    assert ratio(wave - again, again) < -110


def test_folding_of_a_polynomial_is_known() -> None:
    """x**5 of a cosine has lines at 1, 3 and 5 times it; those beyond the top fold back."""
    bins = GRID.nearest([2000.0, 6000.0, 9000.0, 15_000.0])
    wave = GRID.sines(bins, np.ones(4), np.full(4, np.pi / 2))
    spectrum = GRID.spectrum(wave**5 + 0.25)
    for k, found in zip(bins, spectrum, strict=True):
        expected = np.zeros_like(found)
        expected[0] = 0.25
        for order, amplitude in ((1, 10 / 16), (3, 5 / 16), (5, 1 / 16)):
            at = order * k % GRID.period
            expected[min(at, GRID.period - at)] += amplitude / 2
        assert np.abs(found - expected).max() < 1e-10


def test_both_methods_agree_on_harmonics() -> None:
    teacher = load_teacher("ts9")
    bins = GRID.nearest([997.0, 2500.0])
    level, phase = np.full(2, 0.5), np.zeros(2)
    network = teacher.network(torch.float64)
    exact = GRID.spectrum(steady(network, GRID, bins, level, phase).waves)
    with torch.inference_mode():
        waves, _ = network(torch.as_tensor(GRID.sines(bins, level, phase, 3 * 8191 + 32_768)))
    for k, one, wave in zip(bins, exact, waves.numpy(), strict=True):
        frequency = float(GRID.frequency(k))
        _, found = windowed_harmonics(wave[3 * 8191 :], frequency, 44_100)
        assert ratio(found - one[k::k], found) < -90


@pytest.mark.parametrize("name", ["ts9", "lstm_tiny", "wavenet_tiny"])
def test_a_teacher_is_settled(name: str) -> None:
    """A further period of the tone changes nothing; float32 is as good as its rounding."""
    teacher = load_teacher(name)
    grid = ToneGrid(teacher.sample_rate)
    network = teacher.network(torch.float64)
    found = steady(network, grid, BINS, 0.5 * ONES, 0 * ONES)
    assert found.drift.max() < 1e-10
    with torch.inference_mode():
        longer, _ = network(torch.as_tensor(grid.sines(BINS, 0.5 * ONES, 0 * ONES, 6 * 8191)))
    assert ratio(longer[:, -8191:].numpy() - found.waves, found.waves) < -100
    single = steady(teacher.network(), grid, BINS, 0.5 * ONES, 0 * ONES)
    assert ratio(single.waves - found.waves, found.waves) < -100


@pytest.mark.parametrize("name", ["ts9", "wavenet_tiny"])
def test_oversampling_leaves_harmonics_and_takes_aliases(name: str) -> None:
    teacher = load_teacher(name)
    grid = ToneGrid(teacher.sample_rate)
    network = teacher.network(torch.float64)
    level = 0.5 * ONES[2:]
    judge, ratios = None, []
    for factor in (1, 2, 4, 8):
        answer = steady(network, grid, BINS[2:], level, 0 * level, factor)
        spectrum = grid.spectrum(answer.waves)
        judge = judge or Judge(grid, BINS[2:], grid.limited(BINS[2:], spectrum))
        measured = judge.measure(spectrum)
        ratios.append(measured["alias_ratio"].mean())
        assert measured["harmonic_error"].max() < -200
    assert all(np.diff(ratios) < 0), ratios


def test_noise_to_mask_grows_with_what_is_added() -> None:
    ear, time = Ear(44_100), torch.arange(8192, dtype=torch.float64) / 44_100
    tone = 0.25 * torch.sin(2 * np.pi * 1000 * time)[None]
    added = torch.sin(2 * np.pi * 7300 * time)
    found = [10 * torch.log10(ear(tone + a * added, tone)) for a in (1e-6, 1e-4, 1e-2, 1e-1)]
    assert 10 * torch.log10(ear(tone, tone) + 1e-300) < -100
    assert all(b > a + 15 for a, b in pairwise(found))
    hidden = ear(tone + 1e-3 * torch.sin(2 * np.pi * 1050 * time), tone)
    assert hidden < 0.1 * ear(tone + 1e-3 * added, tone)  # beside the tone it is masked


def test_excitation_spreads_band_by_band() -> None:
    """The series that the ear adds up are those of a loop over pairs of bands."""
    ear, count = Ear(48_000), 109
    for level in (1e-3, 1e4, 1e14):  # of the last the slopes rise
        given = level * 10 ** np.random.default_rng(0).uniform(-4, 0, count)
        slopes = np.exp(ear.upward.numpy()) * given**0.05
        expected = np.zeros(count)
        for band, (energy, slope) in enumerate(zip(given, slopes, strict=True)):
            below = 10 ** (-0.675 * np.arange(band, 0, -1))
            share = np.concatenate([below, slope ** np.arange(count - band)])
            expected += (energy * share / share.sum()) ** 0.4
        found = ear._spread(torch.as_tensor(given)).numpy()
        np.testing.assert_allclose(found, expected**2.5, rtol=1e-10)


def test_more_tones_are_appended_and_the_teacher_is_known(store: Store, tmp_path: Path) -> None:
    source = TeacherTones("lstm_tiny")
    few = simulate(source, 40, store=store, progress=False).load()
    more = simulate(source, 80, store=store, progress=False)
    whole = simulate(source, 80, store=Store(tmp_path), progress=False)
    for name in whole.data_vars:
        assert np.array_equal(more[name], whole[name]), name
    assert np.array_equal(few["mean"], whole["mean"][:40])
    recipe = source.recipe()
    assert recipe.fields["teacher"] == load_teacher("lstm_tiny").sha256
    assert recipe.key != TeacherTones("ts9").recipe().key
    held = [*source.grid.held_out(), *source.grid.validation()]
    assert not np.isin(whole["bin"], held).any()
    assert whole["frequency"].dtype == whole["phase"].dtype == np.float64
    size = sum(f.stat().st_size for f in Path(store.root).rglob("shard-*.nc"))
    assert size < 80 * 2000 + 60_000  # the header is 20 kB a file


def test_fixed_tones_are_those_that_were_asked_for(store: Store) -> None:
    source = TeacherTones("lstm_tiny", bins=(41, 207), levels=(-18.0, -6.0))
    tones = simulate(source, store=store, progress=False)
    assert tones["bin"].values.tolist() == [41, 41, 207, 207]
    assert np.allclose(20 * np.log10(tones["level"]), [-18, -6, -18, -6])
    validation = TeacherTones("lstm_tiny", validation=True)
    same = replace(validation, validation=False, bins=tuple(validation.grid.validation().tolist()))
    assert same.recipe().key == validation.recipe().key


def test_batches_are_the_band_limited_answers(store: Store) -> None:
    source = TeacherTones("lstm_tiny", bins=(205, 1500), levels=(-6.0,), precision="float64")
    tones, teacher = simulate(source, store=store, progress=False), source.amplifier
    batches = ToneBatches(tones, teacher, warm_up=100, length=10_000)
    batch = next(iter(Batches(batches, 2, shuffle="none")))
    grid, bins = source.grid, np.array([205, 1500])
    level = 10 ** (-6 / 20) * np.ones(2)
    sines = grid.sines(bins, level, np.zeros(2), 10_100)
    assert np.abs(batch["input"] - sines).max() < 1e-6
    spectrum = grid.spectrum(
        steady(teacher.network(torch.float64), grid, bins, level, 0 * level).waves
    )
    limited = grid.waves(grid.limited(bins, spectrum))
    assert np.abs(batch["target"] - np.tile(limited, 2)[:, :10_100]).max() < 1e-6


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"teacher": "ts10"}, "did you mean"),
        ({"teacher": "nowhere/amp.json"}, "no weight file"),
        ({"config": 8}, "no configuration 8: there are 0 Mesa"),
        ({"config": 0}, "needs its file: MesaMiniRec_HighGain_DirectOut.json"),
        ({"config": 2, "teacher": "lstm_tiny"}, "Vox AC15 is of the kind WaveNet at 48000 Hz"),
        ({"config": 0, "teacher": "lstm_tiny"}, "at 44100 Hz, this file LSTM at 48000"),
        ({"levels": (float("-inf"),)}, "silence, which has no harmonics"),
        ({"levels": (-6.0, 3.0)}, "0 or below"),
        ({"bins": (4096,)}, "below half the sample rate"),
        ({"bins": (0,)}, "bins are from 1"),
        ({"highest": 140.0}, "tones up to 26580 Hz are drawn or held out; this teacher, for 44100"),
        ({"lowest": 60.0, "highest": 50.0}, "lowest is a note below highest"),
        ({"precision": "float16"}, "float32 or float64"),
        ({"period": 8192}, "odd prime"),
    ],
)
def test_what_cannot_be_a_tone_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises((LabelError, AmplifierError), match=said):
        TeacherTones(**settings).recipe()


def test_a_teacher_that_never_settles_is_refused(store: Store) -> None:
    """Nothing of it is published, and what was made before is still there."""
    teacher = load_teacher("ts9")
    wild = {name: array * 40 for name, array in teacher.weights.items()}
    source = TeacherTones("ts9")
    simulate(source, 64, store=store, progress=False)
    broken = TeacherTones("ts9")
    broken.__dict__["amplifier"] = replace(teacher, weights=wild)
    with pytest.raises(LabelError, match="does not settle"):
        simulate(broken, 64, store=store, progress=False)
    assert store.samples(source.recipe()) == 64
    assert store.samples(broken.recipe()) == 0


def test_a_teacher_that_answers_with_nothing_is_refused(store: Store) -> None:
    teacher = load_teacher("wavenet_tiny")
    for factor, said in ((0.0, "answers with silence"), (1e37, "numbers that are not finite")):
        source = TeacherTones("wavenet_tiny", device="cpu")
        weights = {name: array * factor for name, array in teacher.weights.items()}
        source.__dict__["amplifier"] = replace(teacher, weights=weights)
        with pytest.raises(LabelError, match=said):
            simulate(source, 8, store=store, progress=False)
    slow = replace(teacher, sample_rate=8000.0, rest={})
    path = write_amplifier(slow, store.root / "slow.nam")
    with pytest.raises(LabelError, match="a teacher for more than 25088 Hz"):
        TeacherTones(path)
    with pytest.raises(FitError, match="device is 'auto'"):
        simulate(TeacherTones("wavenet_tiny", device="gpu"), 8, store=store, progress=False)


@pytest.mark.parametrize(
    "source",
    [
        TeacherTones("lstm_tiny", lowest=40),
        TeacherTones("ts9", validation=True),
        TeacherWaves("wavenet_tiny", seconds=0.5),
    ],
)
def test_a_recipe_finds_a_teacher_that_comes_along(source: Any) -> None:
    recipe = source.recipe(3)
    assert rebuild(recipe).recipe(3).key == recipe.key
    other = replace(recipe, fields={**recipe.fields, "teacher": "0" * 64})
    with pytest.raises(ValueError, match="none that comes along has this one"):
        rebuild(other)


def test_another_teachers_tones_are_refused(store: Store) -> None:
    tones = simulate(TeacherTones("lstm_tiny"), 40, store=store, progress=False)
    with pytest.raises(BatchError, match="another teacher's tones"):
        ToneBatches(tones, load_teacher("ts9"))
