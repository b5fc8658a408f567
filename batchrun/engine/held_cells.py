"""Cells that wait for money: by their choice, so that one answer speaks for many. Pure.

Each wakeup of the call begins a round, in which the first cell of each choice asks once more. A
choice whose first cell has to wait on keeps all its cells until the next round.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from batchrun.manifest.cells import Cell

MOST: Final = 1000
"""Cells that wait: with so many no further one is drawn."""


class HeldCells:
    """Cells by choice, each choice in the order in which its cells were drawn."""

    def __init__(self) -> None:
        self._cells: dict[str, deque[Cell]] = {}
        self._waiting: set[str] = set()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        return self._count >= MOST

    def begin_round(self) -> None:
        """Let each choice ask once more."""
        self._waiting.clear()

    def waits(self, choice: str) -> bool:
        """Say whether cells of *choice* wait until the next round."""
        return choice in self._waiting

    def take(self, has_room: Callable[[str], bool]) -> Cell | None:
        """Return the next cell that may ask, and whose model has room."""
        for choice, cells in self._cells.items():
            if choice not in self._waiting and has_room(cells[0].alias):
                cell = cells.popleft()
                self._count -= 1
                if not cells:
                    del self._cells[choice]
                return cell
        return None

    def hold(self, cell: Cell, choice: str, *, first: bool = False) -> None:
        """Have a cell wait until the next round; *first* before the others of its choice."""
        cells = self._cells.setdefault(choice, deque())
        if first:
            cells.appendleft(cell)
        else:
            cells.append(cell)
        self._count += 1
        self._waiting.add(choice)
