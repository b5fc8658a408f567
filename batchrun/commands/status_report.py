"""How a sweep stands, by its ledger alone: what `status` shows, and `recover` at its end."""

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from heapq import nsmallest
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import money, span
from batchrun.commands.target import Subject, naming_recover, opened, recover_of
from batchrun.ledger.history import BAD, State
from batchrun.ledger.reader import Reader, lost_files
from batchrun.ledger.records import Finished, Intent, Rejected
from batchrun.manifest.grid.expand import expand
from batchrun.results.failures import Failure, Grouping, failures
from batchrun.results.summary import Summary, how_to_go_on
from batchrun.results.tally import Count, Counting, ModelRow, count_ledger
from batchrun.results.terminal_table import table
from batchrun.sweep.location import LEDGER

MOST_SHOWN: Final = 20
DEFAULT_ATTEMPTS: Final = 2


def show_status(subject: Subject, *, as_json: bool) -> int:
    """Print how the sweep stands; 0 whenever that could be read."""
    with naming_recover(recover_of(subject.command)), opened(subject) as reader:
        found = overview_of(subject, reader)
        summary = summary_of(subject, reader, found.counted)
        if as_json:
            print(summary.as_json())
        else:
            print("\n".join(report(subject, reader, found, summary)))
    return 0


class Overview(Struct, frozen=True, kw_only=True):
    """How the cells stand, and why some of them ended badly."""

    counted: Count
    failures: Sequence[Failure]


def overview_of(subject: Subject, reader: Reader) -> Overview:
    """Look at the manifest's cells, or at the ledger's where the manifest is gone."""
    grouping, manifest = Grouping(), subject.manifest
    if manifest is None:
        for key, history in reader.book.histories.items():
            _group(grouping, reader, history.alias, key)
        tally = count_ledger(reader.book, attempts=DEFAULT_ATTEMPTS, download=True)
        row = ModelRow(alias="all models", tally=tally, cost=reader.book.cost)
        counted = Count(tally=tally, models=(row,))
    else:
        settings = manifest.settings()
        manifest = replace(manifest, redone=reader.book.redone)
        counting = Counting(reader.book, attempts=settings.attempts, download=settings.download)
        for cell in expand(manifest):
            if counting.add(cell) is not None:
                _group(grouping, reader, cell.alias, cell.key)
        counted = counting.result()
    return Overview(counted=counted, failures=grouping.result())


def _group(grouping: Grouping, reader: Reader, alias: str, cell: str) -> None:
    """Take in why a cell ended badly, if it did, and which of its files are lost."""
    for lost in lost_files(reader, cell):
        grouping.add(alias, lost)
    history = reader.book.history(cell)
    if history.state in BAD:
        ended = reader.read(history.ended_line)
        assert isinstance(ended, Finished | Rejected)
        grouping.add(alias, ended)


def summary_of(subject: Subject, reader: Reader, counted: Count) -> Summary:
    """Return how the sweep stands as the `--json` object."""
    sweep = reader.book.sweep
    numbers: dict[str, Any] = counted.tally.as_dict()
    budget, spent = _budget(reader), ""
    if budget is not None and counted.tally.unfinished:
        spent = f"; of its budget of {money(budget)} USD {money(reader.book.cost)} are spent"
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
        next=f"{how_to_go_on(counted.tally, 0, command=_with_budget(subject, reader))}{spent}",
    )


def _with_budget(subject: Subject, reader: Reader) -> str:
    """Return the command that goes on, with the budget of the last call if that was its own."""
    budget, manifest = _budget(reader), subject.manifest
    given = None if manifest is None else manifest.settings().budget
    return subject.command if budget in {None, given} else f"{subject.command} --budget {budget}"


def _budget(reader: Reader) -> Decimal | None:
    return None if reader.book.sweep is None else reader.book.sweep.budget


def report(subject: Subject, reader: Reader, found: Overview, summary: Summary) -> Iterator[str]:
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
    # Lines are only ever appended: the oldest intent stands first.
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
