"""The values that failed cells share, and others don't: at most two of them at once. Pure.

Cells are counted as they come, by the values of their axes. An axis with many values is left out:
a prompt that is another one in each cell explains nothing. So memory does not grow with the grid.

What explains failures best is the condition with the best balance of two shares: of the failures,
those it holds for; of the cells it holds for, those that failed. It must say more than "any cell".
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from msgspec import Struct

from batchrun.base.local_file import LocalFile

MOST_VALUES: Final = 64
"""Values of an axis that are counted each; one with more is left out."""

MOST_ROWS: Final = 20_000
"""Combinations of values that are counted; beyond, the axis with the most values is left out."""

LONGEST: Final = 100
"""Characters of a value that may be shared; an axis with a longer one is left out."""

MOST_GROUPS: Final = 20
LEAST: Final = 2
"""Failures from which on they are said to share something."""

HALF: Final = 0.5
GAIN: Final = 0.1
SECOND: Final = 0.05
"""How much better than any cell a condition must be, and two values than one of them."""

_ABSENT: Final = "\0absent"
_PLAIN: Final = frozenset({str, int})
_Row = tuple[Hashable, ...]
_Condition = tuple[tuple[int, Hashable], ...]


class Shared(Struct, frozen=True, kw_only=True):
    """Of *cells* that have ended and have these *values*, *failed* did so for one reason."""

    values: Mapping[str, Any]
    failed: int
    cells: int


class SharedValues:
    """Counts the cells that have ended, and why; cells of different aliases never together."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def add(self, alias: str, values: Mapping[str, Any], reason: Hashable | None) -> None:
        """Count one cell that has ended: badly for a *reason*, or well where that is None."""
        table = self._tables.get(alias) or self._tables.setdefault(alias, _Table())
        table.add(values, reason)

    def of(self, alias: str, reason: Hashable) -> Shared | None:
        """Return what the cells of *alias* that failed for a *reason* share, None if nothing."""
        table = self._tables.get(alias)
        return None if table is None else table.shared(reason)


class _Table:
    """The cells of one alias, by the values of its axes."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._seen: list[set[Hashable]] = []
        self._left_out: set[str] = set()
        self._known: set[str] = set()  # both
        self._ended: Counter[_Row] = Counter()
        self._failed: dict[Hashable, Counter[_Row]] = {}

    def add(self, values: Mapping[str, Any], reason: Hashable | None) -> None:
        if not values.keys() <= self._known:
            self._widen(values)
        row = self._seen_row(values) or self._row(values)
        self._ended[row] += 1
        if reason is not None:
            self._failed.setdefault(reason, Counter())[row] += 1
        if len(self._ended) > MOST_ROWS:
            most = max(range(len(self._names)), key=lambda at: len(self._seen[at]))
            self._leave_out(most)

    def _seen_row(self, values: Mapping[str, Any]) -> _Row:
        """Return the same where no value is new, else nothing: a million cells pass here."""
        row = []
        for name, seen in zip(self._names, self._seen, strict=True):
            value = values.get(name, _ABSENT)
            if type(value) not in _PLAIN:
                value = _spelled(value)
            if value not in seen:
                return ()
            row.append(value)
        return tuple(row)

    def _row(self, values: Mapping[str, Any]) -> _Row:
        """Return the values that are counted; an axis that turns out to be none is left out."""
        row = []
        for at, name in reversed(list(enumerate(self._names))):
            value = _spelled(values.get(name, _ABSENT))
            seen = self._seen[at]
            if value is None or (len(seen) >= MOST_VALUES and value not in seen):
                self._leave_out(at)
                continue
            seen.add(value)
            row.append(value)
        return tuple(reversed(row))

    def _widen(self, values: Mapping[str, Any]) -> None:
        """Take in axes that came up for the first time: what was counted did not have them."""
        new = [name for name in values if name not in self._left_out and name not in self._names]
        self._names += new
        self._known.update(new)
        absent = {_ABSENT} if self._ended else set[Hashable]()
        self._seen += [set(absent) for _ in new]
        self._change(lambda row: row + (_ABSENT,) * len(new))

    def _leave_out(self, at: int) -> None:
        self._left_out.add(self._names.pop(at))
        del self._seen[at]
        self._change(lambda row: row[:at] + row[at + 1 :])

    def _change(self, changed: Any) -> None:
        for counts in (self._ended, *self._failed.values()):
            old = list(counts.items())
            counts.clear()
            for row, number in old:
                counts[changed(row)] += number

    def shared(self, reason: Hashable) -> Shared | None:
        """Return the best condition for the failures of a *reason*; None where none says much."""
        failed = self._failed.get(reason, Counter())
        count = failed.total()
        if count < LEAST:
            return None
        found = dict(_conditions(failed, count))
        totals = {condition: _holds_for(condition, self._ended) for condition in found}
        best, least = None, _balance(count, self._ended.total(), count) + GAIN
        # Of equals the first: single values come before pairs, and short values before long ones.
        for condition in sorted(found, key=_simplicity):
            score = _balance(found[condition], totals[condition], count)
            if score > least:
                best, least = condition, score + SECOND
        if best is None:
            return None
        values = {self._names[at]: _value(spelled) for at, spelled in best}
        return Shared(values=values, failed=found[best], cells=totals[best])


def _conditions(failed: Mapping[_Row, int], count: int) -> Iterator[tuple[_Condition, int]]:
    """Yield the conditions that hold for half of the failures, and for how many."""
    singles: Counter[_Condition] = Counter()
    for row, number in failed.items():
        for pair in enumerate(row):
            if pair[1] != _ABSENT:
                singles[pair,] += number
    often = {one for one, number in singles.items() if number >= HALF * count}
    yield from ((one, singles[one]) for one in often)
    for (one,), (other,) in combinations(sorted(often, key=repr), 2):
        if one[0] != other[0]:
            number = _holds_for((one, other), failed)
            if number >= HALF * count:
                yield (one, other), number


def _holds_for(condition: _Condition, counts: Mapping[_Row, int]) -> int:
    return sum(
        number for row, number in counts.items() if all(row[at] == value for at, value in condition)
    )


def _balance(failed: int, cells: int, count: int) -> float:
    """Return the harmonic mean of two shares: of the failures, and of the cells that failed."""
    precision, recall = failed / cells, failed / count
    return 2 * precision * recall / (precision + recall) if failed else 0.0


def _simplicity(condition: _Condition) -> tuple[int, int, Sequence[int]]:
    length = sum(len(str(value)) for _, value in condition)
    return len(condition), length, [at for at, _ in condition]


def _spelled(value: Any) -> Hashable | None:
    """Return *value* so that 1, true and "1" differ; None for one that is no value of an axis."""
    if type(value) is str:
        return value if len(value) <= LONGEST else None
    if isinstance(value, bool) or value is None:
        return ("", value)
    if isinstance(value, int | float):
        return value
    return _spelled(str(value)) if isinstance(value, LocalFile) else None


def _value(spelled: Hashable) -> Any:
    return spelled[1] if isinstance(spelled, tuple) else spelled
