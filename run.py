#!/usr/bin/env python3
"""Set presage up and run it: needs nothing but Python 3.11 or newer with its venv module.

    python3 run.py setup                      make .venv and install everything into it
    python3 run.py demo                       the notebooks of study `events`, quick preset
    python3 run.py test [pytest arguments]    lint, types, floors, tests (`test -k store`)
    python3 run.py bench [NAME…] [--json F]   speed and memory against peers
    python3 run.py dashboard [--port N]       browse grids, distributions and residuals

Every command sets up first; a stamp in .venv makes reruns skip that. All further arguments
are passed on.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
EXTRAS = "all,test"
OLDEST = (3, 11)
# By module, not by the script in .venv/bin, whose first line breaks when a checkout is moved.
FLOORS = "from importlinter.cli import lint_imports_command as lint; lint()"


class RunError(Exception):
    """Ends the program with a message and a status."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


def say(text: str) -> None:
    """Print one progress line."""
    print(f"presage: {text}", flush=True)


def venv_python() -> Path:
    """Return the interpreter of the virtual environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def call(
    *command: str | Path,
    env: dict[str, str] | None = None,
    pulse: str = "",
    show: Fetched | None = None,
) -> int:
    """Run a command from the repository's root and return its status.

    A quiet one shows its `pulse` every half minute; of one with `show` the output's lines go
    there. Ctrl-C reaches the command too; it gets the time to tidy up (`subprocess.call` would
    kill it).
    """
    interrupted, start = False, time.monotonic()
    pipe = subprocess.PIPE if show else None
    with subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, env=env, stdout=pipe, text=True, encoding="utf-8"
    ) as child:
        reader = threading.Thread(target=lambda: [show(line) for line in child.stdout or ()])
        if show:
            reader.start()
        while True:
            try:
                status = child.wait(30 if pulse else None)
                break
            except subprocess.TimeoutExpired:
                say(f"{pulse}, {time.monotonic() - start:.0f} s so far")
            except KeyboardInterrupt:
                interrupted = True
        if show:
            reader.join()
            show.end()
    if interrupted:
        raise RunError("interrupted", 130)
    return status


def quietly(*command: str | Path) -> int:
    """Run a command beside another, say what it said once it failed, and return its status."""
    words = [str(part) for part in command]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        say(f"{words[-1]}\n{done.stdout}{done.stderr}")
    return done.returncode


def fingerprint(extras: str) -> str:
    """Return what the installation follows from: needs, pins, extras and the interpreter."""
    digest = hashlib.sha256(f"{ROOT}\0{extras}".encode())
    # pyvenv.cfg holds the version and the place of the interpreter.
    for path in (ROOT / "pyproject.toml", ROOT / "constraints.txt", VENV / "pyvenv.cfg"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make_venv() -> None:
    """Make the virtual environment, or say what the system lacks."""
    if venv_python().exists() and not broken():
        return
    if VENV.exists():
        say("the interpreter of .venv no longer works; making it anew")
        shutil.rmtree(VENV)
    say(f"making {VENV} with Python {sys.version.split()[0]}")
    try:
        import ensurepip  # noqa: F401 - Debian ships it apart, in python3-venv
        import venv  # noqa: F401
    except ImportError:
        raise RunError(
            "this Python cannot make virtual environments.\n"
            f"  Debian, Ubuntu:  apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            "   (or python3-venv)\n"
            "  then run the same command again."
        ) from None
    if call(sys.executable, "-m", "venv", VENV):
        shutil.rmtree(VENV, ignore_errors=True)
        raise RunError("`python3 -m venv` failed; its message stands above")


def broken() -> bool:
    """Return whether the virtual environment's interpreter does not start."""
    try:
        done = subprocess.run([venv_python(), "-c", "import pip"], capture_output=True, check=False)
    except OSError:
        return True
    return done.returncode != 0


def pip(*arguments: str) -> None:
    """Install with the exact versions of constraints.txt, and say what is fetched."""
    command = (venv_python(), "-m", "pip", "install", "--disable-pip-version-check")
    command = (*command, "--progress-bar", "off", "-c", "constraints.txt", *arguments)
    if os.environ.get("PRESAGE_VERBOSE"):
        status = call(*command)
    else:
        status = call(*command, pulse="still installing", show=Fetched())
    if status:
        raise RunError("the installation failed; pip's message stands above", 1)


class Fetched:
    """Turns pip's output into a line for each large file, and a count of the others."""

    LARGE = 10.0  # MB

    def __init__(self) -> None:
        self.small, self.megabytes = 0, 0.0

    def __call__(self, line: str) -> None:
        """Look at one line of pip's."""
        found = re.search(
            r"(?:Downloading|Using cached|Processing) (\S+)(?: \(([\d.]+) (kB|MB)\))?", line
        )
        if line.startswith(("ERROR", "error")):
            print(line, end="", file=sys.stderr, flush=True)
        if not found or line.lstrip().startswith("Processing ./"):
            return
        size = float(found[2] or 0) / (1000 if found[3] == "kB" else 1)
        name = found[1].rsplit("/", 1)[-1]
        if size > self.LARGE or not found[2]:
            say(f"  {name}" + (f", {size:.0f} MB" if size else ""))
        else:
            self.small, self.megabytes = self.small + 1, self.megabytes + size

    def end(self) -> None:
        """Say how much the small ones were."""
        if self.small:
            say(f"  {self.small} smaller files, {self.megabytes:.0f} MB")


def is_stamped(stamp: Path, extras: str) -> bool:
    """Return whether these extras were installed for the present needs."""
    return (
        stamp.exists() and not broken() and stamp.read_text(encoding="utf-8") == fingerprint(extras)
    )


def setup(_: list[str] | None = None) -> int:
    """Make .venv and install into it, unless that was done for the same needs."""
    stamp = VENV / "presage-setup"
    if is_stamped(stamp, EXTRAS):
        return 0
    start = time.monotonic()
    make_venv()
    stamp.unlink(missing_ok=True)
    say("installing torch (the largest part; PRESAGE_VERBOSE=1 shows pip's own progress)")
    pip("torch")
    say("installing presage and the rest")
    pip("-e", f".[{EXTRAS}]")
    stamp.write_text(fingerprint(EXTRAS), encoding="utf-8")
    say(f"ready after {time.monotonic() - start:.0f} s; the interpreter is {venv_python()}")
    return 0


def setup_peers() -> None:
    """Install the peers of the benchmarks; without them the benchmarks say what they left out."""
    stamp = VENV / "presage-peers"
    if is_stamped(stamp, "bench"):
        return
    say("installing the peers that the benchmarks measure against")
    try:
        pip("-e", ".[bench]")
    except RunError as error:
        say(f"{error}; going on without the missing peers")
    else:
        stamp.write_text(fingerprint("bench"), encoding="utf-8")


def demo(arguments: list[str]) -> int:
    """Run the notebooks of study `events` with the quick preset."""
    setup()
    return call(
        venv_python(), "-m", "presage.cli", "run", "events", "--preset", "quick", *arguments
    )


def test(arguments: list[str]) -> int:
    """Run lint, format, types, floors and tests; arguments go to pytest and select it alone."""
    setup()
    python = venv_python()
    checks: list[tuple[str, tuple[str | Path, ...]]] = [
        ("lint", (python, "-m", "ruff", "check", "--quiet", ".")),
        ("format", (python, "-m", "ruff", "format", "--check", "--quiet", ".")),
        ("floors", (python, "-c", FLOORS)),
    ]
    failed = []
    for name, command in [] if arguments else checks:
        say(f"test: {name}")
        if call(*command):
            failed.append(name)
    env = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    # Many tests start a process, each of which would compile all of presage anew.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    # All of them by two processes, which halves the time on two cores and fits a laptop's memory;
    # whole files, so that what the tests of a file share is made once.
    whole = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--durations=10"]
    with ThreadPoolExecutor(1) as beside:  # mypy takes one core for minutes: no core waits for it
        types = None if arguments else beside.submit(quietly, python, "-m", "mypy")
        say("test: pytest" + (", and types beside it" if types else ""))
        if call(python, "-m", "pytest", *(arguments or whole), env=env):
            failed.append("pytest")
    if types and types.result():
        failed.append("types")
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def bench(arguments: list[str]) -> int:
    """Measure speed and memory beside the peers."""
    setup()
    setup_peers()
    return call(venv_python(), "-m", "benchmarks", *arguments)


def dashboard(arguments: list[str]) -> int:
    """Serve the dashboard on this machine."""
    setup()
    return call(venv_python(), "-m", "presage.cli", "dashboard", *arguments)


COMMANDS = {"setup": setup, "demo": demo, "test": test, "bench": bench, "dashboard": dashboard}


def main(arguments: list[str]) -> int:
    """Run one command."""
    if sys.version_info < OLDEST:
        found = sys.version.split()[0]
        raise RunError(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {found}")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0 if arguments else 2
    command, *rest = arguments
    if command not in COMMANDS:
        raise RunError(f"there is no command {command!r}; there is {', '.join(COMMANDS)}")
    return COMMANDS[command](rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RunError as error:
        say(str(error))
        sys.exit(error.status)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
