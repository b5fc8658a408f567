"""Names that make points, and that no cell is made of: a note on each. Pure.

`a {color} lamp` is no template: with two colors in a table the lamp was two points and one cell,
and the plan said only that one of them is the same as another.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from batchrun.base.values import spell
from batchrun.errors import Problem
from batchrun.manifest.expressions.expression import Axis
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.manifest import Grid, Manifest, Table


def unused(manifest: Manifest, product: Grid, layouts: Sequence[Layout]) -> Iterator[Problem]:
    """Yield a note for each list of `vars`, and each table, that nothing uses.

    *layouts* are those of *product*. A table of which one column is used is no mistake: sheets have
    columns for people.
    """
    if not layouts:  # all cells are those of includes
        return
    used = _used(manifest, product, layouts)
    for name, definition in product.names.items():
        is_list = isinstance(definition.body, Axis) and len(definition.body) > 1
        if is_list and not definition.sent and name not in used:
            yield definition.node.problem(_said(name))
    for table in product.tables:
        if len(table) > 1 and not _is_used(table, used):
            yield table.problem(table.columns[0], _said(*table.columns[:1]))


def _is_used(table: Table, used: set[str]) -> bool:
    return not table.columns or bool(table.sent) or not used.isdisjoint(table.columns)


def _said(name: str) -> str:
    shown = spell(name)
    return (
        f"nothing uses `{shown}`, and each of its values makes the same cells again; "
        f"write `${{{shown}}}` where it belongs, or take it out"
    )


def _used(manifest: Manifest, product: Grid, layouts: Sequence[Layout]) -> set[str]:
    """Return the names that any cell, name of a file or rule follows from."""
    named = [expression.names for expression in manifest.metadata.values()]
    ruled = [rule.names.keys() for rule in product.exclude]
    words = set(chain(manifest.outputs.name.names, *named, *ruled))
    return words.union(*(layout.needs([*layout.sent, *words]) for layout in layouts))
