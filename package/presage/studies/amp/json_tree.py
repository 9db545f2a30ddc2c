"""Reading JSON that nobody vouches for: types, counts and numbers are looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.studies.amp.architecture import AmplifierError


def shown(value: Any) -> str:
    """Return the beginning of what a value looks like, for an error."""
    text = type(value).__name__ if isinstance(value, (dict, list)) else repr(value)
    return text if len(text) < 40 else f"{text[:40]}…"


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return a value that has to be an object of JSON."""
    if not isinstance(value, Mapping):
        raise AmplifierError(f"{what} should be an object with names, got {shown(value)}")
    return dict(value)


def listed(value: Any, what: str) -> list[Any]:
    """Return a value that has to be a list with something in it."""
    if not isinstance(value, list) or not value:
        raise AmplifierError(f"{what} should be a list, got {shown(value)}")
    return value


def numbers(value: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Return nested lists as an array, after every length has been compared.

    Raises
    ------
    AmplifierError
        They are not of this shape, or not finite numbers.
    """
    flat = [value]
    for size in shape:
        for part in flat:
            if not isinstance(part, list) or len(part) != size:
                got = f"a list of {len(part)}" if isinstance(part, list) else shown(part)
                raise AmplifierError(f"{what} should hold numbers in the shape {shape}, got {got}")
        flat = [item for part in flat for item in part]
    for number in flat:
        if type(number) not in (int, float):
            raise AmplifierError(f"{what} should hold numbers, got {shown(number)}")
    try:
        array = np.array(flat, dtype=np.float64).reshape(shape)
    except OverflowError as error:
        raise AmplifierError(f"{what} holds numbers that are not finite") from error
    if not np.isfinite(array).all():
        raise AmplifierError(f"{what} holds numbers that are not finite")
    return array


def sample_rate(value: Any, default: float) -> float:
    """Return the sample rate that a file says, Hz, or what its format takes for granted."""
    if value is None:
        return default
    if type(value) not in (int, float) or not 1 <= value <= 1e7:
        raise AmplifierError(f"the sample rate should be a number of Hz, got {shown(value)}")
    return float(value)
