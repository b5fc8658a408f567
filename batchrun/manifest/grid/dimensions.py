"""The dimensions of a grid, how many numbers each has, and what each of these means.

There is one for each table, then one for each name that is an axis in the grid or in any model, and
one for replicates.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, field

from batchrun.manifest.cells import NO_TEXTS, OMIT
from batchrun.manifest.expressions.compiler import REPLICATE
from batchrun.manifest.expressions.expression import (
    Axis,
    Constant,
    Expression,
)
from batchrun.manifest.manifest import Grid, Model, Row, RowOrigin, Table

DimensionKey = tuple[str, Any]

_SHORT: Final = 1000  # values of an axis that are kept; longer ones are made anew each time


class Step(Struct, frozen=True):
    """The meaning of one number of a dimension: values as they are, and expressions for later.

    *texts* are the fields of a file that values were read from.
    """

    values: Mapping[str, Any]
    dynamic: Mapping[str, Expression]
    place: RowOrigin | None = None
    texts: Mapping[str, str] = NO_TEXTS


class Dimension(Struct):
    """One dimension of a model's points, and the names that have a value once it is known."""

    dimension_key: DimensionKey
    source: Table | Axis | range
    targets: Mapping[str, str]  # name in the source -> slot
    own: bool = False  # the model's, or the replicates': a sample doesn't choose here
    weight: int = 0
    computed: list[str] = field(default_factory=list)
    _dynamic: bool | None = None
    _kept: list[tuple[int, Step]] | None = None

    def __len__(self) -> int:
        return len(self.source)

    def steps(self, kept: Mapping[int, Any] | None = None) -> Iterator[tuple[int, Step]]:
        """Yield this dimension's numbers and their values; only numbers in *kept*, if given."""
        if kept is None and self._kept is not None:
            return iter(self._kept)
        steps = ((index, self.step(raw)) for index, raw in raws(self.source, kept))
        if kept is None and isinstance(self.source, Axis) and len(self.source) <= _SHORT:
            self._kept = list(steps)
            return iter(self._kept)
        return steps

    def step(self, raw: Row | Expression | int) -> Step:
        if isinstance(raw, int):
            return Step({REPLICATE: raw + 1}, {})
        if isinstance(raw, Row):
            return self._row(raw)
        (slot,) = self.targets.values()
        assert isinstance(self.source, Axis)
        if self._dynamic is None:
            self._dynamic = bool(self.source.names)
        if type(raw) is Constant and not self._dynamic:
            return Step({slot: raw.value}, {})
        return Step({}, {slot: raw})

    def _row(self, row: Row) -> Step:
        assert not isinstance(self.source, Axis | range)
        values, dynamic = {}, {}
        for name, slot in self.targets.items():
            if name in row.dynamic:
                dynamic[slot] = row.dynamic[name]
            elif self.source.uses.get(name):  # other rows' field is a template
                dynamic[slot] = Constant(row.values.get(name, OMIT))
            else:
                values[slot] = row.values.get(name, OMIT)
        texts = {slot: row.texts[n] for n, slot in self.targets.items() if n in row.texts}
        return Step(values, dynamic, row.place, texts)


def raws(
    source: Table | Axis | range, kept: Mapping[int, Any] | None = None
) -> Iterator[tuple[int, Row | Expression | int]]:
    """Yield the numbers of a dimension and what stands there; only numbers in *kept*, if given."""
    if kept is not None and isinstance(source, Axis):
        yield from ((index, source.element(index)) for index in sorted(kept))
        return
    stream: Iterable[Any] = source if isinstance(source, range | Axis) else source.rows()
    yield from ((i, raw) for i, raw in enumerate(stream) if kept is None or i in kept)


def dimension_sizes(grid: Grid) -> dict[DimensionKey, int]:
    """Return the dimensions of a grid in their order, and how many numbers each has."""
    sizes: dict[DimensionKey, int] = {
        ("table", i): len(table) for i, table in enumerate(grid.tables)
    }
    names = dict.fromkeys([*grid.names, *(n for model in grid.models for n in model.inputs)])
    for name in names:
        for model in grid.models:
            for dimension_key, axis in axes_of(grid, model, name):
                sizes[dimension_key] = max(sizes.get(dimension_key, 0), len(axis))
    sizes[REPLICATE, None] = max((repeats(grid, model) for model in grid.models), default=1)
    return sizes


def repeats(grid: Grid, model: Model) -> int:
    return model.repeat or grid.repeat


def axes_of(grid: Grid, model: Model, name: str) -> Iterator[tuple[DimensionKey, Axis]]:
    common, own = grid.names.get(name), model.inputs.get(name)
    wraps = own is not None and name in own.body.names
    if common is not None and isinstance(common.body, Axis) and (own is None or wraps):
        yield ("axis", name), common.body
    if own is not None and isinstance(own.body, Axis):
        takes_place = common is not None and isinstance(common.body, Axis) and not wraps
        yield ("axis" if takes_place else "own", name), own.body
