"""Numbers of what is shown, beside their floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bokeh.models import Div

from dashboards.kit.arrays import Array
from dashboards.kit.page import Panel
from dashboards.kit.pieces import piece


@dataclass(frozen=True)
class Cell:
    """One number."""

    array: str
    # Dim → place, or the name of what of the state says it; other dims follow the state.
    at: Mapping[str, int | str] = field(default_factory=dict)
    format: str = "show"  # ``show``, ``tenths``, ``ratio``, ``accuracy`` or ``signed``.
    floor: bool = False  # Whether it is what chance gives.
    # (centre, limit): further from the centre than that it is red.
    off: tuple[float, float] | None = None
    best: float | None = None  # Its best value; None: more is better.
    among: Sequence[int] = ()  # Members that it is to be better than to be bold.
    span: int = 1  # Columns that it takes.

    def sent(self) -> dict[str, Any]:
        """Return it for the browser, without what goes without saying."""
        about = {k: v for k, v in asdict(self).items() if v or k in ("at", "array", "format")}
        if self.among:
            about["best"] = self.best
        return about


@dataclass(frozen=True)
class Table:
    """Rows and columns."""

    groups: Sequence[str]  # Headings above the columns, in order.
    # ``group``, ``title`` or ``member`` (a choice of the cast), ``hint``, ``when`` (only with it).
    columns: Sequence[Mapping[str, Any]]
    # ``title``, ``said``, and ``cells``: one for each column, None where there is none; ``mark``:
    # values of the choice `column` at which the row is lit.
    rows: Sequence[Mapping[str, Any]]

    def sent(self) -> dict[str, Any]:
        """Return it for the browser."""
        rows = [
            {**row, "cells": [None if cell is None else cell.sent() for cell in row["cells"]]}
            for row in self.rows
        ]
        return {"groups": list(self.groups), "columns": list(self.columns), "rows": rows}


def table(
    tables: Table | Sequence[Table],
    arrays: Mapping[str, Array],
    by: str = "",
    name: str = "table",
    css: str = "",
    on: Sequence[str] = (),
    **spec: Any,
) -> Panel:
    """Return a table, or one for each value of the choice `by`.

    Parameters
    ----------
    tables, arrays
        What is shown.
    name, css
        Class of its place, and further ones of the table.
    on
        Names of the state that it depends on, beside the arrays' indices.
    spec
        ``floor``: the member that chance gives; ``pair``: whether two that are compared are held
        against each other alone (else against all); ``column``: the choice that lights a row;
        ``note``: HTML below it, or ``words``: name of the words there.
    """
    variants = [tables] if isinstance(tables, Table) else tables
    div: Div = piece(name)
    given = {"variants": [one.sent() for one in variants], "by": by, "class": css, "floor": -1,
             "pair": True, **spec}  # fmt: skip
    return Panel("table", div, given, {"div": div}, arrays, texts=[div], on=on)
