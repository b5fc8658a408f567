"""Marks of the page: what lines of them come to, and what is kept of them in a sweep's folder."""

import json
import os
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from batchrun.errors import FolderError, UsageError
from batchrun.sweep.kept_picks import PICKS, kept_picks, take_in
from batchrun.sweep.picks import folded, last_of_kinds, merged, parse_pick, written

SWEEP = "s1"


def line(number: int, cell: str, kind: str, **rest: Any) -> bytes:
    values = {
        "id": f"m{number}",
        "sweep": SWEEP,
        "cell": cell,
        "kind": kind,
        "note": "",
        "at": f"2026-11-29T03:00:{number:02}.000Z",
    }
    return json.dumps(values | rest).encode() + b"\n"


MARKS = [
    line(1, "a", "pick"),
    line(2, "a", "note", note="first"),
    line(3, "a", "reject"),
    line(4, "b", "redo"),
    line(5, "a", "note", note="second </script>\u202e"),
    line(6, "a", "pick", off=True),
    line(7, "c", "pick"),
    line(8, "c", "pick", off=True),
    line(9, "b", "pick"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    folder.mkdir()
    return folder


def file(folder: Path, *lines: bytes, name: str = "given.jsonl") -> Path:
    path = folder.parent / name
    path.write_bytes(b"".join(lines))
    return path


def test_the_last_mark_of_a_kind_counts_and_a_cell_has_one_verdict() -> None:
    picks = folded(map(parse_pick, MARKS))

    assert list(picks.picked) == ["b"]
    assert list(picks.rejected) == ["a"]
    assert {cell: each.id for cell, each in picks.redo.items()} == {"b": "m4"}
    assert {cell: each.note for cell, each in picks.notes.items()} == {
        "a": "second </script>\u202e"
    }


def test_the_marks_that_count_come_to_the_same_as_all_of_them() -> None:
    marks = [parse_pick(each) for each in MARKS]

    counting = list(last_of_kinds(marks))

    assert [each.id for each in counting] == ["m3", "m4", "m5", "m6", "m8", "m9"]
    assert folded(counting) == folded(marks)


def test_the_order_of_the_lines_makes_no_difference() -> None:
    marks = [parse_pick(each) for each in MARKS[:6]]

    assert {str(folded(each)) for each in permutations(marks)} == {str(folded(marks))}
    assert {written(each) for each in permutations(marks)} == {written(marks)}


def test_a_moment_is_compared_as_a_moment() -> None:
    early = parse_pick(line(1, "a", "pick", at="2026-11-29T12:00:00+09:00"))
    late = parse_pick(line(2, "a", "reject", at="2026-11-29T04:00:00Z"))

    assert list(folded([late, early]).rejected) == ["a"]


def test_what_is_written_is_read_back_and_an_id_counts_once() -> None:
    marks = [parse_pick(each) for each in MARKS]
    again = [parse_pick(each) for each in written(marks).splitlines()]

    assert merged(marks, again) == {each.id: each for each in marks}


def test_files_are_put_together_whatever_their_order(folder: Path) -> None:
    first, second = file(folder, *MARKS[:5]), file(folder, *MARKS[3:], name="other.jsonl")

    assert take_in(folder, [second], SWEEP).new == 6
    assert take_in(folder, [first, second, first], SWEEP).new == 3
    kept = (folder / PICKS).read_bytes()
    assert take_in(folder, [first], SWEEP).new == 0

    assert (
        (folder / PICKS).read_bytes()
        == kept
        == b"".join(MARKS).replace(b"\\u202e", "\u202e".encode())
    )
    assert list(kept_picks(folder).rejected) == ["a"]
    assert [each.name for each in folder.iterdir()] == [PICKS]


def test_a_file_of_windows_with_a_mark_and_empty_lines_is_read(folder: Path) -> None:
    given = file(folder, b"\xef\xbb\xbf", MARKS[0].replace(b"\n", b"\r\n"), b"\r\n", MARKS[3])

    assert take_in(folder, [given], SWEEP).new == 2


def test_a_note_with_half_of_a_character_is_taken_in_and_read_back(folder: Path) -> None:
    given = file(folder, line(1, "a", "note", note="cut \ud83d"))

    assert take_in(folder, [given], SWEEP).new == 1
    assert kept_picks(folder).notes["a"].note == "cut \ud83d"
    assert take_in(folder, [folder / PICKS], SWEEP).new == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b"{\n", r"given\.jsonl:2: expected a mark"),
        (b'{"id":"x"}\n', r"given\.jsonl:2: expected a mark.*missing required field `sweep`"),
        (line(2, "a", "love"), r"given\.jsonl:2: expected a mark.*'love'"),
        (line(2, "a", "\n\u202ex"), r"given\.jsonl:2: [^\n]*\\n\\u202ex"),
        (line(2, "../a", "pick"), r"given\.jsonl:2: `cell` is no key"),
        (line(2, "a", "pick", id="\u202e"), r"given\.jsonl:2: `id` is none"),
        (line(2, "a", "pick", at="soon"), r"given\.jsonl:2: `at` is no time"),
        (line(2, "a", "note", note="x" * 10_001), r"given\.jsonl:2: `note` has more than 10,000"),
        (b"\xff\n", r"given\.jsonl:2: expected"),
        (MARKS[1][:-20], r"given\.jsonl:2: expected a mark"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_lost(folder: Path, wrong: bytes, said: str) -> None:
    take_in(folder, [file(folder, MARKS[8])], SWEEP)
    kept = (folder / PICKS).read_bytes()

    with pytest.raises(UsageError, match=f"(?s){said}.*no mark of it was taken in"):
        take_in(folder, [file(folder, MARKS[0], wrong, MARKS[3])], SWEEP)

    assert (folder / PICKS).read_bytes() == kept


def test_all_broken_lines_are_named_at_once(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)jsonl:1: .*jsonl:2: .*and 2 more"):
        take_in(folder, [file(folder, *[b"x\n"] * 12)], SWEEP)


def test_marks_of_another_sweep_are_refused(folder: Path) -> None:
    given = file(folder, MARKS[0], line(2, "a", "pick", sweep="s2"))

    with pytest.raises(UsageError, match=r"1 of its marks are of the sweep s2, and this one is s1"):
        take_in(folder, [given], SWEEP)

    assert not (folder / PICKS).exists()


def test_a_kept_file_that_was_broken_by_hand_is_left_alone(folder: Path) -> None:
    (folder / PICKS).write_bytes(MARKS[0] + b"x\n")

    with pytest.raises(FolderError, match=r"picks\.jsonl:2: .*(?s:.)*mend the line"):
        take_in(folder, [file(folder, MARKS[3])], SWEEP)

    assert (folder / PICKS).read_bytes() == MARKS[0] + b"x\n"


def test_a_file_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.jsonl"):
        take_in(folder, [folder / "none.jsonl"], SWEEP)


def test_a_pipe_is_no_file_and_holds_nothing_up(folder: Path) -> None:
    os.mkfifo(folder.parent / "pipe")

    with pytest.raises(UsageError, match=r"cannot read .*pipe: a pipe, not a file"):
        take_in(folder, [folder.parent / "pipe"], SWEEP)
