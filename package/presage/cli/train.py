"""``presage train``: one model on one dataset, also under torchrun."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer

from presage.cli.common import PairsOption, StoreOption, interruptible, pairs, setting
from presage.labels import nearest
from presage.pipeline.parameters import ParameterError

#: Arguments of ``fit`` that are not settings given by name and value.
_OWN = {"model", "train", "store", "progress"}


def train(
    model: Annotated[str, typer.Argument(help="Name of a model, for example spline_flow.")],
    key: Annotated[str, typer.Argument(help="Key of the dataset, or its first digits.")],
    start: Annotated[int, typer.Option(help="First sample.")] = 0,
    stop: Annotated[int | None, typer.Option(help="One beyond the last sample.")] = None,
    parameter: PairsOption = None,
    store: StoreOption = None,
) -> None:
    """Train a model on samples of the store and print the fit's key.

    -p takes the model's settings (bins, hidden) and those of the training (epochs, seed).
    On several GPUs or nodes: torchrun --nproc-per-node 4 -m presage.cli train ...
    """
    from presage.fit import fit
    from presage.models import MODELS
    from presage.models import model as build
    from presage.store import Store

    if model not in MODELS:
        raise ParameterError(f"no model {model!r}{nearest(model, MODELS)}")
    of_model = {f.name: f.type for f in fields(MODELS[model]) if f.init}
    signature = inspect.signature(fit).parameters
    of_fit = {name: p.annotation for name, p in signature.items() if name not in _OWN}
    given = divide(dict(pairs(parameter)), of_model, of_fit, model)
    held = Store(store)
    with interruptible():
        samples = held.open(held.find(key), start, stop)
        fitted = fit(build(model, **given[0]), samples, store=held, **given[1])
    typer.echo(fitted.key)


def divide(
    given: Mapping[str, str], model: Mapping[str, Any], training: Mapping[str, Any], name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell settings of the model from those of the training.

    Parameters
    ----------
    given
        Name → text.
    model, training
        Name → annotation of what each takes.
    name
        The model's, for the error.

    Raises
    ------
    ParameterError
        Neither has a setting of this name, or its value is of another type.
    """
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for setting_name, text in given.items():
        for part, known in zip(parts, (model, training), strict=True):
            if setting_name in known:
                part[setting_name] = setting(setting_name, text, str(known[setting_name]))
                break
        else:
            raise ParameterError(
                f"neither {name} nor its training has a setting {setting_name!r}"
                f"{nearest(setting_name, {**model, **training})}"
            )
    return parts
