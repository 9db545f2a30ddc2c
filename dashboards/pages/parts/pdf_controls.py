"""The rows of controls above the pdf page; each one sets one thing in the kernel's state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.models import CheckboxButtonGroup, Div, RadioButtonGroup, Row, Select

from presage.analysis.posterior_figures import COLOURS

from .controls import buttons, named, select, toggles
from .pdf_exhibit import AGAINST, PANELS, RANGES, STRIPS, Exhibit, title_of
from .pieces import row

#: Observations beyond which there is a menu.
_MOST_BUTTONS = 12
_Moved = Select | RadioButtonGroup | CheckboxButtonGroup


@dataclass(frozen=True)
class Controls:
    """Two rows, what of them is about a posterior, and the controls that keys also move.

    The latter by the name of what they set.
    """

    first: Row
    second: Row
    of_posterior: list[Any]
    moved: dict[str, _Moved]


def controls(exhibit: Exhibit, state: dict[str, Any], slider: Div) -> Controls:
    """Return the controls in their initial state.

    Parameters
    ----------
    exhibit
        What is shown.
    state
        How it is shown first.
    slider
        The piece that the kernel puts the slider of the number of events into.
    """
    observation = _observation(exhibit.product.sizes["observation"], state["observation"])
    kinds = toggles("kinds", exhibit.kinds, state["kinds"], COLOURS)
    panel = buttons(PANELS, PANELS.index(state["panel"]), "panel", PANELS)
    moved: dict[str, _Moved] = {"observation": observation, "kinds": kinds, "panel": panel}
    lasting = [*_products(exhibit), *named("panel", panel)]
    if len(exhibit.checks) > 1 and exhibit.checked is not None:
        shown = [(check.key, title_of(check)) for check in exhibit.checks]
        go = "window.presage.check(cb_obj.value.slice(0, 16))"
        lasting += named("calibration", select(shown, exhibit.checked.key, go, 158))
    first = [*named("observation", observation), slider]
    second = [*named("shown", kinds), *named("range", _one("range", RANGES, state))]
    if exhibit.curves:
        titles = [(str(k), name.replace("_", " ")) for k, name in enumerate(exhibit.curves)]
        code = "window.presage.set({curve: Number(cb_obj.value)})"
        moved["curve"] = select(titles, str(state["curve"]), code, 150)
        second += named("curve", moved["curve"])
        second += named("residual in", _one("strip", STRIPS, state, ("σ of reference", "ratio")))
        second += named("against", _one("against", AGAINST, state))
    second += _events(exhibit, state)
    return Controls(
        row("controls", *lasting, *first), row("controls", *second), [*first, *second], moved
    )


def _observation(count: int, shown: int) -> _Moved:
    """Return a button for each observation, or a menu where there are many."""
    numbers = [str(k) for k in range(count)]
    if count <= _MOST_BUTTONS:
        return buttons(numbers, shown, "observation", list(range(count)))
    code = "window.presage.set({observation: Number(cb_obj.value)})"
    return select([(k, k) for k in numbers], str(shown), code, 70)


def _products(exhibit: Exhibit) -> list[Any]:
    """Return the menu of products, which says the problem of each."""
    shown = [(entry.key, title_of(entry)) for entry in reversed(exhibit.products)]
    go = "location.search = '?page=pdf&key=' + cb_obj.value.slice(0, 16)"
    return named("posteriors", select(shown, exhibit.entry.key, go, 172))


def _events(exhibit: Exhibit, state: dict[str, Any]) -> list[Any]:
    """Return the menu of pairs of features, where there are several."""
    if len(exhibit.pairs) < 2:
        return []
    titles = [(str(k), pair.replace(",", " × ")) for k, pair in enumerate(exhibit.pairs)]
    code = "window.presage.set({features: Number(cb_obj.value)})"
    return named("events", select(titles, str(state["features"]), code, 120))


def _one(
    name: str, values: Sequence[str], state: dict[str, Any], labels: Sequence[str] | None = None
) -> RadioButtonGroup:
    return buttons(labels or values, list(values).index(state[name]), name, values)
