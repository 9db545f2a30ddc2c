"""A third page, of a study that is not presage's: cleaned cubes. No script belongs to it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from dashboards.kit.arrays import Array, words
from dashboards.kit.choice import Choice
from dashboards.kit.page import Cast, Page, View, Visit
from dashboards.kit.panels import (
    Cell,
    Column,
    Line,
    Picture,
    Scale,
    Table,
    audio,
    curve,
    head,
    heatmap,
    images,
    points,
    spectrum,
    table,
)
from dashboards.kit.pieces import column, row

from presage.studies import Study

STUDY = Study("cubes", "cleaned cubes", (), producers={}, page="cube_page:PAGE")
METHODS, COLOURS = ("pca", "network", "limit"), ("#0072b2", "#009e73", "#4d4d4d")
SIDE, MODES, RATE = 12, 20, 8000


def product(skies: int = 3, channels: int = 4) -> xr.Dataset:
    """Return maps of a truth, of what two methods make of it, and what is said of them."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(skies, channels, SIDE, SIDE))
    noise = rng.normal(size=(3, *truth.shape)) * np.array([0.5, 0.2, 0.1]).reshape(3, 1, 1, 1, 1)
    level = 0.1 + 0.05 * rng.random((3, skies, channels, 3, MODES)).cumsum(axis=3)
    index, cell = ("sky", "channel"), ("y", "x")
    phase = np.arange(400) * np.arange(1, channels + 1)[:, None] / 50
    return xr.Dataset(
        {
            "truth": ((*index, *cell), truth),
            "cleaned": (("cleaner", *index, *cell), truth + noise),
            "power": (("cleaner", *index, "level", "k"), level),
            "residual": (("cleaner", *index, "level", "k"), level / level[2:, ..., 1:2, :] - 1),
            "rms": (("cleaner", *index), noise.std(axis=(3, 4))),
            "bias": (("cleaner", *index), 100 * noise.mean(axis=(3, 4))),
            "sound": (("channel", "time"), np.rint(30_000 * np.sin(phase)).astype("i2")),
            "lines": (("channel", "line"), -20.0 * rng.random((channels, 8))),
            "kind": ("line", np.arange(8) % 2),
            "frequency": ("line", np.linspace(100.0, 3000.0, 8)),
        },
        coords={"cleaner": list(METHODS), "k": np.linspace(0.01, 0.3, MODES)},
    )


def view(visit: Visit) -> View:
    """Return the page: three maps, the power, the residuals as grid and table, what is heard."""
    cubes = visit.product
    sizes = [[str(k) for k in range(cubes.sizes[dim])] for dim in ("sky", "channel")]
    choices = [
        Choice.numbered("sky", sizes[0], heading="sky", keys=("ArrowUp", "ArrowDown")),
        Choice.numbered("channel", sizes[1], heading="channel", keys=("ArrowLeft", "ArrowRight")),
        Choice.numbered("cleaner", METHODS[:2], heading="cleaner", digits=[0, 1]),
        Choice("shown", METHODS, METHODS, "power of", several=True),
    ]
    cast = Cast("cleaner", METHODS, COLOURS, base=2, several="shown", filled="limit")
    colours = {"map": Scale(-3, 3, "T", diverging=True, ticks=[-3, 0, 3])}
    maps = {
        name: Array.coded(cubes[name], "y", "x", low=-3, high=3) for name in ("truth", "cleaned")
    }
    maps["rest"] = Array.coded(cubes["cleaned"] - cubes["truth"], "y", "x", low=-3, high=3)
    edges = {"edges": [0, SIDE], "title": "angle [deg]"}
    pictures = images(
        "joint",
        [Picture(name, colours, name, bar=name == "rest") for name in ("truth", "cleaned", "rest")],
        maps, (SIDE, SIDE), [edges, edges],
    )  # fmt: skip
    arrays = {name: Array.of(cubes[name], "level", "k") for name in ("power", "residual")}
    power = curve(
        "half", [Line("power", "k", "k", "power", residual="residual")],
        {"k": Array(cubes["k"].values, ()), **arrays}, 3, cast, strip_title="strip",
    )  # fmt: skip
    rms = {"rms": Array.of(cubes["rms"])}
    where = heatmap((choices[0], choices[1]), [Column("rms")], rms, ["sky", "channel"],
                    [f"sky {s}, channel {c}" for s in sizes[0] for c in sizes[1]],
                    on=["cleaner"], value="rms")  # fmt: skip
    cells = [Cell("rms", {"cleaner": k}, best=0.0, among=[0, 1]) for k in (0, 1)]
    numbers = table(
        Table(["rms"], [{"group": "rms", "title": name} for name in ("pca", "network", "limit")],
              [{"title": "error", "cells": [*cells, Cell("rms", {"cleaner": 2}, floor=True)]}]),
        rms, floor=2,
    )  # fmt: skip
    top = head(keys=True)
    heard = {name: Array.of(cubes[name], cubes[name].dims[-1])
             for name in ("sound", "lines", "frequency", "kind")}  # fmt: skip
    player = audio("sound", heard, RATE, "tone")
    tones = spectrum("half", "frequency", "lines", heard, ((0, 3200), (-30, 0)),
                     groups=[("even", "#0072b2"), ("odd", "#d55e00")], group="kind")  # fmt: skip
    plane = points("half", "rms", "bias", {**rms, "bias": Array.of(cubes["bias"])}, cast,
                   ("rms", "bias"))  # fmt: skip
    texts = [[f"sky {s}, channel {c}" for c in sizes[1]] for s in sizes[0]]
    return View(
        choices, [where, top, pictures, power, tones, numbers, player, plane],
        row("board", column("left", where.place, numbers.place, player.place),
            column("right", top.place, pictures.place,
                   row("marginals", power.place, tones.place, plane.place))),
        [["sky", "channel", "cleaner", "shown"]], cast,
        words={"head": words(texts, "sky", "channel"), "strip": words("curve / limit − 1"),
               "file": words([[t.replace(" ", "") for t in line] for line in texts],
                             "sky", "channel"),
               "picture": words("cubes"), "foot": words("made in a test")},
        address={"page": "cubes", "key": visit.entry.key[:16]},
    )  # fmt: skip


PAGE = Page(
    "Cubes", "cubes", "cubes", "cleans cubes", view, keys=(("↑ ↓", "sky"), ("← →", "channel"))
)
