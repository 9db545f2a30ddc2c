"""Warnings that name the line of whoever called the package, however deep they come from."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path

#: What is no caller: this package, what decorates its functions, and what dataclasses generate.
_INSIDE = (str(Path(__file__).parents[1]), contextlib.__file__, "<string>")


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line outside of the package."""
    depth, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, category, stacklevel=depth)
