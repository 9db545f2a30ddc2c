"""Learning-rate schedules by name: factors of the learning rate as functions of the step.

A schedule is a function of (step, total) and its options, without state, so that resuming
at any step needs nothing but the step's number.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from presage.fitting.errors import FitError
from presage.labels import nearest
from presage.labels.errors import check_name

#: Factor of the learning rate at a step.
Schedule = Callable[[int], float]


def constant(step: int, total: int) -> float:  # noqa: ARG001
    """Stay at the learning rate."""
    return 1.0


def cosine(step: int, total: int, *, end: float = 0.0) -> float:
    """Fall to `end` along half a cosine (arXiv:1608.03983, without restarts)."""
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * _share(step, total)))


def one_cycle(
    step: int, total: int, *, rise: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> float:
    """Rise from `start` to 1 in the first `rise` of the steps, then fall to `end`.

    Both along half a cosine (arXiv:1708.07120); the momentum stays as it is.
    """
    t = _share(step, total)
    if t < rise:
        return start + (1.0 - start) * 0.5 * (1.0 - math.cos(math.pi * t / rise))
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * (t - rise) / (1.0 - rise)))


def polynomial_decay(
    step: int,
    total: int,
    *,
    power: float = 1.0,
    end: float = 0.1,
    steps: int | None = None,
    restart: bool = False,
    stretch: bool = False,
) -> float:
    """Fall to `end` as a power of the steps that are left.

    Parameters
    ----------
    step, total
        Step and number of steps.
    power
        1 is a straight line.
    end
        Factor that is reached.
    steps
        Length of the fall, all steps by default; `end` is kept thereafter.
    restart
        Begin anew at 1 after every `steps`.
    stretch
        After `steps`, continue on the fall that is as many times longer as needed (the
        ``cycle`` of Keras): jumps up again and again, less each time.
    """
    length = steps or max(total - 1, 1)
    if restart:
        left = 1.0 - (step % length) / length
    else:
        length *= max(1, math.ceil(step / length)) if stretch else 1
        left = 1.0 - min(step / length, 1.0)
    return end + (1.0 - end) * math.pow(left, power)


def step_decay(
    step: int, total: int, *, factor: float = 0.1, at: tuple[float, ...] = (0.5, 0.75)
) -> float:
    """Multiply by `factor` at each share `at` of the steps."""
    return float(factor ** sum(step >= share * total for share in at))


#: Name → schedule.
SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "polynomial_decay": polynomial_decay,
    "step": step_decay,
}


def check_schedule(options: Mapping[str, Any]) -> None:
    """Refuse an unknown schedule or option."""
    check_named("schedule", options, options_of(SCHEDULES))


def options_of(table: Mapping[str, Callable[..., Any]]) -> dict[str, list[str]]:
    """Return name → what each function takes by name only."""
    return {name: inspect.getfullargspec(made).kwonlyargs for name, made in table.items()}


def check_named(
    what: str, options: Mapping[str, Any], known: Mapping[str, Collection[str]]
) -> None:
    """Refuse ``{"name": ..., option: value}`` of which a name, or its option, is not `known`."""
    name = str(options.get("name"))
    check_name(what, name, known, FitError)
    for option in options:
        if option != "name" and option not in known[name]:
            hint = nearest(option, known[name])
            raise FitError(f"the {what} {name!r} has no option {option!r}{hint}")


def make_schedule(options: Mapping[str, Any], total: int, warmup: int = 0) -> Schedule:
    """Return the schedule of a run.

    Parameters
    ----------
    options
        ``{"name": ..., option: value}``.
    total
        Steps of the whole run, the warm-up included.
    warmup
        Steps over which the rate first rises in a straight line.

    Returns
    -------
    callable
        Step → factor of the learning rate.
    """
    given = dict(options)
    function = SCHEDULES[given.pop("name")]
    rest = max(total - warmup, 1)

    def factor(step: int) -> float:
        if step < warmup:
            return function(0, rest, **given) * (step + 1) / (warmup + 1)
        return function(step - warmup, rest, **given)

    return factor


def _share(step: int, total: int) -> float:
    """Return how far the run is: 0 at its first step, 1 at its last."""
    return min(step / max(total - 1, 1), 1.0)
