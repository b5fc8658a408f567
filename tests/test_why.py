"""`batchrun why`: the life of one cell, found by its key, a run or a file."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_lines import SWEEP, finished, intent, saved, submitted

from batchrun.cli import main
from batchrun.ledger.records import AnyRecord, Dropped, Extra, Parked, Rejected, encode
from batchrun.sweep.location import INDEX

CELL = "ab" * 16
OTHER = "ac" * 16
AT = "2026-05-04T12:00:00.000000Z"

Show = Callable[..., str]


@pytest.fixture
def show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Show:
    """Write a ledger, and return what is shown of a cell of it."""

    def shown(
        *records: AnyRecord, text: str = CELL, code: int = 0, words: tuple[str, ...] = ()
    ) -> str:
        lines = (encode(record) for record in (SWEEP, *records))
        (tmp_path / "ledger.jsonl").write_bytes(b"".join(lines))
        assert main(["why", str(tmp_path), text, *words]) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return shown


def done(cell: str = CELL) -> list[AnyRecord]:
    return [intent(cell, at=AT), submitted(cell), finished(cell, duration_ms=1500), saved(cell)]


def test_a_cell_that_is_done_shows_its_input_its_lines_and_that_nothing_is_left(show: Show) -> None:
    shown = show(*done())

    assert f"{CELL}  google/nano-banana-2 (banana): succeeded\n" in shown
    assert '  prompt: "a chair"\n  seed: 1\n' in shown
    assert "2026-05-04 12:00:00  attempt 1: to be sent under br1.k3f9.1, 0.05 USD reserved" in shown
    assert f"run run-{CELL}-1\n" in shown
    assert "succeeded, 0.04 USD, 1.5 s\n" in shown
    assert f"saved: files/banana/{CELL}.png\n" in shown
    assert shown.endswith("\nnothing is left to do for this cell\n")


@pytest.mark.parametrize("text", [CELL[:3], CELL, f"run-{CELL}-1", f"files/banana/{CELL}.png"])
def test_a_cell_is_found_by_what_one_has_at_hand(show: Show, text: str) -> None:
    assert show(*done(), *done(OTHER), text=text).startswith(CELL)


def test_a_file_is_found_by_its_path_from_anywhere(show: Show, tmp_path: Path) -> None:
    path = tmp_path / "files" / "banana" / f"{CELL}.png"

    assert show(*done(), text=str(path)).startswith(CELL)


def test_what_means_several_cells_names_them(show: Show) -> None:
    assert f"`a` means 2 cells: {CELL[:12]}, {OTHER[:12]}; give more of the key" in show(
        *done(), *done(OTHER), text="a", code=2
    )


def test_what_means_no_cell_says_so(show: Show) -> None:
    assert "no cell of the ledger has the key, the run or the file `zz`" in show(
        *done(), text="zz", code=2
    )


NEXT: dict[str, tuple[list[AnyRecord], str, str]] = {
    "rejected": (
        [Rejected(cell=CELL, attempt=1, http_status=422, code="BAD", message="no such ratio")],
        "rejected, no run exists: BAD: no such ratio",
        "another input in the manifest is another cell",
    ),
    "dropped": (
        [Dropped(cell=CELL, attempt=1, reason="the key was refused")],
        "dropped, no run exists: the key was refused",
        "begins attempt 1 of 2",
    ),
    "parked": (
        [submitted(CELL), Parked(cell=CELL, attempt=1, run_id="r", reason="older than 15 min")],
        "parked: older than 15 min",
        f"sees run run-{CELL}-1 to its end",
    ),
    "in doubt": ([], "attempt 1", "looks up whether a run exists"),
    "failed": (
        [
            submitted(CELL, adopted=True),
            finished(CELL, status="failed", cost=None, failure_code="NSFW", failure_message="no"),
        ],
        "failed: NSFW: no",
        "begins attempt 2 of 2",
    ),
    "extra": (
        [submitted(CELL), finished(CELL), Extra(cell=CELL, attempt=1, run_id="second")],
        "a second run came to light: second",
        "saves the outputs",
    ),
    "cancelled": (
        [submitted(CELL), finished(CELL, status="cancelled")],
        "cancelled, 0.04 USD: cancelled",
        "--retry-failed` grants more",
    ),
}


@pytest.mark.parametrize("kind", NEXT)
def test_how_a_cell_stands_and_what_the_next_call_does(show: Show, kind: str) -> None:
    records, line, follows = NEXT[kind]

    shown = show(intent(CELL), *records)

    assert line in shown
    assert follows in shown.splitlines()[-1]


def test_the_json_has_the_ledgers_lines(show: Show) -> None:
    found = json.loads(show(*done(), words=("--json",)))

    assert (found["cell"], found["status"], found["attempts"]) == (CELL, "succeeded", 1)
    assert [line["type"] for line in found["lines"]] == ["intent", "submitted", "finished", "saved"]
    assert found["input"] == {"prompt": "a chair", "seed": 1}


def test_a_broken_index_is_made_anew(show: Show, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b"no database" * 500)

    assert show(*done()).startswith(CELL)
    assert show(*done()).startswith(CELL)


def test_where_no_index_can_be_kept_it_does_without(show: Show, tmp_path: Path) -> None:
    (tmp_path / INDEX).mkdir()

    assert show(*done()).startswith(CELL)


def test_a_broken_ledger_names_the_line(show: Show, tmp_path: Path) -> None:
    show(*done())
    data = (tmp_path / "ledger.jsonl").read_bytes()
    at = data.index(b'{"type":"finished"')
    (tmp_path / "ledger.jsonl").write_bytes(data[:at] + b"#" + data[at + 1 :])
    os.utime(tmp_path / "ledger.jsonl")
    (tmp_path / INDEX).unlink()

    assert main(["why", str(tmp_path), CELL]) == 9


def test_a_sweep_that_is_not_begun_is_a_usage_error(tmp_path: Path) -> None:
    assert main(["why", str(tmp_path), "a"]) == 2
