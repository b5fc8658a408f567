"""The cells that a call would begin, taken in one by one, and what they come to. Pure.

A million cells are counted by what their price hangs on: none of them is kept but the first few.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from batchrun.base.local_file import LocalFile
from batchrun.engine.price_list import Cost, Price, PriceList
from batchrun.ledger.history import History
from batchrun.manifest.cells import Cell
from batchrun.manifest.sources import Sources

FIRST: Final = 3
"""Cells that are shown as they would be sent."""

MOST_CHOICES: Final = 50_000
NO_SOURCES: Final = Sources()


class KeySet:
    """A set of keys as one number: the same for the same keys in any order."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, key: str) -> None:
        self.count += 1
        self._sum += int(key, 16)

    @property
    def digest(self) -> str:
        """The number in hexadecimal digits, with how many keys there are."""
        return f"{self.count}-{self._sum:x}"


class FirstCell(Struct, frozen=True):
    """A cell as it would be sent, and what it may cost."""

    cell: Cell
    price: Price | None


class _Counted(Struct):
    """The cells of one choice of an alias."""

    price: Price | None
    cells: int = 0


class ToDo:
    """The cells that the call would begin.

    *again* counts those among them that were tried before, *later* those that `--limit` leaves to
    other calls. *files* are the local files to upload for them, sizes by content: those that they
    send but the ones that are *uploaded* already, of which *there* are the ones that they send.
    *sources* are the manifest's, where it has any. *keys* are their keys, where that is given to
    keep them.
    """

    def __init__(
        self,
        prices: PriceList,
        limit: int | None = None,
        *,
        sources: Sources = NO_SOURCES,
        uploaded: Container[str] = (),
        keys: KeySet | None = None,
    ) -> None:
        self.first: list[FirstCell] = []
        self.keys = keys
        self.again = 0
        self.later = 0
        self.files: dict[str, int] = {}
        self.there: set[str] = set()
        self._prices = prices
        self._left = limit
        self._sources = sources
        self._uploaded = uploaded
        self._counted: dict[tuple[str, str], _Counted] = {}
        self._costs: dict[str, Cost] = {}
        self._seen: dict[tuple[str, str], Any] = {}

    def add(self, cell: Cell, history: History | None = None) -> None:
        """Take in one more cell that is to be done. Cells after the limit aren't begun."""
        tried = history is not None and history.attempt > 0
        if self._left is not None and not self._is_within_limit(tried=tried):
            self.later += 1
            return
        self.again += tried
        choice = self._prices.choice(cell.model, cell.input)
        counted = self._counted.get((cell.alias, choice)) or self._new(cell, choice)
        counted.cells += 1
        if self.keys is not None:
            self.keys.add(cell.key)
        if len(self.first) < FIRST:
            self.first.append(FirstCell(cell, counted.price))
        if self._sources.files:
            self._take_files(cell)

    def _is_within_limit(self, *, tried: bool) -> bool:
        assert self._left is not None
        if self.later:
            return False
        if tried:
            return True
        self._left -= 1
        return self._left >= 0

    @property
    def number(self) -> int:
        """How many cells there are."""
        return self.cost().cells

    def cells(self) -> Mapping[str, int]:
        """Return how many cells of each alias there are."""
        return {alias: each.cells for alias, each in self.costs().items()}

    def costs(self) -> dict[str, Cost]:
        """Return what the cells of each alias may cost."""
        self._settle()
        return self._costs

    def cost(self) -> Cost:
        """Return what all of them may cost."""
        total = Cost()
        for each in self.costs().values():
            total.add_all(each)
        return total

    def _new(self, cell: Cell, choice: str) -> _Counted:
        """Take note of a choice that came for the first time."""
        if len(self._counted) >= MOST_CHOICES:
            self._settle()
        price = self._prices.price(cell.alias, choice, cell.model, cell.input)
        self._counted[cell.alias, choice] = found = _Counted(price)
        return found

    def _settle(self) -> None:
        for (alias, _), each in self._counted.items():
            self._costs.setdefault(alias, Cost()).add(each.price, each.cells)
        self._counted.clear()

    def _take_files(self, cell: Cell) -> None:
        """Take note of the files that a cell sends; most cells send what the one before sent."""
        for name, value in cell.input.items():
            if type(value) in _PLAIN or self._seen.get((cell.alias, name)) is value:
                continue
            self._seen[cell.alias, name] = value
            for file in _files(value):
                if file.sha256 in self._uploaded:
                    self.there.add(file.sha256)
                else:
                    self.files[file.sha256] = file.size


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def _files(value: Any) -> Iterator[LocalFile]:
    match value:
        case LocalFile():
            yield value
        case Mapping():
            for below in value.values():
                yield from _files(below)
        case list() | tuple():
            for below in value:
                yield from _files(below)
        case _:
            pass
