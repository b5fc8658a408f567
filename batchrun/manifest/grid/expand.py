"""Manifest -> cells, lazily and in order; nothing here opens a file by itself.

Each model has a stream of its own cells; `expand` merges them by ordinal, so that the cells of one
point come together, models innermost.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from math import prod
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from batchrun.errors import ManifestError, Problem
from batchrun.manifest.cell_key import KeyMaker
from batchrun.manifest.cells import AS_IT_IS, NO_TEXTS, OMIT, Cell
from batchrun.manifest.expressions.compiler import REPLICATE
from batchrun.manifest.expressions.expression import NoValueError
from batchrun.manifest.grid.dimensions import Dimension, dimension_sizes, repeats
from batchrun.manifest.grid.layout import Layout, build
from batchrun.manifest.grid.ruled import Exclusion, Ruled
from batchrun.manifest.grid.sample import Point, Watch, drawn, tree
from batchrun.manifest.grid.sent_as import SentAs
from batchrun.manifest.grid.size import count
from batchrun.manifest.grid.traversal import Traversal
from batchrun.manifest.manifest import Grid, Manifest, Model, Rule, ValueMap
from batchrun.manifest.matching import is_among, kind_of_mismatch, token

Types = Mapping[str, Mapping[str, str]]
"""The types that models take, by their ids and inputs."""


def expand(manifest: Manifest, model: Model | None = None) -> Iterator[Cell]:
    """Yield the cells in the manifest's order; with *model*, only its own, same ordinals.

    Points that come to one cell are all yielded, with equal keys. Raises ManifestError for what
    could not be known before: a data file that changed, a value no check could reach.
    """
    base = 0
    for grid in manifest.grids:
        streams = [
            _cells(layout, base + number, _kept(grid, layout), manifest.redone, manifest.sent_as)
            for number, layout in enumerate(layouts(grid))
            if model is None or layout.model.alias == model.alias
        ]
        yield from (
            streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("ordinal"))
        )
        base += prod(dimension_sizes(grid).values()) * len(grid.models)


def cells_of(grid: Grid, layout: Layout, base: int) -> Iterator[Cell]:
    """Yield the cells of one layout of *grid*, whose ordinals begin at *base*."""
    return _cells(layout, base, _kept(grid, layout), {}, {})


class Replicates(Struct, frozen=True):
    """A point of a model: its *first* replicate, how many the manifest has, and any other one.

    *beyond* returns the replicate of a number, None where it is excluded. It raises ManifestError
    where a value can't be had, and is good until the next point is asked for.
    """

    first: Cell
    repeat: int
    beyond: Callable[[int], Cell | None]


def points(manifest: Manifest) -> Iterator[Replicates]:
    """Yield the points in the manifest's order, but those whose first replicate is excluded."""
    base = 0
    for grid in manifest.grids:
        streams = [
            _points(layout, base + number, _kept(grid, layout), manifest.sent_as)
            for number, layout in enumerate(layouts(grid))
        ]
        yield from heapq.merge(*streams, key=attrgetter("first.ordinal"))
        base += prod(dimension_sizes(grid).values()) * len(grid.models)


def _points(
    layout: Layout, base: int, kept: Mapping[int, Any] | None, sent_as: Types
) -> Iterator[Replicates]:
    walk, maker = Traversal(layout), _CellMaker(layout, sent_as)
    for ordinal in walk.points(kept):
        if walk.values[REPLICATE] != 1:
            continue
        first = maker.cell(walk, walk.values, base + ordinal)
        if first is not None:
            beyond = partial(maker.beyond, walk, first)
            yield Replicates(first, repeats(layout.grid, layout.model), beyond)


def upper_bound(manifest: Manifest, model: Model | None = None) -> int:
    """Return how many cells `expand` can yield: exact where nothing is excluded or redone."""
    redone = sum(map(len, manifest.redone.values()))
    return redone + sum(
        count(grid, layout)
        for grid in manifest.grids
        for layout in layouts(grid)
        if model is None or layout.model.alias == model.alias
    )


@lru_cache(maxsize=16)
def layouts(grid: Grid) -> tuple[Layout, ...]:
    """Return the layout of each of the grid's models; raise ManifestError."""
    problems: list[Problem] = []
    sizes = dimension_sizes(grid)
    built = []
    for model in grid.models:
        layout = build(grid, model, sizes, problems)
        for dimension in layout.dimensions:
            dimension.weight *= len(grid.models)
        built.append(layout)
    if problems:
        raise ManifestError(problems)
    return tuple(built)


class Shape:
    """How a model's input is made from the common values: exclude, then map, omit, rename."""

    def __init__(self, layout: Layout) -> None:
        model = layout.model
        self.model = model
        self.names = [n for n in layout.uses if not n.startswith("\0") and n != REPLICATE]
        self.sent = [
            (name, model.rename[name][0] if name in model.rename else name, model.map.get(name))
            for name in layout.sent
            if name not in model.omit and name in layout.uses
        ]
        mine = {None, model.alias, model.id}
        self.rules = [
            rule
            for rule in layout.grid.exclude
            if rule.models is None or not mine.isdisjoint(rule.models)
        ]

    @property
    def ruled(self) -> list[str]:
        """The names that decide whether a cell of this model is excluded."""
        return list(dict.fromkeys(name for rule in self.rules for name in rule.names))

    def excluded(self, values: Mapping[str, Any]) -> bool:
        return any(_matches(rule, values) for rule in self.rules)

    def input(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is sent; raise NoValueError for a value that a map doesn't know."""
        sent = {}
        for name, target, mapping in self.sent:
            value = values.get(name, OMIT)
            if mapping is not None and value is not OMIT:
                value = mapped(self.model, name, mapping, value)
            if value is not OMIT:
                sent[target] = value
        return sent


def mapped(model: Model, name: str, mapping: ValueMap, value: Any) -> Any:
    """Return the model's value for a common one; raise NoValueError."""
    found = mapping.values.get(token(value), mapping)
    if found is mapping:
        hint = kind_of_mismatch(value, mapping.values)
        message = f"`map.{name}` of `{model.alias}` has no value for {hint}"
        raise NoValueError(mapping.node.problem(message), frozenset({name}))
    return found


def _matches(rule: Rule, values: Mapping[str, Any]) -> bool:
    return all(is_among(values.get(name, OMIT), wanted) for name, wanted in rule.names.items())


def _cells(
    layout: Layout,
    base: int,
    kept: Mapping[int, Any] | None,
    redone: Mapping[str, Mapping[str, int]],
    sent_as: Types,
) -> Iterator[Cell]:
    walk, maker = Traversal(layout), _CellMaker(layout, sent_as)
    make, present, more = maker.cell, walk.values, list[Cell]()
    for ordinal in walk.points(kept):
        if more and present[REPLICATE] == 1:  # the next point: the last one's are over
            yield from more
            more = []
        cell = make(walk, present, base + ordinal)
        if cell is None:
            continue
        if redone and cell.replicate == 1:
            more = list(_redone(maker, walk, cell, redone.get(cell.key, {})))
        yield cell
    yield from more


def _redone(
    maker: "_CellMaker", walk: Traversal, first: Cell, makes: Mapping[str, int]
) -> Iterator[Cell]:
    """Yield the replicates of a point that were asked for beyond `repeat`, *makes* by their keys.

    A number alone is another cell once the manifest is edited, or at a point that is folded with
    this one: it was paid for without being asked for. Without its value there is no cell.
    """
    for number in dict.fromkeys(makes.values()):
        try:
            cell = maker.beyond(walk, first, number)
        except ManifestError:
            continue
        if cell is not None and cell.key in makes:
            yield cell


class _CellMaker:
    """Makes the cells of a model from the values of its points."""

    def __init__(self, layout: Layout, sent_as: Types) -> None:
        self._shape = Shape(layout)
        self._model = layout.model
        types = sent_as.get(layout.model.id)
        self._convert = SentAs(layout, types).convert if types else None
        self._keys = KeyMaker(layout.model.id)
        self._ruled = bool(layout.grid.exclude)

    def beyond(self, walk: Traversal, first: Cell, number: int) -> Cell | None:
        """Return another replicate of the present point, whose *first* one is known."""
        cell = self.cell(walk, walk.at_replicate(number), first.ordinal)
        return None if cell is None else replace(cell, redo_of=first.key)

    def cell(self, walk: Traversal, present: Mapping[str, Any], ordinal: int) -> Cell | None:
        """Return the cell that *present* values come to, None if it is excluded."""
        shape, model = self._shape, self._model
        values = {n: value for n in shape.names if (value := present[n]) is not OMIT}
        if self._ruled and shape.excluded(values):
            return None
        try:
            sent = shape.input(values)
        except NoValueError as error:
            problem = walk.located(error)
            raise ManifestError([problem] if problem else []) from None
        replicate = present[REPLICATE]
        key = self._keys.key(sent, replicate)
        return Cell(
            key=key,
            model=model.id,
            alias=model.alias,
            input=sent,
            replicate=replicate,
            values=values,
            ordinal=ordinal,
            texts=_texts(walk.texts, values) if walk.texts else NO_TEXTS,
            keyed=AS_IT_IS if self._convert is None else self._convert(walk, sent),
        )


def _texts(texts: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that are numbers or booleans among *values*."""
    return {n: text for n, text in texts.items() if not isinstance(values.get(n, text), str)}


def _kept(grid: Grid, layout: Layout) -> Mapping[int, Any] | None:
    if not _is_drawn(grid):
        return None
    drawing = _drawing(grid)
    return tree(drawing.points(), drawing.shared, layout)


class _Drawing:
    """The draw of one grid: made once, when it is first asked for."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.shared = _shared(grid)
        self._points: list[Point] | None = None

    def points(self, watch: Watch | None = None) -> list[Point]:
        """Return the points that are drawn, each a number for each of the shared dimensions."""
        if self._points is None:
            assert self._grid.sample is not None
            own = [(layout, Shape(layout)) for layout in layouts(self._grid)]
            exclusion = Exclusion(
                self.shared,
                [Ruled(layout, shape.rules) for layout, shape in own],
                lambda chosen: any(_survives(layout, shape, chosen) for layout, shape in own),
            )
            self._points = drawn(self._grid.sample, self.shared, exclusion, watch)
        return self._points


@lru_cache(maxsize=2)
def _drawing(grid: Grid) -> _Drawing:
    return _Drawing(grid)


def _shared(grid: Grid) -> list[Dimension]:
    """Return the dimensions that a sample draws from, in order."""
    shared = {
        dimension.dimension_key: dimension
        for layout in layouts(grid)
        for dimension in layout.dimensions
        if not dimension.own
    }
    return [shared[key] for key in dimension_sizes(grid) if key in shared]


def draw(manifest: Manifest, watch: Watch) -> None:
    """Draw the samples of a manifest now, with someone to *watch*; `expand` then need not."""
    for grid in manifest.grids:
        if _is_drawn(grid):
            _drawing(grid).points(watch)


def _is_drawn(grid: Grid) -> bool:
    """Say whether a sample leaves any point out."""
    return grid.sample is not None and prod(map(len, _shared(grid))) > grid.sample.n


def _survives(layout: Layout, shape: Shape, chosen: Mapping[Any, Any]) -> bool:
    """Say whether any cell of this model is left at one point of the product."""
    walk = Traversal(layout, pinned=chosen)
    for _ in walk.points():
        values = {n: value for n in shape.names if (value := walk.values[n]) is not OMIT}
        if not shape.excluded(values):
            return True
    return False
