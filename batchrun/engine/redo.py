"""Which cells are made again, and as which replicates (rule 25 of the contract).

Each chosen cell that has ended gets one new replicate. Its number is the highest that is known of
its point, and one more: `repeat` may have been larger once, and what was paid then is not made
again under another name. A mark says which number that is, and is on disk before anything is sent.

**A mark makes one replicate, ever.** A call that is killed behind its marks leaves them open, and
the next plain call finishes them. The same call again finds them open, too: it makes no further
marks for these cells, and finishes what is open. A cell that was made again is not chosen once
more by its values: its newest replicate is.

**A redo mark of the page is a mark of the ledger, under the page's id.** So each makes one
replicate, however often its file is read, and whichever words chose the cell. A ledger that was
made again (`recover`) lacks the ids: there a wish for a cell of a point whose replicate was found
makes nothing, since that may be the one it was for.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.engine.selection import Selection
from batchrun.errors import ManifestError
from batchrun.ledger.book import Book
from batchrun.ledger.history import Standing, standing
from batchrun.ledger.records import Mark, Marks, id_found_again
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import Replicates, expand, points
from batchrun.manifest.manifest import Manifest
from batchrun.sweep.picks import Pick

ID_BYTES: Final = 8

PROBED: Final = 20
"""Numbers behind the highest one that the manifest has: an earlier `repeat` may have named them."""

A_LINE: Final = 1000
"""Marks on one line of the ledger."""


class By(Enum):
    """The words that chose the cells: their keys, what they are, or a redo mark of the page."""

    KEY = auto()
    VALUES = auto()
    WISH = auto()


ENDED: Final = frozenset(Standing) - {
    *(Standing.PENDING, Standing.IN_FLIGHT, Standing.IN_DOUBT, Standing.PARKED),
}


class Wishes:
    """The redo marks of the page by the keys of their cells, and which of them were granted."""

    def __init__(self, redo: Mapping[str, Pick], book: Book) -> None:
        self._redo = redo
        self._book = book
        self._granted = {mark.id for mark in book.marks.values()}

    def open(self, key: str, first: str | None) -> str | None:
        """Return the id of the mark that is still to make a replicate of a cell; None for none.

        *first* is the key of its point's first replicate.
        """
        wish = self._redo.get(key)
        if wish is None or wish.id in self._granted or self._found_again(first):
            return None
        return wish.id

    def _found_again(self, first: str | None) -> bool:
        makes = () if first is None else self._book.redone.get(first, ())
        return any(self._book.marks[key].id == id_found_again(key) for key in makes)


class Choice(Struct, frozen=True, kw_only=True):
    """The cells that a call makes, and the new *marks* for them.

    With *is_open* they are those of an earlier redo of the same cells, and there are no new marks.
    *unended* counts chosen cells that haven't ended, *left* those that a limit leaves to a later
    call, *granted* those whose redo mark has made its replicate.
    """

    cells: Sequence[Cell] = ()
    marks: Sequence[Mark] = ()
    is_open: bool = False
    unended: int = 0
    left: int = 0
    granted: int = 0

    def limited(self, limit: int | None, book: Book, by: By) -> "Choice":
        """Return *limit* of the cells at most: those that were made again least often come first.

        So the same call, again and again, comes to each of them; it has none left once all were
        made again equally often. Redo marks are granted once each: all of them are due.
        """
        if limit is None or self.is_open:
            return self if limit is None else replace(self, cells=self.cells[:limit])
        redone = [len(book.redone.get(mark.first, {})) for mark in self.marks]
        due = by is By.WISH
        least = [n for n, times in enumerate(redone) if due or times == min(redone)]
        taken = least[:limit]
        return replace(
            self,
            cells=[self.cells[n] for n in taken],
            marks=[self.marks[n] for n in taken],
            left=len(least) - len(taken),
        )

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
    manifest: Manifest,
    book: Book,
    selection: Selection,
    *,
    attempts: int,
    by: By,
    wishes: Wishes,
) -> Choice:
    """Return what is to be made of the cells that *selection* wants.

    *manifest* has the replicates of *book*'s marks. *by* says whether a cell that was made again is
    chosen once more.
    """
    marks = _marks_of(manifest, book)
    chosen = _Chosen(book, selection, marks, attempts=attempts, by=by, wishes=wishes)
    for model in manifest.models:
        chosen.end_point()
        for cell in expand(manifest, model):
            chosen.add(cell)
    chosen.end_point()
    if chosen.open:
        cells = {cell.key: cell for cell in expand(manifest) if cell.key in chosen.open}
        return Choice(cells=list(cells.values()), is_open=True, unended=chosen.unended)
    pairs = list(_new_cells(manifest, book, chosen.points, wishes))
    return Choice(
        cells=[cell for cell, _ in pairs],
        marks=[mark for _, mark in pairs],
        unended=chosen.unended,
        granted=chosen.granted,
    )


def _marks_of(manifest: Manifest, book: Book) -> list[Mark]:
    """Return the marks whose cells the manifest has: it may have been edited since."""
    if not book.marks:
        return []
    there = {cell.key for cell in expand(manifest) if cell.key in book.marks}
    return [mark for key, mark in book.marks.items() if key in there]


class _Chosen:
    """Takes the cells of one model after another, the replicates of a point together."""

    def __init__(
        self,
        book: Book,
        selection: Selection,
        marks: Sequence[Mark],
        *,
        attempts: int,
        by: By,
        wishes: Wishes,
    ) -> None:
        self.points: dict[str, _Point] = {}
        self.open: set[str] = set()
        self.unended = self.granted = 0
        self._by = by
        self._wishes = wishes
        self._selection = selection
        self._book = book
        self._attempts = attempts
        self._seen: set[str] = set()
        self._point: _Point | None = None
        self._redone = {mark.cell for mark in marks}
        self._open = {mark.cell: mark.makes for mark in marks if not self._ended(mark.makes)}

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
        elif point is not None and self._is_due(cell.key, point.first):
            point.chosen.append(cell.key)

    def _is_due(self, key: str, first: str) -> bool:
        match self._by:
            case By.KEY:
                return True
            case By.VALUES:
                return key not in self._redone
            case By.WISH:
                is_due = self._wishes.open(key, first) is not None
                self.granted += not is_due
                return is_due

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
        point = self._point
        if point is not None and point.chosen:
            known = self.points.setdefault(point.first, point)
            if known is not point:  # another alias has the same cells
                known.highest = max(known.highest, point.highest)
                known.chosen += point.chosen
        self._point = None


def _new_cells(
    manifest: Manifest, book: Book, chosen: Mapping[str, _Point], wishes: Wishes
) -> Iterator[tuple[Cell, Mark]]:
    """Yield the cell that each chosen one is made again as, and its mark.

    Raises ManifestError where a value can't be had for the next number.
    """
    if not chosen:
        return
    highest = {first: _highest(book, first, point.highest) for first, point in chosen.items()}
    for each in points(manifest):  # another alias may have more of the same cells
        if each.first.key in highest:
            known = _last_known(each, book, max(highest[each.first.key], each.repeat))
            highest[each.first.key] = known
    for each in points(manifest):
        if (number := highest.pop(each.first.key, None)) is None:
            continue
        tries = range(number + 1, number + 1 + PROBED + len(chosen[each.first.key].chosen))
        new = (cell for n in tries if (cell := each.beyond(n)) is not None)
        for key in chosen[each.first.key].chosen:
            if (cell := next(new, None)) is not None:
                yield cell, _mark(key, each.first.key, cell, wishes)


def _highest(book: Book, first: str, highest: int) -> int:
    """Return the highest number of a point's replicates that are in the manifest, or are made."""
    made = (n for key, n in book.redone.get(first, {}).items() if key in book.histories)
    return max(highest, *made, 1)


def _last_known(point: Replicates, book: Book, number: int) -> int:
    """Return the highest number behind which no replicate has a line in the ledger."""
    ahead = number
    while ahead < number + PROBED:
        ahead += 1
        with suppress(ManifestError):  # it was never made
            cell = point.beyond(ahead)
            if cell is not None and cell.key in book.histories:
                number = ahead
    return number


def _mark(chosen: str, first: str, new: Cell, wishes: Wishes) -> Mark:
    return Mark(
        id=wishes.open(chosen, first) or secrets.token_hex(ID_BYTES),
        cell=chosen,
        first=first,
        replicate=new.replicate,
        makes=new.key,
    )
