"""How many cells stand where. Pure.

Counts speak of the present manifest's distinct cells. A cell of the ledger that the manifest no
longer names is orphaned; a point that comes to a cell already counted is folded.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from batchrun.base.text import money
from batchrun.ledger.book import Book
from batchrun.ledger.failure_codes import FailureClass
from batchrun.ledger.history import GOOD, History, Standing, State, left_out, standing
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell

MOST_FOLDED: Final = 20
"""Points that came to a cell already counted of which is known which they are."""

NO_GRANTS: Final[Mapping[str, int]] = MappingProxyType({})


class Tally(Struct, frozen=True, kw_only=True):
    """Counts of cells; *folded* counts points, *orphaned* cells that are not among *cells*.

    *unsaved* cells succeeded at least in part, and their outputs should be on disk and are
    not. *lost* cells succeeded, and of their files one is gone for good. Of the cells that ended
    badly, *moderated* are those refused for their content, *invalid_input* those refused for
    anything else of their input, by the API or in a run: another run helps neither.
    """

    cells: int = 0
    succeeded: int = 0
    partial_succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    parked: int = 0
    in_doubt: int = 0
    pending: int = 0
    in_flight: int = 0
    orphaned: int = 0
    folded: int = 0
    unsaved: int = 0
    lost: int = 0
    moderated: int = 0
    invalid_input: int = 0

    @property
    def bad(self) -> int:
        """Cells that `--fail-on` speaks of: all that didn't succeed, or succeeded and lost a file.

        A cell that succeeded in part counts as that, whatever it lost.
        """
        return self.partial_succeeded + self.failed + self.rejected + self.cancelled + self.lost

    @property
    def unfinished(self) -> int:
        """Cells for which a further call has something to do."""
        return self.parked + self.in_doubt + self.pending + self.in_flight + self.unsaved

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class ModelRow(Struct, frozen=True, kw_only=True):
    """The counts of one model, by its alias, and what its runs have cost."""

    alias: str
    tally: Tally
    cost: Decimal = Decimal(0)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON. No alias says which model an orphaned cell is of."""
        counts = {name: n for name, n in asdict(self.tally).items() if name != "orphaned"}
        return {**counts, "cost": money(self.cost)}


class Count(Struct, frozen=True, kw_only=True):
    """One pass over the grid: the counts in all, and per model in the manifest's order.

    *folded* are the first points that came to a cell already counted.
    """

    tally: Tally
    models: tuple[ModelRow, ...]
    folded: tuple[Cell, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the counts of the models for JSON, by alias."""
        return {row.alias: row.as_dict() for row in self.models}


class Counting:
    """Counts cells as they come, which may name a cell more than once, as *book* has them.

    So many points are *expected*, at most.
    """

    def __init__(
        self,
        book: Book,
        *,
        attempts: int,
        download: bool,
        granted: Mapping[str, int] = NO_GRANTS,
        expected: int = 0,
    ) -> None:
        self._book = book
        self._empty = not len(book.histories)
        self._attempts = attempts
        self._download = download
        self._granted = granted
        self._begun = bytearray(len(book.histories))  # 1 for each cell with a line that was counted
        self._fresh = KeyIndex(max(0, expected - len(book.histories)))
        self._counts: dict[str, Counter[str]] = {}
        self._folded: list[Cell] = []

    def add(self, cell: Cell) -> State | None:
        """Count one more point; return where its cell stands if that came for the first time."""
        model = self._counts.get(cell.alias) or self._counts.setdefault(cell.alias, Counter())
        number = None if self._empty else self._book.histories.number(cell.key)
        if not self._first(cell.key, number):
            model["folded"] += 1
            if len(self._folded) < MOST_FOLDED:
                self._folded.append(cell)
            return None
        model["cells"] += 1
        if number is None:
            model[Standing.PENDING] += 1
            return State.PENDING
        state, saved = self._book.histories.state(cell.key, number)
        if state in GOOD:
            model[state] += 1
            model["unsaved"] += self._download and not saved
            model["lost"] += state is State.SUCCEEDED and cell.key in self._book.files.lost
        else:
            history, granted = self._book.history(cell.key), self._granted.get(cell.key, 0)
            stands = standing(history, attempts=self._attempts, granted=granted)
            model[stands] += 1
            _count_why(model, stands, history)
        return state

    def _first(self, key: str, number: int | None) -> bool:
        """Take note of a cell; say whether it came for the first time."""
        if number is None:
            return self._fresh.add(key)[1]
        if self._begun[number]:
            return False
        self._begun[number] = 1
        return True

    @property
    def new(self) -> int:
        """How many of the cells that were counted have no line in the ledger."""
        return len(self._fresh)

    def orphans(self) -> Iterator[str]:
        """Yield the cells of the ledger that no point came to."""
        for key, begun in zip(self._book.histories, self._begun, strict=True):
            if not begun:
                yield key

    def result(self) -> Count:
        """Return the counts, if every point of the grid has been added."""
        orphaned = self._begun.count(0)
        total = sum(self._counts.values(), Counter({"orphaned": orphaned}))
        models = _rows(self._counts, self._book)
        return Count(tally=Tally(**total), models=models, folded=tuple(self._folded))


def count_ledger(book: Book, *, attempts: int, download: bool) -> Count:
    """Count what the ledger has, where no manifest says which cells there are."""
    counts: dict[str, Counter[str]] = {}
    for cell, history in book.histories.items():
        model = counts.setdefault(history.alias, Counter())
        model["cells"] += 1
        stands = standing(history, attempts=attempts)
        model[stands] += 1
        _count_why(model, stands, history)
        model["unsaved"] += download and history.state in GOOD and not history.saved
        model["lost"] += history.state is State.SUCCEEDED and cell in book.files.lost
    total = sum(counts.values(), Counter())
    return Count(tally=Tally(**total), models=_rows(counts, book))


def _rows(counts: Mapping[str, Counter[str]], book: Book) -> tuple[ModelRow, ...]:
    return tuple(
        ModelRow(alias=alias, tally=Tally(**model), cost=book.spent.get(alias, Decimal(0)))
        for alias, model in counts.items()
    )


def _count_why(counts: Counter[str], stands: Standing, history: History) -> None:
    """Count a cell that ended badly once more, where another run doesn't help."""
    why = left_out(history) if stands in _BAD else None
    if why is FailureClass.MODERATED:
        counts["moderated"] += 1
    elif why is FailureClass.INPUT or stands is Standing.REJECTED:
        counts["invalid_input"] += 1


_BAD: Final = frozenset({Standing.FAILED, Standing.REJECTED, Standing.CANCELLED})
