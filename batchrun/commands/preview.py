"""The preview of a call, with its cost: shown by `plan` and `--dry-run`.

The cells to do follow from the ledger, and from what a call with the same options is about:
`--only`, `--limit`, `--retry-failed`. Their prices follow from runs of the same choice, in this
ledger and its siblings, or else from what `planning/prices.py` knows. Where there is a key, the
service is asked how it describes the models; a plan without it says so.
"""

import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.said import is_terminal
from batchrun.base.text import for_terminal, listed
from batchrun.catalogue.unsent_columns import unsent_columns
from batchrun.commands import changed_types
from batchrun.commands.call import Call
from batchrun.commands.checking_inputs import are_refused, as_dicts, input_problems
from batchrun.commands.checking_inputs import lines as input_lines
from batchrun.commands.edited import edited
from batchrun.commands.grid_counts import bad_ends
from batchrun.commands.knowing_balance import know_balance
from batchrun.commands.knowing_models import Known, know_models, models_to_send
from batchrun.commands.notes import note_line, notes_of
from batchrun.commands.paid_before import paid_before
from batchrun.commands.plan_words import Outlook, lines, onward
from batchrun.commands.reuse_sources import opened_sources
from batchrun.commands.reusing import survey
from batchrun.commands.run_options import KEEPING, SHOWING, Options, command_in
from batchrun.engine.price_history import learn
from batchrun.engine.price_list import PriceList
from batchrun.engine.prices import Prices
from batchrun.engine.selection import Selection
from batchrun.errors import ManifestError
from batchrun.ledger.book import Book
from batchrun.ledger.file import check_sweep
from batchrun.ledger.history import BAD, Standing, standing
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.missing_files import forget_missing
from batchrun.ledger.reader import Reader, open_reader
from batchrun.manifest.cells import Cell
from batchrun.planning.effort import Effort, Work, effort
from batchrun.planning.forecast import Forecast, forecast
from batchrun.planning.plan_file import keep, read
from batchrun.planning.shared_runs import shared_rows
from batchrun.planning.to_do import KeySet
from batchrun.planning.type_changes import type_changes
from batchrun.results.failures import Failure, Grouping
from batchrun.results.failures import as_dicts as failure_dicts
from batchrun.results.summary import Summary
from batchrun.results.tally import Counting
from batchrun.sweep.identity import check_folder
from batchrun.sweep.location import LEDGER

LARGE: Final = 100_000
"""Cells from which on a terminal gets a bar while they are counted."""


class Plan(Struct, frozen=True, kw_only=True):
    """The plan, and the *command* that does it; *reuse* are the folders that it takes over from.

    *kept* is the file that it is written to.
    """

    call: Call
    command: str
    reuse: tuple[Path, ...] = ()
    kept: Path | None = None
    bar: bool = False


def plan_of(call: Call, options: Options, argv: Sequence[str]) -> Plan:
    """Return the plan of a call with *argv*."""
    command = command_in(argv, without={*SHOWING, KEEPING})
    if options.kept is not None:
        command += f" --plan {shlex.quote(str(options.kept))}"
    return Plan(
        call=call,
        command=command,
        reuse=options.reuse,
        kept=options.kept,
        bar=not (options.quiet or options.no_progress),
    )


class Foreseen(Struct, frozen=True, kw_only=True):
    """The work that a call would do: the `--json` object, and the *lines* that people read."""

    summary: Summary
    lines: Sequence[str]


def preview(plan: Plan, *, as_json: bool) -> int:
    """Print what a call would do; return the exit code."""
    found = foresee(plan)
    print(found.summary.as_json() if as_json else for_terminal("\n".join(found.lines)))
    return 0


def foresee(plan: Plan) -> Foreseen:
    """Return what a call would do.

    No run is sent, and nothing is written but the file that keeps the plan.
    """
    with _opened(plan) as reader, opened_sources(plan.reuse, plan.call) as sources:
        book = Book() if reader is None else reader.book
        plan = replace(plan, call=plan.call.knowing(book))
        call = plan.call
        types = None if reader is None else type_changes(call.manifest, reader)
        taking = survey(call, book, sources)
        selection = Selection(call.settings.only, reader, attempts=call.settings.attempts)
        known = checked(call, book, models_to_send(call, book, selection, taking.keys))
        call = call.sending(known.descriptions)
        unsent = tuple(unsent_columns(call.manifest, known.descriptions))
        wrong = input_problems(call, book, selection, taking.keys, known.descriptions)
        before = paid_before(call, book, taking)
        found = forecast(
            call.manifest,
            call.settings,
            book,
            price_list(call, known),
            selection,
            taken=taking.keys if len(taking.keys) else None,
            keys=None if plan.kept is None else KeySet(),
            watch=watched if plan.bar else None,
        )
        outlook = Outlook(
            manifest=call.manifest,
            settings=call.settings,
            forecast=found,
            effort=effort_of(call, book, found),
            folder=str(call.folder),
            command=plan.command,
            reuse=listed(map(str, plan.reuse), by=" and "),
            refused=bool(before.refusals(call, plan.command)),
            wrong_inputs=are_refused(wrong, call),
            types=types,
            refused_types=changed_types.are_refused(types, call),
            edits=None if reader is None else edited(call, reader, found.counting),
            failures=() if reader is None else ended_badly(call, reader, found.counting),
            shared=shared_rows(call.manifest, found.selected.folded),
            warnings=(*map(note_line, unsent), *known.warnings, *input_lines(wrong, call)),
            balance=know_balance(call) if found.to_do.number else None,
        )
    summary = replace(
        summary_of(plan, outlook, book),
        **before.as_dict(),
        changed=None if outlook.edits is None else outlook.edits.as_dict(),
        reused=taking.as_dicts(),
        input_problems=as_dicts(wrong),
        notes=notes_of((*call.manifest.notes, *unsent)),
    )
    if plan.kept is not None:
        keep(plan.kept, summary.as_dict())
    said = before.lines(call, plan.command)
    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
    unseen = [before.unseen] if before.unseen else []
    return Foreseen(summary=summary, lines=[*said, *lines(outlook, width), *unseen])


@contextmanager
def _opened(plan: Plan) -> Iterator[Reader | None]:
    """Read the sweep's ledger where there is one."""
    with ExitStack() as stack:
        path = plan.call.folder / LEDGER
        sweep = check_folder(plan.call.folder)
        reader = stack.enter_context(open_reader(path)) if path.exists() else None
        if reader is not None:
            check_sweep(reader.book, sweep, path)
            forget_missing(reader.book, path)
        yield reader


def watched(cells: Iterator[Cell], most: int) -> Iterable[Cell]:
    """Yield the *cells*; a terminal sees how far a large grid is counted."""
    if most < LARGE:
        return cells
    from batchrun.results.progress_bar import counted

    return counted(cells, most, sys.stderr)


def price_list(call: Call, known: Known) -> PriceList:
    """Return what runs may cost, by this sweep's ledger and its siblings, and what is *known*."""
    prices = Prices(call.settings.model_prices, known.descriptions)
    learn(call.folder / LEDGER, prices, {model.id for model in call.manifest.models})
    return PriceList(prices)


def checked(call: Call, book: Book, models: Sequence[str]) -> Known:
    """Return what is known of *models*; ManifestError where one is none of the service's."""
    known = know_models(call, book, models)
    if known.problems:
        raise ManifestError(known.problems)
    return known


def check_plan(
    kept: Path, call: Call, book: Book, selection: Selection, known: Known, taken: KeyIndex
) -> None:
    """Return where the plan that was *kept* still holds; UsageError where it has moved.

    *taken* are the cells that the call is about to take over: it begins none of them.
    """
    plan = read(kept)
    prices = price_list(call, known)
    manifest, settings = call.manifest, call.settings
    found = forecast(manifest, settings, book, prices, selection, taken=taken, keys=KeySet())
    subject = {
        "name": call.manifest.name,
        "label": call.place.label,
        "endpoint": call.endpoint,
        "outputs": str(call.folder),
    }
    plan.check(subject, found.to_do)


def ended_badly(call: Call, reader: Reader, counting: Counting) -> Sequence[Failure]:
    """Return why cells of the manifest ended badly that no call tries again by itself."""
    if call.settings.retry_failed:
        return ()
    grouping, orphans = Grouping(), set(counting.orphans())
    for key, history in reader.book.histories.items():
        stands = standing(history, attempts=call.settings.attempts)
        if history.state in BAD and stands is not Standing.PENDING and key not in orphans:
            for record in bad_ends(reader, key, history.state):
                grouping.add(history.alias, record)
    return grouping.result()


def effort_of(call: Call, book: Book, found: Forecast) -> Effort:
    """Return the calls and the time that the call takes, by durations that the ledger knows."""
    models = {model.alias: model.id for model in call.manifest.models}
    work = [
        Work(alias=alias, cells=cells, durations=_durations(book, models[alias]))
        for alias, cells in found.to_do.cells().items()
    ]
    learnt = {line.model for line in book.learnt.values() if line.batches}
    batched = {alias: model in learnt for alias, model in models.items()}
    files, there = len(found.to_do.files), len(found.to_do.there)
    return effort(work, call.settings, uploads=files, uploaded=there, batched=batched)


def _durations(book: Book, model: str) -> Sequence[float]:
    facts = book.models.get(model)
    return () if facts is None else facts.durations


def summary_of(plan: Plan, outlook: Outlook, book: Book) -> Summary:
    """Return the plan as the `--json` object: the counts as they stand."""
    sweep, tally = book.sweep, outlook.forecast.counted.tally
    counts: dict[str, Any] = tally.as_dict()
    cells = {row.alias: row.tally.cells for row in outlook.forecast.counted.models}
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=plan.call.manifest.name,
        label=plan.call.place.label,
        endpoint=plan.call.endpoint,
        **counts,
        cost=book.cost,
        outputs=str(plan.call.folder),
        ledger=str(plan.call.folder / LEDGER) if sweep is not None else None,
        complete=not tally.unfinished,
        next=onward(outlook),
        models=outlook.forecast.counted.as_dict(),
        failures=failure_dicts(outlook.failures, cells),
        plan=outlook.as_dict(),
    )
