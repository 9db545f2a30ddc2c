"""How a notebook says what it made.

The last cell of a step calls :func:`record`. Under ``presage run`` the names, keys and
figures go into the record of the step, which decides later whether the step is up to date.
In Jupyter and under plain papermill the same call does nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

#: Environment variable that names the file to write; set by the pipeline for each step.
VARIABLE = "PRESAGE_STEP_RECORD"
_KEY = re.compile(r"[0-9a-f]{64}")


def record(**products: Any) -> None:
    """Record datasets, fits and figures under names.

    Parameters
    ----------
    **products
        Name → a dataset from a store, anything with a ``key`` (a fit, a recipe), a key as
        text, a matplotlib figure, or the path of a picture. Figures are saved beside the
        executed notebook, as PNG to look at, as PDF and as SVG to print.

    Raises
    ------
    TypeError
        A value is none of these; the message names it.

    Examples
    --------
    >>> from presage.recipe import Recipe
    >>> record(events=Recipe("toy", 1))  # does nothing outside of `presage run`
    """
    target = os.environ.get(VARIABLE)
    keys = {n: _key_of(n, v) for n, v in products.items() if not _is_figure(v)}
    if not target:
        return
    path = Path(target)
    figures = {n: _save(v, n, path.parent) for n, v in products.items() if _is_figure(v)}
    known = read(path)
    known["products"].update(keys)
    known["figures"].update(figures)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(path)


def read(path: Path) -> dict[str, dict[str, str]]:
    """Return what was recorded so far: ``products`` (name → key) and ``figures`` (→ file)."""
    if not path.exists():
        return {"products": {}, "figures": {}}
    content: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _is_figure(value: Any) -> bool:
    return isinstance(value, Path) or hasattr(value, "savefig")


def _key_of(name: str, value: Any) -> str:
    """Return the key under which the store holds a product."""
    attributes = getattr(value, "attrs", {})
    key = attributes.get("presage_key") or getattr(value, "key", value)
    if isinstance(key, str) and _KEY.fullmatch(key):
        return key
    raise TypeError(
        f"record({name}=...): expected a dataset from a store, a fit, a recipe, a key of 64 "
        f"digits, a figure or the path of one; got {type(value).__name__}"
        + ("; store it first with Store.put" if attributes or hasattr(value, "dims") else "")
    )


def _save(figure: Any, name: str, folder: Path) -> str:
    """Put a figure into the step's folder and return its file name."""
    if isinstance(figure, Path):
        target = folder / f"{name}{figure.suffix}"
        if figure.resolve() != target.resolve():
            shutil.copyfile(figure, target)
        return target.name
    save_figure(figure, folder / name)
    return f"{name}.png"


def save_figure(figure: Any, path: Path) -> None:
    """Save a matplotlib figure as PNG, PDF and SVG.

    Text stays text, in embedded TrueType fonts in PDF. Files of equal figures are equal to
    the last byte: no dates, no random names.

    Parameters
    ----------
    figure
        Any matplotlib figure.
    path
        Of the files, without suffix.
    """
    import matplotlib as mpl  # only who draws needs it

    plain: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "presage"}
    undated = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
    engine = figure.get_layout_engine()
    with mpl.rc_context(plain):
        # Laid out once for all three: that takes longer than to draw.
        figure.draw_without_rendering()
        box = figure.get_tightbbox().padded(mpl.rcParams["savefig.pad_inches"])
        figure.set_layout_engine("none")
        try:
            for suffix, metadata in undated.items():
                target = path.with_name(f"{path.name}.{suffix}")
                figure.savefig(target, dpi=200, bbox_inches=box, metadata=metadata)
        finally:
            figure.set_layout_engine(engine)
