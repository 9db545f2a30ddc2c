"""What a dish makes of the sky: blurred by its beam, differently at every frequency.

A beam of full width at half maximum f multiplies a mode of multipole l by a function of f l alone:
the transform of its pattern over rho = theta/f. For a Gaussian and for a disk evenly lit (Airy)
that is known in closed form; for the cosine-tapered pattern
[cos(1.189 pi rho)/(1 - 4 (1.189 rho)^2)]^2 it is integrated once and interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2
from scipy.integrate import simpson
from scipy.interpolate import CubicSpline
from scipy.special import j0, j1

from presage.labels import Coordinate, LabelError
from presage.labels.errors import check_choices
from presage.studies.sky.cosmology import Array
from presage.studies.sky.geometry import LIGHT, Patch
from presage.studies.sky.receiver import Receiver

#: Airy's pattern [2 J1(x)/x]^2 has fallen to half at x = this over two.
AIRY = 2 * 1.6163399561827614
#: Of the cosine-tapered pattern; and where its transform ends, in f l.
TAPER = 1.189
END = 2 * np.pi * TAPER


def gaussian_pattern(rho: Array) -> Array:
    """Return the Gaussian pattern at theta = rho f, 1 in the middle."""
    return np.asarray(np.exp(-4 * np.log(2) * np.asarray(rho) ** 2))


def gaussian_transform(s: Array) -> Array:
    """Return the Gaussian's transform at l = s/f, 1 at 0."""
    return np.asarray(np.exp(-(np.asarray(s) ** 2) / (16 * np.log(2))))


def airy_pattern(rho: Array) -> Array:
    """Return Airy's pattern at theta = rho f, 1 in the middle."""
    x = np.maximum(AIRY * np.abs(rho), 1e-8)
    return np.asarray((2 * j1(x) / x) ** 2)


def airy_transform(s: Array) -> Array:
    """Return Airy's transform at l = s/f: the overlap of two disks."""
    q = np.clip(np.asarray(s) / (2 * AIRY), 0.0, 1.0)
    return np.asarray(2 / np.pi * (np.arccos(q) - q * np.sqrt(1 - q * q)))


def cosine_pattern(rho: Array) -> Array:
    """Return the cosine-tapered pattern at theta = rho f, 1 in the middle."""
    u = TAPER * np.asarray(rho, dtype=np.float64)
    # cos(pi u)/(1 - 4 u^2) as two sinc functions, so that u = 1/2 is no exception.
    return np.asarray((np.pi / 4 * (np.sinc(u + 0.5) + np.sinc(u - 0.5))) ** 2)


@lru_cache(maxsize=1)
def _cosine_table() -> CubicSpline:
    """Integrate the cosine-tapered pattern's transform out to where it ends."""
    rho = np.linspace(0.0, 200.0, 20_001)
    weight = rho * cosine_pattern(rho)
    s = np.linspace(0.0, END, 401)
    values = np.array([simpson(weight * j0(at * rho), x=rho) for at in s])
    values[-1] = 0.0
    return CubicSpline(s, values / values[0])


def cosine_transform(s: Array) -> Array:
    """Return the cosine-tapered pattern's transform at l = s/f."""
    s = np.asarray(s, dtype=np.float64)
    return np.where(s < END, _cosine_table()(np.minimum(s, END)), 0.0)


#: Kind of beam → pattern over theta/f, and transform over f l.
KINDS = {
    "gaussian": (gaussian_pattern, gaussian_transform),
    "airy": (airy_pattern, airy_transform),
    "cosine": (cosine_pattern, cosine_transform),
}


@dataclass(frozen=True)
class Beam:
    """One dish, or none.

    Parameters
    ----------
    kind
        "none", "gaussian", "airy" or "cosine".
    dish
        Diameter D, m.
    factor
        The full width at half maximum is so many times c/(nu D).
    ripple
        Share of the width by which it swings over frequency, as reflections between dish and
        feed make it.
    ripple_period
        Of that swing, and of the gain's, MHz.
    bandpass
        Share by which the gain swings.

    Raises
    ------
    LabelError
        A kind that there is not, a dish or a period that is not positive, swings of 1 or more.
    """

    kind: str = "none"
    dish: float = 13.5
    factor: float = 1.16
    ripple: float = 0.0
    ripple_period: float = 20.0
    bandpass: float = 0.0

    def __post_init__(self) -> None:
        check_choices(self, LabelError, kind=("none", *KINDS))
        if not all(size > 0 for size in (self.dish, self.factor, self.ripple_period)):
            raise LabelError(
                "a beam has a positive dish, factor and ripple_period, got "
                f"{self.dish} m, {self.factor} and {self.ripple_period} MHz"
            )
        if not (abs(self.ripple) < 1 and abs(self.bandpass) < 1):
            raise LabelError(
                f"ripple={self.ripple} and bandpass={self.bandpass} are shares: they lie below 1"
            )

    @property
    def dims(self) -> tuple[str, ...]:
        """Dims of what is observed."""
        return ("frequency", "y", "x")

    @property
    def units(self) -> str:
        """Units of what is observed."""
        return "mK"

    def coordinates(self, patch: Patch) -> tuple[Coordinate, ...]:
        """Return the labels of what is observed."""
        return patch.coordinates

    def width(self, frequency: Array) -> Array:
        """Return the full width at half maximum at frequencies in MHz, rad."""
        phase = 2 * np.pi * np.asarray(frequency) / self.ripple_period
        width = self.factor * LIGHT / (np.asarray(frequency) * self.dish)
        return np.asarray(width * (1 + self.ripple * np.sin(phase)))

    def gain(self, frequency: Array) -> Array:
        """Return the bandpass, about 1."""
        phase = 2 * np.pi * np.asarray(frequency) / self.ripple_period
        return np.asarray(1 + self.bandpass * np.cos(phase))

    def response(self, patch: Patch, multipole: Array) -> Array:
        """Return what modes are multiplied by, ``[frequency, ...]``: gain and beam.

        The beam's share is 1 at l = 0.
        """
        multipole = np.asarray(multipole, dtype=np.float64)
        along = (slice(None), *[None] * multipole.ndim)
        gain = self.gain(patch.frequency)[along]
        if self.kind == "none":
            return np.asarray(np.broadcast_to(gain, (patch.channels, *multipole.shape)))
        return np.asarray(
            gain * KINDS[self.kind][1](self.width(patch.frequency)[along] * multipole)
        )

    def observe(self, patch: Patch, modes: NDArray[Any]) -> NDArray[Any]:
        """Return cubes ``[n, frequency, y, x]`` in the precision of the modes."""
        self.check(patch, modes)
        seen = modes * self.response(patch, patch.multipole).astype(modes.real.dtype)
        return np.asarray(irfft2(seen, s=(patch.pixels, patch.pixels), norm="ortho"))

    def covariance(self, patch: Patch, sky: Array) -> NDArray[Any]:
        """Return the exact covariance of the modes of what is observed.

        Parameters
        ----------
        patch
            Channels and pixels.
        sky
            Covariances of the sky's modes ``[..., shell, frequency, frequency]`` by
            ``patch.shells``.

        Returns
        -------
        numpy.ndarray
            The same shape.
        """
        response = self.response(patch, patch.shells[0]).T
        return np.asarray(response[:, :, None] * sky * response[:, None, :])

    def noise(self, patch: Patch, receiver: Receiver) -> Array:
        """Return the variance of noise in a number that is observed ``[frequency]``."""
        return receiver.variance(patch)

    def check(self, patch: Patch, modes: NDArray[Any]) -> None:
        """Refuse modes of another patch."""
        if modes.shape[1:] != (patch.channels, *patch.multipole.shape):
            raise LabelError(
                f"modes of this patch are [n, {patch.channels}, {patch.pixels}, "
                f"{patch.pixels // 2 + 1}], got {modes.shape}"
            )
