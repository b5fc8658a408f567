"""How the manifest's cells stand, and what a call with the same options would begin.

One walk of the grid. A cell is to do where `next_step` would give it a run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from batchrun.engine.price_list import PriceList
from batchrun.engine.selection import Selection
from batchrun.ledger.book import Book
from batchrun.ledger.history import Standing, grant, standing
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.manifest import Manifest
from batchrun.planning.to_do import KeySet, ToDo
from batchrun.results.tally import Count, Counting
from batchrun.settings import Settings


class Forecast(Struct, frozen=True, kw_only=True):
    """How the manifest's cells stand, how those do that the call is about, and what is to do.

    *spent* is USD, of all runs so far; *taken_over* counts cells that another sweep has paid.
    """

    counting: Counting
    counted: Count
    selected: Count
    to_do: ToDo
    spent: Decimal
    taken_over: int = 0


Watch = Callable[[Iterator[Cell], int], Iterable[Cell]]
"""Yields the same cells, of which there are at most so many, and shows how far that is."""


def forecast(
    manifest: Manifest,
    settings: Settings,
    book: Book,
    prices: PriceList,
    selection: Selection,
    *,
    taken: KeyIndex | None = None,
    keys: KeySet | None = None,
    watch: Watch | None = None,
) -> Forecast:
    """Count the manifest's cells, and add up what the call would begin.

    Cells of *taken* are taken over. *keys* gets the keys of the cells that would begin.
    """
    most, cells = upper_bound(manifest), expand(manifest)
    attempts, taken_over = settings.attempts, 0
    named = settings.names_codes
    granted = grants(book, attempts=attempts, named=named) if settings.retry_failed else {}
    counting = Counting(book, attempts=attempts, download=settings.download, expected=most)
    selected = counting
    if selection or granted:
        selected = Counting(book, attempts=attempts, download=settings.download, granted=granted)
    to_do = ToDo(prices, settings.limit, sources=manifest.sources, uploaded=book.uploads, keys=keys)
    begun = len(book.histories) > 0
    for cell in cells if watch is None else watch(cells, most):
        state = counting.add(cell)
        if selected is not counting:
            state = selected.add(cell) if selection.wants(cell) else None
        if state is None:
            continue
        if taken is not None and cell.key in taken:
            taken_over += 1
        elif not begun:
            to_do.add(cell)
        else:
            history = book.history(cell.key)
            stands = standing(history, attempts=attempts, granted=granted.get(cell.key, 0))
            if stands is Standing.PENDING:
                to_do.add(cell, history)
    counted = counting.result()
    return Forecast(
        counting=counting,
        counted=counted,
        selected=counted if selected is counting else selected.result(),
        to_do=to_do,
        spent=book.cost,
        taken_over=taken_over,
    )


def grants(book: Book, *, attempts: int, named: bool) -> Mapping[str, int]:
    """Return what `--retry-failed` would grant, by cell; *named*: `--only code=…` is said, too."""
    return {
        key: number
        for key, each in book.histories.items()
        if (number := grant(each, attempts=attempts, named=named))
    }
