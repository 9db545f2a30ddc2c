"""The studies: one scientific case each, found by name and imported at first use.

A study says which notebooks make it up, under which presets they run, which producers its
datasets come from and what is printed at the end. Everything it computes lives in its own
folder; this module holds only the declaration and the table.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, get_args

import presage.plugins as plugins
from presage.labels import nearest
from presage.labels.caller import warn_caller
from presage.plugins import resolve
from presage.recipe import Recipe
from presage.simulator import Reader, Source
from presage.store import StoreError
from presage.typed import settings_of

#: Name → ``"module:attribute"`` of the study. A new study of presage is one line here; one of
#: another package is an entry point of the group ``presage.studies``.
STUDIES: dict[str, str] = {
    "events": "presage.studies.events:STUDY",
    "pdf": "presage.studies.pdf:STUDY",
    "sky": "presage.studies.sky:STUDY",
    "amp": "presage.studies.amp:STUDY",
}


class StudyError(plugins.PluginError):
    """There is no such study, producer or preset."""


@dataclass(frozen=True)
class Study:
    """One scientific case.

    Parameters
    ----------
    name
        As on the command line; also the folder under ``notebooks/`` and ``runs/``.
    title
        One line for listings.
    notebooks
        The steps in order, as file names without ``.ipynb``.
    presets
        Preset → parameter → value; what is a field of settings, these take by themselves
        (:class:`presage.studies.settings.StudySettings`).
    producers
        Producer's name in recipes → ``"module:Class"``. Their versions are part of every
        step's key, and simulators among them can be rebuilt from a recipe.
    summary
        ``"module:function"`` of a function ``(products, store_root) -> str``, where
        `products` maps each recorded name to its key; its text is printed after a run.
    optional
        Parameter → further steps, which run where that parameter is given: ``{"refine":
        ("5_where_it_fails", "6_refine")}``.
    folder
        Where the notebooks lie; by default ``notebooks/<name>`` of presage. A study of another
        package says ``Path(__file__).parent / "notebooks"``.
    trainer
        ``"module:Class"`` of what ``presage train NAME FROM`` runs: a dataclass of settings with
        ``fit(samples, store)``, which returns a named tuple of models and datasets. Its class
        attribute `origin`, if any, is what stands for a FROM that is left out.
    page
        ``"module:PAGE"`` of the study's page in the dashboard; presage's own are in
        ``dashboards.pages``.
    """

    name: str
    title: str
    notebooks: tuple[str, ...]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    producers: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folder: Path | None = None
    trainer: str = ""
    page: str = ""

    def preset(self, name: str) -> dict[str, Any]:
        """Return the parameters of a preset.

        Raises
        ------
        StudyError
            There is none of this name.
        """
        if name not in self.presets:
            raise StudyError(f"{self.name} has no preset {name!r}{nearest(name, self.presets)}")
        return dict(self.presets[name])


@contextmanager
def made_by(notebook: str, what: str, study: str) -> Iterator[None]:
    """Say which notebook of a study makes what a store does not hold."""
    try:
        yield
    except StoreError as error:
        raise StoreError(
            f"{error}. Notebook {notebook} makes {what}: run it first with the same parameters, "
            f"or all notebooks with: presage run {study}"
        ) from error


def study(name: str) -> Study:
    """Return a study by name.

    Raises
    ------
    PluginError
        There is none of this name, or it cannot be imported.
    """
    address = plugins.address_of(name, STUDIES, plugins.STUDIES, "study")
    found = resolve(address)
    if not isinstance(found, Study):
        raise StudyError(f"{address} is not a Study but {type(found).__name__}")
    return found


def studies() -> dict[str, Study]:
    """Return name → study: those of installed packages, then presage's own.

    One of another package that cannot be imported is left out, with a warning.
    """
    found: dict[str, Study] = {}
    for name in {**plugins.installed(plugins.STUDIES), **STUDIES}:
        try:
            found[name] = study(name)
        except plugins.PluginError as error:
            if name in STUDIES:
                raise
            warn_caller(f"the study {name} of an installed package is left out: {error}")
    return found


def producers() -> dict[str, str]:
    """Return producer's name → ``"module:Class"`` over all studies."""
    return {name: at for study in studies().values() for name, at in study.producers.items()}


def producer(name: str) -> Any:
    """Return the class behind a producer's name, of its own name, or at an address.

    Raises
    ------
    PluginError
        There is no producer of this name.
    """
    known = producers()
    if name not in known and not plugins.is_address(name):  # a class's own name, in any case
        alike = {known[n].rpartition(":")[2].lower(): n for n in known}
        name = {**alike, **{n.lower(): n for n in known}}.get(name.lower(), name)
    return resolve(plugins.address_of(name, known, plugins.SIMULATORS, "simulator or producer"))


def rebuild(recipe: Recipe, kind: type[Source] | None = None) -> Source:
    """Return the simulator or reader that a dataset of this recipe came from.

    Parameters
    ----------
    recipe
        Of the dataset. What it names is looked up among presage's own and installed packages'
        producers; code that only the recipe names is not run.
    kind
        The class, where it is a user's own.

    Raises
    ------
    PluginError
        It is no source of samples or reads them from files, is of another version, or does not
        fit its recipe.
    """
    known = {**plugins.installed(plugins.SIMULATORS), **producers()}
    if kind is None and recipe.producer not in known:
        raise StudyError(f"neither presage nor an installed package has {recipe.producer!r}")
    found = kind or resolve(known[recipe.producer])
    if kind is not None and kind.name != recipe.producer:
        raise StudyError(f"{kind.__name__} makes {kind.name!r}, not {recipe.producer!r}")
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise StudyError(f"{recipe.producer} is not a simulator; it cannot be simulated again")
    if issubclass(found, Reader):
        raise StudyError(f"{recipe.producer} reads files, which the recipe knows by hashes alone")
    if found.version != recipe.version:
        raise StudyError(
            f"the dataset is of {recipe.producer} version {recipe.version}, "
            f"this presage has version {found.version}; only its hashes can be checked"
        )
    try:
        source = found.of_identity(_restored(found, recipe.fields))
    except (TypeError, ValueError) as error:
        raise StudyError(f"{found.name} does not take the recipe's settings: {error}") from error
    if not isinstance(source, Source) or source.recipe(recipe.seed).key != recipe.key:
        raise StudyError(f"{recipe.producer} cannot be rebuilt from its recipe {recipe.key[:16]}")
    return source


def _restored(kind: type[Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's fields as the class takes them: those of a dataclass as an object of it.

    It is of the default's class, or of one that the field's annotation names. One of yet another
    class is left to `kind`, which knows its own kinds by name.
    """
    known, restored = settings_of(kind), dict(recorded)
    for name, value in recorded.items():
        if name not in known or not isinstance(value, Mapping):
            continue
        inner, usual = dict(value), type(known[name].default)
        classes = {c.__name__: c for c in (*_named(kind, name), usual) if is_dataclass(c)}
        found = classes.get(inner.pop("class", usual.__name__))
        if found is not None:
            restored[name] = found(**_restored(found, inner))
    return restored


def _named(kind: type[Any], name: str) -> tuple[type, ...]:
    """Return the classes that a field's annotation names, none where it cannot be read."""
    owner = next(c for c in kind.__mro__ if name in inspect.get_annotations(c))
    try:
        annotation = inspect.get_annotations(owner, eval_str=True)[name]
    except (NameError, AttributeError, TypeError):  # imported for type checkers alone
        return ()
    return tuple(c for c in (annotation, *get_args(annotation)) if isinstance(c, type))


def __getattr__(name: str) -> Any:
    if name in STUDIES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"there is no study {name!r}{nearest(name, STUDIES)}")
