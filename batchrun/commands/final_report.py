"""How a call ends: counts, results files, the table or the JSON object, the exit code."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.normalised import normalise
from batchrun.base.output_store import OutputStore
from batchrun.base.said import log
from batchrun.base.text import number_of, usd
from batchrun.commands import nothing_to_do
from batchrun.commands.call import Call
from batchrun.commands.grid_counts import GridWalk
from batchrun.commands.ledger_counts import ledger_totals
from batchrun.commands.notes import notes_of
from batchrun.commands.outcome import Totals, print_outcome
from batchrun.commands.reporting import PATIENCE, PageOfCall
from batchrun.commands.signals import SIGNALS
from batchrun.engine.selection import Selection
from batchrun.engine.shutdown import Shutdown
from batchrun.errors import (
    FAILED,
    INCOMPLETE,
    FolderError,
    LedgerError,
    ManifestError,
    SourceChangedError,
    most_severe,
)
from batchrun.ledger.file import Ledger
from batchrun.ledger.reader import open_reader
from batchrun.manifest.cells import Cell
from batchrun.manifest.data.changes import Watch
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.planning.shared_runs import shared_rows
from batchrun.results.budgets import budgets_of
from batchrun.results.going_on import Others, how_to_go_on
from batchrun.results.result_files import REPORT, RESULTS_CSV, RESULTS_JSONL, write_results
from batchrun.results.summary import Summary, stop_of
from batchrun.results.tally import Tally
from batchrun.runflow.client import Client

MOST_WHEN_INTERRUPTED: Final = 20_000
"""Points up to which the results are written although the user waits: half a second's work."""


MOST_REASONS: Final = 5
"""Reasons why cells could not be sent, and outputs not saved, that are said at the end."""


class Ending(Struct, frozen=True, kw_only=True):
    """The rest of a call once its task group has ended.

    *command* goes on with it, *for_all* also with the cells that it was not about. *callbacks* is
    how many came, None where the manifest asks for none.
    """

    call: Call
    command: str
    for_all: str
    ledger: Ledger
    selection: Selection
    shutdown: Shutdown
    client: Client
    seconds: float
    callbacks: int | None = None


def show(ending: Ending, *, as_json: bool, quiet: bool) -> int:
    """Write the results, say what the call came to, and return the exit code.

    *quiet* leaves out all of it where the call succeeded (exit 0), but for the JSON object.
    """
    summary, totals = concluded(ending, hush=SIGNALS.hush)
    silent = quiet and not summary.exit_code
    for each in (*_passed(ending), *(() if silent else _said(ending, totals))):
        log(each, sys.stderr)
    print_outcome(summary, totals, as_json=as_json, quiet=quiet)
    return summary.exit_code


def concluded(
    ending: Ending, *, hush: Callable[[], None] = lambda: None
) -> tuple[Summary, Totals | None]:
    """Write the results, and return what the call came to; *hush* is called once that is known."""
    patience = 0.0 if ending.shutdown.interrupted else PATIENCE
    as_of = time.time_ns()
    page = PageOfCall(ending.call.folder, seconds=patience, as_of=as_of)
    totals = walk(ending, page, as_of=as_of)
    summary = _with_page(summary_of(ending, totals), ending, page)
    hush()
    left = ending.shutdown.codes or ending.shutdown.unkept or ending.selection
    if totals is not None and not left:
        nothing_to_do.remember(ending.call, ending.ledger, summary, totals)
    return summary, totals


def said(ending: Ending, totals: Totals | None) -> list[str]:
    """Return what is to be known of a call's end beside what it came to."""
    return [*_passed(ending), *_said(ending, totals)]


def _passed(ending: Ending) -> Iterator[str]:
    """Say that the budget was passed: no option leaves that out."""
    budget, cost = ending.call.settings.budget, ending.ledger.book.cost
    if budget is not None and cost > budget:
        yield f"the budget of {usd(budget)} USD is passed by {usd(cost - budget)} USD"


def _said(ending: Ending, totals: Totals | None) -> Iterator[str]:
    """Yield why the call ended early, and what else is to be known of its end."""
    for error in ending.shutdown.errors:
        yield f"batchrun: {error}"
    yield from ending.shutdown.notes
    yield from _left_undone(ending.shutdown)
    if totals is not None and not ending.shutdown.codes:  # who interrupts doesn't wait for it
        yield from shared_rows(ending.call.manifest, totals.counted.folded)
    if ending.selection and totals is not None and not totals.selected.cells:
        yield "no cell has the status, the code or the mark that `--only` asks for"


def _left_undone(shutdown: Shutdown) -> Iterator[str]:
    """Yield why cells could not be sent and outputs not saved, the most frequent reasons first."""
    yield from _by_reason(shutdown.unsent, "cell", "was not sent", "were not sent")
    yield from _by_reason(shutdown.unsaved, "output", "could not be saved", "could not be saved")


def _by_reason(reasons: Counter[str], noun: str, one: str, more: str) -> Iterator[str]:
    counts, examples = Counter[str](), dict[str, str]()
    for why, number in reasons.items():  # they name an address or a file each
        counts[normalise(why)] += number
        examples.setdefault(normalise(why), why)
    for kind, number in counts.most_common(MOST_REASONS):
        yield f"{number_of(number, noun)} {one if number == 1 else more}: {examples[kind]}"
    if (others := len(counts) - MOST_REASONS) > 0:
        yield f"and for {number_of(others, 'other reason')}"


def _with_page(summary: Summary, ending: Ending, page: PageOfCall) -> Summary:
    """Write the page where the results are written; return *summary*, which names it then."""
    path = ending.call.folder / REPORT
    if (problem := page.finish(summary)) is not None:
        ending.shutdown.notes.append(problem)
    return replace(summary, report=str(path)) if path.exists() else summary


def walk(ending: Ending, page: PageOfCall, *, as_of: int) -> Totals | None:
    """Write the results and count, in one walk of the grid; None where not even that is waited for.

    The *page* is given each row of the results, which are *as_of* a moment after the last line.

    Where the grid is not known any more, the cells are counted that the ledger knows.

    Who interrupts a large sweep doesn't wait for its results: the next call writes them anyway.
    Who does so twice waits for nothing that takes long.
    """
    shutdown = ending.shutdown
    large = upper_bound(ending.call.manifest) > MOST_WHEN_INTERRUPTED
    if shutdown.at_once and large:
        return None
    try:
        if any(isinstance(error, FolderError) for error in shutdown.errors):
            return _on_disk(ending)
        return _walked(ending, page, large=large, as_of=as_of)
    except ManifestError as error:  # a data file: what its cells would be isn't known any more
        there = (ending.call.folder / RESULTS_CSV).exists()
        left = "left as they were" if there else "left to the next call"
        shutdown.notes.append(f"{RESULTS_CSV} and {RESULTS_JSONL} are {left}")
        if not any(isinstance(each, ManifestError) for each in shutdown.errors):
            shutdown.submit_no_more(error)
        settings = ending.call.settings
        return ledger_totals(ending.ledger, attempts=settings.attempts, download=settings.download)


def _walked(ending: Ending, page: PageOfCall, *, large: bool, as_of: int) -> Totals:
    """Write the results and count; ManifestError where the grid can't be walked any more."""
    shutdown = ending.shutdown
    if (written := Watch(ending.call.manifest.sources).changed()) is not None:
        raise SourceChangedError(written)
    if shutdown.interrupted and large:
        shutdown.notes.append(f"{RESULTS_CSV} and {RESULTS_JSONL} are left to the next call")
    results = not shutdown.at_once and not (shutdown.interrupted and large)
    cells = GridWalk(ending.call.settings, ending.ledger, selection=ending.selection)
    points = cells.over(expand(ending.call.manifest))
    if results:
        _write(ending, points, page, as_of=as_of)
    for _ in points:  # to the end: what went into no results is counted, too
        pass
    return cells.totals()


def _on_disk(ending: Ending) -> Totals | None:
    """Count what the file says: the book also has the lines that could not be written."""
    try:
        with open_reader(ending.ledger.path) as reader:
            cells = GridWalk(ending.call.settings, reader, selection=ending.selection)
            for _ in cells.over(expand(ending.call.manifest)):
                pass
            return cells.totals()
    except LedgerError:
        return None


def _write(ending: Ending, cells: Iterator[Cell], page: PageOfCall, *, as_of: int) -> None:
    call = ending.call
    write = partial(
        write_results,
        OutputStore(call.folder),
        call.manifest,
        ending.ledger,
        attempts=call.settings.attempts,
        as_of=as_of,
    )
    try:
        try:
            write(cells=cells, shown=page.add)
        except FolderError as error:
            if not page.make_room(error):
                raise
            write()
        else:
            page.has_all()
    except FolderError as error:
        ending.shutdown.leave(error)


def _is_grid_known(ending: Ending) -> bool:
    return not any(isinstance(error, ManifestError) for error in ending.shutdown.errors)


def summary_of(ending: Ending, totals: Totals | None) -> Summary:
    """Return the `--json` object of the call; without *totals* it is not known what is left.

    The counts are the manifest's; the exit code speaks of the cells that the call was about.
    """
    tally = None if totals is None else totals.counted.tally
    code = exit_code(ending, Tally(pending=1) if totals is None else totals.selected)
    client, sweep = ending.client, ending.ledger.book.sweep
    settings = ending.call.settings
    budgets = budgets_of(ending.ledger.book, settings, settings.budget)
    counts: dict[str, Any] = {} if tally is None else tally.as_dict()
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=ending.call.manifest.name,
        label=ending.call.place.label,
        endpoint=ending.call.endpoint,
        **counts,
        cost=ending.ledger.book.cost,
        requests=client.requests,
        retries=client.retries,
        rate_limited=client.rate_limited,
        callbacks=ending.callbacks,
        duration_s=ending.seconds,
        outputs=str(ending.call.folder),
        ledger=str(ending.ledger.path),
        complete=tally is not None and not tally.unfinished and _is_grid_known(ending),
        exit_code=code,
        next=_next(ending, totals, code),
        models={} if totals is None else totals.counted.as_dict(),
        failures=() if totals is None else totals.as_dicts(),
        budgets=tuple(each.as_dict() for each in budgets) or None,
        notes=notes_of(ending.call.manifest.notes),
        error=stop_of(ending.shutdown.errors, tuple(_left_undone(ending.shutdown))),
    )


def _next(ending: Ending, totals: Totals | None, code: int) -> str:
    others = None
    if totals is not None:
        left = totals.counted.tally.unfinished - totals.selected.unfinished
        others = Others(unfinished=left, command=ending.for_all)
    return how_to_go_on(
        None if totals is None else totals.selected,
        code,
        command=ending.command,
        outputs=str(ending.call.folder),
        others=others,
        refusing=ending.shutdown.refusing,
        failures=() if totals is None else totals.failures,
        errors=ending.shutdown.errors,
    )


def exit_code(ending: Ending, tally: Tally) -> int:
    """Return the most severe of the reasons: what stopped the call, what is left, what failed."""
    codes = list(ending.shutdown.codes)
    if tally.unfinished:
        codes.append(INCOMPLETE)
    fail_on = ending.call.settings.fail_on
    if not fail_on.allows(tally.bad, tally.cells):
        codes.append(FAILED)
    return most_severe(codes)
