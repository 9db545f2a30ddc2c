"""``presage run``: the notebooks of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from presage.cli.common import (
    RehashOption,
    SettingsCommand,
    SettingsOption,
    StoreOption,
    interruptible,
    named_in,
    pairs,
    plain_name,
)
from presage.cli.settings import Group
from presage.foreign import read_toml
from presage.hashes import forget
from presage.typed import Declared


class RunCommand(SettingsCommand):
    """``presage run`` with the parameters of a study's notebooks."""

    def groups(self, named: Sequence[str], options: Mapping[str, str]) -> Sequence[Group]:
        """Return those of its notebooks, optional steps last, by what they are settings of."""
        from presage.pipeline.steps import known_parameters, notebooks_of
        from presage.studies import study

        if not named:
            return []
        chosen = study(named[0])
        every = [chosen.notebooks, *chosen.optional.values()]
        steps = tuple(step for steps in every for step in steps)
        found: dict[str, dict[str, Declared]] = {}
        for name, p in known_parameters(notebooks_of(replace(chosen, notebooks=steps))).items():
            if name not in ("store", "preset"):  # options of the command
                found.setdefault(p.section, {})[p.name] = replace(p, name=name)
        return [Group(section, section or chosen.name, own) for section, own in found.items()]

    def check(
        self, given: Mapping[str, str | None], own: Iterable[str], groups: Sequence[Group]
    ) -> None:
        """Take ``--training-seed`` for ``--training.seed`` too."""
        spelt = {f"{g.role}_{name}" for g in groups for name in g.settings}
        super().check({n: t for n, t in given.items() if plain_name(n) not in spelt}, own, groups)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the presets below the parameters."""
        from presage.studies import study

        super().format_epilog(ctx, formatter)
        named = named_in(ctx)
        if named and (presets := study(named[0]).presets):
            with formatter.section("Presets (--preset NAME)"):
                formatter.write_text(", ".join(presets))


def run(
    study: Annotated[str, typer.Argument(help="Name of a study, for example events.")],
    preset: Annotated[str | None, typer.Option(help="quick, full, ...")] = None,
    parameter: SettingsOption = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Parameters in a TOML file.")
    ] = None,
    from_key: Annotated[
        str | None, typer.Option("--from", help="Parameters of an earlier run, by a key of it.")
    ] = None,
    store: StoreOption = None,
    runs: Annotated[
        Path | None, typer.Option(help="Executed notebooks; by default runs/ beside the store.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run up-to-date steps too.")] = False,
    rehash: RehashOption = False,
) -> None:
    """Run a study's notebooks; steps that are up to date are skipped.

    Their parameters are options too: presage run STUDY --help lists them. Several values
    (--seed 0,1,2) are a sweep.
    """
    from presage.pipeline.run import run_study

    if rehash:
        forget()
    with interruptible():
        done = run_study(
            study,
            preset=preset,
            parameters=pairs(parameter),
            file=read_toml(file) if file else None,
            from_key=from_key,
            store=store,
            runs=runs,
            force=force,
        )
    for one in done:
        figures = [path for step in one.steps for path in step.figures.values()]
        _report(one.summary(), [step.notebook for step in one.steps], figures)
    typer.echo(f"\nThe dashboard:\n  {_dashboard_command(done[0].store.root)}")


def _report(summary: str, notebooks: Sequence[Path], figures: Sequence[Path]) -> None:
    if summary:
        typer.echo(f"\n{summary}")
    for title, paths in (
        ("Executed notebooks", notebooks),
        ("Figures, each as .pdf and .svg too", figures),
    ):
        if paths:
            typer.echo(f"\n{title}:")
            for path in paths:
                typer.echo(f"  {_near(path)}")


def _near(path: Path) -> str:
    """Return a path as seen from here, where that is shorter."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _dashboard_command(root: Path) -> str:
    default = root.absolute() == Path("store").absolute()
    store = "" if default else f" --store {_near(root)}"
    script = Path("run.py").is_file() and Path("package/presage").is_dir()
    return f"{'python3 run.py' if script else 'presage'} dashboard{store}"
