"""Small labelled event sets with known distributions, for the tests of the analysis."""

from __future__ import annotations

import numpy as np
import xarray as xr


def events_of(columns, labels=("phi_label", "omega_label"), units="GeV", lower=None):
    """Build an events dataset from name → column; names in `labels` are parameters."""
    dataset = xr.Dataset({name: ("event", np.asarray(values)) for name, values in columns.items()})
    for name in dataset.data_vars:
        dataset[name].attrs = {"units": units, "long_name": str(name).replace("_", " ")}
        if name in labels:
            dataset[name].attrs["role"] = "parameter"
        elif lower is not None:
            dataset[name].attrs["valid_lower"] = lower
    return dataset.assign_attrs(presage_sample="event", presage_producer="toy")


def gaussian_events(labels, n, seed=0, shift=0.0, rho=0.3, dtype="float32", counts=None):
    """Gaussian clouds: phi around 10 + phi_label, omega around omega_label, width 1 + phi/20."""
    rng = np.random.default_rng(seed)
    counts = [n] * len(labels) if counts is None else counts
    parts = []
    for (p, w), k in zip(labels, counts, strict=True):
        z = rng.standard_normal((k, 2))
        width = 1 + p / 20
        x = 10 + p + width * (z[:, 0] + shift)
        y = w + 0.5 * (rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1])
        parts.append(np.stack([np.full(k, p), np.full(k, w), x, y]))
    columns = np.concatenate(parts, axis=1).astype(dtype)
    names = ("phi_label", "omega_label", "phi_mass", "omega_mass")
    return events_of(dict(zip(names, columns, strict=True)))


LABELS = (("mass_label", "true mass", "GeV"), ("width_label", "true width", "GeV"),
          ("coupling", "coupling strength", "1"))  # fmt: skip
OBSERVABLES = (("mass", "reconstructed mass", "GeV"), ("pt", "transverse momentum", "GeV"),
               ("eta", "pseudorapidity", "1"), ("angle", "decay angle", "rad"),
               ("missing_pt", "missing transverse momentum", "GeV"))  # fmt: skip


def observables(d, labels=2, side=2, n=200, seed=0, shift=0.0, counts=None):
    """Return events of `d` observables at the labels of a grid, with long names and units."""
    rng = np.random.default_rng(seed)
    points = np.stack(np.meshgrid(*[np.arange(1.0, side + 1)] * labels, indexing="ij"), axis=-1)
    table = np.repeat(points.reshape(-1, labels), n if counts is None else counts, axis=0)
    z = rng.standard_normal((len(table), d)) + shift
    x = np.exp(0.3 * (table[:, [k % labels for k in range(d)]] + 0.4 * z + 0.2 * z[:, :1]))
    named = [*zip(LABELS, table.T, strict=False),
             *zip(OBSERVABLES, x.T.astype("float32"), strict=False)]  # fmt: skip
    dataset = xr.Dataset({about[0]: ("event", column) for about, column in named})
    for (name, long_name, unit), _ in named:
        dataset[name].attrs = {"long_name": long_name, "units": unit}
        if (name, long_name, unit) in LABELS:
            dataset[name].attrs["role"] = "parameter"
    return dataset.assign_attrs(presage_sample="event", presage_producer="toy")


def grid(n=5, m=4):
    """Labels of an n × m grid."""
    return [(float(p), float(w)) for p in range(n) for w in range(m)]


def many_dimensional(n, seed=0, labels=None):
    """Three labels, three masses: each mass a Gaussian around its label."""
    rng = np.random.default_rng(seed)
    if labels is None:
        labels = [(a, b, c) for a in (0.0, 1.0, 2.0) for b in (0.0, 1.0, 2.0) for c in (0.0, 1.0)]
    table = np.repeat(np.array(labels), n, axis=0)
    masses = table + rng.standard_normal(table.shape) * (0.2, 0.3, 0.4)
    columns = {f"l{i}": table[:, i] for i in range(3)}
    columns |= {f"m{i}": masses[:, i] for i in range(3)}
    return events_of(columns, labels=("l0", "l1", "l2"))
