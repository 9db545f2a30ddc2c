"""The studies: one scientific case each, found by name and imported at first use.

A study says which notebooks make it up, under which presets they run, which producers its
datasets come from and what is printed at the end. Everything it computes lives in its own
folder; this module holds only the declaration and the table.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from presage import plugins
from presage.labels import nearest
from presage.plugins import resolve
from presage.recipe import Recipe
from presage.simulator import Source
from presage.store import StoreError

#: Name → ``"module:attribute"`` of the study. A new study of presage is one line here; one of
#: another package is an entry point of the group ``presage.studies``.
STUDIES: dict[str, str] = {
    "events": "presage.studies.events:STUDY",
    "pdf": "presage.studies.pdf:STUDY",
}


class StudyError(plugins.PluginError):
    """There is no such study, producer or preset."""


@dataclass(frozen=True)
class Study:
    """One scientific case.

    Parameters
    ----------
    name
        As on the command line; also the folder under ``notebooks/``.
    title
        One line for listings.
    notebooks
        The steps in order, as file names without ``.ipynb``.
    presets
        Preset → parameter → value; each notebook takes the parameters that it declares.
    producers
        Producer's name in recipes → ``"module:Class"``. Their versions are part of every
        step's key, and simulators among them can be rebuilt from a recipe.
    summary
        ``"module:function"`` of a function ``(products, store_root) -> str``, where
        `products` maps each recorded name to its key; its text is printed after a run.
    refinement
        Further steps, of ``presage run NAME --refine N``: they find out where the study is
        weakest and simulate N labels there. At least one declares a parameter ``refine``.
    inputs
        ``"module:function"`` of a function ``(parameters, store) -> Mapping`` from names to the
        recipe keys of what the run starts from: its simulator as it is set, or users' files as
        they are now. Every step's key holds them, and they are asked for before the first
        notebook runs, with every parameter of the run, so it is here that values which make no
        sense are refused.
    choices
        Parameter → ``"module:TABLE"`` of the names that it may have, for ``--help``.
    trainer
        ``"module:Class"`` of what ``presage train SIMULATOR`` runs: a dataclass of settings
        with ``fit(dataset, store)``, which returns a named tuple of models and datasets. Its
        ``options`` map ``batch_size`` and ``num_epochs`` of the command to its fields.
    """

    name: str
    title: str
    notebooks: tuple[str, ...]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    producers: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    refinement: tuple[str, ...] = ()
    inputs: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    trainer: str = ""

    def refined(self) -> Study:
        """Return the study with its refinement among the steps.

        Raises
        ------
        StudyError
            It has none.
        """
        if not self.refinement:
            having = [name for name in STUDIES if study(name).refinement]
            raise StudyError(
                f"{self.name} has no steps that refine it; there are some in: {', '.join(having)}"
            )
        return replace(self, notebooks=self.notebooks + self.refinement, refinement=())

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


def producers() -> dict[str, str]:
    """Return producer's name → ``"module:Class"`` over all studies."""
    return {producer: at for name in STUDIES for producer, at in study(name).producers.items()}


def producer(name: str) -> Any:
    """Return the class behind a producer's name, of its own name, or at an address.

    Raises
    ------
    PluginError
        There is no producer of this name.
    """
    return resolve(_address(name) if not plugins.is_address(name) else name)


def _address(name: str) -> str:
    """Return the address of what presage or an installed package calls so; never `name` itself."""
    known = producers()
    classes = {address.rpartition(":")[2].lower(): address for address in known.values()}
    name = name if name in known else name.lower()
    if plugins.is_address(name):
        raise StudyError(
            f"the recipe names code, {name!r}, which is not run because a file says so; name it "
            "yourself"
        )
    what = "simulator or producer"
    return plugins.address_of(name, {**classes, **known}, plugins.SIMULATORS, what)


def trainer(name: str) -> Any:
    """Return the class that trains what a study trains from one of its simulators.

    Raises
    ------
    StudyError
        No study that trains so has a simulator of this name.
    """
    known = {p: s for s in map(study, STUDIES) if s.trainer for p in s.producers}
    if name not in known:
        other = next((s for s in STUDIES if name in study(s).producers), None)
        why = (
            f"{name} is of the study {other}, whose models are trained by presage train MODEL KEY"
            if other
            else f"there is no problem {name!r}{nearest(name, known)}"
        )
        raise StudyError(why)
    return resolve(known[name].trainer)


def rebuild(recipe: Recipe) -> Source:
    """Return the simulator or reader that a dataset of this recipe came from.

    Raises
    ------
    StudyError
        It is no source of samples, is of another version, or does not fit its recipe.
    """
    found = resolve(_address(recipe.producer))
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise StudyError(f"{recipe.producer} is not a simulator; it cannot be simulated again")
    if found.version != recipe.version:
        raise StudyError(
            f"the dataset is of {recipe.producer} version {recipe.version}, "
            f"this presage has version {found.version}; only its hashes can be checked"
        )
    try:
        source = found(**recipe.fields)
    except (TypeError, ValueError) as error:
        raise StudyError(f"{found.name} does not take the recipe's settings: {error}") from error
    if not isinstance(source, Source) or source.recipe(recipe.seed).key != recipe.key:
        raise StudyError(f"{recipe.producer} cannot be rebuilt from its recipe {recipe.key[:16]}")
    return source


def __getattr__(name: str) -> Any:
    if name in STUDIES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"there is no study {name!r}{nearest(name, STUDIES)}")
