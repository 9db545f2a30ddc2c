"""``presage list``: what can be named on the command line, presage's own and others'."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import typer

import presage.plugins as plugins


def list_() -> None:
    """List studies, simulators, readers and models, those of installed packages among them."""
    from presage.models import MODELS
    from presage.simulator import Reader, Simulator
    from presage.studies import producers, studies

    known = {**plugins.installed(plugins.SIMULATORS), **producers()}
    sources = dict(_resolved(known))
    models = dict(_resolved({**plugins.installed(plugins.MODELS), **MODELS}))
    sections = {
        "Studies (presage run NAME)": {name: one.title for name, one in studies().items()},
        "Simulators (presage generate NAME)": _said(sources, Simulator),
        "Readers (presage store import FILE --reader NAME)": _said(sources, Reader),
        "Models (presage train NAME FROM)": {name: _line(kind) for name, kind in models.items()},
        "Trained as a whole (presage train NAME FROM)": {
            name: one.trainer for name, one in studies().items() if one.trainer
        },
    }
    for title, rows in sections.items():
        typer.echo(f"{title}:")
        width = max(map(len, rows), default=0)
        for name, text in rows.items():
            typer.echo(f"  {name.ljust(width)}  {text}")
    typer.echo("One of your own is named by its module: my_package.toys:MySimulator.")


def _resolved(known: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Import things; what cannot be is said, and left out."""
    for name, address in known.items():
        try:
            yield name, plugins.resolve(address)
        except plugins.PluginError as error:
            typer.echo(f"left out: {error}", err=True)


def _said(sources: Mapping[str, Any], base: type[Any]) -> dict[str, str]:
    """Return name → first line of the simulators, or readers, that text can describe."""
    return {
        name: _line(found)
        for name, found in sources.items()
        if isinstance(found, type)
        and issubclass(found, base)
        and not any(re.search("Dataset|Fitted", str(f.type)) for f in fields(found))
    }


def _line(kind: Any) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
