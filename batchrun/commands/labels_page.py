"""The page of all labels of a name: its sweeps are read one after another, without their locks.

Each is judged by the manifest of its own last start, as long as the data files beside that are what
they were: else a sheet that is replaced each day would be read into every earlier night. A sweep
that can't be read is named and left out, and the others are shown.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

from msgspec import Struct
from msgspec.structs import asdict, replace

from batchrun.base.output_store import OutputStore
from batchrun.base.said import say
from batchrun.base.text import listed, number_of
from batchrun.commands.reporting import clear_left, head_of, logs_in
from batchrun.commands.status_report import overview_of, rows_of, summary_of
from batchrun.commands.target import Place, Subject, naming_recover, opened, recover_of, subject_of
from batchrun.errors import BatchrunError, FolderError, ManifestError, UsageError, most_severe
from batchrun.ledger.beginning import beginning_of
from batchrun.ledger.records import timestamp
from batchrun.report.chunks import ShownLogs
from batchrun.report.data_files import DataFiles
from batchrun.report.head import Head
from batchrun.report.labels import (
    LABELS_DATA,
    LABELS_PAGE,
    LABELS_SINGLE,
    head_of_all,
    labelled,
    on_page,
)
from batchrun.report.single_file import write_single
from batchrun.report.thumbnails import ThumbnailsOfLabels
from batchrun.report.writing import LogsOf, ReportWriter
from batchrun.results.rows import PointRow
from batchrun.results.starts import has_its_files, newest_start
from batchrun.results.sweep_folders import label_of, sweeps_of_name
from batchrun.sweep.kept_picks import kept_if_sound
from batchrun.sweep.location import LEDGER, name_folder

SCHEMA: Final = 1
"""Version of the `--json` object; fields may be added within a version, never change or go."""

MOST_NAMED: Final = 10
"""Labels that are named where none fits."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What a command line asks for; a label is shown that fits one of the *patterns*."""

    target: Path
    place: Place
    patterns: Sequence[str]
    single: bool = False
    as_json: bool = False


def write_labels(wanted: Wanted) -> int:
    """Write the page; return the exit code: that of the worst that is wrong with a sweep, else 0.

    Raises UsageError where no label fits, and what is wrong with the sweeps where none can be read.
    """
    base = name_folder(_folder_of(wanted))
    by = f"{os.getpid()}"
    clear_left(base, LABELS_DATA)
    store, drawing = OutputStore(base, by=by), ThumbnailsOfLabels(base, by=by)
    sweeps = Sweeps(base, _fitting(base, wanted.patterns))
    data = DataFiles(store, LABELS_DATA)
    writer = ReportWriter(store, drawing, data=data, name=LABELS_PAGE, logs=sweeps.logs)
    for row in sweeps.rows():
        writer.add(row)
    sweeps.check_any()
    head = sweeps.head()
    writer.finish(head)
    of = number_of(sum(each.rows > 0 for each in head.sweeps), "sweep")
    said = [f"{store.path(LABELS_PAGE)}: {number_of(writer.rows, 'row')} of {of}"]
    if wanted.single:
        instead = f"choose fewer labels, or send {base}"
        given = {"name": LABELS_SINGLE, "instead": instead}
        said.append(write_single(store, sweeps.head, sweeps.rows, drawing, **given))
    code = most_severe([each.exit_code for each in sweeps.stops])
    for each in head.sweeps:
        if each.problem is not None:
            how = "is not whole" if each.rows else "is left out"
            say(f"batchrun: {_named(each.label)} {how}: {each.problem}", sys.stderr)
    for folder in sweeps.folders:
        _, problem = kept_if_sound(folder)
        if problem is not None:
            named = _named(_label(folder))
            say(f"batchrun: {named}: the page shows no marks of it: {problem}", sys.stderr)
    page = {"report": str(store.path(LABELS_PAGE)), "rows": writer.rows, "exit_code": code}
    print(json.dumps({**_as_dict(head), **page}) if wanted.as_json else "\n".join(said))
    return code


class Sweeps:
    """The sweeps in *folders*, in the order of time, and what is known once all were read."""

    def __init__(self, base: Path, folders: Sequence[Path]) -> None:
        self._base = base
        self.folders = sorted(folders, key=_began)
        self._heads: list[Head] = []
        self._logs: LogsOf = lambda _: None
        self.stops: list[BatchrunError] = []

    def rows(self) -> Iterator[PointRow]:
        """Yield the rows of all sweeps, one sweep after another; `head` is of these."""
        self._heads, self.stops = [], []
        for folder in self.folders:
            yield from self._rows_of(folder)

    def logs(self, row: PointRow) -> ShownLogs | None:
        """Return where the logs of the row's run are kept; of the row that was given last."""
        return self._logs(row)

    def head(self) -> Head:
        """Return what the page says of all of them."""
        name = next((each.name for each in self._heads if each.sweep), self._base.name)
        return head_of_all(name, str(self._base), self._heads, timestamp(datetime.now(UTC)))

    def check_any(self) -> None:
        """Raise what is wrong with the first sweep where none could be read."""
        if len(self.stops) == len(self.folders):
            raise self.stops[0]

    def _rows_of(self, folder: Path) -> Iterator[PointRow]:
        label = _label(folder)
        below = "" if folder == self._base else f"@{label}/"
        head, rows, problem = _unread(folder), 0, None
        models: dict[str, str] = {}
        try:
            subject = _subject(folder)
            with naming_recover(recover_of(subject.command)), opened(subject) as reader:
                head = head_of(summary_of(subject, reader, overview_of(subject, reader)), folder)
                self._logs = _logs_below(folder, below)
                for row in rows_of(subject, reader):
                    models[row.cell.alias] = row.cell.model
                    rows += 1
                    yield labelled(row, label, below)
        except (BatchrunError, OSError) as error:  # of this sweep: the page's own isn't seen here
            self.stops.append(_stop(error, folder))
            problem = str(self.stops[-1])
        one = replace(head, models=models)
        sweep = on_page(one, label=label, rows=rows, problem=problem)
        self._heads.append(replace(head, sweeps=(sweep,)))


def _stop(error: BatchrunError | OSError, folder: Path) -> BatchrunError:
    """Return why a sweep can't be read, where the system says so alone."""
    if isinstance(error, BatchrunError):
        return error
    return FolderError(f"cannot read {folder}: {error.strerror or error}")


def _folder_of(wanted: Wanted) -> Path:
    """Return the folder of one of the sweeps, or of their name; UsageError where it is neither."""
    if wanted.target.is_dir():
        return wanted.target.absolute()
    return subject_of(wanted.target, wanted.place, quiet=wanted.as_json).folder


def _fitting(base: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the folders of the sweeps whose label fits; no label is an empty text."""
    every = sweeps_of_name(base)
    if not every:
        raise UsageError(f"there is no sweep in {base}, and no label")
    wanted = [normalize("NFC", each) for each in patterns]
    found = [each for each in every if _fits(_label(each) or "", wanted)]
    if not found:
        labels = listed(filter(None, map(_label, every)), most=MOST_NAMED)
        raise UsageError(f"no label fits {listed(patterns)}; labels in {base}: {labels or 'none'}")
    return found


def _fits(label: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(normalize("NFC", label), each) for each in patterns)


def _label(folder: Path) -> str | None:
    """Return the label of a sweep's folder, whatever the locale calls its bytes."""
    label = label_of(folder)
    return None if label is None else os.fsencode(label).decode("utf-8", "surrogateescape")


def _began(folder: Path) -> tuple[bool, str, str]:
    """Order sweeps by when they began; those whose beginning can't be read are the last."""
    first = beginning_of(folder / LEDGER)
    return first is None, "" if first is None else first.at, folder.name


def _subject(folder: Path) -> Subject:
    """Return the sweep with the manifest that it was started with, None for another one by now."""
    try:
        subject = subject_of(folder, Place(), quiet=True)
    except ManifestError:
        return Subject(folder=folder, manifest=None, command="batchrun MANIFEST")
    start = newest_start(folder)
    if subject.manifest is None or start is None:
        return subject
    text = start.manifest.encode("utf-8", "surrogateescape")
    is_still = subject.manifest.text == text and has_its_files(start, subject.manifest)
    return subject if is_still else replace(subject, manifest=None)


def _logs_below(folder: Path, below: str) -> LogsOf:
    """Return what finds the logs of a sweep, as the page has them."""
    logs_of = logs_in(OutputStore(folder))

    def found(row: PointRow) -> ShownLogs | None:
        logs = logs_of(row)
        return None if logs is None else replace(logs, path=f"{below}{logs.path}")

    return found


def _unread(folder: Path) -> Head:
    """Return the head of a sweep of which nothing is known yet."""
    return Head(
        name=name_folder(folder).name,
        label=label_of(folder),
        endpoint="",
        simulated=False,
        folder=str(folder),
        counts={},
        cost="0",
        written_at="",
    )


def _named(label: str | None) -> str:
    return "the sweep without a label" if label is None else f"label {label}"


def _as_dict(head: Head) -> dict[str, Any]:
    """Return the sums, and each sweep, as the `--json` object has them."""
    left_out = {"models", "value"}
    sweeps = [
        {name: value for name, value in asdict(each).items() if name not in left_out}
        for each in head.sweeps
    ]
    names = ("name", "endpoint", "folder", "counts", "cost", "complete")
    return {"schema": SCHEMA, **{each: getattr(head, each) for each in names}, "sweeps": sweeps}
