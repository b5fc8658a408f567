"""`batchrun report MANIFEST|FOLDER`: write report.html and results.*; no network, no lock."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from batchrun.base.output_store import OutputStore
from batchrun.base.text import number_of, size_of
from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.reporting import cells_of, head_of, report_writer
from batchrun.commands.status_report import DEFAULT_ATTEMPTS, overview_of, summary_of
from batchrun.commands.target import Subject, naming_recover, opened, recover_of, subject_of
from batchrun.ledger.reader import Reader
from batchrun.manifest.grid.expand import expand
from batchrun.report.head import Head
from batchrun.report.single_file import SINGLE, write_single
from batchrun.report.thumbnails import Thumbnails
from batchrun.report.writing import ReportWriter
from batchrun.results.result_files import REPORT, point_rows, write_results
from batchrun.results.rows import PointRow


def main(argv: Sequence[str]) -> int:
    """Write the page and the results; 0 whenever that could be done."""
    parser = Parser("report", description="Write report.html and results.*, by the ledger alone.")
    parser.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    add_place(parser)
    parser.add_argument(
        "--single-file",
        action="store_true",
        help=f"also write {SINGLE}, a page of at most 25 MB with its pictures inside",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    values = vars(parser.parse_args(argv))
    subject = subject_of(values["target"], take_place(values), quiet=values["json"])
    with naming_recover(recover_of(subject.command)), opened(subject) as reader:
        summary = summary_of(subject, reader, overview_of(subject, reader))
        store = OutputStore(subject.folder, by=f"{os.getpid()}")  # it takes no lock
        writer = report_writer(store, seconds=None)
        rows = _write(subject, reader, writer, store)
        head = head_of(summary, subject.folder)
        writer.finish(head)
        path = subject.folder / REPORT
        said = f"{path}: {number_of(rows, 'row')}"
        if values["single_file"]:
            said = f"{said}\n{_single(subject, reader, head, store)}"
    print(replace(summary, report=str(path)).as_json() if values["json"] else said)
    return 0


def _single(subject: Subject, reader: Reader, head: Head, store: OutputStore) -> str:
    """Write the page in one file; return what is said of it."""

    def rows() -> Iterator[PointRow]:
        manifest = subject.manifest
        if manifest is None:
            return point_rows(reader, cells_of(reader), attempts=DEFAULT_ATTEMPTS)
        cells = expand(replace(manifest, redone=reader.book.redone))
        return point_rows(reader, cells, attempts=manifest.settings().attempts)

    thumbnails = Thumbnails(store, until=lambda: False)
    path, whole = write_single(store, head, rows, thumbnails)
    size = size_of(path.stat().st_size)
    return f"{path}: {size}, with {'its files' if whole else 'thumbnails; the files are too large'}"


def _write(subject: Subject, reader: Reader, writer: ReportWriter, store: OutputStore) -> int:
    """Give *writer* each row; write the results, too, where the manifest says what they are."""
    if subject.manifest is None:
        for row in point_rows(reader, cells_of(reader), attempts=DEFAULT_ATTEMPTS):
            writer.add(row)
    else:
        manifest = replace(subject.manifest, redone=reader.book.redone)
        write_results(store, manifest, reader, shown=writer.add)
    return writer.rows
