"""Which cells a call is about: what `--only` says, of the cells as they stood when it began.

Of a mark it has the keys of the cells that are marked so: `with_marks` puts them there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from batchrun.base.text import did_you_mean
from batchrun.ledger.history import BAD, History, Standing, State, standing
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import Readable
from batchrun.ledger.records import Finished, Rejected, reason
from batchrun.manifest.cells import Cell
from batchrun.manifest.select import OF_MARKS, OF_THE_LEDGER, selects
from batchrun.sweep.picks import Picks

Only = Mapping[str, tuple[str, ...]]

_WITH_CODE: Final = BAD | {State.PARTIAL_SUCCEEDED}


class Selection:
    """The cells that are wanted. A state that a cell comes to meanwhile doesn't change the choice.

    *ledger* is None where there is none yet; it is read now, and never again. *left* says what is
    left to a later call although it was asked for, "" for nothing.
    """

    left = ""

    def __init__(self, only: Only, ledger: Readable | None, *, attempts: int) -> None:
        self._only = only
        self._fresh = _holds(only, Standing.PENDING, None)
        self._marked = [frozenset(only[name]) for name in OF_MARKS & only.keys()]
        # The cells of the ledger that differ from cells without a line: a million of them are
        # keys alone, and most calls ask neither for a status nor for a code.
        self._others = KeyIndex()
        if ledger is not None and not OF_THE_LEDGER.isdisjoint(only):
            for key in _matching(only, ledger, attempts=attempts, wanted=not self._fresh):
                self._others.add(key)

    def __bool__(self) -> bool:
        """Say whether anything was asked for; else all cells are wanted."""
        return bool(self._only)

    def wants(self, cell: Cell) -> bool:
        return not self._only or (
            all(cell.key in keys for keys in self._marked)
            and selects(self._only, cell)
            and (cell.key in self._others) != self._fresh
        )


class ChosenCells(Selection):
    """The cells that are wanted by their keys."""

    def __init__(self, keys: Iterable[str], left: str = "") -> None:
        super().__init__({}, None, attempts=1)
        self.left = left
        self._keys = frozenset(keys)

    def __bool__(self) -> bool:
        return True

    def wants(self, cell: Cell) -> bool:
        return cell.key in self._keys


def check_statuses(only: Only) -> None:
    """Raise ValueError where a status is none that a cell can have."""
    known = [str(each) for each in Standing]
    for value in only.get("status", ()):
        if value not in known:
            near = did_you_mean(value, known) or f"; it is one of {', '.join(known)}"
            raise ValueError(f"`--only status={value}`: no cell has that status{near}")


def with_marks(only: Only, picks: Callable[[], Picks]) -> Only:
    """Return *only* with the keys of marked cells in place of `true`; *picks* reads the marks.

    Raises ValueError where another word stands there, or no cell is marked so.
    """
    names = sorted(OF_MARKS & only.keys())
    for name in names:
        if only[name] != ("true",):
            raise ValueError(f"`--only {name}={','.join(only[name])}`: expected `{name}=true`")
    if not names:
        return only
    found = picks()
    for name in names:
        if not found.of(name):
            raise ValueError(
                f"`--only {name}=true`: no cell has that mark; `batchrun picks` takes in the "
                "marks of the page"
            )
    return {**only, **{name: tuple(found.of(name)) for name in names}}


def _matching(only: Only, ledger: Readable, *, attempts: int, wanted: bool) -> Iterator[str]:
    """Yield the cells of the ledger whose status and code hold, or not, as *wanted*."""
    coded = "code" in only
    for key, history in ledger.book.histories.items():
        code = _code(ledger, history) if coded else None
        if _holds(only, standing(history, attempts=attempts), code) is wanted:
            yield key


def _holds(only: Only, status: str, code: str | None) -> bool:
    return status in only.get("status", (status,)) and code in only.get("code", (code,))


def _code(ledger: Readable, history: History) -> str | None:
    """Return why a cell ended badly, in the service's word for it; None if it didn't."""
    if history.state not in _WITH_CODE:
        return None
    ended = ledger.read(history.ended_line)
    assert isinstance(ended, Finished | Rejected)
    return reason(ended)[0]
