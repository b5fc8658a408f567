"""The page and the results of a folder, by the ledger on the disk alone: no network, no lock.

`python -m batchrun.commands.page_from_ledger FOLDER` is the process that a call starts now and then
to write its page. It says nothing: what is wrong with a page is said at the end of the call.
"""

import os
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from batchrun.commands.reporting import PATIENCE, Remembering, head_of, report_writer
from batchrun.commands.status_report import overview_of, rows_of, summary_of
from batchrun.commands.target import Place, Subject, opened, subject_of
from batchrun.errors import BatchrunError, FolderError
from batchrun.ledger.reader import Reader
from batchrun.report.head import Head
from batchrun.results.result_files import REPORT, write_results
from batchrun.results.summary import Summary

NICE: Final = 10
"""By how much the process steps back behind the call and all else on the machine."""


def store_of(folder: Path) -> Remembering:
    """Return where a process writes that holds no lock."""
    return Remembering(folder, by=f"{os.getpid()}")


def write_all(
    subject: Subject,
    reader: Reader,
    summary: Summary,
    store: Remembering,
    *,
    seconds: float | None,
    as_of: int,
) -> tuple[Head, int]:
    """Write the page and the results, and return its head and how many rows it has.

    Where no manifest says what they are, the results stay as they were. *seconds* and *as_of* are
    those of `report_writer`. On a full disk the results come first, as at the end of a call: the
    page gives up its room for them, and then FolderError says that it is left as it was.
    """
    writer = report_writer(store, seconds=seconds, as_of=as_of)
    if subject.manifest is None:
        for row in rows_of(subject, reader):
            writer.add(row)
    else:
        manifest = replace(subject.manifest, redone=reader.book.redone)
        write = partial(write_results, store, manifest, reader, as_of=as_of)
        try:
            write(shown=writer.add)
        except FolderError as error:
            if not store.take_back():
                raise
            write()
            raise FolderError(f"{REPORT} is left as it was: {error}") from error
    head = head_of(summary, subject.folder)
    writer.finish(head)
    return head, writer.rows


def main(folder: Path) -> None:
    """Write the page of the sweep in *folder*, with the thumbnails for which there is time.

    Without an end to drawing each round would have more to draw than the one before, and would come
    later and later. What is left has its turn in the next ones, and in `batchrun report`.
    """
    os.nice(NICE)
    as_of = time.time_ns()
    subject = subject_of(folder, Place(), quiet=True)
    with opened(subject) as reader:
        summary = summary_of(subject, reader, overview_of(subject, reader))
        store = store_of(folder)
        write_all(subject, reader, summary, store, seconds=PATIENCE, as_of=as_of)


if __name__ == "__main__":
    with suppress(BatchrunError):
        main(Path(sys.argv[1]))
