"""The rows of controls above the events page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bokeh.models import Row

from .choice import Control, cells, named, select
from .exhibit import Exhibit
from .payload import Payload
from .pieces import row


def rows(
    exhibit: Exhibit, state: Mapping[str, Any], boxes: Mapping[str, Control], live: Any
) -> tuple[Row, Row]:
    """Return both rows: what is shown, and how; the latter behind the piece for live draws."""
    first = cells(exhibit.choices, boxes, ["column", "source", "against", "overlay", "pair"])
    looks = cells(exhibit.choices, boxes, ["strip", "colour", "panel"])
    others = _other_parameters(exhibit.payload, state)
    return row("controls", *_products(exhibit), *first, *others), row("controls", live, *looks)


def _products(exhibit: Exhibit) -> list[Any]:
    """Return the menu of products, and of those that one can be compared with."""
    parts: list[Any] = []
    if len(exhibit.products) > 1:
        shown = [(e.key, e.key[:8]) for e in exhibit.products]
        go = "location.search = '?page=events&key=' + cb_obj.value.slice(0, 16)"
        parts += named("product", select(shown, exhibit.entry.key, go, 88))
    if exhibit.partners:
        shown = [("", "–"), *((e.key, e.key[:8]) for e in exhibit.partners)]
        chosen = exhibit.partner.key if exhibit.partner else ""
        go = "window.presage.beside(cb_obj.value.slice(0, 16))"
        parts += named("with", select(shown, chosen, go, 88))
    return parts


def _other_parameters(payload: Payload, state: Mapping[str, Any]) -> list[Any]:
    """Return a menu for every parameter beyond the two of the grid."""
    parts: list[Any] = []
    for k, parameter in enumerate(payload.parameters[2:]):
        values = [(str(i), f"{value:.5g}") for i, value in enumerate(payload.axes[k + 2])]
        code = (
            f"const rest = [...window.presage.state.rest]; rest[{k}] = Number(cb_obj.value); "
            "window.presage.set({rest})"
        )
        parts += named(parameter.title, select(values, str(state["rest"][k]), code, 90))
    return parts
