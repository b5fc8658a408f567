"""How a call ends: counts, results files, the table or the JSON object, the exit code."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batchrun.commands.signals import SIGNALS
from batchrun.engine.selection import Selection
from batchrun.engine.settings import Settings
from batchrun.engine.stops import Stops
from batchrun.errors import FAILED, INCOMPLETE, FolderError, LedgerError, most_severe
from batchrun.ledger.file import Ledger
from batchrun.ledger.history import BAD, History
from batchrun.ledger.reader import Readable, open_reader
from batchrun.ledger.records import Finished, Rejected
from batchrun.manifest.grid import Cell, expand, upper_bound
from batchrun.manifest.manifest import Manifest
from batchrun.results.failures import Failure, Grouping, failures
from batchrun.results.storage import RESULTS_CSV, RESULTS_JSONL, results_stand, write_results
from batchrun.results.summary import Others, Summary, how_to_go_on, stop_of
from batchrun.results.table import table
from batchrun.results.tally import Count, Counting, Tally
from batchrun.runflow.client import Client

MOST_WHEN_INTERRUPTED: Final = 20_000
"""Points up to which the results are written although somebody waits: half a second's work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is left of a call once its task group has ended.

    *command* goes on with it, *for_all* also with the cells that it was not about.
    """

    manifest: Manifest
    settings: Settings
    folder: Path
    endpoint: str
    label: str | None
    command: str
    for_all: str
    ledger: Ledger
    selection: Selection
    stops: Stops
    client: Client
    seconds: float


def show(ending: Ending, *, as_json: bool, quiet: bool) -> int:
    """Write the results, say what the call came to, and return the exit code.

    Errors and the result are said in any case; *quiet* leaves out the rest.
    """
    found = walk(ending)
    summary = summary_of(ending, found)
    SIGNALS.hush()
    for error in ending.stops.errors:
        print(f"batchrun: {error}", file=sys.stderr)
    if ending.selection and found is not None and not found.selected.cells:
        ending.stops.notes.append("no cell has the status or the code that `--only` asks for")
    for note in () if quiet else ending.stops.notes:
        print(note, file=sys.stderr)
    if as_json:
        print(summary.as_json())
    else:
        if found is not None:
            print(table(summary, found.counted.models, shutil.get_terminal_size().columns))
            if found.failures:
                cells = {row.alias: row.tally.cells for row in found.counted.models}
                print(f"\n{failures(found.failures, cells)}")
            print()
        print(summary.next)
    return summary.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one walk of the grid has told; *selected* counts the cells that the call was about."""

    counted: Count
    selected: Tally
    failures: Sequence[Failure]


def walk(ending: Ending) -> Found | None:
    """Write the results and count, in one walk of the grid; None where not even that is waited for.

    Who interrupts a large sweep doesn't wait for its results: the next call writes them anyway.
    Who does so twice waits for nothing that takes long.
    """
    stops = ending.stops
    large = upper_bound(ending.manifest) > MOST_WHEN_INTERRUPTED
    if stops.at_once and large:
        return None
    if any(isinstance(error, FolderError) for error in stops.errors):
        return _on_disk(ending)
    if stops.interrupted and large:
        stops.notes.append(f"{RESULTS_CSV} and {RESULTS_JSONL} are left to the next call")
    results = not stops.at_once and not (stops.interrupted and large)
    return Walk(ending, ending.ledger).found(results=results)


def _on_disk(ending: Ending) -> Found | None:
    """Count what the file says: the book also has the lines that could not be written."""
    try:
        with open_reader(ending.ledger.path) as reader:
            return Walk(ending, reader).found(results=False)
    except LedgerError:
        return None


class Walk:
    """One walk of the grid, which counts, groups the failures, and feeds the results."""

    def __init__(self, ending: Ending, ledger: Readable) -> None:
        settings = ending.settings
        self._ending = ending
        self._ledger = ledger
        self._counting, self._selected = (
            Counting(ledger.book, attempts=settings.attempts, download=settings.download)
            for _ in range(2)
        )
        self._grouping = Grouping()

    def found(self, *, results: bool) -> Found:
        cells = self._cells()
        since = self._ending.ledger.untouched_since
        stand = results and since is not None and results_stand(self._ending.folder, since, cells)
        if results and since is None:
            self._write(cells)
        for _ in cells:  # to the end: what went into no results is counted, too
            pass
        counted = self._counting.result()
        # What has attempts left may count as something else by now.
        done = not (counted.tally.bad or counted.tally.unfinished)
        if results and since is not None and not (stand and done):
            self._write(None)
        selected = self._selected.result().tally if self._ending.selection else counted.tally
        return Found(counted=counted, selected=selected, failures=self._grouping.result())

    def _write(self, cells: Iterator[Cell] | None) -> None:
        ending, attempts = self._ending, self._ending.settings.attempts
        try:
            write_results(
                ending.folder, ending.manifest, self._ledger, attempts=attempts, cells=cells
            )
        except FolderError as error:
            ending.stops.leave(error)

    def _cells(self) -> Iterator[Cell]:
        for cell in expand(self._ending.manifest):
            history = self._counting.add(cell)
            if self._ending.selection and self._ending.selection.wants(cell):
                self._selected.add(cell)
            if history is not None and history.state in BAD:
                self._group(cell, history)
            yield cell

    def _group(self, cell: Cell, history: History) -> None:
        record = self._ledger.read(history.ended_line)
        assert isinstance(record, Finished | Rejected)
        self._grouping.add(cell.alias, record)


def summary_of(ending: Ending, found: Found | None) -> Summary:
    """Return the `--json` object of the call; without what was *found* nobody knows what is left.

    The counts are the manifest's; the exit code speaks of the cells that the call was about.
    """
    tally = None if found is None else found.counted.tally
    code = exit_code(ending, Tally(pending=1) if found is None else found.selected)
    client, sweep = ending.client, ending.ledger.book.sweep
    counts: dict[str, Any] = {} if tally is None else tally.as_dict()
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=ending.manifest.name,
        label=ending.label,
        endpoint=ending.endpoint,
        **counts,
        cost=ending.ledger.book.cost,
        requests=client.requests,
        retries=client.retries,
        rate_limited=client.rate_limited,
        duration_s=ending.seconds,
        outputs=str(ending.folder),
        ledger=str(ending.ledger.path),
        complete=tally is not None and not tally.unfinished,
        exit_code=code,
        next=_next(ending, found, code),
        error=stop_of(ending.stops.errors),
    )


def _next(ending: Ending, found: Found | None, code: int) -> str:
    others = None
    if found is not None:
        left = found.counted.tally.unfinished - found.selected.unfinished
        others = Others(unfinished=left, command=ending.for_all)
    return how_to_go_on(
        None if found is None else found.selected,
        code,
        command=ending.command,
        outputs=str(ending.folder),
        others=others,
    )


def exit_code(ending: Ending, tally: Tally) -> int:
    """Return the most severe of the reasons: what stopped the call, what is left, what failed."""
    codes = list(ending.stops.codes)
    if tally.unfinished:
        codes.append(INCOMPLETE)
    fail_on = ending.settings.fail_on
    if not fail_on.allows(tally.bad, tally.cells):
        codes.append(FAILED)
    return most_severe(codes)
