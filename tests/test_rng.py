"""Random numbers of a block: reproducible, disjoint, independent of what was drawn before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from presage.rng import PARAMETERS, SIMULATION, generator, normals, sibling

addresses = st.tuples(
    st.sampled_from(["sky", "tone", ""]),
    st.integers(0, 2**80),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)


def numbers(rng: np.random.Generator, n: int = 8) -> list[int]:
    return rng.integers(0, 2**64, n, dtype=np.uint64).tolist()


def test_the_golden_numbers() -> None:
    # Philox is specified bit by bit; a change here changes every stored dataset.
    assert numbers(generator("toy", 0, 0), 2) == [0x411A856104D7383B, 0xD39DC5EC5D80FA52]


@given(one=addresses, other=addresses)
def test_a_block_has_its_own_numbers_and_always_the_same(one: Any, other: Any) -> None:
    assert numbers(generator(*one)) == numbers(generator(*one))
    if one != other:
        assert not set(numbers(generator(*one))) & set(numbers(generator(*other)))


@pytest.mark.parametrize(
    "changed", [("b", 0, 0, 1), ("a", 1, 0, 1), ("a", 0, 1, 1), ("a", 0, 0, 2)]
)
def test_each_part_of_the_address_counts(changed: tuple[str, int, int, int]) -> None:
    plain = generator("a", 0, 0, 1).standard_normal(20_000)
    other = generator(*changed).standard_normal(20_000)
    assert abs(np.corrcoef(plain, other)[0, 1]) < 0.04  # 5.6 standard errors


def test_neighbouring_blocks_share_no_number() -> None:
    # Consecutive counters would overlap if a block's draws advanced the block's own word.
    seen: set[int] = set()
    for block in range(50):
        for stream in (PARAMETERS, SIMULATION):
            drawn = numbers(generator("toy", 3, block, stream), 1000)
            assert len(seen & set(drawn)) == 0
            seen.update(drawn)
    assert len(seen) == 100 * 1000


def test_a_long_draw_never_reaches_the_next_block() -> None:
    rng = generator("toy", 0, 5)
    rng.bit_generator.advance(2**120)
    counter = rng.bit_generator.state["state"]["counter"]
    assert counter[2:].tolist() == [5, SIMULATION]


@given(address=addresses, drawn=st.integers(0, 50), stream=st.integers(0, 9))
def test_a_sibling_does_not_depend_on_what_was_drawn(address: Any, drawn: int, stream: int) -> None:
    name, seed, block, _ = address
    rng = generator(name, seed, block, SIMULATION)
    rng.random(drawn)
    rng.standard_normal(drawn % 3)
    before = rng.bit_generator.state["state"]["counter"].tolist()
    assert numbers(sibling(rng, stream)) == numbers(generator(name, seed, block, stream))
    assert rng.bit_generator.state["state"]["counter"].tolist() == before


def test_whole_floats_are_integers() -> None:
    assert numbers(generator("a", 1.0, np.int64(2))) == numbers(generator("a", 1, 2))  # type: ignore[arg-type]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"seed": -1}, "seed must be a non-negative integer, got -1"),
    ({"seed": 0.5}, "seed must be a non-negative integer, got 0.5"),
    ({"block": -2}, "block must be a non-negative integer, got -2"),
    ({"stream": 1.5}, "stream must be a non-negative integer, got 1.5"),
]


@pytest.mark.parametrize(("change", "text"), WRONG)
def test_other_addresses_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        generator(**{"name": "a", "seed": 0, "block": 0, "stream": 0, **change})


def test_a_sibling_needs_philox() -> None:
    with pytest.raises(ValueError, match="sibling needs a Philox generator, got PCG64"):
        sibling(np.random.default_rng(0), 1)


# -- normals ----------------------------------------------------------------------------


def test_normals_are_normal_and_independent() -> None:
    drawn = normals(generator("toy", 1, 0), (20, 100_001)).ravel().astype(np.float64)
    n = drawn.size
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    for power, expected, error in ((1, 0, 1), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)):
        assert abs(np.mean(drawn**power) - expected) < 4 * error / n**0.5
    assert 4.5 < np.abs(drawn).max() < 6.8
    for lag in (1, 2, 1 << 14, 1 << 15):  # partners of one angle lie half a run apart
        for power in (1, 2):
            one, other = drawn[:-lag] ** power, drawn[lag:] ** power
            assert abs(np.corrcoef(one, other)[0, 1]) < 4 / n**0.5


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 1 << 15)])
def test_normals_have_a_shape_and_follow_from_the_generator(shape: tuple[int, ...]) -> None:
    first, again = (normals(generator("toy", 2, 5), shape) for _ in range(2))
    assert first.shape == shape
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert np.isfinite(first).all()
