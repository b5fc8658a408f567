"""Finds a cell of the grid by its key and by what it was sent with, without a walk of the grid.

An axis whose values are sent as they are is narrowed to the elements that were sent. What is left
is walked, and its keys are compared: so what is found is exact. Where too much is left, or too much
had to be looked at, the answer is that it isn't known.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import prod
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.local_file import LocalFile
from batchrun.manifest.cell_key import canonical
from batchrun.manifest.cells import OMIT, Cell
from batchrun.manifest.expressions.expression import Axis, NoValueError
from batchrun.manifest.expressions.ranges import Steps
from batchrun.manifest.grid.dimensions import Dimension, Step, dimension_sizes, raws
from batchrun.manifest.grid.expand import Shape, cells_of, expand, layouts, mapped, upper_bound
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.manifest import Grid, Manifest, ValueMap

MOST: Final = 20_000
"""Elements of axes, rows, or cells that are looked at before the search is given up: 0.2 s."""


class Sent(Struct, frozen=True, kw_only=True):
    """What is known of a cell by its ledger: its key, its model's id, its input as it was sent."""

    key: str
    model: str
    input: Mapping[str, Any]


class TooManyError(Exception):
    """The search was given up: nothing is known of the cell."""


def find(manifest: Manifest, sent: Sent, *, most: int | None = MOST) -> Cell | None:
    """Return the cell of the grid that has the key of *sent*; None where the grid has none.

    Raises TooManyError once *most* elements were looked at, if that isn't None, and ManifestError.
    """
    for cell in candidates(manifest, sent, Left(most)):
        if cell.key == sent.key:
            return cell
    # What was sent may be spelled otherwise than in the manifest: each cell is compared.
    if most is not None and upper_bound(manifest) > most:
        raise TooManyError
    return next((cell for cell in expand(manifest) if cell.key == sent.key), None)


class Left:
    """How much may still be looked at."""

    def __init__(self, most: int | None) -> None:
        self._most = most

    def take(self, number: int) -> None:
        if self._most is not None:
            self._most -= number
            if self._most < 0:
                raise TooManyError


def candidates(manifest: Manifest, sent: Sent, left: Left) -> Iterator[Cell]:
    """Yield the cells that may have been sent so."""
    base = 0
    for grid in manifest.grids:
        for number, layout in enumerate(layouts(grid)):
            if layout.model.id == sent.model:
                yield from _of_layout(grid, layout, base + number, sent, left)
        base += prod(dimension_sizes(grid).values()) * len(grid.models)


def _of_layout(grid: Grid, layout: Layout, base: int, sent: Sent, left: Left) -> Iterator[Cell]:
    if grid.sample is not None:  # which points it draws is known of the whole product alone
        left.take(prod(map(len, layout.dimensions)))
        yield from cells_of(grid, layout, base)
        return
    ways = {name: (target, values) for name, target, values in Shape(layout).sent}
    dimensions = []
    for dimension in layout.dimensions:
        steps = list(_steps(layout, dimension, ways, sent.input, left))
        dimensions.append(replace(dimension, _kept=steps))
    left.take(prod(len(each._kept or ()) for each in dimensions))  # noqa: SLF001  (made here)
    yield from cells_of(grid, replace(layout, dimensions=dimensions), base)


def _steps(
    layout: Layout,
    dimension: Dimension,
    ways: Mapping[str, tuple[str, ValueMap | None]],
    sent: Mapping[str, Any],
    left: Left,
) -> Iterator[tuple[int, Step]]:
    """Yield the numbers of a dimension whose values may have been sent."""
    slots = [slot for slot in dimension.targets.values() if slot in ways]
    for index, raw in _raws(dimension, ways, sent, left):
        step = dimension.step(raw)
        known = {slot: step.values[slot] for slot in slots if slot in step.values}
        if all(_may_be(layout, slot, value, ways[slot], sent) for slot, value in known.items()):
            yield index, step


def _raws(
    dimension: Dimension,
    ways: Mapping[str, tuple[str, ValueMap | None]],
    sent: Mapping[str, Any],
    left: Left,
) -> Iterator[tuple[int, Any]]:
    """Yield what stands in a dimension; of a range only the number that was sent, where it is."""
    source = dimension.source
    if isinstance(source, Axis) and len(source.segments) == 1:
        (slot,), (steps,) = dimension.targets.values(), source.segments
        target, values = ways.get(slot, ("", None))
        if isinstance(steps, Steps) and target in sent and values is None:
            index = _index(steps, sent[target])
            return iter([] if index is None else [(index, steps[index])])
    left.take(len(source))
    return raws(source)


def _index(steps: Steps, value: Any) -> int | None:
    """Return the place of a number in a range, None where it isn't there."""
    try:
        units = Decimal(str(value)).scaleb(-steps.exponent)
        index, rest = divmod(units - steps.first, steps.step)
        return int(index) if not rest and 0 <= index < len(steps) else None
    except ArithmeticError:  # text that is no number, or one without end
        return None


def _may_be(
    layout: Layout,
    slot: str,
    value: Any,
    way: tuple[str, ValueMap | None],
    sent: Mapping[str, Any],
) -> bool:
    """Say whether a cell with *value* in *slot* may have been sent so."""
    target, mapping = way
    if value is OMIT:
        return target not in sent or slot in layout.expressions
    if mapping is not None:
        try:
            value = mapped(layout.model, slot, mapping, value)
        except NoValueError:
            return False
    if value is OMIT or _has_file(value):
        return True
    return target in sent and _spelled(value) == _spelled(sent[target])


def _has_file(value: Any) -> bool:
    """Say whether a local file is in *value*: an address was sent in its place."""
    if isinstance(value, Mapping):
        return any(map(_has_file, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_file, value))
    return isinstance(value, LocalFile)


def _spelled(value: Any) -> str:
    """Return *value* as text, the same for 5 and "5": a description may have converted it."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(canonical(value), ensure_ascii=False, sort_keys=True)
    )
