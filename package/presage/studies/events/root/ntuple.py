"""RNTuples, ROOT's columns of today: their fields, and values read in bounded memory.

Columns are stored in clusters of entries, each column of a cluster in pages. What the pages of
a cluster declare is added up before any of them is read, and pages are held against their
checksums where they have some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from presage.labels import Array
from presage.studies.events.root.errors import TooLargeError
from presage.studies.events.root.finding import RootFile

KIND = "ROOT::RNTuple"


def check(ntuple: Any, file: RootFile, limit: int) -> None:
    """Check what the descriptions of an RNTuple declare, before they are read."""
    for what in ("Header", "Footer"):
        _within(ntuple.member(f"fLen{what}"), f"the {what.lower()} of the RNTuple", file, limit)
        _within(ntuple.member(f"fNBytes{what}"), f"the {what.lower()} of the RNTuple", file, limit)
    for group in ntuple.footer.cluster_group_records:
        size = group.page_list_link.env_uncomp_size
        _within(size, "a list of pages of the RNTuple", file, limit)
    if any(r.parent_field_id > i for i, r in enumerate(ntuple.field_records)):
        raise file.bad("the fields of its RNTuple contain each other; it is damaged")
    entries = 0
    for cluster in ntuple.cluster_summaries:
        if cluster.num_first_entry != entries:
            raise file.bad("clusters of its RNTuple are missing; it is damaged")
        entries += cluster.num_entries


def _within(declared: int, what: str, file: RootFile, limit: int) -> None:
    if not 0 <= declared <= limit:
        raise TooLargeError(file.path, what, declared, limit)


def fields(ntuple: Any) -> dict[str, Any]:
    """Return path → field, ``Muon.pt`` for a part of a record."""
    return {field.path: field for field in ntuple.all_fields if field.path}


def kind(field: Any) -> str:
    """Return as :meth:`~presage.studies.events.root.branches.Branches.kind` does."""
    import awkward as ak

    try:
        form, _ = field.to_akform()
    except (NotImplementedError, RuntimeError):
        return ""
    depth = 0
    while not isinstance(form, ak.forms.NumpyForm):
        if isinstance(form, ak.forms.RecordForm) and len(form.contents) == 1:
            form = form.contents[0]
        elif isinstance(form, (ak.forms.ListOffsetForm, ak.forms.RegularForm)):
            form, depth = form.content, depth + 1
        else:
            return ""
    if depth > 1 or form.parameters or form.inner_shape != ():
        return ""
    return str(ak.types.numpytype.primitive_to_dtype(form.primitive).kind) + "*" * depth


def read(
    ntuple: Any, chosen: Mapping[str, Any], file: RootFile, memory: int
) -> Iterator[tuple[int, int, dict[str, Array]]]:
    """Yield (first entry, entries, Awkward array of each field) in the order of entries.

    The RNTuple is open and was checked; `chosen` is path → field, and `memory` the bytes that are
    read at a time, and the largest column of a cluster.
    """
    import awkward as ak

    columns = {path: _columns(ntuple, field) for path, field in chosen.items()}
    for first, stop, clusters, whole in _spans(ntuple, columns, file, memory):
        for cluster in clusters:
            _check_pages(
                ntuple, sorted({c for used in columns.values() for c in used}), cluster, file
            )
        arrays = {}
        for path, field in chosen.items():
            array = field.array(entry_start=first, entry_stop=stop, array_cache=None)
            # A part of a cluster would keep all of it in memory.
            arrays[path] = array if whole else ak.to_packed(array)
            del array
        yield first, stop - first, arrays


def _columns(ntuple: Any, field: Any) -> list[int]:
    """Return the numbers of the columns that a field is made of: parents' offsets, own values."""
    parents = [record.parent_field_id for record in ntuple.field_records]
    used = {field.field_id}
    own = field.field_id
    while parents[own] != own:
        own = parents[own]
        used.add(own)
    inside = {field.field_id}
    for number, parent in enumerate(parents):  # parents come before their fields
        if parent in inside:
            inside.add(number)
    return [c.idx for c in ntuple.column_records if c.field_id in used | inside]


def _spans(
    ntuple: Any, columns: Mapping[str, list[int]], file: RootFile, memory: int
) -> Iterator[tuple[int, int, list[int], bool]]:
    """Yield (first entry, end, clusters, whether whole) of about `memory` bytes each."""
    first, held, clusters = 0, 0, list[int]()
    for number, cluster in enumerate(ntuple.cluster_summaries):
        start, stop = cluster.num_first_entry, cluster.num_first_entry + cluster.num_entries
        size = 0
        for path, used in columns.items():
            declared = sum(_declared(ntuple, number, column) for column in used)
            if declared > memory:
                raise TooLargeError(
                    file.path, f"cluster {number} of field {path!r}", declared, memory
                )
            size += declared
        if clusters and held + size > memory:
            yield first, start, clusters, True
            first, held, clusters = start, 0, []
        if size > memory:
            step = max(1, int(cluster.num_entries * memory / size))
            for low in range(start, stop, step):
                yield low, min(low + step, stop), [number], False
            first = stop
        else:
            clusters.append(number)
            held += size
    if clusters and ntuple.num_entries > first:
        yield first, int(ntuple.num_entries), clusters, True


def _pages(ntuple: Any, cluster: int, column: int) -> list[Any]:
    lists = ntuple.page_link_list[cluster]
    return list(lists[column].pages) if column < len(lists) else []


def _declared(ntuple: Any, cluster: int, column: int) -> int:
    """Return the bytes in memory that a column's pages declare."""
    width = max(4, -(-ntuple.column_records[column].nbits // 8))
    return int(sum(page.num_elements * width for page in _pages(ntuple, cluster, column)))


def _check_pages(ntuple: Any, columns: list[int], cluster: int, file: RootFile) -> None:
    """Compare pages with the checksums behind them, which the library does not look at."""
    import xxhash

    for column in columns:
        for number, page in enumerate(_pages(ntuple, cluster, column)):
            if page.has_checksum:
                start, size = page.locator.offset, page.locator.num_bytes
                raw = bytes(ntuple.file.source.chunk(start, start + size + 8).raw_data)
                if xxhash.xxh3_64_intdigest(raw[:-8]) != int.from_bytes(raw[-8:], "little"):
                    raise file.bad(
                        f"page {number} of column {column} in cluster {cluster} does not agree "
                        "with its checksum; the file is damaged"
                    )
