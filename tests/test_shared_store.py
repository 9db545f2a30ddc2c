"""A store that colleagues share: who may read it, and text that reads the same anywhere."""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import fit_toys
from presage.exchange import SUFFIXES, write_file
from presage.fitting import fit
from presage.fitting.checkpoint import Checkpoints
from presage.store import Store
from presage.store.files import text

ROOT = Path(__file__).resolve().parents[1]
PLAIN = xr.Dataset({"x": ("sample", np.arange(6.0), {"units": "µm"})})


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def fill(root: Path) -> None:
    """Publish a file of every kind: samples, product, weights, text, checkpoints, exports."""
    store = Store(root / "store")
    train = fit_toys.stored(store)
    fitted = fit(fit_toys.Toy(), train, epochs=1, batch_size=100, store=store, progress=False)
    with store.workspace(fitted.recipe) as folder:
        Checkpoints(folder).save({"progress": {"epoch": 0, "step": 1}})
    store.put_file(fitted.recipe, "note.txt", text("µ"))
    product = store.adopt(PLAIN, "plain")
    store.check(product.attrs["presage_key"], remember=True)
    for suffix in SUFFIXES:
        write_file(PLAIN, root / "exports" / f"out{suffix}")


def modes(root: Path) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {"file": set(), "folder": set()}
    for path in root.rglob("*"):
        kind = "file" if path.is_file() else "folder"
        found[kind].add(stat.S_IMODE(path.stat().st_mode))
    return found


def test_what_is_published_has_the_mode_that_umask_says(umask: int, tmp_path: Path) -> None:
    fill(tmp_path / "mine")
    assert modes(tmp_path) == {"file": {0o666 & ~umask}, "folder": {0o777 & ~umask}}


def test_in_a_folder_that_a_group_shares_the_group_has_its_rights(
    umask: int, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    fill(shared)
    files, folders = (0o666 & ~umask) | 0o060, 0o2000 | (0o777 & ~umask) | 0o070
    assert modes(shared) == {"file": {files}, "folder": {folders}}


def test_a_store_that_may_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="name a store of your own"):
        Store(tmp_path / "theirs").adopt(PLAIN, "plain")


# -- text ---------------------------------------------------------------------------------


SCRIPT = """
import os, pathlib, sys, xarray as xr, numpy as np
from presage.cli.main import main
from presage.labels import Variable
from presage.store import Store
from presage.studies.events.described import read_description
store = Store(sys.argv[1])
column = Variable("µ", unit="µm", long_name="Länge ± Ω").attributes()
data = xr.Dataset({"µ": ("sample", np.arange(3.0, dtype="f4"), column)})
made = store.adopt(data, "Größe", "sample")
key = made.attrs["presage_key"]
for words in (["show", key], ["ls"], ["verify"], ["export", key, sys.argv[1] + "/out.h5"],
              ["import", sys.argv[1] + "/out.h5", "--name", "Größe"]):
    try:
        main(["store", *words, "--store", sys.argv[1]])
    except SystemExit as end:
        assert not end.code, words
path = pathlib.Path(sys.argv[1], os.fsdecode("Dateien µ".encode()))
(path / "M_1").mkdir(parents=True)
(path / "M_1" / "a.root").touch()
(path.parent / "own.toml").write_bytes(
    'files = "Dateien µ"\\npath = "M_{M}"\\n[columns]\\nx = "x"\\n'.encode()
)
assert len(read_description(path.parent / "own.toml").found) == 1
print(key)
"""


LOCALES = {"C": {"LC_ALL": "C"}, "western": {"PYTHONIOENCODING": "latin-1:strict"}}


@pytest.mark.parametrize("locale", LOCALES)
def test_text_is_utf8_whatever_the_locale(locale: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONUTF8": "0", **LOCALES[locale]}
    environment["PYTHONPATH"] = str(ROOT / "package")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", str(script), str(tmp_path / "store")],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"presage/" not in done.stderr, done.stderr.decode(errors="replace")
    held = Store(tmp_path / "store").open(done.stdout.split()[-1].decode())
    assert held["µ"].attrs["units"] == "µm"


def _sources() -> list[Path]:
    folders = [ROOT / "package", ROOT / "dashboards", ROOT / "benchmarks"]
    return [ROOT / "run.py", *(path for folder in folders for path in folder.rglob("*.py"))]


def _leaves_encoding_to_the_locale(call: ast.Call) -> bool:
    """Whether a call reads or writes text without saying in which encoding."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = {word.arg for word in call.keywords}
    of = getattr(getattr(call.func, "value", None), "id", "")
    if "encoding" in given or None in given or of == "formatter":  # which writes to the terminal
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) < (1 if name == "read_text" else 2)
    if name in ("run", "Popen", "check_output"):
        return bool({"text", "universal_newlines"} & given)
    place = 0 if isinstance(call.func, ast.Attribute) else 1  # path.open(mode), open(path, mode)
    modes = [a.value for a in call.args[place : place + 1] if isinstance(a, ast.Constant)]
    return name == "open" and any(str(m) in {"r", "w", "a", "x", "r+", "w+"} for m in modes)


def test_every_text_file_names_its_encoding() -> None:
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert not _leaves_encoding_to_the_locale(node), f"{path}:{node.lineno}"
