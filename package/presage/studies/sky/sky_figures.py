"""What skies and their cleaning look like before anything is trained: tables and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from presage.analysis.canvas import INK, SERIES, SMALL, WIDTH, Page, colourbar, tidy
from presage.analysis.spectra import power
from presage.studies.sky.campaign import Campaign
from presage.studies.sky.covariance import covariances, limit
from presage.studies.sky.evaluation import trained
from presage.studies.sky.rivals import POOLS, observed
from presage.studies.sky.scales import Scales
from presage.studies.sky.training import Training
from presage.transforms import PCA, Wiener

#: Skies that are looked at.
LOOKED_AT = 64


def strengths(campaign: Campaign) -> pd.DataFrame:
    """Return the root mean square of each pool, beside what its covariances say.

    The mean spectrum of the foregrounds is part of both. Of foregrounds from files nothing is said.
    """
    sky, known = campaign.model, covariances(campaign.model)
    exact = {"noise": float(sky.beam.noise(sky.patch, sky.receiver).mean())}
    share = known["mode_count"] / known["mode_count"].sum()
    for name, matrix in (("signal", "signal_covariance"), ("rest", "contaminant_covariance")):
        matrices = _real(known[matrix]).transpose(*share.dims, "frequency", "frequency_other")
        variance = np.einsum("...ff->...", matrices) / matrices.sizes["frequency"]
        # Each part of a complex number has half of its variance.
        halves = 0.5 if "component" in known[matrix].dims else 1.0
        exact[name] = halves * float((share.values * variance).sum())
    exact["foreground"] = exact.pop("rest") - exact["noise"]
    if campaign.reader:
        exact["foreground"] = np.nan
    rows = {}
    for name, pool in campaign.pools().items():
        cubes = pool[name][:LOOKED_AT].astype(np.float64)
        unit = cubes.attrs["units"]
        found = {"rms": float((cubes**2).mean()), "exact": exact[name]}
        rows[name] = {f"{title} [{unit}]": np.sqrt(v) for title, v in found.items()}
    return pd.DataFrame(rows).T.rename_axis("pool")


def pools_figure(campaign: Campaign, sky: int = 0) -> Page:
    """Draw one member of each pool at one frequency, and the spectra of a line of sight."""
    page = Page(WIDTH, 4.2)
    panels = page.subplots(2, 3)
    for column, (name, pool) in enumerate(campaign.pools().items()):
        cube = _real(pool[name].isel(sample=sky))
        frequency = cube["frequency"].values
        dims = [d for d in cube.dims if d != "frequency"]
        here = cube.isel(frequency=len(frequency) // 2).transpose(*dims)
        ends = [v for d in dims[::-1] for v in (cube[d].values[0], cube[d].values[-1])]
        colours = "magma" if name == "foreground" else "RdBu_r"
        shown = {"origin": "lower", "extent": ends, "aspect": "auto", "cmap": colours}
        image = panels[0, column].imshow(here, **shown)
        at = f"{frequency[len(frequency) // 2]:.1f} MHz"
        tidy(panels[0, column], _titled(cube[dims[1]]), _titled(cube[dims[0]]), f"{name}, {at}")
        colourbar(page, image, panels[0, column], f"[{cube.attrs['units']}]")
        middle = cube.isel({d: cube.sizes[d] // 2 for d in dims})
        panels[1, column].plot(frequency, middle, color=INK, lw=1)
        tidy(panels[1, column], "frequency [MHz]", f"[{cube.attrs['units']}]", "a line of sight")
    return page


def power_figure(campaign: Campaign) -> Page:
    """Draw the mean power of many signals along and across, over what was asked for."""
    scales = Scales(campaign.model)
    cubes = campaign.pools()["signal"]["signal"][:LOOKED_AT]
    exact = campaign.limit()
    page = Page(WIDTH, 2.9)
    names = {"k_parallel": ("k∥", scales.parallel), "k_perpendicular": ("k⊥", scales.perpendicular)}
    for axes, (name, (title, edges)) in zip(page.subplots(1, 2), names.items(), strict=True):
        bins: dict[str, Any] = {name: edges}
        found = power(cubes, scales.box, **bins)
        asked = limit(campaign.model, best=exact, **bins)["power_true"].values
        ratio, error = found["power"] / asked, found["power_error"] / asked
        axes.axhline(1.0, color=INK, lw=0.8)
        axes.errorbar(found[name], ratio, error, fmt="o", ms=3, lw=1, color=SERIES[0].colour)
        axes.set_xscale("log")
        tidy(axes, f"{title} [h/Mpc]", "measured / asked for", f"power of {len(cubes)} signals")
    return page


def accuracy(campaign: Campaign, training: Training) -> pd.DataFrame:
    """Return how far sums of cached cubes are from cleaning the sum in float64.

    Root mean square over that of the signal, on the first training skies.
    """
    modes, where = training.n_modes(campaign), slice(0, 8)
    pools, rows = campaign.pools(), {}
    for over, cleaner in (("pca", PCA(campaign.basis)),
                          ("wiener", Wiener(campaign.wiener))):  # fmt: skip
        cached = training.cleaned(campaign, over=over)
        added = sum(cached[name]["cleaned"].isel(sample=where) for name in POOLS)
        seen = observed(pools, where)
        oracle = cleaner.clean(seen, modes) if isinstance(cleaner, PCA) else cleaner.clean(seen)
        truth = pools["signal"]["signal"].isel(sample=where).astype(np.float64)
        rows[over] = {
            "sky / signal": float(np.sqrt((seen**2).mean() / (truth**2).mean())),
            "error / signal": float(np.sqrt(((added - oracle) ** 2).mean() / (truth**2).mean())),
        }
    return pd.DataFrame(rows).T


def learned_figure(campaign: Campaign) -> Page:
    """Draw what the learned filter is expected to leave, beside what the true one leaves."""
    scales = Scales(campaign.model)
    edges: dict[str, Any] = {"k_perpendicular": scales.signal_left, "k_parallel": scales.parallel}
    best, learned = campaign.limit(), Wiener(campaign.wiener)
    found = limit(campaign.model, best=best, learned=learned, **edges)
    found = found.isel(k_perpendicular=0)
    wave = found["k_parallel"]
    page = Page(WIDTH, 2.9)
    first, second = page.subplots(1, 2)
    known = "measured on all cubes" if campaign.reader else "true covariances"
    for name, title, line in (("limit", known, SERIES[0]),
                              ("learned", "learned", SERIES[1])):  # fmt: skip
        left = found[f"expected_{name}"]
        first.loglog(wave, left, color=line.colour, ls=line.dash, label=title)
    tidy(first, "k∥ [h/Mpc]", "residual power / true power", "Wiener filters, expected")
    first.legend(fontsize=SMALL, frameon=False)
    second.semilogx(wave, found["expected_learned"] / found["expected_limit"], ".-", color=INK)
    tidy(second, "k∥ [h/Mpc]", "learned / true", "the price of learning")
    return page


def look_figure(campaign: Campaign, training: Training) -> Page:
    """Draw a validation sky's signal, networks' answers, their errors and what they expect."""
    pools = campaign.pools("validation")
    seen, truth = observed(pools, slice(0, 1)), _real(pools["signal"]["signal"].isel(sample=0))
    at = truth.sizes["frequency"] // 2
    page = Page(WIDTH, 0.2 + 1.9 * len(training.over))
    panels = page.subplots(len(training.over), 4, sharex=True, sharey=True, squeeze=False)
    wide = 3 * float(truth.std())
    for row, over in zip(panels, training.over, strict=True):
        found = trained(campaign, training, over).clean(seen).isel(sample=0)
        signal, error = _real(found["signal"]), _real(found["signal_error"])
        off, narrow = signal - truth, 3 * float(error.std() + error.mean())
        texts = ("truth", f"network over {over}", "off by", "expected error")
        for axes, cube, text in zip(row, (truth, signal, off, error), texts, strict=True):
            most = wide if text in texts[:2] else narrow
            image = axes.imshow(cube.isel(frequency=at), origin="lower", aspect="auto",
                                cmap="RdBu_r", vmin=-most, vmax=most)  # fmt: skip
            tidy(axes, title=text)
            if text in texts[1:3]:
                colourbar(page, image, axes, f"[{truth.attrs['units']}]")
    return page


def _real(cube: xr.DataArray) -> xr.DataArray:
    return cube.sel(component="real", drop=True) if "component" in cube.dims else cube


def _titled(coordinate: xr.DataArray) -> str:
    return f"{coordinate.attrs.get('long_name', coordinate.name)} [{coordinate.attrs['units']}]"
