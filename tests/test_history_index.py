"""Histories, packed and not: nobody outside can tell which is which."""

import tracemalloc
from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import finished, intent, saved, submitted

from batchrun.ledger import history_index
from batchrun.ledger.history import NOWHERE, History, State, apply
from batchrun.ledger.history_index import Histories, Rows
from batchrun.ledger.records import CellLine, Dropped, Parked, Rejected

UUID = "eb6b75d8-08f8-94af-af4c-40d1399d9a8d"
DIGEST = "7305dd29c3e7aec57eafcddbb9f131d2"
RUN_IDS = [UUID, UUID.upper(), "00000000-0000-0000-0000-000000000000", "run_1", "", "é" * 36]
CELLS = [DIGEST, DIGEST.upper(), f"{DIGEST[:30]} 2", "0" * 32, "c1", "", "é", "\ud800", DIGEST * 2]


@pytest.fixture(autouse=True)
def _few_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_index, "RECENT", 2)


def put(rows: Rows, cell: str, history: History) -> None:
    rows.write([rows.reserve(cell)[0]], [history])


def life(cell: str, run_id: str = UUID, *, status: str = "succeeded") -> list[CellLine]:
    return [
        intent(cell),
        submitted(cell, run_id=run_id),
        finished(cell, run_id=run_id, status=status),
    ]


def folded(*lines: CellLine) -> Histories:
    held = Histories()
    for number, line in enumerate(lines):
        held.fold(line, number)
    return held


def kept_as_objects(*lines: CellLine) -> dict[str, History]:
    """Return what the lines come to where each history is an object for good."""
    found: dict[str, History] = {}
    for number, line in enumerate(lines):
        apply(found.setdefault(line.cell, History()), line, number)
    return found


LIVES = st.tuples(
    st.sampled_from(CELLS),
    st.sampled_from(RUN_IDS),
    st.sampled_from(
        ["succeeded", "failed", "cancelled", "open", "doubtful", "dropped", "rejected"]
    ),
)


def lines_of(lives: list[tuple[str, str, str]]) -> list[CellLine]:
    """Return the lines of lives one after the other, as far as they can follow."""
    lines: list[CellLine] = []
    history_index: dict[str, History] = {}
    for cell, run_id, end in lives:
        attempt = history_index.setdefault(cell, History()).attempt + 1
        given: list[CellLine] = [intent(cell, attempt, alias=end)]
        if end == "dropped":
            given.append(Dropped(cell=cell, attempt=attempt, reason=""))
        elif end == "rejected":
            given.append(Rejected(cell=cell, attempt=attempt, http_status=422))
        elif end != "doubtful":
            given.append(submitted(cell, attempt, run_id=run_id))
            given.append(Parked(cell=cell, attempt=attempt, reason=""))
            if end != "open":
                given.append(finished(cell, attempt, run_id=run_id, status=end))
                given += [saved(cell, attempt)] if end == "succeeded" else []
        for line in given:
            try:
                apply(history_index[cell], line, len(lines))
            except ValueError:
                break
            lines.append(line)
    return lines


@given(st.lists(LIVES, max_size=40))
def test_packed_or_not_a_history_is_the_same(lives: list[tuple[str, str, str]]) -> None:
    lines = lines_of(lives)
    held, expected = folded(*lines), kept_as_objects(*lines)

    assert held == expected
    assert len(held) == len(list(held)) == len(expected)
    assert set(held.open()) == {
        cell for cell, each in expected.items() if each.state in {State.DOUBTFUL, State.IN_FLIGHT}
    }


def test_a_line_that_cannot_follow_changes_nothing_packed_or_not() -> None:
    lines = [line for cell in CELLS for line in life(cell)]
    held, before = folded(*lines), kept_as_objects(*lines)
    for cell in CELLS:
        with pytest.raises(ValueError, match="cannot follow"):
            held.fold(submitted(cell), 99)
    with pytest.raises(ValueError, match="cannot follow"):
        held.fold(submitted("never heard of"), 99)

    assert held == before


def test_what_is_not_there_is_not_there() -> None:
    held = folded(*life("c1"))

    assert "c2" not in held
    with pytest.raises(KeyError):
        held["c2"]


def test_a_cell_that_is_begun_again_is_there_once() -> None:
    others = [line for number in range(9) for line in life(f"x{number}")]
    held = folded(*life("c1", status="failed"), *others, intent("c1", 2), *others[:0])

    assert list(held).count("c1") == 1
    assert len(held) == 10
    assert held["c1"].state is State.DOUBTFUL
    assert held["c1"].failures == 1


def test_a_row_written_over_forgets_the_odd_run_of_before() -> None:
    rows = Rows()
    odd, usual = (
        History(state=State.SUCCEEDED, run_id=run_id, intent_line=2**40) for run_id in ("r", UUID)
    )
    put(rows, DIGEST, odd)
    assert rows.get(DIGEST) == odd
    put(rows, DIGEST, usual)

    assert rows.get(DIGEST) == usual
    assert rows.get(DIGEST) == copy(usual)
    assert len(rows) == 1


def test_an_offset_may_be_far_out_or_nowhere() -> None:
    rows = Rows()
    history = History(saved_line=2**62, ended_line=NOWHERE, attempt=2**31, failures=2**31)
    put(rows, DIGEST, history)

    assert rows.get(DIGEST) == history


def test_many_cells_are_all_found_again() -> None:
    rows = Rows()
    keys = [f"{number * 0x9E3779B97F4A7C15F39CC060:032x}"[-32:] for number in range(5000)]
    for number, key in enumerate(keys):
        put(rows, key, History(intent_line=number))

    assert list(rows) == keys
    found = [rows.get(key) for key in keys]
    assert [each.intent_line for each in found if each is not None] == list(range(5000))
    assert rows.get("f" * 32) is None


@pytest.mark.parametrize("cells", [10_000, 15_000, 30_000])
def test_a_cell_costs_at_most_a_hundred_and_twenty_bytes(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_index, "RECENT", 1000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = Histories()
        for number in range(cells):
            key = f"{number:032x}"
            wave = f"br1.k3f9.{number // 100}"
            held.fold(intent(key, client_ref=wave, metadata={}, input=None), number * 1000)
            held.fold(submitted(key, run_id=UUID), number * 1000 + 300)
            held.fold(finished(key, run_id=UUID), number * 1000 + 500)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (after - before) / cells - 250 * 1000 / cells <= 120  # beside those that are recent


@pytest.mark.parametrize("cells", [10, 1000])
def test_a_cell_that_is_missed_keeps_all_else(cells: int) -> None:
    histories = Histories()
    keys = [f"{number:032x}" for number in range(cells)]
    for line, key in enumerate(keys):
        for record in (intent(key), submitted(key), finished(key), saved(key)):
            histories.fold(record, line)
    before = {key: copy(histories[key]) for key in keys}

    for key in keys[::3]:
        histories.miss(key)

    for number, key in enumerate(keys):
        expected = before[key]
        if number % 3 == 0:
            expected.saved_line = NOWHERE
        assert histories[key] == expected
        place = histories.number(key)
        assert place is not None
        assert histories.state(key, place) == (expected.state, expected.saved)
