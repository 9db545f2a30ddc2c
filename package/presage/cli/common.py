"""Options that several commands share."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from presage.pipeline.parameters import ParameterError, coerce, kind_of, literal

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", "--output-dir", help="Folder of datasets; $PRESAGE_STORE, else ./store."
    ),
]
SizeOption = Annotated[int | None, typer.Option("-n", "--num-samples", help="Number of samples.")]
EventsOption = Annotated[
    int | None, typer.Option("--num-events", help="Events in a set, where samples are sets.")
]
RepeatOption = Annotated[int | None, typer.Option("--n-repeat", help="Sets of each sample.")]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="auto, cpu or cuda, where a simulator asks for it.")
]
RehashOption = Annotated[
    bool,
    typer.Option("--rehash", help="Read files of your own anew, even if they look unchanged."),
]
PairsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME VALUE",
        help="A parameter; may be repeated. Several values (0,1,2) are a sweep.",
    ),
]
_FLAGS = ("-p", "--parameter")


@contextmanager
def interruptible() -> Iterator[None]:
    """Say what an interruption leaves behind; status 130, as of other programs."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted; what is complete stays, the same command goes on", err=True)
        raise typer.Exit(130) from None


def dashed(arguments: Sequence[str]) -> list[str]:
    """Write the names of long options with hyphens, underscores meaning the same.

    Examples
    --------
    >>> dashed(["--num_events", "10", "--output_dir=my_store", "-p", "n_events", "5"])
    ['--num-events', '10', '--output-dir=my_store', '-p', 'n_events', '5']
    """
    written: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        is_option = name.startswith("--") and len(name) > 2
        written.append(name.replace("_", "-") + equals + value if is_option else argument)
    return written


def join_pairs(arguments: Sequence[str]) -> list[str]:
    """Rewrite ``-p name value`` as ``-p name=value``, which one option can hold.

    Raises
    ------
    ParameterError
        The value is missing.

    Examples
    --------
    >>> join_pairs(["run", "events", "-p", "seed", "0,1", "-p", "width=-2"])
    ['run', 'events', '-p', 'seed=0,1', '-p', 'width=-2']
    """
    joined: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        joined.append(argument)
        if argument not in _FLAGS:
            continue
        name = next(rest, "")
        value = None if "=" in name else next(rest, None)
        if not name or name.startswith("-") or ("=" not in name and value is None):
            raise ParameterError(f"{argument} takes a name and a value: {argument} n_events 1000")
        joined.append(name if value is None else f"{name}={value}")
    return joined


def pairs(joined: Sequence[str] | None) -> dict[str, str]:
    """Take ``name=value`` apart; no name is given twice."""
    given: dict[str, str] = {}
    for text in joined or ():
        name, value = (part.strip() for part in text.partition("=")[::2])
        if name in given:
            raise ParameterError(f"{name} is given twice: {given[name]!r} and {value!r}")
        given[name] = value
    return given


def setting(name: str, text: str, annotation: str) -> Any:
    """Return a text in the type that a field or an argument is annotated with, if it fits.

    Examples
    --------
    >>> setting("hidden", "64,64", "tuple[int, ...]")
    (64, 64)
    """
    try:
        kind = kind_of(ast.parse(annotation, mode="eval").body, name)
    except (ParameterError, SyntaxError):
        return literal(text)  # a type of its own, which checks for itself
    return _as_tuple(coerce(name, text, kind))


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
