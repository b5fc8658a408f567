"""Whether a grid may have a mistake, found without its product.

An input's value follows from few of the axes. So each input is walked over the dimensions that it
follows from, and nothing else: the work is that of the axes and the rows, not of their product. An
input whose mistakes are all in excluded cells is walked once more, with the names that `exclude`
speaks of.

**This walk may see a mistake where there is none**, in a cell that no sample draws or that is done
already; it never overlooks one. So where it sees none, no cell is made; where it sees one, the
cells themselves are looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from batchrun.catalogue.mistakes import DescribedModel
from batchrun.manifest.cells import OMIT
from batchrun.manifest.expressions.compiler import REPLICATE
from batchrun.manifest.expressions.expression import NoValueError
from batchrun.manifest.grid.expand import Shape, layouts, mapped
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.grid.sent_as import of_slot
from batchrun.manifest.grid.traversal import Traversal
from batchrun.manifest.manifest import Manifest, Model, ValueMap

MOST_POINTS: Final = 200_000
"""Points of the names of an input and of `exclude` that are walked; beyond, the cells are."""


def suspects(manifest: Manifest, described: Mapping[str, DescribedModel]) -> frozenset[str]:
    """Return the aliases of models that may have a mistake; *described* are models by their ids.

    Raises ManifestError where a data file has changed.
    """
    return frozenset(
        layout.model.alias
        for grid in manifest.grids
        for layout in layouts(grid)
        if (model := described.get(layout.model.id)) is not None
        and _may_be_wrong(
            layout,
            model,
            redone=bool(manifest.redone),
            types=manifest.sent_as.get(layout.model.id, {}),
        )
    )


class Input(Struct, frozen=True, kw_only=True):
    """An input of a model: its common *name*, its *sent* one, and the model's map of its values.

    *wanted* is the type that its value is converted to, None for none.
    """

    name: str
    sent: str
    mapping: ValueMap | None
    wanted: str | None

    def may_be_wrong(self, walk: Traversal, layout_model: Model, model: DescribedModel) -> bool:
        """Say whether a cell at the present point would have a mistake in this input."""
        value = walk.values[self.name]
        if self.wanted is not None and self.mapping is None:
            value = of_slot(walk, self.name, value, self.wanted)
        if self.mapping is not None and value is not OMIT:
            try:
                value = mapped(layout_model, self.name, self.mapping, value)
            except NoValueError:  # such a cell is excluded, else it was said before
                return False
        if value is OMIT:
            return self.sent in model.needed
        return not model.takes(self.sent) or model.mistake(self.sent, value) is not None


def _may_be_wrong(
    layout: Layout, model: DescribedModel, *, redone: bool, types: Mapping[str, str]
) -> bool:
    inputs = [*_inputs(layout, types)]
    if not {each.sent for each in inputs}.issuperset(model.needed):
        return True
    watched = [each for each in inputs if model.has_rule(each.sent) or not model.takes(each.sent)]
    if redone and any(REPLICATE in layout.needs([each.name]) for each in watched):
        return True  # replicates beyond `repeat` are in no walk of the axes
    return any(
        _is_wrong_in_a_cell(layout, model, each)
        for together in _by_dimensions(layout, watched)
        for each in _suspected(layout, model, together)
    )


def _inputs(layout: Layout, types: Mapping[str, str]) -> Iterator[Input]:
    model = layout.model
    for name in layout.sent:
        if name not in model.omit and name in layout.uses:
            sent = model.rename[name][0] if name in model.rename else name
            mapping, wanted = model.map.get(name), types.get(sent)
            yield Input(name=name, sent=sent, mapping=mapping, wanted=wanted)


def _by_dimensions(layout: Layout, inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """Group the inputs that follow from the same dimensions: a data file is read once for all."""
    groups: dict[tuple[Any, ...], list[Input]] = {}
    for each in inputs:
        needed = layout.needs([each.name])
        key = tuple(
            dimension.dimension_key
            for dimension in layout.dimensions
            if not needed.isdisjoint(dimension.targets.values())
        )
        groups.setdefault(key, []).append(each)
    yield from groups.values()


def _suspected(layout: Layout, model: DescribedModel, inputs: Sequence[Input]) -> list[Input]:
    """Return those of *inputs* that have a wrong value at some point, excluded or not."""
    left, found = list(inputs), []
    walk = Traversal(layout.restricted([each.name for each in inputs]), [])
    for _ in walk.points():
        wrong = [e for e in left if e.may_be_wrong(walk, layout.model, model)]
        if wrong:
            found += wrong
            left = [each for each in left if each not in wrong]
            if not left:
                break
    return found


def _is_wrong_in_a_cell(layout: Layout, model: DescribedModel, suspected: Input) -> bool:
    """Say whether a wrong value of an input stands at a point that `exclude` leaves."""
    shape = Shape(layout)
    ruled = [name for name in shape.ruled if name in layout.uses]
    if not ruled:
        return True
    walk = Traversal(layout.restricted([suspected.name, *ruled]), [])
    for _ in islice(walk.points(), MOST_POINTS):
        values = walk.values
        if suspected.may_be_wrong(walk, layout.model, model) and not (
            shape.excluded({name: values[name] for name in ruled})
        ):
            return True
    return walk.layout.size() > MOST_POINTS
