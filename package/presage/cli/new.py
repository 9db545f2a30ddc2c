"""``presage new study NAME``: a package with a study that runs, to be made one's own."""

from __future__ import annotations

import keyword
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from presage.typed import ParameterError

app = typer.Typer(help="Begin something of your own.", no_args_is_help=True, rich_markup_mode=None)
#: What stands in the templates for the name, and templates that are called otherwise.
_NAME = "STUDY_NAME"
_CALLED = {"package": _NAME, "gitignore.in": ".gitignore", "test_study.py.in": f"test_{_NAME}.py"}


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="A name that Python can import, such as decays.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where it goes; by default a new folder of that name.")
    ] = None,
) -> None:
    """Write a study that runs: simulator, measurement, two notebooks, tests."""
    target = folder or Path(name)
    for line in write_study(name, target):
        typer.echo(line)
    typer.echo(
        f"\nIt runs as it is; put yours in its place. To begin with:\n"
        f"  cd {target}\n  pip install -e .\n  presage run {name} --preset tiny\n"
        f"  python -m pytest\nWithout installing it: presage run {name}:STUDY --preset tiny"
    )


def write_study(name: str, target: Path) -> list[Path]:
    """Write a study's files and return where they are."""
    from presage.plugins import STUDIES as GROUP
    from presage.plugins import installed
    from presage.studies import STUDIES

    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise ParameterError(
            f"a study is a Python package: small letters, digits and _, not first a digit; got "
            f"{name!r}"
        )
    if name in {"presage", *STUDIES, *installed(GROUP)}:
        raise ParameterError(f"there is a study {name!r} already; choose another name")
    if target.exists() and any(target.iterdir()):
        raise ParameterError(f"{target} is there and is not empty; choose another --folder")
    return _copy(files("presage") / "templates" / "study", target, name)


def _copy(source: Traversable, target: Path, name: str) -> list[Path]:
    """Write the templates of a folder and of all below it."""
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for item in sorted(source.iterdir(), key=lambda entry: entry.name):
        path = target / _CALLED.get(item.name, item.name).removesuffix(".in").replace(_NAME, name)
        if item.is_dir():
            written += _copy(item, path, name)
        else:
            text = item.read_text(encoding="utf-8").replace(_NAME, name)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written
