"""Which cell is next: the grid, drawn lazily, a model at its limit passed over. Pure.

Each model has a stream of its own, merged by the grid's order. So a model that is slow or full
holds up none of the others, and what is held is one cell a model, however large the grid is.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from batchrun.manifest.cells import Cell

HasRoom = Callable[[str], bool]


class ReadyQueue:
    """Draws cells from one stream per model alias; cells to be tried again come first."""

    def __init__(self, streams: Mapping[str, Iterator[Cell]]) -> None:
        self._streams = dict(streams)
        self._heads: dict[str, Cell] = {}
        self._again: deque[Cell] = deque()
        self._dropped: set[str] = set()

    def begin(self) -> None:
        """Have the first cell of each stream ready."""
        for alias in self._streams:
            self._advance(alias)

    @property
    def exhausted(self) -> bool:
        return not self._heads and not self._again

    def again(self, cell: Cell) -> None:
        """Put back a cell whose attempt ended badly and that has attempts left."""
        if cell.alias not in self._dropped:
            self._again.append(cell)

    def put_back(self, cell: Cell) -> None:
        """Put back a cell that was drawn too early; it comes first."""
        if cell.alias not in self._dropped:
            self._again.appendleft(cell)

    def drop(self, alias: str) -> None:
        """Draw no further cell of a model, nor one that is put back."""
        self._dropped.add(alias)
        self._streams.pop(alias, None)
        self._heads.pop(alias, None)
        self._again = deque(cell for cell in self._again if cell.alias != alias)

    def draw(self, has_room: HasRoom, *, new: bool = True) -> Cell | None:
        """Return the next cell whose model has room, or None where there is none now.

        Without *new* only cells that were put back are drawn.
        """
        for cell in self._again:
            if has_room(cell.alias):
                self._again.remove(cell)
                return cell
        ready = [cell for cell in self._heads.values() if has_room(cell.alias)]
        if not new or not ready:
            return None
        cell = min(ready, key=_ordinal)
        self._advance(cell.alias)
        return cell

    def _advance(self, alias: str) -> None:
        cell = next(self._streams[alias], None)
        if cell is None:
            self._heads.pop(alias, None)
        else:
            self._heads[alias] = cell


def _ordinal(cell: Cell) -> int:
    return cell.ordinal
