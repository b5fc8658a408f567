"""Paid cells that drop out where columns are read otherwise than once, and are to be made anew.

The grid is walked as it is and as it was by the former types. A paid cell of a point is lost where
the point's cell of now is not in the ledger: it would be paid for a second time.

Fields that were edited along with their type are read alike by both: a spreadsheet writes `0.5` as
`0,5`, `TRUE` as `WAHR`. The paid cells of such a column are in neither grid. Each paid cell counts
then that the manifest no longer has.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from batchrun.errors import ManifestError
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import Readable
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.typed import read_as
from batchrun.results.orphans import Lost, lost_cells


class Effect(Struct, frozen=True, kw_only=True):
    """So many cells are *new*, and these paid ones are *lost*; *edited*: for edits of fields."""

    new: int
    lost: Lost
    edited: bool = False


class _Walked(Struct):
    """Both grids: the new cells of now, and the keys of the former grid that are *gone*.

    *same* counts new cells that both have. *untouched*: the former grid has a cell of the ledger.
    *edited*: it has none at a point whose cell is new.
    """

    present: KeyIndex
    former: KeyIndex
    new: int = 0
    same: int = 0
    gone: dict[str, None] = field(default_factory=dict)
    untouched: bool = False
    edited: bool = False


def effect(
    manifest: Manifest, former: Mapping[str, str], ledger: Readable, *, rewritten: bool | None
) -> Effect:
    """Return what becomes of the ledger's cells, against the manifest with *former* types.

    *rewritten*: a column's fields were edited along with its type; None: only where no point has
    the cell that it had.
    """
    histories, walked = ledger.book.histories, _Walked(present=KeyIndex(), former=KeyIndex())
    for cell in expand(manifest):
        if walked.present.add(cell.key)[1]:
            walked.new += cell.key not in histories
    try:
        _compare(walked, manifest, former, ledger)
    except ManifestError:  # its cells can't be made: each one counts that the ledger has alone
        gone = [key for key in histories if key not in walked.present] if walked.new else []
        return Effect(new=walked.new, lost=lost_cells(ledger, gone))
    if walked.edited and (rewritten or (rewritten is None and not walked.untouched)):
        gone = [key for key in histories if key not in walked.present]
        if (lost := lost_cells(ledger, gone)).cells:
            return Effect(new=walked.new, lost=lost, edited=not walked.gone)
    return Effect(new=walked.new - walked.same, lost=lost_cells(ledger, walked.gone))


def _compare(
    walked: _Walked, manifest: Manifest, former: Mapping[str, str], ledger: Readable
) -> None:
    histories = ledger.book.histories
    for was, cell in _beside(manifest, former):
        known, fresh = was.key in histories, cell is not None and cell.key not in histories
        walked.untouched |= known
        walked.edited |= fresh and not known
        first = walked.former.add(was.key)[1]
        if was.key in walked.present:
            walked.same += first and not known
        elif known and fresh:
            walked.gone[was.key] = None


def _beside(manifest: Manifest, former: Mapping[str, str]) -> Iterator[tuple[Cell, Cell | None]]:
    """Yield each cell by *former* types, and the first of now at its point, None where none is."""
    present = expand(manifest)
    at = next(present, None)
    for cell in expand(read_as(manifest, former)):
        while at is not None and at.ordinal < cell.ordinal:
            at = next(present, None)
        yield cell, at if at is not None and at.ordinal == cell.ordinal else None
