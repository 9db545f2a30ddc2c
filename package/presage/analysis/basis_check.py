"""Whether a stored basis does what it is for: its accuracy, what it takes, how fast it is.

A basis is to clean as exactly as arithmetic in many digits does, in any of the ways that it is
used: parts cleaned in float64, stored in float32 and added; sums of parts, in float64 and in
float32, whose rounding is then in them. It takes a share of the signal, and leaves foreground,
for every number of modes. And it is to be worth its place: it replaces a PCA of every batch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from presage.analysis.canvas import SERIES, WIDTH, Page, raised, tidy
from presage.labels import LabelError, nearest
from presage.transforms.channels import joined
from presage.transforms.pca import PCA

Values = NDArray[Any]

#: The error that cleaning may have, in rms of the signal.
BAR = 1e-5
_ROUNDS = 5


def pca_of_batch(batch: Values, modes: int) -> Values:
    """Return a batch cleaned by principal components of its own, as is done without a basis.

    Spectra are lined up, centred, multiplied to a covariance, which is diagonalised and projected
    on, all in float64: in float32 the covariance would be wrong by more than the signal.

    Parameters
    ----------
    batch
        Values ``[sample, channel, ...]``.
    modes
        How many are removed.
    """
    rows = np.moveaxis(batch, 1, -1).reshape(-1, batch.shape[1])
    rows = rows.astype(np.complex128 if np.iscomplexobj(batch) else np.float64)
    rows -= rows.mean(axis=0)
    vectors = np.linalg.eigh(rows.T @ rows.conj() / len(rows))[1][:, -modes:]
    rows -= (rows @ vectors.conj()) @ vectors.T
    shape = (len(batch), *batch.shape[2:], batch.shape[1])
    return np.ascontiguousarray(np.moveaxis(rows.reshape(shape), -1, 1).astype(batch.dtype))


def check_basis(
    basis: xr.Dataset, parts: Mapping[str, xr.DataArray], modes: int, signal: str = "signal"
) -> xr.Dataset:
    """Measure a basis on a batch of samples.

    Parameters
    ----------
    basis
        The basis.
    parts
        Name → what samples are the sum of: equally many of foreground, signal, noise, with the
        sample dimension first. Foregrounds are best in float64.
    modes
        How many components are removed.
    signal
        Which part is the signal: errors are in units of its rms.

    Returns
    -------
    xarray.Dataset
        ``error`` ``[way]`` against 64 bits of mantissa; ``seconds`` ``[work]`` for the batch;
        ``lost`` and ``left`` ``[removed]``, the shares of the signal's power that are removed
        with it and that all else leaves; ``eigenvalues``; attributes ``orthonormality``,
        the largest |U^H U - 1|, and ``modes``.

    Raises
    ------
    LabelError
        There is no such part, or they do not fit together or to the basis.
    """
    if signal not in parts or len(parts) < 2:
        raise LabelError(
            f"a basis is checked on a signal and what it is under; there is no {signal!r} among "
            f"{', '.join(parts)}{nearest(signal, parts)}"
        )
    pca = PCA(basis)
    first = parts[signal]
    if any(part.sizes != first.sizes for part in parts.values()):
        sizes = {name: dict(part.sizes) for name, part in parts.items()}
        raise LabelError(f"parts are added one to one and have the same sizes, got {sizes}")
    sample = str(first.dims[0])  # whose numbers differ from part to part
    aligned = {
        name: part.transpose(*first.dims).drop_vars(sample, errors="ignore").load()
        for name, part in parts.items()
    }
    for name, part in aligned.items():
        unlike = [d for d in part.indexes if not part.indexes[d].equals(first.indexes[d])]
        if unlike:
            raise LabelError(f"{name!r} has other values of {unlike[0]!r} than {signal!r}")
    vectors = pca.vectors(basis.sizes["mode"])
    apart = np.abs(vectors.conj().T @ vectors - np.eye(vectors.shape[1])).max()
    return xr.Dataset(
        {
            "error": _errors(pca, aligned, modes, signal),
            "seconds": _seconds(pca, aligned, modes),
            **_shares(pca, aligned, signal),
            "eigenvalues": pca.eigenvalues,
        },
        attrs={"orthonormality": float(apart), "modes": int(modes)},
    )


def _total(parts: Iterable[xr.DataArray], single: bool = False) -> xr.DataArray:
    """Return the sum, in float64 or float32."""
    return reduce(add, (_cast(part, single) for part in parts))


def _cast(data: xr.DataArray, single: bool = False) -> xr.DataArray:
    kinds = ("c8", "c16") if data.dtype.kind == "c" else ("f4", "f8")
    return data.astype(kinds[not single])


def _errors(pca: PCA, parts: Mapping[str, xr.DataArray], modes: int, signal: str) -> xr.DataArray:
    """Return rms errors of the first sample, in rms of the signal."""
    sample = parts[signal].dims[0]
    one = {name: part.isel({sample: slice(0, 1)}) for name, part in parts.items()}
    total = _total(one.values())
    single = _cast(total, single=True)
    cached = _total(_cast(pca.clean(_cast(part), modes), single=True) for part in one.values())
    ways = {
        "parts cached, added": cached,
        "sum in float64": pca.clean(total, modes),
        "sum in float32": pca.clean(single, modes),
    }
    oracle = _oracle(pca, total, modes)
    width = float(np.std(_rows(one[signal], pca.dim)))
    errors = [
        float(np.sqrt(np.nanmean(np.abs(_rows(cleaned, pca.dim) - oracle) ** 2))) / width
        for cleaned in ways.values()
    ]
    attributes = {"units": "1", "long_name": "error over rms of the signal"}
    return xr.DataArray(errors, {"way": list(ways)}, "way", attrs=attributes)


def _oracle(pca: PCA, data: xr.DataArray, modes: int) -> Values:
    rows = _rows(data, pca.dim)
    wide = np.clongdouble if np.iscomplexobj(rows) else np.longdouble
    live = np.isfinite(joined(pca.dataset["eigenvectors"]).values).all(axis=1)
    vectors, out = pca.vectors(modes).astype(wide), np.full(rows.shape, np.nan, rows.dtype)
    seen = rows[live].astype(wide)
    out[live] = seen - vectors @ (vectors.conj().T @ seen)
    return out


def _rows(data: xr.DataArray, dim: str) -> Values:
    return np.asarray(joined(data).transpose(dim, ...).values.reshape(data.sizes[dim], -1))


def _seconds(pca: PCA, parts: Mapping[str, xr.DataArray], modes: int) -> xr.DataArray:
    """Time a batch's ways of being cleaned, in turn."""
    batch = _total(parts.values(), single=True)
    sample = batch.dims[0]
    values = joined(batch).transpose(sample, pca.dim, ...).values
    cached = [pca.clean(_cast(part, single=True), modes).values for part in parts.values()]
    total = np.empty_like(cached[0])

    def summed() -> None:
        np.add(cached[0], cached[1], out=total)
        for other in cached[2:]:
            np.add(total, other, out=total)

    work: dict[str, Callable[[], Any]] = {
        "copy": lambda: np.copyto(total, cached[0]),
        "cached parts added": summed,
        "basis applied": lambda: pca.clean(batch, modes),
        "PCA of the batch": lambda: pca_of_batch(values, modes),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(_ROUNDS + 1):
        for name, action in work.items():
            began = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - began)
    medians = [statistics.median(one[1:]) for one in times.values()]
    attributes = {"units": "s", "long_name": "time for a batch"}
    return xr.DataArray(medians, {"work": list(work)}, "work", attrs=attributes)


def _shares(pca: PCA, parts: Mapping[str, xr.DataArray], signal: str) -> dict[str, xr.DataArray]:
    """Return powers by the number of modes removed, over that of the signal."""
    size = pca.dataset.sizes["mode"]
    wanted = _cast(parts[signal])
    rest = _total(part for name, part in parts.items() if name != signal)
    power = float((np.abs(_rows(wanted, pca.dim)) ** 2).sum())
    removed, blocked = (
        (np.abs(_rows(pca.modes_of(one, size), "mode")) ** 2).sum(axis=1) / power
        for one in (wanted, rest)
    )
    lost = np.concatenate([[0.0], np.cumsum(removed)])
    left = np.concatenate([np.cumsum(blocked[::-1])[::-1], [0.0]])
    counts = {"removed": np.arange(size + 1)}
    texts = ("share of the signal's power removed", "power of all else left, over the signal's")
    return {
        name: xr.DataArray(share, counts, "removed", attrs={"units": "1", "long_name": text})
        for name, share, text in zip(("lost", "left"), (lost, left), texts, strict=True)
    }


def basis_figure(check: xr.Dataset) -> Page:
    """Draw what :func:`check_basis` found: eigenvalues, what is taken and left, errors, times."""
    page = Page(WIDTH, 5.2)
    axes = page.subplots(2, 2).ravel()
    modes = int(check.attrs["modes"])
    values = check["eigenvalues"]
    axes[0].semilogy(values["mode"] + 1, values, color=SERIES[0].colour)
    tidy(axes[0], "mode", f"eigenvalue [{raised(values.attrs.get('units', '1'))}]")
    for style, name in zip(SERIES, ("left", "lost"), strict=False):
        share = check[name][1:-1]
        axes[1].semilogy(
            share["removed"], share, color=style.colour, ls=style.dash, label=share.long_name
        )
    tidy(axes[1], "modes removed", "over the signal's power")
    axes[1].legend(frameon=False, fontsize=7)
    for axis in axes[:2]:
        axis.axvline(modes, color="#4d4d4d", lw=0.8, ls=":")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis, name, text in ((axes[2], "error", "way"), (axes[3], "seconds", "work")):
        bars = check[name]
        axis.barh(bars[text].values, bars.values, color=SERIES[0].colour)
        axis.set_xscale("log")
        axis.invert_yaxis()
        tidy(axis, f"{bars.long_name}{' [s]' if name == 'seconds' else ''}")
    axes[2].axvline(BAR, color=SERIES[1].colour, ls="--")
    page.heading(f"A basis of {values.size} components, {modes} removed")
    return page
