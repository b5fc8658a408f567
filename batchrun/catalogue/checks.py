"""The cells of a manifest against the descriptions of their models, before anything is sent.

Only cells that would be sent are looked at: one that is done, or that the call isn't about, is no
mistake. In the good case no cell is made at all: see `axes.py`.
"""

from collections.abc import Callable, Collection, Container, Mapping

from batchrun.catalogue.axes import suspects
from batchrun.catalogue.found import Found
from batchrun.catalogue.mistakes import DescribedModel
from batchrun.catalogue.problems import NONE, InputProblems, problems_of
from batchrun.catalogue.proof import Question
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.runflow.descriptions import Description

Proof = Callable[[Collection[Question]], Container[Question | None]]
"""Returns the questions to which a succeeded run says yes."""


class CellChecks:
    """The checks of cells, one after the other. Points that come to one cell are it once."""

    def __init__(self, described: Mapping[str, DescribedModel]) -> None:
        self.found = Found()
        self._described = described
        self._seen = KeyIndex()

    def add(self, cell: Cell) -> None:
        """Take in one more cell that would be sent."""
        model = self._described.get(cell.model)
        mistakes = model.mistakes(cell.input) if model is not None else None
        if mistakes and self._seen.add(cell.key)[1]:
            for mistake in mistakes:
                self.found.add(cell, mistake)


def check_cells(
    manifest: Manifest,
    descriptions: Mapping[str, Description],
    *,
    wanted: Callable[[Cell], bool],
    proof: Proof,
) -> InputProblems:
    """Return what *descriptions*, by model id, say against the cells that are *wanted*.

    A model without a description has no mistakes. *wanted* is asked for each cell in the manifest's
    order, or for none; *proof* only where there is a mistake. Raises ManifestError where a data
    file has changed.
    """
    described = {model: DescribedModel(each) for model, each in descriptions.items()}
    suspected = suspects(manifest, described)
    if not suspected:
        return NONE
    checks = CellChecks(described)
    for cell in expand(manifest):
        if wanted(cell) and cell.alias in suspected:
            checks.add(cell)
    found = checks.found
    if questions := found.questions():
        found.take(proof(questions))
    return problems_of(manifest, found) if found else NONE
