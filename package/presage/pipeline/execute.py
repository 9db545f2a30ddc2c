"""Run one notebook through papermill with this interpreter's own kernel."""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from presage.extras import extra
from presage.pipeline.scratch import temporary
from presage.pipeline.steps import Notebook, PipelineError
from presage.products import VARIABLE
from presage.progress import Bar

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: A warning of a kind of its own, as Python writes it, with the line of code that it shows.
#: Python's own kinds are about code, which is nothing that a user of a notebook can change.
_WARNING = re.compile(
    r"^.*?:\d+: (?!(?:User|Deprecation|Future|Runtime|Resource|Syntax|Import|PendingDeprecation)W)"
    r"(\w+Warning: .+)\n?(?:[ \t].*\n?)?",
    re.MULTILINE,
)


class StepError(PipelineError):
    """A cell of a notebook raised; holds the error's last line."""


def execute(
    notebook: Notebook,
    parameters: Mapping[str, Any],
    output: Path,
    *,
    store: Path,
    record: Path,
    progress: bool = True,
) -> None:
    """Execute a notebook into `output`, which is written after every cell.

    Notebooks get the root of the store as ``$PRESAGE_STORE``, and :func:`presage.products.record`
    writes into the file `record`. With `progress` there is a bar of cells, with the notebook's
    own behind it.
    """
    with (
        closing(_Progress(notebook, len(notebook.code) + bool(parameters), progress)) as bar,
        temporary() as work,
        _environment(work, store, record),
    ):
        papermill = _papermill()  # under the bar: it may take a while
        from nbclient.exceptions import DeadKernelError

        try:
            papermill.execute_notebook(
                _braced(notebook.path),
                _braced(output),
                parameters=dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                stderr_file=bar,
                on_cell_start=bar.start_cell,
                cwd=str(work),
                start_timeout=300,
                config=_transport(work),
            )
        except papermill.PapermillExecutionError as error:
            raise StepError(_last_line(error)) from None
        except DeadKernelError:
            raise StepError(
                "a cell that ended its process: it was killed, for want of memory perhaps"
            ) from None


def _transport(work: Path) -> Any:
    """Talk to the kernel over sockets in its own folder: other users cannot listen there."""
    from traitlets.config import Config

    # The path of a socket may have about 100 characters.
    transport = "ipc" if len(str(work)) < 80 else "tcp"
    place = str(work / "kernel.json")
    return Config({"KernelManager": {"transport": transport, "connection_file": place}})


def _papermill() -> Any:
    """Import papermill late: it takes a second, and listing studies needs none of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies, about nothing a user can do
        with extra("notebooks", "presage run"):
            import papermill
    return papermill


def _braced(path: Path) -> str:
    """Return a path as papermill takes it: it fills in ``{name}`` from the parameters."""
    return str(path.absolute()).replace("{", "{{").replace("}", "}}")


@contextmanager
def _environment(work: Path, store: Path, record: Path) -> Iterator[None]:
    """Set what the kernel inherits, and put everything back."""
    spec = work / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    # A kernel named python3 may exist in the user's folder and belong to another Python.
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    # What can be imported here, as a user's own simulator in the current folder, can be there.
    places = [str(Path(place).absolute()) for place in sys.path]
    line = f"import sys; sys.path += [p for p in {places!r} if p not in sys.path]"
    argv.append(f"--IPKernelApp.exec_lines={line}")
    # Ending a kernel interrupts it first, which it would call an error on the terminal.
    argv.append("--IPKernelApp.log_level=CRITICAL")
    content = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(content), encoding="utf-8")
    changed = {
        VARIABLE: str(record.absolute()),
        "PRESAGE_STORE": str(store.absolute()),
        "JUPYTER_PATH": os.pathsep.join(
            filter(None, (str(work / "jupyter"), os.environ.get("JUPYTER_PATH")))
        ),
        # Neither a user's start-up files nor a home that cannot be written to matter here.
        "IPYTHONDIR": str(work / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        # The kernel works in another folder and imports what this process does.
        "PYTHONPATH": os.pathsep.join(_own_path()),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _own_path() -> list[str]:
    """Return where this process imports from, beside its installed packages."""
    installed = tuple(map(Path, sysconfig.get_paths().values()))
    paths = [Path(entry).absolute() for entry in sys.path]
    return [str(p) for p in paths if not any(p.is_relative_to(one) for one in installed)]


class _Progress:
    """A bar of cells; behind it the cell's first line, or the last that it wrote to its stderr.

    papermill writes a kernel's stderr to any file-like object: this is one. Progress bars
    of long cells (generation, training) thus show on the terminal, on one line.
    """

    def __init__(self, notebook: Notebook, cells: int, enabled: bool) -> None:
        self._name = notebook.name
        self._told: set[str] = set()
        self._bar = Bar(
            total=cells,
            desc=notebook.name,
            bar_format="{desc}: cell {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            delay=0,
            leave=False,
            disable=not enabled,
        )

    def close(self) -> None:
        """End the bar."""
        self._bar.close()

    def start_cell(self, cell: Mapping[str, Any], **_: Any) -> None:
        """Count a code cell; nbclient calls this."""
        if cell["cell_type"] == "code":
            self._show(next(iter(cell["source"].splitlines()), ""))
            self._bar.update()

    def write(self, text: str) -> int:
        """Show the last line of what the kernel wrote; a warning stays on the terminal."""
        plain = _COLOURS.sub("", text)
        for told in _WARNING.findall(plain):
            if told not in self._told:  # each once a step
                Bar.write(f"{self._name}: {told}", file=sys.stderr)
                self._told.add(told)
        lines = [line.strip() for line in re.split(r"[\r\n]", _WARNING.sub("", plain))]
        last = next((line for line in reversed(lines) if line), "")
        if last:
            self._show(last)
            self._bar.update(0)
        return len(text)

    def _show(self, line: str) -> None:
        room = max(20, (getattr(self._bar, "ncols", None) or 130) - 40)  # a disabled bar has none
        self._bar.set_postfix_str(line if len(line) <= room else f"{line[: room - 1]}…", False)

    def flush(self) -> None:
        """Do nothing: the bar draws itself."""


def _last_line(error: Any) -> str:
    """Return name and text of the exception that a cell raised."""
    text = _COLOURS.sub("", f"{error.ename}: {error.evalue}").strip()
    return f"cell [{error.exec_count}]: {text}"
