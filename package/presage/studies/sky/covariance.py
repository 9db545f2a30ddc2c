"""The exact covariances of a sky, and the physical limit that follows from them.

Signal, foregrounds, leakage, beam and noise are alike all over a patch, so that modes across of
different wave vectors know nothing of one another. For each of them there is one matrix over
frequency of the signal S and of all else C, and the filter S (S + C)^-1 leaves S - S (S + C)^-1 S:
where all is Gaussian no method leaves less. For an interferometer there is such a matrix for every
baseline and mode along right ascension; what baselines could learn from one another is not asked.

The limit is the power of what is left over that of the signal, in bins of wave numbers across and
along the line of sight, tapered there as any measured power is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from presage.analysis.spectra import Spectra
from presage.labels import from_complex, squared
from presage.studies.sky.cosmology import Array
from presage.studies.sky.geometry import LIGHT
from presage.studies.sky.scales import Scales
from presage.studies.sky.skies import Sky
from presage.studies.sky.visibilities import Interferometer, both_signs
from presage.transforms.wiener import Wiener

ALL = slice(None)
MATRIX = ("shell", "frequency", "frequency_other")


def covariances(sky: Sky, baselines: slice = ALL) -> xr.Dataset:
    """Return the exact covariances of what is observed.

    Foregrounds are taken about zero: their mean, which is the same everywhere, is a part of the
    mode k = 0. Real radio sources count as though they were scattered at random.

    Parameters
    ----------
    sky
        What is observed.
    baselines
        Of an interferometer: all of them at once take much memory.

    Returns
    -------
    xarray.Dataset
        ``signal_covariance`` and ``contaminant_covariance`` (foregrounds and noise)
        ``[shell, frequency, frequency_other]``, mK^2, float64, with ``wave_number`` ``[shell]``,
        rad/deg, as :class:`~presage.transforms.Wiener` takes them, ``k_perpendicular``, h/Mpc, and
        ``mode_count``, modes of the shell. Of an interferometer
        ``[baseline, shell, frequency, frequency_other, component]``, (mK sr)^2: ``wave_number`` is
        that along right ascension, with its sign, and ``k_perpendicular`` the baseline's, which
        its length has in the middle of the band.
    """
    patch, (multipole, _) = sky.patch, sky.patch.shells
    rest = sky.foregrounds.covariance(patch, multipole)
    mean = sky.foregrounds.mean(patch) * patch.pixels
    rest[0] += np.outer(mean, mean)
    both = np.stack([sky.signal.covariance(patch, multipole), rest])
    seen, blocked = _seen(sky, both, baselines)
    noise = np.diag(sky.beam.noise(patch, sky.receiver))
    if isinstance(sky.beam, Interferometer):
        noise = 2 * noise  # of the real and of the imaginary part
    unit = {"units": squared(sky.beam.units)}
    titles = {"long_name": "covariance of the signal"}, {"long_name": "covariance of all else"}
    data = {
        "signal_covariance": (seen, titles[0] | unit),
        "contaminant_covariance": (blocked + noise, titles[1] | unit),
    }
    about = _shells(sky, baselines)
    dims = (*("baseline",)[: seen.ndim - 3], *MATRIX)
    arrays = {name: xr.DataArray(v, dims=dims, attrs=attrs) for name, (v, attrs) in data.items()}
    if np.iscomplexobj(seen):
        arrays = {name: from_complex(array) for name, array in arrays.items()}
    return about.assign(arrays)


def exact_filter(sky: Sky, baselines: slice = ALL) -> Wiener:
    """Return the Wiener filter with a sky's true covariances: the limit of all methods.

    Parameters
    ----------
    sky, baselines
        As of :func:`covariances`.
    """
    known = covariances(sky, baselines)
    grid = xr.Dataset(coords={c.name: c.variable() for c in sky.beam.coordinates(sky.patch)})
    across = ("right_ascension",) if isinstance(sky.beam, Interferometer) else ("y", "x")
    return Wiener.from_covariances(
        known["signal_covariance"], known["contaminant_covariance"], grid, across
    )


def limit(
    sky: Sky,
    taper: str = "hann",
    baselines: slice = ALL,
    best: Wiener | None = None,
    learned: Wiener | None = None,
    **edges: ArrayLike,
) -> xr.Dataset:
    """Return the share of the signal's power that the best filter leaves behind.

    Parameters
    ----------
    sky, baselines
        As of :func:`covariances`.
    taper
        Along the line of sight, see :class:`presage.analysis.Box`.
    best
        What :func:`exact_filter` gives, where it is at hand.
    learned
        Another filter, of which is said what it leaves.
    **edges
        Of bins of ``k_perpendicular`` and ``k_parallel``, h/Mpc, or of ``k``; by default those of
        :class:`~presage.studies.sky.scales.Scales`.

    Returns
    -------
    xarray.Dataset
        ``expected_limit``, P_res/P_true, ``power_true`` and ``mode_count`` over the bins, and
        ``expected_learned``, P_res/P_true of the other filter.
    """
    best, about = best or exact_filter(sky, baselines), _shells(sky, baselines)
    shells, scales = about["mode_count"].dims, Scales(sky, taper)
    about = about.drop_vars("wave_number").stack(mode=shells)
    covariances = {"true": best.dataset["signal_covariance"], "limit": best.residual_covariance()}
    if learned is not None:
        covariances["learned"] = learned.residual_covariance(best)
    powers = {}
    for name, matrices in covariances.items():
        stacked = matrices.drop_vars("wave_number").stack(mode=shells)
        stacked = stacked.transpose("mode", "frequency", "frequency_other", ...)
        modes = scales.box.expected(stacked, about["k_perpendicular"], about["mode_count"])
        bins = Spectra(**edges) if edges else scales.spectra()["plane"]
        powers[name] = bins.update(modes).finish()
    true = powers.pop("true")
    found = true[["mode_count"]].assign(power_true=true["power"])
    for name, left in powers.items():
        title = f"residual power of the {name} filter over the truth's"
        ratio = (left["power"] / true["power"]).assign_attrs(units="1", long_name=title)
        found[f"expected_{name}"] = ratio
    return found


def foreground_modes(sky: Sky, baselines: slice = ALL) -> int:
    """Return how many modes over frequency the foregrounds have above the signal.

    Eigenvalues of the foregrounds' covariance, averaged over all modes across, that are greater
    than the greatest of the signal's.
    """
    patch, (multipole, _) = sky.patch, sky.patch.shells
    count = _shells(sky, baselines)["mode_count"].values
    parts = (sky.foregrounds.covariance(patch, multipole), sky.signal.covariance(patch, multipole))
    bright, faint = (
        np.linalg.eigvalsh(np.tensordot(count / count.sum(), part, count.ndim))
        for part in _seen(sky, np.stack(parts), baselines)
    )
    return int((bright > faint[-1]).sum())


def _seen(sky: Sky, covariance: Array, baselines: slice) -> NDArray[Any]:
    """Return the covariance of what is observed, in the order of :func:`_shells`."""
    if not isinstance(sky.beam, Interferometer):
        return sky.beam.covariance(sky.patch, covariance)
    found = sky.beam.covariance(sky.patch, covariance, baselines)
    return np.asarray(np.fft.fftshift(found, axes=-3))


def _shells(sky: Sky, baselines: slice) -> xr.Dataset:
    """Return wave numbers and counts of the modes that have a covariance each."""
    patch = sky.patch
    coords = {c.name: c.variable() for c in sky.beam.coordinates(patch)}
    frequency, size = coords["frequency"], patch.pixels
    dims: tuple[str, ...] = ("shell",)
    if isinstance(sky.beam, Interferometer):
        wave = 2 * np.pi * np.fft.fftshift(np.fft.fftfreq(size, patch.pixel))
        length = coords["baseline"][baselines]
        middle = np.pi * (patch.low + patch.high) / LIGHT * length.values
        across = np.broadcast_to(middle[:, None], (len(middle), size))
        dims, count = ("baseline", "shell"), np.ones(across.shape)
    else:
        across, place = patch.shells
        wave = np.deg2rad(across)
        count = np.bincount(both_signs(place).ravel()).astype(np.float64)
    across = across * np.deg2rad(patch.pixel) / patch.spacing["y"]
    about = {
        "frequency": frequency,
        "frequency_other": ("frequency_other", frequency.values, frequency.attrs),
        "wave_number": ("shell", wave, {"units": "rad/deg", "long_name": "wave number across"}),
        "k_perpendicular": (dims, across, {"units": "h/Mpc", "long_name": "wave number across"}),
        "mode_count": (dims, count, {"units": "1", "long_name": "modes of the whole transform"}),
    }
    if "baseline" in dims:
        about["baseline"] = length
    return xr.Dataset(coords=about)
