"""``presage train WHAT FROM``: a model, or all that a study trains, on samples."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import presage.plugins as plugins
from presage.cli.common import (
    SettingsCommand,
    SettingsOption,
    StoreOption,
    interruptible,
    pairs,
)
from presage.cli.generate import fill
from presage.cli.settings import Group, build, divide
from presage.typed import ParameterError

if TYPE_CHECKING:
    import xarray as xr

    from presage.recipe import Recipe
    from presage.simulator import Source
    from presage.store import Store

#: Arguments of ``fit`` that are not settings given by name and value.
_OWN = {"model", "train", "store", "progress"}
_WAIT = 0.5  # seconds between two looks for what other processes make


class TrainCommand(SettingsCommand):
    """``presage train`` with the settings of what is trained and of the simulator."""

    def groups(self, named: Sequence[str], options: Mapping[str, str]) -> Sequence[Group]:
        """Return those of the model, of its training, and of the simulator."""
        if not named:
            return []
        kind = learner(named[0])
        samples = named[1] if named[1:] else _default_origin(kind)
        origin = _origin_settings(samples, _origin(samples)) if samples else []
        return [*_learner_settings(named[0], kind), *origin]


def train(
    what: Annotated[
        str,
        typer.Argument(
            help="A model (spline_flow, my_package.nets:MyModel), or a study whose whole "
            "training is meant: pdf. See presage list."
        ),
    ],
    samples: Annotated[
        str | None,
        typer.Argument(
            metavar="FROM",
            help="A dataset's key or name in the store, or a simulator's name; or the address of "
            "what gives a dataset or a source of batches: my_package.mine:pairs. Some studies "
            "know where theirs come from: sky, amp.",
        ),
    ] = None,
    stop: Annotated[
        int | None,
        typer.Option(
            "-n", "--num-samples", "--stop",
            help="How many samples, or one beyond the last; a simulator makes those that are "
            "missing first.",
        ),
    ] = None,
    start: Annotated[int, typer.Option(help="First sample.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the training and of a simulator's samples.")] = 0,
    on_the_fly: Annotated[
        bool, typer.Option("--on-the-fly", help="Simulate while training; store no samples.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="On the fly, with new samples in every epoch.")
    ] = False,
    parameter: SettingsOption = None,
    store: StoreOption = None,
) -> None:  # fmt: skip
    """Train WHAT from FROM: a model, or all that a study trains, from a dataset or a simulator.

    presage train spline_flow 3f9a21c0: a model from stored samples. presage train spline_flow
    resonance -n 100000: from a simulator's. presage train pdf mceg -n 10000 --n-events 1000: all
    that the study pdf trains.

    Settings of what is trained and of the simulator are options too: presage train WHAT FROM
    --help lists them. On several GPUs or nodes: torchrun --nproc-per-node 4 -m presage.cli train
    WHAT FROM ...
    """
    from presage.simulator import Source
    from presage.store import Store

    held, kind = Store(store), learner(what)
    samples = samples or _default_origin(kind)
    if not samples:
        raise ParameterError(
            f"train {what} from what? name a dataset of the store or a simulator: "
            f"presage train {what} NAME -n 10000"
        )
    origin = _origin(samples, held)
    groups = [*_learner_settings(what, kind), *_origin_settings(samples, origin)]
    settings = divide(pairs(parameter), groups)
    own = settings.pop() if origin is not None else {}
    if "seed" in groups[len(settings) - 1].settings:
        settings[-1].setdefault("seed", seed)
    with interruptible():
        given = None if origin is None else build(origin, own, held)
        if isinstance(given, Source):
            data = _simulated(given, (start, stop), seed, held, (on_the_fly, fresh))
        elif on_the_fly or fresh:
            raise ParameterError(f"--on-the-fly and --fresh simulate; {samples} is no simulator")
        else:
            data = given if given is not None else held.open(_stored(samples, held), start, stop)
        for name, made in _trained(what, kind, settings, data, held).items():
            _say(f"{made.attrs['presage_key'] if hasattr(made, 'attrs') else made.key}  {name}")
            _say_law(made)


# -- what is trained --------------------------------------------------------------------------


def learner(name: str) -> Any:
    """Return a model, or what a study trains as a whole: a class, or at an address an object."""
    from presage.models import MODELS
    from presage.studies import STUDIES, Study, producers, studies

    known = {**plugins.installed(plugins.STUDIES), **STUDIES, **MODELS}
    try:
        address = plugins.address_of(name, known, plugins.MODELS, "model or study")
    except plugins.PluginError as error:
        if name not in producers():
            raise
        whole = (s.name for s in studies().values() if s.trainer and name in s.producers)
        raise ParameterError(
            f"{name} is what samples come from; what is trained stands before it: presage train "
            f"{next(whole, 'spline_flow')} {name}"
        ) from error
    found = plugins.resolve(address)
    if isinstance(found, Study) and found.trainer:
        found = plugins.resolve(found.trainer)
    if isinstance(found, Study) or not is_dataclass(found):
        what = "a study that trains nothing as a whole" if isinstance(found, Study) else "no model"
        raise ParameterError(
            f"{name} is {what}; what can be trained is a dataclass of settings with prepare(train) "
            "and build(declaration), such as spline_flow, or with fit(samples, store)"
        )
    return found


def _learner_settings(name: str, kind: Any) -> list[Group]:
    """Return what a model and its training can be set to, or a study's training."""
    from presage.fitting import fit

    if hasattr(kind, "fit"):
        return [Group.of("training", name, kind)]
    training = Group.of("training", f"the training of {name}", fit, _OWN)
    return [Group.of("model", name, kind), training]


def _trained(
    name: str,
    kind: Any,
    settings: Sequence[Mapping[str, Any]],
    data: Any,
    store: Store,
) -> Mapping[str, Any]:
    """Train, and return name → what was made."""
    from presage.fitting import fit

    if hasattr(kind, "fit"):
        made: Mapping[str, Any] = build(kind, settings[0]).fit(data, store)._asdict()
        return {part: one for part, one in made.items() if one is not None}
    return {name: fit(build(kind, settings[0]), data, store=store, **settings[1])}


# -- from what --------------------------------------------------------------------------------


def _default_origin(kind: Any) -> str:
    """Return where the samples of a study's training come from, if it says so."""
    return str(getattr(kind, "origin", ""))


def _origin(name: str, store: Store | None = None) -> Any:
    """Return what a simulator's name or an address stands for; None for a dataset's name or key."""
    from presage.studies import producer

    try:
        found = producer(name)
    except plugins.PluginError:
        if plugins.is_address(name):
            raise
        return None
    if store is not None and name in store.tags():
        raise ParameterError(
            f"a simulator and a dataset are called {name}; name the dataset by its key, or the "
            f"simulator by its address, {found.__module__}:{found.__name__}"
        )
    return found


def _origin_settings(name: str, origin: Any) -> list[Group]:
    return [] if origin is None else [Group.of("simulator", name, origin, {"store"})]


def _stored(name: str, store: Store) -> Recipe:
    """Return the recipe of a dataset in the store."""
    from presage.store import StoreError
    from presage.studies import producers

    try:
        return store.find(name)
    except StoreError as error:
        close = difflib.get_close_matches(name, producers(), n=1)
        hint = f"; as a simulator, did you mean {close[0]!r}?" if close else ""
        if Path(name).exists():
            hint = f"; files are read first, which prints a key: presage store import {name}"
        raise StoreError(f"{error}{hint}") from None


def _simulated(
    source: Source, span: tuple[int, int | None], seed: int, store: Store, fly: tuple[bool, bool]
) -> xr.Dataset:
    """Return samples: on the fly, or stored, the missing ones made by all processes."""
    from presage.generate import on_the_fly, simulate_shard
    from presage.simulator import Reader

    start, n = span
    if n is None and not isinstance(source, Reader):
        raise ParameterError(f"how many samples of {source.name}? give -n, for example -n 10000")
    if any(fly):
        if start:
            raise ParameterError(f"samples on the fly are the first n; got --start {start}")
        return on_the_fly(source, n, seed=seed, fresh=fly[1])
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    recipe = source.recipe(seed)
    if world == 1:
        typer.echo(fill(source, n, store, 0.0, {"seed": seed}), err=True)
    else:
        simulate_shard(source, n, (rank, world), seed=seed, store=store, progress=rank == 0)
        while store.missing(recipe, n or 0):
            time.sleep(_WAIT)
    return store.open(recipe, start, n)


def _say(text: str) -> None:
    if int(os.environ.get("RANK", 0)) == 0:
        typer.echo(text)


def _say_law(made: Any) -> None:
    """Say on what it rests that something is called unlike the training."""
    seen = getattr(made, "seen", None)
    if seen is not None and int(os.environ.get("RANK", 0)) == 0:
        typer.echo(seen.attrs["summary"], err=True)
