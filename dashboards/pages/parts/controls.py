"""The row of controls above the events page; each one sets one thing in the kernel's state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bokeh.models import (
    CheckboxButtonGroup,
    CustomJS,
    Div,
    InlineStyleSheet,
    RadioButtonGroup,
    Row,
    Select,
)
from presage.store import EntryInfo

from .payload import Payload
from .theme import text_of
from .view import SCALES, STRIPS


@dataclass(frozen=True)
class Controls:
    """The row, and the control that the number keys also move."""

    row: Row
    source: RadioButtonGroup


def controls(
    payload: Payload,
    state: dict[str, Any],
    colours: dict[str, str],
    entry: EntryInfo,
    products: list[EntryInfo],
) -> Controls:
    """Return the controls in their initial state."""
    drawn = payload.drawn
    active = drawn.index(payload.sources[state["source"]])
    source = _buttons(drawn, active, f"const k = {_numbers(payload)}[cb_obj.active]; "
                                     "window.presage.set({source: k})", colours)  # fmt: skip
    names = json.dumps(drawn)
    overlay = CheckboxButtonGroup(
        labels=drawn,
        active=[k for k, name in enumerate(drawn) if name in state["overlay"]],
        stylesheets=_sheets(drawn, colours),
        margin=0,
    )
    code = f"window.presage.set({{overlay: cb_obj.active.map((k) => {names}[k])}})"
    overlay.js_on_change("active", CustomJS(code=code + "; window.presage.leaveControl()"))
    strip = _buttons(list(STRIPS), STRIPS.index(state["strip"]),
                     f"window.presage.set({{strip: {json.dumps(STRIPS)}[cb_obj.active]}})")  # fmt: skip
    scale = _buttons(list(SCALES), SCALES.index(state["colour"]),
                     f"window.presage.set({{colour: {json.dumps(SCALES)}[cb_obj.active]}})")  # fmt: skip
    metric = _select([(str(k), c.title) for k, c in enumerate(payload.columns)],
                     str(state["column"]), "window.presage.set({column: Number(cb_obj.value)})", 200)  # fmt: skip
    parts: list[Any] = []
    if len(products) > 1:
        shown = [(e.key, f"{e.key[:8]} · {e.created[:16].replace('T', ' ')}") for e in products]
        go = "location.search = '?page=events&key=' + cb_obj.value.slice(0, 16)"
        parts += _named("product", _select(shown, entry.key, go, 190))
    parts += _named("grid shows", metric) + _named("source", source) + _named("compare", overlay)
    if len(payload.pairs) > 1:
        pairs = [(str(k), name.replace("_", " ").replace(",", " × "))
                 for k, name in enumerate(payload.pairs)]  # fmt: skip
        pair = _select(pairs, str(state["pair"]), "window.presage.set({pair: Number(cb_obj.value)})", 170)
        parts += _named("pair", pair)
    parts += _named("strip", strip)
    if payload.pairs:
        parts += _named("density", scale)
    parts += _other_parameters(payload, state)
    row = Row(children=parts, sizing_mode="stretch_width", margin=0, styles={
        "flex-wrap": "wrap", "align-items": "center", "gap": "4px 7px", "padding": "0 0 6px",
    })  # fmt: skip
    return Controls(row, source)


def _other_parameters(payload: Payload, state: dict[str, Any]) -> list[Any]:
    """Return a menu for every parameter beyond the two of the grid."""
    parts: list[Any] = []
    for k, parameter in enumerate(payload.parameters[2:]):
        values = [(str(i), f"{value:.5g}") for i, value in enumerate(payload.axes[k + 2])]
        code = (
            f"const rest = [...window.presage.state.rest]; rest[{k}] = Number(cb_obj.value); "
            "window.presage.set({rest})"
        )
        parts += _named(parameter.title, _select(values, str(state["rest"][k]), code, 90))
    return parts


def _named(name: str, control: Any) -> list[Any]:
    title = Div(text=name, margin=(0, 0, 0, 6), styles={"white-space": "nowrap"},
                stylesheets=[InlineStyleSheet(css=text_of("control.css"))])  # fmt: skip
    return [title, control]


def _numbers(payload: Payload) -> str:
    return json.dumps([payload.sources.index(name) for name in payload.drawn])


def _select(options: list[tuple[str, str]], value: str, code: str, width: int) -> Select:
    select = Select(options=options, value=value, width=width, margin=0, height=27,
                    stylesheets=[InlineStyleSheet(css=text_of("control.css"))])  # fmt: skip
    select.js_on_change("value", CustomJS(code=code + "; window.presage.leaveControl()"))
    return select


def _buttons(
    labels: list[str], active: int, code: str, colours: dict[str, str] | None = None
) -> RadioButtonGroup:
    group = RadioButtonGroup(labels=labels, active=active, margin=0,
                             stylesheets=_sheets(labels, colours or {}))  # fmt: skip
    group.js_on_change("active", CustomJS(code=code + "; window.presage.leaveControl()"))
    return group


def _sheets(labels: list[str], colours: dict[str, str]) -> list[InlineStyleSheet]:
    """The common style, and under each source's button a line in its colour."""
    lines = [
        f".bk-btn-group > .bk-btn:nth-child({k + 1}) {{ box-shadow: inset 0 -3px {colours[name]}; }}"
        for k, name in enumerate(labels)
        if name in colours
    ]
    return [InlineStyleSheet(css=text_of("control.css") + "\n".join(lines))]
