"""``presage generate``: samples of one or more simulators."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presage.cli.common import (
    RehashOption,
    SettingsCommand,
    SettingsOption,
    SizeOption,
    StoreOption,
    interruptible,
    pairs,
)
from presage.cli.settings import Group, build, divide
from presage.extras import extra
from presage.hashes import forget
from presage.progress import CLOCK, Bar
from presage.typed import ParameterError

if TYPE_CHECKING:
    from presage.simulator import Source
    from presage.store import Store


class GenerateCommand(SettingsCommand):
    """``presage generate`` with the settings of its simulators."""

    def groups(self, named: Sequence[str], options: Mapping[str, str]) -> Sequence[Group]:
        """Return those of each."""
        return [source_settings(name) for name in named]


def source_settings(name: str) -> Group:
    """Return what a simulator or reader can be set to."""
    from presage.studies import producer

    return Group.of("simulator", name, producer(name))


def source_class(name: str) -> type[Source]:
    """Return the class of a simulator or reader."""
    from presage.simulator import Source
    from presage.studies import StudyError, producer

    found = producer(name)
    kind = found if isinstance(found, type) else type(found)
    if not issubclass(kind, Source):
        raise StudyError(f"{name} is not a simulator or reader")
    return kind


def source_of(name: str, given: Mapping[str, str]) -> Source:
    """Build a simulator or reader by name or address from text."""
    from presage.simulator import Source
    from presage.studies import StudyError, producer

    built = build(producer(name), divide(given, [source_settings(name)])[0])
    if not isinstance(built, Source):
        raise StudyError(f"{name} is not a simulator or reader but {type(built).__name__}")
    return built


def generate(
    simulators: Annotated[
        list[str],
        typer.Argument(
            help="Names of simulators (presage list), or addresses: my_package.toys:MySimulator."
        ),
    ],
    n: SizeOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    parameter: SettingsOption = None,
    store: StoreOption = None,
    verify: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Share of what was found to simulate again and compare; 0: none."
        ),
    ] = 0.01,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    dask: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, or 'local'.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="I/N: one of N jobs' part, from 0/N on, for array jobs.")
    ] = None,
    rehash: RehashOption = False,
) -> None:
    """Make samples, only those that the store lacks, and print each dataset's key.

    What was there before is checked: its hashes, and a share of it is simulated again. The
    simulator's settings are options too: presage generate SIMULATOR --help lists them.
    """
    from presage.generate import simulate_shard
    from presage.simulator import Simulator
    from presage.store import Store

    if rehash:
        forget()
    if not 0 <= verify <= 1:
        raise ParameterError(f"--verify takes a share between 0 and 1, got {verify:g}")
    with Bar(desc="loading", bar_format=CLOCK, leave=False):
        sources = [source_of(name, pairs(parameter)) for name in simulators]
    for source in sources:
        if n is None and isinstance(source, Simulator) and source.length is None:
            raise ParameterError(
                f"how many samples of {source.name}? give -n, for example: "
                f"presage generate {source.name} -n 10000"
            )
    part = _shard(shard)
    held = Store(store)
    with interruptible(), _executor(dask) as executor:
        how: dict[str, Any] = {"seed": seed, "workers": workers, "executor": executor}
        for source in sources:
            if part is None:
                typer.echo(fill(source, n, held, verify, how))
            else:
                made = simulate_shard(source, n, part, store=held, **how)
                key = source.recipe(seed).key
                typer.echo(f"{key}  made {made} samples, job {part[0]}/{part[1]}")


def fill(source: Source, n: int | None, store: Store, verify: float, how: dict[str, Any]) -> str:
    """Make what is missing, look at what was there, and say in one line what came of it.

    `verify` is the share of the samples found that is simulated again, and `how` the seed, workers
    and executor of :func:`presage.generate.simulate`.
    """
    from presage.generate import simulate
    from presage.generate import verify as simulate_again
    from presage.simulator import Simulator

    recipe, simulated = source.recipe(how["seed"]), isinstance(source, Simulator)
    there = store.samples(recipe)
    missing = store.missing(recipe, n or source.length or 0) if simulated else []
    dataset = simulate(source, n, store=store, **how)
    total = dataset.sizes[source.schema.sample]
    made = sum(stop - start for start, stop in missing) if simulated else max(0, total - there)
    said = [f"{total - made} samples found", f"{made} made"]
    there = min(there, total)
    if there and verify and simulated:
        compared = simulate_again(source, there, seed=recipe.seed, store=store, fraction=verify)
        said.insert(1, f"{compared} of them simulated again and equal")
    return (
        f"{dataset.attrs['presage_key']}  {source.name}  {dict(dataset.sizes)}  {', '.join(said)}"
    )


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
    with extra("dask", "--dask"):
        from distributed import Client
    local = {"n_workers": os.cpu_count(), "threads_per_worker": 1, "dashboard_address": None}
    client_of: Any = Client  # its arguments have no types
    try:
        client = client_of(**local) if dask == "local" else client_of(dask, timeout="20s")
    except (OSError, ValueError) as error:
        raise ParameterError(f"no dask scheduler answers at {dask!r}: {error}") from None
    with client:
        yield client.get_executor()
