"""A circuit with a known equation, and a network that is taught to sound like it.

A diode clipper: a resistor into a capacitor across which two diodes stand, one each way,

    dv/dt = (g u - v) / (R C) - 2 I_s / C sinh(v / (n V_T)),

after an input u that loses what is below 80 Hz and is amplified by g, and before a tone filter that
loses what is above 5 kHz, one pole each (Yeh et al. 2007). It is solved by the trapezoidal rule at
eight times the sample rate, where what it folds back is 60 dB and more down, and cut off at half of
the plain one. A network that learned it at the plain rate aliases: a teacher whose licence is
nobody else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly

from presage.fitting import fit
from presage.generate import simulate
from presage.labels import LabelError
from presage.models.prepared import Prepared
from presage.store import Store
from presage.studies.amp.architecture import LSTM
from presage.studies.amp.student import Student
from presage.studies.amp.waves import Waves
from presage.studies.amp.weight_files import spelled

Floats = NDArray[np.float64]

#: Ohm, farad, ampere, volt: a pair of 1N4148 behind 2.2 kOhm.
RESISTANCE, CAPACITANCE, SATURATION, THERMAL = 2200.0, 10e-9, 2.52e-9, 0.0453
_RATE = 44_100.0
_FACTOR = 8
_HIGH_PASS, _LOW_PASS = 80.0, 5000.0  # Hz
_WAVES = 256
_TRAINING: dict[str, Any] = {
    "epochs": 40, "batch_size": 16, "learning_rate": 4e-3, "clip": 1.0, "validation": 0.1,
}  # fmt: skip
_NEWTON = 6  # steps; the last one changes less than 1e-9 V


@dataclass(frozen=True)
class CircuitWaves(Waves):
    """Plucked strings, sweeps and noise through the clipper.

    Parameters
    ----------
    seconds
        Of each wave.
    drive
        Gain before the diodes, from full scale to volt.
    """

    seconds: float = 0.75
    drive: float = 8.0

    name: ClassVar[str] = "amp_circuit"
    block_size: ClassVar[int] = 256  # as many at once: the loop is over time
    tolerance: ClassVar[float] = 1e-6
    answers: ClassVar[str] = "answer of the circuit"

    @property
    def sample_rate(self) -> float:
        """That of the network that learns it."""
        return _RATE

    def answer(self, signals: Floats) -> Floats:
        """Return what the circuit makes of signals."""
        return clipped(signals, self.drive)


def clipped(signals: Floats, drive: float, sample_rate: float = _RATE) -> Floats:
    """Return the circuit's answer to signals ``[signal, time]``, in volt over the diodes'.

    Raises
    ------
    LabelError
        A gain that is not positive.
    """
    if not drive > 0:
        raise LabelError(f"drive is a positive gain, got {drive}")
    rate = sample_rate * _FACTOR
    voltage = drive * resample_poly(signals, _FACTOR, 1, axis=1)
    voltage = voltage - _one_pole(voltage, _HIGH_PASS, rate)
    inner = _solved(voltage, 1 / rate)
    made: Floats = resample_poly(_one_pole(inner, _LOW_PASS, rate), 1, _FACTOR, axis=1)
    return made


def _solved(voltage: Floats, step: float) -> Floats:
    """Integrate the clipper by the trapezoidal rule."""
    leak, diode = 1 / (RESISTANCE * CAPACITANCE), 2 * SATURATION / CAPACITANCE
    state, slope = np.zeros(len(voltage)), np.zeros(len(voltage))
    found = np.empty_like(voltage.T)
    for at, u in enumerate(voltage.T):
        known = state + 0.5 * step * slope
        new = state
        for _ in range(_NEWTON):
            bent = np.sinh(new / THERMAL)
            error = new - known - 0.5 * step * (leak * (u - new) - diode * bent)
            steep = np.sqrt(1 + bent * bent) / THERMAL
            new = new - np.clip(error / (1 + 0.5 * step * (leak + diode * steep)), -0.1, 0.1)
        slope = leak * (u - new) - diode * np.sinh(new / THERMAL)
        state = found[at] = new
    return found.T


def _one_pole(signals: Floats, frequency: float, rate: float) -> Floats:
    decay = np.exp(-2 * np.pi * frequency / rate)
    made: Floats = lfilter([1 - decay], [1, -decay], signals, axis=1)
    return made


@dataclass(frozen=True)
class Capture(Student):
    """A recurrent network that learns a circuit from signals, beginning anywhere.

    Trained from :class:`CircuitWaves`. The result's `amplifier` is a teacher.

    Parameters
    ----------
    hidden_size
        Units.
    warm_up
        Samples of each signal in which the network settles.
    """

    esr: float = 1.0
    nmr: float = 0.0
    dc: float = 1.0
    low_pass: bool = False
    segment: int = 2048
    hidden_size: int = 40
    warm_up: int = 2048

    name: ClassVar[str] = "amp_capture"

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Declare signals and network; nothing is fitted."""
        time = dataset["time"].values
        rate = round(float(1 / np.diff(time[:2])[0]), 3)
        about = {"sample_rate": rate, "form": "simple_rnn", "rest": {}}
        text = LSTM(self.hidden_size).text()
        return Prepared(None, {}, self.declared(dataset, text, about, self.warm_up))


def taught(store: Store, progress: bool = True) -> Path:
    """Return the weight file of a 40-unit LSTM that has learned the circuit; once it is trained.

    Parameters
    ----------
    store
        Where waves, network and file are kept.
    progress
        Whether to show bars.
    """
    waves = simulate(CircuitWaves(), _WAVES, store=store, progress=progress)
    network = fit(Capture(), waves, **_TRAINING, store=store, progress=progress)
    kept, text = store.file(network.recipe, "circuit.json"), spelled(network.amplifier)
    return kept or store.put_file(network.recipe, "circuit.json", lambda sink: sink.write(text))
