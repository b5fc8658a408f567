"""Which points of the product a `sample` draws: the smallest hashes of seed and values.

A point's rank follows from its own values alone, so that a larger sample contains the smaller one,
whatever the order in the manifest or the machine. So each point is looked at, and the time is that
of one hash for each: the ranks are made in blocks, by list comprehensions, and only points that may
be drawn are held. A point is its ordinal here: its place in the product.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Any, Final

from batchrun.base.json_text import made_once
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
from batchrun.manifest.grid.dimensions import Dimension, raws
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.grid.ruled import ALL, Exclusion, Raw
from batchrun.manifest.manifest import Row, Sample
from batchrun.manifest.yaml.scalars import from_field

Point = tuple[int, ...]
Watch = Callable[[int, int], None]
"""Hears how many points of how many were looked at."""

Values = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Values of a dimension, or of several: their hashes, what they add to a point's ordinal, and the
rules that they match."""

BLOCK: Final = 50_000
"""Points whose ranks are made at once: 0.05 s. A longer dimension is read in blocks."""

_PENDING: Final = 10_000
_MOST_PENDING: Final = 1_000_000
_LOW: Final = (1 << 128) - 1
_PLAIN: Final = frozenset({str, int, bool, type(None)})

_quote: Final = json.encoder.encode_basestring
_encode: Final = made_once(json.JSONEncoder(ensure_ascii=False, sort_keys=True))


def drawn(
    sample: Sample,
    dimensions: Sequence[Dimension],
    exclusion: Exclusion,
    watch: Watch | None = None,
) -> list[Point]:
    """Return the points drawn, in order, each a number for each of *dimensions*."""
    sizes = [len(dimension) for dimension in dimensions]
    longest = max(dimensions, key=len, default=None)
    draw = _Draw(sample, sizes, exclusion)
    done, total = 0, prod(sizes)
    for block, others in _blocks(dimensions, exclusion):
        groups = _by_rules(block)
        for chosen in product(*(zip(*other, strict=True) for other in others)):
            mark, ordinal, bits = _added(chosen)
            for rules, marks, ordinals in groups:
                if exclusion.may_leave(bits & rules):
                    draw.look(mark, ordinal, marks, ordinals)
            done += len(block[0])
            if watch is not None:
                watch(done, total)
        draw.settle()
        if longest is not None and len(longest) > BLOCK:
            exclusion.forget(longest.dimension_key)
    return [_point(ordinal, sizes) for ordinal in draw.ordinals()]


class _Draw:
    """The points with the smallest ranks of all that were looked at: at most as many are drawn."""

    def __init__(self, sample: Sample, sizes: Sequence[int], exclusion: Exclusion) -> None:
        self._n = sample.n
        self._seed = f"{sample.seed}:".encode()
        self._sizes = sizes
        self._exclusion = exclusion
        self._best: list[tuple[bytes, int]] = []  # ranks and ordinals, sorted; they are left
        self._pending: list[tuple[bytes, int]] = []
        self._room = min(max(_PENDING, sample.n), _MOST_PENDING)
        self._worst: bytes | None = None  # the largest rank that is drawn, once n are

    def look(self, mark: int, ordinal: int, marks: Sequence[int], ordinals: Sequence[int]) -> None:
        """Look at points: each is *mark* and *ordinal* with one of *marks* and *ordinals*."""
        seed, low, blake2b = self._seed, _LOW, hashlib.blake2b
        ranks = [
            blake2b(b"%b%d" % (seed, mark + each & low), digest_size=16).digest() for each in marks
        ]
        worst = self._worst
        if worst is None:
            self._pending += zip(ranks, [ordinal + each for each in ordinals], strict=True)
        elif min(ranks) <= worst:
            self._pending += [
                (rank, ordinal + each)
                for rank, each in zip(ranks, ordinals, strict=True)
                if rank <= worst
            ]
        if len(self._pending) > self._room:
            self.settle()

    def settle(self) -> None:
        """Keep the best of what was looked at."""
        if self._exclusion.looks:
            self._best = list(islice(self._left(), self._n))
        else:
            self._best = sorted(self._best + self._pending)[: self._n]
        self._pending = []
        if len(self._best) == self._n:
            self._worst = self._best[-1][0]

    def _left(self) -> Iterator[tuple[bytes, int]]:
        """Yield the points in the order of their ranks, without those that are excluded."""
        known = set(self._best)
        for entry in sorted(self._best + self._pending):
            if entry in known or self._exclusion.leaves(_point(entry[1], self._sizes)):
                yield entry

    def ordinals(self) -> list[int]:
        """Return the points that are drawn, in order."""
        return sorted(ordinal for _, ordinal in self._best)


def _point(ordinal: int, sizes: Sequence[int]) -> Point:
    numbers = []
    for size in reversed(sizes):
        ordinal, number = divmod(ordinal, size)
        numbers.append(number)
    return tuple(reversed(numbers))


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


def _blocks(
    dimensions: Sequence[Dimension], exclusion: Exclusion
) -> Iterator[tuple[Values, Sequence[Values]]]:
    """Yield blocks of the product, each with the values of the dimensions that are not in it.

    A long dimension is read once. Of the others as many as fit are one block.
    """
    weights = [prod(map(len, dimensions[place + 1 :])) for place in range(len(dimensions))]
    pairs = sorted(zip(dimensions, weights, strict=True), key=lambda pair: -len(pair[0]))
    streams = [_values(dimension, weight, exclusion) for dimension, weight in pairs]
    held: list[Values] = []
    if pairs and len(pairs[0][0]) > BLOCK:
        first, *others = streams
        held = list(map(_columns, others))
        while (block := _columns(islice(first, BLOCK)))[0]:
            yield block, held
        return
    block = ([0], [0], [ALL])
    for values in map(_columns, streams):
        if len(block[0]) * len(values[0]) <= 2 * BLOCK:
            block = _multiplied(block, values)
        else:
            held.append(values)
    yield block, held


def _values(
    dimension: Dimension, weight: int, exclusion: Exclusion
) -> Iterator[tuple[int, int, int]]:
    """Yield the hash of each value of a dimension, its part of an ordinal, and its rules."""
    name, key = _names(dimension), dimension.dimension_key
    for index, raw in raws(dimension.source):
        mark = _hash(f"{name}={_print(raw)}")
        yield mark, index * weight, exclusion.bits(key, index, raw)


def _columns(values: Iterable[tuple[int, int, int]]) -> Values:
    marks, ordinals, rules = [], [], []
    for mark, ordinal, bits in values:
        marks.append(mark)
        ordinals.append(ordinal)
        rules.append(bits)
    return marks, ordinals, rules


def _multiplied(first: Values, second: Values) -> Values:
    return (
        [one + other & _LOW for one in first[0] for other in second[0]],
        [one + other for one in first[1] for other in second[1]],
        [one & other for one in first[2] for other in second[2]],
    )


def _added(chosen: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Return what a value of each of some dimensions comes to."""
    mark, ordinal, rules = 0, 0, ALL
    for one, place, bits in chosen:
        mark, ordinal, rules = mark + one & _LOW, ordinal + place, rules & bits
    return mark, ordinal, rules


def _by_rules(block: Values) -> list[tuple[int, Sequence[int], Sequence[int]]]:
    """Return the values of a block by the rules that they match: a few groups."""
    marks, ordinals, rules = block
    if len(set(rules)) == 1:
        return [(rules[0], marks, ordinals)]
    groups: dict[int, tuple[list[int], list[int]]] = {}
    for mark, ordinal, bits in zip(marks, ordinals, rules, strict=True):
        group = groups.setdefault(bits, ([], []))
        group[0].append(mark)
        group[1].append(ordinal)
    return [(bits, *group) for bits, group in groups.items()]


def _names(dimension: Dimension) -> str:
    return "row" if not isinstance(dimension.source, Axis) else str(dimension.dimension_key[1])


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())


def _print(raw: Raw) -> str:
    """Spell what stands at one number of a dimension, whatever its place in the manifest."""
    if type(raw) is Constant:
        kind = type(raw.value)
        if kind is int:
            return str(raw.value)
        if kind is str:
            return _quote(raw.value)
    value: Any = raw
    if isinstance(raw, Row):
        value = {
            name: below if type(below) in _PLAIN else _value(below)
            for name, below in _by_field(raw).items()
        }
        value |= {name: _shape(below) for name, below in raw.dynamic.items()}
    elif not isinstance(raw, int):
        value = _shape(raw)
    return _encode(value)


def _by_field(row: Row) -> Mapping[str, Any]:
    """Return the values of a row; each field of a CSV file by itself, whatever its column is.

    So a draw stays as it is where another row gives a column another type.
    """
    texts = row.texts
    return {n: _alone(v, texts[n]) if n in texts else v for n, v in row.values.items()}


def _alone(value: Any, text: str) -> Any:
    """Return what a field is by itself; *value* is what its column makes of it."""
    if type(value) is str:
        return from_field(text)
    return value if _encode(value) == text else text


def _value(value: Any) -> Any:
    return {"$omit": True} if value is OMIT else canonical(value)


def _shape(expression: Expression) -> Any:  # noqa: PLR0911  (one kind a branch)
    match expression:
        case Constant(value=value):
            return _value(value)
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
