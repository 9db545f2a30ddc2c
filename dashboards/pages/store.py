"""The page of the store: what there is, what it was made from, and whether it is sound."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import panel as pn

from presage.recipe import Recipe
from presage.store import EntryInfo, Store, StoreError
from presage.store.sidecar import read_sidecar, sidecar_path

from .parts.lineage import lineage
from .parts.theme import guide, html, size_text, text_of
from .parts.view import Query

#: Column → what it is sorted by; the newest and the largest first.
_ORDERS: dict[str, tuple[Callable[[EntryInfo], Any], bool]] = {
    "producer": (lambda e: (e.producer, e.created), False),
    "kind": (lambda e: (e.kind, e.producer), False),
    "samples": (lambda e: e.samples, True),
    "size": (lambda e: e.bytes, True),
    "created": (lambda e: e.created, True),
    "state": (lambda e: (e.state == "complete", e.producer), False),
}


def page(store: Store, query: Query) -> list[Any]:
    """Return what stands on the page.

    Parameters
    ----------
    store
        What to show.
    query
        What the address asks for; messages are added to it.
    """
    entries = store.list()
    if not entries:
        command = f"presage run events --preset quick --store {store.root}"
        return [guide("The store is empty", [f"There is nothing in {store.root} yet."], [command])]
    sort = query.choose("sort", list(_ORDERS), "created")
    value, newest_first = _ORDERS[sort]
    entries = sorted(entries, key=value, reverse=newest_first)
    key = query.key([e.key for e in entries]) or entries[0].key
    entry = next(e for e in entries if e.key == key)
    left = html(_table(entries, key, sort), sizing_mode="stretch_width",
                styles={"flex": "1 1 0", "min-width": "0"})  # fmt: skip
    right = pn.Column(
        html(_details(store, entry, entries), sizing_mode="stretch_width"),
        *_checker(store, entry),
        sizing_mode="stretch_width",
        styles={"flex": "0 0 min(46%, 640px)", "min-width": "0"},
        margin=(0, 0, 0, 28),
    )
    return [pn.Row(left, right, sizing_mode="stretch_width", margin=(6, 0, 0, 0))]


def _table(entries: Sequence[EntryInfo], key: str, sort: str) -> str:
    total = f"{len(entries)} entries, {size_text(sum(e.bytes for e in entries))}"
    titles = ["producer", "key", "kind", "samples", "size", "created", "state"]
    heads = "".join(f"<th>{_heading(title, key, sort)}</th>" for title in titles)
    rows = "".join(_line(entry, key, sort) for entry in entries)
    return (
        f'<table class="entries"><caption>{total}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _heading(title: str, key: str, sort: str) -> str:
    if title not in _ORDERS:
        return title
    arrow = " ↓" if title == sort else ""
    return f'<a href="?page=store&amp;sort={title}&amp;key={key[:16]}">{title}{arrow}</a>'


def _line(entry: EntryInfo, key: str, sort: str) -> str:
    go = f"?page=store&amp;sort={sort}&amp;key={escape(entry.key[:16])}"
    samples = f"{entry.samples:,}".replace(",", "\u202f") if entry.samples else ""
    good = entry.state == "complete"
    known = ("complete", "unfinished")
    state = "gaps" if entry.state.startswith("gaps") else entry.state
    state = state if state in (*known, "gaps") else "faulty"
    cells = [
        f'<a href="{go}">{escape(entry.producer)}</a>',
        f'<a href="{go}"><code>{escape(entry.key[:12])}</code></a>',
        entry.kind,
        samples,
        size_text(entry.bytes),
        escape(entry.created[:16].replace("T", " ")),
        f'<span class="{"good" if good else "bad"}">{state}</span>',
    ]
    chosen = ' class="chosen"' if entry.key == key else ""
    return f"<tr{chosen}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _details(store: Store, entry: EntryInfo, entries: Sequence[EntryInfo]) -> str:
    facts = {"key": f"<code>{escape(entry.key)}</code>", "state": escape(entry.state)}
    if entry.recipe is not None:
        facts |= {"seed": str(entry.recipe.seed), "version": str(entry.recipe.version)}
        facts |= _provenance(store, entry.recipe)
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items())
    open_ = ""
    if entry.producer == "residuals" and entry.kind == "product":
        open_ = f'<p><a href="?page=events&amp;key={entry.key[:16]}">Show these residuals →</a></p>'
    return (
        f'<div class="details"><h3>{escape(entry.producer)}</h3><dl>{listed}</dl>{open_}'
        f"<h3>Lineage</h3>{lineage(entry.key, entries)}"
        f"<h3>Recipe</h3><pre>{escape(_recipe_text(entry.recipe))}</pre></div>"
    )


def _recipe_text(recipe: Recipe | None) -> str:
    """Return a recipe's settings and parents as indented text."""
    if recipe is None:
        return "recipe.json cannot be read"
    shown: dict[str, Any] = dict(recipe.fields)
    if recipe.parents:
        shown["parents"] = [_parent(parent) for parent in recipe.parents]
    return json.dumps(shown, indent=1, ensure_ascii=False, default=str)


def _parent(parent: Any) -> str:
    span = f" samples [{parent.start}, {parent.stop})" if parent.stop else ""
    return parent.key[:16] + span + (" of a selection" if parent.selection else "")


def _provenance(store: Store, recipe: Recipe) -> dict[str, str]:
    """Return when and with what the first file was made."""
    entry = store.entry(recipe)
    files = entry.finished()
    if not files:
        return {}
    try:
        known = read_sidecar(sidecar_path(files[0])).provenance
    except StoreError as error:
        return {"provenance": escape(str(error))}
    versions = known.get("versions", {})
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    facts = {
        "files": str(len(files)),
        "made": str(known.get("created", "")).replace("T", " ").replace("Z", " UTC"),
        "with": f"Python {known.get('python', '?')}; {used}",
        "on": str(known.get("processor", "")),
        "source": str(known.get("git", known.get("source", "")))[:60],
    }
    return {name: escape(text) for name, text in facts.items() if text}


def _checker(store: Store, entry: EntryInfo) -> list[Any]:
    """Return the button that hashes every file again, and where the result is said."""
    if entry.recipe is None:
        return []
    recipe = entry.recipe
    said = html('<span class="muted">Hashes every file again and compares.</span>')
    button = pn.widgets.Button(label="Check sizes and hashes", height=28, margin=(0, 10, 0, 0),
                               stylesheets=[text_of("control.css")])  # fmt: skip

    def check(_event: object) -> None:
        said.object = '<span class="muted">checking …</span>'
        try:
            problems = list(store.check(recipe))
            files = len(store.entry(recipe).finished())
        except (StoreError, OSError) as error:
            problems, files = [str(error)], 0
        said.object = (
            f'<span class="bad">{escape("; ".join(problems))}</span>' if problems
            else f'<span class="good">{files} files hold what was published.</span>'
        )  # fmt: skip

    button.on_click(check)
    row = pn.Row(button, said, align="center", margin=(8, 0, 16, 0))
    return [row]
