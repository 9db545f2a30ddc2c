"""Figures of the study: lines of a tone, measures over tones, what is heard and what is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from presage.analysis.canvas import INK, SERIES, SMALL, WIDTH, Page, Style, tidy
from presage.studies.amp.measures import MEASURES
from presage.studies.amp.report import AIMS, averaged, statistics

#: Decibels of full scale from which on a line is drawn.
LOWEST = -140.0
#: Below which nothing is heard, and nothing is missed.
_NOTHING = -60.0
_HARMONIC, _ALIAS = SERIES[0].colour, SERIES[1].colour


def tones_figure(tones: xr.Dataset) -> Page:
    """Draw the aliases that a teacher adds to its training tones, and how many harmonics are kept.

    Parameters
    ----------
    tones
        Stored samples of :class:`~presage.studies.amp.TeacherTones`.
    """
    page = Page(WIDTH, 2.9)
    left, right = page.subplots(1, 2)
    alias = 10 * np.log10(np.maximum(tones["alias"].values, 1e-20))
    level = 20 * np.log10(tones["level"].values)
    dots = left.scatter(tones["frequency"], alias, c=level, s=4, cmap="viridis", vmin=-40, vmax=0)
    bar = page.colorbar(dots, ax=left)
    bar.set_label("level [dB]", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    left.set_xscale("log")
    tidy(left, "tone [Hz]", "ASR [dB]", "aliases of the teacher over its harmonics")
    right.scatter(tones["frequency"], tones["harmonic_count"], s=4, color=_HARMONIC)
    right.set(xscale="log", yscale="log")
    tidy(right, "tone [Hz]", "harmonics", "what is stored of a tone")
    return page


def spectrum_figure(
    product: xr.Dataset, frequency: float, level: float, systems: Sequence[str] = ()
) -> Page:
    """Draw the lines of one tone through some systems: harmonics and aliases.

    Parameters
    ----------
    product
        Of :func:`presage.studies.amp.compare`.
    frequency, level
        The tone, in hertz and decibel; the nearest one there is.
    systems
        Which; by default the teacher, the teacher at its highest rate, and the last student.
    """
    names = list(systems) or _shown(product)
    tone = product.sel(frequency=frequency, level=level, method="nearest")
    page = Page(WIDTH, 0.6 + 1.5 * len(names))
    line = product["line"].values / 1000
    order = np.arange(len(line))
    harmonic = (order % int(tone["bin"]) == 0) & (order > 0)
    panels = page.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        own = tone.sel(system=name)
        values = own["spectrum"].values
        for which, colour, label in ((~harmonic & (order > 0), _ALIAS, "aliases"),
                                     (harmonic, _HARMONIC, "harmonics")):  # fmt: skip
            seen = which & (values > LOWEST)
            axes.vlines(line[seen], LOWEST, values[seen], color=colour, lw=0.8, label=label)
        ratio, heard = (_decibel(own[name], ".1f") for name in ("alias_ratio", "audible_aliases"))
        title = f"{own['title'].item()}: ASR {ratio}, NMR-S {heard}"
        tidy(axes, "frequency [kHz]" if name == names[-1] else "", "level [dB]", title)
        axes.set_ylim(LOWEST, 10)
    page.heading(f"a tone of {float(tone['frequency']):.0f} Hz at {_decibel(tone['level'])}")
    page.key_of(panels[0])
    return page


def measures_figure(
    product: xr.Dataset,
    measures: Sequence[str] = ("alias_ratio", "audible_aliases", "harmonic_error"),
) -> Page:
    """Draw measures over the tones, a row for each and a column for each level.

    Of what teachers lost of their own harmonics there is nothing to be drawn. The dotted line is
    where aliases begin to be heard.
    """
    levels = product["level"].values
    page = Page(WIDTH, 0.7 + 1.7 * len(measures))
    panels = page.subplots(len(measures), len(levels), sharex=True, sharey="row", squeeze=False)
    for row, name in zip(panels, measures, strict=True):
        of_own = name.startswith("alias") or name == "audible_aliases"
        lowest = LOWEST if name.startswith("alias") else _NOTHING
        for axes, level in zip(row, levels, strict=True):
            for system, style in styles(product).items():
                if of_own or not system.startswith("teacher"):
                    values = product[name].sel(system=system, level=level).clip(min=lowest)
                    look = {"color": style.colour, "ls": style.dash, "marker": style.marker}
                    title = values["title"].item()
                    axes.plot(product["frequency"], values, lw=1.2, ms=2.5, label=title, **look)
            if name == "audible_aliases":
                axes.axhline(0, color=INK, lw=0.6, ls=":")
            label = f"{MEASURES[name][0]} [dB]" if level == levels[0] else ""
            below = "tone [Hz]" if name == measures[-1] else ""
            tidy(axes, below, label, _decibel(level) if name == measures[0] else "")
            axes.set_xscale("log")
    page.key_of(panels[0, 0])
    return page


def front_figure(product: xr.Dataset) -> Page:
    """Draw what is heard of aliases against what is lost of harmonics, a point for each system.

    What is heard is that of the worst twentieth of the tones: of most others it is nothing.
    """
    heard = statistics(product["audible_aliases"])["p95"]
    lost = averaged(product["harmonic_error"])
    page = Page(WIDTH * 0.6, 3.1)
    axes = page.subplots()
    for system, style in styles(product).items():
        x, y = (max(float(one.sel(system=system)), _NOTHING) for one in (lost, heard))
        title = str(product["title"].sel(system=system).item())
        axes.plot(x, y, style.marker, color=style.colour, label=title, ms=6, clip_on=False)
    axes.axvline(AIMS["harmonic_error", "mean"], color=INK, lw=0.6, ls=":")
    axes.axhline(AIMS["audible_aliases", "p95"], color=INK, lw=0.6, ls=":")
    tidy(axes, "lost: HESR-T, mean [dB]", "heard: NMR-S, 95th percentile [dB]", "")
    page.key_of(axes)
    return page


def styles(product: xr.Dataset) -> dict[str, Style]:
    """Return the style of each system of a product."""
    return {str(n): SERIES[i % len(SERIES)] for i, n in enumerate(product["system"].values)}


def _shown(product: xr.Dataset) -> list[str]:
    names = [str(name) for name in product["system"].values]
    teachers = [name for name in names if name.startswith("teacher")]
    return list(dict.fromkeys([teachers[0], teachers[-1], names[-1]]))


def _decibel(value: object, form: str = "g") -> str:
    """Return a level in words, with a minus that is as wide as a plus."""
    return f"{float(value):{form}} dB".replace("-", "−")  # type: ignore[arg-type]
