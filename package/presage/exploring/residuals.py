"""A view of residuals: a label on a map, a box in the joint distribution, what is in the box."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import panel as pn
import xarray as xr
from holoviews.streams import BoundsXY, Tap

from presage.analysis.bin_statistics import bin_statistics
from presage.analysis.canvas import colours, in_words
from presage.analysis.completing import completed
from presage.analysis.judging import judged
from presage.analysis.labelled import Floats
from presage.analysis.numbers import merit_grid
from presage.analysis.report import parameters_of, title_of, worst_label
from presage.exploring.live import live_view
from presage.exploring.notebook import DENSITY, HIGH, MASK, SIGNED, WIDE, plain
from presage.labels import Variable

#: Pulls at the ends of scales; pixels of a marginal.
_REACH, _WIDE = 5.0, 330
_HINT = (
    "Click a label on the map (framed in red: held out). A box drawn in the pulls narrows the "
    "distributions above to the events in it."
)


def residuals_view(product: xr.Dataset, fitted: Any = None) -> pn.viewable.Viewable:
    """Return map of labels, joint distributions and marginals; a flow's live draws in a tab."""
    view = ResidualsView(completed(product)).view()
    if fitted is None:
        return view
    return pn.Tabs(("residuals", view), ("live", live_view(fitted)))


class ResidualsView:
    """The pickers of a completed residuals product and what they show."""

    def __init__(self, product: xr.Dataset) -> None:
        self.product, self.grid = product, merit_grid(product)
        self.parameters = parameters_of(product)
        table = [product[name].values.astype(float) for name in self.parameters]
        self.table = np.stack(table, axis=1)
        sources = [s for s in judged(product) if int(product["events"].sel(source=s).max())]
        self.colours = colours([str(s) for s in product["source"].values])
        words = {in_words(source): source for source in sources}
        titles = dict(zip(self.grid["title"].values, self.grid["column"].values, strict=True))
        variables = [str(name) for name in product["variable"].values]
        pairs = [str(name) for name in product["pair"].values]
        self.label = pn.widgets.IntInput(value=worst_label(product), visible=False)
        self.source = pn.widgets.Select(label="source", options=words, width=140)
        self.against = pn.widgets.Select(
            label="against", options={"reference": "reference", **words}, width=140
        )
        self.metric = pn.widgets.Select(label="map", options=titles, width=200)
        shown = {p.replace("_", " ").replace(",", " × "): p for p in pairs or variables}
        self.shown = pn.widgets.Select(label="variables", options=shown, width=200)
        self.sliders = [
            pn.widgets.DiscreteSlider(label=self._axis(name).label, width=WIDE,
                                      options=sorted(set(self.table[:, k + 2].tolist())))
            for k, name in enumerate(self.parameters[2:])
        ]  # fmt: skip
        self.tap, self.box = Tap(x=None, y=None), BoundsXY(bounds=None)
        self.tap.add_subscriber(self._tapped)
        for slider in self.sliders:
            slider.param.watch(lambda _event: self._go(*self.table[self.label.value][:2]), "value")

    def _axis(self, name: str) -> hv.Dimension:
        return hv.Dimension(name, label=Variable.of(self.product[name], sample="label").title)

    def _two(self, label: int) -> xr.Dataset:
        """Return a label's part of the two sources that are compared."""
        sources = list(dict.fromkeys((self.against.value, self.source.value)))
        return self.product.isel(label=[label]).sel(source=sources)

    # -- the label -----------------------------------------------------------------------

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        """Go to the label nearest to a click."""
        if x is not None and y is not None:
            self._go(x, y)

    def _go(self, *place: float) -> None:
        wanted = np.array([*place[: len(self.parameters)], *(s.value for s in self.sliders)])
        wide = np.ptp(self.table, axis=0)
        away = np.abs(self.table - wanted) / np.where(wide > 0, wide, 1.0)
        self.label.value = int((away**2).sum(axis=1).argmin())

    def _places(self) -> tuple[Any, Any, list[hv.Dimension]]:
        """Return where labels are on the map, and its axes; one parameter makes one row."""
        x, y = (self.table[:, k] if k < len(self.parameters) else 0 * self.table[:, 0]
                for k in range(2))  # fmt: skip
        axes = [self._axis(name) for name in self.parameters[:2]]
        return x, y, [*axes, hv.Dimension("one", label=" ")][:2]

    def _slice(self) -> Any:
        """Return which labels are on the map: those at the sliders' values."""
        return (self.table[:, 2:] == [float(slider.value) for slider in self.sliders]).all(axis=1)

    def map(self, column: str, source: str, label: int, *_moved: Any) -> hv.Points:
        """Return the labels coloured by a figure of merit."""
        here, kept = self.grid.sel(column=column), self._slice()
        values = here["value"].sel(source=source).values[kept]
        known = np.append(values[np.isfinite(values)], [] if np.isfinite(values).any() else 0.0)
        low, high = float(known.min()), float(known.max())
        signed = bool(here["signed"])
        low, high = (-max(-low, high), max(-low, high)) if signed else (low, high)
        if low == high:  # of one label, say: a scale from nothing, not of rounding errors
            low, high = min(0.0, 2 * low), max(0.0, 2 * low) or 1.0
        x, y, axes = self._places()
        return hv.Points((x[kept], y[kept], values), axes, "value").opts(
            color="value", marker="square", size=13, line_color=None, colorbar=True, clabel=" ",
            cmap=SIGNED if signed else "viridis", clim=(low, high),  # yellow is large
            tools=["hover"], title=title_of(self.product, label), shared_axes=False,
            **plain(width=WIDE + 60, height=HIGH + 20),
        )  # fmt: skip

    def frames(self, label: int, *_moved: Any) -> hv.Overlay:
        """Return frames around the held-out labels and the one that is shown."""
        x, y, axes = self._places()
        held = (self.product["region"].values != "trained") & self._slice()
        how = {"fill_color": None, "marker": "square"}
        out = hv.Points((x[held], y[held]), axes).opts(line_color="#d55e00", size=14, **how)
        here = hv.Points(([x[label]], [y[label]]), axes)
        return out * here.opts(line_color="#000000", line_width=2.5, size=17, **how)

    # -- the joint distribution ------------------------------------------------------------

    def joint(self, what: str, label: int, source: str, against: str, pair: str) -> hv.Image:
        """Return one sample's density over the other's peak, or the pull, of a pair."""
        here = self._two(label).sel(pair=[pair])
        # No NaN, of which HoloViews may warn: what is below the colours has one of its own.
        if what == "pull":
            found = bin_statistics(here, against)["pull_2d"].sel(source=source)
            found = found.clip(-_REACH, _REACH).fillna(-2 * _REACH)
            how: dict[str, Any] = {"cmap": SIGNED, "clim": (-_REACH, _REACH), "colorbar": True}
            how |= {"clipping_colors": {"min": MASK}, "clabel": " ", "title": "pull"}
        else:
            share = here["counts_2d"] / here["events"]
            peak = float(share.sel(source=against).max()) or 1.0
            name = source if what == "source" else against
            found = share.sel(source=name) / peak
            how = {"cmap": DENSITY, "clim": (2e-3, 1.0), "logz": True, "title": in_words(name)}
            how |= {"clipping_colors": {"min": "#ffffff"}}
        values = found.isel(label=0, pair=0).transpose("bin_y", "bin_x").values.astype(float)
        names = pair.split(",")
        ends = [
            self.product["edges"].isel(label=label).sel(variable=v).values[[0, -1]] for v in names
        ]
        bounds = (ends[0][0], ends[1][0], ends[0][1], ends[1][1])
        image = hv.Image(values[::-1], ["x", "y"], hv.Dimension(what), bounds=bounds)
        wide = WIDE - 40 + 70 * (what == "pull")
        tools = ["box_select"] if what == "pull" else []
        return image.opts(
            tools=tools, active_tools=tools, framewise=True,
            xlim=tuple(ends[0]), ylim=tuple(ends[1]),
            xlabel=self._title(names[0]), ylabel=self._title(names[1]), shared_axes=False, **how,
            **plain(width=wide, height=HIGH),
        )  # fmt: skip

    def outline(self, bounds: Any = None) -> hv.Rectangles:
        """Return the box."""
        boxes = [] if bounds is None else [bounds]
        return hv.Rectangles(boxes).opts(fill_color=None, line_color="#d55e00", line_width=1.5)

    def _title(self, variable: str) -> str:
        return str(self.product["title"].sel(variable=variable).values)

    # -- marginals -------------------------------------------------------------------------

    def narrowed(self, label: int, names: list[str], box: Any) -> xr.Dataset:
        """Return the histograms at a label: of all events, or of those in a box.

        With a box `(left, bottom, right, top)` each variable's counts are sums over the cells
        whose other variable lies in the box.
        """
        here = self._two(label)[["counts", "events", "edges"]].sel(variable=names)
        if box is None or len(names) == 1:
            return here
        cells = self._two(label)["counts_2d"].sel(pair=",".join(names), drop=True)
        left, bottom, right, top = box
        inside = [
            self._inside(here["edges"].isel(label=0).sel(variable=name).values, *ends)
            for name, ends in zip(names, ((left, right), (bottom, top)), strict=True)
        ]
        counts = [
            cells.isel(bin_y=inside[1]).sum("bin_y").rename(bin_x="bin"),
            cells.isel(bin_x=inside[0]).sum("bin_x").rename(bin_y="bin"),
        ]
        return here.assign(counts=xr.concat(counts, dim=here["variable"]).transpose(..., "bin"))

    @staticmethod
    def _inside(edges: Floats, low: float, high: float) -> Any:
        middle = (edges[1:] + edges[:-1]) / 2
        found = np.flatnonzero((middle >= low) & (middle <= high))
        return found if len(found) else np.array([int(np.abs(middle - (low + high) / 2).argmin())])

    def _statistics(self, place: int, bounds: Any) -> tuple[str, xr.Dataset]:
        """Return a variable of the panel, and the statistics of its bins."""
        names = self.shown.value.split(",")
        here = self.narrowed(int(self.label.value), names, bounds)
        found = bin_statistics(here, self.against.value, joint=False).assign(edges=here["edges"])
        return names[place], found.isel(label=0).sel(variable=names[place])

    @staticmethod
    def _strip(found: xr.Dataset, height: int) -> dict[str, Any]:
        """Return the options of a panel over a variable; ranges follow the label."""
        ends = found["edges"].values[[0, -1]]
        how = plain(width=_WIDE, height=height, toolbar=None)
        return how | {"xlim": tuple(map(float, ends)), "shared_axes": False, "show_legend": False}

    def density(self, place: int, *_moved: Any, bounds: Any = None) -> hv.Overlay:
        """Return a variable's density in both samples, of all events or of those in the box."""
        name, found = self._statistics(place, bounds)
        top = float(found["bin_density"].max())
        bars = []
        for one, alpha in ((self.against.value, 0.3), (self.source.value, 0.0)):
            values = np.nan_to_num(found["bin_density"].sel(source=one).values)
            bars.append(
                hv.Histogram((found["edges"].values, values), kdims=["x"], vdims=["density"]).opts(
                    fill_alpha=alpha,
                    fill_color=self.colours[one],
                    line_width=1.2,
                    line_color=self.colours[one],
                    framewise=True,
                )
            )
        said = f"{name.replace('_', ' ')}: {in_words(self.source.value)} on "
        said += in_words(self.against.value) + ("" if bounds is None else ", in the box")
        return hv.Overlay(bars).opts(
            title=said,
            xlabel="",
            ylabel="density",
            ylim=(0, 1.08 * top or 1),
            **self._strip(found, 190),
        )

    def pulls(self, place: int, *_moved: Any, bounds: Any = None) -> hv.Overlay:
        """Return the pulls of a variable's bins; those with too few events stay empty."""
        name, found = self._statistics(place, bounds)
        one = self.source.value
        known = ~found["bin_few"].sel(source=one).values
        values = np.nan_to_num(found["bin_pull"].sel(source=one).values)
        shown = np.where(known, np.clip(values, -_REACH, _REACH), 0.0)
        bars = hv.Histogram((found["edges"].values, shown), kdims=["x"], vdims=["pull"]).opts(
            fill_color=self.colours[one], line_color=None, framewise=True
        )
        return (hv.HSpan(-1, 1).opts(color="#d9d9d9", line_alpha=0) * bars).opts(
            ylim=(-_REACH, _REACH), ylabel="pull", xlabel=self._title(name),
            **self._strip(found, 130),
        )  # fmt: skip

    # -- all of it -------------------------------------------------------------------------

    def view(self) -> pn.viewable.Viewable:
        """Return the pickers and the panels."""
        moved = (self.label, self.source, self.against)
        chart = hv.DynamicMap(
            pn.bind(self.map, self.metric, self.source, self.label, *self.sliders)
        )
        self.tap.source = chart  # of the labels alone: an overlay hears no clicks
        chart *= hv.DynamicMap(pn.bind(self.frames, self.label, *self.sliders))
        clear = pn.widgets.Button(label="clear the box", width=110, margin=(22, 5))
        clear.on_click(lambda _event: self.box.event(bounds=None))
        self.shown.param.watch(lambda _event: self.box.event(bounds=None), "value")
        rows = [pn.Row(self.source, self.against, self.shown, self.metric, clear)]
        rows += [pn.Row(*self.sliders)] if self.sliders else []
        rows += [pn.pane.Markdown(_HINT, margin=(0, 10))]
        joint: list[hv.DynamicMap] = []
        if self.product.sizes.get("pair"):
            joint = [
                hv.DynamicMap(pn.bind(self.joint, what, *moved, self.shown))
                for what in ("against", "source", "pull")
            ]
            self.box.source = joint[-1]
            joint = [panel * hv.DynamicMap(self.outline, streams=[self.box]) for panel in joint]
        marginals = []
        for place in range(2 if joint else 1):
            parts = [
                hv.DynamicMap(pn.bind(draw, place, *moved, self.shown), streams=[self.box])
                for draw in (self.density, self.pulls)
            ]
            marginals.append(pn.Column(*map(pn.pane.HoloViews, parts)))
        return pn.Column(*rows, pn.Row(pn.pane.HoloViews(chart), *marginals),
                         pn.Row(*map(pn.pane.HoloViews, joint)))  # fmt: skip
