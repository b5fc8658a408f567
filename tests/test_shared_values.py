"""What failed cells share: the values that explain them, and nothing where none do."""

import random
from itertools import product
from typing import Any

import pytest

from batchrun.results import shared_values
from batchrun.results.shared_values import MOST_VALUES, Shared, SharedValues

GRID = [
    {"duration": duration, "ratio": ratio, "seed": seed}
    for duration, ratio, seed in product((5, 10), ("1:1", "16:9"), range(10))
]


def of(cells: list[dict[str, Any]], fails: Any, reason: str = "x") -> Shared | None:
    found = SharedValues()
    for cell in cells:
        found.add("seedance", cell, reason if fails(cell) else None)
    return found.of("seedance", reason)


def test_one_value_that_all_failures_have_is_named() -> None:
    assert of(GRID, lambda cell: cell["duration"] == 10) == Shared(
        values={"duration": 10}, failed=20, cells=20
    )


def test_some_others_and_some_successes_do_not_hide_it() -> None:
    def fails(cell: dict[str, Any]) -> bool:
        odd = cell["seed"] == 3 and cell["ratio"] == "1:1"
        return bool((cell["duration"] == 10) != odd)

    assert of(GRID, fails) == Shared(values={"duration": 10}, failed=19, cells=20)


def test_two_values_are_named_where_one_alone_explains_less() -> None:
    def fails(cell: dict[str, Any]) -> bool:
        return bool(cell["duration"] == 10 and cell["ratio"] == "16:9")

    assert of(GRID, fails) == Shared(values={"duration": 10, "ratio": "16:9"}, failed=10, cells=10)


def test_failures_everywhere_share_nothing() -> None:
    assert of(GRID, lambda _: True) is None


def test_failures_by_chance_share_nothing() -> None:
    chance = random.Random(1)
    cells = [cell for cell in GRID for _ in range(10)]

    assert of(cells, lambda _: chance.random() < 0.3) is None


def test_one_failure_shares_nothing() -> None:
    assert of(GRID, lambda cell: cell == GRID[3]) is None


def test_of_values_that_always_come_together_the_shorter_is_named() -> None:
    cells = [
        {"prompt": f"a chair in {color}, studio light", "color": color, "n": n}
        for color in ("red", "blue")
        for n in range(9)
    ]

    found = of(cells, lambda cell: cell["color"] == "red")

    assert found is not None
    assert found.values == {"color": "red"}


def test_numbers_text_and_truth_differ() -> None:
    cells = [{"x": value, "n": n} for value in (1, "1", True, None, 2.5) for n in range(9)]

    for value in (1, "1", True, None, 2.5):
        found = of(cells, lambda cell, v=value: cell["x"] is v or repr(cell["x"]) == repr(v))
        assert found is not None
        assert repr(found.values["x"]) == repr(value)


def test_prompts_and_other_long_or_many_values_are_left_out() -> None:
    cells = [
        {"prompt": f"{n} " + "word " * 40, "id": f"id-{n}", "images": [n], "size": n % 2}
        for n in range(4 * MOST_VALUES)
    ]

    assert of(cells, lambda cell: cell["size"] == 1) == Shared(
        values={"size": 1}, failed=2 * MOST_VALUES, cells=2 * MOST_VALUES
    )


def test_an_axis_that_comes_up_late_or_is_left_out_of_some_cells_counts_there() -> None:
    cells = [{"a": n % 2} for n in range(20)] + [{"a": n % 2, "b": 7} for n in range(20)]

    assert of(cells, lambda cell: "b" in cell) == Shared(values={"b": 7}, failed=20, cells=20)


def test_the_counts_are_those_of_a_walk_over_all_cells_whatever_was_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_values, "MOST_ROWS", 12)

    assert of(GRID, lambda cell: cell["duration"] == 10) == Shared(
        values={"duration": 10}, failed=20, cells=20
    )


def test_other_aliases_and_other_reasons_are_apart() -> None:
    found = SharedValues()
    for cell in GRID:
        found.add("a", cell, "x" if cell["duration"] == 10 else None)
        found.add("b", cell, "y" if cell["ratio"] == "1:1" else "z")

    assert found.of("a", "x") == Shared(values={"duration": 10}, failed=20, cells=20)
    assert found.of("b", "y") == Shared(values={"ratio": "1:1"}, failed=20, cells=20)
    assert found.of("b", "x") is None
    assert found.of("c", "x") is None
