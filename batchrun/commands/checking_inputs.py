"""What descriptions of models say against the cells that a call would send.

A call refuses such cells before anything is sent or uploaded, or says so and goes on, as
`limits.input_errors` has it. A plan says what the call would refuse.
"""

import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from batchrun.base.said import say
from batchrun.base.values import InputErrors
from batchrun.catalogue.checks import check_cells
from batchrun.catalogue.problems import HOW_TO_SEND, InputProblems
from batchrun.catalogue.proof import Question, proven_in
from batchrun.commands.call import Call
from batchrun.engine.price_history import siblings
from batchrun.engine.selection import Selection
from batchrun.errors import BatchrunError, Problem
from batchrun.ledger.book import Book
from batchrun.ledger.history import is_to_begin
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell
from batchrun.results.summary import problem_as_dict
from batchrun.runflow.descriptions import Description
from batchrun.sweep.location import LEDGER

LONGEST_LOOK: Final = 3.0
"""Seconds in which a look at a further ledger may begin, in search of a run that proves a value."""


class ToSend:
    """Says of each cell, in the manifest's order, whether the call would send it.

    *taken* are taken over from another folder. *again*: the chosen cells are made again, however
    they stand. Points that come to one cell are it once.
    """

    def __init__(
        self, call: Call, book: Book, selection: Selection, taken: KeyIndex, *, again: bool
    ) -> None:
        self._settings = call.settings
        self._book = book
        self._selection = selection
        self._taken = taken
        self._again = again
        self._new_cells_left = None if again else call.settings.limit
        self._seen = KeyIndex()

    def __call__(self, cell: Cell) -> bool:
        if not self._selection.wants(cell) or cell.key in self._taken:
            return False
        if self._new_cells_left is not None and self._new_cells_left < 0:
            return False  # what comes after the limit is for later, tried before or not
        if self._again:
            return True
        history = self._book.history(cell.key)
        if not is_to_begin(history, self._settings):
            return False
        return bool(history.attempt) or self._has_room(cell)

    def _has_room(self, cell: Cell) -> bool:
        """Say whether `--limit` leaves room for a cell that has had no run."""
        if self._new_cells_left is None:
            return True
        if self._seen.add(cell.key)[1]:
            self._new_cells_left -= 1
        return self._new_cells_left >= 0


def input_problems(
    call: Call,
    book: Book,
    selection: Selection,
    taken: KeyIndex,
    descriptions: Mapping[str, Description],
    *,
    again: bool = False,
) -> InputProblems:
    """Return what *descriptions*, by model id, say against the cells that the call would send.

    Raises ManifestError where a data file has changed.
    """
    ledger = call.folder / LEDGER
    return check_cells(
        call.manifest,
        descriptions,
        wanted=ToSend(call, book, selection, taken, again=again),
        proof=lambda questions: _proven(ledger, questions),
    )


def _proven(ledger: Path, questions: Collection[Question]) -> Collection[Question]:
    """Return what runs prove in the *ledger*, and in others of this place and endpoint.

    A label begins with an empty ledger, and each night with a new one: what succeeded last night
    is right tonight. The newest of the others come first; they may take LONGEST_LOOK seconds.
    """
    found, end = set[Question](), time.monotonic() + LONGEST_LOOK
    for path in (ledger, *reversed(siblings(ledger.parent))):
        left = [each for each in questions if each not in found]
        if not left or (path != ledger and time.monotonic() > end):
            break
        with suppress(OSError, ValueError, BatchrunError):  # it says nothing, then
            found |= proven_in(path, left)
    return found


def are_refused(problems: InputProblems, call: Call) -> bool:
    """Say whether the call sends nothing for what is wrong."""
    return bool(problems.errors) and call.settings.input_errors is InputErrors.REFUSE


def obey(problems: InputProblems, call: Call, *, quiet: bool) -> None:
    """Say what is doubtful, and raise ManifestError where the call refuses such inputs."""
    for each in () if quiet else said(problems.warnings):
        say(each, sys.stderr)
    if problems.refusal is not None and are_refused(problems, call):
        raise problems.refusal
    for each in () if quiet else said(problems.errors):
        say(each, sys.stderr)


def said(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield the problems without the lines that they are in."""
    yield from (f"{each.place}: {each.message}" for each in problems)


def lines(problems: InputProblems, call: Call) -> Iterator[str]:
    """Yield what a plan says of them."""
    yield from said((*problems.warnings, *problems.errors))
    if are_refused(problems, call):
        yield HOW_TO_SEND


def as_dicts(problems: InputProblems) -> tuple[Mapping[str, Any], ...] | None:
    """Return them for JSON; None where there is none."""
    found = [("error", each) for each in problems.errors]
    found += [("warning", each) for each in problems.warnings]
    return (*({"severity": how, **problem_as_dict(each)} for how, each in found),) or None
