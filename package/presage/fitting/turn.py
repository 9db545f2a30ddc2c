"""One process trains a recipe, others wait for what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from presage.fitting.result import is_published
from presage.progress import CLOCK, Bar
from presage.recipe import Recipe
from presage.store import Store

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@contextmanager
def turn(recipe: Recipe, store: Store, fabric: Fabric, progress: bool) -> Iterator[Path | None]:
    """Give the workspace once no other process trains the recipe; None once it is published.

    All processes of one ``torchrun`` are one: the first of them has the workspace.
    """
    name = f"{recipe.producer}: another process trains it, waiting for its result"
    with ExitStack() as held:
        folder = None
        with (
            fabric.rank_zero_first(),  # the others wait as long as it takes
            Bar(desc=name, bar_format=CLOCK, leave=False, disable=not progress),
        ):
            if fabric.global_rank == 0 and not is_published(recipe, store):
                folder = held.enter_context(store.workspace(recipe))
        yield fabric.broadcast(None if folder and is_published(recipe, store) else folder)
