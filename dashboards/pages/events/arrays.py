"""What a product of residuals is for the browser: statistics of its bins, pictures of its cells."""

from __future__ import annotations

import os

import xarray as xr

from dashboards.kit.arrays import Array

#: Bytes of two-dimensional counts up to which all go to the browser at once; lower it for a
#: slow connection.
BUDGET = int(os.environ.get("PRESAGE_DASHBOARD_BUDGET", 32 << 20))
#: Largest pull on the colour scale.
PULL = 4.0
_BINS = ("bin_pull", "bin_ratio", "bin_ratio_error", "bin_ratio_floor", "bin_few")
_SHARES = {"share": "bin_density", "share_error": "bin_density_error"}
#: What the histograms read, by its part in them.
ROLES = {"edges": "edges", "density": "share", "error": "share_error",
         **{name.removeprefix("bin_"): name for name in _BINS}}  # fmt: skip


def arrays_of(product: xr.Dataset) -> dict[str, Array]:
    """Return the arrays of a product whose first source is the one that others are held against."""
    rest = {"source": range(1, product.sizes["source"])}
    held = product.isel(rest)
    found = {name: Array.of(held[name], "bin", half=name != "bin_few", slots=rest)
             for name in _BINS if name in product}  # fmt: skip
    # Densities as per cent of all events in each bin: a scale.
    width = 100 * product["edges"].diff("edge").rename(edge="bin")
    for name, density in _SHARES.items():
        share = (product[density] * width).transpose("source", ...)
        found[name] = Array.of(share, "bin", half=True)
    if whole(product):
        found |= pictures_of(density_of(product), held["pull_2d"], rest)
    return {**found, "edges": Array.of(product["edges"], "edge"),
            "events": Array.of(product["events"].round())}  # fmt: skip


def whole(product: xr.Dataset) -> bool:
    """Return whether there are cells, and all of them go to the browser at once."""
    return "counts_2d" in product and 0 < 2 * product["counts_2d"].size <= BUDGET


def density_of(product: xr.Dataset, peak_of: str = "reference") -> xr.DataArray:
    """Return the densities of cells over the largest one of a source: a colour scale."""
    events = product["events"]
    shares = product["counts_2d"].astype("f4") / events.where(events > 0)
    return shares / shares.sel(source=peak_of, drop=True).max(["bin_x", "bin_y"])


def pictures_of(
    density: xr.DataArray, pulls: xr.DataArray, rest: dict[str, range], **slots: list[int]
) -> dict[str, Array]:
    """Return densities, and pulls of the `rest` of the sources, as eight bits."""
    return {
        "picture": Array.coded(density, "bin_y", "bin_x", low=0.0, high=1.0, power=3.0,
                               slots=slots),
        "pull_2d": pulls_of(pulls, **rest, **slots),
    }  # fmt: skip


def pulls_of(pulls: xr.DataArray, **slots: range | list[int]) -> Array:
    """Return pulls of cells as eight bits, what is beyond the scale as the outermost ones."""
    return Array.coded(pulls, "bin_y", "bin_x", low=-PULL, high=PULL, slots=slots)
