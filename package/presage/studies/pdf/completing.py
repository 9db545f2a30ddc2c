"""What is shown of a product of posteriors and follows from what it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from presage.analysis import bands
from presage.labels import Floats, unitless

#: What a residual is held against, and in which units it is given.
AGAINST, SCALES = ("reference", "truth"), ("sigma", "ratio")
#: Bins of an observation's events.
_BINS = 36
#: Quantiles whose ratio tells that a feature spans decades.
_DECADES = (0.02, 0.98, 30)


def completed(product: xr.Dataset) -> xr.Dataset:
    """Return a product of posteriors with residuals of its curves and histograms of its events.

    They are exact functions of what the file holds, and four times as large: they are made
    when it is opened.

    Parameters
    ----------
    product
        Of :func:`presage.studies.pdf.exhibits.posteriors_product`, of any version.

    Returns
    -------
    xarray.Dataset
        Besides, for each curve NAME, ``NAME_residual`` ``[against, scale, observation, size,
        kind, level, NAME_grid]`` and ``NAME_true_residual`` (without kind and level): what the
        curve is away from the reference's median or from the truth, in half widths of the
        reference's 68 % band ("sigma") or relative ("ratio", NaN where that is nearly 0);
        ``prior_density`` ``[parameter]``; ``event_counts`` ``[observation, size, feature,
        bin]`` of the first `size` events between ``event_edges`` ``[observation, feature,
        bin_edge]``, whose steps are even in the logarithm where ``feature_log`` says so;
        ``p_value`` and ``reliable``, NaN in products of before.
    """
    width = product["parameter_high"] - product["parameter_low"]
    added: dict[str, Any] = {"prior_density": (1 / width).drop_vars(width.coords)}
    for name in ("p_value", "reliable"):
        if name not in product:
            added[name] = xr.full_like(product["efficiency"], np.nan)
    for name in filter(None, str(product.attrs.get("curves", "")).split(",")):
        added |= _residuals(product, name)
    return product.assign(added).assign(_events(product))


def _residuals(product: xr.Dataset, name: str) -> dict[str, xr.DataArray]:
    """Return what a curve's bands and the true one are away from reference and truth."""
    order = ("observation", "size", "kind", "level", f"{name}_grid")
    band = product[f"{name}_band"].transpose(*order).astype(float)
    true = product[f"{name}_true"].transpose("observation", ...).astype(float)
    kinds = [str(kind) for kind in product["kind"].values]
    unit = band.sel(kind="reference" if "reference" in kinds else kinds[0], drop=True)
    low, middle, high = (unit.sel(level=level, drop=True) for level in bands.LEVELS[1:4])
    bases = [middle, true.broadcast_like(middle).transpose(*middle.dims)]
    found: dict[str, xr.DataArray] = {}
    for title, curve in ((f"{name}_residual", band), (f"{name}_true_residual", true)):
        parts = []
        for base in bases:
            half, most = (high - low) / 2, abs(base).max(f"{name}_grid")
            away = curve - base
            scaled = [away / half.where(half > 0), away / base.where(abs(base) > 1e-3 * most)]
            parts.append(xr.concat(scaled, dim="scale"))
        joined = xr.concat(parts, dim="against")
        rest = order if curve is band else (*order[:2], order[-1])
        found[title] = (
            joined.transpose("against", "scale", *rest)
            .assign_coords(against=list(AGAINST), scale=list(SCALES))
            .astype(np.float32)
            .assign_attrs(long_name=f"{name} minus reference or truth", units="1")
        )
    return found


def _events(product: xr.Dataset) -> dict[str, Any]:
    """Return histograms of the first events of each observation, by size."""
    events = product["events"].transpose("observation", "feature", "event").values.astype(float)
    scales = product.coords.get("feature_scale")
    names = ["linear"] * events.shape[1] if scales is None else map(str, scales.values)
    logs = np.array([_spans_decades(events[:, k], s) for k, s in enumerate(names)])
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(logs[:, None], np.log10(events), events)
    ends = np.stack([values.min(axis=2), values.max(axis=2)], axis=-1)
    room = 0.04 * np.ptp(ends, axis=-1)
    room = np.where(room > 0, room, 0.5)[..., None] * np.array([-1, 1])
    low, high = (ends + room)[..., :1], (ends + room)[..., 1:]
    edges = low + (high - low) * np.linspace(0, 1, _BINS + 1)
    place = ((values - low) / (high - low) * _BINS).astype(int)  # inside, by the room at the ends
    rows = np.arange(place[..., 0].size).reshape(*place.shape[:2], 1) * _BINS + place
    counts = [
        np.bincount(rows[..., :size].ravel(), minlength=rows[..., 0].size * _BINS)
        for size in product["size"].values
    ]
    shape = (len(counts), *place.shape[:2], _BINS)
    counted = np.moveaxis(np.reshape(counts, shape), 0, 1).astype(np.int32)
    edges = np.where(logs[:, None], 10.0**edges, edges)
    lead = ("observation", "size", "feature", "bin")
    return {
        "event_counts": (lead, counted, unitless("events in a bin")),
        "event_edges": (("observation", "feature", "bin_edge"), edges,
                        {"long_name": "bin edges, in the feature's unit"}),
        "feature_log": (("feature",), logs, {"long_name": "steps are even in the logarithm"}),
    }  # fmt: skip


def _spans_decades(values: Floats, scale: str) -> bool:
    """Return whether a feature is shown on a logarithmic axis."""
    if not (values > 0).all() or scale not in ("log", "logit"):
        return False
    low, high = np.quantile(values, _DECADES[:2])
    return scale == "log" or bool(high > _DECADES[2] * low)
