"""Import rules beyond the floors' contract: the root, torch, and what stays light."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import presage

PACKAGE = Path(__file__).resolve().parents[1] / "package" / "presage"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")
#: Where torch may be imported when a module is loaded; elsewhere inside functions.
TORCH = (
    "models",
    "fit",
    "studies/pdf",
    "studies/amp",
    "analysis/two_sample.py",
    "batches/tensors.py",
)


def top_level(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """Return the imports that run when the module is loaded."""
    found: list[ast.Import | ast.ImportFrom] = []
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.append(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))
    return found


def names(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 20


def test_nobody_imports_the_package_root() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert "presage" not in names(node), f"{path}:{node.lineno}"
                assert not getattr(node, "level", 0), f"relative import, {path}:{node.lineno}"


def test_torch_is_loaded_by_models_and_fits_only() -> None:
    for path in MODULES:
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(TORCH):
            for node in top_level(path):
                roots = {name.partition(".")[0] for name in names(node)}
                assert not roots & {"torch", "zuko", "lightning"}, f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "module", ["store", "generate", "batches", "transforms", "products", "pipeline", "cli"]
)
def test_reading_and_simulating_do_not_load_torch(module: str) -> None:
    code = f"import sys, json, presage.{module}; print(json.dumps('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False


def test_every_folder_is_a_package() -> None:
    for folder in {path.parent for path in MODULES}:
        assert (folder / "__init__.py").exists(), f"{folder} has no __init__.py"


@pytest.mark.parametrize("root", ["presage", "dashboards"])
def test_no_modules_import_one_another_in_a_circle(root: str) -> None:
    """Nor for types alone: what cannot be read in an order has no bottom to begin at."""
    graph = grimp.build_graph(root, cache_dir=None)
    circles = []
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            if graph.chain_exists(importer=other, imported=module):
                circles.append(f"{module} -> {other} -> {module}")
    assert not circles


def test_the_public_verbs_come_from_no_study() -> None:
    homes = {name: getattr(presage, name) for name in presage.__all__ if name != "studies"}
    for name, thing in homes.items():
        module = thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", "")
        assert not module.startswith("presage.studies"), name


@pytest.mark.parametrize("name", ["analysis", "emulation", "models", "transforms"])
def test_public_names_are_there_and_are_no_names_of_modules(name: str) -> None:
    """A function called as its module would be one or the other, by what was imported first."""
    package = importlib.import_module(f"presage.{name}")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert package.__all__
    for public in package.__all__:
        assert inspect.ismodule(getattr(package, public)) == (public in modules), public
