"""Teacher, oversampled teacher and students on the same tones: the product of the study.

What a teacher does at several times its sample rate is what a student is to do at once: it is the
classical rival, and its cost is known, that factor. All are driven in float64, so that what is
measured is theirs and not the arithmetic's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from presage.labels.variables import unitless
from presage.lineage import recipe_of
from presage.progress import Bar
from presage.recipe import Parent, Recipe
from presage.store import Store, parents_of
from presage.studies.amp.amplifier import Amplifier
from presage.studies.amp.campaign import Campaign
from presage.studies.amp.measures import FLOOR, MEASURES, Judge, decibel
from presage.studies.amp.report import Aliasing
from presage.studies.amp.signals import SIGNALS, play
from presage.studies.amp.steady import steady
from presage.studies.amp.student import FittedStudent
from presage.studies.amp.tones import ToneGrid
from presage.studies.amp.training import Training

#: Version of what is measured; part of every recipe of a product.
VERSION = 1
FACTORS = (1, 2, 4, 8)


@dataclass(frozen=True)
class System:
    """A network at a multiple of its sample rate."""

    title: str
    network: Any
    factor: int = 1


def systems(
    teacher: Amplifier, students: Mapping[str, FittedStudent], factors: Sequence[int] = FACTORS
) -> dict[str, System]:
    """Return name → system: the teacher at each rate, then students by their names."""
    network = teacher.network(torch.float64, "auto")
    found = {}
    for factor in factors:
        name = "teacher" if factor == 1 else f"teacher_{factor}x"
        title = "teacher" if factor == 1 else f"teacher, {factor}× sample rate"
        found[name] = System(title, network, factor)
    for name, student in students.items():
        title = name.replace("_", " ")
        found[name] = System(title, student.amplifier.network(torch.float64, "auto"))
    return found


def compare(
    tones: xr.Dataset,
    teacher: Amplifier,
    students: Mapping[str, FittedStudent],
    store: Store,
    factors: Sequence[int] = FACTORS,
    seconds: float = 3.0,
) -> xr.Dataset:
    """Return how systems answer tones and signals, or what was found before.

    Parameters
    ----------
    tones
        Stored samples of a :class:`~presage.studies.amp.TeacherTones` with `bins`.
    teacher
        Of the tones.
    students
        Name → trained student, in the order of tables and figures.
    store
        Where the result is kept.
    factors
        Multiples of the sample rate at which the teacher is a rival.
    seconds
        Length of the signals.

    Returns
    -------
    xarray.Dataset
        Each of :data:`~presage.studies.amp.measures.MEASURES` ``[system, level, frequency]`` in
        decibel, `spectrum` ``[system, level, frequency, line]`` in decibel of full scale, the
        answers to :data:`SIGNALS` as `sound` ``[system, signal, time]``, and
        `sound_error` ``[system, signal]``, their ESR against the highest factor's.
    """
    parents = list(parents_of(tones).values())
    parents += [Parent(student.key) for student in students.values()]
    fields = {
        "students": list(students), "factors": list(factors),
        "signals": list(SIGNALS), "seconds": seconds,
    }  # fmt: skip
    recipe = Recipe("amp_aliasing", VERSION, fields, parents=tuple(dict.fromkeys(parents)))
    return store.compute(recipe, lambda: _compared(tones, teacher, students, factors, seconds))


def _compared(
    tones: xr.Dataset,
    teacher: Amplifier,
    students: Mapping[str, FittedStudent],
    factors: Sequence[int],
    seconds: float,
) -> xr.Dataset:
    settings = recipe_of(tones).fields
    grid = ToneGrid(teacher.sample_rate, settings["period"])
    bins, levels = np.array(settings["bins"]), np.array(settings["levels"])
    every = systems(teacher, students, factors)
    judge, measured, spectra, sounds = None, [], [], []
    signals = np.stack([make(teacher.sample_rate, seconds) for make in SIGNALS.values()])
    at = np.repeat(bins, len(levels)), np.tile(10 ** (levels / 20), len(bins))
    for system in Bar(every.values(), desc="amp_aliasing", unit="system"):
        answer = steady(system.network, grid, *at, np.zeros(len(at[0])), system.factor)
        spectrum = grid.spectrum(answer.waves)
        judge = judge or Judge(grid, at[0], grid.limited(at[0], spectrum))
        measured.append(judge.measure(spectrum) | {"drift": decibel(answer.drift, 1.0)})
        spectra.append(decibel(4 * np.abs(spectrum) ** 2, 1.0).astype(np.float32))
        sounds.append(play(system.network, signals, system.factor))
    shape = (len(bins), len(levels))
    stacked = {name: np.stack([m[name].reshape(shape).T for m in measured]) for name in measured[0]}
    spectrum = np.stack([s.reshape(*shape, -1).swapaxes(0, 1) for s in spectra])
    return _labelled(every, grid, bins, levels, stacked, spectrum, np.array(sounds), factors)


def _labelled(
    every: Mapping[str, System], grid: ToneGrid, bins: Any, levels: Any,
    measured: Mapping[str, Any], spectrum: Any, sounds: Any, factors: Sequence[int],
) -> xr.Dataset:  # fmt: skip
    """Return the arrays with dims, units and names."""
    where = ("system", "level", "frequency")
    texts = {n: f"{short}, {text}" for n, (short, text) in MEASURES.items()}
    texts["drift"] = "energy by which periods differ"
    data: dict[str, Any] = {
        name: (where, values, {"units": "dB", "long_name": texts[name]})
        for name, values in measured.items()
    }
    about = {"units": "dB", "long_name": "peak level of a line", "floor": FLOOR}
    data["spectrum"] = ((*where, "line"), spectrum, about)
    reference = sounds[len(factors) - 1]
    error = decibel(((sounds - reference) ** 2).sum(-1), (reference**2).sum(-1))
    data["sound"] = (("system", "signal", "time"), sounds.astype(np.float32), unitless("output"))
    text = f"ESR, error over signal, against the teacher at {max(factors)}×"
    data["sound_error"] = (("system", "signal"), error, {"units": "dB", "long_name": text})
    hertz = {"units": "Hz", "long_name": "frequency"}
    coords = {
        "system": list(every),
        "title": ("system", [system.title for system in every.values()]),
        "level": ("level", levels, {"units": "dB", "long_name": "peak level of the tone"}),
        "frequency": ("frequency", grid.frequency(bins), {**hertz, "long_name": "tone"}),
        "bin": ("frequency", bins, unitless("periods of the tone in one of the grid")),
        "line": ("line", grid.frequency(np.arange(grid.top + 1)), hertz),
        "signal": list(SIGNALS),
        "time": ("time", np.arange(sounds.shape[-1]) / grid.sample_rate,
                 {"units": "s", "long_name": "time"}),
    }  # fmt: skip
    attributes = {"sample_rate": grid.sample_rate, "period": grid.period}
    return xr.Dataset(data, coords=coords, attrs=attributes)


def evaluate(campaign: Campaign, training: Training, part: str = "held_out") -> Aliasing:
    """Compare the students of a training with their teacher, once; then read the store.

    Parameters
    ----------
    campaign
        Whose teacher and tones.
    training
        Whose students; those that are missing are trained.
    part
        "validation" for the tones that settings are chosen on.
    """
    students = training.students(campaign)
    tones = campaign.tones(part)
    teacher, store, seconds = campaign.amplifier, campaign.store, campaign.seconds
    return Aliasing(compare(tones, teacher, students, store, seconds=seconds))
