"""The pages: those of the studies, found through their declarations, and the store's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from dashboards.kit.page import Page
from presage import plugins
from presage.studies import STUDIES, study

STORE = Page(
    "Store",
    keys=(("/", "search"), ("↑ ↓", "entry")),
    reading="Click an entry, or a box of the graph, for what it was made from and how.",
)


@cache
def pages(more: tuple[str, ...] = ()) -> dict[str, Page]:
    """Return name → page: of presage's studies, of installed ones, and of `more` by address.

    What cannot be imported is a page that says why.

    Raises
    ------
    PluginError
        One of `more` is no study.
    """
    found: dict[str, Page] = {}
    for name in dict.fromkeys((*STUDIES, *plugins.installed(plugins.STUDIES), *more)):
        try:
            about = study(name)
            if about.page:
                found[about.name] = _page(about.page)
        except plugins.PluginError as error:
            if name in more:
                raise
            found[name] = _broken(name, error)
    return {**found, "store": STORE}


def _page(address: str) -> Page:
    page = plugins.resolve(address)
    if not isinstance(page, Page):
        raise plugins.PluginError(f"{address} is not a Page but {type(page).__name__}")
    return page


def _broken(name: str, error: Exception) -> Page:
    return Page(name, name, "products", fault=f"its page cannot be imported: {error}")


def producers_of(name: str, more: Sequence[str] = ()) -> Sequence[str]:
    """Return the producers of the study that a page is of."""
    for one in (*more, name):
        about = study(one)
        if about.name == name:
            return list(about.producers)
    return []
