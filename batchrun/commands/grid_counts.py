"""One walk of the grid for a call's end: it counts, and groups failures."""

from collections.abc import Iterable, Iterator

from batchrun.commands.outcome import Totals
from batchrun.engine.selection import Selection
from batchrun.ledger.history import BAD, GOOD, State
from batchrun.ledger.reader import Readable, lost_files
from batchrun.ledger.records import Finished, Lost, Rejected
from batchrun.manifest.cells import Cell
from batchrun.results.failures import Grouping
from batchrun.results.orphans import orphans_cost
from batchrun.results.tally import Counting
from batchrun.settings import Settings


def bad_ends(
    ledger: Readable, cell: str, state: State | None
) -> Iterator[Finished | Rejected | Lost]:
    """Yield the line that ended a cell badly, or those of its files that are lost."""
    if state in BAD:
        record = ledger.read(ledger.book.history(cell).ended_line)
        assert isinstance(record, Finished | Rejected)
        yield record
    else:
        yield from lost_files(ledger, cell)


class GridWalk:
    """Takes the grid's cells in their order. An empty *selection* is of all cells."""

    def __init__(
        self, settings: Settings, ledger: Readable, *, selection: Selection | None = None
    ) -> None:
        self._ledger = ledger
        self._selection = selection
        self._counting, self._selected = (
            Counting(ledger.book, attempts=settings.attempts, download=settings.download)
            for _ in range(2)
        )
        self._grouping = Grouping()

    def add(self, cell: Cell) -> None:
        state = self._counting.add(cell)
        if self._selection and self._selection.wants(cell):
            self._selected.add(cell)
        if state in BAD | GOOD:
            reasons = bad_ends(self._ledger, cell.key, state)
            self._grouping.ended(cell.alias, cell.values, reasons)

    def over(self, cells: Iterable[Cell]) -> Iterator[Cell]:
        """Yield *cells*, each once it was taken in."""
        for cell in cells:
            self.add(cell)
            yield cell

    def totals(self) -> Totals:
        """Return what all cells came to. To be asked once, at the walk's end."""
        counted = self._counting.result()
        selected = self._selected.result().tally if self._selection else counted.tally
        orphaned = counted.tally.orphaned
        return Totals(
            counted=counted,
            selected=selected,
            failures=self._grouping.result(),
            orphans_cost=orphans_cost(self._ledger, self._counting.orphans(), orphaned),
        )
