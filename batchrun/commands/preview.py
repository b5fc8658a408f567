"""The preview of a call, with its cost: shown by `plan` and `--dry-run`.

The cells to do follow from the ledger, and from what a call with the same options is about:
`--only`, `--limit`, `--retry-failed`, `--budget`. The cost follows from what runs of a
model have cost in this sweep, or else from the price in the service's catalogue, which is asked for
where there is a key; a plan without it says so.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.base.text import money, number_of
from batchrun.commands.call import Call, key_of
from batchrun.commands.connection import connected, served
from batchrun.commands.edited import edited
from batchrun.commands.paid_before import LONGEST, PATIENCE, paid_before
from batchrun.commands.reusing import NOTHING, Taking, opened_sources, survey
from batchrun.engine.selection import Selection
from batchrun.errors import BatchrunError
from batchrun.ledger.book import Book
from batchrun.ledger.file import check_sweep
from batchrun.ledger.history import History, Standing, grant, standing
from batchrun.ledger.missing_files import forget_missing
from batchrun.ledger.reader import Reader, open_reader
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.results.edits import Edits
from batchrun.results.edits import lines as edit_lines
from batchrun.results.summary import Summary
from batchrun.results.tally import Count, Counting, ModelRow
from batchrun.results.terminal_table import NO_CELL
from batchrun.runflow.prices import estimate
from batchrun.settings import Settings
from batchrun.sweep.identity import check_folder
from batchrun.sweep.location import LEDGER


class Plan(Struct, frozen=True, kw_only=True):
    """The plan, and the *command* that does it; *reuse* are the folders that it takes over from."""

    call: Call
    command: str
    reuse: tuple[Path, ...] = ()


class Prices(Struct, frozen=True, kw_only=True):
    """The cost of runs: the *means* of this sweep by model, else what the manifest has *given* by
    alias, else the catalogue's *labels*.

    *missing* says why the catalogue was not asked, or did not answer.
    """

    means: Mapping[str, Decimal]
    given: Mapping[str, Decimal] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    def of(self, cell: Cell) -> Decimal | None:
        """Return USD for one run of *cell*, None where no price is known."""
        known = self.means.get(cell.model, self.given.get(cell.alias))
        return estimate(self.labels.get(cell.model), cell.input) if known is None else known


class CellsToDo:
    """The cells that the call would begin, and what they will cost; by alias.

    A cost is None where a price isn't known. *later* cells are left to other calls by `--limit`.
    """

    def __init__(self, prices: Prices, limit: int | None) -> None:
        self.cells: Counter[str] = Counter()
        self.costs: dict[str, Decimal | None] = {}
        self.later = 0
        self._prices = prices
        self._new_cells_left = limit

    def add(self, cell: Cell, history: History) -> None:
        """Take in one more cell that is to be done. Cells after the limit aren't begun."""
        if self.later or (self._new_cells_left == 0 and not history.attempt):
            self.later += 1
            return
        if self._new_cells_left is not None and not history.attempt:
            self._new_cells_left -= 1
        self.cells[cell.alias] += 1
        so_far, price = self.costs.get(cell.alias, Decimal(0)), self._prices.of(cell)
        self.costs[cell.alias] = None if so_far is None or price is None else so_far + price


class Forecast(Struct, frozen=True, kw_only=True):
    """How the manifest's cells stand, how those do that the call is about, and what is to do."""

    counting: Counting
    counted: Count
    selected: Count
    to_do: CellsToDo
    spent: Decimal
    taken_over: int = 0
    refused: bool = False


def preview(plan: Plan, *, as_json: bool) -> int:
    """Print what a call would do; return the exit code.

    No run is sent, and nothing is written.
    """
    with _opened(plan) as reader, opened_sources(plan.reuse, plan.call) as sources:
        book = Book() if reader is None else reader.book
        plan = replace(plan, call=plan.call.knowing(book))
        settings = plan.call.settings
        selection = Selection(settings.only, reader, attempts=settings.attempts)
        prices = Prices(means=means(book), given=settings.model_prices)
        if not as_json:
            prices = asked(plan, prices)
        taking = survey(plan.call, book, sources)
        before = paid_before(plan.call, book, taking)
        outlook = replace(
            forecast(plan, book, prices, selection, taking),
            refused=bool(before.refusals(plan.call, plan.command)),
        )
        edits = None if reader is None else edited(plan.call, reader, outlook.counting)
    if as_json:
        changed = None if edits is None else edits.as_dict()
        summary = replace(
            summary_of(plan, outlook, book),
            **before.as_dict(),
            changed=changed,
            reused=taking.as_dicts(),
        )
        print(summary.as_json())
    else:
        said = before.lines(plan.call, plan.command)
        unseen = [before.unseen] if before.unseen else []
        print("\n".join([*said, *lines(plan, outlook, prices, edits), *unseen]))
    return 0


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


def means(book: Book) -> dict[str, Decimal]:
    """Return what a run of each model that cost something has cost on average, by this ledger.

    Failed runs are free: counted in, they made each further run look too cheap.
    """
    return {
        model: (facts.cost / facts.paid_runs).quantize(Decimal("0.0001"))
        for model, facts in book.models.items()
        if facts.paid_runs
    }


def asked(plan: Plan, prices: Prices) -> Prices:
    """Return *prices* with what the catalogue says of the models that have no mean here."""
    models = [
        model.id
        for model in plan.call.manifest.models
        if model.id not in prices.means and model.alias not in prices.given
    ]
    key = key_of(plan.call.endpoint)
    if not models or key is None:
        return replace(prices, missing="" if key else "RUNFLOW_API_KEY is not set")
    try:
        with served(plan.call.endpoint, None) as url:
            labels = anyio.run(_labels, url, key, plan.call.settings, models)
    except BatchrunError as error:
        return replace(prices, missing=str(error))
    return replace(prices, labels=labels)


async def _labels(url: str, key: str, settings: Settings, models: Sequence[str]) -> dict[str, str]:
    patient = replace(settings, give_up=min(settings.give_up, PATIENCE))
    descriptions: dict[str, Mapping[str, Any] | None] = {}
    with anyio.move_on_after(LONGEST):  # what hangs has no price label
        async with connected(url, key, patient, log=lambda _: None) as client:
            for model in models:
                descriptions[model] = await client.model(model)
    return {
        model: str(description["pricing_note"])
        for model, description in descriptions.items()
        if description and description.get("pricing_note")
    }


def forecast(
    plan: Plan, book: Book, prices: Prices, selection: Selection, taking: Taking = NOTHING
) -> Forecast:
    """Count the grid's cells, and add up what the call would begin.

    The cells of *taking* are taken over, and don't begin.
    """
    settings, attempts = plan.call.settings, plan.call.settings.attempts
    named = settings.names_codes
    granted = grants(book, attempts=attempts, named=named) if settings.retry_failed else {}
    counting = Counting(book, attempts=attempts, download=settings.download)
    selected = Counting(book, attempts=attempts, download=settings.download, granted=granted)
    to_do, taken_over = CellsToDo(prices, settings.limit), 0
    for cell in expand(plan.call.manifest):
        counting.add(cell)
        if not selection.wants(cell) or selected.add(cell) is None:
            continue
        history = book.history(cell.key)
        stands = standing(history, attempts=attempts, granted=granted.get(cell.key, 0))
        if cell.key in taking.keys:
            taken_over += 1
        elif stands is Standing.PENDING:
            to_do.add(cell, history)
    return Forecast(
        counting=counting,
        counted=counting.result(),
        selected=selected.result(),
        to_do=to_do,
        spent=book.cost,
        taken_over=taken_over,
    )


def grants(book: Book, *, attempts: int, named: bool) -> dict[str, int]:
    """Return what `--retry-failed` would grant, by cell; *named*: `--only code=…` is said, too."""
    return {
        key: number
        for key, each in book.histories.items()
        if (number := grant(each, attempts=attempts, named=named))
    }


def lines(
    plan: Plan, outlook: Forecast, prices: Prices, edits: Edits | None = None
) -> Sequence[str]:
    """Return the plan as people read it."""
    width = max(len("model"), *(len(model.alias) for model in plan.call.manifest.models))
    head = f"{'model':<{width}}  {'cells':>7}  {'done':>7}  {'open':>5}  {'to do':>7}  cost to come"
    tally, to_do = outlook.selected.tally, outlook.to_do
    of = f"{tally.cells} of " if plan.call.settings.only else ""
    cells, costs = outlook.counted.tally.cells, total(to_do.costs)
    folders = " and ".join(map(str, plan.reuse))
    last = [
        f"{of}{number_of(cells, 'cell')}, {to_do.cells.total()} to do{costs}; nothing was sent",
        *(() if edits is None else edit_lines(edits)),
        f"{number_of(outlook.taken_over, 'cell')} taken over from {folders}, at no cost"
        if outlook.taken_over
        else "",
        f"`--limit {plan.call.settings.limit}` leaves {to_do.later} more to later calls"
        if to_do.later
        else "",
        _too_little(plan.call.settings.budget, outlook),
        f"the prices of some models are not known: {prices.missing}"
        if None in to_do.costs.values() and prices.missing
        else "",
        f"{number_of(tally.folded, 'point')} came to a cell that was there already"
        if tally.folded
        else "",
        "" if cells else NO_CELL,
        f"the sweep's folder is {plan.call.folder}",
        onward(plan, outlook),
    ]
    rows = [_line(row, to_do, width) for row in outlook.selected.models]
    return [head, *rows, *(line for line in last if line)]


def _too_little(budget: Decimal | None, outlook: Forecast) -> str:
    """Say that the budget ends before what is to do, as far as prices are known."""
    known = (cost for cost in outlook.to_do.costs.values() if cost is not None)
    if budget is None or outlook.spent + sum(known, Decimal(0)) <= budget:
        return ""
    spent = f"of which {money(outlook.spent)} USD are spent"
    return f"the budget of {money(budget)} USD, {spent}, will not do for all"


def onward(plan: Plan, outlook: Forecast) -> str:
    """Return the last line: how to do what is planned."""
    if outlook.refused:
        return f"`{plan.command}` would be refused (exit 9): something of it is paid already"
    if number := outlook.to_do.cells.total():
        if _too_little(plan.call.settings.budget, outlook):
            what = number_of(number, "cell")
            return f"`{plan.command}` begins as many of {what} as the budget has room for"
        return f"`{plan.command}` begins {number_of(number, 'cell')}"
    if outlook.selected.tally.unfinished:
        return f"`{plan.command}` goes on; no cell is to begin"
    return "nothing to do"


def total(costs: Mapping[str, Decimal | None]) -> str:
    """Return what all of it may cost, in words that follow a comma."""
    known = [cost for cost in costs.values() if cost is not None]
    if not known:
        return ""
    least = "at least " if len(known) < len(costs) else ""
    return f", {least}about {money(sum(known, Decimal(0)))} USD"


def _line(row: ModelRow, to_do: CellsToDo, width: int) -> str:
    tally, begun = row.tally, to_do.cells[row.alias]
    under_way = tally.in_flight + tally.parked + tally.in_doubt
    done = tally.cells - tally.pending - under_way
    cost = to_do.costs.get(row.alias, Decimal(0))
    price = "unknown" if cost is None else f"about {money(cost)} USD"
    return (
        f"{row.alias:<{width}}  {tally.cells:>7}  {done:>7}  {under_way:>5}  "
        f"{begun:>7}  {price if begun else 'none'}"
    )


def summary_of(plan: Plan, outlook: Forecast, book: Book) -> Summary:
    """Return the plan as the `--json` object: the counts as they stand."""
    sweep, tally = book.sweep, outlook.counted.tally
    counts: dict[str, Any] = tally.as_dict()
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=plan.call.manifest.name,
        **counts,
        cost=book.cost,
        outputs=str(plan.call.folder),
        complete=not tally.unfinished,
        next=onward(plan, outlook),
    )
