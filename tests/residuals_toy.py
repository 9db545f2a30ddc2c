"""A small residuals product on a toy grid, made with nothing but numpy, and a store with it."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import xarray as xr

import presage as ps
from presage.recipe import Parent, Recipe
from presage.store import Store

SOURCES = ("reference", "floor", "flow", "morphing", "nearest")
QUANTILES = (0.01, 0.05, 0.16, 0.5, 0.84, 0.95, 0.99)
INTERIOR = ((2, 2), (2, 7), (5, 4), (7, 7))
EDGE = ((0, 5), (9, 3), (4, 0), (6, 9))
#: How far each source's peak is shifted, in units of its width.
SHIFT = {"reference": 0.0, "floor": 0.0, "flow": 0.012, "morphing": 0.05, "nearest": 0.6}
BINS = 40


@ps.versioned(1)
def tail_share(reference: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Share of events beyond the reference's 99 % quantile."""
    return (events > np.quantile(reference, 0.99, axis=0)).mean(axis=0)


tail_share.best = 0.01


def labels(steps: int = 10, parameters: int = 2) -> dict[str, np.ndarray]:
    """Return label columns of a regular grid."""
    axes = [np.linspace(95, 5410, steps), np.linspace(0.25, 9.025, steps)]
    axes += [np.linspace(0, 1, 3)] * (parameters - 2)
    names = ["phi_label", "omega_label", "chi_label", "psi_label"][:parameters]
    table = np.array(list(product(*axes[:parameters])))
    return dict(zip(names, table.T, strict=True))


def residuals(
    steps: int = 10, parameters: int = 2, variables: int = 2, n: int = 4000, seed: int = 1
) -> xr.Dataset:
    """Return a residuals product: sources × labels × variables, with counts and metrics."""
    rng = np.random.default_rng(seed)
    columns = labels(steps, parameters)
    table = np.stack(list(columns.values()), axis=1)
    names = [f"{name}_mass" for name in ("phi", "omega", "chi", "psi", "rho")][:variables]
    pairs = [f"{x},{y}" for x, y in combinations(names, 2)]
    samples = {source: _sample(rng, table, variables, n, SHIFT[source]) for source in SOURCES}
    low, high = np.quantile(samples["reference"], (0.005, 0.995), axis=1)
    edges = low[..., None] + (high - low)[..., None] * np.linspace(0, 1, BINS + 1)
    counts, outside = _count(samples, edges)
    joint = _count_pairs(samples, edges, variables)
    dims, wide = ("source", "label"), ("source", "label", "variable")
    region, held = _regions(columns, steps)
    attrs = {
        "phi_label": ("GeV", "Phi label"),
        "omega_label": ("GeV", "omega label"),
    }
    coords = {
        "source": np.array(SOURCES, dtype=object),
        "label": np.arange(len(table)),
        "variable": np.array(names, dtype=object),
        "pair": np.array(pairs, dtype=object),
        "quantile": np.array(QUANTILES),
        "title": ("variable", np.array([f"{name} [GeV]" for name in names], dtype=object)),
        "held_out": ("label", held),
        "region": ("label", region),
        **{
            name: (
                "label",
                values,
                dict(zip(("units", "long_name"), attrs.get(name, ("1", name)), strict=True))
                | {"role": "parameter"},
            )
            for name, values in columns.items()
        },
    }
    data = {
        "edges": (("label", "variable", "edge"), edges),
        "counts": ((*wide, "bin"), counts),
        "outside": (wide, outside),
        "counts_2d": ((*dims, "pair", "bin_x", "bin_y"), joint),
        "events": (dims, np.full((len(SOURCES), len(table)), n)),
        "below_bound": (wide, np.zeros((len(SOURCES), len(table), variables), dtype=np.int64)),
        **_metrics(samples, counts, n),
    }
    return xr.Dataset(data, coords=coords, attrs={"model": "SplineFlow(bins=16)"})


def _sample(
    rng: np.random.Generator, table: np.ndarray, variables: int, n: int, shift: float
) -> np.ndarray:
    """Skewed peaks just below the label with a tail, ``[label, event, variable]``."""
    labels, out = len(table), []
    common = rng.standard_normal((labels, n))
    for v in range(variables):
        centre = table[:, min(v, table.shape[1] - 1), None] + (40.0, 0.6, 0.3, 0.3, 0.3)[v]
        width = 0.04 * centre + (8.0, 0.09, 0.05, 0.05, 0.05)[v]
        own = 0.4 * common + 0.9 * rng.standard_normal((labels, n))
        tail = rng.exponential(1.6, (labels, n)) * (rng.random((labels, n)) < 0.3)
        out.append(centre + width * (own - tail + shift))
    return np.stack(out, axis=2)


def _count(samples: dict[str, np.ndarray], edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, variables = edges.shape[:2]
    counts = np.zeros((len(samples), labels, variables, BINS), dtype=np.int64)
    for (s, x), i, v in product(enumerate(samples.values()), range(labels), range(variables)):
        counts[s, i, v] = np.histogram(x[i, :, v], bins=edges[i, v])[0]
    total = next(iter(samples.values())).shape[1]
    return counts, total - counts.sum(axis=-1)


def _count_pairs(samples: dict[str, np.ndarray], edges: np.ndarray, variables: int) -> np.ndarray:
    pairs = list(combinations(range(variables), 2))
    joint = np.zeros((len(samples), len(edges), len(pairs), BINS, BINS), dtype=np.int64)
    for (s, x), i, (p, (a, b)) in product(
        enumerate(samples.values()), range(len(edges)), enumerate(pairs)
    ):
        joint[s, i, p] = np.histogram2d(x[i, :, a], x[i, :, b], bins=[edges[i, a], edges[i, b]])[0]
    return joint


def _metrics(samples: dict[str, np.ndarray], counts: np.ndarray, n: int) -> dict[str, tuple]:
    reference = np.sort(samples["reference"], axis=1)
    std, wide = reference.std(axis=1), ("source", "label", "variable")
    w1, mean, spread, cdf = [], [], [], []
    for x in samples.values():
        x = np.sort(x, axis=1)
        w1.append(np.abs(x - reference).mean(axis=1) / std)
        mean.append((x.mean(axis=1) - reference.mean(axis=1)) / std)
        spread.append(x.std(axis=1) / std - 1)
        cdf.append(
            x[:, [int(q * n) for q in QUANTILES]] - reference[:, [int(q * n) for q in QUANTILES]]
        )
    pull = (counts - counts[:1]) / np.sqrt(np.maximum(counts + counts[:1], 1))
    chi2 = (pull**2).sum(axis=-1) / BINS
    arrays = {
        "w1_over_std": (np.array(w1), "W1 / std"),
        "mean_shift": (np.array(mean), "Δmean / std"),
        "std_shift": (np.array(spread), "Δstd / std"),
        "chi2_per_ndf": (chi2, "χ² / ndf"),
        "bin_residual": (np.sqrt(np.maximum(chi2 - 1, 0)) / 10, "bin residual, noise subtracted"),
    }
    out = {}
    for name, (values, title) in arrays.items():
        values = values.astype(float)
        values[0] = np.nan
        out[name] = (wide, values, {"long_name": title, "units": "1"})
    auc = 0.5 + 0.28 * out["w1_over_std"][1].mean(axis=-1)
    out["auc"] = (wide[:2], auc, {"long_name": "classifier AUC", "units": "1"})
    error = np.moveaxis(np.array(cdf), 2, -1) / std[None, :, :, None] * 0.2
    error[0] = np.nan
    out["cdf_error"] = ((*wide, "quantile"), error, {"long_name": "ΔCDF", "units": "1"})
    return out


def _regions(columns: dict[str, np.ndarray], steps: int) -> tuple[np.ndarray, np.ndarray]:
    place = [np.unique(column, return_inverse=True)[1] for column in columns.values()]
    region = np.full(len(place[0]), "trained", dtype=object)
    if steps == 10:
        for kind, nodes in (("interior", INTERIOR), ("edge", EDGE)):
            for i, j in nodes:
                region[(place[0] == i) & (place[1] == j)] = kind
    return region, region != "trained"


def store_with(root: Path, product: xr.Dataset, name: str = "toy") -> tuple[Store, str]:
    """Return a store with the product and two entries that it descends from, and its key."""
    store = Store(root)
    events = Recipe("resonance", 3, {"phi": 10, "omega": 10}, seed=0)
    fit = Recipe("fit-spline-flow", 1, {"bins": 16}, parents=(Parent(events.key, 0, 48_500),))
    store.put(events, xr.Dataset({"phi_mass": ("event", np.arange(20.0), {"units": "GeV"})}))
    store.put_file(fit, "declaration.json", lambda sink: sink.write(b'{"bins": 16}'))
    parents = (Parent(events.key, 0, 48_500), Parent(fit.key))
    recipe = Recipe("residuals", 1, {"name": name, "bins": BINS}, parents=parents)
    store.put(recipe, product)
    return store, recipe.key
