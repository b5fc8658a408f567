"""One walk of the grid for a call's end: it counts, groups failures, and looks at the results.

A call that finds nothing to do has walked the grid to find that out. What it passed is counted on
the way, so that no second walk follows; as soon as anything happens, that comes to nothing.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from msgspec import Struct

from batchrun.engine.selection import Selection
from batchrun.ledger.file import Ledger
from batchrun.ledger.history import BAD
from batchrun.ledger.reader import Readable
from batchrun.ledger.records import Finished, Rejected
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest, Model
from batchrun.results.failures import Failure, Grouping
from batchrun.results.result_files import Comparison
from batchrun.results.tally import Count, Counting, Tally
from batchrun.settings import Settings

APART: Final = 1000
"""Cells that one model may be ahead of another before they are no longer counted on the way."""


class Totals(Struct, frozen=True, kw_only=True):
    """What one walk of the grid has told; *selected* counts the cells that the call was about.

    *results_stand* if the results tell of the same points, and of nothing that has changed since.
    """

    counted: Count
    selected: Tally
    failures: Sequence[Failure]
    results_stand: bool


class GridWalk:
    """Takes the grid's cells in their order. *since* is from when on results are believed.

    None believes none. An empty *selection* is of all cells.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        ledger: Readable,
        *,
        selection: Selection | None = None,
        since: int | None = None,
    ) -> None:
        self._ledger = ledger
        self._selection = selection
        self._counting, self._selected = (
            Counting(ledger.book, attempts=settings.attempts, download=settings.download)
            for _ in range(2)
        )
        self._grouping = Grouping()
        self._comparison = None if since is None else Comparison(folder, since)

    def add(self, cell: Cell) -> None:
        state = self._counting.add(cell)
        if self._comparison is not None:
            self._comparison.add(cell, state)
        if self._selection and self._selection.wants(cell):
            self._selected.add(cell)
        if state in BAD:
            history = self._ledger.book.history(cell.key)
            record = self._ledger.read(history.ended_line)
            assert isinstance(record, Finished | Rejected)
            self._grouping.add(cell.alias, record)

    def over(self, cells: Iterable[Cell]) -> Iterator[Cell]:
        """Yield *cells*, each once it was taken in."""
        for cell in cells:
            self.add(cell)
            yield cell

    def totals(self) -> Totals:
        """Return what all cells came to. To be asked once, at the walk's end."""
        counted = self._counting.result()
        return Totals(
            counted=counted,
            selected=self._selected.result().tally if self._selection else counted.tally,
            failures=self._grouping.result(),
            results_stand=self._comparison is not None and self._comparison.stand(),
        )

    def close(self) -> None:
        if self._comparison is not None:
            self._comparison.close()


class Alongside(AbstractContextManager["Alongside"]):
    """Takes in what the engine draws from the grid, as long as nothing has happened.

    Each model is drawn from on its own: their cells are put back into the grid's order here.
    """

    def __init__(
        self, manifest: Manifest, settings: Settings, ledger: Ledger, folder: Path
    ) -> None:
        self._manifest = manifest
        self._ledger = ledger
        self._drawn: dict[str, deque[Cell]] = {model.alias: deque() for model in manifest.models}
        self._ended: set[str] = set()
        self._walk: GridWalk | None = None
        if not settings.only:  # else it isn't known yet which cells are asked for
            self._walk = GridWalk(folder, settings, ledger, since=ledger.untouched_since)

    def __exit__(self, *_: object) -> None:
        self._give_up()

    def points(self, model: Model) -> Iterator[Cell]:
        """Yield the model's cells."""
        alias = model.alias
        for cell in expand(self._manifest, model):
            if self._walk is not None:
                self._drawn[alias].append(cell)
                self._go_on(alias)
            yield cell
        self._ended.add(alias)
        if not self._drawn[alias]:
            del self._drawn[alias]
        self._go_on(None)

    def totals(self) -> Totals | None:
        """Return what the whole grid came to; None where not all of it was drawn as it now is."""
        self._go_on(None)
        return None if self._drawn or self._walk is None else self._walk.totals()

    def _go_on(self, alias: str | None) -> None:
        """Take in what is next in the grid's order, as far as it is known; *alias* was drawn."""
        drawn = self._drawn
        ahead = alias is not None and len(drawn[alias]) > APART
        if ahead or self._ledger.untouched_since is None:
            self._give_up()
        while self._walk is not None and drawn and all(drawn.values()):
            if len(drawn) > 1:
                alias = min(drawn, key=lambda each: drawn[each][0].ordinal)
            else:
                (alias,) = drawn
            self._walk.add(drawn[alias].popleft())
            if not drawn[alias] and alias in self._ended:
                del drawn[alias]

    def _give_up(self) -> None:
        if self._walk is not None:
            self._walk.close()
            self._walk = None
        for cells in self._drawn.values():
            cells.clear()
