"""Products to look at with one's hands, in a notebook: pickers, linked selections, live draws."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import xarray as xr

from presage.extras import extra
from presage.labels import LabelError
from presage.products import VARIABLE

if TYPE_CHECKING:
    from panel.viewable import Viewable

    from presage.analysis.residuals import Residuals

__all__ = ["explore"]


def explore(product: Residuals | xr.Dataset | xr.DataArray, fitted: Any = None) -> Viewable | None:
    """Return an interactive view of a labelled product: the last line of a notebook's cell.

    It works in JupyterLab without a server of its own, and needs the kernel. Under
    ``presage run``, where nobody could click, it returns nothing: figures stay, this does not.
    The notebook brings what the browser needs; for panels that are made anew later (another
    observation) Panel asks its own site for style sheets, and does without where there is none.

    Parameters
    ----------
    product
        - Residuals (of :func:`presage.residuals`, or such a dataset of a store): the label is
          chosen on a map coloured by any figure of merit; a box drawn in the joint
          distribution narrows both marginals, with their pulls, to the events inside.
        - Draws of posteriors (``draws`` or ``theta`` with the dimensions ``draw`` and
          ``parameter``): the observation is chosen, and what is selected in one panel is
          marked in all others.
        - Any other array, or dataset of arrays, of at least two dimensions (frequency, y, x;
          tone, sample): two are shown, the others have sliders, and a click shows the curve
          along another dimension at that place.
    fitted
        A trained flow of :func:`presage.fit`: of residuals, its sliders draw events at labels
        that were never simulated.

    Returns
    -------
    panel.viewable.Viewable or None
        Panel's column; show it with ``.servable()`` in an app of your own.

    Raises
    ------
    LabelError
        There is nothing in it that could be explored.
    MissingExtraError
        Panel or HoloViews are not installed.
    """
    if os.environ.get(VARIABLE):
        return None
    with extra("dashboard", "presage.explore"):
        from presage.exploring.notebook import ready
    ready()
    dataset = getattr(product, "dataset", product)
    if isinstance(dataset, xr.DataArray):
        dataset = dataset.to_dataset(name=dataset.name or "value")
    if not isinstance(dataset, xr.Dataset):
        raise LabelError(
            "explore takes residuals, draws of posteriors or a labelled array, got "
            f"{type(product).__name__}"
        )
    if {"counts", "edges", "events"} <= set(dataset) and "source" in dataset.dims:
        from presage.exploring.residuals import residuals_view

        return residuals_view(dataset, fitted)
    if {"draw", "parameter"} <= set(dataset.dims) and {"draws", "theta"} & set(dataset):
        from presage.exploring.posteriors import posteriors_view

        return posteriors_view(dataset)
    from presage.exploring.cube import cube_view

    return cube_view(dataset)
