"""What an interferometer makes of the sky: complex visibilities, one for each pair of dishes.

Two dishes that are b apart see the sky under the pattern A^2 of both through fringes,

    V(b, nu, t) = sum over pixels of A^2(theta, nu) T(theta, nu) e^(-2 pi i b.theta nu/c) dOmega,

theta from the middle of the beam. As the Earth turns the sky is rolled along x, so t is the right
ascension of the beam's middle. That is a convolution along x: for each mode m along right ascension

    V(b, nu, m) = sum over ky of W(b, nu, ky, m) T(nu, ky, m),

with W the transform of pattern and fringe. Modes of the sky are independent, so the covariance of
V(b, m) between frequencies is exactly sum over ky of W W* times that of the sky at (ky, m).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import ifft, ifft2

from presage.labels import COMPONENT, Coordinate, LabelError
from presage.studies.sky.beam import KINDS, Beam
from presage.studies.sky.cosmology import Array
from presage.studies.sky.geometry import LIGHT, Patch
from presage.studies.sky.receiver import Receiver

Complex = NDArray[np.complex128]
#: Turns by the golden ratio spread directions evenly, whatever their number.
GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)
#: Modes that are weighted less than this, of the greatest weight, are not seen.
UNSEEN = 1e-12


@dataclass(frozen=True)
class Interferometer(Beam):
    """Pairs of equal dishes, spread evenly over distances and directions.

    Parameters
    ----------
    kind, dish, factor, ripple, ripple_period, bandpass
        Of each dish, as of :class:`~presage.studies.sky.beam.Beam`; its pattern is A^2.
    baselines
        Number of distinct pairs.
    shortest, longest
        Between which their lengths lie, m.

    Raises
    ------
    LabelError
        No beam, no baselines, dishes that overlap; with a patch, fringes finer than its pixels.
    """

    kind: str = "gaussian"
    baselines: int = 48
    shortest: float = 14.0
    longest: float = 42.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "none":
            raise LabelError(f"an interferometer's dishes have a beam: kind is one of {[*KINDS]}")
        if self.baselines < 1 or not self.dish <= self.shortest <= self.longest:
            raise LabelError(
                "an interferometer has at least one baseline, none shorter than a dish is wide, "
                f"got {self.baselines} from {self.shortest} to {self.longest} m of {self.dish} m"
            )

    @property
    def dims(self) -> tuple[str, ...]:
        """Dims of what is observed."""
        return ("frequency", "component", "baseline", "right_ascension")

    @property
    def units(self) -> str:
        """Units of what is observed."""
        return "mK sr"

    @cached_property
    def positions(self) -> Array:
        """East and north part of every baseline ``[baseline, 2]``, m, the shortest first."""
        share = np.linspace(0.0, 1.0, self.baselines)
        length = np.sqrt(self.shortest**2 + share * (self.longest**2 - self.shortest**2))
        # Half a turn is enough: the baseline -b sees the complex conjugate.
        angle = np.pi * np.mod(GOLDEN * np.arange(self.baselines), 1.0)
        return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)

    def coordinates(self, patch: Patch) -> tuple[Coordinate, ...]:
        """Return the labels of what is observed."""
        frequency, _, x = patch.coordinates
        length = tuple(np.hypot(*self.positions.T).tolist())
        east, north = (tuple(part.tolist()) for part in self.positions.T)
        return (
            frequency,
            COMPONENT,
            Coordinate("baseline", length, "m", "length of baseline"),
            Coordinate("baseline_east", east, "m", "baseline to the east", "baseline"),
            Coordinate("baseline_north", north, "m", "baseline to the north", "baseline"),
            Coordinate("right_ascension", x.values, "deg", "right ascension"),
        )

    def weights(self, patch: Patch) -> Complex:
        """Return W ``[frequency, m, baseline, ky]``, for all modes m of both signs.

        Those of the last patch are kept: they take longer than all else of a few skies.

        Raises
        ------
        LabelError
            Fringes are finer than the pixels.
        """
        return _weights(self, patch)

    def patterns(self, patch: Patch) -> Array:
        """Return A^2 with the gain ``[frequency, y, x]``, its middle at x = 0."""
        up, along = _angles(patch)
        width, gain = self.width(patch.frequency), self.gain(patch.frequency)
        rho = np.hypot(up[:, None], along) / width[:, None, None]
        return np.asarray(gain[:, None, None] * KINDS[self.kind][0](rho))

    def observe(self, patch: Patch, modes: NDArray[Any]) -> NDArray[Any]:
        """Return visibilities ``[n, frequency, component, baseline, right_ascension]``, mK sr.

        In the precision of the modes.
        """
        self.check(patch, modes)
        seen = np.empty((*modes.shape[:2], 2, self.baselines, patch.pixels), modes.real.dtype)
        for i, weight in enumerate(self.weights(patch)):
            sky = both_signs(modes[:, i])
            # A product of [baseline, ky] and [ky, n] for each mode along right ascension.
            product = weight.astype(modes.dtype, copy=False) @ sky.transpose(2, 1, 0)
            visibility = ifft(product.transpose(2, 1, 0), norm="ortho")
            seen[:, i, 0], seen[:, i, 1] = visibility.real, visibility.imag
        return seen

    def covariance(self, patch: Patch, sky: Array, which: Any = slice(None)) -> Complex:
        """Return the exact covariance of visibilities by baseline and mode.

        Parameters
        ----------
        patch
            Channels and pixels.
        sky
            Covariances of the sky's modes ``[..., shell, frequency, frequency]`` by
            ``patch.shells``: several of them together take little longer than one.
        which
            Of the baselines, an index or slice: all of them take much memory.

        Returns
        -------
        numpy.ndarray
            ``[..., baseline, m, frequency, frequency]``, Hermitian, (mK sr)^2, m as in ``fftfreq``.
        """
        side, weights = patch.pixels, self.weights(patch)
        chosen = np.arange(self.baselines)[which].reshape(-1)
        place = both_signs(patch.shells[1])[: side // 2 + 1]
        # ky and -ky see the same covariance of the sky.
        rows = np.stack([np.arange(side // 2 + 1), -np.arange(side // 2 + 1) % side], axis=1)
        twice = np.stack([np.ones(len(rows)), rows[:, 0] != rows[:, 1]], axis=1)
        shape = (*sky.shape[:-3], len(chosen), side, *sky.shape[-2:])
        total, least = np.empty(shape, np.complex128), UNSEEN * abs(weights).max()
        for (b, baseline), m in itertools.product(enumerate(chosen), range(side)):
            weight = weights[:, m, baseline].T[rows] * twice[:, :, None]  # [row, 2, frequency]
            some = abs(weight).max(axis=(1, 2)) > least
            outer = weight[some].swapaxes(1, 2) @ weight[some].conj()
            seen = sky[..., place[some, m], :, :]
            total[..., b, m, :, :] = np.einsum("qfg,...qfg->...fg", outer, seen)
        return total

    def noise(self, patch: Patch, receiver: Receiver) -> Array:
        """Return the variance of noise in a real or imaginary part ``[frequency]``, (mK sr)^2.

        Half of (T_sys Omega)^2/(dnu t), Omega the beam's solid angle and t the time for which the
        pairs alike, all pairs of dishes over the number of baselines, see one step of right
        ascension in a strip as high as the beam is wide.
        """
        solid_angle = patch.pixel_area * self.patterns(patch).sum(axis=(1, 2))
        middle = np.rad2deg(self.width(patch.frequency)).mean()
        seconds = 3600.0 * receiver.hours * patch.pixel * middle / receiver.area
        alike = 0.5 * receiver.dishes * (receiver.dishes - 1) / self.baselines
        total = (receiver.system(patch) * solid_angle) ** 2
        return np.asarray(0.5 * total / (1e6 * patch.width * seconds * alike))


@lru_cache(maxsize=1)  # 400 MB at full size
def _weights(array: Interferometer, patch: Patch) -> Complex:
    finest = LIGHT / (2 * np.deg2rad(patch.pixel) * patch.high)
    if array.longest > finest:
        raise LabelError(
            f"a baseline of {array.longest:g} m has fringes finer than pixels of "
            f"{patch.pixel:g} degrees at {patch.high:g} MHz; take longest <= {finest:.1f}"
        )
    side, turns = patch.pixels, -2j * np.pi / LIGHT * array.positions
    weights = np.empty((patch.channels, side, array.baselines, side), np.complex128)
    up, along = _angles(patch)
    for i, (nu, pattern) in enumerate(zip(patch.frequency, array.patterns(patch), strict=True)):
        fringes = np.exp(nu * turns[:, 1, None] * up)[:, :, None]
        fringes = fringes * np.exp(nu * turns[:, 0, None] * along)[:, None, :]
        weights[i] = ifft2(pattern * fringes).transpose(2, 0, 1)
    weights *= side**1.5 * patch.pixel_area
    weights.flags.writeable = False
    return weights


def _angles(patch: Patch) -> tuple[Array, Array]:
    """Return angles from the beam's middle along y, and along x from 0 round to 0, rad."""
    side = patch.pixels
    up = np.arange(side) - 0.5 * (side - 1)
    along = np.fft.fftfreq(side) * side
    return np.deg2rad(patch.pixel) * up, np.deg2rad(patch.pixel) * along


def both_signs(modes: NDArray[Any]) -> NDArray[Any]:
    """Return modes ``[..., ky, m]`` of both signs of m from the half that real maps keep."""
    side = modes.shape[-2]
    rows = -np.arange(side) % side
    mirrored = modes[..., rows, 1 : side - modes.shape[-1] + 1][..., ::-1].conj()
    return np.concatenate([modes, mirrored], axis=-1)
