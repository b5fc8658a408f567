"""Paid cells that drop out where columns are read otherwise than once, and are to be made anew.

The grid is walked as it is and as it was by the former types. A paid cell of a point is lost where
the point's cell of now is not in the ledger: it would be paid for a second time.

Fields that were edited along with their type are read alike by both: a spreadsheet writes `0.5` as
`0,5`, `TRUE` as `WAHR`. The paid cells of such a column are in neither grid. Each paid cell counts
then that the manifest no longer has.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice, repeat
from typing import Final

from msgspec import Struct, field

from batchrun.errors import ManifestError
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import Readable
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import read_as
from batchrun.results.orphans import is_paid

LOOKED_AT: Final = 300
"""Cells that are made to guess by them whether a former type is a likely one."""


class Compared(Struct):
    """What becomes of cells for *former* types: the paid ones that are *gone*, the new ones *made*.

    *edited*: for edits of fields, and another type brings no cell back.
    """

    gone: dict[str, None] = field(default_factory=dict)
    made: KeyIndex = field(default_factory=KeyIndex)
    edited: bool = False

    def take(self, made: Iterable[str]) -> None:
        """Take in new cells that are *made*."""
        for key in made:
            self.made.add(key)


class Standing(Struct):
    """The cells of the manifest as it is, against the ledger's.

    *fresh* are its new cells. *orphans* counts paid cells that it no longer has.
    """

    manifest: Manifest
    ledger: Readable
    present: KeyIndex
    fresh: KeyIndex
    orphans: int = 0

    def dropped(self) -> Iterator[str]:
        """Yield the paid cells that the manifest no longer has."""
        for key in self.ledger.book.histories:
            if self.has_dropped(key):
                yield key

    def has_dropped(self, key: str) -> bool:
        """Say whether a cell is paid, and none of the manifest any more."""
        return key not in self.present and is_paid(self.ledger.book, key)

    def hits(self, former: Mapping[str, str]) -> int:
        """Count the first cells by *former* types that are paid, and none of the manifest's."""
        cells = islice(expand(read_as(self.manifest, former)), LOOKED_AT)
        try:
            return sum(self.has_dropped(cell.key) for cell in cells)
        except ManifestError:
            return 0

    def compare(
        self, former: Mapping[str, str], *, newest: bool = False, rewritten: bool | None = False
    ) -> Compared:
        """Return what becomes of cells for *former* types; of the *newest* start's, or others.

        *rewritten*: a column's fields were edited along with its type; None: only where no point
        has the cell that it had. Where the former cells can't be made, each paid one counts that
        the manifest dropped since the newest start; else those that were found before.
        """
        found, histories = Compared(), self.ledger.book.histories
        untouched = edited = False
        try:
            for was, now in self._points(former):
                known = [key for key in was if key in histories]
                fresh = [key for key in now if key in self.fresh]
                untouched |= bool(known)
                edited |= bool(was and fresh and not known)
                found.take(key for key in fresh if key not in was)
                if fresh and fresh[0] == now[0]:
                    found.gone.update((key, None) for key in known if self.has_dropped(key))
        except ManifestError:
            return self.everything() if newest else found
        if edited and (rewritten or (rewritten is None and not untouched)) and self.orphans:
            return self.everything(edited=not found.gone)
        return found

    def everything(self, *, edited: bool = False) -> Compared:
        """Return that all paid cells are gone that the manifest no longer has."""
        return Compared(gone=dict.fromkeys(self.dropped()), made=self.fresh, edited=edited)

    def _points(self, former: Mapping[str, str]) -> Iterator[tuple[list[str], list[str]]]:
        """Yield the keys of each point's cells by *former* types, and those of now."""
        grids = (read_as(self.manifest, former), self.manifest)
        both = heapq.merge(*(zip(expand(grid), repeat(n)) for n, grid in enumerate(grids)), key=_at)
        for _, point in groupby(both, key=_at):
            keys: tuple[list[str], list[str]] = ([], [])
            for cell, number in point:
                keys[number].append(cell.key)
            yield keys


def _at(numbered: tuple[Cell, int]) -> int:
    return numbered[0].ordinal


def standing(manifest: Manifest, ledger: Readable) -> Standing:
    """Walk the grid as it is."""
    found = Standing(manifest, ledger, present=KeyIndex(), fresh=KeyIndex())
    for cell in expand(manifest):
        if found.present.add(cell.key)[1] and cell.key not in ledger.book.histories:
            found.fresh.add(cell.key)
    if len(found.fresh):
        found.orphans = sum(1 for _ in found.dropped())
    return found


def number_of_made(found: Iterable[Compared]) -> int:
    """Return how many cells are new by any of what was *found*."""
    made = KeyIndex()
    for each in found:
        for digest in each.made.digests():
            made.place(digest)
    return len(made)
