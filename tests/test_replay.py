import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_lines import SWEEP, finished, intent, read_book, saved, stamped, submitted, text

from batchrun.errors import LedgerError
from batchrun.ledger.history import State
from batchrun.ledger.records import (
    AnyRecord,
    Dropped,
    Extra,
    Learnt,
    Looked,
    Mark,
    Marks,
    Parked,
    Rejected,
    Reused,
    Throttled,
    Uploaded,
    encode,
)
from batchrun.ledger.replay import Reading, Replayed, replay

BEFORE: Sequence[Sequence[AnyRecord]] = [[SWEEP], [intent("c1"), intent("c2")], [submitted("c1")]]
LAST: Sequence[AnyRecord] = [intent("c3"), submitted("c2"), finished("c1"), intent("c4")]

WHOLE = text(*BEFORE, LAST)
DURABLE = len(text(*BEFORE))
LINE_ENDS = [0, *(end + 1 for end, byte in enumerate(WHOLE) if byte == ord("\n"))]
PATH = Path("ledger.jsonl")


def replay_bytes(data: bytes) -> Replayed:
    return replay(data.splitlines(keepends=True), path=PATH)


def newest_line_end(at_most: int) -> int:
    return max(end for end in LINE_ENDS if end <= at_most)


def test_an_empty_ledger_is_whole() -> None:
    replayed = replay_bytes(b"")

    assert (replayed.whole, replayed.torn, replayed.group) == (0, 0, 0)


def test_a_whole_ledger_has_nothing_to_cut() -> None:
    replayed = replay_bytes(WHOLE)

    assert (replayed.whole, replayed.torn, replayed.group) == (len(WHOLE), 0, 4)


def test_a_last_group_torn_at_any_byte_keeps_its_whole_lines() -> None:
    for cut in range(DURABLE, len(WHOLE)):
        replayed = replay_bytes(WHOLE[:cut])

        assert replayed.whole == newest_line_end(cut)
        assert replayed.whole + replayed.torn == cut


def test_a_ledger_cut_at_any_byte_at_all_is_a_ledger() -> None:
    """What was cut off is gone, and nothing here can know; the rest is read."""
    for cut in range(len(WHOLE)):
        assert replay_bytes(WHOLE[:cut]).whole == newest_line_end(cut)


@pytest.mark.parametrize("size", [1, 7, 64, 100, 512])
def test_a_hole_anywhere_in_the_last_group_is_cut_with_what_follows_it(size: int) -> None:
    """The file's length is on disk before its blocks are: they read as zeros."""
    for start in range(DURABLE, len(WHOLE)):
        end = min(len(WHOLE), start + size)
        damaged = WHOLE[:start] + b"\0" * (end - start) + WHOLE[end:]
        replayed = replay_bytes(damaged)

        assert replayed.whole == newest_line_end(start)
        assert replayed.whole + replayed.torn == len(damaged)


@given(st.binary(max_size=300), st.integers(DURABLE, len(WHOLE)))
def test_any_rubbish_behind_the_durable_groups_is_cut(rubbish: bytes, start: int) -> None:
    damaged = WHOLE[:start] + b"\xff" + rubbish
    replayed = replay_bytes(damaged)

    assert replayed.whole == newest_line_end(start)
    assert replayed.whole + replayed.torn == len(damaged)


def test_a_byte_broken_before_the_last_group_is_refused_with_its_line_and_byte() -> None:
    for place in range(DURABLE):
        line = sum(end <= place for end in LINE_ENDS)
        start = newest_line_end(place)
        damaged = WHOLE[:place] + b"\0" + WHOLE[place + 1 :]

        with pytest.raises(LedgerError, match="is broken at line") as caught:
            replay_bytes(damaged)
        message = str(caught.value)
        assert f"ledger.jsonl is broken at line {line}, byte {start}: " in message
        assert message.endswith("or rebuild it with `batchrun recover MANIFEST`")


def test_a_line_lost_from_the_middle_is_refused_where_it_is_missed() -> None:
    lines = WHOLE.splitlines(keepends=True)
    del lines[1]  # the first intent

    with pytest.raises(LedgerError, match=r"line 3.*`submitted` cannot follow pending"):
        replay_bytes(b"".join(lines))


def test_a_line_that_cannot_follow_is_no_tear_even_at_the_end() -> None:
    with pytest.raises(LedgerError, match=r"broken at line 9.*`saved` cannot follow pending"):
        replay_bytes(WHOLE + encode(saved("c9")))


def test_a_broken_line_before_a_group_of_a_later_version_is_refused() -> None:
    with pytest.raises(LedgerError, match="broken at line 9"):
        replay_bytes(WHOLE + b'{"type":"bless\n{"type":"blessed","at":"","group":5}\n')


def test_a_type_of_a_later_version_is_passed_over_and_its_bytes_counted() -> None:
    blessed = b'{"type":"blessed","at":"","group":5,"cell":"c1"}\n'
    more = encode(submitted("c3"))
    replayed = replay_bytes(WHOLE + blessed + more)

    assert replayed.whole == len(WHOLE + blessed + more)
    assert replayed.book.history("c3").state is State.IN_FLIGHT


def test_a_newer_format_is_refused_by_name() -> None:
    newer = encode(SWEEP).replace(b'"format":1', b'"format":2').replace(b"0.1.0", b"3.0.0")

    with pytest.raises(LedgerError) as caught:
        replay_bytes(newer)
    assert str(caught.value) == (
        "ledger.jsonl is in format 2 of a newer batchrun (3.0.0); "
        "this one reads formats up to 1: install the newer one"
    )


def test_the_offsets_in_a_history_are_where_its_lines_begin() -> None:
    book = replay_bytes(WHOLE).book

    ended = book.history("c1").ended_line
    assert WHOLE[ended:].startswith(b'{"type":"finished"')
    assert WHOLE[book.history("c3").intent_line :].startswith(b'{"type":"intent"')


def test_a_reader_sees_the_same_as_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(WHOLE)

    assert vars(read_book(path)) == vars(replay_bytes(WHOLE).book)


def test_a_reader_beside_a_writer_sees_an_unfinished_line_as_the_end(tmp_path: Path) -> None:
    """It changes nothing in the file, and what comes later is not of its concern."""
    path = tmp_path / "ledger.jsonl"
    for cut in range(DURABLE, len(WHOLE), 17):
        path.write_bytes(WHOLE[:cut])

        assert read_book(path).histories == replay_bytes(WHOLE[:cut]).book.histories
        assert path.read_bytes() == WHOLE[:cut]


def test_a_ledger_longer_than_one_read_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    groups = [[intent(f"c{number}", name="x" * 1000)] for number in range(2500)]
    path.write_bytes(text(*groups))

    assert len(read_book(path).histories) == 2500


@pytest.mark.parametrize("make", [lambda path: None, os.mkdir], ids=["missing", "a folder"])
def test_a_ledger_that_cannot_be_read_is_named(tmp_path: Path, make: object) -> None:
    path = tmp_path / "ledger.jsonl"
    assert callable(make)
    make(path)

    with pytest.raises(LedgerError, match=r"cannot read the ledger .*ledger\.jsonl: "):
        read_book(path)


def test_a_torn_group_behind_a_broken_line_still_tells_that_the_line_was_durable() -> None:
    """A group is begun only when the one before it is on disk."""
    damaged = WHOLE[: DURABLE - 10] + b"\0" * 10 + WHOLE[DURABLE : DURABLE + 70]

    with pytest.raises(LedgerError, match="is broken at line 4"):
        replay_bytes(damaged)


def test_a_broken_ledger_is_refused_by_a_reader_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"{}\n" + WHOLE)

    with pytest.raises(LedgerError, match="is broken at line 1, byte 0"):
        read_book(path)


def after(
    number: int, call: str, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]
) -> None:
    """Let another process do something once the reader has made the call so many times."""
    real, calls = getattr(os, call), itertools.count()

    def call_and(*arguments: int) -> object:
        answer = real(*arguments)
        if next(calls) == number - 1:
            happens()
        return answer

    monkeypatch.setattr(os, call, call_and)


def test_what_a_writer_appends_while_we_read_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(WHOLE[:-10])

    def go_on() -> None:
        with path.open("ab") as file:
            file.write(WHOLE[-10:] + encode(stamped(intent("c9"), group=5)))

    after(2, "fstat", monkeypatch, go_on)  # the first asks whether it is a regular file
    book = read_book(path)
    assert book.history("c3").state is State.DOUBTFUL
    assert "c9" not in book.histories


def test_a_ledger_that_was_repaired_while_we_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read then is half the torn file and half the one that took its place."""
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(WHOLE + b'{"type":"torn"\n' + WHOLE)

    repaired = WHOLE + encode(intent("c9"))
    after(1, "pread", monkeypatch, lambda: path.write_bytes(repaired))
    assert "c9" in read_book(path).histories


# At a glance, and carefully.

DIGESTS = [f"{number * 0x9E3779B97F4A7C15F39CC060:032x}"[-32:] for number in range(6)]
UUIDS = ["eb6b75d8-08f8-94af-af4c-40d1399d9a8d", "00000000-0000-0000-0000-000000000000", "run 1"]
CELL = st.sampled_from([*DIGESTS, "c1", "é"])
ATTEMPT = st.integers(1, 3)
MONEY = st.none() | st.decimals(0, 9, places=2)
LINES = st.one_of(
    st.builds(
        intent,
        CELL,
        ATTEMPT,
        client_ref=st.sampled_from(["br1.k3f9.1", "br1.k3f9.2"]),
        alias=st.sampled_from(["banana", "é"]),
        input=st.none() | st.just({"prompt": "ä"}),
        reserved=MONEY,
    ),
    st.builds(submitted, CELL, ATTEMPT, run_id=st.sampled_from(UUIDS), doubted=st.booleans()),
    st.builds(
        finished,
        CELL,
        ATTEMPT,
        st.sampled_from(["succeeded", "partial_succeeded", "failed", "cancelled", "unheard of"]),
        cost=MONEY,
        output=st.none() | st.just([{"url": "ü"}]),
        created_at=st.none() | st.just("2026-05-04T12:00:00Z"),
        completed_at=st.none() | st.just("2026-05-04T12:00:07Z"),
    ),
    st.builds(saved, CELL),
    st.builds(
        Reused,
        cell=CELL,
        model=st.just("a/b"),
        alias=st.just("b"),
        sweep=st.just("other"),
        run_id=st.sampled_from(UUIDS),
        cost=MONEY,
    ),
    st.builds(Rejected, cell=CELL, attempt=ATTEMPT, http_status=st.just(422)),
    st.builds(Dropped, cell=CELL, attempt=ATTEMPT, reason=st.text(max_size=3)),
    st.builds(Parked, cell=CELL, attempt=ATTEMPT, reason=st.text(max_size=3)),
    st.builds(Extra, cell=CELL, attempt=ATTEMPT, run_id=st.sampled_from(["x", "y"]), cost=MONEY),
    st.builds(Looked, client_ref=st.just("br1.k3f9.1")),
    st.builds(Throttled, since=st.just("t"), step=st.just(10), counts=st.just((3, 0, 1))),
    st.builds(Learnt, model=st.just("a/b"), batches=st.booleans()),
    st.builds(
        Marks,
        marks=st.just((Mark(id="m", cell="c1", first="c1", replicate=2, makes="c2"),)),
    ),
    st.builds(Uploaded, sha256=st.just("01"), asset_id=st.just("a"), reference=st.text(max_size=3)),
)


def followed(records: Sequence[AnyRecord]) -> bytes:
    """Return the text of those of *records* that can follow, each third a group of its own."""
    ledger, lines = b"", 0
    for record in records:
        line = encode(stamped(record, group=lines + 1 if lines % 3 == 0 else 0))
        try:
            replay_bytes(ledger + line)
        except LedgerError:
            continue
        ledger, lines = ledger + line, lines + 1
    return ledger


def carefully(data: bytes) -> Replayed:
    reading = Reading(PATH)
    return reading.result(reading.fold_carefully(data.splitlines(keepends=True), iter(())))


def outcome(read: Callable[[bytes], Replayed], data: bytes) -> object:
    try:
        replayed = read(data)
    except LedgerError as error:
        return str(error)
    return vars(replayed.book), replayed.whole, replayed.torn, replayed.group


@settings(deadline=None)
@given(st.lists(LINES, max_size=40))
def test_at_a_glance_any_lines_add_up_to_what_they_do_when_read_carefully(
    records: list[AnyRecord],
) -> None:
    every = b"".join(encode(stamped(record)) for record in records)

    assert outcome(replay_bytes, followed(records)) == outcome(carefully, followed(records))
    assert outcome(replay_bytes, every) == outcome(carefully, every)


WHOLE_LIVES = followed(
    [
        SWEEP,
        *(intent(cell) for cell in DIGESTS),
        *(submitted(cell, run_id=UUIDS[0]) for cell in DIGESTS),
        *(finished(cell, output=[{"url": "ü"}], duration_ms=9000) for cell in DIGESTS),
        *(saved(cell) for cell in DIGESTS),
    ]
)


@settings(deadline=None, max_examples=examples(1000))
@given(
    st.integers(0, len(WHOLE_LIVES)),
    st.one_of(
        st.binary(max_size=3),
        st.sampled_from([bytes(64), b"\n", b"\xff", b'"', b"{", b"}", b"\\", b",", b"0", b"."]),
    ),
    st.integers(0, 64),
)
def test_any_damage_is_cut_or_refused_as_when_read_carefully(
    place: int, bytes_: bytes, lost: int
) -> None:
    damaged = WHOLE_LIVES[:place] + bytes_ + WHOLE_LIVES[place + lost :]

    assert outcome(replay_bytes, damaged) == outcome(carefully, damaged)
