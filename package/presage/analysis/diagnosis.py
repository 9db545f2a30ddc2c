"""What is wrong at a label, in words: location, width, shape, correlation, tail, edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from presage.analysis.distances import QUANTILES
from presage.analysis.judging import model_of

#: So many times its floor a figure has to be before it is called a cause.
_CLEAR = 3.0


@dataclass(frozen=True)
class _Fault:
    """A sentence, and about how much of W1/std the fault makes up."""

    size: float
    text: str


def cause(product: xr.Dataset, label: int) -> str:
    """Return what is most wrong with the model's events at a label, empty if nothing is clear."""
    here = product.isel(label=label)
    faults = [*_moments(here), *_shapes(here), *_correlations(here), *_tails(here)]
    if not faults:
        return ""
    text = max(faults, key=lambda fault: fault.size).text
    edge = str(here["region"].values) == "edge"
    return text + (", at an edge of the labels: extrapolation" if edge else "")


def _clear(here: xr.Dataset, metric: str) -> list[tuple[str, float]]:
    """Return the variables or pairs of which a metric is far beyond its floor, with its value."""
    if metric not in here:
        return []
    values = here[metric].sel(source=model_of(here))
    floors = np.abs(here[metric].sel(source="floor").values)
    part = str(values.dims[0]) if values.dims else ""
    names = here[part].values if part else [""]
    found = zip(names, np.atleast_1d(values.values), np.atleast_1d(floors), strict=True)
    return [(str(n), float(v)) for n, v, f in found if abs(v) > max(_CLEAR * f, 0.01)]


def _moments(here: xr.Dataset) -> list[_Fault]:
    shifts = [
        _Fault(abs(v), f"{name} is shifted by {v:+.2g} standard deviations")
        for name, v in _clear(here, "mean_shift")
    ]
    widths = [
        _Fault(0.8 * abs(v), f"the width of {name} is {1 + v:.3g} times the true one")
        for name, v in _clear(here, "std_shift")
    ]
    return shifts + widths


def _shapes(here: xr.Dataset) -> list[_Fault]:
    """Distribution functions that are off somewhere: of a shift by d it is 0.4 d at most."""
    if "cdf_error" not in here:
        return []
    errors = here["cdf_error"].sel(source=model_of(here)).transpose("variable", "quantile")
    floors = np.abs(here["cdf_error"].sel(source="floor").transpose("variable", "quantile"))
    faults = []
    for one, floor in zip(errors, floors, strict=True):
        worst = int(np.abs(one.values).argmax())
        v, q = float(one[worst]), QUANTILES[worst]
        if abs(v) > max(_CLEAR * float(floor[worst]), 0.01):
            name = one["variable"].item()
            text = f"the share of {name} below its {100 * q:g} % quantile is off by {v:+.2g}"
            faults.append(_Fault(abs(v), text))
    return faults


def _correlations(here: xr.Dataset) -> list[_Fault]:
    return [
        _Fault(0.5 * abs(v), f"the correlation of {name.replace(',', ' and ')} is off by {v:+.2g}")
        for name, v in _clear(here, "correlation_shift")
    ]


def _tails(here: xr.Dataset) -> list[_Fault]:
    """Events where the reference has none: few move W1 hardly, and so come last."""
    if "beyond_range" not in here:
        return []
    share = here["beyond_range"].sel(source=model_of(here))
    floor = float(here["beyond_range"].sel(source="floor").max())
    worst = share.isel(variable=int(share.values.argmax()))
    if not float(worst) > 10 * floor:
        return []
    text = (
        f"{float(worst):.1g} of the events have a {worst['variable'].item()} beyond the "
        f"reference's range (by chance {floor:.1g})"
    )
    return [_Fault(0.0, text)]
