"""`batchrun status MANIFEST|FOLDER`: what the ledger says; no network, no lock."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from heapq import nsmallest
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import span
from batchrun.commands.options import Parser, add_place
from batchrun.commands.target import command_of, find, naming_recover, recover_of
from batchrun.errors import UsageError
from batchrun.ledger.file import check_sweep
from batchrun.ledger.history import BAD, History, State
from batchrun.ledger.reader import Reader, open_reader
from batchrun.ledger.records import Finished, Intent, Rejected
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.results.failures import Failure, Grouping, failures
from batchrun.results.summary import Summary, how_to_go_on
from batchrun.results.tally import Count, Counting, ModelRow, count_ledger
from batchrun.results.terminal_table import table
from batchrun.sweep.identity import Identity, check_folder, read_identity
from batchrun.sweep.location import LEDGER, endpoint_folder

MOST_SHOWN: Final = 20
DEFAULT_ATTEMPTS: Final = 2


class Subject(Struct, frozen=True, kw_only=True):
    """What is asked about: a folder, and the manifest where there still is one."""

    folder: Path
    manifest: Manifest | None
    command: str


def main(argv: Sequence[str]) -> int:
    """Print how the sweep stands; 0 whenever that could be read."""
    parser = Parser("status", description="How a sweep stands, by its ledger alone.")
    parser.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args(argv)
    subject = subject_of(options)
    with naming_recover(recover_of(subject.command)), opened(subject) as reader:
        found = look(subject, reader)
        summary = summary_of(subject, reader, found.counted)
        if options.json:
            print(summary.as_json())
        else:
            print("\n".join(report(subject, reader, found, summary)))
    return 0


@contextmanager
def opened(subject: Subject) -> Iterator[Reader]:
    """Read the sweep's ledger; UsageError where there is none yet."""
    path = subject.folder / LEDGER
    sweep = check_folder(subject.folder)
    if not path.exists():
        start = f" yet; start it with `{subject.command}`"
        if subject.manifest is None:
            start = "; name the folder of one, or its manifest"
        raise UsageError(f"there is no sweep in {subject.folder}{start}")
    with open_reader(path) as reader:
        check_sweep(reader.book, sweep, path)
        yield reader


def subject_of(options: Any) -> Subject:
    """Return what the command line names; UsageError where it is neither of the two."""
    target: Path = options.target
    if target.is_dir():
        identity = read_identity(target)
        path = Path(identity.manifest) if identity is not None and identity.manifest else None
        exists = path is not None and path.exists()
        manifest = load_manifest(path, os.environ) if path is not None and exists else None
        command = "batchrun MANIFEST" if identity is None else resuming(identity, manifest, target)
        return Subject(folder=target, manifest=manifest, command=command)
    manifest = load_manifest(target, os.environ)
    place = {name: getattr(options, name) for name in ("endpoint", "outputs", "label")}
    _, folder = find(manifest, **place)
    return Subject(folder=folder, manifest=manifest, command=command_of(target, **place))


def resuming(identity: Identity, manifest: Manifest | None, folder: Path) -> str:
    """Return the command that finds *folder* again, from what its `sweep.json` says."""
    label = identity.label
    if manifest is not None:
        _, found = find(manifest, endpoint=None, outputs=None, label=label)
        if found == folder.resolve():
            return command_of(manifest.path, label=label)
    base = folder.resolve().parents[1 if identity.label else 0]
    if endpoint_folder(identity.endpoint) is not None:
        base = base.parent
    known = identity.manifest or "MANIFEST"
    return command_of(known, endpoint=identity.endpoint, outputs=base, label=label)


class Found(Struct, frozen=True, kw_only=True):
    """How the cells stand, and why some of them ended badly."""

    counted: Count
    failures: Sequence[Failure]


def look(subject: Subject, reader: Reader) -> Found:
    """Look at the manifest's cells, or at the ledger's where the manifest is gone."""
    grouping, manifest = Grouping(), subject.manifest
    if manifest is None:
        for history in reader.book.histories.values():
            _group(grouping, reader, history.alias, history)
        tally = count_ledger(reader.book, attempts=DEFAULT_ATTEMPTS, download=True)
        row = ModelRow(alias="all models", tally=tally, cost=reader.book.cost)
        counted = Count(tally=tally, models=(row,))
    else:
        counting = Counting(
            reader.book, attempts=manifest.limits.attempts, download=manifest.outputs.download
        )
        for cell in expand(manifest):
            if counting.add(cell) in BAD:
                _group(grouping, reader, cell.alias, reader.book.history(cell.key))
        counted = counting.result()
    return Found(counted=counted, failures=grouping.result())


def _group(grouping: Grouping, reader: Reader, alias: str, history: History) -> None:
    """Take in why a cell ended badly, if it did."""
    if history.state in BAD:
        ended = reader.read(history.ended_line)
        assert isinstance(ended, Finished | Rejected)
        grouping.add(alias, ended)


def summary_of(subject: Subject, reader: Reader, counted: Count) -> Summary:
    """Return how the sweep stands as the `--json` object."""
    sweep = reader.book.sweep
    numbers: dict[str, Any] = counted.tally.as_dict()
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=None if sweep is None else sweep.name,
        label=None if sweep is None else sweep.label,
        endpoint=None if sweep is None else sweep.endpoint,
        **numbers,
        cost=reader.book.cost,
        outputs=str(subject.folder),
        ledger=str(subject.folder / LEDGER),
        complete=not counted.tally.unfinished,
        next=how_to_go_on(counted.tally, 0, command=subject.command),
    )


def report(subject: Subject, reader: Reader, found: Found, summary: Summary) -> Iterator[str]:
    """Yield what people read: counts, what is open, what failed, how to go on."""
    counted = found.counted
    yield table(summary, counted.models, shutil.get_terminal_size().columns)
    if subject.manifest is None:
        yield "the manifest is gone: these are the ledger's cells alone"
    open_runs = list(open_lines(reader))
    if open_runs:
        yield "\nopen, the oldest first:"
        yield from open_runs
        if (more := len(reader.book.open) - len(open_runs)) > 0:
            yield f"  and {more} more"
    if counted.tally.bad:
        cells = {row.alias: row.tally.cells for row in counted.models}
        yield f"\n{failures(found.failures, cells)}"
    yield f"\n{summary.next}"


def open_lines(reader: Reader) -> Iterator[str]:
    """Yield a line for each of the oldest attempts whose run may be running, and its age.

    By our clock: the service's times are known of runs that ended.
    """
    # Lines are only ever appended: the oldest intent is the one that stands first.
    found = nsmallest(MOST_SHOWN, reader.book.open_cells(), key=lambda pair: pair[1].intent_line)
    for cell, history in found:
        intent = reader.read(history.intent_line)
        assert isinstance(intent, Intent)
        age = datetime.now(UTC) - datetime.fromisoformat(intent.at)
        state = "in doubt" if history.state is State.DOUBTFUL else "in flight"
        if history.parked:
            state += ", parked"
        run = history.run_id or "no run id"
        yield f"  {cell[:12]}  {intent.alias}  {run}  {state}, {span(age.total_seconds())}"
