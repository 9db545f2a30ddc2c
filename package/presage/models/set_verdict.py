"""Words about sets that are unlike those of the training, and the warning of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presage.labels import Floats
from presage.labels.caller import warn_caller
from presage.models.conditional_law import ConditionalLaw
from presage.models.described_sets import AT_ONCE, Described
from presage.models.set_law import SetLaw
from presage.models.set_statistics import PLACES, in_units, names_of
from presage.rng import generator
from presage.transforms.tail import UnlikeTrainingWarning, alarming

#: Number of a set, a part of it, and how many parts it has.
_Part = tuple[int, Tensor, int]
#: Widths from which a named number is what is unlike.
_STRIKING = 4.0
_NO_LAW = (
    "unknown: this encoder was stored without the law of its training sets; fit it again with "
    "the same settings and store, which adds the law and trains nothing"
)


def judged(encoder: Any, sets: Sequence[Tensor]) -> tuple[Floats, str]:
    """Return the p-value of each set ``(E, F)``, what it rests on in words, and warn of the unlike.

    Of a trained model with ``network``, ``declaration`` and ``seen``. NaN where nothing is known or
    a set is smaller than any of the training. Of sets like those of the training one call in a
    hundred warns, see :func:`presage.transforms.tail.alarming`.
    """
    if encoder.seen is None:
        return np.full(len(sets), np.nan), _NO_LAW
    law, inputs = SetLaw(encoder.seen), encoder.declaration["inputs"]
    values, whys = np.full(len(sets), np.nan), [""] * len(sets)
    parts = [
        (number, part, of) for number, events in enumerate(sets) for part, of in _parts(events, law)
    ]
    for few in _batches(parts):
        table = Described.of(encoder.network, torch.stack([part for _, part, _ in few]))
        p, residuals, repeated = law.judge(table)
        for row, (number, _, of) in enumerate(few):
            value = min(1.0, of * float(p[row]))
            if not value >= values[number]:  # NaN as long as no part was looked at
                one = table.take(np.array([row]))
                why = _repeats(one, inputs) if repeated[row] else ""
                values[number] = value
                whys[number] = why or _why(law.law, one, residuals[row], inputs)
    _warn(values, whys)
    return values, f"counted among {law.counted} sets of each size"


def _parts(events: Tensor, law: SetLaw) -> list[tuple[Tensor, int]]:
    """Return parts of a set that have a size that the law knows, and their number.

    A set of such a size is judged as it is; so is any where sizes differ from set to set. Others
    are shuffled and judged in parts of the next smaller size, which overlap and cover all.
    """
    total, (low, high) = len(events), law.events
    if total < max(1, low) or (law.ragged and total > high):
        return []
    if law.ragged or total in law.sizes:
        return [(events, 1)]
    # Of a larger set no part is one of the largest size: that may hold what was chosen in pairs.
    known = [size for size in law.sizes if size < min(total, high)] or [high]
    size = max(known)
    rng = generator("presage.models.set_verdict", 0, total)
    shuffled, count = events[torch.from_numpy(rng.permutation(total))], -(-total // size)
    starts = np.linspace(0, total - size, count).round().astype(int)
    return [(shuffled[start : start + size], count) for start in starts]


def _batches(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Yield parts of one size, so many as are worked on at once."""
    by_size: dict[int, list[_Part]] = defaultdict(list)
    for part in parts:
        by_size[len(part[1])].append(part)
    for size, same in by_size.items():
        step = max(1, AT_ONCE // size)
        yield from (same[start : start + step] for start in range(0, len(same), step))


def _warn(values: Floats, whys: Sequence[str]) -> None:
    """Warn where some p-values are too small for their number."""
    rare = alarming(values)
    if not len(rare):
        return
    first = int(rare[0])
    which = "this set is"
    if len(values) > 1:
        which = f"{len(rare)} of {len(values)} sets are, number {first} above all,"
    warn_caller(
        f"{which} unlike any that the model was trained with (p = {values[first]:.1g}): "
        f"{whys[first]}. Its posterior means little, however narrow it is",
        UnlikeTrainingWarning,
    )


def _why(law: ConditionalLaw, one: Described, residuals: Floats, inputs: Mapping[str, Any]) -> str:
    """Say which number was never so, or else is the furthest from what such sets have."""
    names = names_of(inputs["names"])
    plain = (len(PLACES) + 1) * len(inputs["names"])
    low, high = law.bottom[: len(names)], law.top[: len(names)]
    value = one.values[0, : len(names)]
    beyond = np.maximum(low - value, value - high) / law.own[: len(names)]
    beyond[law.block[: len(names)] < 0] = -1.0
    far = np.abs(residuals[: len(names)])
    if beyond[:plain].max() > 0:  # what everybody understands comes first
        worst = int(beyond[:plain].argmax())
    elif beyond.max() > 0:
        worst = int(beyond.argmax())
    elif far.max() > _STRIKING:
        worst = int(far.argmax())
    else:
        return "what the encoder pools from it is unlike that of any training set"
    usual = law.expected(one.context)[0][0, worst]
    numbers = (value[worst], usual, low[worst], high[worst])
    (got, scale), *others = (in_units(worst, float(number), inputs) for number in numbers)
    about, least, most = (number for number, _ in others)
    name = names[worst]
    if scale != "linear":
        name = name.replace("spread of ", f"spread of the {scale} of ")
    such = "" if beyond[worst] > 0 else f"about {about:.4g} in sets like it, "
    return f"the {name} is {got:.4g}; {such}{least:.4g} to {most:.4g} in all of the training"


def _repeats(one: Described, inputs: Mapping[str, Any]) -> str:
    events, *counts = one.repeated[0].tolist()
    if events:
        return f"{events} of {one.sizes[0]} events are repeats of others"
    worst = int(np.argmax(counts))
    return f"{counts[worst]} values of {inputs['names'][worst]} are repeats of others"
