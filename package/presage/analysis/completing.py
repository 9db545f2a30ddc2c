"""A residuals product of an older version, with all that one of today holds."""

from __future__ import annotations

import xarray as xr

from presage.analysis.bin_statistics import STATISTICS, bin_statistics
from presage.analysis.metrics import METRICS


def completed(product: xr.Dataset) -> xr.Dataset:
    """Return a residuals product, of any version, with its bins' statistics and its words."""
    lacking = set(STATISTICS) - set(product.data_vars)
    if not product.sizes.get("pair"):
        lacking.discard("pull_2d")
    if lacking:
        product = product.assign(bin_statistics(product, joint="pull_2d" in lacking))
    silent = [n for n in METRICS if n in product and "short_name" not in product[n].attrs]
    return product.assign({n: product[n].assign_attrs(METRICS[n].attributes()) for n in silent})
