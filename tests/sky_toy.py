"""A product of cleaned skies as the study `sky` has it: real cleaners on a toy sky, in a second."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.studies import Study

Floats = NDArray[np.float64]
STUDY = Study("sky", "cleaned skies", (), page="dashboards.pages.sky:PAGE")
TITLES = {
    "limit": "Wiener filter, true covariances", "wiener_other": "Wiener filter, another sky's",
    "wiener_learned": "learned Wiener filter", "pca": "PCA at its best N_FG",
    "pca_transfer": "PCA, transfer function corrected", "polynomial": "log-log polynomial",
    "fastica": "FastICA", "network": "U-Net over PCA", "network_wiener": "U-Net over Wiener",
}  # fmt: skip
#: Depth of the band and side of a pixel, Mpc/h; noise, mK.
DEPTH, SIDE, NOISE = 580.0, 13.0, 0.02


def product(
    skies: int = 2, channels: int = 16, side: int = 16, methods: tuple[str, ...] = tuple(TITLES),
    across: tuple[str, str] = ("y", "x"),
) -> xr.Dataset:  # fmt: skip
    """Return truth, what each method makes of it, and what is said of that."""
    rng = np.random.default_rng(0)
    train, truth = _signal(rng, 8, channels, side), _signal(rng, skies, channels, side)
    modes = _modes(channels)
    contaminant = _foreground(rng, modes, skies, side) + NOISE * rng.normal(size=truth.shape)
    seen = _foreground(rng, modes, 8, side) + NOISE * rng.normal(size=train.shape)
    signal, rest = _covariance(train), _covariance(seen)
    exact = modes.T @ modes * 1e6 + NOISE**2 * np.eye(channels)
    values, vectors = np.linalg.eigh(_covariance(train + seen))
    values, vectors = values[::-1], vectors[:, ::-1]
    observed = truth + contaminant
    cleaners = {n: np.eye(channels) - vectors[:, :n] @ vectors[:, :n].T for n in range(channels)}
    scan = {n: _spectra(truth, _apply(clean, observed)) for n, clean in cleaners.items()}
    best = min(scan, key=lambda n: float(scan[n]["total"]))
    limit = _apply(signal @ np.linalg.pinv(signal + exact), observed)
    pca = _apply(cleaners[best], observed)
    blur = rng.normal(size=truth.shape) * truth.std()
    cleaned = {
        "limit": limit,
        "wiener_other": 0.8 * limit + 0.02 * blur,
        "wiener_learned": _apply(signal @ np.linalg.pinv(signal + rest), observed),
        "pca": pca,
        "pca_transfer": pca * 1.15,
        "polynomial": _apply(cleaners[1], observed) + 0.3 * blur,
        "fastica": pca + 0.15 * blur,
        "network": 0.99 * limit + 0.02 * blur,
        "network_wiener": limit + 0.01 * blur,
    }
    made = {name: _spectra(truth, cleaned[name]) for name in methods}
    dims = {"plane": ("k_perpendicular", "k_parallel"), "1d": ("k",), "parallel": ("k_parallel",),
            "angular": ("multipole",), "band": ("band",)}  # fmt: skip
    found: dict[str, tuple[tuple[str, ...], Floats, dict[str, str]]] = {}

    def over_methods(name: str, part: str, of: str) -> None:
        stacked = np.stack([spectra[of] for spectra in made.values()])
        found[name] = (("method", *dims[part]), stacked, {})

    for name in ("power_ratio", "correlation", "residual"):
        over_methods(name, "plane", name)
        over_methods(f"{name}_1d", "1d", f"{name}_1d")
        over_methods(f"{name}_band", "band", f"{name}_band")
    over_methods("residual_parallel", "parallel", "residual_parallel")
    over_methods("angular_power_ratio", "angular", "angular")
    for tail in ("", "_parallel", "_band"):
        over, ratio, _ = found[f"residual{tail}"]
        found[f"ratio_to_limit{tail}"] = over, ratio / ratio[:1], {}
    one = scan[0]
    found["expected_limit"] = (dims["plane"], made["limit"]["residual"] * 0.97, {})
    found["mode_count"] = (dims["plane"], one["count"], {})
    for name in ("residual", "residual_1d", "power_ratio_1d", "correlation_1d"):
        count = one["count"] if name == "residual" else one["count_1d"]
        error = found[name][1] / np.sqrt(np.maximum(count, 1))
        found[f"{name}_error"] = (found[name][0], error, {})
    found["power_true_1d"] = ("k",), one["power_1d"], {"units": "mK2 (Mpc/h)3"}
    for name in ("residual", "power_ratio", "correlation"):
        of = "residual_parallel" if name == "residual" else f"{name}_parallel"
        scanned = np.stack([spectra[of] for spectra in scan.values()])
        found[f"scan_{name}"] = (("modes", "k_parallel"), scanned, {})
    found["scan_total"] = ("modes",), np.array([float(s["total"]) for s in scan.values()]), {}
    found["eigenvalues"] = ("mode",), values, {"units": "mK2"}
    found["signal_eigenvalues"] = ("mode",), np.linalg.eigvalsh(signal)[::-1], {"units": "mK2"}
    found["noise_eigenvalue"] = (), np.array(NOISE**2), {"units": "mK2"}
    inside = [np.abs(truth - cleaned[name]) < k * np.std(truth - cleaned[name])
              for name in methods for k in (1, 2)]  # fmt: skip
    share = np.array([float(part.mean()) for part in inside]).reshape(-1, 2)
    found["coverage"] = ("method", "level"), share, {}
    found["coverage_error"] = ("method", "level"), share * 0 + 0.01, {}
    cube = ("sky", "frequency", *across)
    maps = {"truth": truth, "observed": observed}
    cubes = {name: (cube, a.astype(np.float32), {"units": "mK"}) for name, a in maps.items()}
    stacked = np.stack([cleaned[name] for name in methods]).astype(np.float32)
    cubes["cleaned"] = (("method", *cube), stacked, {"units": "mK"})
    angle = 0.25 * (np.arange(side) - 0.5 * (side - 1))
    coords = {
        "method": np.array(methods, dtype=object),
        "method_title": ("method", np.array([TITLES[name] for name in methods], dtype=object)),
        "frequency": ("frequency", 500 + 100 / channels * (np.arange(channels) + 0.5),
                      {"units": "MHz", "long_name": "frequency"}),
        **{dim: (dim, angle, {"units": "deg", "long_name": f"angle along {dim}"})
           for dim in across},
        "k_perpendicular": one["k_perpendicular"], "k_parallel": one["k_parallel"], "k": one["k"],
        "band": np.array(["k∥ < 0.03", "0.03 – 0.05", "k∥ > 0.05"], dtype=object),
        "multipole": one["multipole"], "level": [0.68, 0.95], "modes": np.arange(channels),
    }  # fmt: skip
    attrs = {"sky": "leakage", "across": ",".join(across), "noise_share": 0.04,
             "n_skies": skies, "best_modes": best}  # fmt: skip
    return xr.Dataset({**found, **cubes}, coords, attrs)


def _signal(rng: np.random.Generator, n: int, channels: int, side: int) -> Floats:
    """Return Gaussian skies of P(k) ∝ 1 / (k² + k0²), rms 0.2 mK."""
    white = np.fft.rfftn(rng.normal(size=(n, channels, side, side)), axes=(1, 2, 3))
    k = [2 * np.pi * np.fft.fftfreq(m, d) for m, d in ((channels, DEPTH / channels), (side, SIDE))]
    kx = 2 * np.pi * np.fft.rfftfreq(side, SIDE)
    k2 = k[0][:, None, None] ** 2 + k[1][:, None] ** 2 + kx**2
    cube: Floats = np.fft.irfftn(
        white / np.sqrt(k2 + 0.03**2), s=(channels, side, side), axes=(1, 2, 3)
    )
    return 0.2 * (cube - cube.mean()) / cube.std()


def _modes(channels: int) -> Floats:
    """Return spectra of foregrounds: smooth and steep ones, and those of leakage."""
    x = np.linspace(1.0, 1.2, channels)
    smooth = [x**-2.7, x**-2.2 * (x - 1.1), x**-2 * (x - 1.1) ** 2]
    leaked = [a * np.cos(b * np.pi * (x - 1)) for a, b in ((2e-4, 14), (5e-5, 24), (1e-5, 40))]
    return np.array([smooth[0], 0.3 * smooth[1], 0.1 * smooth[2], *leaked])


def _foreground(rng: np.random.Generator, modes: Floats, n: int, side: int) -> Floats:
    amplitudes = 1e3 * rng.normal(size=(n, len(modes), side, side))
    amplitudes[:, 0] += 3e3
    return np.einsum("mf,nmyx->nfyx", modes, amplitudes)


def _covariance(cubes: Floats) -> Floats:
    rows = np.moveaxis(cubes, 1, -1).reshape(-1, cubes.shape[1])
    return rows.T @ rows / len(rows)


def _apply(matrix: Floats, cubes: Floats) -> Floats:
    return np.einsum("fg,ngyx->nfyx", matrix, cubes)


def _spectra(truth: Floats, cleaned: Floats) -> dict[str, Floats]:
    """Return ratios of spectra over the plane, over k and over k_parallel."""
    n, channels, side, _ = truth.shape
    t, c = (np.fft.rfftn(a, axes=(1, 2, 3)) for a in (truth, cleaned))
    k = [2 * np.pi * np.fft.fftfreq(channels, DEPTH / channels),
         2 * np.pi * np.fft.fftfreq(side, SIDE),
         2 * np.pi * np.fft.rfftfreq(side, SIDE)]  # fmt: skip
    across = np.broadcast_to(np.hypot(k[1][:, None], k[2]), t.shape[1:])
    along = np.broadcast_to(np.abs(k[0])[:, None, None], t.shape[1:])
    steps = np.array([0.5, 1.5, 2.5, 3.5, 4.5, 6.5, 9.5, 13.5, 19.5, 28.5, 50.0])
    edges = [one[1] * steps[steps < 1.3 * len(one) / 2] for one in k[:2]][::-1]
    edges[0] = k[1][1] * steps[steps < 1.9 * side / 2]
    bands = [0.005, 0.03, 0.05, 10.0]
    whole = np.geomspace(1.5 * k[0][1], np.hypot(along, across).max(), 2 + len(edges[1]))
    middles = [np.sqrt(e[1:] * e[:-1]) for e in (*edges, whole)]
    found: dict[str, Floats] = dict(
        zip(("k_perpendicular", "k_parallel", "k"), middles, strict=True)
    )
    found["multipole"] = middles[0] * 3100
    powers = {"t": np.abs(t) ** 2, "c": np.abs(c) ** 2, "x": (t * c.conj()).real,
              "r": np.abs(c - t) ** 2}  # fmt: skip
    powers = {name: p.sum(0).astype(float) for name, p in powers.items()}
    plane = {name: np.histogram2d(across.ravel(), along.ravel(), edges, weights=p.ravel())[0]
             for name, p in powers.items()}  # fmt: skip
    found["count"] = n * np.histogram2d(across.ravel(), along.ravel(), edges)[0]
    total = np.hypot(across, along).ravel()
    band = {name: np.histogram(along, bands, weights=p)[0] for name, p in powers.items()}
    line = {m: np.histogram(total, whole, weights=p.ravel())[0] for m, p in powers.items()}
    found["count_1d"] = n * np.histogram(total, whole)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        found["power_1d"] = line["t"] / found["count_1d"] * DEPTH / channels * SIDE**2
        for tail, p in (("", plane), ("_1d", line),
                        ("_parallel", {m: v.sum(0) for m, v in plane.items()}),
                        ("_band", band)):  # fmt: skip
            found[f"power_ratio{tail}"] = p["c"] / p["t"]
            found[f"correlation{tail}"] = p["x"] / np.sqrt(p["c"] * p["t"])
            found[f"residual{tail}"] = p["r"] / p["t"]
        found["angular"] = plane["c"].sum(1) / plane["t"].sum(1)
    found["total"] = np.array(powers["r"].sum() / powers["t"].sum())
    return found
