"""Ranges of samples: which are there, which are missing, which shard holds what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from presage.store.sidecar import Sidecar


def chain(shards: Sequence[Sidecar], start: int, stop: int) -> Iterator[tuple[Sidecar, int, int]]:
    """Yield ``(shard, from, to)`` that cover as much of ``[start, stop)`` as is there.

    Shards may overlap (two runs asked for different sizes at once); they then hold the same
    bytes, and the one that reaches farthest is read.
    """
    ordered = sorted(shards, key=lambda shard: shard.start)
    position, number, reaching = start, 0, start
    while position < stop:
        while number < len(ordered) and ordered[number].start <= position:
            if ordered[number].stop > reaching:
                best, reaching = ordered[number], ordered[number].stop
            number += 1
        if reaching > position:
            end = min(reaching, stop)
            yield best, position, end
            position = end
        elif number < len(ordered):
            position = ordered[number].start
        else:
            return


def gaps(shards: Sequence[Sidecar], start: int, stop: int) -> list[tuple[int, int]]:
    """Return the ranges of ``[start, stop)`` that no shard covers."""
    missing, position = [], start
    for _, low, high in chain(shards, start, stop):
        if low > position:
            missing.append((position, low))
        position = high
    if position < stop:
        missing.append((position, stop))
    return missing


def reach(shards: Sequence[Sidecar]) -> int:
    """Return how many samples there are from 0 without a gap."""
    stop = 0
    for shard in sorted(shards, key=lambda s: s.start):
        if shard.start > stop:
            break
        stop = max(stop, shard.stop)
    return stop


def shown(ranges: Sequence[tuple[int, int]], most: int = 5) -> str:
    """Return ranges as text, the first few of many.

    Examples
    --------
    >>> shown([(0, 8), (16, 24)])
    '[0, 8), [16, 24)'
    """
    text = ", ".join(f"[{a}, {b})" for a, b in ranges[:most])
    return text + (f" and {len(ranges) - most} more" if len(ranges) > most else "")
