"""A call with nothing to do takes the short way, until anything that it depends on has changed.

The endpoint is a port on which nothing listens: no call here may ask the service for anything. The
long way writes the results anew, so their inode tells which way a call went.
"""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from ledger_lines import SWEEP, finished, intent, saved, submitted
from msgspec.structs import replace

from batchrun.cli import main
from batchrun.commands import nothing_to_do
from batchrun.commands.call import prepare
from batchrun.commands.run_options import parse
from batchrun.commands.target import Place
from batchrun.ledger.file import open_ledger
from batchrun.ledger.records import AnyRecord, Dropped, Extra, Looked, Lost, encode
from batchrun.manifest.grid.expand import expand
from batchrun.settings import SETTINGS
from batchrun.sweep.location import INDEX

ENDPOINT: Final = "http://127.0.0.1:9"
MANIFEST: Final = """\
models: [google/nano-banana-2]
inputs:
  image_url: {$glob: "shots/*.png"}
  style: {$lines: styles.txt}
  mask: {$file: mask.png}
  mood: "${env:MOOD}"
  look: {$text: look.txt}
rows: chairs.csv
"""
PNG: Final = b"\x89PNG\r\n\x1a\n"
LONG_AGO: Final = 1_700_000_000


class Night:
    """A sweep whose every cell is done, and the calls on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        (folder / "shots").mkdir()
        self.write("shots/a.png", PNG)
        self.write("shots/b.png", PNG + b"b")
        self.write("mask.png", PNG + b"mask")
        self.write("styles.txt", b"oil\nink\n")
        self.write("look.txt", b"old\n")
        self.write("chairs.csv", b"prompt\na chair\na stool\n")
        self.write("m.yaml", MANIFEST.encode())
        call = prepare(folder / "m.yaml", Place(endpoint=ENDPOINT))
        self.sweep, self.cells = call.folder, [cell.key for cell in expand(call.manifest)]
        lines: list[AnyRecord] = [replace(SWEEP, endpoint=ENDPOINT, label=None, name="m")]
        for key in self.cells:
            lines += [intent(key), submitted(key), finished(key), saved(key)]
        self.sweep.mkdir(parents=True)
        (self.sweep / "ledger.jsonl").write_bytes(b"".join(map(encode, lines)))
        for key in self.cells:
            self.output(key)

    def output(self, key: str) -> Path:
        """Return the file of a cell, made where there is none."""
        [file] = saved(key).files
        path = self.sweep / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.write_bytes(path.read_bytes() or PNG)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Write a file that is old enough for its time to be believed."""
        path = self.folder / name
        path.write_bytes(data)
        os.utime(path, (LONG_AGO, LONG_AGO))

    def append(self, *records: AnyRecord) -> None:
        with (self.sweep / "ledger.jsonl").open("ab") as file:
            file.write(b"".join(map(encode, records)))

    def call(self, *options: str) -> tuple[int, dict[str, Any], bool]:
        """Return the exit code, the object, and whether the call took the short way."""
        before = self._results()
        code = main([str(self.folder / "m.yaml"), "--endpoint", ENDPOINT, "--json", *options])
        report = json.loads(self._capsys.readouterr().out)
        return code, report, before is not None and self._results() == before

    def _results(self) -> int | None:
        path = self.sweep / "results.jsonl"
        return path.stat().st_ino if path.exists() else None

    def starts(self) -> int:
        return (self.sweep / "ledger.jsonl").read_bytes().count(b'{"type":"sweep"')


@pytest.fixture
def night(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Night:
    monkeypatch.setenv("MOOD", "calm")
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    found = Night(tmp_path, capsys)
    assert found.call()[::2] == (0, False)
    return found


def test_a_second_call_reports_the_same_by_the_short_way(night: Night) -> None:
    (night.sweep / INDEX).unlink()
    code, long_way, short = night.call()
    again = night.call()

    assert (code, short) == (0, False)
    assert again[::2] == (0, True)
    del long_way["duration_s"], again[1]["duration_s"]
    assert again[1] == long_way
    assert again[1]["cells"] == again[1]["succeeded"] == len(night.cells) == 8


def test_each_call_of_many_is_a_start_in_the_ledger(night: Night) -> None:
    starts = night.starts()

    assert [night.call()[2] for _ in range(3)] == [True] * 3
    assert night.starts() == starts + 3
    with open_ledger(night.sweep) as ledger:
        assert len(ledger.book.histories) == 8


def rewritten(name: str, data: bytes) -> Callable[[Night], None]:
    return lambda night: night.write(name, data)


def same_size_and_time(night: Night) -> None:
    """As an editor saves: another file under the name."""
    other = night.folder / "other"
    other.write_bytes(PNG + b"b")
    os.utime(other, (LONG_AGO, LONG_AGO))
    other.replace(night.folder / "shots/b.png")


def in_place(night: Night) -> None:
    """As `cp -p` copies: other bytes in the same file, with the same size and time."""
    path = night.folder / "styles.txt"
    time = path.stat().st_mtime_ns
    path.write_bytes(b"oil\npen\n")
    os.utime(path, ns=(time, time))


def moved(night: Night) -> None:
    ledger = night.sweep / "ledger.jsonl"
    copy = night.sweep / "copy"
    copy.write_bytes(ledger.read_bytes())
    copy.replace(ledger)


def same_length(night: Night) -> None:
    """Write the last line over: only the bytes in it change."""
    ledger = night.sweep / "ledger.jsonl"
    data = ledger.read_bytes()
    at = data.rindex(b'"version":"') + len(b'"version":"')
    ledger.write_bytes(data[:at] + b"9" + data[at + 1 :])


def damaged(night: Night) -> None:
    """Write over a byte amid the lines, which changes neither their length nor the last one."""
    with (night.sweep / "ledger.jsonl").open("r+b") as file:
        file.seek(file.read().index(b'"server_at":"') + len(b'"server_at":"'))
        file.write(b"3")


def broken(night: Night) -> None:
    (night.sweep / INDEX).write_bytes(b"not a database" * 1000)


def without_tables(night: Night) -> None:
    with sqlite3.connect(night.sweep / INDEX) as index:
        index.execute("DROP TABLE kept")


CHANGES: Final[dict[str, Callable[[Night], None]]] = {
    "manifest": rewritten("m.yaml", MANIFEST.encode() + b"# a comment\n"),
    "data file": rewritten("chairs.csv", b"prompt\na chair\na stool\n\n"),
    "glob": lambda night: (night.folder / "shots/c.png").mkdir(),
    "file of the glob": same_size_and_time,
    "lines": rewritten("styles.txt", b"oil\nink\n\n"),
    "text": rewritten("look.txt", b"old"),
    "mask": lambda night: os.utime(night.folder / "mask.png"),
    "ledger has one line more": lambda night: night.append(Looked(client_ref="br1.k3f9.1")),
    "ledger is another file": moved,
    "ledger's last line": same_length,
    "a line amid the ledger": damaged,
    "results": lambda night: os.truncate(night.sweep / "results.jsonl", 0),
    "table": lambda night: (night.sweep / "results.csv").unlink(),
    "copy of the manifest": lambda night: (night.sweep / "manifest.yaml").unlink(),
    "sweep.json": lambda night: os.utime(night.sweep / "sweep.json"),
    "index is gone": lambda night: (night.sweep / INDEX).unlink(),
    "index is broken": broken,
    "index without tables": without_tables,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_call_depends_on_is_looked_at_again_where_it_changed(
    night: Night, change: str
) -> None:
    CHANGES[change](night)

    assert night.call()[::2] == (0, False)
    # The copy under another inode is as old as the file; others were written a moment ago.
    if change not in {"mask", "sweep.json"}:
        assert night.call()[::2] == (0, True)


@pytest.mark.slow
def test_other_bytes_of_the_same_size_and_time_make_other_cells(night: Night) -> None:
    options = ("--limit", "1", "--give-up", "1s")
    assert night.call(*options)[::2] == (0, False)
    assert night.call(*options)[::2] == (0, True)
    in_place(night)

    assert night.call(*options)[0] == 8


@pytest.mark.slow
def test_another_value_of_a_variable_makes_other_cells(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOOD", "wild")

    assert night.call("--limit", "1", "--give-up", "1s")[0] == 8


@pytest.mark.parametrize(
    "options",
    [["--concurrency", "3"], ["--no-download"], ["--only", "style=oil"], ["--retry-failed"]],
)
def test_another_option_is_another_call(night: Night, options: list[str]) -> None:
    assert night.call(*options)[::2] == (0, False)


@pytest.mark.parametrize("options", [["--quiet"], ["--no-progress"], ["--verbose"]])
def test_an_option_that_only_shows_something_changes_nothing(
    night: Night, options: list[str]
) -> None:
    assert night.call(*options)[::2] == (0, True)


def test_another_version_looks_for_itself(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nothing_to_do, "__version__", "9.9.9")

    assert night.call()[::2] == (0, False)


def test_another_code_of_the_same_version_looks_for_itself(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nothing_to_do, "package_state", lambda: "after a pull")

    assert night.call()[::2] == (0, False)


def test_a_variable_that_is_not_set_any_more_is_missed(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOOD", "")
    night.call("--limit", "0")
    monkeypatch.delenv("MOOD")

    assert night.call()[0] == 2


def test_a_lost_ledger_is_missed_and_no_empty_one_is_left(night: Night) -> None:
    (night.sweep / "ledger.jsonl").unlink()

    assert night.call()[0] == 9
    assert not (night.sweep / "ledger.jsonl").exists()


def test_an_index_that_is_held_keeps_no_call_waiting(night: Night) -> None:
    with sqlite3.connect(night.sweep / INDEX) as index:
        index.execute("BEGIN EXCLUSIVE")

        code, report, short = night.call()

    assert (code, short) == (0, False)
    assert report["duration_s"] < 4, "two waits of five seconds each are not waited"


@pytest.mark.parametrize("kept", ["CAST(value AS TEXT)", "x'00'", "NULL", "'{}'"])
def test_a_kept_report_of_another_kind_is_not_believed(night: Night, kept: str) -> None:
    with sqlite3.connect(night.sweep / INDEX) as index:
        index.execute(f"UPDATE kept SET value = {kept}")

    assert night.call()[::2] == (0, False)


def test_without_a_key_the_call_is_refused(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNFLOW_API_KEY")

    assert night.call()[0] == 2


def test_a_held_ledger_is_refused(night: Night) -> None:
    with open_ledger(night.sweep):
        assert night.call()[0] == 7


def test_a_source_written_a_moment_before_it_was_read_is_known_by_its_content(
    night: Night,
) -> None:
    (night.folder / "styles.txt").write_bytes(b"ink\noil\n")

    assert night.call()[::2] == (0, False)
    assert night.call()[2] is False, "its time may lie"
    os.utime(night.folder / "styles.txt", (LONG_AGO, LONG_AGO))
    assert night.call()[2] is False
    assert night.call()[2] is True


OWED: Final[dict[str, list[AnyRecord]]] = {
    "a look": [
        intent("0" * 32),
        Dropped(cell="0" * 32, attempt=1, reason="certain", doubted=True),
    ],
    "a run in flight": [intent("0" * 32), submitted("0" * 32)],
    "the cost of a second run": [
        intent("0" * 32),
        Dropped(cell="0" * 32, attempt=1, reason="certain"),
        Extra(cell="0" * 32, attempt=1, run_id="second"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("owed", OWED)
def test_a_sweep_that_is_owed_something_asks_the_service(night: Night, owed: str) -> None:
    night.append(*OWED[owed])

    night.call("--give-up", "1s")

    assert not night.call("--give-up", "1s")[2]


def test_a_sweep_with_failures_ends_as_it_did_and_says_the_same(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell that has used up its attempts is done, and no reason to go the long way."""
    night.write("chairs.csv", b"prompt\na chair\na stool\na bed\n")
    key = next(
        each.key
        for each in expand(prepare(night.folder / "m.yaml", Place(endpoint=ENDPOINT)).manifest)
        if each.key not in night.cells
    )
    for number in (1, 2):
        failed = finished(key, number, status="failed", cost=None, failure_code="BROKEN")
        night.append(intent(key, number), submitted(key, number), failed)
    others = [
        each.key
        for each in expand(prepare(night.folder / "m.yaml", Place(endpoint=ENDPOINT)).manifest)
        if each.key not in {*night.cells, key}
    ]
    for other in others:
        night.append(intent(other), submitted(other), finished(other), saved(other))
        night.output(other)
    words = [str(night.folder / "m.yaml"), "--endpoint", ENDPOINT]

    assert main(words) == 1
    long_way = capsys.readouterr()
    before = (night.sweep / "results.jsonl").stat().st_ino
    assert main(words) == 1

    short_way = capsys.readouterr()
    assert short_way.out == long_way.out
    assert short_way.err.partition(" ")[2] == long_way.err.partition(" ")[2]  # but for the time
    assert "1 of 12 google-nano-banana-2: BROKEN" in long_way.out
    assert "--retry-failed` tries" in long_way.out
    assert (night.sweep / "results.jsonl").stat().st_ino == before


def test_equal_words_are_equal_options() -> None:
    """Options are compared as they are spelled by Python: no address of an object is in there."""
    words = ["m.yaml"]
    for each in SETTINGS:
        if each.flag is not None and each.parse and each.written:
            words += [each.flag, each.written]
    words += [
        "--fail-on",
        "12.5%",
        "--budget",
        "5",
        "--max-duration",
        "5m",
        "--on-interrupt",
        "drain",
    ]

    first, second = (repr(sorted(parse(words).chosen.items())) for _ in range(2))

    assert first == second
    assert " at 0x" not in first
    assert len(parse(words).chosen) > 10


def test_a_file_that_is_gone_for_good_is_exit_1_and_named_by_each_call(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    key = night.cells[3]
    about: dict[str, Any] = {"cell": key, "run_id": f"run-{key}-1"}
    lost = Lost(
        **about, place=1, all=2, file="files/chair-2", message="HTTP 404 from https://host/x"
    )
    night.append(lost, replace(saved(key), places=(0,)))
    words = [str(night.folder / "m.yaml"), "--endpoint", ENDPOINT]

    calls = [night.call() for _ in range(2)]

    assert [call[::2] for call in calls] == [(1, False), (1, True)]
    report = calls[1][1]
    assert (report["lost"], report["unsaved"], report["complete"]) == (1, 0, True)
    assert "1 cell lost a file for good" in report["next"]
    assert night.call("--fail-on", "none")[0] == 0
    for command in ([], ["status"]):
        main([*command, *words])
        said = capsys.readouterr().out
        assert "lost" in said
        assert f"files/chair-2 (file 2 of 2) of cell {key[:12]} is gone for good: HTTP 404" in said
    rows = (night.sweep / "results.jsonl").read_text().splitlines()
    [row] = [each for each in map(json.loads, rows) if each["cell"] == key]
    assert (row["status"], row["failure_code"], len(row["files"])) == ("succeeded", "lost", 1)


@pytest.mark.parametrize("how", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_gone_or_empty_is_not_had(
    night: Night, how: Callable[[Path], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = night.output(night.cells[3])
    how(path)
    words = [str(night.folder / "m.yaml"), "--endpoint", ENDPOINT]

    assert main(["status", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unsaved"] == 1
    code, _, short = night.call("--no-download")
    assert (code, short) == (0, False)
    path.write_bytes(b"had again")
    assert night.call()[::2] == (0, False)
    assert night.call()[::2] == (0, True)


def test_a_file_that_was_changed_stays_its_users(night: Night) -> None:
    path = night.output(night.cells[0])
    path.write_bytes(b"cropped")

    assert night.call()[::2] == (0, True)
    assert path.read_bytes() == b"cropped"


def test_rows_that_share_a_run_with_files_take_the_short_way(night: Night) -> None:
    night.write("chairs.csv", b"prompt\na chair\na stool\na chair\n")

    night.call()
    code, said, short = night.call()

    assert (code, short) == (0, True)
    assert said["folded"] == len(night.cells) // 2
