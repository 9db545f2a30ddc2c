"""Tables and verdicts from a residuals product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from presage.analysis.diagnosis import cause
from presage.analysis.judging import (
    CONTESTS,
    W1_BAR,
    against_rivals,
    best_rival,
    contests,
    judged,
    model_of,
    rivals_of,
    within_bar,
    worst_distance,
)
from presage.analysis.metrics import SIZES
from presage.labels import LabelError, Variable

_Rows = dict[tuple[str, str], dict[tuple[str, str], float]]


def parameters_of(product: xr.Dataset, dim: str = "label") -> list[str]:
    """Return the names of the parameters of labels, which stand along `dim`."""
    return [
        str(name)
        for name, array in product.variables.items()
        if array.dims == (dim,) and array.attrs.get("role") == "parameter"
    ]


def title_of(product: xr.Dataset, label: int, *, long: bool = False) -> str:
    """Return ``"phi_label = 2464 GeV, omega_label = 5.125 GeV"``, or with the long names."""
    parts = []
    for name in parameters_of(product):
        about = Variable.of(product[name], sample="label")
        unit = "" if about.unit == "1" else f" {about.unit}"
        called = (about.long_name if long else "") or name
        parts.append(f"{called} = {float(product[name][label]):.5g}{unit}")
    return ", ".join(parts)


def label_number(product: xr.Dataset, label: int | Sequence[float] | None) -> int:
    """Return a label's position from its number, its values, or the worst held-out one."""
    table = np.stack([product[name].values for name in parameters_of(product)], axis=1)
    if label is None:
        return worst_label(product)
    if isinstance(label, (int, np.integer)):
        if not 0 <= label < len(table):
            raise LabelError(f"labels are numbered 0 to {len(table) - 1}, got {label}")
        return int(label)
    wanted = np.asarray(label, dtype=float)
    if wanted.shape != table.shape[1:]:
        raise LabelError(f"a label is ({', '.join(parameters_of(product))}), got {tuple(wanted)}")
    width = np.where(np.ptp(table, axis=0) > 0, np.ptp(table, axis=0), 1.0)
    closest = int((np.abs(table - wanted) / width).sum(axis=1).argmin())
    if not (np.float32(table[closest]) == np.float32(wanted)).all():
        raise LabelError(
            f"no label {tuple(map(float, wanted))}; the closest is {title_of(product, closest)}"
        )
    return closest


def worst_label(product: xr.Dataset) -> int:
    """Return the held-out label where the model's W1/std is largest."""
    distance = product["w1_over_std"].sel(source=model_of(product)).max("variable")
    distance = distance.where(product["held_out"]).fillna(-1.0)
    return int(distance.argmax("label"))


def table(product: xr.Dataset, labels: Literal["held_out", "all"] = "held_out") -> pd.DataFrame:
    """Return one row per label: W1/std by source and variable, AUC, KS, tail, size and verdict.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.residuals.compare`.
    labels
        The held-out ones, or all.
    """
    if labels not in ("held_out", "all"):
        raise LabelError(f"labels is 'held_out' or 'all', got {labels!r}")
    model = model_of(product)
    columns: dict[str, Any] = {name: product[name].values for name in parameters_of(product)}
    columns["region"] = product["region"].values
    for variable in product["variable"].values:
        for source in judged(product):
            chosen = product["w1_over_std"].sel(source=source, variable=variable)
            columns[f"W1/std {variable} {source}"] = chosen.values
    columns[f"AUC {model}"] = product["auc"].sel(source=model).values
    for metric, title in (("ks", "KS"), ("beyond_range", "beyond range")):
        if metric in product:
            columns[f"{title} {model}"] = worst_distance(product, model, metric)
    columns["equivalent events"] = (
        product["equivalent_events"].sel(source=model).min("variable").values.round()
    )
    columns["times floor"] = (
        worst_distance(product, model) / worst_distance(product, "floor")
    ).round(1)
    columns["best rival"] = best_rival(product)
    columns["against rivals"] = against_rivals(product)
    columns["within 1 %"] = within_bar(product)
    frame = pd.DataFrame(columns, index=pd.Index(product["label"].values, name="label"))
    return frame[product["held_out"].values] if labels == "held_out" else frame


def held_out(product: xr.Dataset) -> xr.Dataset:
    """Return the product at the held-out labels, of which there has to be one."""
    held = product.isel(label=np.flatnonzero(product["held_out"].values))
    if not held.sizes["label"]:
        raise LabelError("no label was held out: give compare held_out_labels or trained_labels")
    return held


def _frame(rows: _Rows, index: list[str], columns: list[str]) -> pd.DataFrame:
    """Return rows as a table with two names for each row and column."""
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(frame.index, names=index)
    frame.columns = pd.MultiIndex.from_tuples(frame.columns, names=columns)
    return frame


def verdict(product: xr.Dataset) -> str:
    """Say whether the model beats the rival, how far it is from the floor and the bar."""
    model, held = model_of(product), product["held_out"].values
    if not held.any():
        return f"No label was held out: nothing can be said about {model}'s interpolation."
    ours, floor = worst_distance(product, model)[held], worst_distance(product, "floor")[held]
    text = (
        f"{model} at {len(ours)} held-out labels: W1/std median {np.median(ours):.4f}, "
        f"worst {ours.max():.4f} (floor {np.median(floor):.4f}); "
        f"within 1 % at {int(within_bar(product)[held].sum())} of {len(ours)}{_untold(product)}."
        + _worth(product, model, held)
    )
    told = _tail(product, model, held) + _contest(product, model, held)
    return text + told + _worst(product, model, held)


def _tail(product: xr.Dataset, model: str, held: NDArray[np.bool_]) -> str:
    """Say how many events lie where the reference has none, if clearly more than by chance."""
    if "beyond_range" not in product:
        return ""
    shares = product["beyond_range"].isel(label=np.flatnonzero(held)).mean(("label", "variable"))
    found, floor = (float(shares.sel(source=source)) for source in (model, "floor"))
    events = float(product["events"].sel(source=model).values[held].sum())
    if found <= 2 * floor + 3 * np.sqrt(max(floor, 1 / events) / events):
        return ""
    return (
        f" {found:.1e} of a variable's events lie beyond the reference's range (floor {floor:.1e})."
    )


def _untold(product: xr.Dataset) -> str:
    """Say at how many held-out labels the AUC is unknown, which are then not within 1 %."""
    auc = product["auc"].sel(source=model_of(product)).values[product["held_out"].values]
    unknown = int(np.isnan(auc).sum())
    return f" (AUC not measured at {unknown})" if unknown else ""


def _worst(product: xr.Dataset, model: str, held: NDArray[np.bool_]) -> str:
    """Name the cause at the held-out label that is farthest from the bar, if one is beyond it."""
    at = worst_label(product)
    if (
        worst_distance(product, model)[at] <= W1_BAR
        and not (against_rivals(product)[held] == "worse").any()
    ):
        return ""
    why = cause(product, at)
    return f" Worst at {title_of(product, at)}: {why}." if why else ""


def _contest(product: xr.Dataset, model: str, held: NDArray[np.bool_]) -> str:
    """Say how the model fares against the best rival of each label, and against each alone."""
    rivals = rivals_of(product)
    if not rivals:
        return " No rival was drawn: give the training events to compare with morphing."
    outcome = against_rivals(product)[held].tolist()
    count = {word: outcome.count(word) for word in ("better", "level", "mixed", "worse")}
    medians = ", ".join(f"{r} {np.median(worst_distance(product, r)[held]):.4f}" for r in rivals)
    text = (
        f" Against the best rival of each label (medians: {medians}): "
        + ", ".join(f"{word} at {number}" for word, number in count.items() if number)
        + _losses(product, held)
        + "."
    )
    if count["worse"] and count["better"] <= count["worse"]:
        winner = min(rivals, key=lambda r: float(np.median(worst_distance(product, r)[held])))
        return f"{text} {model} does not beat {winner}: its training is not worth it yet."
    if count["level"] == len(outcome):
        events = int(np.median(product["events"].sel(source="reference").values[held]))
        return f"{text} {_round(events)} reference events a label cannot tell them apart."
    return text


def _losses(product: xr.Dataset, held: NDArray[np.bool_]) -> str:
    """Say in what, and at how many labels, the best rival is closer."""
    found = {CONTESTS[m]: int((sign[held] < 0).sum()) for m, sign in contests(product).items()}
    lost = [f"{what} at {number}" for what, number in found.items() if number]
    return f" (worse in {', in '.join(lost)})" if lost else ""


def equivalent(product: xr.Dataset) -> pd.DataFrame:
    """Return how many simulated events a label each source is worth, by region.

    Rows are sources and regions of the held-out labels (``all`` last), columns the median
    over labels and variables, the 16 and 84 % points of that median when labels are drawn
    again (the bootstrap), and the worst; by W1 and by CDF error. The floor's row says what
    can be told at most: the smaller of the generated and the reference sample.
    """
    held = held_out(product)
    region = held["region"].values
    rows: _Rows = {}
    for source in judged(product):
        for place in [*dict.fromkeys(region.tolist()), "all"]:
            chosen = np.flatnonzero((region == place) | (place == "all"))
            row = rows.setdefault((source, place), {})
            for name in (n for n in SIZES if n in held):
                values = held[name].sel(source=source).transpose("label", "variable").values
                row |= {(SIZES[name], k): v for k, v in _median(values[chosen]).items()}
    return _frame(rows, ["source", "region"], ["by", "events"]).round()


def _median(sizes: NDArray[np.float64]) -> dict[str, float]:
    """Median of ``[label, variable]``, its scatter over labels, and the least."""
    rng = np.random.Generator(np.random.Philox(0))
    again = rng.integers(len(sizes), size=(400, len(sizes)))
    medians = np.nanmedian(sizes[again].reshape(400, -1), axis=1)
    low, high = np.quantile(medians, (0.16, 0.84))
    middle = float(np.nanmedian(sizes))
    return {"median": middle, "16 %": low, "84 %": high, "worst": float(np.nanmin(sizes))}


def _worth(product: xr.Dataset, model: str, held: NDArray[np.bool_]) -> str:
    """Say how many simulated events the model is worth, and whether it breaks a bound."""
    sizes = product["equivalent_events"].sel(source=model).transpose("label", "variable")
    found = _median(sizes.values[held])
    caps = np.minimum(*(product["events"].sel(source=s).values[held] for s in ("reference", model)))
    least = "at least " if found["median"] >= np.median(caps) else ""  # more cannot be told
    text = (
        f" In W1 it is worth {least}{_round(found['median'])} simulated events a label (median, "
        f"{_round(found['16 %'])} to {_round(found['84 %'])} by chance of the labels; worst "
        f"{_round(found['worst'])}"
    )
    if "equivalent_events_cdf" in product:
        by_cdf = product["equivalent_events_cdf"].sel(source=model).values[held]
        text += f"; in CDF error {_round(float(np.nanmedian(by_cdf)))}"
    text += ")."
    beyond = sum(
        int(product[name].sel(source=model).values[held].sum())
        for name in ("below_bound", "above_bound")
    )
    return text + (f" {beyond} events lie beyond a physical bound." if beyond else "")


def _round(number: float) -> str:
    """Two significant digits, thousands apart."""
    digits = 1 - int(np.floor(np.log10(max(number, 1.0))))
    return f"{int(round(number, digits)):,}".replace(",", " ")
