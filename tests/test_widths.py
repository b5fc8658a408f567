"""Text on a terminal: how wide it is, and how tables fit there."""

import pytest

from batchrun.base.widths import cut, fitted, in_columns, width_of, wrapped


@pytest.mark.parametrize("width", [1, 2, 5, 8, 20])
@pytest.mark.parametrize("text", ["", "a red chair", "椅子が三つ", "a" * 50, "x 椅 " * 9])
def test_what_is_cut_or_wrapped_is_within_the_width(text: str, width: int) -> None:
    assert width_of(cut(text, width)) <= width
    widest = max(width_of(each) for each in [*text, " "])
    lines = wrapped(text, width)
    assert all(width_of(line) <= max(width, widest) for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_the_widest_columns_give_way_and_some_never_do() -> None:
    assert fitted([5, 40, 20], 100) == [5, 40, 20]
    assert fitted([5, 40, 20], 39) == [5, 15, 15]
    assert fitted([5, 40, 20], 39, kept={2}) == [5, 10, 20]
    assert fitted([5, 40, 20], 3, least=8) == [5, 8, 8]
    assert fitted([5, 40, 20], 3) == [4, 4, 4]
    assert fitted([], 3) == []


def test_a_row_has_as_many_lines_as_what_is_wrapped_needs() -> None:
    row = ["model-with-a-name", "7", "a red chair and a lamp"]

    assert [*in_columns(row, [8, 3, 11], right={1}, wraps={2})] == [
        "model-w…    7  a red chair",
        "               and a lamp",
    ]
