"""What can be known of a manifest's cells before any is made, without making them all.

Each value that follows from others is computed over the values it follows from, and nothing else:
the work is that of the axes involved, not of their product with all the rest.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from batchrun.errors import ManifestError, Problem
from batchrun.manifest.cells import OMIT
from batchrun.manifest.compiler import OF_THE_CELL, REPLICATE
from batchrun.manifest.expressions import NoValueError, Text, pointed
from batchrun.manifest.grid import mapped
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.plan import Plan, Walk, build, digits
from batchrun.manifest.template import Reference, in_text, look_up

_POINTS: Final = 100_000  # checked for each value; what lies beyond is found while expanding
_ENOUGH: Final = 20


def check(manifest: Manifest, problems: list[Problem]) -> None:
    """Add to *problems* what is wrong with the cells of *manifest*."""
    for grid in manifest.grids:
        sizes = digits(grid)
        for model in grid.models:
            plan = build(grid, model, sizes, problems)
            for slot in _computed(plan):
                problems += _try(plan, [slot], None)
            for name in model.map:
                if name in plan.uses and name not in model.omit:
                    problems += _try(plan, [name], name)
            problems += _described(manifest, plan)


def _computed(plan: Plan) -> list[str]:
    return [*plan.first, *(slot for level in plan.levels for slot in level.computed)]


def _try(plan: Plan, slots: list[str], name: str | None) -> list[Problem]:
    """Compute *slots* wherever they differ; with *name*, look its values up in the model's map."""
    problems: list[Problem] = []
    walk = Walk(plan.restricted(slots), problems)
    try:
        for _ in islice(walk.points(), _POINTS):
            if len(problems) >= _ENOUGH:
                break
            if name is None or (value := walk.values[name]) is OMIT:
                continue
            try:
                mapped(plan.model, name, plan.model.map[name], value)
            except NoValueError as error:
                problems += [problem] if (problem := walk.located(error)) else []
    except ManifestError as error:  # a data file; it has been reported when it was read
        problems += error.problems
    return list(dict.fromkeys(problems))


def _described(manifest: Manifest, plan: Plan) -> Iterator[Problem]:
    """Yield what is wrong with file names and metadata, as this model would have them.

    A name that has no value for this model, or in this include, is left out there.
    """
    expressions = [manifest.outputs.name, *manifest.metadata.values()]
    for expression in expressions:
        if isinstance(expression, Text):
            yield from _spelled(expression, plan)
    if _meet(manifest, plan):
        node = manifest.outputs.name_node
        assert node is not None
        yield node.problem("`outputs.name` gives several cells one name; add `${cell}`")


def _spelled(text: Text, plan: Plan) -> list[Problem]:
    own = {REPLICATE, *OF_THE_CELL}
    problems: list[Problem] = []
    for part in text.parts:
        if isinstance(part, Reference) and part.name in plan.uses.keys() - own:
            walk = Walk(plan.restricted([part.name]), [])
            for _ in islice(walk.points(), _POINTS):
                try:
                    if (value := look_up(part, walk.values)) is not OMIT:
                        in_text(value)
                except ValueError as error:
                    said = f"`{part.name}` {error}" if str(error).startswith("is ") else str(error)
                    found = NoValueError(pointed(text.node, part, said), frozenset({part.name}))
                    problems += [problem] if (problem := walk.located(found)) else []
                    break
    return problems


def _meet(manifest: Manifest, plan: Plan) -> bool:
    """Tell whether two cells of a model surely have one file name: something varies unnamed."""
    names = manifest.outputs.name.names
    if "cell" in names:
        return False
    sent = [name for name in plan.sent if name not in plan.model.omit]
    needed = plan.needs([*sent, REPLICATE])
    named = plan.needs(sorted(names))
    return any(
        len(level) > 1
        and needed & set(level.targets.values())
        and not named & set(level.targets.values())
        for level in plan.levels
    )
