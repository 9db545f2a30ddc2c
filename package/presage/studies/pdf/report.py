"""The figures of merit of a posterior as tables and in words."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from presage.analysis.pareto import PARETO_BAR
from presage.studies.pdf.calibration_panels import outside
from presage.studies.pdf.completing import completed
from presage.studies.pdf.correction import POOR

#: The quantity whose rank looks at the data, and so stands apart.
LIKELIHOOD = "log_likelihood"


def scores(product: xr.Dataset) -> pd.DataFrame:
    """Return one row for each number of events: how close to the exact posterior.

    Parameters
    ----------
    product
        Of :func:`~presage.studies.pdf.measure.posteriors`.

    Returns
    -------
    pandas.DataFrame
        Over the observations: C2ST of the estimate (mean, worst) and corrected, the accuracy
        that equal laws stay below, importance efficiency (mean, worst), the largest k̂, and
        the standard deviation of the estimate over the reference's, the smallest p-value of a
        set among those of the training, and the share of references that can be trusted. Of
        the first curve the
        root mean square error of the median, in half widths of the reference's band of 68 %,
        over that of the reference itself, and the width of the band over the reference's.
    """
    c2st = product["c2st"]
    estimate, corrected = c2st.sel(kind="estimate"), c2st.sel(kind="corrected")
    spread = product["sd_ratio"].sel(kind="estimate")
    among = [d for d in spread.dims if d != "size"]
    columns = {
        "C2ST": estimate.mean("observation"),
        "worst": estimate.max("observation"),
        "corrected": corrected.mean("observation"),
        "floor": product["c2st_floor"].mean("observation"),
        "efficiency": product["efficiency"].mean("observation"),
        "lowest": product["efficiency"].min("observation"),
        "largest k̂": product["pareto_k"].max("observation"),
        "sd / exact": spread.median(among),
    }
    if "p_value" in product:  # products of version 1 have none
        columns["lowest p"] = product["p_value"].min("observation")
    if "reliable" in product:  # nor those of version 2
        columns["reliable"] = product["reliable"].mean("observation")
    columns |= _of_curve(product)
    rows = {name: values.values.round(3) for name, values in columns.items()}
    return pd.DataFrame(rows, index=pd.Index(product["size"].values, name="events"))


def _of_curve(product: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return error and band width of the first curve, each over the reference's."""
    name = str(product.attrs.get("curves", "")).split(",")[0]
    if not name:
        return {}
    far = completed(product)[f"{name}_residual"].sel(against="truth", scale="sigma")
    among = [d for d in far.dims if d not in ("size", "kind", "level")]
    error = (far.sel(level=0.5) ** 2).mean(among) ** 0.5
    width = ((far.sel(level=0.84) - far.sel(level=0.16)) / 2).median(among)
    return {
        f"{name}: error / exact": error.sel(kind="estimate") / error.sel(kind="reference"),
        "width / exact": width.sel(kind="estimate"),
    }


def _of_likelihood(product: xr.Dataset) -> str:
    """Say whether the truth is as likely as draws are: what ranks of parameters cannot see."""
    p, place = float(product["uniformity_p"]), float(product["rank"].mean())
    place /= float(product.attrs["draw_count"])
    way = "wide" if place > 0.5 else "narrow"
    said = f"; below 0.01: the posterior is too {way}" if p < 0.01 else ""
    return f"log-likelihood: mean rank {place:.3f} (exact: 0.5), uniform with p = {p:.2g}{said}"


def verdict(product: xr.Dataset) -> str:
    """Say in words what a calibration found.

    Parameters
    ----------
    product
        Of :func:`~presage.studies.pdf.measure.calibrate`.
    """
    kind, number = product.attrs["kind"], product.sizes["observation"]
    left = [name for name in outside(product) if name != LIKELIHOOD]
    total = sum(str(name) != LIKELIHOOD for name in product["quantity"].values)
    lines = [
        f"{kind}: ranks of {total - len(left)} of {total} quantities stay inside their band "
        f"over {number} sets" + (f"; outside: {', '.join(left)}" if left else "")
    ]
    if "uniformity_p" in product and LIKELIHOOD in product["quantity"].values:
        lines.append(_of_likelihood(product.sel(quantity=LIKELIHOOD)))
    if "tarp_distance" in product:
        gap, bound = float(product["tarp_distance"]), float(product["tarp_bound"])
        lines.append(f"TARP: largest difference {gap:.3f}, by chance below {bound:.3f}")
    if "efficiency" in product:
        poor = float((product["efficiency"] < POOR).mean())
        bad = float((product["pareto_k"] > PARETO_BAR).mean())
        mean = float(product["efficiency"].mean())
        lines.append(
            f"importance efficiency {mean:.0%} on average; below {POOR:.0%} for {poor:.1%} of "
            f"the sets, and weights that cannot be trusted (k̂ > {PARETO_BAR}) for {bad:.1%}"
        )
    return "\n".join(lines)
