"""`batchrun plan MANIFEST`, and `--dry-run`: what would be done, and what it may cost.

What is to be done follows from the ledger. What it may cost follows from what runs of a model have
cost in this sweep, or else from the price in the service's catalogue, which is asked for where
there is a key; a plan without it says so.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import anyio

from batchrun.commands.connection import connected, key_of, served
from batchrun.engine.settings import Settings
from batchrun.errors import BatchrunError
from batchrun.ledger.book import Book
from batchrun.ledger.file import NAME
from batchrun.ledger.reader import open_reader
from batchrun.manifest.grid import Cell, expand
from batchrun.manifest.manifest import Manifest
from batchrun.results.summary import Summary, money
from batchrun.results.tally import Count, Counting, ModelRow, Standing, standing
from batchrun.runflow.prices import estimate

PATIENCE: Final = 5.0
"""Seconds that a plan waits for a service that gives no good answer: it can do without."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planned, and where."""

    manifest: Manifest
    settings: Settings
    folder: Path
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What runs cost: the *means* of this sweep by model, else the catalogue's *labels*.

    *missing* says why the catalogue was not asked, or did not answer.
    """

    means: Mapping[str, Decimal]
    labels: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    def of(self, cell: Cell) -> Decimal | None:
        """Return USD for one run of *cell*, None where nobody knows."""
        mean = self.means.get(cell.model)
        return estimate(self.labels.get(cell.model), cell.input) if mean is None else mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The counts, and what the cells to do will cost by alias; None where a price isn't known."""

    counted: Count
    costs: Mapping[str, Decimal | None]


def main(argv: Sequence[str]) -> int:
    """Print what a call with *argv* would do; return the exit code."""
    from batchrun.commands import run  # noqa: PLC0415  (it shows plans, too)

    return run.main(["--dry-run", *argv], command="plan")


def show_plan(plan: Plan, *, as_json: bool) -> int:
    """Print what a call would do; no run is sent, and nothing is written."""
    with ExitStack() as stack:
        path = plan.folder / NAME
        book = stack.enter_context(open_reader(path)).book if path.exists() else Book()
    prices = Prices(means=means(book))
    if not as_json:
        prices = asked(plan, prices)
    found = walk(plan, book, prices)
    if as_json:
        print(summary_of(plan, found.counted, book).as_json())
    else:
        print("\n".join(lines(plan, found, prices)))
    return 0


def means(book: Book) -> dict[str, Decimal]:
    """Return what a run of each model has cost on average, as far as this ledger knows."""
    return {
        model: (facts.cost / facts.runs).quantize(Decimal("0.0001"))
        for model, facts in book.models.items()
        if facts.dearest is not None
    }


def asked(plan: Plan, prices: Prices) -> Prices:
    """Return *prices* with what the catalogue says of the models that have no mean here."""
    models = [model.id for model in plan.manifest.models if model.id not in prices.means]
    key = key_of(plan.endpoint)
    if not models or key is None:
        return replace(prices, missing="" if key else "RUNFLOW_API_KEY is not set")
    try:
        with served(plan.endpoint, None) as url:
            labels = anyio.run(_labels, url, key, plan.settings, models)
    except BatchrunError as error:
        return replace(prices, missing=str(error))
    return replace(prices, labels=labels)


async def _labels(url: str, key: str, settings: Settings, models: Sequence[str]) -> dict[str, str]:
    patient = replace(settings, give_up=min(settings.give_up, PATIENCE))
    async with connected(url, key, patient, log=lambda _: None) as client:
        found = {model: await client.model(model) for model in models}
    return {
        model: str(description["pricing_note"])
        for model, description in found.items()
        if description and description.get("pricing_note")
    }


def walk(plan: Plan, book: Book, prices: Prices) -> Found:
    """Count the grid's cells, and add up what those to do will cost."""
    attempts = plan.settings.attempts
    counting = Counting(book, attempts=attempts, download=plan.settings.download)
    costs: dict[str, Decimal | None] = {}
    for cell in expand(plan.manifest):
        history = counting.add(cell)
        if history is not None and standing(history, attempts=attempts) is Standing.PENDING:
            so_far, price = costs.get(cell.alias, Decimal(0)), prices.of(cell)
            costs[cell.alias] = None if so_far is None or price is None else so_far + price
    return Found(counted=counting.result(), costs=costs)


def lines(plan: Plan, found: Found, prices: Prices) -> Sequence[str]:
    """Return the plan as people read it."""
    width = max(len("model"), *(len(model.alias) for model in plan.manifest.models))
    head = f"{'model':<{width}}  {'cells':>7}  {'done':>7}  {'open':>5}  {'to do':>7}  cost to come"
    tally, unknown = found.counted.tally, None in found.costs.values()
    last = [
        f"{tally.cells} cells, {tally.pending} to do{total(found.costs)}; nothing was sent",
        f"the prices of some models are not known: {prices.missing}"
        if unknown and prices.missing
        else "",
        f"{tally.folded} points are folded into other cells" if tally.folded else "",
        f"the sweep's folder is {plan.folder}",
    ]
    rows = [
        _line(row, found.costs.get(row.alias, Decimal(0)), width) for row in found.counted.models
    ]
    return [head, *rows, *(line for line in last if line)]


def total(costs: Mapping[str, Decimal | None]) -> str:
    """Return what all of it may cost, in words that follow a comma."""
    known = [cost for cost in costs.values() if cost is not None]
    if not known:
        return ""
    least = "at least " if len(known) < len(costs) else ""
    return f", {least}about {money(sum(known, Decimal(0)))} USD"


def _line(row: ModelRow, cost: Decimal | None, width: int) -> str:
    tally = row.tally
    under_way = tally.in_flight + tally.parked + tally.in_doubt
    done = tally.cells - tally.pending - under_way
    price = "unknown" if cost is None else f"about {money(cost)} USD"
    return (
        f"{row.alias:<{width}}  {tally.cells:>7}  {done:>7}  {under_way:>5}  "
        f"{tally.pending:>7}  {price if tally.pending else 'none'}"
    )


def summary_of(plan: Plan, counted: Count, book: Book) -> Summary:
    """Return the plan as the `--json` object: the counts as they stand."""
    sweep = book.sweep
    counts: dict[str, Any] = counted.tally.as_dict()
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=plan.manifest.name,
        **counts,
        cost=book.cost,
        outputs=str(plan.folder),
        complete=not counted.tally.unfinished,
        next="run it without --dry-run",
    )
