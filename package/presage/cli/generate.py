"""``presage generate``: samples of one simulator."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presage.cli.common import PairsOption, StoreOption, interruptible, pairs, setting
from presage.labels import nearest
from presage.pipeline.parameters import ParameterError

if TYPE_CHECKING:
    from presage.simulator import Source


def generate(
    simulator: Annotated[str, typer.Argument(help="Name of a simulator, for example resonance.")],
    n: Annotated[int | None, typer.Option("-n", help="Number of samples.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    parameter: PairsOption = None,
    store: StoreOption = None,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    dask: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, or 'local'.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="I/N: one of N jobs' part, from 0/N on, for array jobs.")
    ] = None,
) -> None:
    """Make samples, only those that the store lacks, and print the dataset's key."""
    from presage.generate import simulate, simulate_shard
    from presage.store import Store
    from presage.studies import producer, producers

    try:
        kind = producer(simulator)
    except ValueError:
        kind = _by_name(simulator, producers())
    source = build(kind, pairs(parameter))
    part = _shard(shard)
    with interruptible(), _executor(dask) as executor:
        where: dict[str, Any] = {
            "seed": seed, "store": Store(store), "workers": workers, "executor": executor
        }  # fmt: skip
        if part is not None:
            made = simulate_shard(source, n, part, **where)
            typer.echo(f"{source.recipe(seed).key}  made {made} samples, job {shard}")
            return
        dataset = simulate(source, n, **where)
    typer.echo(f"{dataset.attrs['presage_key']}  {dict(dataset.sizes)}")


def _by_name(name: str, known: dict[str, str]) -> Any:
    """Find a producer whose class is called so."""
    from presage.studies import StudyError, resolve

    for address in known.values():
        if address.rpartition(":")[2].lower() == name.lower():
            return resolve(address)
    raise StudyError(f"no study has a simulator {name!r}{nearest(name, known)}")


def build(kind: Any, given: Sequence[tuple[str, str]]) -> Source:
    """Build a simulator from text, checked against the types of its fields.

    Raises
    ------
    ParameterError
        No such field, or a value of another type.
    """
    if not isinstance(kind, type) or not hasattr(kind, "schema"):
        raise ParameterError(f"{getattr(kind, 'name', kind)} is not a simulator")
    types = {f.name: f.type for f in fields(kind) if f.init}
    settings: dict[str, Any] = {}
    for name, text in given:
        if name not in types:
            raise ParameterError(f"{kind.__name__} has no setting {name!r}{nearest(name, types)}")
        settings[name] = setting(name, text, str(types[name]))
    try:
        built: Source = kind(**settings)
    except TypeError as error:
        raise ParameterError(f"{kind.__name__}: {error}") from None
    return built


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit()):
        raise ParameterError(f"--shard takes I/N, for example 0/8, got {text!r}")
    return int(index), int(count)


@contextmanager
def _executor(dask: str | None) -> Iterator[Executor | None]:
    """Give dask's executor; None leaves it to `workers`."""
    if dask is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise ParameterError("--dask needs: pip install distributed") from None
    local = {"n_workers": os.cpu_count(), "threads_per_worker": 1}
    client_of: Any = Client  # its arguments have no types
    with client_of(**local) if dask == "local" else client_of(dask) as client:
        yield client.get_executor()
