"""Templates as a HistFactory workspace: the JSON that pyhf, cabinetry and others read.

The model is that of Cranmer et al., CERN-OPEN-2012-016, in the form of pyhf's schema 1.0.0
(Heinrich et al., ATL-PHYS-PUB-2019-029): a channel of bins, in which a signal of strength mu
stands on backgrounds. The up and down shapes of the signal are ``histosys``, each with a
parameter of its own; its total is a ``normsys``; the statistical error of its draws, where it is
asked for, is a ``staterror``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from presage.labels import Array, LabelError, numbers_of

SCHEMA = "1.0.0"


def workspace(
    template: xr.Dataset,
    background: Mapping[str, ArrayLike],
    *,
    observed: ArrayLike | None = None,
    background_error: Mapping[str, float] | None = None,
    statistical: bool = False,
    channel: str = "region",
    signal: str = "signal",
    strength: str = "mu",
) -> dict[str, Any]:
    """Return a workspace of a signal at one label on given backgrounds.

    Parameters
    ----------
    template
        Of :func:`presage.emulation.templates`, at one label.
    background
        Name → expected events in each bin, ``[*observables]``, positive where there is signal. With
        none it is the signal alone, to be put into a workspace of the same channel:
        ``pyhf.Workspace.combine(yours, this, join="left outer", merge_channels=True)``.
    observed
        Events in each bin; by default what is expected without signal, of the signal alone the
        signal.
    background_error
        Name → relative error of a background's total; those left out are known exactly.
    statistical
        Whether the statistical error of the signal's draws has a parameter for each bin. Drawing
        more is cheaper than fitting them: 200 000 events leave 0.5 % in a bin that has a fifth.
    channel, signal, strength
        Names in the workspace: of its channel, of the signal, of its strength.

    Returns
    -------
    dict
        To be written with :func:`json.dump`, or taken as it is: ``pyhf.Workspace(found)``.

    Raises
    ------
    LabelError
        Several labels, bins that differ, backgrounds without a name or below 0, a bin where
        nothing is expected, an error of a background that is not there.
    """
    if "label" in template.dims:
        raise LabelError("a workspace is of one label: give templates.at(label)")
    shape = template["nominal"].shape
    if not isinstance(background, Mapping):
        raise LabelError("a signal stands on backgrounds: give background={name: events}")
    errors = dict(background_error or {})
    if not all(np.isfinite(error) and error >= 0 for error in errors.values()):
        raise LabelError(f"relative errors of backgrounds are at least 0, got {errors}")
    unknown = set(errors) - set(background)
    if unknown or signal in background:
        raise LabelError(f"there is no background {(*unknown, signal)[0]!r} beside the signal")
    counts = {name: _cells(values, shape, name) for name, values in background.items()}
    alone = template["nominal"].values.ravel()
    expected = np.sum(list(counts.values()), axis=0) if counts else alone
    if counts and not (expected > 0).all():
        raise LabelError("a bin without background has no limit: join it with its neighbour")
    data = expected if observed is None else _cells(observed, shape, "observed")
    modifiers = _signal(template, signal, strength)
    if statistical:
        chance = template["statistical_error"].values.ravel().tolist()
        modifiers.append({"name": f"staterror_{channel}", "type": "staterror", "data": chance})
    samples = [{"name": signal, "data": alone.tolist(), "modifiers": modifiers}]
    samples += [_background(name, cells, errors.get(name, 0.0)) for name, cells in counts.items()]
    config = {"poi": strength, "parameters": []}
    return {
        "channels": [{"name": channel, "samples": samples}],
        "measurements": [{"name": "limit", "config": config}],
        "observations": [{"name": channel, "data": data.tolist()}],
        "version": SCHEMA,
    }


def _cells(values: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    cells = numbers_of(values, name)
    if cells.shape != shape or not np.isfinite(cells).all() or (cells < 0).any():
        raise LabelError(
            f"{name}: finite numbers of events, at least 0, in {shape} bins are needed; got "
            f"{cells.min(initial=0):g} and more in the shape {cells.shape}"
        )
    return cells.ravel()


def _signal(template: xr.Dataset, name: str, strength: str) -> list[dict[str, Any]]:
    """Return what changes the signal: its strength, its variations, the error of its total."""
    modifiers: list[dict[str, Any]] = [{"name": strength, "type": "normfactor", "data": None}]
    nominal = template["nominal"].values.ravel()
    for k, variation in enumerate(map(str, template["variation"].values)):
        up, down = (template[side].isel(variation=k).values.ravel() for side in ("up", "down"))
        if np.array_equal(up, nominal) and np.array_equal(down, nominal):
            continue  # other labels need more of them
        data = {"hi_data": up.tolist(), "lo_data": down.tolist()}
        modifiers.append({"name": f"interpolation_{variation}", "type": "histosys", "data": data})
    error = float(template["total_error"] / template["total"])
    return [*modifiers, _total(f"{name}_total", error)] if error else modifiers


def _background(name: str, cells: Array, error: float) -> dict[str, Any]:
    modifiers = [_total(f"{name}_total", error)] if error else []
    return {"name": name, "data": cells.tolist(), "modifiers": modifiers}


def _total(name: str, error: float) -> dict[str, Any]:
    """Return a relative error, symmetric in the logarithm: down never reaches 0."""
    return {"name": name, "type": "normsys", "data": {"hi": 1 + error, "lo": 1 / (1 + error)}}
