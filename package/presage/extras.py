"""What is installed on demand: the libraries of one purpose, and the extra that brings them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

#: Extra → the modules that it brings. `pyproject.toml` lists the same.
EXTRAS = {
    "root": ("awkward", "uproot"),
    "pdf": ("arviz", "emcee"),
    "sky": ("astropy",),
    "healpix": ("healpy",),
    "notebooks": ("ipykernel", "jupyterlab", "nbclient", "papermill", "traitlets"),
    "dashboard": ("bokeh", "holoviews", "panel", "tornado"),
    "dask": ("distributed",),
}


class MissingExtraError(RuntimeError):
    """A library that this needs was not installed."""


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Turn a failed import of an extra's library into a sentence that says what to install.

    Parameters
    ----------
    name
        One of :data:`EXTRAS`.
    purpose
        What it is needed for, as the beginning of the sentence.

    Raises
    ------
    MissingExtraError
        Names the library and the command.

    Examples
    --------
    >>> with extra("dask", "a Dask cluster"):
    ...     import distributed
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS[name]:
            raise
        raise MissingExtraError(
            f"{purpose} needs {module}, which is not installed: pip install 'presage[{name}]', "
            "or presage[all] for everything"
        ) from None
