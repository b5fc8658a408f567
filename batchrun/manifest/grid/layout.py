"""How one model's points come about: which names vary, in which order, and what follows from what.

A point is a number for each of the grid's dimensions. A model uses the dimensions that matter to it
and stays at 0 of the others, so that the streams of several models can be merged by ordinal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from batchrun.errors import Problem
from batchrun.manifest.expressions.compiler import REPLICATE
from batchrun.manifest.expressions.expression import (
    Axis,
    Broken,
    Constant,
    Expression,
    Fallback,
    Renamed,
    Single,
    Text,
    pointed,
)
from batchrun.manifest.grid.dimensions import Dimension, DimensionKey, axes_of, repeats
from batchrun.manifest.manifest import Definition, Grid, Model, Table
from batchrun.manifest.yaml.document import Node

BELOW: Final = "\0below "  # the value under a model's own, as the model's `${x}` sees it
FIELD: Final = "\0field "  # a row's field, before the input of its name fills in for it


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
            for dimension_key, axis in axes_of(self.grid, self.model, name):
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
