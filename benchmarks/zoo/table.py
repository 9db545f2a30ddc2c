"""The shapes by name, and at how many labels and events they are simulated."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.zoo import counted, one, several
from benchmarks.zoo.shape import Shape

SHAPES: dict[str, type[Shape]] = {
    shape.name.removeprefix("zoo_"): shape  # type: ignore[attr-defined]
    for shape in (
        one.Bimodal, one.Exponential, one.BoundedLognormal, one.Lognormal, one.Decades,
        one.FarModes, one.Cauchy, one.Edge, one.FallingBackground, one.Angle, one.Cup, one.Share,
        one.ManyLabels, counted.Counts, counted.Spike, counted.Jets, several.Ring, several.Banana,
        several.Plane, several.Five, several.Eight,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How much is simulated.

    Parameters
    ----------
    labels
        Along each axis, those that are held out among them.
    events
        A label.
    truth
        Events of truth at a held-out label, of floor, and drawn.
    tested
        Events a side of the classifier that tells samples apart; 0 for none.
    """

    labels: int
    events: int
    truth: int
    tested: int


def layouts(shape: type[Shape], size: str) -> dict[str, Layout]:
    """Return ``sparse`` and ``dense``, of ``full`` size or smaller to be quick."""
    usual = {"sparse": (12, 500), "dense": (12, 10_000)}
    truth, tested, most = (100_000, 20_000, 10_000) if size == "full" else (20_000, 0, 1000)
    numbers = {**usual, **shape.layouts}
    return {
        name: Layout(labels, min(events, most), truth, tested)
        for name, (labels, events) in numbers.items()
    }
