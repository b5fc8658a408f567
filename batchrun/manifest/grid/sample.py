"""Which points of the product a `sample` draws: the smallest hashes of seed and values.

A point's rank follows from its own values alone, so that a larger sample contains the smaller one,
whatever the order in the manifest or the machine. Only as many points are held as are drawn.
"""

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from batchrun.manifest.cell_key import canonical
from batchrun.manifest.cells import OMIT
from batchrun.manifest.expressions.expression import (
    Axis,
    Constant,
    Expression,
    Fields,
    FileAt,
    Items,
    Single,
    Text,
    TextAt,
)
from batchrun.manifest.grid.layout import Dimension, DimensionKey, Layout, raws
from batchrun.manifest.manifest import Row, Sample

Raw = Row | Expression | int
Point = tuple[int, ...]
Marked = tuple[tuple[int, Raw], int]  # a number of a dimension, what stands there, its hash
_MODULUS = 1 << 128
_FEW = 50_000


def drawn(
    sample: Sample,
    dimensions: Sequence[Dimension],
    survives: Callable[[Mapping[DimensionKey, tuple[int, Raw]]], bool],
) -> list[Point]:
    """Return the points drawn, in order, each a number for each of *dimensions*."""
    heap: list[tuple[int, Point]] = []  # the worst first: ranks are negated
    for chosen, total in _product(dimensions, [_marked(dimension) for dimension in dimensions], 0):
        rank = -_hash(f"{sample.seed}:{total % _MODULUS}")
        if len(heap) == sample.n and rank < heap[0][0]:
            continue
        entry = (rank, tuple(-index for index, _ in chosen))
        if len(heap) == sample.n and entry <= heap[0]:
            continue
        if not survives(
            {
                dimension.dimension_key: one
                for dimension, one in zip(dimensions, chosen, strict=True)
            }
        ):
            continue
        (heapq.heappushpop if len(heap) == sample.n else heapq.heappush)(heap, entry)
    return sorted(tuple(-index for index in point) for _, point in heap)


def tree(
    points: Sequence[Point], dimensions: Sequence[Dimension], layout: Layout
) -> dict[int, Any]:
    """Return the points as *layout* sees them: nested by the dimensions it shares with the grid."""
    shared = [dimension.dimension_key for dimension in layout.dimensions if not dimension.own]
    order = [
        [dimension.dimension_key for dimension in dimensions].index(dimension_key)
        for dimension_key in shared
    ]
    root: dict[int, Any] = {}
    for point in points:
        branch = root
        for place in order:
            branch = branch.setdefault(point[place], {})
    return root


def _product(
    dimensions: Sequence[Dimension], marked: Sequence[Sequence[Marked]], depth: int
) -> Iterator[tuple[tuple[tuple[int, Raw], ...], int]]:
    """Yield the points, each with the sum of its values' hashes: in any order, the same sum."""
    if depth == len(dimensions):
        yield (), 0
        return
    last = depth + 1 == len(dimensions)
    for one, mark in marked[depth] or _marks(dimensions[depth]):
        if last:
            yield (one,), mark
            continue
        for rest, total in _product(dimensions, marked, depth + 1):
            yield (one, *rest), mark + total


def _marked(dimension: Dimension) -> Sequence[Marked]:
    """Return a dimension's values with their hashes, if they are few enough to be kept."""
    few = isinstance(dimension.source, Axis) and len(dimension) <= _FEW
    return list(_marks(dimension)) if few else ()


def _marks(dimension: Dimension) -> Iterator[Marked]:
    name = _names(dimension)
    for index, raw in raws(dimension.source):
        yield (index, raw), _hash(f"{name}={_print(raw)}")


def _names(dimension: Dimension) -> str:
    return "row" if not isinstance(dimension.source, Axis) else str(dimension.dimension_key[1])


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())


def _print(raw: Raw) -> str:
    """Spell what stands at one number of a dimension, whatever its place in the manifest."""
    value: Any = raw
    if isinstance(raw, Row):
        dynamic = {name: _shape(below) for name, below in raw.dynamic.items()}
        value = {name: _shape(Constant(below)) for name, below in raw.values.items()} | dynamic
    elif not isinstance(raw, int):
        value = _shape(raw)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _shape(expression: Expression) -> Any:  # noqa: PLR0911  (one kind a branch)
    match expression:
        case Constant(value=value):
            return {"$omit": True} if value is OMIT else canonical(value)
        case Text(parts=parts):
            return {"$text": [str(part) for part in parts]}
        case Single(reference=reference):
            return {"$text": str(reference)}
        case Items(items=items):
            return [_shape(item) for item in items]
        case Fields(fields=fields):
            return {name: _shape(below) for name, below in fields}
        case FileAt(path=path):
            return {"$path": _shape(path)}
        case TextAt(path=path):
            return {"$text of": _shape(path)}
        case _:
            return repr(expression.names)
