"""Warnings that name the line of whoever called the package, however deep they come from."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path

#: What is no caller: this package, and the decorators of context managers around its functions.
_INSIDE = (str(Path(__file__).parents[1]), contextlib.__file__)


def warn_caller(text: str, category: type[Warning]) -> None:
    """Warn at the first line outside of the package.

    Parameters
    ----------
    text, category
        Of the warning.
    """
    depth, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, category, stacklevel=depth)
