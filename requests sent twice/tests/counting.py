"""Counts and groups of many at once, as tests like them: the product takes one after another."""

from collections.abc import Iterable, Mapping

from batchrun.ledger.book import Book
from batchrun.ledger.records import Finished, Rejected
from batchrun.manifest.cells import Cell
from batchrun.results.failures import Failure, Grouping
from batchrun.results.tally import NO_GRANTS, Count, Counting, Tally


def count(
    cells: Iterable[Cell],
    book: Book,
    *,
    attempts: int,
    download: bool,
    granted: Mapping[str, int] = NO_GRANTS,
) -> Count:
    """Count *cells*, which may name a cell more than once, as *book* has them."""
    counting = Counting(book, attempts=attempts, download=download, granted=granted)
    for cell in cells:
        counting.add(cell)
    return counting.result()


def tally(
    cells: Iterable[Cell],
    book: Book,
    *,
    attempts: int,
    download: bool,
    granted: Mapping[str, int] = NO_GRANTS,
) -> Tally:
    """Count *cells* in all. *granted* is what `--retry-failed` gave single cells (`grant`)."""
    return count(cells, book, attempts=attempts, download=download, granted=granted).tally


def group(ended: Iterable[tuple[str, Finished | Rejected]]) -> list[Failure]:
    """Group pairs of alias and the line that ended a cell badly; the most frequent come first."""
    grouping = Grouping()
    for alias, record in ended:
        grouping.add(alias, record)
    return grouping.result()
