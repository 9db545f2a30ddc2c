"""The noise of the receivers: the radiometer equation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presage.labels import LabelError
from presage.studies.sky.cosmology import Array
from presage.studies.sky.foregrounds import mean_sky
from presage.studies.sky.geometry import Patch


@dataclass(frozen=True)
class Receiver:
    """Dishes that map a part of the sky for some time.

    White noise of width (T_inst + T_sky)/sqrt(N_dish dnu t_pixel), where the sky glows with
    60 K (nu/300 MHz)^-2.5.

    Parameters
    ----------
    temperature
        Of the instrument, K.
    dishes
        That observe at once, each by itself.
    hours
        Of observation.
    area
        Of the survey, square degrees, over which the hours are spread evenly.

    Raises
    ------
    LabelError
        Something that is not positive (a temperature may be 0).
    """

    temperature: float = 20.0
    dishes: int = 64
    hours: float = 4000.0
    area: float = 1000.0

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and all(x > 0 for x in (self.dishes, self.hours, self.area))):
            raise LabelError(
                "a receiver has a temperature of at least 0 K and positive dishes, hours and area, "
                f"got {self.temperature} K, {self.dishes}, {self.hours} h, {self.area} deg2"
            )

    def system(self, patch: Patch) -> Array:
        """Return the system's temperature ``[frequency]``, mK."""
        return 1e3 * self.temperature + mean_sky(patch.frequency)

    def variance(self, patch: Patch) -> Array:
        """Return the variance of noise in a pixel ``[frequency]``, mK^2."""
        seconds = 3600.0 * self.hours * patch.pixel**2 / self.area
        return np.asarray(self.system(patch) ** 2 / (self.dishes * 1e6 * patch.width * seconds))
