"""`batchrun report MANIFEST|FOLDER`: write report.html and results.*; no network, no lock."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from batchrun.base.output_store import OutputStore
from batchrun.base.said import say
from batchrun.base.text import number_of
from batchrun.commands.exporting import Exported, add_exports, exported, take_exports
from batchrun.commands.labels_page import Wanted, write_labels
from batchrun.commands.options import Parser, add_place, take_place, typed, value
from batchrun.commands.page_from_ledger import store_of, write_all
from batchrun.commands.reporting import Remembering
from batchrun.commands.status_report import overview_of, rows_of, summary_of
from batchrun.commands.target import Subject, naming_recover, opened, recover_of, subject_of
from batchrun.errors import UsageError
from batchrun.ledger.reader import Reader
from batchrun.report.head import Head
from batchrun.report.labels import LABELS_PAGE
from batchrun.report.single_file import SINGLE, write_single
from batchrun.report.thumbnails import Thumbnails
from batchrun.results.result_files import REPORT, RESULTS_JSONL
from batchrun.results.summary import Summary
from batchrun.sweep.kept_picks import kept_if_sound


def main(argv: Sequence[str]) -> int:
    """Write the page and the results; 0 whenever that could be done."""
    values = vars(parser().parse_args(argv))
    if values["labels"]:
        return write_labels(_labels_wanted(values))
    exports = take_exports(values)
    as_of = time.time_ns()
    subject = subject_of(values["target"], take_place(values), quiet=values["json"])
    with naming_recover(recover_of(subject.command)), opened(subject) as reader:
        summary = summary_of(subject, reader, overview_of(subject, reader))
        store = store_of(subject.folder)
        said = _written(subject, reader, summary, store, as_of, single=values["single_file"])
    _, problem = kept_if_sound(subject.folder)
    if problem is not None:
        say(f"batchrun: the page shows no marks: {problem}", sys.stderr)
    if exports and subject.manifest is None:
        said.append(f"no manifest can be read: {RESULTS_JSONL} is as the last call has left it")
    summary = replace(summary, report=str(store.path(REPORT)))
    with exported(exports, store) as results:
        _show(said, summary, results, as_json=values["json"])
    return 0


def _show(said: list[str], summary: Summary, results: Exported | None, *, as_json: bool) -> None:
    """Print the chosen columns, where there are any, else what was written."""
    lines = [*said, *(() if results is None else results.said)]
    if results is None or results.names is None:
        print(summary.as_json() if as_json else "\n".join(lines))
    elif as_json:
        results.print_json(summary)
    else:
        for line in lines:
            say(line, sys.stderr)
        results.print_table()


def _labels_wanted(values: dict[str, Any]) -> Wanted:
    """Return what the page of labels is to be of; UsageError for what it has nothing to do with."""
    exports, place = take_exports(values), take_place(values)
    if exports:
        raise UsageError("the other formats are of one sweep: leave `--labels` out, or them")
    if place.label is not None:
        raise UsageError("`--label` names one sweep, `--labels` shows several: leave one out")
    return Wanted(
        target=values["target"],
        place=place,
        patterns=tuple(values["labels"]),
        single=values["single_file"],
        as_json=values["json"],
    )


def _written(
    subject: Subject,
    reader: Reader,
    summary: Summary,
    store: Remembering,
    as_of: int,
    *,
    single: bool,
) -> list[str]:
    """Write the page and the results; return what is said of it."""
    head, rows = write_all(subject, reader, summary, store, seconds=None, as_of=as_of)
    said = [f"{store.path(REPORT)}: {number_of(rows, 'row')}"]
    return [*said, _single(subject, reader, head, store)] if single else said


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser("report", description="Write report.html and results.*, by the ledger alone.")
    made.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    add_place(made)
    made.add_argument(
        "--labels",
        nargs="?",
        const="*",
        type=value(typed),
        action="append",
        metavar="PATTERN",
        help=f"write {LABELS_PAGE} instead: all labels of the name side by side, or those that "
        "fit a pattern such as '2026-11-*'; it can be given several times",
    )
    made.add_argument(
        "--single-file",
        action="store_true",
        help=f"also write {SINGLE}, a page of at most 25 MB with its pictures inside",
    )
    add_exports(made)
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def _single(subject: Subject, reader: Reader, head: Head, store: OutputStore) -> str:
    """Write the page in one file; return what is said of it."""
    thumbnails = Thumbnails(store, until=lambda: False)
    return write_single(store, lambda: head, lambda: rows_of(subject, reader), thumbnails)
