"""What a file of weights declares, looked at before anything is made of it.

Files come from anywhere: types, counts and numbers are compared first, and what does not fit is an
:class:`AmplifierError` that says what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

#: The largest of each that is believed; published models stay a hundred times below.
LARGEST = {
    "hidden_size": 4096,
    "num_layers": 64,
    "input_size": 4096,
    "condition_size": 1,
    "head_size": 4096,
    "channels": 4096,
    "kernel_size": 1024,
    "dilations": 1 << 20,
    "receptive_field": 1 << 22,
}


class AmplifierError(ValueError):
    """A weight file, or what it says, is not a network that can be played."""


def shown(value: Any) -> str:
    """Return the beginning of what a value looks like, for an error."""
    text = type(value).__name__ if isinstance(value, (dict, list)) else repr(value)
    return text if len(text) < 40 else f"{text[:40]}…"


def whole(name: str, value: Any, largest: int = 0) -> int:
    """Return a count between 1 and the largest that is believed."""
    largest = largest or LARGEST[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise AmplifierError(
            f"{name} should be a whole number from 1 to {largest}, got {shown(value)}"
        )
    return value


def yes_or_no(name: str, value: Any) -> bool:
    """Return a switch, which files write as 0 and 1 too."""
    if not isinstance(value, (bool, int)) or value not in (0, 1):
        raise AmplifierError(f"{name} should be true or false, got {shown(value)}")
    return bool(value)


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


def numbers(value: Any, shape: tuple[int, ...], what: str) -> Array:
    """Return nested lists as an array, after every length has been compared."""
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
    except OverflowError:
        array = np.array(np.inf)
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
