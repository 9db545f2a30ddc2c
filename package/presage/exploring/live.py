"""Events of a flow at a label that was never simulated, drawn as its sliders are released."""

from __future__ import annotations

from typing import Any

import pandas as pd
import panel as pn

from presage.analysis.canvas import SERIES
from presage.exploring.linked import linked
from presage.exploring.notebook import WIDE
from presage.labels import LabelError, Parameter
from presage.models.fitted_density import FittedDensity

#: Events of a draw, variables that are shown.
EVENTS, _MOST = 10_000, 4


def live_view(fitted: Any) -> pn.viewable.Viewable:
    """Return sliders of the label and the events drawn there, with selections that are shared."""
    if not isinstance(fitted, FittedDensity) or not fitted.parameters:
        raise LabelError(
            f"fitted should be a trained flow that draws events at labels, got {fitted!r}"
        )
    sliders = {p.name: _slider(p) for p in fitted.parameters}
    titles = {v.name: v.title for v in fitted.variables[:_MOST]}

    def drawn(**label: float) -> pn.viewable.Viewable:
        # The same normal draws at every label: what changes in the picture is the label's doing.
        events = fitted.sample([tuple(label.values())], EVENTS)
        rows = pd.DataFrame({name: events[name].values.astype(float) for name in titles})
        return linked({"flow": rows}, titles, {"flow": SERIES[0].colour})

    bound = {name: slider.param.value_throttled for name, slider in sliders.items()}
    said = pn.pane.Markdown(f"{EVENTS:,} events of the flow at any label.".replace(",", " "))
    return pn.Column(said, pn.Row(*sliders.values()), pn.bind(drawn, **bound))


def _slider(parameter: Parameter) -> pn.widgets.FloatSlider:
    """Return a slider over the range of the training, at its middle."""
    low, high = (float(end or 0.0) for end in (parameter.low, parameter.high))
    middle = (low + high) / 2
    return pn.widgets.FloatSlider(
        label=parameter.title, start=low, end=high if high > low else low + 1,
        step=(high - low) / 200 or 1, value=middle, value_throttled=middle, width=WIDE,
    )  # fmt: skip
