"""Names whose values stand in cells as they are, or are compared, and not only inside text.

`${price}` alone is the column's value; in `for ${price} EUR` it is what the field has. So a column
whose numbers have decimal commas is worth a note only where it stands alone: it is text there.
"""

from collections.abc import Iterator
from itertools import chain

from batchrun.errors import Problem
from batchrun.manifest.data.table import FileTable
from batchrun.manifest.expressions.expression import NOTHING, Axis, Expression, Fixed, names_alone
from batchrun.manifest.manifest import Grid, Manifest


def decimal_commas(manifest: Manifest) -> Iterator[Problem]:
    """Yield a note for each column of numbers with decimal commas that isn't used in text alone."""
    product = manifest.grids[0]
    alone = _alone(product)
    for table in product.tables:
        if isinstance(table, FileTable):
            yield from table.with_commas(alone)


def _alone(grid: Grid) -> set[str]:
    """Return the names that are sent or ruled by `exclude`, and those that stand alone in them."""
    definitions = [grid.names, *(model.inputs for model in grid.models)]
    used: dict[str, set[str]] = {}
    for definition in chain(*(each.values() for each in definitions)):
        used.setdefault(definition.name, set()).update(_of(definition.body))
    todo = [d.name for d in chain(*(each.values() for each in definitions)) if d.sent]
    for table in grid.tables:
        todo += table.sent
        todo += table.alone if isinstance(table, FileTable) else ()
    todo += chain(*(rule.names for rule in grid.exclude))
    found: set[str] = set()
    while todo:
        if (name := todo.pop()) not in found:
            found.add(name)
            todo += used.get(name, ())
    return found


def _of(body: Expression | Axis) -> frozenset[str]:
    if not isinstance(body, Axis):
        return names_alone(body)
    elements = (each for each in body.segments if not isinstance(each, Fixed))
    return NOTHING.union(*map(names_alone, chain(*elements)))
