"""Templates as ROOT histograms: TH1D of one observable, TH2D of two, a folder for each label."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from presage.extras import extra
from presage.labels import Array, LabelError
from presage.store.files import Sink, replace, require_room


def write_histograms(templates: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write templates as ROOT histograms; a file of that name is replaced.

    Parameters
    ----------
    templates
        Of :func:`presage.emulation.templates`, of one or two observables.
    path
        A file ``.root``. Each label is a folder, ``mass_500_width_0p1``; in it are ``nominal``,
        with the errors of the draws, and ``<variation>_up`` and ``<variation>_down``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    LabelError
        Another suffix, or more than two observables.
    """
    path = Path(path)
    if path.suffix != ".root" or path.is_dir():
        raise LabelError(f"{path.name}: histograms are written as a file .root")
    names = observables(templates)
    if len(names) > 2:
        raise LabelError(
            f"ROOT histograms are written of one or two observables, got {len(names)}: "
            f"{', '.join(names)}"
        )
    with extra("root", "writing ROOT files"):
        import uproot

    def write(sink: Sink) -> None:
        with uproot.recreate(sink) as file:
            for name, histogram in _histograms(templates, names):
                file[name] = histogram

    require_room(path.parent, 2 * templates.nbytes)
    replace(path, write)
    return path


def observables(templates: xr.Dataset) -> list[str]:
    """Return the names of the binned observables, in order."""
    return [str(dim) for dim in templates["nominal"].dims if dim != "label"]


def folder_of(label: xr.Dataset) -> str:
    """Return a label's folder, ``mass_500_width_0p1``: p is the decimal point."""
    names = [n for n, c in label.coords.items() if c.attrs.get("role") == "parameter"]
    values = [f"{float(label[name]):.6g}".replace(".", "p").replace("-", "m") for name in names]
    return "_".join(f"{name}_{value}" for name, value in zip(names, values, strict=True))


def _histograms(templates: xr.Dataset, names: list[str]) -> Iterator[tuple[str, Any]]:
    for i in range(templates.sizes["label"]):
        here = templates.isel(label=i)
        folder = folder_of(here) or f"label_{i}"
        yield f"{folder}/nominal", _histogram(here, names, here["nominal"], "nominal")
        for k, variation in enumerate(map(str, here["variation"].values)):
            for side in ("up", "down"):
                name = f"{variation}_{side}"
                values = here[side].isel(variation=k)
                yield f"{folder}/{name}", _histogram(here, names, values, name)


def _histogram(here: xr.Dataset, names: list[str], values: xr.DataArray, name: str) -> Any:
    """Return a TH1D or TH2D of uproot's, without under- and overflow."""
    from uproot.writing import identify

    counts = values.transpose(*names).values.astype(np.float64)
    errors = here["statistical_error"].transpose(*names).values
    middles = np.meshgrid(*(here[n].values for n in names), indexing="ij")
    sums = [float((counts * m**p).sum()) for m in middles for p in (1, 2)]
    if len(names) == 2:
        sums.append(float((counts * middles[0] * middles[1]).sum()))
    make = identify.to_TH1x if len(names) == 1 else identify.to_TH2x
    axes = {
        f"f{letter}axis": _axis(identify, here, n, letter)
        for letter, n in zip("XY", names, strict=False)
    }
    return make(name, name, _framed(counts), float(counts.size), float(counts.sum()),
                float((errors**2).sum()), *sums, _framed(errors**2), **axes)  # fmt: skip


def _framed(cells: Array) -> Array:
    """Return cells in ROOT's order, x fastest, with a frame of zeros for what lies outside."""
    return np.ascontiguousarray(np.pad(cells, 1).T).ravel()


def _axis(identify: Any, here: xr.Dataset, name: str, letter: str) -> Any:
    edges = np.asarray(here[f"{name}_edges"].values, dtype=np.float64)
    about = here[name].attrs
    unit = about.get("units", "1")
    title = about.get("long_name", name) + ("" if unit == "1" else f" [{unit}]")
    return identify.to_TAxis(f"{letter.lower()}axis", title, len(edges) - 1, edges[0], edges[-1],
                             fXbins=edges)  # fmt: skip
