"""What is told of the product ``amp_aliasing``: its table, the front, a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from presage.store import Store
from presage.studies.amp.measures import MEASURES

#: Measures that are shown where there is no room for all.
SHOWN = ("alias_ratio", "audible_aliases", "harmonic_error", "mean_error")
#: Decibels below which aliases are not heard, with some room.
HEARD = -10.0
#: What a student aims at over tones and signals, decibels at most. In ASR the aim is what the
#: teacher has at twice its sample rate.
AIMS = {
    ("audible_aliases", "mean"): -15.0,
    ("audible_aliases", "p95"): HEARD,
    ("harmonic_error", "mean"): -25.0,
    ("mean_error", "mean"): -40.0,
    ("sound_error", "worst"): -20.0,
}
#: Decibels to which better values are raised before a mean is taken: of what is heard, and of
#: all else. Clean tones, at -250 dB, would rule the mean and hide those that are not.
ENOUGH, NOTHING = -40.0, -100.0


class Reached(NamedTuple):
    """A figure of a student beside what it aims at, in decibel."""

    measure: str  # the field's abbreviation
    statistic: str
    value: float
    aim: float

    def __str__(self) -> str:
        value, aim = (f"{x:{form}}".replace("-", "−") for x, form in
                      ((self.value, ".1f"), (self.aim, ".3g")))  # fmt: skip
        return f"{self.measure} {self.statistic} {value} dB (aim {aim})"


@dataclass(frozen=True, eq=False)
class Aliasing:
    """Teacher, oversampled teacher and students on the same tones and signals.

    Parameters
    ----------
    dataset
        As :func:`presage.studies.amp.compare` returns it.
    """

    dataset: xr.Dataset

    @property
    def students(self) -> list[str]:
        """Names of the students."""
        return [str(n) for n in self.dataset["system"].values if not str(n).startswith("teacher")]

    def table(self, measures: Sequence[str] = ()) -> pd.DataFrame:
        """Return mean, median, 95th percentile and worst of measures, over tones and levels.

        In decibel; of what is heard also the share of tones below -10 dB. For the mean, values
        better than -100 dB count as that, of what is heard as -40 dB.
        """
        columns: dict[tuple[str, str], Any] = {}
        for name in measures or MEASURES:
            array, short = self.dataset[name], MEASURES[name][0]
            columns |= {(short, key): found.values for key, found in statistics(array).items()}
            if name.startswith("audible"):
                below = (array < HEARD).mean(("level", "frequency")).values
                columns[short, f"below {HEARD:g} dB"] = below
        return pd.DataFrame(columns, index=self._titles)

    def sounds(self) -> pd.DataFrame:
        """Return the error on signals, against the teacher at its highest rate, in decibel."""
        error = self.dataset["sound_error"]
        return pd.DataFrame(error.values, self._titles, error["signal"].values.astype(str))

    def reached(self, student: str) -> list[Reached]:
        """Return what a student reached, beside each of :data:`AIMS` and the teacher's ASR."""
        data, found = self.dataset, []
        for (name, key), aim in AIMS.items():
            short = MEASURES[name][0] if name in MEASURES else "signals"
            value = statistics(data[name])[key].sel(system=student)
            found.append(Reached(short, key, float(value), aim))
        if "teacher_2x" in data["system"].values:
            ratio = averaged(data["alias_ratio"])
            own, rival = (float(ratio.sel(system=name)) for name in (student, "teacher_2x"))
            found.append(Reached("ASR", "mean", own, rival))
        return found

    def verdict(self) -> str:
        """Return a sentence for each student: what of it is good enough, and what is not.

        A measure is good with all its statistics.
        """
        return "\n".join(map(self._judged, self.students))

    @property
    def _titles(self) -> pd.Index:
        return pd.Index(self.dataset["title"].values.astype(str), name="system")

    def _judged(self, student: str) -> str:
        found = self.reached(student)
        short = {one.measure for one in found if not one.value <= one.aim}
        good, bad = (
            ", ".join(str(one) for one in found if (one.measure in short) is is_short)
            for is_short in (False, True)
        )
        return f"{student}: good in {good or 'nothing'}" + (f"; short of {bad}" if bad else "")


def statistics(array: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return mean, median, 95th percentile and worst over all but systems."""
    where = [dim for dim in array.dims if dim != "system"]
    return {
        "mean": averaged(array),
        "median": array.median(where),
        "p95": array.quantile(0.95, where).drop_vars("quantile"),
        "worst": array.max(where),
    }


def averaged(array: xr.DataArray) -> xr.DataArray:
    """Return the mean over tones and levels of a measure, its clean tones counted as such."""
    least = ENOUGH if str(array.name).startswith("audible") else NOTHING
    return array.clip(min=least).mean([d for d in array.dims if d != "system"])


def summary(products: Mapping[str, str], root: Path) -> str:
    """Return what a run prints: table, errors on signals and verdict on held-out tones."""
    if "aliasing" not in products:
        return "no comparison was recorded; notebook 3_aliasing makes it"
    found = Aliasing(Store(root).open(products["aliasing"]))
    tables = (found.table(SHOWN), found.sounds())
    shown = [table.to_string(float_format="{:.1f}".format) for table in tables]
    return "\n\n".join([*shown, found.verdict()])
