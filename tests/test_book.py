from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import EACH, SWEEP, finished, intent, saved, submitted

from batchrun.ledger.book import Book
from batchrun.ledger.facts import REMEMBERED, KnownRun, WithoutCost, duration
from batchrun.ledger.history import History, State
from batchrun.ledger.records import AnyRecord, Dropped, Extra, Learnt, Looked, Rejected, Uploaded


def book_of(*records: AnyRecord) -> Book:
    book = Book()
    for line, record in enumerate(records):
        book.add(record, line)
    return book


def test_a_cell_without_a_line_is_pending() -> None:
    assert book_of().history("c1") == History()


def test_asking_for_a_cell_does_not_make_it_one_of_the_ledger() -> None:
    book = book_of()
    book.history("c1")

    assert not book.histories


def test_who_we_are_is_what_the_last_start_said() -> None:
    book = book_of(SWEEP, SWEEP.__class__(**{**_fields(SWEEP), "organisation": "org_2"}))

    assert book.sweep is not None
    assert book.sweep.organisation == "org_2"


def test_open_cells_are_those_that_may_have_a_run() -> None:
    book = book_of(
        intent("doubtful"),
        *(intent("flying"), submitted("flying")),
        *(intent("done"), submitted("done"), finished("done"), saved("done")),
        *(intent("dropped"), Dropped(cell="dropped", attempt=1, reason="refused")),
        *(intent("rejected"), Rejected(cell="rejected", attempt=1, http_status=422)),
    )

    assert [key for key, _ in book.open_cells()] == ["doubtful", "flying"]


def test_money_is_counted_once_for_each_run_however_it_ended() -> None:
    book = book_of(
        *(intent(), submitted(), finished(status="failed", cost=Decimal("0.01"))),
        *(intent(attempt=2), submitted(attempt=2), finished(attempt=2, cost=Decimal("0.04"))),
        *(intent("c2", alias="other"), submitted("c2"), finished("c2", cost=None)),
    )

    assert book.cost == Decimal("0.05")
    assert book.spent["banana"] == Decimal("0.05")
    assert book.models["google/nano-banana-2"].runs == 3
    assert book.models["google/nano-banana-2"].max_cost == Decimal("0.04")


def test_what_was_reserved_is_kept_for_runs_that_may_be_billed_and_tell_no_cost() -> None:
    def ended(cell: str, status: str, reserved: str | None) -> list[AnyRecord]:
        amount = None if reserved is None else Decimal(reserved)
        last = finished(cell, status=status, cost=None)
        return [intent(cell, reserved=amount), submitted(cell), last]

    book = book_of(
        *ended("c1", "succeeded", "0.02"),
        *ended("c2", "cancelled", "0.03"),
        *ended("c3", "succeeded", None),
        *ended("c4", "failed", "0.04"),
        *(intent("c5"), Dropped(cell="c5", attempt=1, reason="refused")),
        *(intent("c5", reserved=None), submitted("c5"), finished("c5", cost=None)),
    )

    facts = book.facts("google/nano-banana-2")
    assert facts.unpriced == WithoutCost(4, 2, Decimal("0.05"))
    assert book.cost == 0


def test_an_extra_run_counts_once_and_with_the_cost_that_was_told_last() -> None:
    def extra(run_id: str, cost: str | None) -> Extra:
        amount = None if cost is None else Decimal(cost)
        return Extra(cell="c1", attempt=1, run_id=run_id, cost=amount)

    book = book_of(intent(), extra("x", None), extra("x", "0.04"), extra("x", "0.04"))
    assert (book.extras, book.cost) == (1, Decimal("0.04"))

    book.add(extra("y", "0.01"), 9)
    assert (book.extras, book.cost, book.spent["banana"]) == (2, Decimal("0.05"), Decimal("0.05"))


def test_an_extra_run_is_owed_its_cost_until_that_is_told() -> None:
    def extra(cost: str | None) -> Extra:
        return Extra(cell="c1", attempt=1, run_id="x", cost=None if cost is None else Decimal(cost))

    book = book_of(intent(), extra(None), extra(None))
    facts = book.facts("google/nano-banana-2")
    assert book.unpriced_duplicates == {"x": extra(None)}
    assert facts.unpriced == WithoutCost(1, 1)

    book.add(extra("0.04"), 9)
    assert not book.unpriced_duplicates
    assert facts.unpriced == WithoutCost()


def test_the_newest_run_is_known_with_the_wave_that_shows_it() -> None:
    book = book_of(
        *(intent(client_ref="br1.k.1"), submitted()),
        *(intent("c2", client_ref="br1.k.2"), submitted("c2"), intent("c3", client_ref="br1.k.3")),
    )

    assert book.newest == KnownRun("run-c2-1", "br1.k.2", "c2")
    assert book.last_wave == 3


def test_the_waves_that_may_lack_their_end_are_those_of_the_last_call_that_sent() -> None:
    book = book_of(
        *(SWEEP, intent(client_ref="br1.k.1"), intent("c2", model="a/b", client_ref="br1.k.2")),
        *(intent("c3", client_ref="br1.k.3"), SWEEP),
    )
    assert book.filling == {"google/nano-banana-2": "br1.k.3", "a/b": "br1.k.2"}

    book.add(intent("c4", client_ref="br1.k.4"), 9)
    assert book.filling == {"google/nano-banana-2": "br1.k.4"}


def test_a_wave_that_had_a_doubt_is_owed_a_last_look_until_it_had_it() -> None:
    book = book_of(intent(), submitted(doubted=True), intent("c2", client_ref="other"))
    assert book.doubted == {"br1.k3f9.1": "google/nano-banana-2"}

    book.add(Looked(client_ref="br1.k3f9.1"), 9)
    assert not book.doubted


def test_an_upload_is_remembered_by_its_content() -> None:
    first = Uploaded(sha256="01", asset_id="a", reference="r1")
    again = Uploaded(sha256="01", asset_id="b", reference="r2")

    assert book_of(first, again).uploads == {"01": again}


def test_whether_a_model_takes_batches_is_what_was_learnt_last() -> None:
    book = book_of(intent(), submitted(), finished())
    assert book.learnt == {}

    book.add(Learnt(model="google/nano-banana-2", batches=True), 9)
    book.add(Learnt(model="other", batches=True), 10)
    book.add(Learnt(model="google/nano-banana-2", batches=False), 11)
    assert book.learnt["google/nano-banana-2"].batches is False
    assert book.facts("google/nano-banana-2").runs == 1
    assert book.learnt["other"].batches is True


@pytest.mark.parametrize("record", [finished(), submitted(), saved(), finished("c9")])
def test_a_line_that_cannot_follow_changes_nothing(record: AnyRecord) -> None:
    book = book_of(intent("c9"))

    with pytest.raises(ValueError, match="cannot follow"):
        book.add(record, 1)
    assert list(book.histories) == ["c9"]
    assert book.cost == 0
    assert book.newest is None


def test_records_are_checked_in_their_order_and_without_being_added() -> None:
    book = book_of()
    book.check([SWEEP, intent(), submitted(), finished(), Looked(client_ref="w"), EACH[-1]])

    assert book.sweep is None
    assert book.histories == {}
    assert book.cost == 0
    with pytest.raises(ValueError, match="cannot follow"):
        book.check([submitted(), intent()])


@pytest.mark.parametrize(
    ("created", "completed", "milliseconds", "seconds"),
    [
        ("2026-05-04T12:00:00Z", "2026-05-04T12:00:02.500Z", 9000, 2.5),
        ("2026-05-04T12:00:00.000000Z", "2026-05-04T14:00:01+02:00", None, 1.0),
        ("2026-05-04T12:00:02Z", "2026-05-04T12:00:00Z", None, None),
        ("2026-05-04T12:00:02Z", "2026-05-04T12:00:00Z", 9000, 9.0),
        ("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", 9000, 9.0),
        (None, None, -5, None),
        (None, None, 10**18, None),
        (None, "2026-05-04T12:00:00Z", 9000, 9.0),
        (None, None, None, None),
        ("yesterday", "today", 9000, 9.0),
        ("2026-05-04T12:00:00", "2026-05-04T12:00:03Z", 9000, 3.0),
        ("", "", None, None),
    ],
)
def test_a_duration_is_the_service_s_own_and_times_that_are_none_do_not_matter(
    created: str | None, completed: str | None, milliseconds: int | None, seconds: float | None
) -> None:
    record = finished(created_at=created, completed_at=completed, duration_ms=milliseconds)

    assert duration(record) == seconds
    assert book_of(intent(), submitted(), record).history("c1").state is State.SUCCEEDED


def test_only_so_many_durations_are_remembered() -> None:
    records: list[AnyRecord] = []
    for number in range(REMEMBERED + 5):
        key = f"c{number}"
        records += [intent(key), submitted(key), finished(key, duration_ms=number * 1000)]
    durations = book_of(*records).facts("google/nano-banana-2").durations

    assert (len(durations), durations[-1]) == (REMEMBERED, REMEMBERED + 4)


def test_what_many_cells_share_is_held_once() -> None:
    def copy_of(text: str) -> str:
        return text[:3] + text[3:]

    lines = [
        intent(key, model=copy_of("m/one"), alias=copy_of("alias"), client_ref=copy_of("wave.1"))
        for key in ("c1", "c2")
    ]
    one, two = book_of(*lines).histories.values()

    assert one.model is two.model
    assert one.alias is two.alias
    assert one.client_ref is two.client_ref


@given(st.lists(st.sampled_from(EACH), max_size=40), st.integers(0, 40))
def test_a_fold_may_be_stopped_and_gone_on_with_anywhere(lines: list[AnyRecord], cut: int) -> None:
    """Totals survive any number of restarts: they depend on the lines, not on who read them."""
    whole, before = Book(), []
    for line, record in enumerate(lines):
        try:
            whole.check([record])
        except ValueError:
            continue
        whole.add(record, line)
        before.append((record, line))
    again = Book()
    for record, line in before[:cut]:
        again.add(record, line)
    for record, line in before[cut:]:
        again.add(record, line)

    assert vars(again) == vars(whole)


def _fields(record: AnyRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
