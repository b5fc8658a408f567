"""A walk over all points of a layout: the values of each, and what is wrong with others."""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Final

from batchrun.errors import ManifestError, Problem
from batchrun.manifest.expressions.compiler import REPLICATE
from batchrun.manifest.expressions.expression import (
    Broken,
    Expression,
    NoValueError,
    field_of,
)
from batchrun.manifest.expressions.scope import Values
from batchrun.manifest.expressions.template import EMPTY, EMPTY_IN_ROW
from batchrun.manifest.few import Few
from batchrun.manifest.grid.dimensions import DimensionKey
from batchrun.manifest.grid.layout import BELOW, FIELD, Layout
from batchrun.manifest.manifest import RowOrigin

_MOST_FAILURES: Final = 1000


class _EnoughError(Exception):
    """Enough is known to be wrong: a walk whose points all fail would have no other end."""


class Traversal:
    """All points of a layout, in order. *values* holds the present one, and is written over.

    *texts* are the fields of CSV files that present values are.

    A point without a value raises ManifestError. With *problems* it is left out and goes there, and
    the walk ends after 1000 such points.
    """

    def __init__(
        self,
        layout: Layout,
        problems: list[Problem] | None = None,
        pinned: Mapping[DimensionKey, tuple[int, Any]] | None = None,
    ) -> None:
        self.layout = layout
        self._pinned = pinned or {}
        self.values = Values(layout.constants)
        self.texts = self.values.texts
        self._expressions = dict(layout.expressions)
        self._few = None if problems is None else Few(problems)
        self._failures = 0
        self._places: dict[str, RowOrigin] = {}

    def points(self, kept: Mapping[int, Any] | None = None) -> Iterator[int]:
        """Yield the ordinal of each point in turn; *kept* is a tree of the dimensions wanted."""
        with suppress(_EnoughError):
            if self._compute(self.layout.first):
                yield from self._walk(0, 0, kept)

    def at_replicate(self, number: int) -> dict[str, Any]:
        """Return the values of the present point as they are for another replicate."""
        layout = self.layout
        values = Values({**self.values, REPLICATE: number}, self.texts)
        slots = chain(layout.first, *(dimension.computed for dimension in layout.dimensions))
        try:
            for slot in slots:
                if REPLICATE in layout.needs([slot]):
                    values[slot] = self._expressions[slot].evaluate(values)
        except NoValueError as error:
            problem = self.located(error)
            raise ManifestError([problem] if problem else []) from None
        return values

    def _walk(self, depth: int, ordinal: int, kept: Any) -> Iterator[int]:
        if depth == len(self.layout.dimensions):
            yield ordinal
            return
        dimension = self.layout.dimensions[depth]
        chosen = kept is not None and not dimension.own
        computed, weight, values = dimension.computed, dimension.weight, self.values
        last = depth + 1 == len(self.layout.dimensions)
        if dimension.dimension_key in self._pinned and not dimension.own:
            index, raw = self._pinned[dimension.dimension_key]
            steps = iter([(index, dimension.step(raw))])
        else:
            steps = dimension.steps(kept if chosen else None)
        for index, step in steps:
            values.update(step.values)
            if step.place is not None:
                self._take_row(dimension.targets.values(), step.place, step.texts)
            if step.dynamic and not self._express(step.dynamic):
                continue
            if computed and not self._compute(computed):
                continue
            if last:
                yield ordinal + index * weight
            else:
                below = kept[index] if chosen else kept
                yield from self._walk(depth + 1, ordinal + index * weight, below)

    def _take_row(self, slots: Collection[str], place: RowOrigin, texts: Mapping[str, str]) -> None:
        """Take a row's place and fields in the place of those of the row before."""
        self._places.update(dict.fromkeys(slots, place))
        for slot in slots:
            self.texts.pop(slot, None)
        self.texts.update(texts)

    def _express(self, dynamic: Mapping[str, Expression]) -> bool:
        """Take a step's expressions for its slots; return whether each of them can have a value."""
        self._expressions |= {**dynamic, **self.layout.broken}
        if Broken in map(type, dynamic.values()):
            self._count_failure()
            return False
        return True

    def _compute(self, slots: Sequence[str]) -> bool:
        values, texts = self.values, self.texts
        try:
            for slot in slots:
                expression = self._expressions[slot]
                values[slot] = expression.evaluate(values)
                if texts:
                    self._take_text(slot, field_of(expression, values))
        except NoValueError as error:
            self._fail(error)
            return False
        return True

    def _take_text(self, slot: str, text: str | None) -> None:
        """Take a field in the place of the slot's earlier one, or no field."""
        if text is None:
            self.texts.pop(slot, None)
        else:
            self.texts[slot] = text

    def _fail(self, error: NoValueError) -> None:
        if self._few is None:
            problem = self.located(error)
            raise ManifestError([problem] if problem else [])
        self._few.add(partial(self.located, error), self.known_by(error))
        self._count_failure()

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            raise _EnoughError

    def known_by(self, error: NoValueError) -> Hashable:
        """Return what an error has in common with those that are one problem with it."""
        names = self.layout.needs(list(error.names))
        rows = frozenset(str(self._places[name]) for name in names if name in self._places)
        return error.problem and error.problem.message, rows

    def located(self, error: NoValueError) -> Problem | None:
        """Return the error's problem, at the row of the data file that its value came from."""
        problem = error.problem
        needed = sorted(
            self.layout.needs(list(error.names)), key=lambda n: (n not in error.names, n)
        )
        places = {name: self._places[name] for name in needed if name in self._places}
        rows = sorted(set(map(str, places.values())))
        if problem is None or not rows or f"{problem.place.source}:" in "".join(rows):
            return problem
        said = problem.message.replace(EMPTY, EMPTY_IN_ROW, 1)
        if len(rows) == 1:
            name, place = next(iter(places.items()))
            column = name.removeprefix(BELOW).removeprefix(FIELD)
            if moved := place.problem(column, f"{said} ({problem.place})"):
                return moved
        message = f"{said} (row at {', '.join(rows)})"
        return Problem(problem.place, message, problem.excerpt, problem.width)
