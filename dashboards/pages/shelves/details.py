"""One entry of the store in full: what it is, how it was made, what is known of it, commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from dashboards.kit.page import Page
from dashboards.kit.theme import size_text, whole
from presage.pipeline import records
from presage.recipe import Parent, Recipe
from presage.store import EntryInfo, Store, StoreError
from presage.store.entry import Entry
from presage.store.sidecar import read_sidecar, sidecar_path

from .standing import Leftovers, Standing, leftovers

_LONGEST = 20_000
#: Most run records that are looked through for the one that made an entry.
_RUNS = 500


def details(store: Store, entry: EntryInfo, standing: Standing, pages: Mapping[str, Page]) -> str:
    """Return the HTML of an entry."""
    short = escape(entry.key[:16])
    show = ""
    if entry.kind == "product" and entry.state == "complete":
        show = "".join(
            f'<a class="save" href="?page={escape(name)}&amp;key={short}">Show these '
            f"{escape(page.what)}</a>"
            for name, page in pages.items()
            if page.producer == entry.producer
        )
        show += f'<a class="save" href="product/{short}.nc" download>netCDF</a>'
    return (
        f"<h2>{escape(entry.producer)}</h2>"
        f'<p class="verdict"><span class="state {standing.kind}">{escape(standing.text)}</span>'
        f" · {escape('; '.join(standing.more))}</p>"
        f'<p class="act"><button type="button" data-check="{short}">Check sizes and hashes</button>'
        f'{show}</p><p class="progress" role="status" aria-live="polite"></p>'
        f"<dl>{_facts(_known(store, entry))}</dl>{_beside(leftovers(store.root / entry.name))}"
        f"<h3>Commands</h3>{''.join(map(_command, commands(store, entry)))}"
        f'<h3>Recipe</h3><pre tabindex="0">{escape(recipe_text(entry.recipe))}</pre>'
    )


def _facts(facts: Mapping[str, str]) -> str:
    return "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v)


def _known(store: Store, entry: EntryInfo) -> dict[str, str]:
    facts = {"key": entry.key}
    samples = f"{whole(entry.samples)} samples, " if entry.samples else ""
    facts["holds"] = samples + size_text(entry.bytes)
    if entry.recipe is None:
        return facts
    facts["version"] = f"{entry.recipe.version}, seed {entry.recipe.seed}"
    paths = Entry(store.root / entry.name, entry.recipe).finished()
    if not paths:
        return facts
    facts["files"] = str(len(paths))
    try:
        made = read_sidecar(sidecar_path(paths[0])).provenance
    except (StoreError, OSError) as error:
        return facts | {"provenance": str(error)}
    return facts | _made(made)


def _made(known: Mapping[str, Any]) -> dict[str, str]:
    """Return when and with what a file was made, as far as a foreign sidecar makes sense."""
    versions = known.get("versions", {})
    versions = versions if isinstance(versions, Mapping) else {}
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    return {
        "made": str(known.get("created", "")).replace("T", " ").replace("Z", " UTC")[:60],
        "with": f"Python {known.get('python', '?')}; {used}"[:300],
        "on": str(known.get("processor", ""))[:120],
        "source": str(known.get("git", known.get("source", "")))[:60],
    }


def _beside(found: Leftovers) -> str:
    """Return what lies in the folder that belongs to no dataset."""
    about = {
        "In quarantine": (found.quarantined, "faulty; made again when they are next asked for"),
        "Unfinished": (found.working, "work in progress, or interrupted: the same command goes on"),
        "Half written": (found.partial, "a writer is at work, or was killed; the next one clears"),
    }
    return "".join(
        f"<h3>{title}</h3><p>{why}</p><ul>"
        + "".join(f"<li><code>{escape(name)}</code> {size_text(size)}</li>" for name, size in files)
        + "</ul>"
        for title, (files, why) in about.items()
        if files
    )


def commands(store: Store, entry: EntryInfo) -> list[str]:
    """Return commands about an entry, to be copied."""
    at, short = f"--store {shlex.quote(str(store.root))}", entry.key[:16]
    if not entry.recipe_json:
        return [f"presage store rm {shlex.quote(entry.name)} {at}"]
    typed = [f"presage store show {short} {at}", f"presage store verify {short} {at}"]
    study = _study(store.root, entry.key)
    if study:
        typed.append(f"presage run {study} --from {short} {at}")
    root = repr(str(store.root))
    typed.append(f"import presage as ps; data = ps.Store({root}).open({short!r})")
    return typed[:-1] if entry.kind == "files" else typed


def _study(root: Path, key: str) -> str:
    """Return the study of the run beside the store that recorded this key, else nothing."""
    runs = root.absolute().parent / "runs"
    for path in sorted(runs.glob(f"*/[!.]*/{records.FILE}"))[:_RUNS]:
        known = records.read(path.parent)
        made = getattr(known, "products", None)  # whatever a foreign record holds
        if known and key in (known.key, *(made.values() if isinstance(made, Mapping) else ())):
            return shlex.quote(path.parent.parent.name)
    return ""


def _command(text: str) -> str:
    return (
        f'<div class="command"><code>{escape(text)}</code>'
        '<button type="button" data-copy title="Copy">copy</button></div>'
    )


def recipe_text(recipe: Recipe | None) -> str:
    """Return a recipe's settings and parents as indented text."""
    if recipe is None:
        return "recipe.json cannot be read"
    shown: dict[str, Any] = dict(recipe.fields)
    if recipe.parents:
        shown["parents"] = [_parent(parent) for parent in recipe.parents]
    text = json.dumps(shown, indent=1, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n…"


def _parent(parent: Parent) -> str:
    span = f" samples [{parent.start}, {parent.stop})" if parent.stop else ""
    return parent.key[:16] + span + (" of a selection" if parent.selection else "")
