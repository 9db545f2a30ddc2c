"""Which scales are measured: the cells of a sky's cubes, bins of wave numbers, and bands of them.

Where a beam has taken more than 99 % of the power nothing is asked of anybody: numbers over
k_parallel, and over bands of it, are of the wave numbers across below that. Of visibilities the
wave number across is that of the baseline, 2 pi b nu/c in the middle of the band, and powers are
averaged over right ascension: a delay spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from presage.analysis.fourier import Array, Box, Modes
from presage.analysis.spectra import Spectra, wave_edges
from presage.studies.sky.geometry import LIGHT
from presage.studies.sky.skies import Sky
from presage.studies.sky.visibilities import Interferometer

#: Share of the power that a beam has to leave.
LEFT = 0.01
#: Ends of the bands of k_parallel, h/Mpc: nobody's under leakage, at its edge, anybody's.
BANDS = (0.0, 0.03, 0.05, np.inf)
BAND_NAMES = ("k∥ < 0.03", "0.03 – 0.05", "k∥ > 0.05")


@dataclass(frozen=True)
class Scales:
    """Boxes and bins of a sky.

    Parameters
    ----------
    sky
        Whose patch and beam they are.
    taper
        Along the line of sight, see :class:`presage.analysis.Box`.
    """

    sky: Sky
    taper: str = "hann"

    @cached_property
    def baselines(self) -> Array | None:
        """Multipole of each baseline; None of maps."""
        beam, patch = self.sky.beam, self.sky.patch
        if not isinstance(beam, Interferometer):
            return None
        length = np.hypot(*beam.positions.T)
        return np.asarray(np.pi * (patch.low + patch.high) / LIGHT * length)

    @cached_property
    def box(self) -> Box:
        """Cells in Mpc/h."""
        spacing = self.sky.patch.spacing
        if self.baselines is None:
            return Box(spacing, "frequency", self.taper)
        modes = {"baseline": self.baselines * self.per_multipole}
        return Box({"frequency": spacing["frequency"]}, "frequency", self.taper, modes)

    @cached_property
    def sphere(self) -> Box:
        """Cells across in rad, channel by channel: wave numbers are multipoles."""
        if self.baselines is not None:
            return Box({}, None, modes={"baseline": self.baselines}, length="1", wave="1")
        side = float(np.deg2rad(self.sky.patch.pixel))
        return Box({"y": side, "x": side}, None, length="1", wave="1")

    @property
    def per_multipole(self) -> float:
        """Wave number across of multipole 1, h/Mpc."""
        return float(np.deg2rad(self.sky.patch.pixel) / self.sky.patch.spacing["y"])

    @cached_property
    def perpendicular(self) -> Array:
        """Edges across, h/Mpc."""
        if self.baselines is not None:
            shares = np.linspace(0.0, 1.0, 1 + min(8, len(self.baselines)))
            edges = np.quantile(self.baselines, shares) * self.per_multipole
            return np.asarray(edges * np.linspace(0.999, 1.001, len(edges)))
        patch = self.sky.patch
        step = 2 * np.pi / (patch.pixels * patch.spacing["y"])
        return wave_edges(step, step * (patch.pixels // 2))

    @cached_property
    def parallel(self) -> Array:
        """Edges along the line of sight, h/Mpc."""
        patch = self.sky.patch
        step = 2 * np.pi / (patch.channels * patch.spacing["frequency"])
        return wave_edges(step, step * (patch.channels // 2))

    @cached_property
    def whole(self) -> Array:
        """Edges of the wave number in all directions, h/Mpc."""
        ends = [self.perpendicular[0], self.parallel[0]]
        high = float(np.hypot(self.perpendicular[-1], self.parallel[-1]))
        if self.baselines is not None:  # of which the shortest is no fundamental mode
            low = float(np.hypot(*ends))
            return np.geomspace(low, high, 1 + int(np.ceil(10 * np.log10(high / low))))
        edges = wave_edges(2 * max(ends), high)
        return np.append(min(ends), edges[1:])

    @cached_property
    def signal_left(self) -> Array:
        """Ends of the wave numbers across at which the beam leaves signal, h/Mpc ``[2]``."""
        patch, edges = self.sky.patch, self.perpendicular
        if self.baselines is not None:
            return edges[[0, -1]]
        multipole = 0.5 * (edges[1:] + edges[:-1]) / self.per_multipole
        response = self.sky.beam.response(patch, np.append(0.0, multipole))[patch.channels // 2]
        last = np.flatnonzero((response / response[0]) ** 2 >= LEFT)[-1]
        return edges[[0, max(1, int(last))]]

    @cached_property
    def bands(self) -> Array:
        """Edges of the bands of k_parallel, h/Mpc, from the lowest wave number on."""
        ends = np.clip(BANDS, self.parallel[0], self.parallel[-1])
        return np.asarray(ends)

    def spectra(self) -> dict[str, Spectra]:
        """Return empty spectra: "plane", "1d", "parallel", "band", and "angular" of the sphere."""
        return {
            "plane": Spectra(k_perpendicular=self.perpendicular, k_parallel=self.parallel),
            "1d": Spectra(k=self.whole),
            "parallel": Spectra(k_perpendicular=self.signal_left, k_parallel=self.parallel),
            "band": Spectra(k_perpendicular=self.signal_left, k_parallel=self.bands),
            "angular": Spectra(k_perpendicular=self.perpendicular / self.per_multipole),
        }

    def whole_band(self) -> Spectra:
        """Return empty spectra of one bin, all scales at which the beam leaves signal."""
        return Spectra(k_perpendicular=self.signal_left, k_parallel=self.parallel[[0, -1]])

    def transform(self, cubes: xr.DataArray) -> tuple[Modes, Modes]:
        """Return the modes in the box and on the sphere."""
        return self.box.transform(cubes), self.sphere.transform(cubes)
