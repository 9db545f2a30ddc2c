"""What a run of the study prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from presage.store import Store
from presage.studies.pdf.report import scores, verdict


def summary(products: Mapping[str, str], root: Path) -> str:
    """Return the table of figures of merit and the verdict on calibration.

    Parameters
    ----------
    products
        Recorded name → key; ``posteriors`` is needed, ``calibration`` and ``corrected`` are
        told of where they are.
    root
        Folder of the store.
    """
    if "posteriors" not in products:
        return "no posteriors were recorded; notebook 3_posterior makes them"
    store = Store(root)
    found = store.open(products["posteriors"])
    about = found.attrs
    text = (
        f"{about['problem']}, {about['n_theta']} theta: estimates beside exact posteriors of "
        f"{found.sizes['observation']} observations\n{scores(found).to_string()}"
    )
    checked = [products[name] for name in ("calibration", "corrected") if name in products]
    return "\n\n".join([text, *(verdict(store.open(key)) for key in checked)])
