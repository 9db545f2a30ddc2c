"""``presage train``: a model on a dataset, or a study's training from a simulator's name."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presage.cli.common import (
    DeviceOption,
    EventsOption,
    PairsOption,
    RepeatOption,
    SizeOption,
    StoreOption,
    interruptible,
    pairs,
    setting,
)
from presage.cli.generate import fill
from presage.cli.sources import build
from presage.labels import nearest
from presage.labels.errors import check_name
from presage.pipeline.parameters import ParameterError

if TYPE_CHECKING:
    import xarray as xr

    from presage.fitting import Fitted
    from presage.simulator import Source
    from presage.store import Store

#: Arguments of ``fit`` that are not settings given by name and value.
_OWN = {"model", "train", "store", "progress"}
_WAIT = 0.5  # seconds between two looks for what other processes make


def train(
    what: Annotated[
        str, typer.Argument(help="A model, for example spline_flow, or a problem: gaussian.")
    ],
    key: Annotated[
        str | None, typer.Argument(help="Of a model: key of the dataset, or its first digits.")
    ] = None,
    start: Annotated[int, typer.Option(help="Of a model: first sample.")] = 0,
    stop: Annotated[
        int | None, typer.Option(help="Of a model: one beyond the last sample.")
    ] = None,
    n: SizeOption = None,
    num_events: EventsOption = None,
    n_repeat: RepeatOption = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples of a step.")] = None,
    num_epochs: Annotated[int | None, typer.Option(help="Passes over the samples.")] = None,
    seed: Annotated[int, typer.Option(help="Of a problem: of samples and training.")] = 0,
    on_the_fly: Annotated[
        bool, typer.Option("--on-the-fly", help="Simulate while training; store no samples.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="On the fly, with new samples in every epoch.")
    ] = False,
    device: DeviceOption = None,
    parameter: PairsOption = None,
    store: StoreOption = None,
) -> None:
    """Train a model on stored samples, or what a study trains from a simulator's samples.

    presage train MODEL KEY: -p takes the model's settings (bins, hidden) and those of the
    training (epochs, seed). presage train PROBLEM --num-samples 10000: missing samples are
    made first, and -p takes settings of the simulator and of the study's training.
    On several GPUs or nodes: torchrun --nproc-per-node 4 -m presage.cli train ...
    """
    from presage.store import Store

    given, held = pairs(parameter), Store(store)
    if key is not None:
        of_problems = {"--num-samples": n, "--num-events": num_events, "--n-repeat": n_repeat,
                       "--on-the-fly": on_the_fly or None, "--fresh": fresh or None}  # fmt: skip
        own = {"batch_size": batch_size, "epochs": num_epochs, "device": device,
               "seed": seed or None}  # fmt: skip
        for option, value in of_problems.items():
            if value is not None:
                raise ParameterError(
                    f"{option} is for problems (presage train gaussian ...); a model on stored "
                    "samples takes --start, --stop and -p NAME VALUE"
                )
        said = {name: str(value) for name, value in own.items() if value is not None}
        with interruptible():
            made = _train_model(what, key, (start, stop), {**said, **given}, held)
            _say(made.key)
            _say_law(made)
        return
    options = {"n_events": num_events, "n_repeat": n_repeat, "device": device}
    names = {"batch_size": batch_size, "num_epochs": num_epochs}
    with interruptible():
        source, training = _study_training(what, given, options, names, seed)
        if n is None:
            raise ParameterError(f"how many samples of {what}? give --num-samples, e.g. 10000")
        samples = _samples(source, n, seed, held, (on_the_fly, fresh))
        done = training.fit(samples, held)
        for name, made in done._asdict().items():
            made_key = made.attrs["presage_key"] if hasattr(made, "attrs") else made.key
            _say(f"{made_key}  {name}")
            _say_law(made)


# -- a model on a dataset -------------------------------------------------------------------


def _train_model(
    model: str, key: str, span: tuple[int, int | None], given: Mapping[str, str], store: Store
) -> Fitted:
    from presage.fitting import fit
    from presage.models import MODELS
    from presage.models import model as build

    check_name("model", model, MODELS, ParameterError)
    of_model = {f.name: f.type for f in fields(MODELS[model]) if f.init}
    signature = inspect.signature(fit).parameters
    of_fit = {name: p.annotation for name, p in signature.items() if name not in _OWN}
    settings = divide(given, of_model, of_fit, model)
    samples = store.open(store.find(key), *span)
    return fit(build(model, **settings[0]), samples, store=store, **settings[1])


# -- a study's training from a simulator ----------------------------------------------------


def _study_training(
    what: str,
    given: Mapping[str, str],
    options: Mapping[str, Any],
    names: Mapping[str, int | None],
    seed: int,
) -> tuple[Source, Any]:
    """Return the simulator and the training, both with their settings."""
    from presage.models import MODELS
    from presage.studies import producer, trainer

    if what in MODELS:
        raise ParameterError(f"presage train {what} needs the key of a dataset; presage store ls")
    kind, of = trainer(what), producer(what)
    of_source = {f.name: f.type for f in fields(of) if f.init}
    of_training = {f.name: f.type for f in fields(kind) if f.init}
    own = {name: text for name, text in given.items() if name in of_source}
    rest = {name: text for name, text in given.items() if name not in of_source}
    settings = divide(rest, of_source, of_training, what)[1]
    settings.setdefault("seed", seed)
    for option, value in names.items():
        if value is not None:
            settings.setdefault(kind.options[option], value)
    return build(of, own, options), kind(**settings)


def _samples(source: Source, n: int, seed: int, store: Store, fly: tuple[bool, bool]) -> xr.Dataset:
    """Return the samples: on the fly, or stored, the missing ones made by all processes."""
    if any(fly):
        from presage.generate import on_the_fly

        return on_the_fly(source, n, seed=seed, fresh=fly[1])
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        from presage.generate import simulate_shard

        recipe = source.recipe(seed)
        simulate_shard(source, n, (rank, world), seed=seed, store=store, progress=rank == 0)
        while store.missing(recipe, n):
            time.sleep(_WAIT)
        return store.open(recipe, 0, n)
    typer.echo(fill(source, n, store, 0.0, {"seed": seed}), err=True)
    return store.open(source.recipe(seed), 0, n)


def _say(text: str) -> None:
    if int(os.environ.get("RANK", 0)) == 0:
        typer.echo(text)


def _say_law(made: Any) -> None:
    """Say on what it rests that something is called unlike the training."""
    seen = getattr(made, "seen", None)
    if seen is not None and int(os.environ.get("RANK", 0)) == 0:
        typer.echo(seen.attrs["summary"], err=True)


def divide(
    given: Mapping[str, str], model: Mapping[str, Any], training: Mapping[str, Any], name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell settings of the model from those of the training, whichever has one of that name.

    `given` is name → text; `model` and `training` are name → annotation of what each takes.

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
