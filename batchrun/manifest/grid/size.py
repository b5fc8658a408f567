"""How many points and cells a grid comes to, before any of them is made. Pure.

A product grows with each axis: thirty axes of a hundred values have more cells than can be
counted one by one. Such a grid is refused at once, and never walked.
"""

from collections.abc import Iterator, Sequence
from math import log10, prod
from typing import Final

from batchrun.base.ceilings import MOST_CELLS, MOST_POINTS
from batchrun.errors import Problem
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.manifest import Grid

_SPELLED_OUT: Final = 10**15


class Sizes:
    """Adds up the grids of one manifest."""

    def __init__(self) -> None:
        self._cells = 0

    def add(self, grid: Grid, layouts: Sequence[Layout]) -> Iterator[Problem]:
        """Yield what is wrong with the size of *grid*; *layouts* are those of its models."""
        shared = {d.dimension_key: len(d) for each in layouts for d in each.dimensions if not d.own}
        points = prod(shared.values())
        if grid.sample is not None and points > MOST_POINTS:
            yield grid.node.problem(
                f"the product has {_number(points)} points, and `sample` draws from "
                f"{MOST_POINTS:,} at most; leave values out"
            )
        before, self._cells = self._cells, self._cells + sum(count(grid, each) for each in layouts)
        if before <= MOST_CELLS < self._cells:
            yield grid.node.problem(
                f"this comes to {_number(self._cells)} cells, and a manifest has {MOST_CELLS:,} at "
                "most; leave values out, or draw some with `sample`"
            )


def count(grid: Grid, layout: Layout) -> int:
    """Return how many cells a model can have in a grid: exact where nothing is excluded."""
    points = prod(len(dimension) for dimension in layout.dimensions if not dimension.own)
    if grid.sample is not None:
        points = min(points, grid.sample.n)
    return points * prod(len(dimension) for dimension in layout.dimensions if dimension.own)


def _number(number: int) -> str:
    return f"{number:,}" if number < _SPELLED_OUT else f"about 10^{int(log10(number))}"
