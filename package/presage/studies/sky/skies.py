"""Whole skies by name, and the simulators of their three parts: signal, foregrounds, noise.

The parts are drawn apart, for what is linear acts on each of them by itself: cleaned foregrounds,
signals and noises are stored once and added in any pairing. Each simulator knows only those
settings that its part depends on, so that another receiver leaves the foregrounds what they are.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np

from presage.labels import Arrays, Coordinate, LabelError, Parameter, Variable, nearest
from presage.rng import normals
from presage.simulator import Simulator
from presage.studies.sky.beam import Beam
from presage.studies.sky.foregrounds import Foregrounds
from presage.studies.sky.geometry import Patch
from presage.studies.sky.leakage import Leakage
from presage.studies.sky.receiver import Receiver
from presage.studies.sky.signal import Signal
from presage.studies.sky.visibilities import Interferometer

PATCH, SIGNAL, FOREGROUNDS = Patch(), Signal(), Foregrounds()
BEAM, RECEIVER = Beam(), Receiver()


@dataclass(frozen=True)
class Sky:
    """All that a cube is made of.

    Parameters
    ----------
    patch
        Channels and pixels.
    signal
        The 21 cm line.
    foregrounds
        What shines before it.
    beam
        What the instrument sees of both.
    receiver
        Whose noise is added.
    """

    patch: Patch = field(default=PATCH)
    signal: Signal = field(default=SIGNAL)
    foregrounds: Foregrounds = field(default=FOREGROUNDS)
    beam: Beam | Interferometer = field(default=BEAM)
    receiver: Receiver = field(default=RECEIVER)

    def held_out(self) -> Sky:
        """Return the same signal and instrument under another model of the foregrounds."""
        return replace(self, foregrounds=self.foregrounds.held_out())

    @property
    def noise_share(self) -> float:
        """Variance of the noise over that of the signal in a map by single dishes, before the beam.

        It says how long was observed, in the same way for every beam.
        """
        noise, signal = self.receiver.variance(self.patch), self.signal.variance(self.patch)
        return float(noise.mean() / signal.mean())

    def with_noise(self, share: float) -> Sky:
        """Return the sky observed for as long as makes the noise's variance this share.

        Raises
        ------
        LabelError
            A share that is not positive.
        """
        if not share > 0:
            raise LabelError(f"noise is a positive share of the signal's variance, got {share}")
        hours = self.receiver.hours * self.noise_share / share
        return replace(self, receiver=replace(self.receiver, hours=hours))

    def simulators(self) -> dict[str, SkyPart]:
        """Return the simulators of ``signal``, ``foreground`` and ``noise``, by variable."""
        signal = SkySignal(self.patch, self.beam, self.signal)
        foreground = SkyForegrounds(self.patch, self.beam, self.foregrounds)
        # In a map the noise is what it is under any beam: one pool serves them all.
        seen = self.beam if isinstance(self.beam, Interferometer) else BEAM
        noise = SkyNoise(self.patch, seen, self.receiver)
        return {"signal": signal, "foreground": foreground, "noise": noise}


LEAKING = Foregrounds(leakage=Leakage())
#: Name → sky: cubes, each harder than the one before, and what an interferometer sees.
SKIES: dict[str, Sky] = {
    "easy": Sky(),
    "beam": Sky(beam=Beam("gaussian", ripple=0.01)),
    "leakage": Sky(foregrounds=LEAKING),
    "hard": Sky(foregrounds=LEAKING, beam=Beam("cosine", ripple=0.01, bandpass=0.01)),
    "visibilities": Sky(beam=Interferometer()),
}


def sky(name: str, **patch: Any) -> Sky:
    """Return a sky by name.

    Parameters
    ----------
    name
        One of :data:`SKIES`: ``"easy"``, smooth foregrounds alone; ``"beam"``, under a Gaussian
        beam whose width ripples; ``"leakage"``, with polarised leakage; ``"hard"``, with leakage
        under a cosine-tapered beam whose width and gain ripple; ``"visibilities"``, the easy one
        through an interferometer.
    **patch
        Fields of :class:`~presage.studies.sky.geometry.Patch` that differ from 128 channels and
        64 x 64 pixels: ``sky("hard", channels=64, pixels=32)``.

    Raises
    ------
    LabelError
        There is no sky of this name, or no such patch.
    """
    if name not in SKIES:
        raise LabelError(f"no sky {name!r}{nearest(name, SKIES)}")
    unknown = set(patch) - {f.name for f in fields(Patch)}
    if unknown:
        first = sorted(unknown)[0]
        raise LabelError(
            f"a patch has no {first!r}{nearest(first, [f.name for f in fields(Patch)])}"
        )
    return replace(SKIES[name], patch=replace(SKIES[name].patch, **patch))


@dataclass(frozen=True)
class SkyPart(Simulator):
    """Common ground of the three: no parameters, cubes as the beam labels them."""

    patch: Patch = field(default=PATCH)
    beam: Beam | Interferometer = field(default=BEAM)

    block_size: ClassVar[int] = 8
    thread_safe: ClassVar[bool] = True
    #: Vectorised transforms round differently on another processor.
    tolerance: ClassVar[float] = 1e-5
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    #: Variable, stored type and long name of what is simulated.
    makes: ClassVar[tuple[str, str, str]]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The one that it makes."""
        name, dtype, long_name = self.makes
        return (Variable(name, self.beam.dims, dtype, self.beam.units, long_name),)

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Those of what is observed."""
        return self.beam.coordinates(self.patch)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Return nothing: there are no parameters."""
        return {}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Simulate a block of cubes ``[sample, *dims]``."""
        name, dtype, _ = self.makes
        return {name: self.observed(rng, self.block_size).astype(dtype, copy=False)}

    @abstractmethod
    def observed(self, rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
        """Return `n` cubes."""


@dataclass(frozen=True)
class SkySignal(SkyPart):
    """The 21 cm signal as an instrument sees it, of zero mean."""

    signal: Signal = field(default=SIGNAL)

    name: ClassVar[str] = "sky_signal"
    makes: ClassVar[tuple[str, str, str]] = ("signal", "float32", "21 cm signal")

    def observed(self, rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
        """Return `n` signals."""
        return self.beam.observe(self.patch, self.signal.modes(self.patch, rng, n))


@dataclass(frozen=True)
class SkyForegrounds(SkyPart):
    """Foregrounds as an instrument sees them, mean included.

    They are float64, for their rounding to float32 is as large as the signal.
    """

    foregrounds: Foregrounds = field(default=FOREGROUNDS)

    name: ClassVar[str] = "sky_foregrounds"
    tolerance: ClassVar[float] = 1e-10
    makes: ClassVar[tuple[str, str, str]] = ("foreground", "float64", "foregrounds")

    def observed(self, rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
        """Return `n` skies."""
        return self.beam.observe(self.patch, self.foregrounds.modes(self.patch, rng, n))


@dataclass(frozen=True)
class SkyNoise(SkyPart):
    """The receivers' white noise."""

    receiver: Receiver = field(default=RECEIVER)

    name: ClassVar[str] = "sky_noise"
    makes: ClassVar[tuple[str, str, str]] = ("noise", "float32", "noise")

    def observed(self, rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
        """Return `n` noises."""
        lengths = {c.name: len(c.values) for c in self.coordinates}
        shape = (n, *(lengths[dim] for dim in self.beam.dims))
        width = np.sqrt(self.beam.noise(self.patch, self.receiver)).astype(np.float32)
        noise = normals(rng, shape)
        noise *= width.reshape(-1, *[1] * (len(shape) - 2))
        return noise
