"""Amplifier models: the cache of tones, and students trained and measured within a time budget.

``amp.cache`` times building the cache and reading epochs from it, beside what the original does for
each tone: 1.2 s through the teacher, harmonics by a window, the answer rebuilt. Times are those of
the processor, of one thread, so that a busy machine hardly changes them.

``amp.students`` is for a GPU that is lent for a quarter of an hour, and runs on a processor too
(``--size small``): tones, a student for an LSTM and one for a WaveNet, and how each compares with
its teacher on held-out tones and signals. It trains for as long as leaves time to measure, and
writes tables (Markdown and JSON) and the students' weight files to the folder ``--report``.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch

from benchmarks.core import Result, machine
from presage.batches import Batches
from presage.generate import simulate
from presage.models.threads import one_thread
from presage.rng import SIMULATION, generator
from presage.store import Store
from presage.studies.amp import (
    LSTM,
    Aliasing,
    Amplifier,
    Campaign,
    FittedStudent,
    TeacherTones,
    ToneBatches,
    Training,
    compare,
    steady,
    windowed,
    windowed_harmonics,
    write_amplifier,
)
from presage.studies.amp.evaluation import FACTORS
from presage.studies.amp.report import SHOWN

#: Of the original: samples of each tone, those of them that are looked at, and seconds.
_SAMPLES, _LOOKED_AT, _SECONDS = 52_920, 44_100, 1.2

# -- the cache ------------------------------------------------------------------------------

#: Size → tones of the cache; those that are made one at a time.
_TONES = {"small": 64, "full": 512}
_SINGLE = {"small": 4, "full": 32}
_BATCH = 16
_ROUNDS = {"small": 1, "full": 3}


def cache(size: str, folder: Path, teacher: str = "") -> list[Result]:
    """Time the cache of an LSTM (`teacher`, else 40 units at random) and of a standard WaveNet."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"LSTM": teacher or str(_at_random(folder / "lstm.json")), "WaveNet": "wavenet"}
    with one_thread():
        found = {name: _Cache(file, size, folder / name) for name, file in files.items()}
        results = [result for name, one in found.items() for result in one.results(name)]
        ratio = found["WaveNet"].epoch / found["LSTM"].epoch
    note = f"{found['WaveNet'].tones.sizes['tone']} tones, batches of {_BATCH}"
    text = "amp_cache/epoch, WaveNet's tones over LSTM's"
    return [*results, Result(text, ratio, "×", 1.2, most=True, note=note)]


def _at_random(path: Path) -> Path:
    """Write a 40-unit LSTM with weights as torch draws them."""
    rng, architecture = np.random.default_rng(0), LSTM(40)
    weights = {
        name: rng.uniform(-1, 1, shape) / math.sqrt(40) * (name not in ("hidden", "cell"))
        for name, shape in architecture.shapes().items()
    }
    return write_amplifier(Amplifier(architecture, weights, 44_100.0, "simple_rnn"), path)


class _Cache:
    """The tones of one teacher, made and read in several ways; seconds are those of a tone."""

    def __init__(self, teacher: str, size: str, folder: Path) -> None:
        self.source = TeacherTones(teacher, device="cpu")
        self.rate = self.source.grid.sample_rate
        self.single, self.rounds = _SINGLE[size], _ROUNDS[size]
        self.store = Store(folder)
        self.tones = simulate(self.source, _TONES[size], store=self.store, progress=False)

    def results(self, name: str) -> list[Result]:
        """Return what was measured."""
        built, audio, count = self._built()
        whole = self._whole()
        bytes_each = sum(p.stat().st_size for p in self.store.root.rglob("*") if p.is_file())
        bytes_each /= self.tones.sizes["tone"]
        target, forward = (self._loader(with_target) / self.epoch for with_target in (True, False))
        at, fast = f"amp_cache/{name}: ", 20.0 if name == "LSTM" else None
        note = f"{count} tones, float32, one thread"
        single = (
            f"{self.single} tones of 1.2 s, {1e3 * whole:.0f} ms each, cached {1e3 * built:.0f}"
        )
        epoch = f"{1e3 * self.epoch:.2f} ms a tone from the cache"
        return [
            Result(f"{at}audio computed", audio / built, "× real time", fast, note=note),
            Result(f"{at}1.2 s a tone", _SECONDS / built, "× real time", fast, note=note),
            Result(f"{at}on disk", bytes_each, "bytes a tone", 2048, most=True,
                   note=f"{self.tones.sizes['tone']} tones, recipe and hashes included"),
            Result(f"{at}one at a time, windowed, float64", whole / built, "× slower", 10,
                   note=single),
            Result(f"{at}epoch with teacher and window in the loader", target, "× slower", 5,
                   note=epoch),
            Result(f"{at}epoch with the teacher in the loader", forward, "× slower", note=epoch),
        ]  # fmt: skip

    def _built(self) -> tuple[float, float, int]:
        """Return seconds to build a tone, the seconds of audio it took, and of how many tones."""
        source, count = self.source, self.tones.sizes["tone"]
        theta = {name: self.tones[name].values for name in ("frequency", "level", "phase")}
        blocks = [slice(at, at + source.block_size) for at in range(0, count, source.block_size)]
        rng = generator(source.name, 0, 0, SIMULATION)
        network = source.amplifier.network()
        samples = 0
        for block in blocks:
            bins, *rest = (self.tones[name].values[block] for name in ("bin", "level", "phase"))
            samples += _samples(source, steady(network, source.grid, bins, *rest).periods)

        def build() -> None:
            for block in blocks:
                source.simulate({name: array[block] for name, array in theta.items()}, rng)

        built = _fastest(build, self.rounds) / count
        return built, samples / self.rate / count, count

    def _whole(self) -> float:
        """Return seconds of a tone by itself, as the original makes it, in float64."""
        network = self.source.amplifier.network(torch.float64)

        def make() -> None:
            for wave, frequency in self._waves(slice(self.single)):
                _limited(network, wave[np.newaxis], [frequency], self.rate)

        return _fastest(make, self.rounds) / self.single

    @cached_property
    def epoch(self) -> float:
        """Seconds of a tone in an epoch from the cache, as long as the original's."""
        waves = _SAMPLES - _LOOKED_AT, _LOOKED_AT
        batches = ToneBatches(self.tones, self.source.amplifier, *waves)
        loader = Batches(batches, _BATCH)
        return _fastest(lambda: [None for _ in loader], self.rounds) / batches.samples

    def _loader(self, with_target: bool) -> float:
        """Return seconds of a tone where a loader asks the teacher, in float32."""
        network = self.source.amplifier.network()

        def make() -> None:
            waves, frequencies = zip(*self._waves(slice(_BATCH)), strict=True)
            if with_target:
                _limited(network, np.array(waves), frequencies, self.rate)
            else:
                _answers(network, np.array(waves))

        return _fastest(make, self.rounds) / _BATCH

    def _waves(self, which: slice) -> Iterator[tuple[Any, float]]:
        """Yield sines as long as the original's, and their frequencies."""
        time_axis = np.arange(_SAMPLES) / self.rate
        columns = (self.tones[name].values[which] for name in ("frequency", "level", "phase"))
        for frequency, level, phase in zip(*columns, strict=True):
            yield level * np.sin(2 * np.pi * frequency * time_axis + phase), float(frequency)


@torch.inference_mode()
def _answers(network: Any, waves: Any) -> Any:
    weight = next(network.parameters())
    return network(torch.as_tensor(waves, dtype=weight.dtype))[0].numpy()


def _limited(network: Any, waves: Any, frequencies: Any, rate: float) -> None:
    """Make band-limited answers as the original does: harmonics read once, and rebuilt."""
    looked_at = _answers(network, waves)[:, -_LOOKED_AT:]
    with mock.patch.object(windowed, "_READINGS", 1):  # which ends with the answer rebuilt
        for wave, frequency in zip(looked_at, frequencies, strict=True):
            windowed_harmonics(wave, frequency, rate)


def _samples(source: TeacherTones, periods: Any) -> int:
    """Return how many samples a teacher was driven for, so that its tones were settled."""
    field = source.amplifier.architecture.receptive_field
    if field:
        return int(len(periods) * (source.period + field - 1))
    return int(source.period * (2 * periods - periods.min()).sum())  # 3, and again 6, 12, ...


def _fastest(action: Callable[[], Any], rounds: int) -> float:
    """Return the least processor time of an action, after it was done once."""
    action()
    took = []
    for _ in range(rounds):
        began = time.process_time()
        action()
        took.append(time.process_time() - began)
    return min(took)


# -- students -------------------------------------------------------------------------------

#: Minutes that all takes, where none are given.
_MINUTES = {"small": 6.0, "full": 13.0}
#: Share of the time that tones are made in, and no more after it.
_TONES_SHARE = 0.25
#: Share of the time left that a training plans with, and of what measuring takes more than thought.
_SHARE, _RESERVE = 0.95, 1.3
#: On a GPU a step takes about as long for hundreds of tones as for one.
_GPU = {
    "LSTM": {"batch_size": 256, "segment": 2205, "learning_rate": 4e-3, "nmr": (0.1, 0.25, 0.5)},
    "WaveNet": {"batch_size": 64, "nmr": (0.25, 0.5)},
}


@dataclass(frozen=True)
class _Plan:
    """What is trained: preset and teacher; tones, factors and most epochs, 0 for what fits."""

    preset: str
    teacher: str = ""
    n_tones: int = 0
    factors: tuple[int, ...] = FACTORS
    epochs: int = 0


_PLANS = {
    "small": {
        "LSTM": _Plan("quick", "ts9", 256, (1, 2), 2),
        "WaveNet": _Plan("quick", "wavenet_tiny", 256, (1, 2), 2),
    },
    "full": {"LSTM": _Plan("full_lstm"), "WaveNet": _Plan("full")},
}


def students(
    size: str,
    folder: Path,
    teacher: str = "",
    device: str = "auto",
    minutes: float = 0.0,
    report: Path = Path("amp_students"),
) -> list[Result]:
    """Train and measure a student of an LSTM (`teacher`, else the study's) and of a WaveNet."""
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    report.mkdir(parents=True, exist_ok=True)
    plans = dict(_PLANS[size])
    if teacher:
        plans["LSTM"] = replace(plans["LSTM"], teacher=teacher)
    results: list[Result] = []
    end = time.monotonic() + 60 * (minutes or _MINUTES[size])
    for number, (name, plan) in enumerate(plans.items()):
        until = time.monotonic() + (end - time.monotonic()) / (len(plans) - number)
        results += _Pupil(name, plan, device, Store(folder / name)).results(until, report)
    return results


class _Pupil:
    """A teacher, its tones, and the student that is trained from them."""

    def __init__(self, name: str, plan: _Plan, device: str, store: Store) -> None:
        own = {name: value for name, value in (("teacher", plan.teacher), ("n_tones", plan.n_tones))
               if value}  # fmt: skip
        self.name, self.plan, self.seconds = name, plan, dict[str, float]()
        self.campaign = Campaign.preset(plan.preset, own, store=store)
        fast = _GPU[name] if device.startswith("cuda") else {}
        self.training = Training.preset(plan.preset, {**fast, "device": device})

    def results(self, until: float, report: Path) -> list[Result]:
        """Make tones, train until there is only time to measure, measure, write it all down."""
        with self._timed("tones"):
            self._make(time.monotonic() + _TONES_SHARE * (until - time.monotonic()))
        needed = self._measuring()
        training = self._trained_until(until - needed)
        with self._timed("training"):
            trained = training.students(self.campaign)
        for name, student in trained.items():
            kind = ".nam" if student.amplifier.form == "nam" else ".json"
            write_amplifier(student.amplifier, report / f"{self.name}_{name}{kind}")
        with self._timed("measuring"):
            aliasing = Aliasing(self._compared(trained, self.plan.factors))
        self._write(aliasing, trained, training, report)
        return self._measured(aliasing, training)

    def _make(self, end: float) -> None:
        """Make the tones, or as many of them as there is time for."""
        wanted, made = self.campaign.n_tones, 0
        while made < wanted and (not made or time.monotonic() < end):
            made = min(wanted, made + 1024)
            self.campaign = replace(self.campaign, n_tones=made)
            self.campaign.make()

    def _compared(self, trained: Mapping[str, FittedStudent], factors: tuple[int, ...]) -> Any:
        campaign = self.campaign
        tones = campaign.tones("held_out")
        return compare(tones, campaign.amplifier, trained, campaign.store, factors)

    def _measuring(self) -> float:
        """Return the seconds that measuring will take, from those of the teacher alone."""
        with self._timed("measuring the teacher"):
            self._compared({}, (1,))
        on_gpu = self.training.device.startswith("cuda")  # which takes as long at any rate
        rates = [1] * len(self.plan.factors) if on_gpu else self.plan.factors
        count = sum(rates) + len(self.training.nmr)
        return _RESERVE * self.seconds["measuring the teacher"] * count

    def _trained_until(self, end: float) -> Training:
        """Return settings with as many epochs, or with one of as many tones, as there is time."""
        with self._timed("trial"):
            few = replace(self.campaign, n_tones=self._few, n_waves=0)
            trial = replace(self.training, epochs=3, nmr=self.training.nmr[:1]).students(few)
        each = float(trial["student"].history["seconds"][-1]) / self._few
        tones = _SHARE * (end - time.monotonic()) / each / len(self.training.nmr)
        self.seconds["a tone"] = each
        waves = self.campaign.n_waves
        if tones < self.campaign.n_tones + waves:
            few = max(self._few, int(tones) - waves)
            self.campaign = replace(self.campaign, n_tones=few)
        fitting = max(1, int(tones / (self.campaign.n_tones + waves)))
        return replace(self.training, epochs=min(fitting, self.plan.epochs or fitting))

    @property
    def _few(self) -> int:
        """Tones of a trial: four batches, and what validates."""
        return min(self.campaign.n_tones, max(64, math.ceil(4.3 * self.training.batch_size)))

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began
        print(f"{self.name}: {what} took {self.seconds[what]:.1f} s", flush=True)

    def _write(
        self,
        aliasing: Aliasing,
        trained: Mapping[str, FittedStudent],
        training: Training,
        report: Path,
    ) -> None:
        """Print the table; write it, the settings and the weight files."""
        tables = {"held-out tones": aliasing.table(), "signals": aliasing.sounds()}
        shown = "\n\n".join(map(_markdown, (aliasing.table(SHOWN), tables["signals"])))
        times = ", ".join(f"{what} {took:.3g} s" for what, took in self.seconds.items())
        settings = (
            f"{self.campaign.n_tones} tones, {training.epochs} epochs in batches of "
            f"{training.batch_size} on {training.device}"
        )
        text = f"# {self.name}\n\n{settings}; {times}.\n\n{shown}\n\n{aliasing.verdict()}\n"
        print(f"\n{text}", flush=True)
        (report / f"{self.name}.md").write_text(text, encoding="utf-8")
        said = {
            "machine": machine(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "tones": self.campaign.n_tones,
            "training": asdict(training),
            "seconds": self.seconds,
            "losses": {n: s.history["loss"].values.tolist() for n, s in trained.items()},
            "tables": {name: json.loads(frame.to_json(orient="split"))
                       for name, frame in tables.items()},
        }  # fmt: skip
        text = json.dumps(said, indent=1)
        (report / f"{self.name}.json").write_text(text, encoding="utf-8")

    def _measured(self, aliasing: Aliasing, training: Training) -> list[Result]:
        """Return each student's figures beside the bars; of a small run nothing is expected."""
        held = self.plan.factors == FACTORS
        note = f"{training.epochs} epochs of {self.campaign.n_tones} tones on {training.device}"
        return [
            Result(f"amp_students/{self.name}, {student}: {one.measure}, {one.statistic}",
                   one.value, "dB", one.aim if held else None, most=True, note=note)
            for student in aliasing.students
            for one in aliasing.reached(student)
        ]  # fmt: skip


def _markdown(table: pd.DataFrame) -> str:
    """Return a table of decibels as Markdown."""
    heads = [" ".join(c) if isinstance(c, tuple) else str(c) for c in table.columns]
    rows = [[table.index.name or "", *heads], ["---", *["--:"] * len(heads)]]
    for title, values in zip(table.index, table.values, strict=True):
        rows.append([str(title), *(f"{value:.2f}" for value in values)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
