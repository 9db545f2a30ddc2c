"""What a run of the study prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from presage.store import Store
from presage.studies.amp.report import Aliasing

_SHOWN = ("alias_ratio", "audible_aliases", "harmonic_error", "mean_error")


def summary(products: Mapping[str, str], root: Path) -> str:
    """Return table, errors on signals and verdict on held-out tones."""
    if "aliasing" not in products:
        return "no comparison was recorded; notebook 3_aliasing makes it"
    found = Aliasing(Store(root).open(products["aliasing"]))
    tables = (found.table(_SHOWN), found.sounds())
    shown = [table.to_string(float_format="{:.1f}".format) for table in tables]
    return "\n\n".join([*shown, found.verdict()])
