"""``presage``: its options, how errors look, and where each command lives."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from presage._version import __version__
from presage.cli.common import StoreOption
from presage.cli.fit import FitCommand, fit, validate
from presage.cli.generate import GenerateCommand, generate
from presage.cli.names import list_
from presage.cli.new import app as new_app
from presage.cli.run import RunCommand, run
from presage.cli.store import app as store_app
from presage.cli.train import TrainCommand, train
from presage.plugins import is_address

app = typer.Typer(
    name="presage",
    help="Simulators, emulators and residuals on labelled grids.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},
)
app.command(cls=RunCommand)(run)
app.command(cls=GenerateCommand)(generate)
app.command(cls=TrainCommand)(train)
app.command(cls=FitCommand)(fit)
app.command()(validate)
app.command("list")(list_)
app.add_typer(store_app, name="store")
app.add_typer(new_app, name="new")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of errors (or $PRESAGE_DEBUG=1).")
    ] = False,
) -> None:
    """Compute once, read everywhere: simulators, emulators and residuals on labelled grids."""
    if debug:
        os.environ["PRESAGE_DEBUG"] = "1"
    if version:
        typer.echo(f"presage {__version__}")
        raise typer.Exit


@app.command()
def dashboard(
    store: StoreOption = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")
    ] = 5006,
    show: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Address of a tunnel or proxy, as in the browser; may be repeated. Pages of "
            "other addresses than this and this machine's are refused.",
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="PATH", help="Path that a proxy puts before every address.")
    ] = "",
    study: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:STUDY",
            help="A study of yours whose page is shown too; may be repeated. Those of installed "
            "packages are found.",
        ),
    ] = None,
) -> None:
    """Browse grids, generated distributions and residuals."""
    from presage.cli.dashboards import load
    from presage.store import Store

    served, at, origins = load(), Path(Store(store).root).absolute(), origin or []
    try:
        served.settings(port, origins, prefix)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    served.serve(at, port, show, origins, prefix, study or [])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; errors of presage are one message and status 2."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that the terminal lacks is no error
            stream.reconfigure(errors="replace")
    if any(is_address(argument.rpartition("=")[2]) for argument in given):
        _look_here()
    try:
        app(given, prog_name="presage")
    except Exception as error:
        if os.environ.get("PRESAGE_DEBUG") or not _is_expected(error):
            raise
        typer.echo(f"error: {_message(error)}", err=True)
        sys.exit(2)


def _look_here() -> None:
    """Let Python import from the current folder, as ``python -m`` does: code was named.

    Where none was named this stays away, so that a colleague's folder is listed without running
    what lies in it. Worker processes inherit the path.
    """
    here = str(Path.cwd())
    if not sys.flags.safe_path and here not in sys.path:
        sys.path.insert(0, here)


def _is_expected(error: Exception) -> bool:
    """Return whether presage raised it on purpose, or the system refused a file or memory.

    What other libraries raise in the middle of things is a fault to be seen in full.
    """
    if isinstance(error, (OSError, MemoryError)):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    package = str(Path(__file__).resolve().parents[1])
    inside = bool(frames) and frames[-1].filename.startswith(package)
    return inside and isinstance(error, (ValueError, RuntimeError, TypeError, LookupError))


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    return str(error) or type(error).__name__
