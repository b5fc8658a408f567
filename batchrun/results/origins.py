"""Where the inputs of a cell come from, by the manifest, as far as that is known for certain."""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from batchrun.errors import ManifestError
from batchrun.ledger.life import Life
from batchrun.ledger.records import Mark
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.find import MOST, Sent, TooManyError, find
from batchrun.manifest.manifest import Manifest
from batchrun.results.value_places import Sourced, sources_of

NOT_THERE: Final = "the manifest no longer has this cell"
TOO_MANY: Final = "where its values come from takes a walk of the grid: `--origin` does it"

Sources = Mapping[str, Sourced]


class CellOrigin(Struct, frozen=True, kw_only=True):
    """Where a cell comes from.

    *named* says whether the manifest has the cell, None where that isn't known; then, or where it
    hasn't, *said* is why, and no input has a source. *replicate* is its number.
    """

    sources: Sources
    named: bool | None
    replicate: int | None = None
    said: str = ""


def origin_of_cell(
    manifest: Manifest, life: Life, marks: Callable[[], Mapping[str, Mark]], *, everywhere: bool
) -> CellOrigin:
    """Return where the cell comes from; *everywhere* is how far is looked, if need be.

    *marks* reads the wishes of the ledger, where the grid has no cell of that key: `redo` made it.
    """
    most = None if everywhere else MOST
    try:
        mark = life.mark
        cell = None if mark is not None else _found(manifest, life, life.key, most)
        if cell is None:
            mark = mark or marks().get(life.key)
            cell = None if mark is None else _found(manifest, life, mark.first, most)
        if cell is None:
            return CellOrigin(sources={}, named=False, said=NOT_THERE)
        number = cell.replicate if mark is None else mark.replicate
        return CellOrigin(sources=sources_of(manifest, cell), named=True, replicate=number)
    except TooManyError:
        return CellOrigin(sources={}, named=None, said=TOO_MANY)
    except ManifestError as error:  # a data file that changed
        return CellOrigin(sources={}, named=None, said=str(error).splitlines()[0])


def _found(manifest: Manifest, life: Life, key: str, most: int | None) -> Cell | None:
    sent = Sent(key=key, model=life.history.model, input=life.keyed_input)
    return find(manifest, sent, most=most)
