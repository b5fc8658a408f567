"""`batchrun why`: the life of one cell, found by its key, a run or a file."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_lines import SWEEP, finished, intent, saved, submitted
from msgspec.structs import replace

from batchrun.cli import main
from batchrun.commands.call import prepare
from batchrun.commands.target import Place
from batchrun.ledger.records import AnyRecord, Dropped, Extra, Parked, Rejected, Saved, encode
from batchrun.manifest.grid.expand import expand
from batchrun.sweep.location import INDEX

CELL = "ab" * 16
OTHER = "ac" * 16
AT = "2026-05-04T12:00:00.000000Z"

Show = Callable[..., str]


@pytest.fixture
def show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Show:
    """Write a ledger, and return what is shown of a cell of it."""

    def shown(
        *records: AnyRecord,
        text: str = CELL,
        code: int = 0,
        words: tuple[str, ...] = (),
        files: bool = True,
    ) -> str:
        lines = (encode(record) for record in (SWEEP, *records))
        (tmp_path / "ledger.jsonl").write_bytes(b"".join(lines))
        for record in records:
            for file in record.files if isinstance(record, Saved) and files else ():
                (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / file.path).write_bytes(b"a picture")
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


def test_a_file_that_is_gone_is_fetched_again(show: Show) -> None:
    shown = show(*done(), files=False)

    assert shown.endswith(f"` fetches files/banana/{CELL}.png again\n")


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
            finished(CELL, status="failed", cost=None, failure_code="BUSY", failure_message="no"),
        ],
        "failed: BUSY: no",
        "begins attempt 2 of 2",
    ),
    "moderated": (
        [submitted(CELL), finished(CELL, status="failed", cost=None, failure_code="NSFW")],
        "failed: NSFW",
        "was moderated; `batchrun MANIFEST --retry-failed --only code=…` tries it once more",
    ),
    "extra": (
        [submitted(CELL), finished(CELL), Extra(cell=CELL, attempt=1, run_id="second")],
        "a second run came to light: run second",
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


def test_words_of_the_service_move_no_cursor(show: Show) -> None:
    words = finished(
        CELL,
        status="failed",
        cost=None,
        failure_code="\x1b[31mNSFW\x1b]0;owned\x07",
        failure_message="a\x9b2Jb\u202ec",
    )

    shown = show(intent(CELL), submitted(CELL), words)

    assert "\\x1b[31mNSFW" in shown
    assert all(each.isprintable() or each == "\n" for each in shown)


def test_the_json_has_the_ledgers_lines(show: Show) -> None:
    found = json.loads(show(*done(), words=("--json",)))

    assert (found["cell"], found["status"], found["attempts"]) == (CELL, "succeeded", 1)
    assert [line["type"] for line in found["lines"]] == ["intent", "submitted", "finished", "saved"]
    assert found["input"] == {"prompt": "a chair", "seed": 1}


def test_a_broken_index_is_made_anew(show: Show, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b"no database" * 500)

    assert show(*done()).startswith(CELL)
    assert show(*done()).startswith(CELL)


ODD: dict[str, str] = {
    "another history": "UPDATE cells SET history = x'9200'",
    "no history": "UPDATE cells SET history = NULL",
    "another line": "UPDATE cells SET lines = x'0100000000000000'",
    "the line of another": "UPDATE cells SET lines = x'0000000000000000'",
    "no line on disk": "UPDATE cells SET lines = x'ffffff0000000000'",
    "no tables": "DROP TABLE cells",
}


@pytest.mark.parametrize("text", [CELL, f"run-{CELL}-1"])
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_index_is_made_anew(show: Show, tmp_path: Path, kind: str, text: str) -> None:
    whole = show(*done())
    with sqlite3.connect(tmp_path / INDEX) as index:
        index.execute(ODD[kind])

    assert [show(*done(), text=text) for _ in range(2)] == [whole, whole]


def test_the_ledger_of_another_sweep_is_refused(show: Show, tmp_path: Path) -> None:
    show(*done())
    identity = {"sweep": "other", "name": "m", "label": None, "endpoint": "https://x"}
    (tmp_path / "sweep.json").write_text(json.dumps(identity | {"manifest": None}))

    assert main(["why", str(tmp_path), CELL]) == 9


@pytest.mark.parametrize("text", ["\udcff", "x" * 5000, "a\0b", ""])
def test_an_odd_word_is_a_usage_error(show: Show, text: str) -> None:
    show(*done(), *done(OTHER), text=text, code=2)


def test_a_deleted_file_is_found_by_its_path_from_elsewhere(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    path = f"{tmp_path.name}/files/banana/{CELL}.png"

    assert show(*done(), text=path).startswith(CELL)


def test_a_file_that_is_called_like_a_key_hides_no_cell(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CELL[:4]).touch()

    assert show(*done(), text=CELL[:4]).startswith(CELL)


def test_a_cell_that_is_no_longer_in_the_manifest_gets_no_attempt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.yaml").write_text("models: [a/b]\ninputs: {prompt: a chair}\n")
    place = Place(endpoint="http://127.0.0.1:9")
    call = prepare(tmp_path / "m.yaml", place)
    [cell] = expand(call.manifest)
    sweep = replace(SWEEP, endpoint=call.endpoint, label=None, name="m")
    call.folder.mkdir(parents=True)
    records = (sweep, intent(cell.key), submitted(cell.key), finished(cell.key, status="failed"))
    (call.folder / "ledger.jsonl").write_bytes(b"".join(map(encode, records)))
    words = ["why", str(tmp_path / "m.yaml"), cell.key, "--endpoint", call.endpoint]

    assert main(words) == 0
    assert "begins attempt 2 of 2" in capsys.readouterr().out
    (tmp_path / "m.yaml").write_text("models: [a/b]\ninputs: {prompt: a stool}\n")
    assert main(words) == 0
    assert "no longer in the manifest" in capsys.readouterr().out


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
