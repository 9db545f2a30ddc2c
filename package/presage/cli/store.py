"""``presage store``: what is there, is it whole, in and out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from presage.cli.common import (
    RehashOption,
    SettingsCommand,
    SettingsOption,
    StoreOption,
    pairs,
)
from presage.cli.generate import source_class, source_of, source_settings
from presage.cli.listing import Order, in_order, readable, shortened, table
from presage.cli.settings import Group
from presage.hashes import forget

if TYPE_CHECKING:
    import xarray as xr

    from presage.recipe import Recipe
    from presage.simulator import Source
    from presage.store import Store

app = typer.Typer(
    help="List, check, remove, import and export datasets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_GONE = ", which is not in this store"
KeyArgument = Annotated[str, typer.Argument(help="Key, its first digits, or its name.")]


def _open(root: Path | None, make: bool = False) -> Store:
    """Return the store; one that is only read has to be there."""
    from presage.store import Store, StoreError

    held = Store(root)
    if not make and not held.root.is_dir():
        raise StoreError(
            f"there is no store at {held.root}; name it with --store or $PRESAGE_STORE, or make "
            "one: presage generate, presage run"
        )
    return held


@app.command("ls")
def list_(
    producer: Annotated[str | None, typer.Option(help="Only this producer's.")] = None,
    match: Annotated[
        str | None, typer.Option(help="Only rows with this text in name, key, state or settings.")
    ] = None,
    sort: Annotated[
        Order | None, typer.Option(help="Largest, newest, or by name; else producers by age.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """List the datasets; the last column says in what those of one producer differ."""
    from presage.labels import LabelError, nearest

    held = _open(store)
    entries = in_order(held.list(), sort)
    if not entries:
        typer.echo(f"{held.root} is empty")
        return
    producers = {entry.producer for entry in entries}
    if producer is not None and producer not in producers:
        raise LabelError(
            f"nothing of {producer!r} in {held.root}{nearest(producer, producers)}; there are "
            f"{', '.join(sorted(producers))}"
        )
    known = {entry.key for entry in entries}
    entries = [entry for entry in entries if producer in (None, entry.producer)]
    head, *rows = table(entries, held.tags(), known)
    chosen = [
        (entry, row)
        for entry, row in zip(entries, rows, strict=True)
        if match is None or match.lower() in f"{entry.key} {' '.join(row)}".lower()
    ]
    rows = [head, *(row for _, row in chosen)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    typer.echo("\n".join(lines))
    plural = "s" if len(chosen) != 1 else ""
    total = readable(sum(entry.bytes for entry, _ in chosen))
    typer.echo(f"{len(chosen)} dataset{plural}, {total} in {held.root}")


@app.command()
def tag(
    key: KeyArgument,
    name: Annotated[str, typer.Argument(help="A name, which every command takes as a key.")],
    remove: Annotated[bool, typer.Option("--remove", help="Forget the name instead.")] = False,
    store: StoreOption = None,
) -> None:
    """Give a dataset a name; a name that another one had is its own from now on."""
    held = _open(store)
    recipe = held.find(key)
    before = held.tags().get(name)
    if remove:
        held.untag(name)
    else:
        held.tag(recipe, name)
    moved = f" (before: {before[:16]})" if before not in (None, recipe.key) else ""
    typer.echo(f"{recipe.producer}/{recipe.key[:16]}  {'no longer ' * remove}{name}{moved}")


def _named(held: Store, key: str) -> str:
    """Return a dataset's producer and the beginning of its key, or that it is not there."""
    from presage.store import StoreError

    try:
        return f"{held.find(key).producer}/{key[:16]}"
    except StoreError:
        return f"{key[:16]}{_GONE}"


@app.command()
def show(key: KeyArgument, store: StoreOption = None) -> None:
    """Show a dataset: recipe, parents, what was made from it, variables."""
    held = _open(store)
    recipe = held.find(key)
    typer.echo(f"{recipe.producer} version {recipe.version}, seed {recipe.seed}\n{recipe.key}")
    for name, value in recipe.fields.items():
        typer.echo(f"  {name} = {shortened(value)}")
    for parent in recipe.parents:
        span = f" [{parent.start}:{parent.stop}]" if parent.stop else ""
        typer.echo(f"  from {_named(held, parent.key)}{span}")
    for child in held.children(recipe):
        typer.echo(f"  used by {child.producer}/{child.key[:16]}")
    info = held.describe(recipe)
    typer.echo(f"{info.kind}, {readable(info.bytes)}, {info.state}")
    if info.kind != "files":
        import xarray as xr

        with xr.set_options(display_max_rows=1000, display_width=100):  # type: ignore[no-untyped-call]
            typer.echo(str(held.open(recipe)))


@app.command()
def verify(
    key: Annotated[
        str | None, typer.Argument(help="Key; without one every dataset, or all of --simulator.")
    ] = None,
    fraction: Annotated[float, typer.Option(help="Share of the samples to simulate again.")] = 0.01,
    simulator: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:CLASS",
            help="The simulator's code, where it is of your own: no file of a store is believed.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Hash every file again, and simulate some samples again where a simulator made them."""
    held = _open(store)
    kind = source_class(simulator) if simulator else None
    names = [held.describe(key).name] if key else [
        entry.name for entry in held.list() if kind is None or entry.producer == kind.name
    ]  # fmt: skip
    faults = [problem for name in names for problem in _verify(held, name, fraction, kind)]
    if faults:
        typer.echo(f"{len(faults)} problems; presage generate makes faulty samples again", err=True)
        raise typer.Exit(1)


def _verify(held: Store, name: str, fraction: float, kind: type[Source] | None) -> Sequence[str]:
    """Check one dataset, say what came of it, and return its problems."""
    from presage.store import StoreError

    problems: Sequence[str] = []
    verdict = "hashes fit"
    try:
        recipe = held.find(name)
        problems = held.check(recipe, remember=True)
        if not problems and held.samples(recipe):
            verdict += _simulate_again(held, recipe, fraction, kind)
        origins = (_named(held, parent.key) for parent in recipe.parents)
        verdict += "".join(f"; made from {name}" for name in origins if name.endswith(_GONE))
    except StoreError as error:
        problems = [str(error)]
    typer.echo(f"{name}  {'; '.join(problems) or verdict}")
    return problems


def _simulate_again(
    held: Store, recipe: Recipe, fraction: float, kind: type[Source] | None = None
) -> str:
    """Return how many samples were simulated again and are equal, or why none were."""
    from presage.generate import verify
    from presage.labels import LabelError
    from presage.plugins import PluginError
    from presage.store.adopt import PRODUCER
    from presage.studies import producers, rebuild

    if recipe.producer == PRODUCER:
        return "; taken in as it was given, nothing to make it again from"
    if recipe.parents:
        return f"; made from {', '.join(p.key[:16] for p in recipe.parents)}, not made again"
    if fraction <= 0:
        return "; not simulated again: a fraction of 0 was asked for"
    try:
        source = rebuild(recipe, kind)
    except (PluginError, LabelError, OSError) as error:
        if kind is not None:
            raise
        yours = "; --simulator MODULE:CLASS names code of your own, which no file of a store does"
        known = recipe.producer in producers()
        return f"; not simulated again: {error}{'' if known else yours}"
    compared = verify(source, seed=recipe.seed, store=held, fraction=fraction)
    return f", {compared} samples simulated again are equal"


@app.command()
def rm(
    keys: Annotated[
        list[str],
        typer.Argument(help="Keys, their first digits, names, or folders: PRODUCER/KEY."),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Even if other datasets were made from it.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Remove datasets."""
    held = _open(store)
    for name in held.remove(*keys, force=force):
        typer.echo(f"removed {name}")


class ImportCommand(SettingsCommand):
    """``presage store import`` with the settings of its reader."""

    def groups(self, named: Sequence[str], options: Mapping[str, str]) -> Sequence[Group]:
        """Return those of the reader that was named; the first one is the file."""
        reader = options.get("--reader")
        if not reader:
            return []
        found = source_settings(reader)
        _, *settings = found.settings.values()
        return [replace(found, settings={setting.name: setting for setting in settings})]


@app.command("import", cls=ImportCommand)
def import_(
    path: Annotated[
        Path,
        typer.Argument(help=".nc, .npz, .h5, .pt, or a description .toml"),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it; the file's name.")] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            help="Dimension that counts samples: what the file says, else 'sample'; the first "
            "one of bare arrays."
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Group of a .nc or .h5 file; its only one.")
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(help="Reader that knows such files: its name, or my_package.mine:MyReader."),
    ] = None,
    parameter: SettingsOption = None,
    rehash: RehashOption = False,
    store: StoreOption = None,
) -> None:
    """Take a file into the store; its content is its identity.

    With --reader, a reader by name or address says what is in it; its settings are options too:
    presage store import --reader NAME --help lists them.
    """
    if rehash:
        forget()
    if reader is not None or path.suffix == ".toml":
        dataset = _read(reader, path, pairs(parameter), store)
        typer.echo(f"{dataset.attrs['presage_key']}  {dict(dataset.sizes)}")
        return
    from presage.exchange import read_file
    from presage.inputs import InputWarning
    from presage.labels import LabelError, nearest
    from presage.lineage import LEFT_OUT

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # it is said below, in one line
        dataset = read_file(path, sample or "sample", group)
    if LEFT_OUT in dataset.attrs:
        typer.echo(dataset.attrs[LEFT_OUT], err=True)
    if sample and sample not in dataset.dims:
        raise LabelError(
            f"{path.name} has no dimension {sample!r}{nearest(sample, map(str, dataset.dims))}"
        )
    own = sample or dataset.attrs.get("presage_sample", "sample")
    counted = own if own in dataset.dims else None
    adopted = _open(store, make=True).adopt(dataset, name or path.stem, sample=counted)
    typer.echo(f"{adopted.attrs['presage_key']}  {dict(adopted.sizes)}")


def _read(
    reader: str | None, path: Path, settings: Mapping[str, str], store: Path | None
) -> xr.Dataset:
    """Read a file into the store with the reader of this name, or as a description says."""
    from presage.generate import simulate
    from presage.simulator import Reader
    from presage.studies import StudyError

    if reader is None:
        from presage.studies.events import read_description

        return simulate(read_description(path), store=_open(store, make=True))
    if not issubclass(source_class(reader), Reader):
        raise StudyError(f"{reader} reads no files; presage generate {reader} makes its samples")
    first = next(iter(source_settings(reader).settings))
    source = source_of(reader, {first: str(path), **settings})
    return simulate(source, store=_open(store, make=True))


@app.command()
def export(
    key: KeyArgument,
    path: Annotated[Path, typer.Argument(help="Where to; the suffix says the format.")],
    start: Annotated[int, typer.Option(help="First sample.")] = 0,
    stop: Annotated[int | None, typer.Option(help="One beyond the last sample.")] = None,
    compression: Annotated[int, typer.Option(help="Zlib's level, 1 to 9; 0 for none.")] = 0,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Other name for a variable; may be repeated."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a dataset as .nc, .root, .npz, .npy, .h5 or .pt.

    Of a trained model: its weights as .safetensors, or its training history as any of these; and
    what other programs read, such as a student of the study amp as .nam or .json.
    """
    from presage.exchange import SUFFIXES, write_file
    from presage.exchange.about import check_suffix
    from presage.fitting import load
    from presage.store.files import replace
    from presage.store.netcdf import open_dataset

    held = _open(store)
    recipe = held.find(key)
    weights, history = (held.file(recipe, n) for n in ("weights.safetensors", "history.nc"))
    if weights is not None and path.suffix == weights.suffix:
        content = weights.read_bytes()
        replace(path, lambda sink: sink.write(content))
        typer.echo(str(path))
        return
    if weights is not None and path.suffix not in SUFFIXES:
        model = load(recipe, held)
        check_suffix(path, (weights.suffix, *SUFFIXES, *model.suffixes))
        typer.echo(str(model.write(path)))
        return
    if history is not None:
        with open_dataset(history) as stored:
            dataset = stored.load()
    else:
        dataset = held.open(recipe, start, stop)
    typer.echo(str(write_file(_renamed(dataset, pairs(rename)), path, compression=compression)))


def _renamed(dataset: xr.Dataset, names: Mapping[str, str]) -> xr.Dataset:
    from presage.labels import LabelError, nearest

    for old, new in names.items():
        if old not in dataset or not new or new in dataset:
            hint = nearest(old, map(str, dataset.variables)) if old not in dataset else ""
            raise LabelError(f"--rename takes OLD=NEW, a variable and a new name{hint}")
    return dataset.rename(names)
