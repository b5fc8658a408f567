"""Which cells are made again, and as which replicates (rule 25 of the contract).

Each chosen cell that has ended gets one new replicate. Its number is the highest that is known of
its point, and one more: `repeat` may have been larger once, and what was paid then is not made
again under another name. A mark says which number that is, and is on disk before anything is sent.

**A mark makes one replicate, ever.** A call that is killed behind its marks leaves them open, and
the next plain call finishes them. The same call again finds them open, too: it makes no further
marks for these cells, and finishes what is open. A cell that was made again is not chosen once
more by its values: its newest replicate is.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.engine.selection import Selection
from batchrun.ledger.book import Book
from batchrun.ledger.history import Standing, standing
from batchrun.ledger.records import Mark, Marks
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest

ID_BYTES: Final = 8

PROBED: Final = 20
"""Numbers behind the highest one that the manifest has: an earlier `repeat` may have named them."""

A_LINE: Final = 1000
"""Marks on one line of the ledger."""

ENDED: Final = frozenset(Standing) - {
    *(Standing.PENDING, Standing.IN_FLIGHT, Standing.IN_DOUBT, Standing.PARKED),
}


class Choice(Struct, frozen=True, kw_only=True):
    """The cells that a call makes, and the new *marks* for them.

    With *is_open* they are those of an earlier redo of the same cells, and there are no new marks.
    *unended* counts chosen cells that haven't ended.
    """

    cells: Sequence[Cell] = ()
    marks: Sequence[Mark] = ()
    is_open: bool = False
    unended: int = 0

    @property
    def keys(self) -> list[str]:
        return [cell.key for cell in self.cells]

    def lines(self) -> list[Marks]:
        """Return the lines of the ledger for the marks."""
        starts = range(0, len(self.marks), A_LINE)
        return [Marks(marks=tuple(self.marks[at : at + A_LINE])) for at in starts]


class _Point(Struct):
    """The replicates of one point: the first one's key, the highest number, the chosen ones."""

    first: str
    highest: int = 1
    chosen: list[str] = field(default_factory=list)


def choose(
    manifest: Manifest, book: Book, selection: Selection, *, attempts: int, by_key: bool
) -> Choice:
    """Return what is to be made of the cells that *selection* wants.

    *manifest* has the replicates of *book*'s marks. *by_key*: a cell that was made again is chosen
    once more, since its key was named.
    """
    chosen = _Chosen(book, selection, attempts=attempts, by_key=by_key)
    for model in manifest.models:
        chosen.end_point()
        for cell in expand(manifest, model):
            chosen.add(cell)
    chosen.end_point()
    if chosen.open:
        cells = {cell.key: cell for cell in expand(manifest) if cell.key in chosen.open}
        return Choice(cells=list(cells.values()), is_open=True, unended=chosen.unended)
    pairs = list(_new_cells(manifest, book, chosen.points))
    return Choice(
        cells=[cell for cell, _ in pairs],
        marks=[mark for _, mark in pairs],
        unended=chosen.unended,
    )


class _Chosen:
    """Takes the cells of one model after another, the replicates of a point together."""

    def __init__(self, book: Book, selection: Selection, *, attempts: int, by_key: bool) -> None:
        self.points: dict[str, _Point] = {}
        self.open: set[str] = set()
        self.unended = 0
        self._selection = selection
        self._book = book
        self._attempts = attempts
        self._seen: set[str] = set()
        self._point: _Point | None = None
        self._redone = set() if by_key else {mark.cell for mark in book.marks.values()}
        self._open = {
            mark.cell: mark.makes for mark in book.marks.values() if not self._ended(mark.makes)
        }

    def _ended(self, key: str) -> bool:
        return standing(self._book.history(key), attempts=self._attempts) in ENDED

    def add(self, cell: Cell) -> None:
        point = self._point_of(cell)
        if not self._selection.wants(cell) or cell.key in self._seen:
            return
        self._seen.add(cell.key)
        if cell.key in self._open:
            self.open.add(self._open[cell.key])
        elif cell.key in self._book.marks and not self._ended(cell.key):
            self.open.add(cell.key)
        elif not self._ended(cell.key):
            self.unended += 1
        elif point is not None and cell.key not in self._redone:
            point.chosen.append(cell.key)

    def _point_of(self, cell: Cell) -> _Point | None:
        """Return the point of the cell; None where its first replicate is not in the manifest."""
        if cell.replicate == 1:
            self.end_point()
            self._point = _Point(cell.key)
        elif cell.redo_of is None and self._point and cell.replicate != self._point.highest + 1:
            self.end_point()
        if self._point is not None:
            self._point.highest = max(self._point.highest, cell.replicate)
        return self._point

    def end_point(self) -> None:
        """Keep the point whose replicates are over, if one of them was chosen."""
        if self._point is not None and self._point.chosen:
            self.points.setdefault(self._point.first, self._point)
        self._point = None


class _Probe(Mapping[str, Sequence[int]]):
    """The numbers that a new replicate of each chosen point may have."""

    def __init__(self, points: Mapping[str, _Point]) -> None:
        self._points = points

    def __getitem__(self, first: str) -> Sequence[int]:
        point = self._points[first]
        begin = point.highest + 1
        return range(begin, begin + PROBED + len(point.chosen))

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)


def _new_cells(
    manifest: Manifest, book: Book, points: Mapping[str, _Point]
) -> Iterator[tuple[Cell, Mark]]:
    """Yield the cell that each chosen one is made again as, and its mark."""
    if not points:
        return
    probes = (cell for cell in expand(replace(manifest, redone=_Probe(points))) if cell.redo_of)
    done: set[str] = set()
    for first, group in groupby(probes, key=attrgetter("redo_of")):
        if first in done:  # another alias has the same cells
            continue
        done.add(first)
        cells = list(group)
        known = max((cell.replicate for cell in cells if cell.key in book.histories), default=0)
        new = (cell for cell in cells if cell.replicate > known)
        for chosen, cell in zip(points[first].chosen, new, strict=False):
            yield cell, _mark(chosen, first, cell)


def _mark(chosen: str, first: str, new: Cell) -> Mark:
    return Mark(
        id=secrets.token_hex(ID_BYTES),
        cell=chosen,
        first=first,
        replicate=new.replicate,
        makes=new.key,
    )
