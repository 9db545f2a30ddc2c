"""What is told of the product ``amp_aliasing``: its table, the front, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import xarray as xr

from presage.studies.amp.measures import MEASURES

#: Decibels below which aliases are not heard, with some room.
HEARD = -10.0


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

        In decibel; of what is heard also the share of tones below -10 dB.
        """
        columns = {}
        for name in measures or MEASURES:
            array = self.dataset[name].stack(tone=("level", "frequency"))
            short = MEASURES[name][0]
            columns[short, "mean"] = array.mean("tone").values
            columns[short, "median"] = array.median("tone").values
            columns[short, "p95"] = array.quantile(0.95, "tone").values
            columns[short, "worst"] = array.max("tone").values
            if name.startswith("audible"):
                below = (array < HEARD).mean("tone").values
                columns[short, f"below {HEARD:g} dB"] = below
        return pd.DataFrame(columns, index=self._titles)

    def sounds(self) -> pd.DataFrame:
        """Return the error on signals, against the teacher at its highest rate, in decibel."""
        error = self.dataset["sound_error"]
        return pd.DataFrame(error.values, self._titles, error["signal"].values.astype(str))

    @cached_property
    def front(self) -> xr.Dataset:
        """What is heard of aliases, beside what was lost of harmonics, the mean of each system."""
        where = ("level", "frequency")
        return self.dataset[["audible_aliases", "harmonic_error"]].mean(where, keep_attrs=True)

    def verdict(self) -> str:
        """Return a sentence for each student: what of it is good enough, and what is not."""
        return "\n".join(map(self._judged, self.students))

    @property
    def _titles(self) -> pd.Index:
        return pd.Index(self.dataset["title"].values.astype(str), name="system")

    def _judged(self, name: str) -> str:
        where = ("level", "frequency")
        own = self.dataset.sel(system=name)
        mean = own[list(MEASURES)].mean(where)
        heard = own["audible_aliases"].quantile(0.95)
        rival = self.dataset["alias_ratio"].sel(system="teacher_2x").mean()
        wanted = {
            f"NMR-S {mean['audible_aliases']:.1f} dB": mean["audible_aliases"] <= -15,
            f"p95 {heard:.1f} dB": heard <= HEARD,
            f"ASR {mean['alias_ratio'] - rival:+.1f} dB to twice the rate":
                mean["alias_ratio"] < rival,
            f"HESR-T {mean['harmonic_error']:.1f} dB": mean["harmonic_error"] <= -25,
            f"DC-T {mean['mean_error']:.1f} dB": mean["mean_error"] <= -40,
            f"signals {own['sound_error'].max():.1f} dB": own["sound_error"].max() <= -20,
        }  # fmt: skip
        good = [text for text, met in wanted.items() if bool(met)]
        bad = [text for text in wanted if text not in good]
        return f"{name}: good in {', '.join(good) or 'nothing'}" + (
            f"; short of the aim in {', '.join(bad)}" if bad else ""
        )
