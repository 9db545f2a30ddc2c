"""What is installed, shipped and loaded: needs in step, a light root, notebooks in the wheel."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import presage
from presage._version import __version__
from presage.cli.main import main
from presage.extras import EXTRAS as EXTRA_MODULES
from presage.extras import MissingExtraError, extra

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: PyPI's name → conda-forge's.
ALIASES = {
    "torch": "pytorch",
    "lazy-loader": "lazy_loader",
    "netcdf4": "netcdf4",
    "xxhash": "python-xxhash",
    "playwright": "playwright-python",
}
#: What the standard environment needs; the benchmarks' peers are a matter of their own.
EXTRAS = ("root", "pdf", "sky", "notebooks", "dashboard", "test")
#: Packages that pull torchvision in, which would replace the pinned torch.
REPLACES_TORCH = {"torchvision", "laplace-torch", "normflows", "sbi"}


def needs(*extras: str) -> dict[str, Requirement]:
    listed = [*PROJECT["dependencies"]]
    for name in extras:
        listed += PROJECT["optional-dependencies"][name]
    return {canonicalize_name(r.name): r for r in map(Requirement, listed)}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.partition(";")[0].strip() for name, version in pairs}


# -- needs ------------------------------------------------------------------------------


def test_environment_yml_is_in_step_with_pyproject() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = [item for item in listed if isinstance(item, str)]
    by_pip = next(item["pip"] for item in listed if isinstance(item, dict))
    found = {str(r) for r in map(Requirement, [*conda, *by_pip[:-1]])} - {"pip"}
    expected = {f"python{PROJECT['requires-python']}"}
    for name, requirement in needs(*EXTRAS).items():
        plain = ALIASES.get(name, requirement.name)
        expected.add(f"{plain}{requirement.specifier}")
    assert found == expected
    assert by_pip[-1] == "-e ."


def test_every_need_is_pinned_within_its_range() -> None:
    pinned = pins()
    for name, requirement in needs(*EXTRAS).items():
        assert name in pinned, f"{name} is missing from constraints.txt"
        assert requirement.specifier.contains(pinned[name]), f"{requirement}: {pinned[name]}"
    assert pinned["torch"] == "2.13.0"


def test_nothing_asks_for_a_package_that_would_replace_torch() -> None:
    assert not REPLACES_TORCH & set(needs(*PROJECT["optional-dependencies"]))
    assert not REPLACES_TORCH & set(pins())


def test_every_library_that_the_package_imports_is_a_declared_need() -> None:
    homes = importlib.metadata.packages_distributions()
    declared = set(needs("root", "pdf", "sky", "healpix", "notebooks", "dashboard", "dask"))
    optional = {"dask", "lightning"}  # asked for only where a user names them
    for path in [*(ROOT / "package").rglob("*.py"), *(ROOT / "dashboards").rglob("*.py")]:
        for module in imported(path) - set(sys.stdlib_module_names) - {"presage", "dashboards"}:
            names = {canonicalize_name(n) for n in homes.get(module, [module])}
            assert names & (declared | optional), f"{path.name} imports {module}: declare it"


def test_extras_say_which_of_their_libraries_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = importlib.metadata.packages_distributions()
    for name, modules in EXTRA_MODULES.items():
        brought = set(needs(name)) - set(needs())
        assert {canonicalize_name(homes[m][0]) for m in modules} == brought
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)
            with (
                pytest.raises(
                    MissingExtraError, match=rf"^this needs {module}, .*presage\[{name}\]"
                ),
                extra(name, "this"),
            ):
                importlib.import_module(module)
    with pytest.raises(ModuleNotFoundError, match="no_such"), extra("root", "this"):
        importlib.import_module("no_such_module")


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("papermill", ["run", "events", "--preset", "tiny"], "presage run needs papermill"),
        ("panel", ["dashboard", "--no-show"], "the dashboard needs panel"),
    ],
)
def test_a_command_without_its_extra_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [m for m in sys.modules if m.partition(".")[0] in (module, "dashboards")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "store").mkdir()
    with pytest.raises(SystemExit):
        main([*arguments, "--store", str(tmp_path / "store")])
    assert message in capsys.readouterr().err


def imported(path: Path) -> set[str]:
    """Return the top-level names of a file's absolute imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__ == presage.__version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


# -- the root package -------------------------------------------------------------------

LIGHT = """\
import sys, time
start = time.process_time()  # what it costs, whatever else the machine does
import presage
seconds = time.process_time() - start
heavy = {"torch", "xarray", "numpy", "pandas", "matplotlib"} & set(sys.modules)
import json; print(json.dumps([seconds, sorted(heavy)]))
"""


def test_importing_presage_is_light() -> None:
    runs = [json.loads(run_python("-c", LIGHT)) for _ in range(3)]
    assert runs[0][1] == []
    assert min(seconds for seconds, _ in runs) <= 0.3


def run_python(*arguments: str, cwd: Path | None = None) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout


@pytest.mark.parametrize("name", presage.__all__)
def test_every_public_name_is_there_and_described(name: str) -> None:
    value = getattr(presage, name)
    assert name in dir(presage)
    if not isinstance(value, str):
        assert value.__doc__


def test_no_module_has_the_name_of_a_verb() -> None:
    folder = Path(presage.__file__).parent
    modules = {path.stem for path in folder.iterdir()}
    verbs = {name for name in presage.__all__ if not isinstance(getattr(presage, name), ModuleType)}
    assert not modules & (verbs - {"__version__"})


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(AttributeError, match="presage has no 'stor'; did you mean 'Store'"):
        _ = presage.stor
    with pytest.raises(AttributeError, match="there is Batches, Parameter"):
        _ = presage.zzz


# -- the wheel --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_wheel_holds_notebooks_and_dashboard(tmp_path: Path) -> None:
    run_python(
        "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", "-w", str(tmp_path), str(ROOT),
    )  # fmt: skip
    (wheel,) = tmp_path.glob("presage-*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        content.extractall(tmp_path / "site")
    assert {"presage/py.typed", "presage/__init__.py", "presage/studies/__init__.py"} <= names
    for folder, pattern in (("notebooks", "*.*"), ("dashboards", "*.py")):
        files = [p for p in (ROOT / folder).rglob(pattern) if ".ipynb_checkpoints" not in p.parts]
        shipped = {f"presage/{p.relative_to(ROOT)}" for p in files}
        assert shipped
        assert shipped <= names
    tables = [p for p in (ROOT / "package" / "presage").rglob("data/*") if p.is_file()]
    assert {str(p.relative_to(ROOT / "package")) for p in tables} <= names
    assert not [n for n in names if "__pycache__" in n or n.startswith(("tests/", "benchmarks/"))]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from presage.pipeline import shipped; print(shipped('notebooks'), shipped('dashboards'))"
    )
    assert run_python("-c", code, cwd=tmp_path).split() == [
        str(tmp_path / "site" / "presage" / folder) for folder in ("notebooks", "dashboards")
    ]


# -- run.py -----------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_script", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    return module


def test_run_py_needs_nothing_but_python() -> None:
    assert imported(ROOT / "run.py") <= set(sys.stdlib_module_names)


def test_run_py_explains_itself_from_anywhere(tmp_path: Path) -> None:
    text = run_python(str(ROOT / "run.py"), "--help", cwd=tmp_path)
    for command in ("setup", "demo", "test", "bench", "dashboard"):
        assert f"python3 run.py {command}" in text


def test_run_py_refuses_unknown_commands_and_old_pythons(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(script.RunError, match="there is no command 'tests'; there is setup"):
        script.main(["tests"])
    monkeypatch.setattr(script, "OLDEST", (99, 0))
    with pytest.raises(script.RunError, match=r"Python 99\.0 or newer is needed, this is 3"):
        script.main(["setup"])


def test_run_py_says_what_to_install_where_venv_is_missing(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(script.RunError, match=re.escape("-venv")):
        script.main(["setup"])


def test_run_py_installs_once_and_again_when_the_needs_change(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []

    def call(*command: str | Path, **_: object) -> int:
        calls.append(tuple(map(str, command)))
        if "venv" in calls[-1]:
            script.VENV.mkdir()
            (script.VENV / "pyvenv.cfg").write_text("version = 3")
        return 0

    monkeypatch.setattr(script, "call", call)
    monkeypatch.setattr(script, "broken", lambda: False)
    assert script.main(["setup"]) == 0
    assert [c for c in calls if "install" in c and c[-1] == "torch"]
    assert calls[-1][-4:] == ("-c", "constraints.txt", "-e", ".[all,test]")
    calls.clear()
    assert script.main(["test", "-k", "store"]) == 0
    assert [c[1:] for c in calls] == [("-m", "pytest", "-k", "store")]
    (script.VENV / "pyvenv.cfg").write_text("version = 4")  # another interpreter
    calls.clear()
    assert script.main(["dashboard", "--port", "0"]) == 0
    assert "install" in calls[1]
    assert calls[-1][1:] == ("-m", "presage.cli", "dashboard", "--port", "0")
