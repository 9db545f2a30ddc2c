"""The amp page: spectra of tones with their aliases, measures over tones, and what is heard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from dashboards.kit.arrays import Array, Fetched, words
from dashboards.kit.choice import Choice, entries_menu
from dashboards.kit.opened import checked, opened
from dashboards.kit.page import Cast, Page, Panel, View, Visit
from dashboards.kit.panels import (
    Cell,
    Line,
    Picture,
    Scale,
    Table,
    audio,
    caption,
    curve,
    head,
    images,
    keys,
    points,
    slider,
    spectrum,
    table,
)
from dashboards.kit.pieces import column, note, row
from presage.store import EntryInfo
from presage.studies.amp.measures import FLOOR, MEASURES
from presage.studies.amp.report import AIMS, HEARD, Aliasing, statistics

#: Of harmonics and of aliases, as the study's figures have them; no system has these.
_HARMONIC, _ALIAS = "#0072b2", "#d55e00"
_GREYS = ("#262626", "#808080", "#999999", "#5c5c5c")
_COLOURS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b4fa3", "#8a6d1d")
#: Lowest level of a line that is drawn, dB of full scale, and decibels that colours span.
_LOWEST, _WIDE = -120.0, 60.0
#: HESR-T at which those stand in the plane that lose even less, dB.
_NOTHING_LOST = -60.0
_WHERE = ("system", "level", "frequency")
_NEEDED = {
    **dict.fromkeys(MEASURES, _WHERE), "spectrum": (*_WHERE, "line"),
    "sound": ("system", "signal", "time"), "sound_error": ("system", "signal"),
    "title": ("system",), "bin": ("frequency",),
    **{dim: (dim,) for dim in (*_WHERE, "line", "signal", "time")},
}  # fmt: skip
_STATISTICS = ("mean", "median", "p95")
_SHOWN = ("audible_aliases", "alias_ratio", "harmonic_error", "mean_error")


@dataclass(frozen=True)
class Exhibit:
    """A product of systems that answered tones."""

    product: xr.Dataset
    verdict: str
    visit: Visit

    @cached_property
    def systems(self) -> list[str]:
        """Names of the systems, the teacher first."""
        return [str(name) for name in self.product["system"].values]

    @cached_property
    def teachers(self) -> list[int]:
        """Which of them are the teacher, at its sample rate or a higher one."""
        return [k for k, name in enumerate(self.systems) if name.startswith("teacher") or not k]

    @cached_property
    def students(self) -> list[int]:
        """Which of them are not."""
        return [k for k in range(len(self.systems)) if k not in self.teachers]

    @cached_property
    def titles(self) -> list[str]:
        """What the page calls them."""
        titles = map(str, self.product["title"].values)
        return [title.replace(", ", " ").removesuffix(" sample rate") for title in titles]

    @cached_property
    def tones(self) -> list[str]:
        """Frequencies in words."""
        return [f"{f:.0f} Hz" if f < 1000 else f"{f / 1000:.3g} kHz"
                for f in self.product["frequency"].values]  # fmt: skip

    @cached_property
    def levels(self) -> list[str]:
        """Levels in words."""
        return [f"{value:g} dB".replace("-", "−") for value in self.product["level"].values]

    @cached_property
    def spans(self) -> dict[str, tuple[float, float]]:
        """Measure → ends of its colours, the same for all systems."""
        found = {}
        for name in MEASURES:
            values = self.product[name].values
            values = values[np.isfinite(values) & (values > FLOOR)]
            high = 10.0 * math.ceil(float(values.max()) / 10) if values.size else 0.0
            found[name] = (high - _WIDE, high)
        return found

    @cached_property
    def choices(self) -> list[Choice]:
        """What can be chosen."""
        product, names, numbers = self.product, self.systems, range(len(self.systems))
        first = names[(self.students or self.teachers)[-1]]
        best = names[self.teachers[-1]]
        frequency = product["frequency"].values
        spelled = [f"{value:.6g}" for value in frequency]
        shown = list(dict.fromkeys([names[0], best, *(names[k] for k in self.students[:3])]))
        return [
            Choice("system", names, first, "system", self.titles, 128, numbers, digits=numbers),
            Choice("beside", names, names[0], "beside", self.titles, 128, numbers,
                   digits=numbers, shifted=True),
            Choice.numbered("frequency", spelled, spelled[int(np.abs(frequency - 2000).argmin())],
                            titles=self.tones, keys=("ArrowLeft", "ArrowRight")),
            Choice.numbered("level", [f"{v:g}" for v in product["level"].values],
                            f"{product['level'].values[-1]:g}", heading="level",
                            titles=self.levels, keys=("ArrowDown", "ArrowUp")),
            Choice("measure", list(MEASURES), "audible_aliases", "measure",
                   [short for short, _ in MEASURES.values()], 132, cycle="m"),
            Choice.numbered("signal", [str(name) for name in product["signal"].values],
                            heading="signal", cycle="s"),
            Choice.numbered("statistic", _STATISTICS, heading="plane", cycle="p"),
            Choice("shown", names, shown, "curves, players", self.titles, several=True,
                   colours=dict(zip(names, self.colours, strict=True))),
        ]  # fmt: skip

    @cached_property
    def colours(self) -> list[str]:
        """Of the systems: greys of the teacher, others of students."""
        teachers = [_GREYS[k % len(_GREYS)] for k in range(len(self.teachers))]
        students = [_COLOURS[k % len(_COLOURS)] for k in range(len(self.students))]
        at = dict(zip([*self.teachers, *self.students], [*teachers, *students], strict=True))
        return [at[k] for k in range(len(self.systems))]


def view(visit: Visit) -> View:
    """Return what a visit shows."""
    exhibit = Exhibit(*opened(visit.store, [visit.entry.key], _prepared), visit)
    names = exhibit.systems
    cast = Cast(
        "system", names, exhibit.colours, exhibit.titles, a="system", b="beside", overlay="shown",
        drawn=range(len(names)), dashed=[names[k] for k in exhibit.teachers[1:]],
    )  # fmt: skip
    top, legend, tone = head(), keys(), slider("frequency", "tone", "frequency of the tone")
    lines, grids, over = _spectra(exhibit, cast), _grids(exhibit), _curve(exhibit, cast)
    front, numbers, said = _front(exhibit, cast), _table(exhibit), caption("verdict", "note")
    fetched = {"sound": Fetched(("sound",), ("signal",), lambda state: _sound(exhibit, state))}
    rate = round(float(exhibit.product.attrs["sample_rate"]))
    player = audio("sound", {}, rate, cast=cast, on=["signal"], fetched=True)
    heard, what = note("All are played at the same peak level."), caption("what", "note")
    products = entries_menu("product", visit.products[::-1], visit.entry, title=_title, width=150)
    board = column(
        "whole", top.place, lines.place, what.place, grids.place, legend.place,
        row("checks", over.place, front.place, column("aside", player.place, heard)),
        numbers.place, said.place,
    )  # fmt: skip
    return View(
        exhibit.choices,
        [top, tone, lines, what, grids, legend, over, front, player, numbers, said], board,
        [[*products, "system", "beside", tone.place, "level", "measure"],
         ["shown", "signal", "statistic"]],
        cast, fetched=fetched, words=_words(exhibit),
        address={"page": "amp", "key": visit.entry.key[:16]},
    )  # fmt: skip


def _title(entry: EntryInfo) -> str:
    """Return what the menu calls a product, ``"1a2b3c student"``."""
    names = entry.recipe.fields.get("students", ()) if entry.recipe is not None else ()
    return f"{entry.key[:6]} {names[0] if names else ''}".strip()


def _prepared(product: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Return a product and what is said of its students, or say what is not as it should be."""
    product = checked(product, "answers to tones", _NEEDED)
    bins, rate = product["bin"].values, product.attrs.get("sample_rate", 0)
    if bins.dtype.kind not in "iu" or bins.min() < 1:
        raise ValueError("bin should be whole numbers from 1 on, of periods of each tone")
    if not (isinstance(rate, int | float | np.number) and 1 <= float(rate) < 1e7):
        raise ValueError(f"the attribute sample_rate should be a number of hertz, got {rate!r}")
    return product, Aliasing(product).verdict()


# -- panels ----------------------------------------------------------------------------------------


def _spectra(exhibit: Exhibit, cast: Cast) -> Panel:
    """Return the lines of the tone through two systems, harmonics and aliases apart."""
    level, line = exhibit.product["spectrum"], exhibit.product["line"]
    high = 10.0 * math.ceil(max(0.0, float(level.max())) / 10) + 5
    seen = level.where((level > _LOWEST) & (np.arange(line.size) > 0))  # without the mean
    alias = xr.DataArray(np.arange(line.size), dims="line") % exhibit.product["bin"] > 0
    arrays = {
        "line": Array((line / 1000).values, ()),
        "lines": Array.coded(seen, "line", low=_LOWEST, high=high),
        "alias": Array.of(alias.transpose("frequency", "line").astype("u1"), "line"),
    }
    return spectrum(
        "pair", "line", "lines", arrays, ((0.0, float(line[-1]) / 1000), (_LOWEST, high)), cast,
        ("frequency [kHz]", "level [dB]"), roles=("plus", "minus"), group="alias",
        groups=[("harmonics", _HARMONIC), ("aliases", _ALIAS)], said="tone",
    )  # fmt: skip


def _measures(exhibit: Exhibit) -> xr.DataArray:
    product = exhibit.product
    return xr.concat([product[name] for name in MEASURES], "measure", coords="minimal",
                     compat="override").astype("f4")  # fmt: skip


def _grids(exhibit: Exhibit) -> Panel:
    """Return the measure over all tones, of two systems on one scale."""
    scales = {
        name: Scale(low, high, ticks=np.arange(low, high + 1, 10).tolist())
        for name, (low, high) in exhibit.spans.items()
    }
    pictures = [Picture("grid", scales, "*", role, bar=role == "minus")
                for role in ("plus", "minus")]  # fmt: skip
    names = exhibit.tones, exhibit.levels
    axes = [{"edges": [-0.5, len(names[k]) - 0.5], "title": title, "names": names[k]}
            for k, title in enumerate(("tone", "level"))]  # fmt: skip
    arrays = {"grid": Array.of(_measures(exhibit), "level", "frequency")}
    shape = len(exhibit.levels), len(exhibit.tones)
    return images("low", pictures, arrays, shape, axes, "measure", ["system", "beside"],
                  ("frequency", "level"))  # fmt: skip


def _curve(exhibit: Exhibit, cast: Cast) -> Panel:
    """Return the measure over the tones of the level."""
    tone = exhibit.product["frequency"]
    arrays = {"tone": Array(tone.values, ()), "here": Array.of(tone),
              "over": Array.of(_measures(exhibit), "frequency")}  # fmt: skip
    lines = [Line(f"{short} [dB]", "tone [Hz]", "tone", "over", log=True,
                  ends=(exhibit.spans[name][0] - 20, None))
             for name, (short, _) in MEASURES.items()]  # fmt: skip
    return curve("half", lines, arrays, 1, cast, "measure", mark="here")


def _front(exhibit: Exhibit, cast: Cast) -> Panel:
    """Return what is heard of aliases beside what was lost of harmonics, a point a system."""
    lost, heard = (
        xr.concat([statistics(exhibit.product[name])[key] for key in _STATISTICS], "statistic",
                  coords="minimal", compat="override")
        for name in ("harmonic_error", "audible_aliases")
    )  # fmt: skip
    lost = lost.clip(min=_NOTHING_LOST)
    # Of those that are told apart; others are far below.
    heard = heard.clip(min=heard.isel(system=[0, *exhibit.students]).min("system") - 30)
    arrays = {"lost": Array.of(lost), "heard": Array.of(heard),
              "aim_x": _aims("harmonic_error"), "aim_y": _aims("audible_aliases")}  # fmt: skip
    titles = "HESR-T [dB]: what is lost", "NMR-S [dB]: what is heard"
    return points("half", "lost", "heard", arrays, cast, titles, ("aim_x", "aim_y"))


def _aims(name: str) -> Array:
    """Return what is aimed at in each statistic, NaN where nothing is."""
    return Array(np.array([AIMS.get((name, key), np.nan) for key in _STATISTICS]), ("statistic",))


def _table(exhibit: Exhibit) -> Panel:
    """Return statistics over all tones, and the errors on signals."""
    product, arrays, columns = exhibit.product, {}, []
    numbers: list[tuple[str, dict[str, int], str, float]] = []
    for name in _SHOWN:
        short, text = MEASURES[name]
        every = statistics(product[name])
        shown = {key: every[key] for key in _STATISTICS}
        if name == "audible_aliases":
            shown[f"< {HEARD:g} dB"] = (product[name] < HEARD).mean(("level", "frequency"))
        for title, values in shown.items():
            share = "<" in title
            arrays[f"{name} {title}"] = Array.of(values.where(values > FLOOR))
            said = f"share of tones below {HEARD:g} dB; best: 1" if share else f"{text}, {title}"
            columns.append({"group": f"{short} [dB]", "title": title.replace("-", "−"),
                            "hint": said})  # fmt: skip
            numbers.append((f"{name} {title}", {}, "ratio" if share else "tenths",
                            1.0 if share else FLOOR))  # fmt: skip
    arrays["sound_error"] = Array.of(product["sound_error"].where(product["sound_error"] > FLOOR))
    for k, name in enumerate(product["signal"].values):
        said = str(product["sound_error"].attrs.get("long_name", ""))
        columns.append({"group": "signals, ESR [dB]", "title": str(name), "hint": said})
        numbers.append(("sound_error", {"signal": k}, "tenths", FLOOR))
    rivals = exhibit.students if len(exhibit.students) > 1 else []
    rows = [
        {"title": exhibit.titles[k], "said": str(product["title"].values[k]), "mark": [k],
         "cells": [Cell(name, {"system": k, **at}, how, k in exhibit.teachers,
                        best=best if k in rivals else None, among=rivals if k in rivals else ())
                   for name, at, how, best in numbers]}
        for k in range(len(exhibit.systems))
    ]  # fmt: skip
    groups = list(dict.fromkeys(column["group"] for column in columns))
    return table(Table(groups, columns, rows), arrays, column="system", pair=False, on=["system"])


def _sound(exhibit: Exhibit, state: Mapping[str, Any]) -> dict[str, Array]:
    """Return the answers to a signal in 16 bits, all of them with the same peak."""
    sound = np.nan_to_num(exhibit.product["sound"].isel(signal=state["signal"]).values)
    peak = np.abs(sound).max(axis=1, keepdims=True)
    loud = np.rint(29_000 * sound / np.where(peak > 0, peak, 1)).astype("i2")
    return {"sound": Array(loud, ("system",))}


# -- words -----------------------------------------------------------------------------------------


def _words(exhibit: Exhibit) -> dict[str, Any]:
    product, key = exhibit.product, exhibit.visit.entry.key[:16]
    heads = [[f"{tone} at {level}" for level in exhibit.levels] for tone in exhibit.tones]
    files = [[text.replace(" ", "").replace("−", "-") for text in line] for line in heads]
    asr, nmr = product["alias_ratio"].values, product["audible_aliases"].values
    tones = [
        [[f"{title}: ASR {a:.1f} dB, NMR-S {n:.1f} dB".replace("-", "−").replace("NMR−S", "NMR-S")
          for a, n in zip(*two, strict=True)] for two in zip(*one, strict=True)]
        for title, *one in zip(exhibit.titles, asr, nmr, strict=True)
    ]  # fmt: skip
    rate, sizes = float(product.attrs["sample_rate"]) / 1000, product.sizes
    said = "<br>".join(escape(line) for line in exhibit.verdict.splitlines())
    return {
        "head": words(heads, "frequency", "level"),
        "tag": words(f"{sizes['frequency']} × {sizes['level']} tones, {rate:g} kHz"),
        "tone": words(tones, *_WHERE),
        "what": words([f'<div class="caption"><b>{short}</b>: {text}, in dB; less is better.</div>'
                       for short, text in MEASURES.values()], "measure"),
        "verdict": words(f'<div class="caption">{said}</div>'),
        "foot": words(f"presage · amp_aliasing {key}"),
        "file": words([[f"amp-{name}" for name in line] for line in files], "frequency", "level"),
    }  # fmt: skip


def _terms() -> Sequence[tuple[str, str, str]]:
    return [(short, text, _FORMULAE.get(name, "")) for name, (short, text) in MEASURES.items()]


_FORMULAE = {
    "alias_ratio": "Σ|aliases|² / Σ|harmonics|²",
    "harmonic_error": "Σ(|C_m| − |C'_m|)² / Σ|C_m|², m > 0",
    "signal_error": "Σ|y − y'|² / Σy²",
    "mean_error": "(C_0 − C'_0)² / Σy²",
    "audible_aliases": "noise / mask, against its own answer without aliases",
    "audible_error": "noise / mask, against the teacher's answer without aliases",
}

PAGE = Page(
    "Amp", "amp_aliasing", "answers to tones",
    "makes a teacher's tones, trains students without aliases and compares them", view,
    keys=(
        ("← →", "tone"),
        ("↑ ↓", "level"),
        ("click", "tone in the grid; system in the plane, with ⇧ the one beside it"),
        ("1–9", "system; with ⇧ the one beside it"),
        ("M", "measure in the grids and over the tones"),
        ("P", "statistic over all tones in the plane"),
        ("S", "signal that is heard"),
    ),
    reading="""A tone is a sine. Of what comes out, lines at multiples of its frequency are
harmonics (blue), all others are aliases (vermilion). The two systems share all scales.

Everything is in decibel, and less is better. Lines below −120 dB of full scale are not drawn; a
dash stands for nothing at all. In means, tones better than −100 dB, of what is heard better than
−40 dB, count as that. In the plane, systems that lose less than −60 dB stand there, and those far
below the others at the lower end; broken lines are what is aimed at.

Players have what is seen in colours, at the same peak level. Errors on signals are against the
teacher at its highest rate.""",
    terms=_terms,
)  # fmt: skip
