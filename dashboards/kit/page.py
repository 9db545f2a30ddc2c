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
    """A panel: what draws it in the browser, and what it draws.

    Parameters
    ----------
    kind
        Of the kit's scripts.
    place
        Where it stands in the layout.
    spec
        Its declaration, for the browser.
    models
        Bokeh models that are filled.
    arrays
        Name → array. Panels may share some.
    figures, texts
        What the picture that is saved consists of.
    on
        Names of the state that it depends on, beside the indices of its arrays.
    """

    kind: str
    place: LayoutDOM
    spec: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    figures: Sequence[Any] = ()
    texts: Sequence[Any] = ()
    on: Sequence[str] = ()

    def depends(self) -> list[str]:
        """Names of the state at whose change it is drawn anew."""
        return sorted({*self.on, *(dim for array in self.arrays.values() for dim in array.dims)})


@dataclass(frozen=True)
class Cast:
    """Members of one dim that are shown beside one another: sources, kinds, methods.

    Parameters
    ----------
    dim
        Its name.
    names, called
        As the address and the state spell them, and for people.
    colours
        Of each, in order.
    base
        The member that others are held against.
    several
        Choice of any number of them; or, where two are compared,
    a, b, overlay
        choices of the one, of the one that it is held against (0: the base), and of further ones.
    drawn
        Members that may be drawn on top of the base.
    dashed
        Members with a broken line.
    """

    dim: str
    names: Sequence[str]
    colours: Sequence[str]
    called: Sequence[str] = ()
    base: int = 0
    several: str = ""
    a: str = ""
    b: str = ""
    overlay: str = ""
    drawn: Sequence[int] = ()
    dashed: Sequence[str] = ()
    filled: str = ""

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
        return {"dim": self.dim, "names": list(self.names), "called": called, "keys": keys,
                "colours": list(self.colours), "base": self.base, "several": self.several or None,
                "a": self.a or None, "b": self.b or None, "overlay": self.overlay or None,
                "drawn": list(self.drawn)}  # fmt: skip


@dataclass(frozen=True)
class Live:
    """What Python draws while the visitor looks on.

    Parameters
    ----------
    parameters
        A slider for each: ``name``, ``short``, ``low``, ``high``, ``unit``.
    draw
        ``(label, members) -> (about, arrays)``: what stands in for the product's arrays, and
        ``label``, ``scene``, ``words``, ``table``, ``said`` and ``bad``. Refuses with ValueError.
    warm
        Loads what the first draw would have to wait for.
    title, loading
        What is said at the sliders, and while the first draw is on its way.
    why
        Why there are no sliders.
    """

    parameters: Sequence[Mapping[str, Any]] = ()
    draw: Callable[[list[Any], list[Any]], tuple[dict[str, Any], Mapping[str, Array]]] | None = None
    warm: Callable[[], None] = lambda: None
    title: str = ""
    loading: str = "loading …"
    why: str = ""


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
    """What one visit shows.

    Parameters
    ----------
    choices
        Indices and everything else that can be chosen: the state.
    panels
        What is drawn.
    board
        All of it, laid out; controls are put above.
    controls
        Rows above the board: names of choices, and Bokeh models between them.
    cast, live, parts, fetched
        Members that are compared, live draws, what is not always seen, arrays that are asked for.
    words
        Name → texts (:func:`kit.arrays.words`): ``head``, ``tag``, ``picture``, ``foot``,
        ``file`` (name of the picture), and those of panels.
    address
        What the address says beside the choices.
    extra
        Further state.
    """

    choices: Sequence[Choice]
    panels: Sequence[Panel]
    board: LayoutDOM
    controls: Sequence[Sequence[Any]] = ()
    cast: Cast | None = None
    live: Live | None = None
    parts: Sequence[Part] = ()
    fetched: Mapping[str, Fetched] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    address: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page's declaration.

    Parameters
    ----------
    title
        In the bar.
    producer, what
        The product that it shows, as producer and in words.
    makes
        What the study's run does, ``"simulates …, trains … and compares"``.
    view
        Returns what a visit shows; raises ValueError where a product is none that it can show.
    keys, reading
        For the page's help: (key, what it does), and what colours and marks mean.
    terms
        For the help: (term, what it means, formula).
    """

    title: str
    producer: str = ""
    what: str = ""
    makes: str = ""
    view: Callable[[Visit], View] | None = None
    keys: Sequence[tuple[str, str]] = ()
    reading: str = ""
    terms: Callable[[], Sequence[tuple[str, str, str]]] = tuple
