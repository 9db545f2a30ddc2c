"""`fit`: from a specification and a dataset to a trained model in the store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch
import xarray as xr

from presage.batches import BatchSource, Labelled, open_source
from presage.batches.plan import BLOCK_FROM
from presage.batches.source import Cut
from presage.fitting.checkpoint import Checkpoints
from presage.fitting.compiling import check_compiler
from presage.fitting.device import make_fabric, reproducible, set_aside
from presage.fitting.errors import FitError
from presage.fitting.loop import Habits, Loop, loss_name
from presage.fitting.result import (
    F,
    complete_declaration,
    fitted_kind,
    model_fields,
    origins,
    producer,
    publish,
    publish_seen,
    read,
)
from presage.fitting.settings import Settings
from presage.fitting.source import TensorBatch, Where, make_source
from presage.fitting.splitting import COMPUTED, split, training_size
from presage.fitting.state import history_dataset
from presage.fitting.streaming import OnePass, fit_one_pass
from presage.fitting.turn import turn
from presage.fitting.weighing import resampled, weighing
from presage.labels.missing import complete
from presage.lineage import attributes_of, sample_dim, take
from presage.models.fitted import Fitted, Specification, check_labels, declared_variables
from presage.models.prepared import WEIGHT
from presage.models.threads import one_thread, step_threads
from presage.plugins import declared
from presage.positions import listed
from presage.progress import Bar
from presage.recipe import Recipe
from presage.store import Store

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: How random numbers are assigned in training; part of every recipe.
_SCHEME = "fit/1"


@overload
def fit(
    model: OnePass,
    train: xr.Dataset | BatchSource,
    *,
    validation: float | tuple[int, int] | Mapping[str, Any] = 0.05,
    store: Store | None = None,
    progress: bool = True,
) -> xr.Dataset: ...


@overload
def fit(
    model: Specification[F],
    train: xr.Dataset | BatchSource,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    schedule: str | Mapping[str, Any] | None = None,
    warmup: int = 0,
    seed: int = 0,
    validation: float | tuple[int, int] | Mapping[str, Any] = 0.05,
    ema: float | None = None,
    clip: float | None = None,
    accumulate: int = 1,
    patience: int | None = None,
    keep: Literal["last", "best"] = "last",
    shuffle: Literal["auto", "full", "block", "aligned"] = "auto",
    precision: str = "32-true",
    resample: int | None = None,
    checkpoint_every: int | None = None,
    device: str = "auto",
    compile: bool = False,
    loss: str | Callable[..., torch.Tensor] | None = None,
    store: Store | None = None,
    progress: bool = True,
    logger: Any = None,
) -> F: ...


def fit(
    model: Specification[F] | OnePass,
    train: xr.Dataset | BatchSource,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    schedule: str | Mapping[str, Any] | None = None,
    warmup: int = 0,
    seed: int = 0,
    validation: float | tuple[int, int] | Mapping[str, Any] = 0.05,
    ema: float | None = None,
    clip: float | None = None,
    accumulate: int = 1,
    patience: int | None = None,
    keep: Literal["last", "best"] = "last",
    shuffle: Literal["auto", "full", "block", "aligned"] = "auto",
    precision: str = "32-true",
    resample: int | None = None,
    checkpoint_every: int | None = None,
    device: str = "auto",
    compile: bool = False,  # noqa: A002 - as torch calls it
    loss: str | Callable[..., torch.Tensor] | None = None,
    store: Store | None = None,
    progress: bool = True,
    logger: Any = None,
) -> F | xr.Dataset:
    """Train a model, or return it at once where the store has it already.

    Settings of the training that are not given are those that the model recommends for these
    data, by a method ``training(train)`` such as that of
    :func:`presage.models.training.training`, else those of :class:`Settings`; the recipe holds
    all of them, and what was chosen is said.

    Parameters
    ----------
    model
        A specification, such as ``presage.models.SplineFlow(bins=16)``. Or one of a fit in a
        single pass, such as ``presage.transforms.PCABasis("sky")``, which has no settings of the
        training but `validation`; the result is then a labelled dataset.
    train
        Labelled samples, stored ones or those of :func:`presage.generate.on_the_fly`: on the
        fly the result has the same key and the same bits as from stored samples with
        ``shuffle="aligned"``. Samples that are new in every epoch give another key. Or a
        :class:`presage.batches.BatchSource`: several pools paired at random
        (:class:`presage.batches.Paired`), or one of your own.
    epochs
        Passes over the training part. This and the next four are the model's own by default.
    batch_size
        Samples of one optimiser step, all processes together.
    learning_rate
        Its highest value; `schedule` multiplies it.
    optimizer
        ``"adam"``, ``"adamw"``, ``"sgd"``, or ``{"name": ..., option: value}``.
    schedule
        A name in :data:`SCHEDULES`, or ``{"name": ..., option: value}``.
    warmup
        Steps over which the learning rate first rises.
    seed
        Of initial weights, order of samples, dropout.
    validation
        Held-out part: a fraction of the samples, a range ``(start, stop)`` of positions, or
        ``{"fraction": ..., "seed": ...}``; 0 for none. It does not depend on `seed`. Of more
        than 2^24 samples one of every 1 / fraction consecutive ones is taken, at random. With
        ``shuffle="aligned"`` a fraction is that of the last samples. Of several pools each is
        split, and validation pairs consist of held-out members.
    ema
        Decay of the exponential moving average of the weights, which is then the result.
    clip
        Largest norm of the gradient.
    accumulate
        Parts in which a batch goes through the network, to save memory.
    patience
        Epochs without a lower validation loss after which training stops.
    keep
        Which weights are the result: the ``"last"`` or those with the ``"best"``
        validation loss.
    shuffle
        How samples that stream from the store are mixed: ``"full"``, or ``"block"`` for data
        larger than memory; ``"auto"`` is ``"block"`` from 16 GiB. ``"aligned"`` goes by the
        blocks of the simulator; samples made on the fly come in that order only, and there
        ``"auto"`` means it.
    precision
        ``"32-true"``, ``"64-true"`` or ``"bf16-mixed"``.
    resample
        Number of a bootstrap sample, any from 0 on: each event counts by a random weight of mean
        1. Several such trainings differ as trainings on other events of the same law would.
    checkpoint_every
        Steps between checkpoints, besides those at epoch edges (which are left out while
        they would take more than 2 % of the time). Needs a store.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``. Under ``torchrun`` each
        process takes its own.
    compile
        Whether torch compiles the loss first; no part of the result's identity. On two busy
        cores that took one to two minutes, after which the flows of this package did 1.3 to
        1.5 times as many events a second in batches of 1024, and 1.0 to 1.5 in batches of
        8192: something for long fits.
    loss
        Instead of the network's own: ``loss(network, batch)`` returns the loss of each sample.
        A function with a version (:func:`presage.versioned`) or ``"my_module:my_loss"``; its
        name and version stand in the recipe.
    store
        Where the result and unfinished state go; without one they stay in memory.
    progress
        Whether to show a bar.
    logger
        ``"csv"``, ``"tensorboard"``, ``"wandb"``, the same with options, or a Fabric logger.

    Returns
    -------
    Fitted
        The trained model, of the kind that the specification names: a
        :class:`~presage.models.FittedDensity` for a flow, which draws events and gives log p.
        An interrupted run goes on where it was: with the same number of processes its result is
        the same to the last bit. Where another process trains the same, its result is waited for.

    Raises
    ------
    FitError
        A setting has no meaning, data and model do not fit together, or there is nothing to
        compile with.
    NonFiniteLossError
        The loss became NaN or infinite; names epoch, step and samples.
    LabelError
        The data lack what the model was declared for, or (with a store) did not come from one.
    """
    if isinstance(model, OnePass):
        given = (epochs, batch_size, learning_rate, optimizer, schedule, ema, clip, patience, loss)
        if any(value is not None for value in given):
            raise FitError(f"{model.name} is fitted in one pass, with validation= and store= alone")
        return fit_one_pass(model, train, validation=validation, store=store, progress=progress)
    source = _source(model, train)
    settings = settings_for(
        model,
        source,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        schedule=schedule,
        warmup=warmup,
        validation=validation,
        ema=ema,
        clip=clip,
        accumulate=accumulate,
        patience=patience,
        keep=keep,
        shuffle=shuffle,
        precision=precision,
        resample=resample,
    )
    if checkpoint_every is not None and (store is None or checkpoint_every < 1):
        raise FitError(
            "checkpoint_every is a number of steps and needs a store to write to; "
            f"got {checkpoint_every} with store={store!r}"
        )
    recipe = fit_recipe(model, train, settings, seed, store, loss)
    fabric = make_fabric(device, precision, logger, f"{recipe.producer}-{recipe.key[:8]}")
    progress = progress and fabric.global_rank == 0

    def trained(checkpoints: Checkpoints | None) -> F:
        if compile:
            check_compiler()
        if progress and None in (epochs, batch_size, learning_rate):
            Bar.write(
                f"{recipe.producer}: epochs={settings.epochs}, batch_size={settings.batch_size}, "
                f"learning_rate={settings.learning_rate:g}, for {source.samples} samples",
                file=sys.stderr,
            )
        habits = Habits(checkpoints, checkpoint_every, progress, recipe.producer, compile)
        with reproducible(fabric.device, seed):
            fitted = _train(model, source, settings, recipe, fabric, habits, loss)
        seeing = store is None or fabric.global_rank == 0
        return _see(fitted, source, settings) if seeing else fitted

    if store is None:
        return trained(None)
    with turn(recipe, store, fabric, progress) as folder:
        if folder is not None:
            fitted = trained(Checkpoints(folder))
            if fabric.global_rank == 0:
                publish(fitted, store)
        elif progress:
            text = f"{recipe.producer} {recipe.key[:16]} is in the store; nothing to train"
            Bar.write(text, file=sys.stderr)
    fabric.barrier()
    return _with_seen(read(recipe, model, store), source, settings, store, fabric)


def settings_for(model: Any, train: xr.Dataset | BatchSource, **given: Any) -> Settings:
    """Return the settings of a training: those given, else what the model recommends.

    Parameters
    ----------
    model, train
        As in :func:`fit`.
    given
        Settings of :func:`fit`; None stands for one that is not given.
    """
    source = _source(model, train)
    if not source.samples:
        raise FitError("there are no samples to train on")
    recommended = model.training(source.dataset) if hasattr(model, "training") else {}
    own = {name: value for name, value in given.items() if value is not None}
    settings = {"shuffle": "auto", **recommended, **own}
    if settings["shuffle"] == "auto" and source.automatic(BLOCK_FROM) == "aligned":
        settings["shuffle"] = "aligned"  # as samples on the fly come: the same as stored ones
    chosen = Settings(**settings)
    there = training_size(source.samples, chosen.validation)
    if chosen.batch_size <= there or there < 1:
        return chosen
    if "batch_size" in own:
        raise FitError(
            f"batch_size {chosen.batch_size} is more than the {there} samples to train on; "
            f"give {max(there // 8, 1)}, say, or more samples"
        )
    return replace(chosen, batch_size=there)


def _source(model: Any, train: xr.Dataset | BatchSource) -> BatchSource:
    model_fields(model)  # a torch module has an attribute `training` as well
    if not isinstance(train, (xr.Dataset, BatchSource)):
        raise TypeError(
            "fit trains from a batch source or a labelled dataset, an xarray.Dataset, "
            f"got {type(train).__name__}; store.adopt(dataset, NAME) takes one of your own, "
            "presage.exchange.read_file a file"
        )
    return open_source(train)


def fit_recipe(
    model: Any,
    train: xr.Dataset | BatchSource,
    settings: Settings,
    seed: int,
    store: Store | None,
    loss: str | Callable[..., torch.Tensor] | None = None,
) -> Recipe:
    """Return the recipe of a training; data outside a store count by their content."""
    # A parent names samples, not columns; a model of other columns is another one.
    source = open_source(train)
    fields, parents = source.identity(origins(store), settings.epochs)
    if loss is not None:
        fields["loss"] = declared(loss, "loss")[1]
    return Recipe(
        producer=producer(model),
        version=model.version,
        fields={"model": model_fields(model), "training": settings.identity(), **fields},
        seed=seed,
        scheme=COMPUTED if source.is_long else _SCHEME,
        # What else the model was made from: a basis, an encoder, a teacher.
        parents=(*parents, *getattr(model, "parents", ())),
    )


def _train(
    model: Specification[F],
    source: BatchSource,
    settings: Settings,
    recipe: Recipe,
    fabric: Fabric,
    habits: Habits,
    loss: Any,
) -> F:
    if settings.resample is not None:
        source = resampled(source, settings.resample)
    prepared = model.prepare(source.dataset)
    said = getattr(prepared, "said", "")
    if habits.progress and said:
        Bar.write(f"{recipe.producer}: {said}", file=sys.stderr)
    kept = getattr(prepared, "kept", None)
    if kept is not None:  # samples that lack a value were left out
        if not isinstance(source, Labelled):
            raise FitError(
                f"{recipe.producer}: prepare leaves samples out (kept), which only a dataset "
                "allows; a source has to make samples that are complete"
            )
        source = open_source(take(source.dataset, kept))
    declaration = complete_declaration(prepared.declaration, source.dataset)
    check_labels(source.dataset, declaration)
    network = model.build(declaration)
    start_from: Any = getattr(network, "start_from", None)
    if start_from is not None:
        start_from(prepared.state)
    network = network.to(fabric.device, settings.dtype)
    if loss is not None:
        _take_loss(network, loss, recipe.producer)
    variables = [variable.name for variable in declared_variables(declaration)]
    where = Where(fabric.device, settings.dtype, fabric.global_rank, fabric.world_size)
    plan = settings.batch_size, recipe.seed, settings.shuffle
    arrays = prepared.arrays
    by = None if arrays is not None and WEIGHT in arrays else weighing(source)
    if by is not None and by.name in (variables if arrays is None else arrays):
        by = None  # the model counts by it itself
    batches = make_source(arrays, source, variables, _cut(settings), plan, where, by)
    few = batches.few()
    _handshake(network, few, fabric, recipe.producer)
    # Ranks begin with the same weights and go on with random numbers of their own.
    torch.manual_seed(recipe.seed + 1_000_003 * (1 + fabric.global_rank))
    loop = Loop(network, batches, settings, recipe.seed, fabric, habits)
    with step_threads(network, few, settings.batch_size):
        weights = loop.run()
    if loss is not None:
        del network.given_loss
    network = network.cpu()
    network.load_state_dict(weights)
    history = history_dataset(loop.state.history).assign_attrs(attributes_of(recipe))
    state = {name: np.asarray(array) for name, array in prepared.state.items()}
    return fitted_kind(model)(recipe, model, network.eval(), declaration, state, history)


def _with_seen(
    fitted: F, source: BatchSource, settings: Settings, store: Store, fabric: Fabric
) -> F:
    """Return a stored model with the law of its data, made now where it was trained without."""
    has_law = isinstance(source, Labelled) and type(fitted).law is not Fitted.law
    lacking = has_law and fitted.seen is None
    if not fabric.broadcast(lacking):
        return fitted
    if fabric.global_rank == 0:
        publish_seen(_see(fitted, source, settings), store)
    fabric.barrier()
    model: Specification[F] = fitted.model
    return read(fitted.recipe, model, store)


@one_thread()
def _see(fitted: F, source: BatchSource, settings: Settings) -> F:
    """Return a model with the law of what it was trained on, where its kind has one."""
    if not isinstance(source, Labelled):
        return fitted
    train = source.dataset
    if fitted.declaration.get("left_out"):
        known = declared_variables(fitted.declaration)
        there = complete({v.name: train[v.name].values for v in known}, known)
        train = train if there is None else take(train, np.flatnonzero(there))
    held_out = _cut(settings)(train.sizes[sample_dim(train)])[1]
    return replace(fitted, seen=fitted.law(train, listed(held_out)))


def _cut(settings: Settings) -> Cut:
    return partial(split, rule=settings.validation, last=settings.shuffle == "aligned")


def _take_loss(network: Any, loss: Any, name: str) -> None:
    """Let a network have a loss that is not its own, until it is trained."""
    if hasattr(network, "segment_loss"):
        raise FitError(
            f"{name}: the network trains by segments, with segment_loss, for which a loss of yours "
            "is no substitute; leave loss out"
        )
    network.given_loss = MethodType(declared(loss, "loss")[0], network)


@torch.no_grad()
def _handshake(network: Any, few: TensorBatch, fabric: Fabric, name: str) -> None:
    """Try a few samples, so that what does not fit together is said before the first epoch."""
    loss = getattr(network, loss_name(network), None)
    if not callable(loss):
        raise FitError(f"{name}: the network needs a method loss(batch), one value for each sample")
    rows = len(next(iter(few.values())))
    if WEIGHT in few and hasattr(network, "segment_loss"):
        raise FitError(
            f"{name}: the network trains by segments of a sample, which count alike; leave the "
            "weight out (train.drop_vars), or draw samples by it"
        )
    network.eval()
    with set_aside(fabric.device, 0), fabric.autocast():
        losses = loss(few)
    if tuple(losses.shape) != (rows,):
        raise FitError(
            f"{name}: loss(batch) should return the loss of each sample, shape ({rows},); "
            f"got {tuple(losses.shape)}. Leave the mean to the loop"
        )
