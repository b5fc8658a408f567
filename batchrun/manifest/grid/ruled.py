"""Which points of a product `exclude` leaves, for a `sample` that looks at millions of them. Pure.

Most rules speak of values that stand in one dimension as they are. Such a value knows the rules
that it matches, as bits, and a point matches the rules that all of its values do. Where a rule
speaks of a value that follows from others, the point itself is looked at, if it would be drawn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from batchrun.manifest.cells import OMIT
from batchrun.manifest.expressions.expression import Axis, Expression
from batchrun.manifest.grid.dimensions import Dimension, DimensionKey
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.manifest import Row, Rule
from batchrun.manifest.matching import is_among

Raw = Row | Expression | int
Survives = Callable[[Mapping[DimensionKey, tuple[int, Raw]]], bool]
ALL: Final = -1
"""All bits: a value that no rule speaks of matches each of them."""


class Ruled(Struct, frozen=True):
    """A model in a grid, and the rules that are about it."""

    layout: Layout
    rules: Sequence[Rule]


class _Test(Struct, frozen=True):
    """A rule's bit, where its value stands in a dimension of a model, and the values it wants."""

    bit: int
    dimension: Dimension
    slot: str
    wanted: frozenset[Any]


class Bits:
    """The rules of all models as bits. Raises _NotPlainError for a rule that bits can't decide."""

    def __init__(self, models: Sequence[Ruled]) -> None:
        self._tests: dict[DimensionKey, list[_Test]] = {}
        self._models: list[int] = []
        self._known: dict[int, bool] = {}
        self.constant = ALL  # but those that a value which doesn't vary is against
        number = 0
        for model in models:
            first = number
            for rule in model.rules:
                self._add(model.layout, rule, 1 << number)
                number += 1
            self._models.append((1 << number) - (1 << first))

    def _add(self, layout: Layout, rule: Rule, bit: int) -> None:
        for name, wanted in rule.names.items():
            if name not in layout.uses or name in layout.constants:
                if not is_among(layout.constants.get(name, OMIT), wanted):
                    self.constant &= ~bit
                continue
            bound = [each for each in layout.dimensions if name in each.targets.values()]
            if name in layout.expressions or layout.uses[name] or not bound or bound[0].own:
                raise _NotPlainError
            test = _Test(bit, bound[0], name, wanted)
            self._tests.setdefault(bound[0].dimension_key, []).append(test)

    def of(self, key: DimensionKey, raw: Raw) -> int:
        """Return the rules that a value of a dimension isn't against."""
        bits = ALL
        for test in self._tests.get(key, ()):
            value = test.dimension.step(raw).values.get(test.slot, OMIT)
            if not is_among(value, test.wanted):
                bits &= ~test.bit
        return bits

    def survives(self, bits: int) -> bool:
        """Say whether a point is left for a model, given the rules that its values match."""
        known = self._known.get(bits)
        if known is None:
            known = any(not bits & self.constant & own for own in self._models)
            self._known[bits] = known
        return known


class _NotPlainError(Exception):
    """A rule speaks of a value that follows from others."""


class Exclusion:
    """Decides which points are left. *models* are all of the grid's, with what excludes from them.

    *survives* says it of a point, by what stands at its number of each of *dimensions*.
    """

    def __init__(
        self, dimensions: Sequence[Dimension], models: Sequence[Ruled], survives: Survives
    ) -> None:
        self._dimensions = dimensions
        self._survives = survives
        self._rows: dict[DimensionKey, dict[int, Raw]] = {}
        self._bits: Bits | None = None
        self.looks = False  # whether points have to be looked at
        if all(model.rules for model in models):  # else each point is left for one model
            try:
                self._bits = Bits(models)
            except _NotPlainError:
                self.looks = True

    def bits(self, key: DimensionKey, index: int, raw: Raw) -> int:
        """Return the rules that a value isn't against; a row is kept where points are looked at."""
        if self._bits is not None:
            return self._bits.of(key, raw)
        if self.looks and isinstance(raw, Row):
            self._rows.setdefault(key, {})[index] = raw
        return ALL

    def may_leave(self, bits: int) -> bool:
        """Say whether points are left whose values match the rules *bits*, so far as known."""
        return self._bits is None or self._bits.survives(bits)

    def leaves(self, point: Sequence[int]) -> bool:
        """Say whether a point that was looked at is left."""
        return self._survives(dict(self._chosen(point)))

    def forget(self, key: DimensionKey) -> None:
        """Forget the rows of a dimension that is read on."""
        self._rows.pop(key, None)

    def _chosen(self, point: Sequence[int]) -> Iterator[tuple[DimensionKey, tuple[int, Raw]]]:
        for dimension, index in zip(self._dimensions, point, strict=True):
            key, source = dimension.dimension_key, dimension.source
            raw: Raw = source.element(index) if isinstance(source, Axis) else self._rows[key][index]
            yield key, (index, raw)
