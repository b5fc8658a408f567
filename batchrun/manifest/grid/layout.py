"""How one model's points come about: which names vary, in which order, and what follows from what.

A grid has dimensions: one for each table, then one for each name that is an axis in the grid or in
any model. A point is a number for each dimension. A model uses the dimensions that matter to it and
stays at 0 of the others, so that the streams of several models can be merged by ordinal.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Final

from msgspec import Struct, field

from batchrun.errors import ManifestError, Problem
from batchrun.manifest.cells import NO_TEXTS, OMIT
from batchrun.manifest.expressions.compiler import REPLICATE
from batchrun.manifest.expressions.expression import (
    Axis,
    Broken,
    Constant,
    Expression,
    Fallback,
    NoValueError,
    Renamed,
    Single,
    Text,
    field_of,
    pointed,
)
from batchrun.manifest.expressions.scope import Values
from batchrun.manifest.expressions.template import EMPTY, EMPTY_IN_ROW
from batchrun.manifest.few import Few
from batchrun.manifest.manifest import Definition, Grid, Model, Row, RowOrigin, Table
from batchrun.manifest.yaml.document import Node

BELOW: Final = "\0below "  # the value under a model's own, as the model's `${x}` sees it
FIELD: Final = "\0field "  # a row's field, before the input of its name fills in for it
DimensionKey = tuple[str, Any]
_MOST_FAILURES: Final = 1000
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


class Layout(Struct):
    """One model in one grid, ready to be walked."""

    grid: Grid
    model: Model
    dimensions: list[Dimension]
    constants: dict[str, Any]
    expressions: dict[str, Expression]
    uses: Mapping[str, frozenset[str]]  # slot -> slots its value follows from
    sent: dict[str, None]  # names, in the order they are sent
    first: list[str] = field(default_factory=list)  # computed before any dimension is known
    broken: dict[str, Expression] = field(default_factory=dict)  # slots that follow in a circle

    def needs(self, names: Sequence[str]) -> set[str]:
        """Return *names* and every slot that their values follow from."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            if (name := todo.pop()) not in found:
                found.add(name)
                todo += self.uses.get(name, ())
        return found

    def restricted(self, names: Sequence[str]) -> "Layout":
        """Return this layout with only the dimensions that *names* follow from."""
        needed = self.needs(names)
        dimensions = [
            Dimension(dimension.dimension_key, dimension.source, dimension.targets, dimension.own)
            for dimension in self.dimensions
            if needed.intersection(dimension.targets.values())
        ]
        parts = (self.constants, self.expressions, self.uses, self.sent)
        layout = Layout(self.grid, self.model, dimensions, *parts)
        _schedule(layout, needed, [])
        return layout

    def size(self) -> int:
        count = 1
        for dimension in self.dimensions:
            count *= len(dimension)
        return count


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


def dimension_sizes(grid: Grid) -> dict[DimensionKey, int]:
    """Return the dimensions of a grid in their order, and how many numbers each has."""
    sizes: dict[DimensionKey, int] = {
        ("table", i): len(table) for i, table in enumerate(grid.tables)
    }
    names = dict.fromkeys([*grid.names, *(n for model in grid.models for n in model.inputs)])
    for name in names:
        for model in grid.models:
            for dimension_key, axis in _axes(grid, model, name):
                sizes[dimension_key] = max(sizes.get(dimension_key, 0), len(axis))
    sizes[REPLICATE, None] = max((repeats(grid, model) for model in grid.models), default=1)
    return sizes


def repeats(grid: Grid, model: Model) -> int:
    return model.repeat or grid.repeat


def _axes(grid: Grid, model: Model, name: str) -> Iterator[tuple[DimensionKey, Axis]]:
    common, own = grid.names.get(name), model.inputs.get(name)
    wraps = own is not None and name in own.body.names
    if common is not None and isinstance(common.body, Axis) and (own is None or wraps):
        yield ("axis", name), common.body
    if own is not None and isinstance(own.body, Axis):
        takes_place = common is not None and isinstance(common.body, Axis) and not wraps
        yield ("axis" if takes_place else "own", name), own.body


class _Builder:
    """Lays a model's inputs over the grid's names."""

    def __init__(self, grid: Grid, model: Model, problems: list[Problem]) -> None:
        self.grid = grid
        self.model = model
        self.problems = problems
        self.dimensions: dict[DimensionKey, Dimension] = {}
        self.expressions: dict[str, Expression] = {}
        self.uses: dict[str, frozenset[str]] = {REPLICATE: frozenset()}

    def lay(self) -> None:
        columns = {name for table in self.grid.tables for name in table.columns}
        for name, definition in self.grid.names.items():
            if (target := self._target(name)) is None:
                continue
            if isinstance(definition.body, Axis):
                self._bind(("axis", name), definition.body, {name: target})
            elif name in columns:
                self._express(target, Fallback(FIELD + name, definition.body))
            else:
                self._express(target, definition.body)
        for index, table in enumerate(self.grid.tables):
            self._table(("table", index), table)
        for name, own in self.model.inputs.items():
            self._own(name, own)

    def _target(self, name: str) -> str | None:
        """Return the slot of a common value; None if the model's own takes its place."""
        own = self.model.inputs.get(name)
        if own is None:
            return name
        return BELOW + name if name in own.body.names else None

    def _table(self, dimension_key: DimensionKey, table: Table) -> None:
        targets = {}
        for name in table.columns:
            target = FIELD + name if name in self.grid.names else self._target(name)
            target = target or f"\0unused {name}"
            targets[name] = target
            self.uses[target] = table.uses.get(name, frozenset())
        self.dimensions[dimension_key] = Dimension(dimension_key, table, targets)

    def _own(self, name: str, own: Definition) -> None:
        body = own.body
        wraps = name in body.names
        if isinstance(body, Axis):
            if wraps:
                seen = ([Renamed(e, name, BELOW + name) for e in s] for s in body.segments)
                body = Axis(body.node, tuple(seen))
            for dimension_key, axis in _axes(self.grid, self.model, name):
                if axis is own.body:
                    self._bind(dimension_key, body, {name: name}, own=True)
        else:
            self._express(name, Renamed(body, name, BELOW + name) if wraps else body)

    def _bind(
        self, dimension_key: DimensionKey, axis: Axis, targets: dict[str, str], *, own: bool = False
    ) -> None:
        self.dimensions[dimension_key] = Dimension(dimension_key, axis, targets, own)
        for slot in targets.values():
            self.uses[slot] = axis.names

    def _express(self, slot: str, body: Expression) -> None:
        self.expressions[slot] = body
        self.uses[slot] = body.names


def build(
    grid: Grid, model: Model, sizes: Mapping[DimensionKey, int], problems: list[Problem]
) -> Layout:
    """Return the layout of *model* in *grid*; what cannot be resolved goes to *problems*."""
    builder = _Builder(grid, model, problems)
    builder.lay()
    if repeats(grid, model) > 1:
        replicates = range(repeats(grid, model))
        builder.dimensions[REPLICATE, None] = Dimension(
            (REPLICATE, None), replicates, {REPLICATE: REPLICATE}, own=True
        )
    else:
        builder.expressions[REPLICATE] = Constant(1)
    dimensions = []
    weight = 1
    for dimension_key, size in reversed(list(sizes.items())):
        if dimension_key in builder.dimensions:
            builder.dimensions[dimension_key].weight = weight
            dimensions.append(builder.dimensions[dimension_key])
        weight *= size
    constants = {
        slot: body.value for slot, body in builder.expressions.items() if type(body) is Constant
    }
    expressions = {
        slot: body for slot, body in builder.expressions.items() if slot not in constants
    }
    sent = _sent(grid, model)
    layout = Layout(grid, model, dimensions[::-1], constants, expressions, builder.uses, sent)
    _unknown(layout, problems)
    _schedule(layout, set(builder.uses), problems)
    return layout


def _sent(grid: Grid, model: Model) -> dict[str, None]:
    names = [name for name, definition in grid.names.items() if definition.sent]
    for table in grid.tables:
        names += [name for name in table.columns if name in table.sent]
    names += [name for name, own in model.inputs.items() if own.sent]
    return dict.fromkeys(names)


def _unknown(layout: Layout, problems: list[Problem]) -> None:
    """Report references that have a value elsewhere, but not for this model or include."""
    for slot, used in list(layout.uses.items()):
        for name in sorted(used - layout.uses.keys()):
            problems.append(_lacking(layout, slot, name))
            layout.expressions[name] = Broken()
            layout.uses = {**layout.uses, name: frozenset()}


def _lacking(layout: Layout, slot: str, name: str) -> Problem:
    shown = name.removeprefix(BELOW)
    if layout.grid.inherits:
        hint = f"an include inherits no axes; give it `{shown}`"
        return layout.grid.node.problem(f"`${{{shown}}}` has no value here: {hint}")
    below = "below " if name != shown else ""
    message = f"`${{{shown}}}` has no value {below}for `{layout.model.alias}`"
    body: Any = layout.expressions.get(slot)
    while isinstance(body, Renamed | Fallback):
        body = body.inner if isinstance(body, Renamed) else body.default
    if isinstance(body, Text | Single):
        return pointed(body.node, f"${{{shown}}}", message)
    return _where(layout, slot).problem(message)


def _where(layout: Layout, slot: str) -> Node:
    name = slot.removeprefix(BELOW)
    if layout.grid.inherits:
        return layout.grid.node
    own = layout.model.inputs.get(name) if slot == name else None
    definition = own or layout.grid.names.get(name)
    return definition.node if definition else layout.grid.node


def _schedule(layout: Layout, wanted: set[str], problems: list[Problem]) -> None:
    """Give every computed slot to the dimension where all it follows from is known, in order."""
    bound = {
        s: depth
        for depth, dimension in enumerate(layout.dimensions)
        for s in dimension.targets.values()
    }
    depths: dict[str, int] = {}
    circles: list[list[str]] = []
    for slot in _following(layout.uses, wanted, circles):
        used = layout.uses.get(slot, frozenset())
        depth = max([bound.get(slot, -1), *(depths.get(name, -1) for name in used)])
        depths[slot] = depth
        if slot in layout.expressions or (used and slot in bound):
            (layout.dimensions[depth].computed if depth >= 0 else layout.first).append(slot)
    for circle in circles:
        names = " → ".join(name.removeprefix(BELOW) for name in [*circle, circle[0]])
        message = f"these values follow in a circle: {names}"
        problems.append(_where(layout, circle[0]).problem(message))
        layout.broken.update(dict.fromkeys(circle, Broken()))
    layout.expressions.update(layout.broken)


def _following(
    uses: Mapping[str, frozenset[str]], wanted: set[str], circles: list[list[str]]
) -> Iterator[str]:
    """Yield the wanted slots, each after the slots that its value follows from.

    Not recursive: a chain of names may be longer than the stack is deep.
    """
    done: set[str] = set()
    for start in uses:
        path = {start: iter(sorted(uses[start]))} if start in wanted and start not in done else {}
        while path:
            slot = next(reversed(path))
            for name in path[slot]:
                if name in path:
                    circles.append(list(path)[list(path).index(name) :])
                elif name not in done:
                    path[name] = iter(sorted(uses.get(name, ())))
                    break
            else:
                del path[slot]
                done.add(slot)
                yield slot
