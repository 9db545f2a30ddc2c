"""A view of any labelled array: two dimensions as a picture, the others with sliders."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import panel as pn
import xarray as xr
from holoviews.streams import Tap
from numpy.typing import NDArray

from presage.analysis.canvas import SERIES, titled
from presage.exploring.notebook import DENSITY, HIGH, SIGNED, WIDE, plain
from presage.labels import LabelError


def cube_view(dataset: xr.Dataset) -> pn.viewable.Viewable:
    """Return a picture of two dimensions with pickers of the others, and a curve at a click."""
    names = [str(n) for n, a in dataset.data_vars.items() if a.ndim > 1 and a.dtype.kind in "fiub"]
    if not names:
        raise LabelError(
            "there is nothing to explore: expected residuals, draws of posteriors, or a numeric "
            f"array of two dimensions at least, got {dict(dataset.sizes)}"
        )
    names.sort(key=lambda name: -dataset[name].ndim)  # cubes before what was worked out of them
    views = {name: Cube(dataset[name]) for name in names[:1]}
    if len(names) == 1:
        return views[names[0]].view()
    chosen = pn.widgets.Select(label="array", options=names, width=160)

    def shown(name: str) -> pn.viewable.Viewable:
        return views.setdefault(name, Cube(dataset[name])).view()

    return pn.Column(chosen, pn.bind(shown, chosen))


class Cube:
    """An array of two dimensions or more with its pickers; a slice is read when it is shown."""

    def __init__(self, array: xr.DataArray) -> None:
        self.array = array
        dims = [str(dim) for dim in array.dims]
        self.titles = {dim: titled(*_words(array[dim], dim)) for dim in dims}
        options = {title: dim for dim, title in self.titles.items()}
        picks = {"x": dims[-1], "y": dims[-2], "curve along": dims[0 if len(dims) > 2 else -1]}
        self.x, self.y, self.along = (
            pn.widgets.Select(label=name, options=options, value=dim, width=160)
            for name, dim in picks.items()
        )
        self.sliders = {dim: self._slider(dim) for dim in dims}
        self.tap = Tap(x=None, y=None)

    def _slider(self, dim: str) -> pn.widgets.DiscreteSlider:
        texts = [self._text(dim, k) for k in range(self.array.sizes[dim])]
        if len(set(texts)) < len(texts):
            texts = [f"{k}: {text}" for k, text in enumerate(texts)]
        options = {text: k for k, text in enumerate(texts)}
        return pn.widgets.DiscreteSlider(label=self.titles[dim], options=options, width=WIDE)

    def _text(self, dim: str, place: int) -> str:
        value = self.array[dim].values[place]
        return f"{value:.5g}" if isinstance(value, np.floating) else str(value)

    def _axis(self, dim: str) -> NDArray[Any]:
        """Return the coordinate of a dimension, or numbers where it holds words."""
        values: NDArray[Any] = self.array[dim].values
        return values if values.dtype.kind in "fiu" else np.arange(len(values))

    def place(self) -> dict[str, int]:
        """Return where the curve is: at the sliders, and in the picture at the last click."""
        found = {dim: int(slider.value) for dim, slider in self.sliders.items()}
        found |= {dim: self.array.sizes[dim] // 2 for dim in (self.x.value, self.y.value)}
        for dim, at in ((self.x.value, self.tap.x), (self.y.value, self.tap.y)):
            if at is not None:
                found[dim] = int(np.abs(self._axis(dim) - at).argmin())
        return found

    def picture(self, *_moved: Any) -> hv.QuadMesh:
        """Return the slice at the sliders."""
        x, y = self.x.value, self.y.value
        rest = {dim: k for dim, k in self.place().items() if dim not in (x, y)}
        values = self.array.isel(rest).transpose(y, x).values.astype(float)
        known = np.append(values[np.isfinite(values)], 0.0 if not np.isfinite(values).any() else [])
        low, high = float(known.min()), float(known.max())
        signed = low < 0 < high
        low, high = (-max(-low, high), max(-low, high)) if signed else (low, high)
        axes = [hv.Dimension(dim, label=self.titles[dim]) for dim in (x, y)]
        mesh = hv.QuadMesh((self._axis(x), self._axis(y), values), axes, "value")
        return mesh.opts(
            cmap=SIGNED if signed else DENSITY, clim=(low, high if high > low else low + 1),
            colorbar=True, clabel=titled(*_words(self.array, str(self.array.name))),
            tools=["hover"], title="click for a curve", **plain(width=WIDE + 150, height=HIGH + 80),
        )  # fmt: skip

    def curve(self, *_moved: Any, **_clicked: Any) -> hv.Overlay:
        """Return the values along one dimension at :meth:`place`, which is marked on it."""
        along, place = self.along.value, self.place()
        mark = self._axis(along)[place.pop(along)]
        said = ", ".join(f"{dim} {self._text(dim, k)}" for dim, k in place.items())
        axis = hv.Dimension(along, label=self.titles[along])
        value = hv.Dimension("value", label=titled(*_words(self.array, str(self.array.name))))
        line = hv.Curve(
            (self._axis(along), self.array.isel(place).values.astype(float)), axis, value
        )
        line = line.opts(color=SERIES[0].colour, line_width=1.5, framewise=True)
        return (line * hv.VLine(float(mark)).opts(color="#b3b3b3", line_width=1)).opts(
            title=said, **plain(width=WIDE + 80, height=HIGH + 80)
        )

    def mark(self, **_clicked: Any) -> hv.Points:
        """Return where in the picture the curve is."""
        place, pair = self.place(), (self.x.value, self.y.value)
        at = [[self._axis(dim)[place[dim]]] for dim in pair]
        return hv.Points(tuple(at), list(pair)).opts(
            marker="cross", size=12, color="#000000", line_width=1.5
        )

    def view(self) -> pn.viewable.Viewable:
        """Return pickers, picture and curve."""
        pickers = pn.Row(self.x, self.y, self.along)
        return pn.Column(pickers, pn.bind(self._panels, self.x, self.y, self.along))

    def _panels(self, x: str, y: str, _along: str) -> pn.viewable.Viewable:
        """Return picture and curve: made anew for other axes, redrawn when a slider moves."""
        if x == y:
            return pn.pane.Markdown("Choose two different dimensions.")
        shown = [slider for dim, slider in self.sliders.items() if dim not in (x, y)]
        self.tap.reset()
        if shown:
            picture = hv.DynamicMap(pn.bind(self.picture, *shown))
            curve = hv.DynamicMap(pn.bind(self.curve, *shown), streams=[self.tap])
        else:
            picture = hv.DynamicMap(self.picture)
            curve = hv.DynamicMap(self.curve, streams=[self.tap])
        self.tap.source = picture
        picture *= hv.DynamicMap(self.mark, streams=[self.tap])
        return pn.Column(pn.Row(*shown), pn.Row(*map(pn.pane.HoloViews, (picture, curve))))


def _words(array: xr.DataArray, name: str) -> tuple[str, str]:
    """Return long name and unit of an array."""
    return str(array.attrs.get("long_name", name)), str(array.attrs.get("units", "1"))
