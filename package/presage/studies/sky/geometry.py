"""A patch of sky in a band of frequencies: channels, pixels, and the wave numbers of both.

A cube has the dims ``(frequency, y, x)``: frequency in MHz ascending, y and x in degrees on a flat
sky that is periodic across. Along the line of sight it is not periodic. Distances are those at the
redshift of the middle channel.

Fourier modes across are those of ``numpy.fft.rfft2(cube, norm="ortho")`` over (y, x), so that
white noise of variance v per pixel has variance v in every mode, and a sky with angular power C_l
has variance C_l / pixel area.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from presage.labels import Coordinate, LabelError
from presage.studies.sky.cosmology import PLANCK18, Array, Cosmology, redshift

#: Speed of light, m MHz: a wave of nu MHz is LIGHT/nu metres long.
LIGHT = 299.792458


@dataclass(frozen=True)
class Patch:
    """Channels and pixels.

    Parameters
    ----------
    low, high
        Ends of the band, MHz.
    channels
        Of equal width, as many as the band is cut into.
    pixels
        Along y and along x.
    pixel
        Side of one, degrees.
    cosmology
        That turns angles and frequencies into lengths.

    Raises
    ------
    LabelError
        A band or a grid that there is not.
    """

    low: float = 500.0
    high: float = 600.0
    channels: int = 128
    pixels: int = 64
    pixel: float = 0.25
    cosmology: Cosmology = PLANCK18

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise LabelError(f"a band goes from low to high in MHz, got {self.low} to {self.high}")
        whole = all(isinstance(n, int | np.integer) and n > 1 for n in (self.channels, self.pixels))
        if not (whole and self.pixel > 0):
            raise LabelError(
                f"a patch has at least 2 channels and 2 pixels of positive size, got "
                f"{self.channels} channels and {self.pixels} pixels of {self.pixel} degrees"
            )

    @property
    def width(self) -> float:
        """Width of a channel, MHz."""
        return (self.high - self.low) / self.channels

    @cached_property
    def frequency(self) -> Array:
        """Middles of the channels, MHz ``[frequency]``."""
        return np.asarray(self.low + (np.arange(self.channels) + 0.5) * self.width)

    @cached_property
    def middle(self) -> float:
        """Redshift of the middle of the band, where lengths are taken."""
        return float(redshift(np.array(0.5 * (self.low + self.high))))

    @cached_property
    def redshifts(self) -> Array:
        """Redshift of every channel ``[frequency]``."""
        return redshift(self.frequency)

    @property
    def pixel_area(self) -> float:
        """Solid angle of a pixel, sr."""
        return float(np.deg2rad(self.pixel) ** 2)

    @cached_property
    def spacing(self) -> dict[str, float]:
        """Comoving size of a cell along each dim, Mpc/h."""
        across = self.cosmology.distance(self.middle) * float(np.deg2rad(self.pixel))
        along = self.cosmology.depth(self.middle, self.width)
        return {"frequency": along, "y": across, "x": across}

    @cached_property
    def multipole(self) -> Array:
        """Multipole |l| of every mode across ``[y, x]``, of ``rfft2``."""
        step = 2 * np.pi / np.deg2rad(self.pixel)
        ly = step * np.fft.fftfreq(self.pixels)
        lx = step * np.fft.rfftfreq(self.pixels)
        return np.asarray(np.hypot(ly[:, None], lx[None, :]))

    @cached_property
    def shells(self) -> tuple[Array, np.ndarray]:
        """Distinct multipoles, ascending, and which of them each mode ``[y, x]`` has."""
        n = np.rint(np.fft.fftfreq(self.pixels) * self.pixels).astype(np.int64)
        square = n[:, None] ** 2 + np.arange(self.pixels // 2 + 1)[None, :] ** 2
        found, place = np.unique(square, return_inverse=True)
        fundamental = 2 * np.pi / (np.deg2rad(self.pixel) * self.pixels)
        return fundamental * np.sqrt(found.astype(np.float64)), place.reshape(square.shape)

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Labels of frequency, y and x."""
        size = (self.pixels, self.pixels), (self.pixel, self.pixel)
        return (frequencies(self.frequency), *angles(*size))


def frequencies(values: Array) -> Coordinate:
    """Label channels, in MHz."""
    return Coordinate("frequency", tuple(values.tolist()), "MHz", "frequency")


def angles(lengths: tuple[int, ...], pixel: tuple[float, ...]) -> tuple[Coordinate, ...]:
    """Label y and x with angles from the middle of the map, in degrees."""
    return tuple(
        Coordinate(
            d, tuple((w * (np.arange(n) - 0.5 * (n - 1))).tolist()), "deg", f"angle along {d}"
        )
        for d, n, w in zip("yx", lengths, pixel, strict=True)
    )
