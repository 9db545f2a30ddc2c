"""Choices: each one thing that a page shows of several, declared once.

A page declares its choices. From that come what is shown first (by the address), the controls
above the board, and, in the kernel, the address and the controls that keys move (core.js).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import (
    CheckboxButtonGroup,
    CustomJS,
    Div,
    InlineStyleSheet,
    RadioButtonGroup,
    Select,
)

from presage.store import EntryInfo

from .pieces import row, sheets
from .query import Query
from .theme import text_of

Control = Select | RadioButtonGroup | CheckboxButtonGroup


@dataclass(frozen=True)
class Choice:
    """What can be chosen."""

    name: str  # In the kernel's state.
    values: Sequence[str]  # As the address spells them.
    first: Any = None  # Shown where the address asks for nothing; for `several` a list.
    heading: str = ""  # What stands before the control; without it there is none.
    titles: Sequence[str] = ()  # What the control calls the values; by default as the address does.
    width: int = 0  # Of a menu; 0 for buttons beside one another.
    # What the kernel's state holds for each value; by default the value itself.
    states: Sequence[Any] = ()
    asked: str = ""  # Name in the address, where it is another.
    silent: str | None = None  # Value that the address leaves out.
    several: bool = False  # Whether any number of them may be chosen.
    # Value → colour of a line under its button.
    colours: Mapping[str, str] = field(default_factory=dict)
    keys: Sequence[str] = ()  # Two keys that step back and forth, as browsers call them.
    digits: Sequence[Any] = ()  # What keys 1, 2, … choose (of `several`: add or take away).
    shifted: bool = False  # With ⇧.
    cycle: str = ""  # A letter that goes on to the next value.

    @classmethod
    def numbered(cls, name: str, values: Sequence[str], first: str = "", **more: Any) -> Choice:
        """Return a choice whose state is the number of the value."""
        return cls(name, values, first or next(iter(values), ""), states=range(len(values)), **more)

    @property
    def held(self) -> list[Any]:
        """What the state holds for each value."""
        return list(self.states or self.values)

    def read(self, query: Query) -> Any:
        """Return the state that the address asks for, else the first."""
        asked = self.asked or self.name
        if self.several:
            return query.several(asked, self.values, self.first)
        first = next(iter(self.values), "") if self.first is None else self.first
        value = query.choose(asked, self.values, first)
        return dict(zip(self.values, self.held, strict=True)).get(value, 0)

    def control(self, state: Any) -> Control:
        """Return the control as it is for a state."""
        titles, held = list(self.titles or self.values), self.held
        if self.width:
            places = [str(k) for k in range(len(titles))]
            code = f"window.presage.set({{{self.name}: {json.dumps(held)}[cb_obj.value]}})"
            options = list(zip(places, titles, strict=True))
            return select(options, str(held.index(state)), code, self.width)
        if self.several:
            active: Any = [k for k, value in enumerate(held) if value in state]
            chosen = f"cb_obj.active.map((k) => {json.dumps(held)}[k])"
        else:
            active, chosen = held.index(state), f"{json.dumps(held)}[cb_obj.active]"
        kind = CheckboxButtonGroup if self.several else RadioButtonGroup
        under = "".join(
            f".bk-btn-group > .bk-btn:nth-child({k}) {{ box-shadow: inset 0 -3px {colour}; }}\n"
            for k, colour in enumerate(map(self.colours.get, self.values), 1)
            if colour
        )
        sheet = InlineStyleSheet(css=text_of("control.css") + under)
        group = kind(labels=titles, active=active, margin=0, stylesheets=[sheet])
        code = f"window.presage.set({{{self.name}: {chosen}}})"
        group.js_on_change("active", CustomJS(code=code + "; window.presage.leaveControl()"))
        return group

    def for_kernel(self) -> dict[str, Any]:
        """Return what the kernel needs to know of it."""
        return {"name": self.name, "asked": self.asked or self.name, "values": list(self.values),
                "held": self.held, "silent": self.silent, "several": self.several,
                "titles": list(self.titles or self.values), "keys": list(self.keys),
                "digits": list(self.digits), "shifted": self.shifted,
                "cycle": self.cycle}  # fmt: skip


@dataclass(frozen=True)
class Labels(Choice):
    """The labels of a grid of any dimension: two parameters are seen, menus fix the others."""

    table: Any = None  # ``[label, parameter]``.
    parameters: Sequence[str] = ()  # Their names, for messages.
    axes: Sequence[Any] = ()  # Distinct values of each parameter.
    places: Any = None  # Where each label stands on them.
    neighbours: Any = None  # Where arrow keys lead, ``[label, (left, right, down, up)]``.

    @classmethod
    def on_grid(cls, table: Any, parameters: Sequence[str], worst: int) -> Labels:
        """Return the choice among labels ``[label, parameter]``; `worst` is shown first."""
        axes = [np.unique(column) for column in table.T]
        columns = zip(axes, table.T, strict=True)
        places = np.stack([np.searchsorted(axis, column) for axis, column in columns], axis=1)
        values = [",".join(f"{value:.7g}" for value in row) for row in table]
        return cls("label", values, worst, states=range(len(table)), table=table,
                   parameters=parameters, axes=axes, places=places,
                   neighbours=_neighbours(table, places))  # fmt: skip

    def read(self, query: Query) -> int:
        """Return the number of the label that the address asks for, the closest one."""
        return query.label(self.table, self.parameters, self.first)

    def for_kernel(self) -> dict[str, Any]:
        """Return what the kernel needs to know of it."""
        lists = {name: getattr(self, name).tolist() for name in ("table", "places", "neighbours")}
        return {**super().for_kernel(), **lists, "axes": [axis.tolist() for axis in self.axes]}


def same_rest(table: Any, label: int) -> Any:
    """Return the numbers of the labels that share all but the first two parameters with one."""
    rest = table[:, 2:]
    return np.flatnonzero((rest == rest[label]).all(axis=1))


def _neighbours(table: Any, places: Any) -> Any:
    """Return the label that each arrow key leads to: the closest one ahead, within the slice."""
    seen = places[:, :2].astype(float)
    if seen.shape[1] == 1:
        seen = np.column_stack([seen, np.zeros(len(seen))])
    result = np.tile(np.arange(len(seen))[:, None], (1, 4))
    for label in range(len(seen)):
        same = same_rest(table, label)
        step = seen[same] - seen[label]
        for k, (along, sign) in enumerate(((0, -1), (0, 1), (1, -1), (1, 1))):
            ahead = sign * step[:, along]
            cost = np.where(ahead > 0, ahead + 3 * np.abs(step[:, 1 - along]), np.inf)
            if np.isfinite(cost).any():
                result[label, k] = same[int(cost.argmin())]
    return result


def cells(
    choices: Sequence[Choice], controls: Mapping[str, Control], names: Sequence[str]
) -> list[Any]:
    """Return the controls of some choices, each behind its heading."""
    headings = {c.name: c.heading for c in choices}
    return [cell for n in names if n in controls for cell in named(headings[n], controls[n])]


def named(name: str, control: Any) -> list[Any]:
    """Return a control behind its name."""
    title = Div(text=name, margin=(0, 0, 0, 4), styles={"white-space": "nowrap"},
                stylesheets=sheets("control.css"))  # fmt: skip
    return [row("named", title, control, sizing_mode=None)]


def select(options: list[tuple[str, str]], value: str, code: str, width: int) -> Select:
    """Return a menu of (value, title) that runs `code` when another one is chosen."""
    menu = Select(options=options, value=value, width=width, margin=0, height=27,
                    stylesheets=sheets("control.css"))  # fmt: skip
    menu.js_on_change("value", CustomJS(code=code + "; window.presage.leaveControl()"))
    return menu


def entries_menu(
    heading: str, entries: Sequence[EntryInfo], chosen: EntryInfo | None, name: str = "key",
    title: Callable[[EntryInfo], str] = lambda entry: entry.key[:8], width: int = 88,
    none: bool = False,
) -> list[Any]:  # fmt: skip
    """Return a menu of the store's entries that loads the page with another one.

    Parameters
    ----------
    heading, title, width
        What stands before it, what each entry is called, how wide it is.
    entries, chosen
        What there is to choose, and what is shown.
    name
        In the address: ``key`` for the product itself, whose view begins anew.
    none
        Whether nothing can be chosen too.
    """
    shown = [("", "–")] * none + [(entry.key, title(entry)) for entry in entries]
    code = f"window.presage.beside({json.dumps(name)}, cb_obj.value.slice(0, 16))"
    return named(heading, select(shown, chosen.key if chosen else "", code, width))


def called(source: str) -> str:
    """Return what buttons and menus call a source."""
    return source.replace("histogram_", "hist. ").replace("_", " ")
