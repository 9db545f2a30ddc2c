"""What is said of cleaned skies: a table, a few sentences, figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from presage.analysis.canvas import Page
from presage.labels import LabelError
from presage.store import Store
from presage.studies.sky import figures

#: How far below the limit of linear methods is no chance.
BEYOND = 0.02
#: Bars: residual over the limit's, power and correlation, share of pixels in 68 % bands.
NEAR, CLOSE, CORRELATED, COVERED = 1.15, 0.05, 0.95, (0.63, 0.73)


@dataclass(frozen=True)
class SkyResiduals:
    """Cleaned skies beside the truth and the limit.

    Parameters
    ----------
    dataset
        The product of :func:`presage.studies.sky.measure.measure`, perhaps from a store.

    Raises
    ------
    LabelError
        It is another dataset.
    """

    dataset: xr.Dataset

    def __post_init__(self) -> None:
        if not {"ratio_to_limit", "residual_band", "expected_limit"} <= set(self.dataset):
            told = ", ".join(map(str, self.dataset.data_vars))
            raise LabelError(f"SkyResiduals shows what measure made; got a dataset of {told}")

    def table(self, reference: SkyResiduals | None = None) -> pd.DataFrame:
        """Return a row for each method and columns for each band of k_parallel.

        ``residual`` power over the true one, the same over the limit's (``× limit``), ``power``
        over the true one, and ``r``, the correlation, of the scales across that the beam leaves;
        and the share of pixels within the 68 % band of methods that claim errors.

        Parameters
        ----------
        reference
            The same methods on other skies, those of the validation: ``corrected`` is the power
            over the true one after division by what it is there, a transfer function.
        """
        shown = {"residual": "residual", "ratio_to_limit": "× limit", "power_ratio": "power",
                 "correlation": "r"}  # fmt: skip
        columns: dict[tuple[str, str], Any] = {}
        for band in self.dataset["band"].values:
            here = self.dataset.sel(band=band)
            columns |= {(str(band), new): here[f"{old}_band"].values for old, new in shown.items()}
            if reference is not None:
                there = reference.dataset["power_ratio_band"].sel(band=band)
                there = there.sel({"cleaner": here["cleaner"]})
                columns[str(band), "corrected"] = (here["power_ratio_band"] / there).values
        if "coverage" in self.dataset:
            columns["pixels", "in 68 %"] = self.dataset["coverage"].sel(level=0.68).values
        titles = self.dataset["cleaner_title"].values.astype(str)
        return pd.DataFrame(columns, index=pd.Index(titles, name="method"))

    def verdict(self, method: str | None = None) -> str:
        """Say what can be recovered, and whether a method does, without hiding power.

        Parameters
        ----------
        method
            By default the network, and without one the best of the others.
        """
        said = [_recoverable(self.dataset)]
        methods = list(self.dataset["cleaner"].values.astype(str))
        others = [m for m in methods if m != "limit"]
        if not others:
            return said[0]
        networks = [m for m in others if m.startswith("network")]
        chosen = [method] if method else networks or [_best(self.dataset, others)]
        for one in chosen:
            said += [_standing(self.dataset, one, others), _power(self.dataset, one)]
            said += [_coverage(self.dataset, one)]
        return " ".join(filter(None, said))

    def planes(self) -> Page:
        """Draw each method's residual over the limit's, across and along the line of sight."""
        return figures.planes_figure(self.dataset)

    def spectra(self) -> Page:
        """Draw power, correlation and residual of all methods along the line of sight."""
        return figures.spectra_figure(self.dataset)

    def maps(self, sky: int = 0, frequency: float | None = None) -> Page:
        """Draw truth, each method's answer and what is left of it, on one scale."""
        return figures.maps_figure(self.dataset, sky, frequency)

    def eigenvalues(self) -> Page:
        """Draw the eigenvalues of the training skies and what is left by modes removed."""
        return figures.eigenvalue_figure(self.dataset, self.dataset)

    def lines_of_sight(self, sky: int = 0) -> Page:
        """Draw truth and answers along lines of sight."""
        return figures.lines_figure(self.dataset, sky)

    def figure(self) -> Page:
        """Draw :meth:`spectra`."""
        return self.spectra()

    def __repr__(self) -> str:
        return f"SkyResiduals\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.table().to_html(float_format='{:.3f}'.format)}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _recoverable(product: xr.Dataset) -> str:
    """Say what the limit leaves, band by band."""
    left = product["residual_band"].sel({"cleaner": "limit"})
    parts = [f"{_percent(float(left.sel(band=b)))} at {b} h/Mpc" for b in left["band"].values]
    lost = [str(b) for b in left["band"].values if float(left.sel(band=b)) > figures.LOST]
    nobody = f" Nobody recovers {' and '.join(lost)}." if lost else ""
    known = "true covariances"
    if product.attrs.get("covariances") == "measured":
        known = "with covariances measured on all cubes, held-out ones among them"
    return f"The limit, {known}, leaves of the signal's power {', '.join(parts)}.{nobody}"


def _highest(product: xr.Dataset, name: str, method: str) -> tuple[float, float]:
    """Return a number and its error in the band of the largest k_parallel."""
    here = product.sel({"cleaner": method}).isel(band=-1)
    return float(here[f"{name}_band"]), float(here[f"{name}_band_error"])


def _best(product: xr.Dataset, methods: list[str]) -> str:
    return min(methods, key=lambda method: _highest(product, "residual", method)[0])


def _standing(product: xr.Dataset, method: str, others: list[str]) -> str:
    """Say where a method stands between the limit and its rivals in the highest band."""
    band = str(product["band"].values[-1])
    left, _ = _highest(product, "residual", method)
    ratio, error = _highest(product, "ratio_to_limit", method)
    at = "at the limit" if ratio <= NEAR else "not at the limit"
    if ratio < 1 - BEYOND and ratio + 3 * error < 1:
        at = "beyond it, as is possible where sky or noise are not Gaussian"
    text = (
        f"{figures.title_of(product, method)} leaves {_percent(left)} at {band} h/Mpc, "
        f"{ratio:.3g} ± {error:.2g} times the limit: {at}."
    )
    sides: dict[str, list[str]] = {"better than": [], "as good as": [], "worse than": []}
    for rival in others:
        there, off = _highest(product, "ratio_to_limit", rival)
        even = abs(ratio - there) <= 2 * np.hypot(error, off)
        side = "as good as" if even else "better than" if ratio < there else "worse than"
        if rival != method:
            sides[side].append(f"{figures.title_of(product, rival)} ({there:.3g})")
    standing = [f"{side} {', '.join(names)}" for side, names in sides.items() if names]
    return f"{text} It is {'; '.join(standing)}." if standing else text


def _power(product: xr.Dataset, method: str) -> str:
    """Say whether a method hides power: a mean of what is possible has r^2 of the true one."""
    ratio, _ = _highest(product, "power_ratio", method)
    r, _ = _highest(product, "correlation", method)
    text = f"It has {ratio:.3f} of the true power there, with r = {r:.3f}"
    if abs(ratio - r**2) < 0.02:
        text += ", r² as a posterior mean has"
        text += " and nothing hidden." if ratio > 1 - CLOSE else ": divide by r² for a spectrum."
    elif ratio < r**2:
        text += f": it suppresses power, {r**2:.3f} would be that of a posterior mean."
    else:
        text += ": foregrounds or noise are part of it."
    return text if r > CORRELATED else text + f" r is below {CORRELATED}."


def _coverage(product: xr.Dataset, method: str) -> str:
    """Say whether a method's errors are what it claims."""
    if "coverage" not in product:
        return ""
    share = float(product["coverage"].sel({"cleaner": method, "level": 0.68}))
    if not np.isfinite(share):
        return ""
    error = float(product["coverage_error"].sel({"cleaner": method, "level": 0.68}))
    fits = "as they should" if COVERED[0] <= share <= COVERED[1] else "not as they claim"
    return f"Its 68 % bands hold {100 * share:.1f} ± {100 * error:.1f} % of pixels, {fits}."


def summary(products: Mapping[str, str], root: Path) -> str:
    """Return what a run prints: table and verdict on held-out skies, of another model too."""
    if "residuals" not in products:
        return "no residuals were recorded; notebook 4_residuals makes them"
    store, texts = Store(root), []
    for name in ("residuals", "other_sky"):
        if name in products:
            found = SkyResiduals(store.open(products[name]))
            about = (
                f"{found.dataset.attrs['n_skies']} held-out skies ({found.dataset.attrs['sky']})"
            )
            table = found.table().to_string(float_format="{:.3g}".format)
            texts.append(f"{about}\n{table}\n{found.verdict()}")
    return "\n\n".join(texts)
