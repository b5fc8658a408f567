"""`batchrun plan MANIFEST`, and `--dry-run`: what would be done, by the ledger alone."""

from collections.abc import Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchrun.engine.settings import Settings
from batchrun.ledger.book import Book
from batchrun.ledger.file import NAME
from batchrun.ledger.reader import open_reader
from batchrun.manifest.grid import expand
from batchrun.manifest.manifest import Manifest
from batchrun.results.summary import Summary, money
from batchrun.results.tally import Count, ModelRow, count


def show_plan(manifest: Manifest, settings: Settings, folder: Path, *, as_json: bool) -> int:
    """Print what a call would do; nothing is sent, and nothing is written."""
    with ExitStack() as stack:
        path = folder / NAME
        book = stack.enter_context(open_reader(path)).book if path.exists() else Book()
        counted = count(
            expand(manifest), book, attempts=settings.attempts, download=settings.download
        )
    if as_json:
        print(summary_of(manifest, counted, book, folder).as_json())
    else:
        print("\n".join(lines(manifest, counted, book, folder)))
    return 0


def lines(manifest: Manifest, counted: Count, book: Book, folder: Path) -> Sequence[str]:
    """Return the plan as people read it."""
    aliases = {model.alias: model.id for model in manifest.models}
    width = max(len("model"), *(len(alias) for alias in aliases))
    head = f"{'model':<{width}}  {'cells':>7}  {'done':>7}  {'open':>5}  {'to do':>7}  cost to come"
    rows = [_line(row, aliases.get(row.alias, ""), book, width) for row in counted.models]
    tally = counted.tally
    return [
        head,
        *rows,
        f"{tally.cells} cells, {tally.pending} to do; nothing was sent",
        f"{tally.folded} points are folded into other cells" if tally.folded else "",
        f"the sweep's folder is {folder}",
    ]


def _line(row: ModelRow, model: str, book: Book, width: int) -> str:
    tally = row.tally
    done = tally.succeeded + tally.partial_succeeded + tally.failed
    done += tally.rejected + tally.cancelled
    under_way = tally.in_flight + tally.parked + tally.in_doubt
    price = mean_cost(book, model)
    cost = "unknown" if price is None else f"about {money(price * tally.pending)} USD"
    if not tally.pending:
        cost = "none"
    return (
        f"{row.alias:<{width}}  {tally.cells:>7}  {done:>7}  {under_way:>5}  "
        f"{tally.pending:>7}  {cost}"
    )


def mean_cost(book: Book, model: str) -> Decimal | None:
    """Return what a run of *model* has cost on average, as far as this ledger knows."""
    facts = book.models.get(model)
    if facts is None or facts.dearest is None:
        return None
    return (facts.cost / facts.runs).quantize(Decimal("0.0001"))


def summary_of(manifest: Manifest, counted: Count, book: Book, folder: Path) -> Summary:
    """Return the plan as the `--json` object: the counts as they stand."""
    sweep = book.sweep
    counts: dict[str, Any] = counted.tally.as_dict()
    return Summary(
        sweep=None if sweep is None else sweep.sweep,
        name=manifest.name,
        **counts,
        cost=book.cost,
        outputs=str(folder),
        complete=not counted.tally.unfinished,
        next="run it without --dry-run",
    )
