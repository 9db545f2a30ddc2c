"""What skies and their cleaning look like before anything is trained: tables and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from presage.analysis.canvas import INK, SERIES, SMALL, WIDTH, Page, colourbar, plain_log, tidy
from presage.analysis.spectra import power
from presage.studies.sky.campaign import Campaign
from presage.studies.sky.covariance import covariances, limit
from presage.studies.sky.evaluation import trained
from presage.studies.sky.figures import draw_map
from presage.studies.sky.product import real_part
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
        matrices = real_part(known[matrix]).transpose(*share.dims, "frequency", "frequency_other")
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
    for (above, below), (name, pool) in zip(panels.T, campaign.pools().items(), strict=True):
        cube = real_part(pool[name].isel(sample=sky))
        frequency, unit = cube["frequency"].values, cube.attrs["units"]
        at = len(frequency) // 2
        colours = {"cmap": "magma" if name == "foreground" else "RdBu_r"}
        image = draw_map(
            above, cube.isel(frequency=at), f"{name}, {frequency[at]:.1f} MHz", colours
        )
        colourbar(page, image, above, f"[{unit}]")
        middle = {d: cube.sizes[d] // 2 for d in cube.dims if d != "frequency"}
        below.plot(frequency, cube.isel(middle), color=INK, lw=1)
        tidy(below, "frequency [MHz]", f"[{unit}]", "a line of sight")
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
        plain_log(axes.xaxis, *axes.get_xlim())
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
    for axes in (first, second):
        plain_log(axes.xaxis, *axes.get_xlim())
    return page


def look_figure(campaign: Campaign, training: Training) -> Page:
    """Draw a validation sky's signal, networks' answers, their errors and what they expect."""
    pools = campaign.pools("validation")
    seen, truth = observed(pools, slice(0, 1)), real_part(pools["signal"]["signal"].isel(sample=0))
    at, unit = truth.sizes["frequency"] // 2, truth.attrs["units"]
    page = Page(WIDTH, 0.2 + 1.9 * len(training.over))
    panels = page.subplots(len(training.over), 4, sharex=True, sharey=True, squeeze=False)
    for row, over in zip(panels, training.over, strict=True):
        found = trained(campaign, training, over).clean(seen).isel(sample=0)
        signal, error = (real_part(found[name]) for name in ("signal", "signal_error"))
        wide, narrow = 3 * float(truth.std()), 3 * float(error.mean())
        cubes = {"truth": truth, f"network over {over}": signal,
                 "off by": signal - truth, "expected error": error}  # fmt: skip
        for axes, (text, cube) in zip(row, cubes.items(), strict=True):
            most = narrow if cube is error or text == "off by" else wide
            scale = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
            if cube is error:
                scale = {"cmap": "magma", "vmin": 0.0, "vmax": most}
            image = draw_map(axes, cube.isel(frequency=at), text, scale)
            axes.label_outer()
            if text != "truth":
                colourbar(page, image, axes, f"[{unit}]")
    return page
