"""Find the dashboard's code: in the wheel, else in the checkout."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from presage.extras import extra
from presage.pipeline.steps import PipelineError, shipped


def load() -> ModuleType:
    """Import ``dashboards/app.py`` as ``dashboards.app`` from wherever it was shipped.

    Its folder is not put on the import path: in a wheel that would expose the modules of
    presage under top-level names.
    """
    folder = shipped("dashboards")
    if not (folder / "app.py").is_file():
        raise PipelineError(f"the dashboard is missing: no app.py in {folder}")
    if "dashboards" not in sys.modules:
        package = ModuleType("dashboards")
        package.__path__ = [str(folder)]
        package.__spec__ = importlib.util.spec_from_loader("dashboards", None, is_package=True)
        sys.modules["dashboards"] = package
    with extra("dashboard", "the dashboard"):
        return importlib.import_module("dashboards.app")
