"""What the columns of the original's files of event sets mean, told from what is in them.

The system that this study replaces (katiekeegan/EventLevelPDFExtraction) wrote bare arrays.
Three ways of writing events are known, and no file says which one it is:

========== ====================================== ==========================================
kind       columns                                seen by
========== ====================================== ==========================================
raw        x, Q2, F2 as they are                  0 < x < 1
log        log(v + 1e-8) of each                  log x < 0
features   log(1 + v), sign(v) log(1 + |v|) of    their number; the first two groups are
           each; then log(1 + |v/w|), and         equal, as nothing is negative
           log(1 + v) - log(1 + w), of each pair
========== ====================================== ==========================================

Numbers stay as they are found, though log(1 + v) hides small x, and the log of an
F2 that noise made negative is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from presage.exchange.numpy_archive import NumpyFileError
from presage.labels import nearest
from presage.studies.pdf.law import Feature, Range

_GEV2 = "GeV2"
_X = Feature("x", "1", "x", 0.0, 1.0, "log")
_Q2 = Feature("Q2", _GEV2, "Q2", 0.0, scale="log")
_F2 = Feature("F2", "1", "F2")
#: What the simplified problem's later files hold: the two weighted sums of both densities.
_PAIR = (Feature("proton", "1", "4 u + d", 0.0), Feature("neutron", "1", "4 d + u", 0.0))
#: Problem → the quantities that its events may consist of.
_BASES: dict[str, tuple[tuple[Feature, ...], ...]] = {
    "gaussian": ((Feature("x"), Feature("y")),),
    "simplified_dis": ((_X, _Q2, _F2), _PAIR),
    "realistic_dis": ((_X, _Q2, _F2),),
    "mceg": ((_X, _Q2),),
}
#: Problems whose events are always raw.
_AS_DRAWN = ("gaussian",)
#: Problem → names of its parameters, and the boxes that they were drawn from, first to last.
_PRIORS: dict[str, tuple[tuple[str, ...], tuple[tuple[tuple[float, float], ...], ...]]] = {
    "gaussian": (
        ("mu_x", "mu_y", "sigma_x", "sigma_y", "rho"),
        (((-2, 2), (-2, 2), (0.5, 2), (0.5, 2), (-0.8, 0.8)),),
    ),
    "simplified_dis": (
        ("au", "bu", "ad", "bd"),
        (((0, 5), (0, 5), (0, 5), (0, 5)), ((-1, 0), (0, 5), (-1, 0), (0, 5))),
    ),
    "realistic_dis": (
        ("logA0", "delta", "a", "b", "c", "d"),
        (((-2, 2), (-1, 1), (0, 5), (0, 10), (-5, 5), (-5, 5)),),
    ),
    "mceg": (("a", "b", "c", "d"), (((-1, 10), (0, 10), (-10, 10), (-10, 10)),)),
}
#: Problems that there are files of.
ORIGINAL_PROBLEMS = tuple(_PRIORS)
#: Number of features of the third kind → of the quantities that they were made of.
GROUPS = {6: 2, 12: 3}
#: How far rounding to float32 may take a parameter beyond its box, in units of its width.
ROUNDING = 1e-6

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Extent:
    """What was seen of one file's numbers."""

    theta_low: Numbers  # extremes of the parameters, ``(P,)``
    theta_high: Numbers
    low: Numbers  # extremes of the finite values of each column of the events, ``(F,)``
    high: Numbers
    doubled: bool  # whether the first columns are repeated, as in the kind `features`


def check_problem(name: str, where: str) -> str:
    """Return a problem's name."""
    if name not in _PRIORS:
        raise NumpyFileError(f"{where}: no problem {name[:60]!r}{nearest(name[:60], _PRIORS)}")
    return name


def prior_of(
    problem: str, extent: Extent, given: Sequence[tuple[float, float]], where: str
) -> tuple[Range, ...]:
    """Return the parameters with the box that a file's were drawn from, the given one if any."""
    names, known = _PRIORS[problem]
    boxes = (tuple(given),) if given else known
    if len(extent.theta_low) != len(names) or len(boxes[0]) != len(names):
        raise NumpyFileError(
            f"{where}: {problem} has the {len(names)} parameters {', '.join(names)}; the file has "
            f"{len(extent.theta_low)}, and {len(boxes[0])} ranges are known"
        )
    for box in boxes:
        low, high = np.array(box, np.float64).T
        slack = ROUNDING * (high - low)
        if (extent.theta_low >= low - slack).all() and (extent.theta_high <= high + slack).all():
            return tuple(
                Range(name, float(a), float(b)) for name, (a, b) in zip(names, box, strict=True)
            )
    spans = zip(names, extent.theta_low, extent.theta_high, strict=True)
    raise NumpyFileError(
        f"{where}: its parameters reach "
        + ", ".join(f"{name} {low:g} to {high:g}" for name, low, high in spans)
        + f", beyond every prior that {problem} had; give prior=((low, high), ...) of its own"
    )


def features_of(
    problem: str, extent: Extent, given: Sequence[str], where: str
) -> tuple[Feature, ...]:
    """Return what the columns of the events are, by the given names if any."""
    count = len(extent.low)
    if given:
        if len(given) != count or len(set(given)) != count:
            raise NumpyFileError(
                f"{where}: events have {count} features; features= names {len(given)}, "
                f"{', '.join(given)}"
            )
        return tuple(Feature(name) for name in given)
    for base in _BASES[problem]:
        if count == len(base):
            return _plain(problem, base, extent, where)
        if problem not in _AS_DRAWN and count == len(_engineered(base)):
            if not extent.doubled:
                raise NumpyFileError(
                    f"{where}: {count} features should begin with log(1 + v) twice, and do not; "
                    "give features= with their names"
                )
            return _engineered(base)
    raise NumpyFileError(
        f"{where}: events of {problem} have {_counts(problem)} features in the original's files, "
        f"got {count}; give features= with their names"
    )


def _counts(problem: str) -> str:
    known = {len(base) for base in _BASES[problem]}
    if problem not in _AS_DRAWN:
        known |= {len(_engineered(base)) for base in _BASES[problem]}
    return " or ".join(map(str, sorted(known)))


def _plain(
    problem: str, base: tuple[Feature, ...], extent: Extent, where: str
) -> tuple[Feature, ...]:
    """Return the quantities themselves or their logarithms, whichever the values can be."""
    first, low, high = base[0], float(extent.low[0]), float(extent.high[0])
    if problem in _AS_DRAWN:
        return base
    if low > 0 and high < first.upper:
        return tuple(
            replace(f, scale="log", lower=0.0) if lowest > 0 else f
            for f, lowest in zip(base, extent.low, strict=True)
        )
    if low < 0 and (high <= 0 or first.upper > 1):
        return tuple(Feature(f"log_{f.name}", "1", f"log({f.name} + 1e-8)") for f in base)
    raise NumpyFileError(
        f"{where}: its first feature reaches from {low:g} to {high:g}, which is neither "
        f"{first.name} between {first.lower:g} and {first.upper:g} nor its logarithm; give "
        "features= with the names of all"
    )


def _engineered(base: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Return the features that the original made of these quantities, in its order."""
    names = [f.name for f in base]
    pairs = list(combinations(names, 2))
    described = {
        **{f"log1p_{v}": f"log(1 + {v})" for v in names},
        **{f"symlog_{v}": f"sign({v}) log(1 + |{v}|)" for v in names},
        **{f"log1p_{v}_over_{w}": f"log(1 + |{v} / {w}|)" for v, w in pairs},
        **{f"log1p_{v}_less_{w}": f"log(1 + {v}) - log(1 + {w})" for v, w in pairs},
    }
    return tuple(Feature(name, "1", formula) for name, formula in described.items())
