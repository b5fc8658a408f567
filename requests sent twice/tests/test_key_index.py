"""Keys: a set that numbers what it holds."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.ledger.key_index import KeyIndex

DIGEST = "7305dd29c3e7aec57eafcddbb9f131d2"
TEXTS = [DIGEST, DIGEST.upper(), f"{DIGEST[:30]} 2", f"{DIGEST}\n", "0" * 32, "c1", "", "\ud800"]


@given(st.lists(st.sampled_from(TEXTS) | st.text() | st.from_regex("[0-9a-f]{32}", fullmatch=True)))
def test_it_numbers_each_key_once_in_the_order_in_which_they_come(cells: list[str]) -> None:
    keys, expected = KeyIndex(), dict[str, int]()
    for cell in cells:
        new = cell not in expected
        assert (cell in keys) is not new
        assert keys.add(cell) == (expected.setdefault(cell, len(expected)), new)

    assert len(keys) == len(expected)
    assert {cell: keys.number(cell) for cell in expected} == expected
    assert len(list(keys.digests())) == len(expected)
    assert keys.number("never added: a text of its own") is None


def test_many_keys_are_all_found_again() -> None:
    keys = KeyIndex()
    cells = [f"{number * 0x9E3779B97F4A7C15F39CC060:032x}"[-32:] for number in range(20_000)]
    for cell in cells:
        keys.add(cell)

    assert [keys.number(cell) for cell in cells] == list(range(20_000))
    assert [digest.hex() for digest in keys.digests()] == cells


@pytest.mark.parametrize("cells", [10_000, 20_000, 50_000])
def test_a_key_costs_little(cells: int) -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        keys = KeyIndex()
        for number in range(cells):
            keys.add(f"{number:032x}")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (after - before) / cells < 32


@given(st.lists(st.tuples(st.sampled_from(TEXTS) | st.text(), st.booleans()), max_size=200))
def test_the_key_that_came_last_can_be_taken_back(steps: list[tuple[str, bool]]) -> None:
    keys, expected = KeyIndex(), dict[str, int]()
    for cell, stays in steps:
        number, new = keys.add(cell)
        if stays or not new:
            assert number == expected.setdefault(cell, len(expected))
        else:
            keys.take_back()

    assert len(keys) == len(list(keys.digests())) == len(expected)
    assert {cell: keys.number(cell) for cell, _ in steps} == {
        cell: expected.get(cell) for cell, _ in steps
    }


def test_a_key_is_taken_back_at_every_size() -> None:
    keys = KeyIndex()
    for number in range(2000):
        keys.add(f"{number:032x}")
        keys.add("never to stay")
        keys.take_back()

    assert "never to stay" not in keys
    assert [keys.number(f"{number:032x}") for number in range(2000)] == list(range(2000))
