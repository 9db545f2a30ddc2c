"""What a run of the study prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from presage.store import Store
from presage.studies.sky.report import SkyResiduals


def summary(products: Mapping[str, str], root: Path) -> str:
    """Return table and verdict on held-out skies, and on those of another model where there are."""
    if "residuals" not in products:
        return "no residuals were recorded; notebook 4_residuals makes them"
    store, texts = Store(root), []
    for name in ("residuals", "other_sky"):
        if name in products:
            found = SkyResiduals(store.open(products[name]))
            about = (
                f"{found.dataset.attrs['n_skies']} held-out skies ({found.dataset.attrs['sky']})"
            )
            table = found.table().to_string(float_format="{:.3g}".format)
            texts.append(f"{about}\n{table}\n{found.verdict()}")
    return "\n\n".join(texts)
