"""Two that write the same files: what is of an earlier moment never takes the place of newer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from result_lines import MemoryLedger

from batchrun.base.disk import atomic_write
from batchrun.base.output_store import OutputStore
from batchrun.cli import main
from batchrun.commands.reporting import clear_left, report_writer
from batchrun.exports.excel import EXCEL_CSV
from batchrun.exports.metadata import METADATA
from batchrun.manifest.load import load_manifest
from batchrun.report.data_files import FOLDER
from batchrun.report.labels import LABELS_DATA, LABELS_PAGE
from batchrun.report.single_file import SINGLE
from batchrun.results.result_files import REPORT, RESULTS_CSV, RESULTS_JSONL, write_results
from batchrun.sweep.kept_picks import PICKS

EARLY: Final = 1_700_000_000_000_000_000
LATE: Final = EARLY + 1

DERIVED: Final = (RESULTS_JSONL, RESULTS_CSV, REPORT)


@pytest.mark.parametrize(("first", "second"), [(EARLY, LATE), (LATE, EARLY), (LATE, LATE)])
def test_the_newer_of_two_stays_whoever_writes_last(
    tmp_path: Path, first: int, second: int
) -> None:
    path = tmp_path / "x"
    atomic_write(path, b"first", as_of=first)
    atomic_write(path, b"second", as_of=second)

    assert path.read_bytes() == (b"first" if first > second else b"second")
    assert path.stat().st_mtime_ns == max(first, second)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_a_clock_that_was_ahead_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"tomorrow")
    tomorrow = time.time_ns() + 86_400_000_000_000
    os.utime(path, ns=(tomorrow, tomorrow))

    atomic_write(path, b"now", as_of=time.time_ns())

    assert path.read_bytes() == b"now"


def test_a_table_has_the_columns_of_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "chairs.yaml"
    path.write_text("models: [a/b]\ninputs: {prompt: x}\n")
    (tmp_path / RESULTS_JSONL).write_text('{"of": "another writer"}\n')
    os.utime(tmp_path / RESULTS_JSONL, ns=(LATE, LATE))

    write_results(OutputStore(tmp_path), load_manifest(path, {}), MemoryLedger(), as_of=EARLY)

    assert (tmp_path / RESULTS_JSONL).read_text() == '{"of": "another writer"}\n'
    header, row, rest = (tmp_path / RESULTS_CSV).read_text().split("\n")
    assert header.count(",") == row.count(",") > 1
    assert rest == ""


def test_what_a_killed_process_has_left_half_written_goes_after_an_hour(tmp_path: Path) -> None:
    names = (RESULTS_CSV, REPORT, SINGLE, EXCEL_CSV, "results.parquet", PICKS, METADATA)
    left = [tmp_path / f"{name}.7.part" for name in (*names, f"{FOLDER}/o0-ab.js")]
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / METADATA).parent.mkdir()
    for path in left:
        path.touch()
        os.utime(path, (0, 0))
    (tmp_path / f"{RESULTS_CSV}.8.part").touch()
    (tmp_path / RESULTS_CSV).touch()
    download = tmp_path / METADATA.replace("metadata.jsonl", "a.7.part")
    download.touch()
    os.utime(download, (0, 0))

    report_writer(OutputStore(tmp_path), seconds=None, as_of=EARLY)

    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == [download.name, RESULTS_CSV, f"{RESULTS_CSV}.8.part"]


def test_of_the_page_of_labels_it_goes_too(tmp_path: Path) -> None:
    (tmp_path / LABELS_DATA).mkdir(parents=True)
    for name in (LABELS_PAGE, f"{LABELS_DATA}/o0-ab.js"):
        (tmp_path / f"{name}.7.part").touch()
        os.utime(tmp_path / f"{name}.7.part", (0, 0))

    clear_left(tmp_path, LABELS_DATA)

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


PARENT: Final = (
    "import sys, anyio; from pathlib import Path;"
    "from batchrun.commands.live_page import write_page;"
    "anyio.run(write_page, Path(sys.argv[1]))"
)


def half_written(folder: Path) -> Iterator[int]:
    """Yield the ids of the processes that are at the results in *folder*."""
    for path in folder.glob(f"{RESULTS_JSONL}.*.part"):
        yield int(path.suffixes[-2].removeprefix("."))


@pytest.mark.slow
def test_the_page_of_a_call_that_was_killed_takes_no_newer_place(tmp_path: Path) -> None:
    path = tmp_path / "chairs.yaml"
    path.write_text(
        "endpoint: simulator\nmodels: [google/nano-banana-2]\npoll: {interval: 1ms}\n"
        "inputs: {prompt: a chair, seed: {$range: [1, 20000]}}\n"
    )
    folder = tmp_path / "outputs/@simulator/chairs"
    main([str(path), "--quiet", "--budget", "0.2"])
    call = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)])
    while not (pids := list(half_written(folder))):
        assert call.poll() is None
    os.kill(pids[0], signal.SIGSTOP)
    call.kill()
    call.wait()
    assert list(half_written(folder)) == pids

    main([str(path), "--quiet", "--budget", "0.4"])
    newer = {name: (folder / name).read_bytes() for name in DERIVED}
    os.kill(pids[0], signal.SIGCONT)
    while is_there(pids[0]):
        time.sleep(0.01)

    assert {name: (folder / name).read_bytes() for name in DERIVED} == newer
    assert not list(folder.glob("*.part"))


def is_there(pid: int) -> bool:
    """Say whether a process is at work; one that has ended and is asked by no parent is not."""
    words = ["ps", "-o", "stat=", "-p", str(pid)]
    stat = subprocess.run(words, check=False, capture_output=True, text=True).stdout
    return bool(stat) and not stat.startswith("Z")
