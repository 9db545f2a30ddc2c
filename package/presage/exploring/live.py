"""Events of a flow at a label that was never simulated, drawn as its sliders are released."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr

from presage.analysis.canvas import SERIES
from presage.exploring.linked import linked
from presage.exploring.notebook import WIDE
from presage.labels import LabelError
from presage.models import ConditionalFlow
from presage.rng import generator

#: Events of a draw, variables that are shown.
EVENTS, _MOST = 10_000, 4


def live_view(fitted: Any, product: xr.Dataset) -> pn.viewable.Viewable:
    """Return sliders of the label and the events drawn there, with selections that are shared.

    Parameters
    ----------
    fitted
        A trained flow of :func:`presage.fit` or :func:`presage.load`.
    product
        Residuals, whose labels say how far the sliders go.

    Raises
    ------
    LabelError
        The flow was trained on other label parameters.
    """
    flow = ConditionalFlow.of(fitted)
    parameters = flow.scale.parameters
    lacking = [p.name for p in parameters if p.name not in product.coords]
    if lacking:
        raise LabelError(f"the flow draws at labels of {', '.join(lacking)}, unknown to residuals")
    sliders = {p.name: _slider(p, product[p.name].values) for p in parameters}
    variables = list(flow.scale.variables)[:_MOST]
    titles = {v.name: v.title for v in variables}

    def drawn(**label: float) -> pn.viewable.Viewable:
        theta = {name: np.full(EVENTS, value) for name, value in label.items()}
        # The same normal draws at every label: what changes in the picture is the label's doing.
        events = flow.sample(theta, generator("live", 0, 0))
        rows = pd.DataFrame({name: np.asarray(events[name], dtype=float) for name in titles})
        return linked({"flow": rows}, titles, {"flow": SERIES[0].colour})

    bound = {name: slider.param.value_throttled for name, slider in sliders.items()}
    said = pn.pane.Markdown(f"{EVENTS:,} events of the flow at any label.".replace(",", " "))
    return pn.Column(said, pn.Row(*sliders.values()), pn.bind(drawn, **bound))


def _slider(parameter: Any, values: np.ndarray[Any, Any]) -> pn.widgets.FloatSlider:
    low, high = float(values.min()), float(values.max())
    middle = (low + high) / 2
    return pn.widgets.FloatSlider(
        label=parameter.title, start=low, end=high if high > low else low + 1,
        step=(high - low) / 200 or 1, value=middle, value_throttled=middle, width=WIDE,
    )  # fmt: skip
