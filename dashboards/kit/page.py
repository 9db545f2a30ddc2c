"""What a page is: a declaration. The kit makes the rest of it.

A study names its page, ``Study(page="my_package.page:PAGE")``, and the page says which product
of the store it shows and how: indices and other choices, arrays, panels, their order. ::

    def view(visit: Visit) -> View:
        product = visit.product
        sky = Choice.numbered("sky", names, keys=("ArrowLeft", "ArrowRight"), heading="sky")
        maps = images([Picture("map", Array.coded(product["map"], "y", "x", ...))], ...)
        return View(choices=[sky], panels=[maps], board=column("whole", maps.place))

    PAGE = Page("Sky", "cleaned_cubes", "cleaned cubes", "simulates skies and cleans them", view)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import xarray as xr
from bokeh.models import LayoutDOM

from presage.store import EntryInfo, Store

from .arrays import Array, Fetched
from .choice import Choice
from .opened import opened
from .query import Query


@dataclass(frozen=True)
class Visit:
    """One visit: the product that is asked for, and what may stand beside it."""

    store: Store
    entry: EntryInfo
    entries: list[EntryInfo]
    products: list[EntryInfo]
    query: Query

    @cached_property
    def product(self) -> xr.Dataset:
        """The product, as the store holds it."""
        product: xr.Dataset = opened(self.store, [self.entry.key], _itself)
        return product


def _itself(product: xr.Dataset) -> xr.Dataset:
    return product


@dataclass(frozen=True)
class Panel:
    """A panel: what draws it in the browser, and what it draws."""

    kind: str  # Of the kit's scripts.
    place: LayoutDOM  # Where it stands in the layout.
    spec: Mapping[str, Any] = field(default_factory=dict)  # Its declaration, for the browser.
    models: Mapping[str, Any] = field(default_factory=dict)  # Bokeh models that are filled.
    # Name → array. Panels may share some.
    arrays: Mapping[str, Array] = field(default_factory=dict)
    figures: Sequence[Any] = ()  # What the picture that is saved consists of,
    texts: Sequence[Any] = ()  # and its texts.
    # Names of the state that it depends on, beside the indices of its arrays.
    on: Sequence[str] = ()

    def depends(self) -> list[str]:
        """Names of the state at whose change it is drawn anew."""
        return sorted({*self.on, *(dim for array in self.arrays.values() for dim in array.dims)})


@dataclass(frozen=True)
class Cast:
    """Members of one dim that are shown beside one another: sources, kinds, methods."""

    dim: str  # Its name.
    names: Sequence[str]  # As the address and the state spell them.
    colours: Sequence[str]  # Of each, in order.
    called: Sequence[str] = ()  # What people call them.
    base: int = 0  # The member that others are held against.
    several: str = ""  # Choice of any number of them; or, where two are compared,
    a: str = ""  # choice of the one,
    b: str = ""  # of the one that it is held against (0: the base),
    overlay: str = ""  # and of further ones.
    drawn: Sequence[int] = ()  # Members that may be drawn on top of the base.
    dashed: Sequence[str] = ()  # Members with a broken line.
    filled: str = ""  # What the base is called where it is filled.

    @property
    def on(self) -> list[str]:
        """Names of the state that say who is shown."""
        return [name for name in (self.several, self.a, self.b, self.overlay) if name]

    def for_browser(self) -> dict[str, Any]:
        """Return what the browser has to know of it."""
        called, keys = list(self.called or self.names), []
        for k, (name, colour) in enumerate(zip(self.names, self.colours, strict=True)):
            style = f"border-color:{colour}"
            if self.filled and k == self.base:
                keys.append([self.filled, f"background:#d2d2d2;{style}", "fill"])
            else:
                dash = ";border-top-style:dashed" if name in self.dashed else ""
                keys.append([called[k], style + dash])
        return {**vars(self), "called": called, "keys": keys, "drawn": list(self.drawn)}


@dataclass(frozen=True)
class Live:
    """What Python draws while the visitor looks on."""

    # A slider for each: ``name``, ``short``, ``low``, ``high``, ``unit``.
    parameters: Sequence[Mapping[str, Any]] = ()
    # ``(label, members) -> (about, arrays)``: what stands in for the product's arrays, and
    # ``label``, ``scene``, ``words``, ``table``, ``said`` and ``bad``. Refuses with ValueError.
    draw: Callable[[list[Any], list[Any]], tuple[dict[str, Any], Mapping[str, Array]]] | None = None
    warm: Callable[[], None] = lambda: None  # Loads what the first draw would have to wait for.
    title: str = ""  # What is said at the sliders,
    loading: str = "loading …"  # and while the first draw is on its way.
    why: str = ""  # Why there are no sliders.


@dataclass(frozen=True)
class Part:
    """What is seen for some values of a choice: models, and controls by their choice's name.

    A `later` one is filled when it first is seen.
    """

    choice: str
    values: Sequence[Any]
    parts: Sequence[LayoutDOM | str]
    later: bool = False


@dataclass(frozen=True)
class View:
    """What one visit shows."""

    choices: Sequence[Choice]  # Indices and everything else that can be chosen: the state.
    panels: Sequence[Panel]  # What is drawn.
    board: LayoutDOM  # All of it, laid out; controls are put above.
    # Rows above the board: names of choices, and Bokeh models between them.
    controls: Sequence[Sequence[Any]] = ()
    cast: Cast | None = None  # Members that are compared.
    live: Live | None = None  # Live draws.
    parts: Sequence[Part] = ()  # What is not always seen.
    # Arrays that are asked for.
    fetched: Mapping[str, Fetched] = field(default_factory=dict)
    # Name → texts (:func:`kit.arrays.words`): ``head``, ``tag``, ``picture``, ``foot``, ``file``
    # (name of the picture), and those of panels.
    words: Mapping[str, Any] = field(default_factory=dict)
    # What the address says beside the choices.
    address: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)  # Further state.


@dataclass(frozen=True)
class Page:
    """A page's declaration."""

    title: str  # In the bar.
    producer: str = ""  # Of the product that it shows.
    what: str = ""  # That product in words.
    makes: str = ""  # What the study's run does, ``"simulates …, trains … and compares"``.
    # Returns what a visit shows; raises ValueError where a product is none that it can show.
    view: Callable[[Visit], View] | None = None
    keys: Sequence[tuple[str, str]] = ()  # For the page's help: (key, what it does),
    reading: str = ""  # what colours and marks mean,
    # and (term, what it means, formula).
    terms: Callable[[], Sequence[tuple[str, str, str]]] = tuple
    fault: str = ""  # Why there is no page.
