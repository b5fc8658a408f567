"""The results of a call, each once: those of earlier calls first, then each as its cell ends.

A cell that begins in this call is kept from then until its end. The cells of earlier calls are met
on one walk of the grid, beside the work of the call; what ends meanwhile waits for the end of that
walk. So no more cells are held than are open, or owe a file.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import anyio
import anyio.lowlevel
from msgspec import Struct

from batchrun.ledger.file import Ledger
from batchrun.ledger.history import BAD, GOOD, History, State, is_to_begin
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import Readable
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.results.result import Result, result_of
from batchrun.results.result_files import row_of
from batchrun.settings import Settings

YIELD_EVERY: Final = 200
"""Cells after which others have their turn."""

ASKED_AGAIN: Final = 0.02
"""Seconds until it is asked again whether the reader has room."""


class Outlet(Struct, frozen=True):
    """Where results go. *full* says that no result of an earlier call shall come now, *closed*
    that none is wanted any more.
    """

    put: Callable[[Result], None]
    full: Callable[[], bool]
    closed: Callable[[], bool]


class Gathering:
    """Makes the results of the cells that a call *wants*, and puts them into the *outlet*."""

    def __init__(
        self,
        manifest: Manifest,
        settings: Settings,
        ledger: Ledger,
        folder: Path,
        outlet: Outlet,
    ) -> None:
        self._before = ledger.end
        self._manifest = manifest
        self._settings = settings
        self._ledger = ledger
        self._folder = folder
        self._outlet = outlet
        self._cells: dict[str, Cell] = {}
        self._seen = KeyIndex()
        self._unplaced: set[str] = set()
        self._held: list[Result] = []
        self._walked = False

    def begun(self, cell: Cell) -> None:
        """Keep the cell until its end."""
        self._cells[cell.key] = cell

    def over(self, key: str) -> None:
        """Make the result of a cell that is at its end; at most one for each."""
        if not self._seen.add(key)[1]:
            return
        cell = self._cells.pop(key, None)
        if cell is None and not self._walked:
            self._unplaced.add(key)
        elif cell is not None and self._walked:
            self._outlet.put(self._result(cell))
        elif cell is not None:
            self._held.append(self._result(cell))

    async def walk(self, wants: Callable[[Cell], bool]) -> None:
        """Put the results of earlier calls, in the order of the grid; then what ended meanwhile."""
        for number, cell in enumerate(expand(self._manifest)):
            if number % YIELD_EVERY == 0:
                await anyio.lowlevel.checkpoint()
            if self._outlet.closed():
                return
            if wants(cell) and self._is_over(cell):
                await self._room()
                self._outlet.put(self._result(cell))
        self._walked = True
        for result in self._held:
            self._outlet.put(result)
        self._held.clear()

    async def _room(self) -> None:
        while self._outlet.full() and not self._outlet.closed():
            await anyio.sleep(ASKED_AGAIN)

    def _is_over(self, cell: Cell) -> bool:
        """Say whether a cell's result is to be put now; keep the cell where its end will come."""
        key = cell.key
        if key in self._unplaced:
            self._unplaced.discard(key)
            return True
        if key in self._seen or key in self._cells:
            return False
        history = self._ledger.book.history(key)
        # A line of this call may not be on disk yet; once it is, the cell comes as over.
        ours = max(history.ended_line, history.saved_line) >= self._before
        if is_at_rest(history, self._settings) and not ours:
            return self._seen.add(key)[1]
        if ours or history.state in GOOD or history.state in _OPEN:
            self._cells[key] = cell
        return False

    def _result(self, cell: Cell) -> Result:
        row = row_of(cell, self._ledger, self._settings.attempts)
        return result_of(cell, row, self._folder)


_OPEN: Final = frozenset({State.DOUBTFUL, State.IN_FLIGHT})


def is_at_rest(history: History, settings: Settings) -> bool:
    """Say whether a cell is at its end, and a call with *settings* has nothing to do for it."""
    if history.state in GOOD:
        return history.saved or not settings.download
    return history.state in BAD and not is_to_begin(history, settings)


def results_of(
    manifest: Manifest, settings: Settings, ledger: Readable, folder: Path
) -> Iterator[Result]:
    """Yield the result of each cell of the grid once, at its end or not, as the ledger has it."""
    seen = KeyIndex()
    for cell in expand(manifest):
        if seen.add(cell.key)[1]:
            row = row_of(cell, ledger, settings.attempts)
            yield result_of(cell, row, folder)
