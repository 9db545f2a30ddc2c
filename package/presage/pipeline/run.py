"""Run a study: its notebooks in order, each only if something it follows from has changed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from presage.pipeline import records
from presage.pipeline.choose import combinations
from presage.pipeline.execute import StepError, execute
from presage.pipeline.parameters import Declared, ParameterError, defaults
from presage.pipeline.records import Record
from presage.pipeline.scratch import in_use, sweep
from presage.pipeline.steps import (
    Notebook,
    PipelineError,
    inputs_of,
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

#: Parameter of the steps that refine a study: how many labels to simulate.
REFINE = "refine"


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
    refine: int | None = None,
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
        Name → value or text, what ``-p`` gives; several values where a notebook declares one
        (``"0,1,2"`` or a list) are a sweep.
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
    refine
        Also run the study's refinement: simulate so many labels where it is weakest, and show
        what that gained. An earlier run of `from_key` that was refined is so again.
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
        A parameter is unknown or of the wrong type; `refine` is below 1.
    PipelineError
        A notebook is missing, or a step failed.
    StudyError
        The study has no refinement.
    ValueError
        The study cannot start from these parameters: no such source or model, a file that
        cannot be read. All combinations of a sweep are looked at before anything runs.
    """
    chosen = name if isinstance(name, Study) else study(name)
    store = store if isinstance(store, Store) else Store(store)
    runs = runs or store.root.absolute().parent / "runs"
    sweep(runs)
    sources: list[tuple[str, Mapping[str, Any]]] = []
    if preset is not None:
        sources.append((f"preset {preset}", chosen.preset(preset)))
    if from_key is not None:
        sources.append((f"--from {from_key}", records.find(runs, from_key, chosen.name).given))
    sources += [("the parameter file", file or {}), ("-p", parameters or {})]
    if refine is not None:
        if refine < 1:
            raise ParameterError(f"--refine takes a number of labels, at least 1; got {refine}")
        sources.append(("--refine", {REFINE: refine}))
    if any(REFINE in given for _, given in sources):
        chosen = chosen.refined()
    read = notebooks_of(chosen, notebooks)
    known = known_parameters(read)
    combined = combinations(sources, known)
    with Bar(desc=f"{chosen.name}: what there is", bar_format=CLOCK, leave=False,
             disable=not progress):  # fmt: skip
        context = _Context(chosen, read, known, versions(chosen), store, runs, force, progress)
        starts = [context.inputs(given) for given in combined]
    done = []
    for number, (given, inputs) in enumerate(zip(combined, starts, strict=True), 1):
        if len(combined) > 1:
            shown = ", ".join(f"{name} = {value!r}" for name, value in given.items())
            context.say(f"run {number} of {len(combined)}: {shown}")
        done.append(context.run(given, inputs))
    return tuple(done)


@dataclass(frozen=True)
class _Context:
    """What the steps of a run share."""

    study: Study
    notebooks: tuple[Notebook, ...]
    known: Mapping[str, Declared]
    producers: Mapping[str, int]
    store: Store
    runs: Path
    force: bool
    progress: bool

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        if self.progress:
            Bar.write(text)

    def inputs(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return what a run with these parameters starts from, as it is now."""
        values = {**defaults(self.known), **given}
        return inputs_of(self.study, self.known, values, self.store)

    def run(self, given: Mapping[str, Any], inputs: Mapping[str, str]) -> Run:
        """Run all steps with one combination of parameters."""
        steps: list[Step] = []
        for number, notebook in enumerate(self.notebooks, 1):
            values = {**defaults(notebook.declared)}
            values |= {n: v for n, v in given.items() if n in notebook.declared}
            earlier = tuple(step.record.key for step in steps)
            key = step_key(self.study, notebook, values, earlier, self.producers, inputs)
            wanted = Record(
                self.study.name, notebook.name, key, "running", values, given, earlier,
                self.producers, inputs,
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
        if self.inputs(wanted.given) != wanted.inputs:
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
