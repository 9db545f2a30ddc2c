"""``presage run``: the notebooks of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from presage.cli.common import PairsOption, RehashOption, StoreOption, interruptible, pairs
from presage.hashes import forget

if TYPE_CHECKING:
    from presage.pipeline.parameters import Declared
    from presage.studies import Study

_STUDY = "presage.study"


class StudyCommand(TyperCommand):
    """``presage run STUDY --help`` lists the study's parameters too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the first argument for the help, which click shows before it has read any."""
        ctx.meta[_STUDY] = next((a for a in args if not a.startswith("-")), None)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write name, type, default, help and choices of each parameter."""
        from presage.studies import STUDIES, study

        if ctx.meta[_STUDY] is not None:
            parameters_help(study(ctx.meta[_STUDY]), formatter)
            return
        formatter.write_paragraph()
        formatter.write_text(
            f"The studies are {', '.join(STUDIES)}; presage run STUDY --help lists the parameters."
        )


def parameters_help(study: Study, formatter: Any) -> None:
    """Write all parameters of a study's notebooks, and its presets, to click's formatter."""
    from presage.pipeline.steps import known_parameters, notebooks_of

    sections = {"Parameters (-p NAME VALUE)": study.notebooks}
    if study.refinement:
        sections["Parameters of --refine"] = study.refinement
    listed = {"store", "refine"}  # which are options of the command
    for title, notebooks in sections.items():
        known = known_parameters(notebooks_of(replace(study, notebooks=notebooks)))
        rows = [_described(d, study) for name, d in known.items() if name not in listed]
        listed |= set(known)
        with formatter.section(title):
            formatter.write_dl(rows)
    if study.presets:
        with formatter.section("Presets (--preset NAME)"):
            formatter.write_text(", ".join(study.presets))


def _described(declared: Declared, study: Study) -> tuple[str, str]:
    """Return ``name: type = default`` of a parameter, and what is known of it."""
    from presage.plugins import resolve

    said = [declared.help] if declared.help else []
    if declared.name in study.choices:
        said.append("one of " + ", ".join(resolve(study.choices[declared.name])))
    return f"{declared.name}: {declared.kind} = {declared.default!r}", "; ".join(said)


def run(
    study: Annotated[str, typer.Argument(help="Name of a study, for example events.")],
    preset: Annotated[str | None, typer.Option(help="quick, full, ...")] = None,
    parameter: PairsOption = None,
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
    """Run a study's notebooks; steps that are up to date are skipped."""
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
