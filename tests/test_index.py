"""The index of a ledger says what the ledger says, however it came to know it."""

import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_lines import EACH, SWEEP, finished, intent, read_book, saved, submitted

from batchrun.ledger.history import State
from batchrun.ledger.index import Index, InputValue, Spent, open_index
from batchrun.ledger.reader import read_line
from batchrun.ledger.records import (
    AnyRecord,
    Dropped,
    Extra,
    Finished,
    Intent,
    Parked,
    Rejected,
    Reused,
    encode,
)
from batchrun.sweep.location import INDEX

DAYS = ("2026-05-03", "2026-05-04")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator["OnDisk"]:
    on_disk = OnDisk(tmp_path)
    yield on_disk
    on_disk.close()


class OnDisk:
    """A ledger's file, and the index beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "ledger.jsonl"
        self.path.touch()
        self.fd = os.open(self.path, os.O_RDONLY)
        self.index = Index(folder / INDEX)

    def append(self, *records: AnyRecord) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(map(encode, records)))

    def reopen(self) -> None:
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDONLY)

    def close(self) -> None:
        os.close(self.fd)
        self.index.close()


def key(number: int) -> str:
    return f"{number:032x}"


def life(number: int, ending: str, day: str) -> list[AnyRecord]:
    """Return the lines of one cell."""
    cell = key(number)
    at = f"{day}T10:00:00.000000Z"
    first = intent(cell, at=at, server_at=None, input={"seed": number % 3, "prompt": "p" * 200})
    match ending:
        case "rejected":
            return [first, Rejected(cell=cell, attempt=1, http_status=422)]
        case "dropped":
            return [first, Dropped(cell=cell, attempt=1, reason="certain")]
        case "parked":
            return [first, submitted(cell), Parked(cell=cell, attempt=1, reason="old")]
        case "twice":
            again = intent(cell, 2, at=f"{DAYS[1]}T01:00:00Z", server_at=None, input=None)
            failed = finished(cell, status="failed", cost=None)
            return [first, submitted(cell), failed, again, submitted(cell, 2), finished(cell, 2)]
        case "extra":
            extra = Extra(cell=cell, attempt=1, run_id=f"extra-{number}", cost=None)
            priced = Extra(cell=cell, attempt=1, run_id=f"extra-{number}", cost=Decimal("0.01"))
            return [first, submitted(cell), finished(cell), extra, priced]
        case _:
            return [first, submitted(cell), finished(cell), saved(cell)]


def test_what_was_read_when_it_had_to_stop_is_kept_and_the_rest_follows(
    ledger: OnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.ledger.index.BATCH", 3)
    ledger.append(SWEEP, *(line for number in range(4) for line in life(number, "saved", DAYS[0])))

    ends = [ledger.index.catch_up(ledger.fd, until=lambda: True) for _ in range(6)]

    assert ends == [False, False, False, False, False, True]
    assert len(list(ledger.index.states())) == 4
    assert {state for _, state in ledger.index.states()} == {State.SUCCEEDED}
    assert [cost for _, cost in ledger.index.costs()] == [Decimal("0.04")] * 4


def test_what_was_taken_over_has_a_state_and_a_file_and_no_run(ledger: OnDisk) -> None:
    [reused] = [record for record in EACH if isinstance(record, Reused)]
    ledger.append(SWEEP, reused)

    assert ledger.index.catch_up(ledger.fd)

    assert list(ledger.index.states()) == [("c1", State.SUCCEEDED)]
    assert ledger.index.find(reused.files[0].path) == ["c1"]
    assert list(ledger.index.costs()) == []


ENDINGS = ("saved", "rejected", "dropped", "parked", "twice", "extra")
lives = st.lists(st.tuples(st.sampled_from(ENDINGS), st.sampled_from(DAYS)), max_size=12)


@settings(max_examples=examples(100))
@given(lives, st.randoms(use_true_random=False), st.lists(st.integers(0, 60), max_size=6))
def test_what_it_knows_is_what_the_ledger_says(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[tuple[str, str]],
    chance: object,
    stops: list[int],
) -> None:
    lanes = [life(number, *each) for number, each in enumerate(drawn)]
    records: list[AnyRecord] = [SWEEP]
    while lanes:
        lane = chance.choice(lanes)  # type: ignore[attr-defined]  # a Random
        records.append(lane.pop(0))
        lanes = [each for each in lanes if each]
    ledger = OnDisk(tmp_path_factory.mktemp("index"))

    for number, record in enumerate(records):
        ledger.append(record)
        if number in stops:
            ledger.index.catch_up(ledger.fd)
    ledger.index.catch_up(ledger.fd)

    at_once = Index(None)
    at_once.catch_up(ledger.fd)
    book = read_book(ledger.path)
    for index in (ledger.index, at_once):
        assert {cell: index.history(cell) for cell in book.histories} == dict(book.histories)
        assert sum(each.cost for each in index.spent_by_day()) == book.cost
        for cell in book.histories:
            lines = [read_line(ledger.fd, line, ledger.path) for line in index.lines(cell)]
            own = [each for each in records if getattr(each, "cell", None) == cell]
            assert [type(each) for each in lines] == [type(each) for each in own]
    assert at_once.spent_by_day() == ledger.index.spent_by_day()
    assert at_once.spent_by_input() == ledger.index.spent_by_input()
    at_once.close()
    ledger.close()


def test_sums_are_by_day_of_the_intent_and_by_input(ledger: OnDisk) -> None:
    ledger.append(
        *life(0, "saved", DAYS[0]), *life(3, "twice", DAYS[0]), *life(1, "saved", DAYS[1])
    )
    ledger.index.catch_up(ledger.fd)

    model = "google/nano-banana-2"
    assert ledger.index.spent_by_day() == [
        Spent(DAYS[0], model, 2, Decimal("0.04")),
        Spent(DAYS[1], model, 2, Decimal("0.08")),
    ]
    assert ledger.index.spent_by_input() == [
        InputValue("seed", "0", 2, Decimal("0.08")),
        InputValue("seed", "1", 1, Decimal("0.04")),
    ]


def test_a_cell_is_found_by_the_beginning_of_its_key_a_run_and_a_file(ledger: OnDisk) -> None:
    ledger.append(*life(1, "saved", DAYS[0]), *life(2, "extra", DAYS[0]))
    ledger.index.catch_up(ledger.fd)

    assert ledger.index.find("0000") == [key(1), key(2)]
    assert ledger.index.find(key(1)) == [key(1)]
    assert ledger.index.find(f"run-{key(2)}-1") == [key(2)]
    assert ledger.index.find("extra-2") == [key(2)]
    assert ledger.index.find(f"files/banana/{key(1)}.png") == [key(1)]
    assert ledger.index.find("nothing") == []


def test_lines_of_every_kind_and_of_a_later_version_are_taken_in(ledger: OnDisk) -> None:
    ledger.append(*(each for each in EACH if not hasattr(each, "cell")))
    with ledger.path.open("ab") as file:
        file.write(b'{"type":"later","at":"","cell":"c1"}\n')
    ledger.append(*life(1, "saved", DAYS[0]))

    ledger.index.catch_up(ledger.fd)

    assert ledger.index.find(key(1)) == [key(1)]


def test_an_unfinished_line_is_left_for_later(ledger: OnDisk) -> None:
    lines = b"".join(map(encode, life(1, "saved", DAYS[0])))
    ledger.path.write_bytes(lines[:-5])
    ledger.index.catch_up(ledger.fd)
    assert len(ledger.index.lines(key(1))) == 3

    with ledger.path.open("ab") as file:
        file.write(lines[-5:])
    ledger.index.catch_up(ledger.fd)
    assert len(ledger.index.lines(key(1))) == 4


def cut(ledger: OnDisk) -> None:
    os.truncate(ledger.path, len(ledger.path.read_bytes()) // 2)
    data = ledger.path.read_bytes()
    os.truncate(ledger.path, data.rindex(b"\n") + 1)


def cut_and_gone_on(ledger: OnDisk) -> None:
    cut(ledger)
    ledger.append(
        *life(9, "saved", DAYS[1]), *life(10, "saved", DAYS[1]), *life(11, "saved", DAYS[1])
    )


def replaced(ledger: OnDisk) -> None:
    other = ledger.folder / "other"
    other.write_bytes(ledger.path.read_bytes() + b"".join(map(encode, life(9, "saved", DAYS[0]))))
    other.replace(ledger.path)
    ledger.reopen()


@pytest.mark.parametrize("change", [cut, cut_and_gone_on, replaced])
def test_a_ledger_that_is_not_the_one_it_was_is_read_from_its_beginning(
    ledger: OnDisk, change: object
) -> None:
    ledger.append(*life(1, "twice", DAYS[0]), *life(2, "saved", DAYS[0]))
    ledger.index.catch_up(ledger.fd)
    ledger.index.keep("something", b"that held", ledger.fd)

    change(ledger)  # type: ignore[operator]  # a function of the list above
    assert ledger.index.kept("something", ledger.fd) is None
    ledger.index.catch_up(ledger.fd)

    book = read_book(ledger.path)
    assert {cell: ledger.index.history(cell) for cell in book.histories} == dict(book.histories)
    assert sum(each.cost for each in ledger.index.spent_by_day()) == book.cost


def test_what_is_kept_holds_for_the_ledger_as_it_is(ledger: OnDisk) -> None:
    ledger.append(*life(1, "saved", DAYS[0]))
    ledger.index.keep("something", b"first", ledger.fd)
    ledger.index.keep("something", b"second", ledger.fd)
    assert ledger.index.kept("something", ledger.fd) == b"second"

    ledger.append(SWEEP)
    assert ledger.index.kept("something", ledger.fd) is None
    assert ledger.index.kept("another", ledger.fd) is None


def test_a_line_that_cannot_follow_changes_nothing(ledger: OnDisk) -> None:
    ledger.append(*life(1, "saved", DAYS[0]))
    ledger.index.catch_up(ledger.fd)
    ledger.append(finished(key(2)))

    with pytest.raises(ValueError, match="cannot follow"):
        ledger.index.catch_up(ledger.fd)

    assert ledger.index.find("0") == [key(1)]
    assert len(ledger.index.lines(key(1))) == 4


def test_a_broken_one_is_deleted_and_a_busy_one_is_not(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match="cannot use the index"), open_index(tmp_path):
        pass
    assert not (tmp_path / INDEX).exists()

    with open_index(tmp_path):
        pass
    with sqlite3.connect(tmp_path / INDEX, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="locked"), open_index(tmp_path, patience=0):
            pass
    assert (tmp_path / INDEX).exists()


def test_one_of_another_version_is_made_anew(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / INDEX) as other:
        other.execute("PRAGMA user_version = 99")
        other.execute("CREATE TABLE cells (other)")

    with open_index(tmp_path) as index:
        assert index.find("anything") == []


def test_a_kind_of_line_has_the_fields_that_are_read() -> None:
    assert {"run_id", "cost"} <= {*Finished.__struct_fields__} & {*Extra.__struct_fields__}
    assert {"server_at", "at", "input"} <= {*Intent.__struct_fields__}
