"""What every method makes of held-out skies, beside what anybody could: one product of the store.

Held-out skies are gone through a few at a time: their pools are added, every method cleans them,
and only powers in bins of wave numbers, shares of pixels within bands, and the cubes of the first
skies are kept. Ratio, correlation and residual belong together (see `presage.analysis.spectra`),
and residuals stand as ratios to that of the Wiener filter with the true covariances, on the same
skies: where sky and instrument are Gaussian no method has less. What that filter leaves on average
is known beforehand, from its covariances: ``expected_limit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from presage.labels import to_complex
from presage.lineage import input_parent
from presage.progress import Bar
from presage.recipe import Recipe
from presage.store import Store
from presage.studies.sky import covariance
from presage.studies.sky.product import MEASURED, METHODS, Tally, assembled
from presage.studies.sky.report import SkyResiduals
from presage.studies.sky.rivals import CHUNK, Cleaner, Filter, observed
from presage.studies.sky.scales import Scales
from presage.studies.sky.skies import Sky
from presage.transforms.pca import PCA
from presage.transforms.wiener import Wiener

#: Raised whenever the numbers change.
VERSION = 1
#: Numbers of modes that are looked at, and skies that they are looked at on.
MOST_MODES, SCANNED_ON = 20, 32


def measure(
    sky: Sky,
    pools: Mapping[str, xr.Dataset],
    cleaners: Mapping[str, Cleaner],
    *,
    basis: PCA,
    modes: int,
    limit: Wiener | None = None,
    measured: bool = False,
    inputs: Iterable[Any] = (),
    store: Store | None = None,
    name: str = "",
    shown: int = 3,
    progress: bool = True,
) -> SkyResiduals:
    """Compare methods with the truth and the limit on held-out skies, once; then read the store.

    Parameters
    ----------
    sky
        What the held-out skies are skies of.
    pools
        ``signal``, ``foreground`` and ``noise``, one to one: the held-out skies, of a store.
    cleaners
        Method → function from an observed sky to its signal, or to a dataset of ``signal`` and
        ``signal_error``. :data:`METHODS` gives order and titles; others follow these. The first,
        ``"limit"``, is the Wiener filter with the true covariances of `sky`, and comes by itself.
        The recipe has the ``settings`` of what a function is a method of.
    basis, modes
        Principal components of the training skies, whose eigenvalues are shown and whose numbers
        of modes are gone through, and how many are removed.
    limit
        That filter, where it is at hand: it takes a while to work out.
    measured
        Whether its covariances were measured, as of cubes of which nobody knows the true ones;
        table and verdict say so.
    inputs
        All else that the cleaners were made from: datasets of a store, or fits with a ``key``.
    store
        Keeps the result; pools, the basis' dataset and inputs must then come from a store.
    name
        Of the sky.
    shown
        Skies whose cubes are kept.
    progress
        Whether a bar is shown.

    Returns
    -------
    SkyResiduals
        The product, with its table, verdict and figures.

    Raises
    ------
    LabelError
        Pools that do not belong together, or an input that no store knows.
    """
    given = [n for n in METHODS if n in cleaners] + [n for n in cleaners if n not in METHODS]

    def make() -> xr.Dataset:
        scales, best = Scales(sky), limit or covariance.exact_filter(sky)
        methods = {"limit": Filter(best).clean} | {n: cleaners[n] for n in given}
        tallies, cubes = _gone_through(scales, pools, methods, shown, progress)
        known = [_expected(sky, best), _eigenvalues(sky, best, basis)]
        product = xr.merge([assembled(tallies, cubes), *known, scan_modes(scales, basis, pools)])
        if measured:
            product["cleaner_title"][0] = MEASURED
        return product.assign_attrs(
            sky=name,
            across=",".join((*best.apart, *best.across.dims)),
            best_modes=modes,
            covariances="measured" if measured else "true",
            noise_share=sky.noise_share,
            n_skies=pools["signal"].sizes["sample"],
        )

    if store is None:
        return SkyResiduals(make())
    parents = (*pools.values(), basis.dataset, *inputs)
    owners = {name: getattr(cleaners[name], "__self__", None) for name in given}
    chosen = {name: getattr(owner, "settings", {}) for name, owner in owners.items()}
    fields = {"sky": sky, "methods": given, "chosen": chosen, "modes": modes, "shown": shown,
              "name": name, "pools": list(pools),
              **({"measured": True} if measured else {})}  # fmt: skip
    recipe = Recipe("sky_residuals", VERSION, fields, parents=tuple(map(input_parent, parents)))
    return SkyResiduals(store.compute(recipe, make))


def scan_modes(
    scales: Scales, basis: PCA, pools: Mapping[str, xr.Dataset], most: int = MOST_MODES
) -> xr.Dataset:
    """Return what is left after removing 0, 1, ... principal components, on some skies.

    Parameters
    ----------
    scales
        Of the sky.
    basis
        Principal components.
    pools
        As of :func:`measure`; the first skies are taken.
    most
        Modes that are removed at most.

    Returns
    -------
    xarray.Dataset
        ``scan_residual``, ``scan_power_ratio``, ``scan_correlation`` ``[modes, k_parallel]`` where
        the beam leaves signal, and ``scan_total`` ``[modes]``, residual over true power of all
        these scales. Attribute ``best_modes``: where the correlation of all these scales is
        highest. (The residual is least, where noise is stronger than the signal, with all removed.)
    """
    count = min(SCANNED_ON, pools["signal"].sizes["sample"])
    numbers = range(min(most, basis.dataset.sizes["mode"] - 1) + 1)
    spectra = {n: (scales.spectra()["parallel"], scales.whole_band()) for n in numbers}
    for start in range(0, count, CHUNK):
        where = slice(start, min(start + CHUNK, count))
        seen = observed(pools, where)
        truth = scales.box.transform(pools["signal"]["signal"].isel(sample=where))
        for n in numbers:
            modes = scales.box.transform(basis.clean(seen, n))
            for one in spectra[n]:
                one.update(modes, truth)
    found, whole = (xr.concat([s[i].finish() for s in spectra.values()], "modes") for i in (0, 1))
    found = found.isel(k_perpendicular=0, drop=True).assign_coords(modes=list(numbers))
    names = {"residual": "residual", "ratio": "power_ratio", "correlation": "correlation"}
    scan = xr.Dataset({f"scan_{new}": found[old] for old, new in names.items()})
    whole = whole.squeeze(["k_perpendicular", "k_parallel"], drop=True)
    scan["scan_total"] = whole["residual"]
    scan["modes"].attrs = {"units": "1", "long_name": "principal components removed"}
    return scan.assign_attrs(best_modes=numbers[int(np.nanargmax(whole["correlation"].values))])


def _gone_through(
    scales: Scales,
    pools: Mapping[str, xr.Dataset],
    cleaners: Mapping[str, Cleaner],
    shown: int,
    progress: bool,
) -> tuple[dict[str, Tally], dict[str, list[xr.DataArray]]]:
    """Return what is kept of every method, and truth and observation of the first skies."""
    tallies = {name: Tally(scales.spectra()) for name in cleaners}
    cubes: dict[str, list[xr.DataArray]] = {"truth": [], "observed": []}
    n = pools["signal"].sizes["sample"]
    with Bar(total=n * len(cleaners), desc="methods on skies", disable=not progress) as bar:
        for start in range(0, n, CHUNK):
            where = slice(start, min(start + CHUNK, n))
            seen = observed(pools, where)
            truth = pools["signal"]["signal"].isel(sample=where).load()
            true_modes, kept = scales.transform(truth), max(0, shown - start)
            if kept:
                cubes["truth"].append(truth.isel(sample=slice(0, kept)))
                cubes["observed"].append(seen.isel(sample=slice(0, kept)).astype(np.float32))
            for name, clean in cleaners.items():
                tallies[name].update(clean(seen), truth, scales, true_modes, kept)
                bar.update(truth.sizes["sample"])
    return tallies, cubes


def _expected(sky: Sky, best: Wiener) -> xr.Dataset:
    """Return what the limit leaves on average; its bins are named by what was measured."""
    found = covariance.limit(sky, best=best)[["expected_limit"]]
    return found.drop_vars(["k_perpendicular", "k_parallel"])


def _eigenvalues(sky: Sky, limit: Wiener, basis: PCA) -> xr.Dataset:
    """Return the training's eigenvalues beside those of the signal, and the noise's."""
    signal = (
        limit.dataset["signal_covariance"].weighted(limit.mode_count).mean([*limit.apart, "shell"])
    )
    signal = to_complex(signal) if "component" in signal.dims else signal
    values = np.linalg.eigvalsh(signal.transpose(limit.dim, ...).values)[::-1]
    parts = 2 if limit.channels.is_complex else 1
    noise = parts * float(sky.beam.noise(sky.patch, sky.receiver).mean())
    unit = {"units": basis.eigenvalues.attrs.get("units", "1")}
    return xr.Dataset(
        {
            "eigenvalues": basis.eigenvalues.assign_attrs(long_name="training skies"),
            "signal_eigenvalues": ("mode", values, {**unit, "long_name": "signal"}),
            "noise_eigenvalue": ((), noise, {**unit, "long_name": "noise"}),
        }
    )
