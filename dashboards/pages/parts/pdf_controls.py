"""The rows of controls above the pdf page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bokeh.models import Div

from .choice import Control, cells, named, select
from .pdf_exhibit import Exhibit, title_of


def rows(
    exhibit: Exhibit, boxes: Mapping[str, Control], slider: Div
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what always stands in the first row, then what of both is about a posterior.

    Parameters
    ----------
    exhibit
        What is shown.
    boxes
        Controls of its choices.
    slider
        The piece that the kernel puts the slider of the number of events into.
    """
    shown = [(entry.key, title_of(entry)) for entry in reversed(exhibit.products)]
    go = "location.search = '?page=pdf&key=' + cb_obj.value.slice(0, 16)"
    lasting = named("posteriors", select(shown, exhibit.entry.key, go, 172))
    lasting += cells(exhibit.choices, boxes, ["panel"])
    if len(exhibit.checks) > 1 and exhibit.checked is not None:
        shown = [(check.key, title_of(check)) for check in exhibit.checks]
        go = "window.presage.check(cb_obj.value.slice(0, 16))"
        lasting += named("calibration", select(shown, exhibit.checked.key, go, 158))
    first = [*cells(exhibit.choices, boxes, ["observation"]), slider]
    names = ["kinds", "range", "curve", "strip", "against", "features"]
    return lasting, first, cells(exhibit.choices, boxes, names)
