"""The Wiener filter learned from training maps: covariances of every shell of modes, shrunk.

Problem: covariances of F channels are estimated from the n numbers that a shell of modes has in
all training maps. The filter's residual power then exceeds the least one by about a share F/n.
Idea: what is known beforehand takes the place of what the few numbers cannot say.

The signal has nearly the same correlations in neighbouring shells, whatever the beam leaves of its
power: they are drawn towards their mean. Those of the contaminant differ, for foregrounds rise
steeply towards small k; but it is a few strong modes, which n numbers fix well, and noise that is
independent between channels: the matrix less its leading modes is drawn towards a diagonal one.

How far is not chosen but follows from the data (Ledoit & Wolf 2004, J. Multivar. Anal. 88, 365):
in the metric of the target, where it is the unit matrix and the sample A, the weight is

    expected |A - <A>|^2 / seen |A - 1|^2,   expected = (tr(A)^2 + tr(A^2)) / n

for Gaussian modes (without tr(A^2) for complex ones), at most 1. A target that does not hold is
far from the data in that metric and gets no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from presage.labels import LabelError, squared
from presage.transforms.across import Across, Modes, arranged, check_whole, living
from presage.transforms.channels import Channels, Matrix
from presage.transforms.wiener import Wiener

#: Width of the neighbourhood of a shell, in steps of the wave number.
NEIGHBOURS = 1.5
#: Eigenvalues above so many times the noise's largest (Marchenko & Pastur 1967) are foreground.
LEADING = 3.0


class TransverseMoments:
    """Accumulates covariances of the modes across of signal and contaminant, chunk by chunk.

    Parameters
    ----------
    signal, contaminant
        Names of the variables.
    dim, across
        Channels, and the dims of the maps.
    apart
        Dims that have covariances for each of their values; all others are averaged over.
    """

    def __init__(
        self,
        signal: str = "signal",
        contaminant: str = "contaminant",
        dim: str = "frequency",
        across: Sequence[str] = ("y", "x"),
        apart: Sequence[str] = (),
    ) -> None:
        self.names = (signal, contaminant)
        self.dim, self.across, self.apart = dim, tuple(across), tuple(apart)
        self.maps = 0
        self._frame: xr.DataArray | None = None
        self._sums: list[Matrix] = []

    def update(self, chunk: xr.Dataset) -> TransverseMoments:
        """Add a chunk of maps and return the accumulator itself.

        Raises
        ------
        LabelError
            Other channels, pixels or units than those of the first chunk; missing values.
        """
        arrays = [chunk[name] for name in self.names]
        if self._frame is None:
            self._begin(arrays[0])
        for array, sums in zip(arrays, self._sums, strict=True):
            channels = Channels.of(array, self.dim)
            self._channels.check(channels)
            self._channels.check_unit(channels)
            self._grid.check(Across.of(array, self.across))
            maps = arranged(array, self.apart, self.dim, self._grid)
            shape = [maps.sizes[d] for d in self.apart]
            flat = maps.values.reshape(*shape, -1, len(self._live), *self._grid.pixels)
            channel = len(shape) + 1
            self._live &= ~np.isnan(flat).all(tuple(i for i in range(flat.ndim) if i != channel))
            check_whole(flat, self._live, self._grid)
            for place in np.ndindex(*shape):
                self._add(living(flat[place], self._live), sums[place])
        self.maps += flat.shape[len(shape)]
        return self

    def _begin(self, data: xr.DataArray) -> None:
        self._channels = Channels.of(data, self.dim)
        self._grid = Across.of(data, self.across)
        kind = self._channels.is_complex
        self._shells = self._grid.shells(kind, signed=kind and len(self.across) == 1)
        self._modes = Modes(self._grid, self._shells.values, kind)
        own = (*self.apart, self.dim, *self.across)
        self._frame = data.isel({d: 0 for d in data.dims if d not in own}, drop=True)
        self._live = np.ones(data.sizes[self.dim], dtype=bool)
        shape = [*(data.sizes[d] for d in self.apart), self._shells.size, *2 * [len(self._live)]]
        self._sums = [np.zeros(shape, complex if kind else float) for _ in self.names]

    def _add(self, maps: Matrix, sums: Matrix) -> None:
        """Add what maps ``[map, channel, *across]`` have to sums ``[shell, channel, channel]``."""
        rows = self._modes.rows(maps)
        if not self._channels.is_complex:  # real and imaginary parts are two numbers
            rows = rows.view(np.float64)
            weight = np.sqrt(self._modes.weight[self._modes.order])
            rows *= np.repeat(weight, rows.shape[1] // len(weight))
        for total, span in zip(sums, self._modes.spans(rows.shape[1]), strict=True):
            total += rows[:, span] @ rows[:, span].conj().T

    def finish(self, *, shrink: bool = True) -> xr.Dataset:
        """Return the dataset of a :class:`Wiener` filter; more chunks may still be added.

        Parameters
        ----------
        shrink
            Draw the covariances towards what is known of them, see the module's head.

        Raises
        ------
        LabelError
            No maps, or too few of them for so many channels.
        """
        if self._frame is None:
            raise LabelError("there are no maps to learn from; call update(chunk) first")
        number = self._modes.count * self.maps
        power = [sums.diagonal(axis1=-2, axis2=-1).real for sums in self._sums]
        seen = [(one > 0).any(axis=tuple(range(one.ndim - 1))) for one in power]
        alive = self._live & seen[0] & seen[1]
        self._channels.say_dead(alive)
        live = np.flatnonzero(alive)
        dims = (*self.apart, "shell", self.dim, f"{self.dim}_other")
        labels = {d: self._frame[d] for d in (*self.apart, self.dim)}
        made = []
        for sums, ways in zip(self._sums, (near_neighbours, towards_noise), strict=True):
            matrices = np.full_like(sums, np.nan)
            for place in np.ndindex(*sums.shape[:-3]):
                sample = sums[place][:, live[:, None], live] / number[:, None, None]
                known = ways(sample, number, self._shells.values) if shrink else sample
                matrices[place][:, live[:, None], live] = known
            unit = squared(self._channels.data_unit)
            attributes = {"units": unit, "long_name": "covariance of modes across"}
            made.append(xr.DataArray(matrices, labels, dims, attrs=attributes))
        signal = made[0].assign_coords(wave_number=self._shells)
        wiener = Wiener.from_covariances(signal, made[1], self._frame, self.across, self.dim)
        return wiener.dataset.assign_attrs(maps=self.maps, shrunk=int(shrink))


def near_neighbours(samples: Matrix, number: Matrix, wave_number: Matrix) -> Matrix:
    """Draw correlations of ``[shell, channel, channel]`` to the mean of shells nearby."""
    power = samples.diagonal(axis1=-2, axis2=-1).real
    width = np.sqrt(power)[:, :, None] * np.sqrt(power)[:, None, :]
    inside = np.divide(samples, width, out=np.zeros_like(samples), where=width > 0)
    step = np.abs(wave_number[np.abs(wave_number) > 0]).min()
    apart = (wave_number[:, None] - wave_number) / (NEIGHBOURS * step)
    weight = np.exp(-0.5 * apart**2) * number * (power > 0).all(axis=1)
    total = weight.sum(axis=1)[:, None, None]
    unit = np.eye(samples.shape[-1])
    targets = np.tensordot(weight, inside, axes=1) / np.where(total > 0, total, 1.0)
    targets += unit * (total == 0)  # a beam may leave nothing far out
    try:
        roots = np.linalg.cholesky(targets)
    except np.linalg.LinAlgError:
        raise LabelError(
            f"{int(weight.sum(axis=1).min())} numbers from all maps do not determine a covariance "
            f"of {samples.shape[-1]} channels; learn from more maps"
        ) from None
    half = np.linalg.solve(roots, inside)
    share = _share(np.linalg.solve(roots, half.swapaxes(-1, -2).conj()), unit, number)
    return np.asarray(width * ((1 - share) * inside + share * targets))


def towards_noise(samples: Matrix, number: Matrix, wave_number: Matrix) -> Matrix:
    """Draw matrices ``[shell, channel, channel]``, less their leading modes, to a diagonal."""
    del wave_number
    return np.stack([_quiet(one, int(n)) for one, n in zip(samples, number, strict=True)])


def _quiet(sample: Matrix, number: int) -> Matrix:
    values, vectors = np.linalg.eigh(sample)
    size = len(values)
    edge = LEADING * (1 + np.sqrt(size / number)) ** 2 * np.median(values[-min(size, number) :])
    leading = min(int((values > edge).sum()), number // 2)
    strong, rest = vectors[:, size - leading :], vectors[:, : size - leading]
    out = np.eye(size) - strong @ strong.conj().T
    bulk = (rest * values[: size - leading]) @ rest.conj().T
    rounding = np.finfo(np.float64).eps * values[-1]
    noise = np.maximum(bulk.diagonal().real / out.diagonal().real, rounding)
    target = (out * noise) @ out
    scale = 1 / np.sqrt(np.outer(noise, noise))
    share = _share((bulk * scale)[None], (target * scale)[None], np.array([number]))[0]
    # Leading modes fitted to n numbers have taken so much of the noise with them.
    quiet = ((1 - share) * bulk + share * target) * (number / (number - leading))
    return np.asarray(quiet + (strong * values[size - leading :]) @ strong.conj().T)


def _share(matrices: Matrix, targets: Matrix, number: Matrix) -> Matrix:
    """Return the weight of targets that are about the unit matrix, ``[shell, 1, 1]``."""
    square = np.sum(np.abs(matrices) ** 2, axis=(-2, -1))
    trace = matrices.trace(axis1=-2, axis2=-1).real
    expected = (trace**2 + (0 if np.iscomplexobj(matrices) else square)) / number
    seen = np.sum(np.abs(matrices - targets) ** 2, axis=(-2, -1))
    most = np.maximum(expected, seen)
    share = np.divide(expected, most, out=np.ones_like(most), where=most > 0)
    return np.asarray(share[:, None, None])


@dataclass(frozen=True)
class LearnedWiener:
    """The Wiener filter learned from maps of signal and contaminant; :func:`presage.fit` takes it.

    Parameters
    ----------
    signal, contaminant
        Variables of the training maps.
    dim, across, apart
        Channels; dims of the maps; dims that have a filter for each of their values.
    shrink
        Draw the covariances towards what is known of them, see the module's head.
    """

    signal: str = "signal"
    contaminant: str = "contaminant"
    dim: str = "frequency"
    across: tuple[str, ...] = ("y", "x")
    apart: tuple[str, ...] = ()
    shrink: bool = True

    name: ClassVar[str] = "learned_wiener"
    version: ClassVar[int] = 1

    @property
    def variables(self) -> list[str]:
        """What is read."""
        return [self.signal, self.contaminant]

    def accumulator(self) -> TransverseMoments:
        """Return what takes the maps in."""
        return TransverseMoments(self.signal, self.contaminant, self.dim, self.across, self.apart)

    def finish(self, moments: TransverseMoments) -> xr.Dataset:
        """Return the filter's dataset."""
        return moments.finish(shrink=self.shrink)
