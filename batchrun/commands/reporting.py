"""What the page of a sweep is made of, where a command writes one."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchrun.base.endpoint import SIMULATOR
from batchrun.base.output_store import OutputStore
from batchrun.errors import FolderError
from batchrun.exports.metadata import METADATA
from batchrun.ledger.history import NOWHERE, State
from batchrun.ledger.reader import Readable
from batchrun.ledger.records import Intent, timestamp
from batchrun.ledger.scan import span_of
from batchrun.manifest.cells import Cell
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow
from batchrun.results.summary import Summary
from batchrun.sweep.location import LEDGER, LOGS

if TYPE_CHECKING:
    from batchrun.report.head import Head
    from batchrun.report.writing import LogsOf, ReportWriter

PATIENCE: Final = 5.0
"""Seconds for which the end of a call makes thumbnails; `batchrun report` makes the others."""

MOST_LOGS: Final = 4000
"""Logs of which a page has the end: those of 100,000 cells would take minutes."""

LOGS_READ: Final = 64 << 20
"""Bytes of logs that are read for it."""

LEFT: Final = 3600.0
"""Seconds after which a file that is half written has no writer any more."""

_BY_PROCESS: Final = re.compile(r".+\.[0-9]+\.part", re.DOTALL)


def report_writer(store: OutputStore, *, seconds: float | None, as_of: int) -> "ReportWriter":
    """Return what writes the page into *store*; thumbnails are made for so many *seconds*.

    *as_of* is a moment before the ledger was read: a page of a later one stays.
    """
    from batchrun.report.data_files import FOLDER
    from batchrun.report.thumbnails import Thumbnails
    from batchrun.report.writing import ReportWriter

    until = None if seconds is None else time.monotonic() + seconds

    clear_left(store.path(""), FOLDER)

    def late() -> bool:
        return until is not None and time.monotonic() > until

    return ReportWriter(store, Thumbnails(store, until=late), logs=logs_in(store), as_of=as_of)


def clear_left(folder: Path, data: str) -> None:
    """Remove what processes that were killed have left half written; each has a name of its own.

    It is that of a page in *folder*, of its *data*, and of the results in any format.
    """
    old = time.time() - LEFT
    for name in ("*", f"{METADATA}.*", f"{data}/*"):
        with suppress(OSError):
            for path in folder.glob(f"{name}.part"):
                if _BY_PROCESS.fullmatch(path.name) and path.stat().st_mtime < old:
                    path.unlink(missing_ok=True)


def logs_in(store: OutputStore) -> "LogsOf":
    """Return what finds the logs that are kept in *store*.

    Of cells that didn't succeed their ends are read, up to MOST_LOGS files and LOGS_READ bytes.
    """
    from batchrun.engine.kept_logs import kept_logs, name_of
    from batchrun.report.chunks import ShownLogs
    from batchrun.results.log_words import tail_of

    any_kept, files, left = store.exists(LOGS), MOST_LOGS, LOGS_READ
    folder = store.path(LOGS).parent

    def logs_of(row: PointRow) -> ShownLogs | None:
        nonlocal files, left
        run_id = row.values["run_id"]
        if not any_kept or run_id is None:
            return None
        name = name_of(row.cell.key, run_id)
        size = store.size(name)
        if size is None:
            return None
        if row.values["status"] == State.SUCCEEDED or not files or size > left:
            return ShownLogs(path=name)
        files, left = files - 1, left - size
        logs = kept_logs(folder, row.cell.key, run_id)
        return ShownLogs(path=name, end="" if logs is None else tail_of(logs))

    return logs_of


class PageOfCall:
    """The page at the end of a call. It is derived: what is wrong with it harms no results."""

    def __init__(self, folder: Path, *, seconds: float, as_of: int) -> None:
        self._folder = folder
        self._store = Remembering(folder)
        self._writer: ReportWriter | None = None
        self._problem: Exception | None = None
        self._has_all = False
        with self._harmless():
            self._writer = report_writer(self._store, seconds=seconds, as_of=as_of)

    def add(self, row: PointRow) -> None:
        """Take in the next point."""
        if self._writer is not None and self._problem is None:
            with self._harmless():
                self._writer.add(row)

    def has_all(self) -> None:
        """Take note that no row is missing: else the page stays as it was."""
        self._has_all = True

    def make_room(self, error: FolderError) -> bool:
        """Give up the page for the results, which *error* stopped; say whether that freed space.

        On a full disk its thumbnails and its data may have taken what the results needed.
        """
        self._problem = error
        return self._store.take_back()

    def finish(self, summary: Summary) -> str | None:
        """Write the page; return why it couldn't be written, None where it is, or is not due."""
        if self._writer is not None and self._has_all and self._problem is None:
            with self._harmless():
                self._writer.finish(head_of(summary, self._folder))
        if self._problem is None:
            return None
        why = str(self._problem) or type(self._problem).__name__
        return f"{REPORT} is left as it was: {why}"

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """Take note of what is wrong, whatever it is: the results are written all the same."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (a fault of the page's code is one of these)
            self._problem = error


class Remembering(OutputStore):
    """A store that can take back what was put into it."""

    def __init__(self, folder: Path, *, by: str = "") -> None:
        super().__init__(folder, by=by)
        self._names: list[str] = []

    def put(self, name: str, data: bytes, *, as_of: int | None = None) -> None:
        super().put(name, data, as_of=as_of)
        self._names.append(name)

    def take_back(self) -> bool:
        """Remove what was put; say whether there was any."""
        for name in self._names:
            with suppress(OSError):
                self.path(name).unlink(missing_ok=True)
        return bool(self._names)


def head_of(summary: Summary, folder: Path) -> "Head":
    """Return what a page says of the whole sweep, of which *summary* is how it stands."""
    from batchrun.base.text import money
    from batchrun.report.head import COUNTS, Head
    from batchrun.report.throttle_bins import throttle_bins
    from batchrun.sweep.kept_picks import kept_if_sound
    from batchrun.sweep.picks import last_of_kinds

    span = span_of(folder / LEDGER)
    marks, _ = kept_if_sound(folder)  # `batchrun report` says what is wrong with them
    return Head(
        sweep=summary.sweep or "",
        name=summary.name or folder.name,
        label=summary.label,
        endpoint=summary.endpoint or "",
        simulated=summary.endpoint == SIMULATOR,
        folder=str(folder.absolute()),
        counts={name: getattr(summary, name) for name in COUNTS},
        cost=money(summary.cost),
        written_at=timestamp(datetime.now(UTC)),
        first_at=span.first_at,
        last_at=span.last_at,
        calls=span.calls,
        complete=summary.complete,
        next=summary.next,
        failures=summary.failures,
        throttles=throttle_bins(span.throttled),
        marks=last_of_kinds(each for each in marks if each.sweep == summary.sweep),
    )


def cells_of(ledger: Readable) -> Iterator[Cell]:
    """Yield the cells that *ledger* knows, where no manifest says what their axes are."""
    for ordinal, (key, history) in enumerate(ledger.book.histories.items()):
        record = None if history.input_line == NOWHERE else ledger.read(history.input_line)
        sent = dict(record.input or {}) if isinstance(record, Intent) else {}
        yield Cell(
            key=key,
            model=history.model,
            alias=history.alias,
            input=sent,
            replicate=1,
            values=sent,
            ordinal=ordinal,
        )
