"""``presage run``: the notebooks of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from presage.cli.common import PairsOption, StoreOption, interruptible, pairs


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
) -> None:
    """Run a study's notebooks; steps that are up to date are skipped."""
    from presage.pipeline.choose import from_file, from_pairs
    from presage.pipeline.run import run_study

    with interruptible():
        done = run_study(
            study,
            preset=preset,
            parameters=from_pairs(pairs(parameter)),
            file=from_file(file) if file else None,
            from_key=from_key,
            store=store,
            runs=runs,
            refine=refine,
            force=force,
        )
    for one in done:
        _report(one.summary(), [s.notebook for s in one.steps], _figures(one.steps))
    typer.echo(f"\nThe dashboard:\n  {_dashboard_command(done[0].store.root)}")


def _figures(steps: Sequence[object]) -> list[Path]:
    return [path for step in steps for path in getattr(step, "figures", {}).values()]


def _report(summary: str, notebooks: Sequence[Path], figures: Sequence[Path]) -> None:
    if summary:
        typer.echo(f"\n{summary}")
    for title, paths in (("Executed notebooks", notebooks), ("Figures", figures)):
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
