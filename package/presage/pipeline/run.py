"""Run a study: its notebooks in order, each only if something it follows from has changed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from presage.pipeline import records
from presage.pipeline.execute import StepError, execute
from presage.pipeline.parameters import combinations, full_name
from presage.pipeline.records import Record
from presage.pipeline.scratch import in_use, sweep
from presage.pipeline.steps import (
    Notebook,
    PipelineError,
    Values,
    known_parameters,
    notebooks_of,
    step_key,
    versions,
)
from presage.plugins import resolve
from presage.products import read as read_products
from presage.progress import CLOCK, Bar
from presage.store import Store
from presage.studies import Study, study
from presage.studies.settings import PRESET, StudySettings
from presage.typed import Declared, ParameterError


@dataclass(frozen=True)
class Step:
    """One executed or skipped step of a run.

    Attributes
    ----------
    record
        What ran and what it made.
    folder
        Where the executed notebook, the figures and the record lie.
    skipped
        Whether it was up to date.
    """

    record: Record
    folder: Path
    skipped: bool

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.folder / f"{self.record.step}.ipynb"

    @property
    def figures(self) -> dict[str, Path]:
        """Recorded name → picture."""
        return {name: self.folder / file for name, file in self.record.figures.items()}


@dataclass(frozen=True)
class Run:
    """One run of a study with one combination of parameters."""

    study: Study
    given: Mapping[str, Any]
    steps: tuple[Step, ...]
    store: Store

    @property
    def products(self) -> dict[str, str]:
        """Recorded name → key, over all steps."""
        return {n: k for step in self.steps for n, k in step.record.products.items()}

    def summary(self) -> str:
        """Return the text that the study prints at its end, empty if it has none."""
        if not self.study.summary:
            return ""
        text: str = resolve(self.study.summary)(self.products, self.store.root)
        return text


def run_study(
    name: str | Study,
    *,
    preset: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    file: Mapping[str, Any] | None = None,
    from_key: str | None = None,
    store: Store | str | Path | None = None,
    runs: Path | None = None,
    notebooks: Path | None = None,
    force: bool = False,
    progress: bool = True,
) -> tuple[Run, ...]:
    """Run a study's notebooks, skipping steps that are up to date.

    Parameters
    ----------
    name
        Name of a study in :data:`presage.studies.STUDIES`, or a study.
    preset
        One of the study's presets; by default the notebooks' own defaults.
    parameters
        Name → value or text, what ``-p`` gives: ``n_events``, ``campaign.n_events``, or
        ``campaign`` with a mapping. Several values where one is declared (``"0,1,2"`` or a list)
        are a sweep. Steps that are optional run where their parameter is given.
    file
        What a parameter file gives; `parameters` win over it.
    from_key
        Key of an earlier step or product: its run's parameters, over which `file` and
        `parameters` win.
    store
        Where datasets live.
    runs
        Where executed notebooks go; by default ``runs`` beside the store.
    notebooks
        Folder of the notebooks, by default the study's.
    force
        Run every step even where it is up to date. Datasets are not made again.
    progress
        Say what happens.

    Returns
    -------
    tuple of Run
        One for each combination of a sweep.

    Raises
    ------
    ParameterError
        A parameter is unknown, of the wrong type, or of steps that do not run.
    PipelineError
        A notebook is missing, or a step failed.
    ValueError
        The study cannot start from these parameters: no such source or model, a file that
        cannot be read. All combinations of a sweep are looked at before anything runs.
    """
    chosen = name if isinstance(name, Study) else study(name)
    store = store if isinstance(store, Store) else Store(store)
    runs = runs or store.root.absolute().parent / "runs"
    sweep(runs)
    every = replace(chosen, notebooks=(*chosen.notebooks, *chain(*chosen.optional.values())))
    read = notebooks_of(every, notebooks)
    known = known_parameters(read)
    sources: list[tuple[str, Mapping[str, Any]]] = []
    if preset is not None:
        of_preset = chosen.preset(preset)
        sources.append((f"preset {preset}", {PRESET: preset} if PRESET in known else of_preset))
    if from_key is not None:
        sources.append((f"--from {from_key}", records.find(runs, from_key, chosen.name).given))
    sources += [("the parameter file", file or {}), ("-p", parameters or {})]
    combined = combinations(sources, known)
    read = _wanted(chosen, read, known, combined[0])
    with Bar(desc=f"{chosen.name}: what there is", bar_format=CLOCK, leave=False,
             disable=not progress):  # fmt: skip
        context = _Context(chosen, read, versions(chosen), store, runs, force, progress)
        starts = [context.values(given) for given in combined]
    done = []
    for number, (given, values) in enumerate(zip(combined, starts, strict=True), 1):
        if len(combined) > 1:
            shown = ", ".join(f"{name} = {value!r}" for name, value in given.items())
            context.say(f"run {number} of {len(combined)}: {shown}")
        done.append(context.run(given, values))
    return tuple(done)


def _wanted(
    study: Study,
    notebooks: Sequence[Notebook],
    known: Mapping[str, Declared],
    given: Mapping[str, Any],
) -> tuple[Notebook, ...]:
    """Return the steps that run: optional ones only where their parameter was given."""
    names = list(study.notebooks)
    for option, more in study.optional.items():
        section, _, field = full_name(option, known).rpartition(".")
        if field in (given.get(section, {}) if section else given):
            names += more
    wanted = tuple(one for one in notebooks if one.name in names)
    declared = {name for notebook in wanted for name in notebook.declared}
    for name in given:
        if name not in declared:
            raise ParameterError(
                f"{name} is read by optional steps of {study.name} only; they run where "
                f"{' or '.join(study.optional)} is given"
            )
    return wanted


@dataclass(frozen=True)
class _Context:
    """What the steps of a run share."""

    study: Study
    notebooks: tuple[Notebook, ...]
    producers: Mapping[str, int]
    store: Store
    runs: Path
    force: bool
    progress: bool

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        if self.progress:
            Bar.write(text)

    def values(self, given: Mapping[str, Any]) -> Values:
        """Return the values of a run with these parameters, and what it starts from now."""
        return Values.of_run(self.study, self.notebooks, given, self.store)

    def run(self, given: Mapping[str, Any], values: Values) -> Run:
        """Run all steps with one combination of parameters."""
        steps: list[Step] = []
        kept = {n for n in values.of if n in given or isinstance(values.of[n], StudySettings)}
        for number, notebook in enumerate(self.notebooks, 1):
            earlier = tuple(step.record.key for step in steps)
            key = step_key(self.study, notebook, values, earlier, self.producers)
            wanted = Record(
                self.study.name, notebook.name, key, "running", values.resolved(notebook.declared),
                values.resolved(kept), earlier, self.producers, values.inputs,
            )  # fmt: skip
            steps.append(self.step(notebook, wanted, f"[{number}/{len(self.notebooks)}]"))
        return Run(self.study, given, tuple(steps), self.store)

    def step(self, notebook: Notebook, wanted: Record, label: str) -> Step:
        """Run one step unless it is up to date."""
        folder = self.runs / self.study.name / wanted.key[:16]
        known = None if self.force else records.is_up_to_date(folder, notebook.name, self.store)
        if known is not None:
            self.say(f"{label} {notebook.name}: up to date ({wanted.key[:16]})")
            return Step(known, folder, skipped=True)
        self.say(f"{label} {notebook.name} ({wanted.key[:16]})")
        with in_use(folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")) as temporary:
            record = self.execute(notebook, wanted, folder, temporary)
        self.say(f"{label} {notebook.name}: done in {record.seconds:.0f} s")
        return Step(record, folder, skipped=False)

    def check_unchanged(self, wanted: Record) -> None:
        """Refuse to call a step done whose files became others while it ran."""
        if self.values(wanted.given).inputs != wanted.inputs:
            raise StepError(
                "its end: the files that it reads were changed while it ran; run it again, and "
                "leave them as they are"
            )

    def execute(self, notebook: Notebook, wanted: Record, folder: Path, temporary: Path) -> Record:
        """Run a notebook in a folder of its own and put that in place, however it ends."""
        start, state, fault = time.monotonic(), "interrupted", ""
        made = temporary / "products.json"
        try:
            execute(
                notebook, wanted.parameters, temporary / f"{notebook.name}.ipynb",
                store=self.store.root, record=made, progress=self.progress,
            )  # fmt: skip
            self.check_unchanged(wanted)
            state = "done"
        except StepError as error:
            state, fault = "failed", str(error)
            kept = folder / f"{notebook.name}.ipynb"
            raise PipelineError(
                f"{notebook.name} failed at {error}\n  the notebook, up to that cell: {kept}"
            ) from None
        finally:
            known = read_products(made)
            made.unlink(missing_ok=True)
            record = replace(
                wanted,
                state=state,
                error=fault,
                products=known["products"],
                figures=known["figures"],
                seconds=round(time.monotonic() - start, 2),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            record.write(temporary)
            records.settle(temporary, folder)
        return record
