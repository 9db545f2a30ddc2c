"""The row of controls above the events page; each one sets one thing in the kernel's state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

from .exhibit import PANELS, Exhibit
from .payload import Payload, plain
from .pieces import row, sheets
from .theme import text_of
from .view import SCALES, STRIPS


@dataclass(frozen=True)
class Controls:
    """Two rows, and the controls that keys also move."""

    first: Row
    second: list[Any]
    source: Select
    against: Select


def controls(exhibit: Exhibit, state: dict[str, Any], colours: dict[str, str]) -> Controls:
    """Return the controls in their initial state."""
    payload = exhibit.payload
    drawn = payload.drawn
    menu = [(str(payload.sources.index(name)), called(name)) for name in drawn]
    source = select(menu, str(state["source"]), _setter("source"), 104)
    others = [("0", "reference"), *menu]
    against = select(others, str(state["against"]), _setter("against"), 104)
    titles = [(str(k), column.title) for k, column in enumerate(payload.columns)]
    metric = select(titles, str(state["column"]), _setter("column"), 142)
    first = _products(exhibit) + named("grid", metric) + named("source", source)
    first += named("against", against)
    first += named("overlay", toggles("overlay", drawn, state["overlay"], colours))
    if len(payload.pairs) > 1:
        pairs = [(str(k), plain(name)) for k, name in enumerate(payload.pairs)]
        first += named("pair", select(pairs, str(state["pair"]), _setter("pair"), 170))
    first += _other_parameters(payload, state)
    return Controls(row("controls", *first), _looks(payload, state), source, against)


def _looks(payload: Payload, state: dict[str, Any]) -> list[Any]:
    """Return the controls that change how things are shown, not what."""
    strip = buttons(STRIPS, STRIPS.index(state["strip"]), "strip", STRIPS)
    scale = buttons(SCALES, SCALES.index(state["colour"]), "colour", SCALES)
    panel = buttons(PANELS, PANELS.index(state["panel"]), "panel", PANELS)
    density = named("density", scale) if payload.pairs else []
    return named("strip", strip) + density + named("panel", panel)


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


def _other_parameters(payload: Payload, state: dict[str, Any]) -> list[Any]:
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


def named(name: str, control: Any) -> list[Any]:
    """Return a control behind its name."""
    title = Div(text=name, margin=(0, 0, 0, 4), styles={"white-space": "nowrap"},
                stylesheets=sheets("control.css"))  # fmt: skip
    return [row("named", title, control, sizing_mode=None)]


def called(source: str) -> str:
    """Return what buttons and menus call a source."""
    return source.replace("histogram_", "hist. ").replace("_", " ")


def _setter(name: str) -> str:
    return f"window.presage.set({{{name}: Number(cb_obj.value)}})"


def select(options: list[tuple[str, str]], value: str, code: str, width: int) -> Select:
    """Return a menu of (value, title) that runs `code` when another one is chosen."""
    menu = Select(options=options, value=value, width=width, margin=0, height=27,
                    stylesheets=sheets("control.css"))  # fmt: skip
    menu.js_on_change("value", CustomJS(code=code + "; window.presage.leaveControl()"))
    return menu


def buttons(
    labels: Sequence[str],
    active: int,
    name: str,
    values: Sequence[Any],
) -> RadioButtonGroup:
    """Return buttons of which one is down; pressing one sets `name` to its value."""
    group = RadioButtonGroup(labels=list(labels), active=active, margin=0,
                             stylesheets=_sheets(labels, {}))  # fmt: skip
    code = f"window.presage.set({{{name}: {json.dumps(values)}[cb_obj.active]}})"
    group.js_on_change("active", CustomJS(code=code + "; window.presage.leaveControl()"))
    return group


def toggles(
    name: str, values: Sequence[str], shown: Sequence[str], colours: Mapping[str, str]
) -> CheckboxButtonGroup:
    """Return buttons of which any may be down; each has a line in its colour."""
    active = [k for k, value in enumerate(values) if value in shown]
    group = CheckboxButtonGroup(labels=[called(value) for value in values], active=active,
                                margin=0, stylesheets=_sheets(values, colours))  # fmt: skip
    chosen = f"cb_obj.active.map((k) => {json.dumps(list(values))}[k])"
    code = f"window.presage.set({{{name}: {chosen}}})"
    group.js_on_change("active", CustomJS(code=code + "; window.presage.leaveControl()"))
    return group


def _sheets(labels: Sequence[str], colours: Mapping[str, str]) -> list[InlineStyleSheet]:
    """Return the common style, and under each source's button a line in its colour."""
    button = ".bk-btn-group > .bk-btn:nth-child"
    lines = [
        f"{button}({k + 1}) {{ box-shadow: inset 0 -3px {colours[name]}; }}"
        for k, name in enumerate(labels)
        if name in colours
    ]
    return [InlineStyleSheet(css=text_of("control.css") + "\n".join(lines))]
