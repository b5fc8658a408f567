"""How a sweep stands, by its ledger alone: what `status` shows, and `recover` at its end."""

import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import number_of, span, usd
from batchrun.commands.grid_counts import bad_ends
from batchrun.commands.ledger_counts import ledger_totals
from batchrun.commands.open_runs import OpenRun, open_runs, waiting_of
from batchrun.commands.reporting import cells_of
from batchrun.commands.target import Subject, naming_recover, opened, recover_of
from batchrun.ledger.history import BAD, GOOD
from batchrun.ledger.reader import Reader
from batchrun.manifest.grid.expand import expand
from batchrun.planning.type_changes import TypeChanges, type_changes, ways
from batchrun.planning.type_changes import lines as type_lines
from batchrun.results.budgets import budgets_of, in_words
from batchrun.results.failures import Failure, Grouping, as_dicts, failures, which_cells
from batchrun.results.going_on import how_to_go_on
from batchrun.results.orphans import orphans_cost
from batchrun.results.result_files import point_rows
from batchrun.results.rows import PointRow
from batchrun.results.standing_words import LEFT, said
from batchrun.results.summary import Summary
from batchrun.results.tally import Count, Counting
from batchrun.results.terminal_table import table
from batchrun.results.waiting import Waiting
from batchrun.sweep.location import LEDGER

MOST_SHOWN: Final = 20
DEFAULT_ATTEMPTS: Final = 2


def show_status(subject: Subject, *, as_json: bool) -> int:
    """Print how the sweep stands; 0 whenever that could be read."""
    with naming_recover(recover_of(subject.command)), opened(subject) as reader:
        found = overview_of(subject, reader)
        summary = summary_of(subject, reader, found)
        if as_json:
            print(summary.as_json())
        else:
            print("\n".join(report(subject, reader, found, summary)))
    return 0


class Overview(Struct, frozen=True, kw_only=True):
    """How the cells stand, and why some of them ended badly; *remade* came from `redo`.

    *cells* counts the cells of each model, by its alias; *orphans_cost* is what those have cost
    that the manifest no longer names, in USD; *types* are the columns with another type.
    """

    counted: Count
    failures: Sequence[Failure]
    cells: Mapping[str, int]
    types: TypeChanges | None = None
    remade: int = 0
    orphans_cost: Decimal | None = None


def overview_of(subject: Subject, reader: Reader) -> Overview:
    """Look at the manifest's cells, or at the ledger's where the manifest is gone."""
    if subject.manifest is None:
        return _of_ledger(reader)
    grouping, remade = Grouping(), 0
    settings = subject.manifest.settings()
    manifest = replace(subject.manifest, redone=reader.book.redone)
    counting = Counting(reader.book, attempts=settings.attempts, download=settings.download)
    for cell in expand(manifest):
        state = counting.add(cell)
        remade += state is not None and cell.redo_of is not None
        if state in GOOD | BAD:
            grouping.ended(cell.alias, cell.values, bad_ends(reader, cell.key, state))
    counted = counting.result()
    cells = {row.alias: row.tally.cells for row in counted.models}
    return Overview(
        counted=counted,
        failures=grouping.result(),
        cells=cells,
        types=type_changes(manifest, reader),
        remade=remade,
        orphans_cost=orphans_cost(reader, counting.orphans(), counted.tally.orphaned),
    )


def _of_ledger(reader: Reader) -> Overview:
    found = ledger_totals(reader, attempts=DEFAULT_ATTEMPTS, download=True)
    return Overview(
        counted=found.counted,
        failures=found.failures,
        cells=found.cells,
        remade=len(reader.book.marks),
    )


def rows_of(
    subject: Subject, reader: Reader, wanted: Container[str] | None = None
) -> Iterator[PointRow]:
    """Yield the rows of the manifest's cells, or of the ledger's where the manifest is gone.

    With *wanted* only those of cells with one of these keys.
    """
    manifest, attempts = subject.manifest, DEFAULT_ATTEMPTS
    cells = cells_of(reader)
    if manifest is not None:
        cells = expand(replace(manifest, redone=reader.book.redone))
        attempts = manifest.settings().attempts
    chosen = cells if wanted is None else (cell for cell in cells if cell.key in wanted)
    return point_rows(reader, chosen, attempts=attempts)


def summary_of(subject: Subject, reader: Reader, found: Overview) -> Summary:
    """Return how the sweep stands as the `--json` object."""
    sweep, counted = reader.book.sweep, found.counted
    waiting = waiting_of(subject.folder, reader, counted.tally)
    numbers: dict[str, Any] = counted.tally.as_dict()
    settings = None if subject.manifest is None else subject.manifest.settings()
    budgets = budgets_of(reader.book, settings, _budget(reader))
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
        next=_next(subject, reader, found, waiting),
        models=counted.as_dict(),
        failures=as_dicts(found.failures, found.cells),
        budgets=tuple(each.as_dict() for each in budgets) or None,
        waiting=waiting.as_dict() if waiting else None,
        open=tuple(map(OpenRun.as_dict, open_runs(reader))) or None,
        remade=found.remade or None,
    )


def _next(subject: Subject, reader: Reader, found: Overview, waiting: Waiting) -> str:
    """Return how to go on: by a call that is not refused, nor stops at once."""
    tally, command = found.counted.tally, _with_budget(subject, reader)
    if found.types is not None and found.types.lost.cells:
        return "; or ".join(ways(found.types, command))
    if waiting.budget is not None and tally.pending == tally.unfinished:
        spent, left = usd(waiting.spent), said(tally.as_dict(), LEFT)
        return (
            f"raise its budget of {usd(waiting.budget)} USD, of which {spent} are spent: "
            f"`{subject.command} --budget …`; {left}"
        )
    settings = None if subject.manifest is None else subject.manifest.settings()
    budgets = budgets_of(reader.book, settings, _budget(reader)) if tally.unfinished else ()
    onward = how_to_go_on(tally, 0, command=command, failures=found.failures)
    return f"{onward}{in_words(budgets)}"


def _types(subject: Subject, found: TypeChanges | None) -> Iterator[str]:
    """Yield which columns have changed their type, and that the next call is refused for it."""
    if found is not None:
        yield from type_lines(found)
    if found is not None and found.lost.cells:
        yield f"`{subject.command}` is refused (exit 2) without `--new-types`"


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
    columns = shutil.get_terminal_size().columns
    yield table(summary, counted.models, columns, orphans_cost=found.orphans_cost)
    if subject.manifest is None:
        yield "the manifest is gone: these are the ledger's cells alone"
    if subject.note:
        yield subject.note
    yield from _types(subject, found.types)
    if found.remade:
        yield f"{number_of(found.remade, 'cell')} from `redo`"
    runs = list(open_runs(reader))
    if runs:
        yield "\nopen, the oldest first, by the clock of this machine:"
        yield from (run.line() for run in runs[:MOST_SHOWN])
        if (more := len(reader.book.open) - MOST_SHOWN) > 0:
            yield f"  and {more} more"
    if counted.tally.bad:
        yield f"\n{failures(found.failures, found.cells)}"
        yield which_cells(found.failures, summary.outputs)
    waiting = waiting_of(subject.folder, reader, counted.tally)
    if line := waiting.line(span(runs[0].age()) if runs else ""):
        yield f"\n{line}"
    yield f"\n{summary.next}"
