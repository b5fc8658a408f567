"""Cells that wait for money: by alias and choice, so that one answer speaks for many. Pure.

Each wakeup of the call begins a round, in which the first cell of each choice asks once more. A
choice whose first cell has to wait on keeps all its cells until the next round.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Final

from batchrun.manifest.cells import Cell

MOST: Final = 1000
"""Cells of an alias that wait: with so many no further one of it is drawn."""

Kind = tuple[str, str]
"""An alias and a choice: what they reserve is the same."""


class HeldCells:
    """Cells by their kind, each in the order in which they were drawn."""

    def __init__(self) -> None:
        self._cells: dict[Kind, deque[Cell]] = {}
        self._waiting: set[Kind] = set()
        self._counts: Counter[str] = Counter()
        self._tried: set[str] = set()

    def __len__(self) -> int:
        return self._counts.total()

    @property
    def tried_again(self) -> bool:
        """Whether a cell that had a run before is among them."""
        return bool(self._tried)

    def full(self, alias: str) -> bool:
        """Say whether so many cells of *alias* wait that no further one is drawn."""
        return self._counts[alias] >= MOST

    def begin_round(self) -> None:
        """Let each choice ask once more."""
        self._waiting.clear()

    def waits(self, alias: str, choice: str) -> bool:
        """Say whether cells of that kind wait until the next round."""
        return (alias, choice) in self._waiting

    def take(self, has_room: Callable[[str], bool]) -> Cell | None:
        """Return the next cell that may ask, and whose model has room."""
        for kind, cells in self._cells.items():
            if kind not in self._waiting and has_room(kind[0]):
                cell = cells.popleft()
                self._counts[cell.alias] -= 1
                self._tried.discard(cell.key)
                if not cells:
                    del self._cells[kind]
                return cell
        return None

    def all(self) -> Iterator[tuple[Cell, str]]:
        """Yield the cells that wait, and their choices."""
        for (_, choice), cells in self._cells.items():
            yield from ((cell, choice) for cell in cells)

    def drop(self, alias: str) -> None:
        """Let no cell of a model wait any more."""
        for kind in [kind for kind in self._cells if kind[0] == alias]:
            self._tried.difference_update(cell.key for cell in self._cells.pop(kind))
        del self._counts[alias]

    def hold(self, cell: Cell, choice: str, *, tried: bool, first: bool = False) -> None:
        """Have a cell wait until the next round; *first* before the others of its kind.

        *tried*: it had a run before.
        """
        cells = self._cells.setdefault((cell.alias, choice), deque())
        if first:
            cells.appendleft(cell)
        else:
            cells.append(cell)
        self._counts[cell.alias] += 1
        self._waiting.add((cell.alias, choice))
        if tried:
            self._tried.add(cell.key)
