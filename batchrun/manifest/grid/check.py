"""The checks of a manifest's cells that need no cell to be made.

Each value that follows from others is computed over the values it follows from, and nothing else:
the work is that of the axes involved, not of their product with all the rest.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final

from batchrun.errors import ManifestError, Problem
from batchrun.manifest.cells import OMIT
from batchrun.manifest.expressions.compiler import OF_THE_CELL, REPLICATE
from batchrun.manifest.expressions.expression import NoValueError, Single, Text, pointed
from batchrun.manifest.expressions.template import Reference, in_text, look_up
from batchrun.manifest.few import Few
from batchrun.manifest.grid.alone import decimal_commas
from batchrun.manifest.grid.dimensions import dimension_sizes
from batchrun.manifest.grid.expand import Shape, mapped
from batchrun.manifest.grid.layout import Layout, build
from batchrun.manifest.grid.size import Sizes
from batchrun.manifest.grid.traversal import Traversal
from batchrun.manifest.grid.unmatched import Unmatched, included
from batchrun.manifest.grid.unused import unused
from batchrun.manifest.manifest import Grid, Manifest

_POINTS: Final = 100_000  # checked for each value; what lies beyond is found while expanding


def check(manifest: Manifest, problems: list[Problem]) -> None:
    """Add to *problems* what is wrong with the cells of *manifest*."""
    sizes = Sizes()
    for grid in manifest.grids:
        layouts = list(_layouts(grid, problems))
        problems += sizes.add(grid, layouts)
        _check_values(manifest, layouts, problems)


def check_meant(manifest: Manifest, problems: list[Problem], notes: list[Problem]) -> None:
    """Add to *problems* what can't be meant of a manifest without any, to *notes* what may not be.

    A manifest that a sweep was started with is not asked: it was taken as it is.
    """
    product = manifest.grids[0]
    layouts = list(_layouts(product, problems))
    if not problems:  # else values may be lacking that an entry speaks of
        problems += Unmatched(product.exclude, layouts).problems(notes)
        notes += included(manifest.grids, layouts)
        notes += unused(manifest, product, layouts)
        notes += decimal_commas(manifest)


def _check_values(manifest: Manifest, layouts: Sequence[Layout], problems: list[Problem]) -> None:
    common: set[str] = set()  # checked for one model, and the same for the others
    for layout in layouts:
        for slot in [
            *layout.first,
            *(slot for dimension in layout.dimensions for slot in dimension.computed),
        ]:
            if slot not in common:
                problems += _computed(layout, slot)
            if layout.model.inputs.keys().isdisjoint(layout.needs([slot])):
                common.add(slot)
        for name in layout.model.map:
            if name in layout.uses and name not in layout.model.omit:
                problems += dict.fromkeys(_mapped(layout, name))
        problems += _described(manifest, layout)


def _layouts(grid: Grid, problems: list[Problem]) -> Iterator[Layout]:
    sizes = dimension_sizes(grid)
    for model in grid.models:
        yield build(grid, model, sizes, problems)


def _walk(layout: Layout, names: Sequence[str], problems: list[Problem]) -> Iterator[Traversal]:
    """Yield the walk at each point where *names* differ, until enough is known to be wrong."""
    walk = Traversal(layout.restricted(names), problems)
    try:
        for _ in islice(walk.points(), _POINTS):
            yield walk
    except ManifestError as error:  # a data file: said when it was read, and said once
        problems += error.problems


def _computed(layout: Layout, slot: str) -> list[Problem]:
    problems: list[Problem] = []
    for _ in _walk(layout, [slot], problems):
        pass
    return list(dict.fromkeys(problems))


def _mapped(layout: Layout, name: str) -> list[Problem]:
    """Look every value of *name* that is not excluded up in the model's map."""
    problems: list[Problem] = []
    shape = Shape(layout)
    names = [name, *(other for other in shape.ruled if other in layout.uses)]
    found: list[Problem] = []
    few = Few(problems)
    for walk in _walk(layout, names, found):
        values = {other: walk.values[other] for other in names}
        if values[name] is OMIT or shape.excluded(values):
            continue
        try:
            mapped(layout.model, name, layout.model.map[name], values[name])
        except NoValueError as error:
            few.add(partial(walk.located, error), walk.known_by(error))
    return [*found, *problems]


def _described(manifest: Manifest, layout: Layout) -> Iterator[Problem]:
    """Yield what is wrong with file names and metadata, as this model would have them.

    A name that has no value for this model, or in this include, is left out there.
    """
    name = manifest.outputs.name
    if isinstance(name, Single):
        name = Text((name.reference,), name.node)
    for expression in [name, *manifest.metadata.values()]:
        for part in expression.parts if isinstance(expression, Text) else ():
            if isinstance(part, Reference) and isinstance(expression, Text):
                yield from _spelled(expression, part, layout)
    if _meet(manifest, layout):
        node = manifest.outputs.name_node
        assert node is not None
        yield node.problem("`outputs.name` gives several cells one name; add `${cell}`")


def _spelled(text: Text, part: Reference, layout: Layout) -> Iterator[Problem]:
    """Yield the first value of a reference that cannot stand inside text."""
    if part.name in {REPLICATE, *OF_THE_CELL} or part.name not in layout.uses:
        return
    for walk in _walk(layout, [part.name], []):
        if walk.values[part.name] is OMIT:
            continue
        try:
            in_text(look_up(part, walk.values))
        except ValueError as error:
            said = f"`{part.name}` {error}" if str(error).startswith("is ") else str(error)
            found = NoValueError(pointed(text.node, part, said), frozenset({part.name}))
            if (problem := walk.located(found)) is not None:
                yield problem
            return


def _meet(manifest: Manifest, layout: Layout) -> bool:
    """Say whether two cells of a model surely have one file name: something varies unnamed."""
    names = manifest.outputs.name.names
    if "cell" in names:
        return False
    sent = [name for name in layout.sent if name not in layout.model.omit]
    needed = layout.needs([*sent, REPLICATE])
    named = layout.needs(sorted(names))
    return any(
        len(dimension) > 1
        and not needed.isdisjoint(dimension.targets.values())
        and named.isdisjoint(dimension.targets.values())
        for dimension in layout.dimensions
    )
