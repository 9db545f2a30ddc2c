"""What each figure of merit is called on the page, what it means, and which value is best."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Merit:
    """A figure of merit in words.

    Parameters
    ----------
    short
        For tables and menus.
    meaning, formula
        One sentence, and how it is computed; F are distribution functions, r and g a bin's
        events in the reference and in the source, of m and n in all.
    best
        The value of two equal distributions; None where more is always better.
    signed
        Whether values go to both sides of the best one.
    """

    short: str
    meaning: str = ""
    formula: str = ""
    best: float | None = 0.0
    signed: bool = False

    @property
    def said(self) -> str:
        """All of it, for those who point at the name."""
        best = "more is better" if self.best is None else f"best: {self.best:g}"
        return f"{self.meaning}\n{self.formula}\n{best}".strip()


MERITS = {
    "w1_over_std": Merit(
        "W₁ / std",
        "How far events have to be moved, on average, to make one distribution the other, in "
        "standard deviations of the reference.",
        "∫ |F_source − F_reference| dx / std",
    ),
    "w1_over_sigma68": Merit(
        "W₁ / σ68",
        "The same distance in units of the peak's width, which tails do not widen.",
        "∫ |F_source − F_reference| dx / half the central 68 % interval",
    ),
    "mean_shift": Merit(
        "Δmean / std",
        "Shift of the mean of the inner 99 %, in standard deviations.",
        "(mean_source − mean_reference) / std",
        signed=True,
    ),
    "std_shift": Merit(
        "Δstd / std",
        "Relative change of the standard deviation of the inner 99 %.",
        "std_source / std_reference − 1",
        signed=True,
    ),
    "cdf_error": Merit(
        "max |ΔCDF|",
        "Largest difference of the distribution functions at quantiles of the reference.",
        "max |F_source(x_q) − q|",
    ),
    "ks": Merit(
        "KS distance",
        "Largest difference of the distribution functions anywhere.",
        "max |F_source − F_reference|",
    ),
    "beyond_range": Merit(
        "beyond range",
        "Share of the events below the lowest or above the highest of the reference.",
        "events beyond / n",
    ),
    "correlation_shift": Merit(
        "Δ correlation",
        "Change of the correlation of two variables, the outermost events left out.",
        "ρ_source − ρ_reference",
        signed=True,
    ),
    "bin_difference": Merit(
        "mean |bin diff.|",
        "Mean relative difference of the bins, weighted by events; noise is in it.",
        "mean |(g/n) / (r/m) − 1|",
    ),
    "bin_residual": Merit(
        "bin residual",
        "Relative error of the density, root mean square over the inner bins; the noise that "
        "chance gives is subtracted.",
        "√max(0, mean of ((g/n) / (r/m) − 1)² − its variance)",
    ),
    "bin_residual_outer": Merit(
        "outer-bin resid.",
        "The same in the two outermost bins.",
        "√max(0, mean of ((g/n) / (r/m) − 1)² − its variance)",
    ),
    "chi2_per_ndf": Merit(
        "χ² / ndf",
        "Two-sample chi-squared per degree of freedom; it grows with the number of events.",
        "Σ (√(n/m) r − √(m/n) g)² / (r + g) / ndf",
        best=1.0,
    ),
    "chi2_per_ndf_10k": Merit(
        "χ² / ndf at 10k",
        "Chi-squared as it would be with 10 000 events on each side.",
        "1 + (χ²/ndf − 1) · 5000 (1/n + 1/m)",
        best=1.0,
    ),
    "pull_mean": Merit(
        "mean pull",
        "Mean over bins of the difference in units of its statistical error.",
        "mean (g/n − r/m) / σ",
        signed=True,
    ),
    "pull_width": Merit(
        "rms pull",
        "Root mean square over bins of the difference in units of its statistical error.",
        "√ mean ((g/n − r/m) / σ)²",
        best=1.0,
    ),
    "equivalent_events": Merit(
        "equiv. events",
        "How many simulated events are typically as far from the truth, by Wasserstein distance.",
        "N such that N events have this W₁ by chance; at most n",
        best=None,
    ),
    "equivalent_events_cdf": Merit(
        "equiv. ev., CDF",
        "How many simulated events are typically as far from the truth, by distribution function.",
        "N such that N events have this CDF error by chance; at most n",
        best=None,
    ),
    "auc": Merit(
        "classifier AUC",
        "How well a classifier, trained to tell source and reference apart, does on new events; "
        "0.5 is guessing.",
        "area under the ROC curve",
        best=0.5,
    ),
}
