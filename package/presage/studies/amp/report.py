"""What is told of the product ``amp_aliasing``: its table, the front, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import xarray as xr

from presage.studies.amp.measures import MEASURES

#: Decibels below which aliases are not heard, with some room.
HEARD = -10.0
#: Decibels to which better values are raised before a mean is taken: of what is heard, and of
#: all else. Clean tones, at -250 dB, would rule the mean and hide those that are not.
ENOUGH, NOTHING = -40.0, -100.0


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
        columns = {}
        for name in measures or MEASURES:
            array = self.dataset[name].stack(tone=("level", "frequency"))
            short = MEASURES[name][0]
            columns[short, "mean"] = averaged(array).values
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

    def verdict(self) -> str:
        """Return a sentence for each student: what of it is good enough, and what is not."""
        return "\n".join(map(self._judged, self.students))

    @property
    def _titles(self) -> pd.Index:
        return pd.Index(self.dataset["title"].values.astype(str), name="system")

    def _judged(self, name: str) -> str:
        own = self.dataset.sel(system=name)
        mean = own[list(MEASURES)].map(averaged)
        heard = own["audible_aliases"].quantile(0.95)
        rival = averaged(self.dataset["alias_ratio"].sel(system="teacher_2x"))
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


def averaged(array: xr.DataArray) -> xr.DataArray:
    """Return the mean over tones and levels of a measure, its clean tones counted as such."""
    least = ENOUGH if str(array.name).startswith("audible") else NOTHING
    return array.clip(min=least).mean([d for d in array.dims if d != "system"])
