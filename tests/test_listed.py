"""What a message lists has an end: the first ones, and how many more there are."""

from pathlib import Path

import pytest

from batchrun.base.text import few, listed
from batchrun.errors import BudgetReachedError, ManifestError
from batchrun.manifest.load import read_manifest


def test_no_more_than_twenty_are_listed_and_the_others_counted() -> None:
    names = [f"n{number}" for number in range(1, 1026)]

    assert listed(names[:20]) == ", ".join(names[:20])
    assert listed(names) == f"{', '.join(names[:20])} and 1,005 more"
    assert listed(names[:4], most=2, by="; ") == "n1; n2 and 2 more"
    assert listed([]) == ""


def test_lines_end_with_how_many_more_there_are() -> None:
    assert list(few("abc")) == ["a", "b", "c"]
    assert list(few("abc", most=2)) == ["a", "b", "and 1 more"]


def test_the_calls_that_settle_a_budget_are_cut_too() -> None:
    error = BudgetReachedError("full", left=[Path(f"@{number}") for number in range(25)])
    error.settling = tuple(f"batchrun m.yaml --label {number}" for number in range(25))

    lines = str(error).splitlines()

    assert (len(lines), lines[-1]) == (22, "  and 5 more such calls")


def test_a_column_of_another_length_is_named_however_many_there_are() -> None:
    columns = "".join(f"  c{number}: [1{', 2' * (number == 24)}]\n" for number in range(25))
    text = f"models: [a/b]\nzip:\n{columns}"

    with pytest.raises(ManifestError, match=r"of unequal length: c24 2, c0 1, c1 1, .* 5 more"):
        read_manifest(text.encode(), Path("m.yaml"), {})
