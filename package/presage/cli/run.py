"""``presage run``: the notebooks of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presage.cli.common import (
    RehashOption,
    SettingsCommand,
    SettingsOption,
    StoreOption,
    interruptible,
    named_in,
    pairs,
)
from presage.cli.settings import Group, Setting
from presage.hashes import forget

if TYPE_CHECKING:
    from presage.studies import Study


class RunCommand(SettingsCommand):
    """``presage run`` with the parameters of a study's notebooks."""

    def groups(self, named: Sequence[str], options: Mapping[str, str]) -> Sequence[Group]:
        """Return those of its notebooks, and of those that ``--refine`` adds."""
        from presage.studies import study

        if not named:
            return []
        chosen = study(named[0])
        first, *rest = chosen.notebooks, *([chosen.refinement] if chosen.refinement else [])
        groups = [_parameters(chosen, chosen.name, first, {"store", "refine"})]
        for notebooks in rest:
            known = {"store", "refine", *groups[0].settings}
            groups.append(_parameters(chosen, f"{chosen.name} --refine", notebooks, known))
        return groups

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the presets below the parameters."""
        from presage.studies import study

        super().format_epilog(ctx, formatter)
        named = named_in(ctx)
        if named and (presets := study(named[0]).presets):
            with formatter.section("Presets (--preset NAME)"):
                formatter.write_text(", ".join(presets))


def _parameters(study: Study, owner: str, notebooks: Sequence[str], without: set[str]) -> Group:
    """Return the parameters of notebooks, but for those that are options of the command."""
    from presage.pipeline.steps import known_parameters, notebooks_of
    from presage.plugins import resolve

    known = known_parameters(notebooks_of(replace(study, notebooks=tuple(notebooks))))
    tables = {name: tuple(resolve(address)) for name, address in study.choices.items()}
    found = {
        name: Setting(name, str(p.kind), p.default, p.help, tables.get(name, ()))
        for name, p in known.items()
        if name not in without
    }
    return Group("parameter", owner, found)


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
    refine: Annotated[
        int | None,
        typer.Option(metavar="N", help="Also simulate N labels where it is weakest, and compare."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run up-to-date steps too.")] = False,
    rehash: RehashOption = False,
) -> None:
    """Run a study's notebooks; steps that are up to date are skipped.

    Their parameters are options too: presage run STUDY --help lists them. Several values
    (--seed 0,1,2) are a sweep.
    """
    from presage.pipeline.choose import from_file
    from presage.pipeline.run import run_study

    if rehash:
        forget()
    with interruptible():
        done = run_study(
            study,
            preset=preset,
            parameters=pairs(parameter),
            file=from_file(file) if file else None,
            from_key=from_key,
            store=store,
            runs=runs,
            refine=refine,
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
