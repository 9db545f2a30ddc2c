"""Options that several commands share, and the command whose options are a thing's settings."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from presage.cli.settings import Group, owners_of, row
from presage.labels import nearest
from presage.typed import ParameterError

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", "--output-dir", help="Folder of datasets; $PRESAGE_STORE, else ./store."
    ),
]
SizeOption = Annotated[int | None, typer.Option("-n", "--num-samples", help="Number of samples.")]
RehashOption = Annotated[
    bool,
    typer.Option("--rehash", help="Read files of your own anew, even if they look unchanged."),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME VALUE",
        help="A setting; may be repeated. --NAME VALUE is the same, unless the command has an "
        "option of this name.",
    ),
]
_FLAGS = ("-p", "--parameter")
_NAMED = "presage.named"


class SettingsCommand(TyperCommand):
    """A command that takes the settings of what it is given as options, and lists them in --help.

    ``--n-events 1000`` of no option of its own is ``-p n_events 1000``, and ``--validation`` alone
    ``-p validation true``.
    """

    def groups(self, named: Sequence[str], options: Mapping[str, str]) -> Sequence[Group]:
        """Return the settings of what the arguments and the command's own options name."""
        raise NotImplementedError

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write every setting as ``-p name=value``, which one option can hold."""
        takes = {
            spelling: not (getattr(option, "is_flag", False) or getattr(option, "count", False))
            for option in self.get_params(ctx)
            for spelling in (*option.opts, *option.secondary_opts)
            if spelling.startswith("-")
        }
        named, own = list[str](), dict[str, str]()
        settings, written = dict[str, str | None](), list[str]()
        rest = deque(args)
        while rest:
            argument = rest.popleft()
            name, equals, value = argument.partition("=")
            name = name.replace("_", "-") if name.startswith("--") else name
            if argument in _FLAGS:
                written += [argument, _pair(argument, rest)]
            elif name in takes:
                taken = [rest.popleft()] if rest and takes[name] and not equals else []
                own[name] = taken[0] if taken else value
                written += [argument, *taken]
            elif name.startswith("--") and len(name) > 2:
                bare = not rest or rest[0] in takes or rest[0].startswith("--")
                text = value if equals else None if bare else rest.popleft()
                settings[name] = text
                written += ["-p", f"{plain_name(name)}={'true' if text is None else text}"]
            else:
                named += [] if argument.startswith("-") else [argument]
                written.append(argument)
        ctx.meta[_NAMED] = named, own
        if settings and "--help" not in args:
            self.check(settings, takes, self.groups(named, own))
        return super().parse_args(ctx, written)

    def check(
        self, given: Mapping[str, str | None], own: Iterable[str], groups: Sequence[Group]
    ) -> None:
        """Refuse options that the command does not have, and ones without a value."""
        for option, text in given.items():
            owners = owners_of(plain_name(option), groups)
            if not owners:
                names = [name for group in groups for name in group.settings]
                known = [f"--{name.replace('_', '-')}" for name in names]
                known += [name for name in own if name.startswith("--")]
                raise ParameterError(f"there is no option {option}{nearest(option, known)}")
            is_flag = any(groups[i].settings[own].kind.name == "bool" for i, own in owners)
            if text is None and not is_flag:
                raise ParameterError(f"{option} takes a value: {option} VALUE")

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the settings of what was named."""
        for group in self.groups(*ctx.meta[_NAMED]):
            with formatter.section(f"Settings of {group.owner} (--NAME VALUE)"):
                rows = [row(declared) for declared in group.settings.values()]
                formatter.write_dl(rows) if rows else formatter.write_text("none")
        super().format_epilog(ctx, formatter)


def named_in(ctx: Any) -> list[str]:
    """Return the arguments of a command whose help is shown before they are read."""
    named: list[str] = ctx.meta[_NAMED][0]
    return named


def plain_name(option: str) -> str:
    """Return the name of the setting that an option is."""
    return option.lstrip("-").replace("-", "_")


def _pair(flag: str, rest: deque[str]) -> str:
    """Return the next one or two arguments as ``name=value``."""
    name = rest.popleft() if rest else ""
    value = None if "=" in name or not rest else rest.popleft()
    if not name or name.startswith("-") or ("=" not in name and value is None):
        raise ParameterError(f"{flag} takes a name and a value: {flag} n_events 1000")
    return name if value is None else f"{name}={value}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Say what an interruption leaves behind; status 130, as of other programs."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted; what is complete stays, the same command goes on", err=True)
        raise typer.Exit(130) from None


def pairs(joined: Sequence[str] | None) -> dict[str, str]:
    """Take ``name=value`` apart; no name is given twice."""
    given: dict[str, str] = {}
    for text in joined or ():
        name, value = (part.strip() for part in text.partition("=")[::2])
        if name in given:
            raise ParameterError(f"{name} is given twice: {given[name]!r} and {value!r}")
        given[name] = value
    return given
