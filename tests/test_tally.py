from collections.abc import Sequence
from decimal import Decimal

import pytest
from counting import count, tally
from ledger_lines import finished, intent, saved, submitted
from msgspec import structs
from result_lines import MemoryLedger, cell, counts

from batchrun.base.text import money
from batchrun.ledger.book import Book
from batchrun.ledger.history import History, Standing, State, standing
from batchrun.ledger.records import AnyRecord, Dropped, Extra, Lost, Parked, Rejected, Saved
from batchrun.results.tally import Tally, count_ledger

REJECTED = Rejected(cell="c1", attempt=1, http_status=422)

# What a cell's lines make it count as, with two attempts.
LIVES: list[tuple[str, Sequence[AnyRecord]]] = [
    ("pending", []),
    ("pending", [intent(), Dropped(cell="c1", attempt=1, reason="refused")]),
    ("in_doubt", [intent()]),
    ("in_doubt", [intent(), Parked(cell="c1", attempt=1, reason="in doubt")]),
    ("in_flight", [intent(), submitted()]),
    ("parked", [intent(), submitted(), Parked(cell="c1", attempt=1, reason="too old")]),
    ("succeeded", [intent(), submitted(), finished(), saved()]),
    ("partial_succeeded", [intent(), submitted(), finished(status="partial_succeeded"), saved()]),
    ("pending", [intent(), submitted(), finished(status="failed")]),
    ("cancelled", [intent(), submitted(), finished(status="cancelled")]),
    ("rejected", [intent(), REJECTED]),
    (
        "failed",
        [
            *(intent(), submitted(), finished(status="failed")),
            *(intent(attempt=2), submitted(attempt=2), finished(attempt=2, status="failed")),
        ],
    ),
    (
        "in_doubt",
        [intent(), submitted(), finished(status="failed"), intent(attempt=2)],
    ),
]


def book_of(*records: AnyRecord) -> Book:
    return MemoryLedger(records).book


@pytest.mark.parametrize(("word", "life"), LIVES)
def test_a_cell_counts_once_and_as_what_its_lines_make_it(
    word: str, life: Sequence[AnyRecord]
) -> None:
    counted = tally([cell()], book_of(*life), attempts=2, download=True)

    found = counts(counted.as_dict())
    assert found.pop("invalid_input", 0) == (word == "rejected")
    assert found == {"cells": 1, word: 1}


@pytest.mark.parametrize(
    ("code", "why"),
    [("NSFW", "moderated"), ("INPUT_VALIDATION_FAILED", "invalid_input"), ("BUSY", None)],
)
@pytest.mark.parametrize("word", ["failed", "rejected"])
def test_of_bad_ends_those_that_another_run_helps_not_are_counted_once_more(
    word: str, code: str, why: str | None
) -> None:
    ended = [submitted(), finished(status="failed", failure_code=code)]
    refused = Rejected(cell="c1", attempt=1, http_status=422, code=code)
    book = book_of(intent(), *(ended if word == "failed" else [refused]))
    why = "invalid_input" if word == "rejected" and why is None else why

    found = {"cells": 1, word: 1, **({why: 1} if why else {})}
    assert counts(tally([cell()], book, attempts=1, download=True).as_dict()) == found
    assert counts(count_ledger(book, attempts=1, download=True).tally.as_dict()) == found


def test_every_standing_is_a_count() -> None:
    assert set(Standing) <= set(Tally().as_dict())


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_standing(state: State) -> None:
    assert standing(History(state=state, failures=9), attempts=2) in set(Standing)


def test_what_succeeded_and_is_not_on_disk_is_unsaved_if_it_should_be_there() -> None:
    book = book_of(intent(), submitted(), finished())

    assert tally([cell()], book, attempts=2, download=True).unsaved == 1
    assert tally([cell()], book, attempts=2, download=False).unsaved == 0


def test_a_failed_cell_is_failed_once_its_attempts_are_used() -> None:
    book = book_of(intent(), submitted(), finished(status="failed"))

    assert tally([cell()], book, attempts=1, download=True).failed == 1
    assert tally([cell()], book, attempts=2, download=True).pending == 1


def test_a_cell_that_was_granted_another_try_is_pending() -> None:
    book = book_of(intent(), REJECTED)

    assert tally([cell()], book, attempts=2, download=True, granted={"c1": 3}).pending == 1


def test_points_that_come_to_one_cell_are_folded_also_over_models() -> None:
    points = [cell("c1"), cell("c2"), cell("c1"), cell("c1", alias="again")]
    counted = count(points, Book(), attempts=2, download=True)

    assert counts(counted.tally.as_dict()) == {"cells": 2, "pending": 2, "folded": 2}
    assert [(row.alias, row.tally.cells, row.tally.folded) for row in counted.models] == [
        ("banana", 2, 1),
        ("again", 0, 1),
    ]


def test_cells_that_the_manifest_does_not_name_are_orphaned_and_nothing_else() -> None:
    book = book_of(intent("gone"), submitted("gone"), intent("c1"))

    assert counts(tally([cell()], book, attempts=2, download=True).as_dict()) == {
        "cells": 1,
        "in_doubt": 1,
        "orphaned": 1,
    }


def test_models_come_in_the_manifest_s_order_with_what_their_runs_cost() -> None:
    extra = Extra(cell="c1", attempt=1, run_id="x", cost=Decimal("0.03"))
    book = book_of(
        *(intent(alias="b"), submitted(), finished(cost=Decimal("0.04")), extra),
        *(intent("c2", alias="a"), submitted("c2"), finished("c2", cost=Decimal("0.5"))),
    )
    counted = count([cell("c1", "b"), cell("c2", "a")], book, attempts=2, download=True)

    assert [(row.alias, row.cost) for row in counted.models] == [
        ("b", Decimal("0.07")),
        ("a", Decimal("0.5")),
    ]


def test_the_cells_are_drawn_one_by_one_and_not_kept() -> None:
    """A million cells are counted in memory that holds their keys alone."""
    alive = 0
    most = 0

    class Point:
        def __init__(self, number: int) -> None:
            nonlocal alive, most
            self.key, self.alias = str(number), "banana"
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    points = (Point(number) for number in range(1000))
    assert tally(points, Book(), attempts=2, download=True).cells == 1000  # type: ignore[arg-type]  # like a Cell as far as counting goes
    assert most <= 2


def test_counts_add_up() -> None:
    records = [
        structs.replace(record, cell=f"c{number}")
        for number, (_, life) in enumerate(LIVES)
        for record in life
    ]
    points = [cell(f"c{number}") for number in range(len(LIVES))]
    counted = tally(points, book_of(*records), attempts=2, download=True)

    assert sum(getattr(counted, word) for word in Standing) == counted.cells == len(LIVES)
    assert counted.bad == 4
    assert counted.unfinished == 8


@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("status", ["succeeded", "partial_succeeded"])
def test_a_cell_that_lost_a_file_is_bad_once_and_not_unsaved(
    *, status: str, download: bool
) -> None:
    gone = Lost(cell="c1", run_id="run-c1-1", place=0, all=1, file="files/c1", message="HTTP 404")
    book = book_of(
        intent(), submitted(), finished(status=status), gone, Saved(cell="c1", run_id="r")
    )

    for counted in (
        tally([cell()], book, attempts=2, download=download),
        count_ledger(book, attempts=2, download=download).tally,
    ):
        assert (counted.bad, counted.unsaved, counted.unfinished) == (1, 0, 0)
        assert counted.lost == (status == "succeeded")


@pytest.mark.parametrize("owed", [(), (1,)])
def test_a_cell_is_unsaved_as_long_as_a_file_of_it_is_owed(owed: tuple[int, ...]) -> None:
    book = book_of(intent(), submitted(), finished(), saved(), structs.replace(saved(), owed=owed))

    assert tally([cell()], book, attempts=2, download=True).unsaved == len(owed)


def test_without_a_manifest_the_ledger_s_cells_are_counted() -> None:
    book = book_of(intent("a"), intent("b"), submitted("b"), finished("b"))

    counted = count_ledger(book, attempts=2, download=True)
    assert [row.alias for row in counted.models] == ["banana"]
    assert counted.as_dict()["banana"]["cost"] == money(book.cost)
    assert counts(counted.tally.as_dict()) == {
        "cells": 2,
        "in_doubt": 1,
        "succeeded": 1,
        "unsaved": 1,
    }
