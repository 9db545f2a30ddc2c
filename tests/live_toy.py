"""A store with trained flows and their residuals, of any number of labels and variables."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

import presage as ps
from presage.analysis.residuals import residuals
from presage.store import Store

#: Values of each parameter of the grid.
STEPS = (5, 4, 3)
SETTINGS = {"batch_size": 128, "learning_rate": 1e-2, "progress": False}


def events(parameters: int, variables: int, n: int, seed: int) -> xr.Dataset:
    """Return peaks that follow the labels, `n` events at each label of a grid."""
    rng = np.random.default_rng(seed)
    axes = [
        np.linspace(100, 500, STEPS[0]),
        np.linspace(1, 9, STEPS[1]),
        np.linspace(0, 1, STEPS[2]),
    ]
    table = np.repeat(np.array(list(product(*axes[:parameters]))), n, axis=0)
    order = rng.permutation(len(table))
    table, columns = table[order], {}
    for k, name in enumerate(("phi_label", "omega_label", "chi_label")[:parameters]):
        about = {"units": "GeV", "role": "parameter", "long_name": name.replace("_", " ")}
        columns[name] = ("event", table[:, k], about)
    for k, name in enumerate(("phi_mass", "omega_mass", "chi_mass")[:variables]):
        centre = table[:, min(k, parameters - 1)]
        values = centre + (0.05 * centre + 0.2) * rng.standard_normal(len(table))
        columns[name] = ("event", values.astype(np.float32), {"units": "GeV"})
    return xr.Dataset(columns, attrs={"presage_sample": "event"})


def store_with_flows(
    root: Path,
    parameters: int = 2,
    variables: int = 2,
    n: int = 120,
    products: tuple[str, ...] = ("one", "other", "both"),
) -> tuple[Store, dict[str, str]]:
    """Return a store, and the keys of its residuals.

    ``one``, ``other``: of one model each, with the same truth; ``both``: of the two.
    """
    store = Store(root)
    known = store.adopt(events(parameters, variables, n, 1), "toy-events")
    truth = store.adopt(events(parameters, variables, n, 2), "toy-truth")
    middle = [axis[1] for axis in ((100.0, 200.0), (1.0, 1 + 8 / 3), (0.0, 0.5))][:parameters]
    train, _ = ps.hold_out(known, [middle])
    fits = {
        name: ps.fit(ps.models.SplineFlow(hidden=(16,), bins=bins), train, epochs=epochs,
                     store=store, **SETTINGS)
        for name, bins, epochs in (("one", 6, 3), ("other", 8, 5))
        if {name, "both"} & set(products)
    }  # fmt: skip
    drawn = {k: ps.sample(fit, labels=truth, n=n, store=store) for k, fit in fits.items()}
    keys = {}
    for name in products:
        what = drawn if name == "both" else drawn[name]
        found = residuals(what, truth, train=train, store=store, classifier=False, bins=24)
        keys[name] = str(found.dataset.attrs["presage_key"])
    return store, keys
