"""Everything that can stop batchrun, and the exit code each stop means. Pure.

* BatchrunError (70)
  * UsageError (2)
    * TypesChangedError (2)
    * ManifestError (2)
      * SourceChangedError (3)
  * KeyRefusedError (4)
    * NotPermittedError (4)
  * OutOfCreditError (5)
  * BudgetReachedError (6)
  * UnreachableError (8)
    * BadAnswersError (8)
    * TooLargeAnswerError (8)
    * ThrottledError (8)
    * QuestionHeldError (8)
      * QuestionRefusedError (8)
    * UnlistedError (8)
  * FolderError (9)
    * LedgerLockedError (7)
    * LedgerError (9)
      * LostLedgerError (9)
        * BegunElsewhereError (9)
      * NothingToRecoverError (9)
      * MadeBesideError (9)

A BatchrunError is expected: it is printed as one message and never as a traceback. Any other
exception is a bug, and exits with 70 too.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final

from msgspec import Struct

INCOMPLETE: Final = 3
FAILED: Final = 1
BUG: Final = 70
KILLED: Final = 130

MOST_LISTED: Final = 20
"""Problems of one kind that people read; the `--json` object has all of them."""

# Of several reasons to stop, the first of these is the exit code.
PRECEDENCE: Final = (KILLED, BUG, 2, 7, 9, 4, 5, 6, 8, INCOMPLETE, FAILED, 0)


class BatchrunError(Exception):
    """Base of all expected stops: one message, which says what to do where that is known."""

    exit_code: ClassVar[int] = BUG

    @property
    def ways(self) -> Sequence[str]:
        """The ways on, one a phrase with its whole command; none where the exit code says it."""
        return ()


class Place(Struct, frozen=True, order=True):
    """A position in a text file; line and column count from 1, as editors do."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


class Problem(Struct, frozen=True):
    """One thing to fix: where it is, what is wrong, and the line itself where it helps.

    *excerpt* is the text of the line; *width* is how many characters the caret underlines. *more*
    of its kind were found behind it, and are only counted.
    """

    place: Place
    message: str
    excerpt: str | None = None
    width: int = 1
    more: int = 0

    def __str__(self) -> str:
        if self.message.startswith(UNREAD):  # it has no lines to point at
            return f"{self.place.source}: {self.message}"
        text = f"{self.place}: {self.message}"
        if self.excerpt is None:
            return text
        number = str(self.place.line)
        before = self.excerpt[: self.place.column - 1]
        # A tab before the caret stays a tab, else the caret points elsewhere in a terminal.
        indent = "".join("\t" if character == "\t" else " " for character in before)
        return (
            f"{text}\n  {number} | {self.excerpt}\n  {' ' * len(number)} | {indent}"
            f"{'^' * max(1, self.width)}"
        )


class UsageError(BatchrunError):
    """The command line asks for something that cannot be. Nothing was sent."""

    exit_code = 2


class TypesChangedError(UsageError):
    """Columns have other types than paid cells had: *message* says which, *ways* how to go on."""

    def __init__(self, message: str, ways: Sequence[str]) -> None:
        super().__init__("\n  ".join([message, *ways]))
        self._ways = tuple(ways)

    @property
    def ways(self) -> Sequence[str]:
        return self._ways


UNREAD: Final = "cannot read the manifest"
"""How the one problem begins of a manifest that can't be read."""


class ManifestError(UsageError):
    """The manifest cannot be used; *problems* are all of its mistakes, in the file's order.

    *advice* is a last line that says what else to do, "" for none.
    """

    def __init__(self, problems: Sequence[Problem], advice: str = "") -> None:
        super().__init__("\n".join([*_listed(problems), *([advice] if advice else [])]))
        self.problems = tuple(problems)


def _listed(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield the problems as people read them: of a kind the first MOST_LISTED, then a count."""
    kinds: dict[str, list[Problem]] = {}
    for each in problems:
        kinds.setdefault(_kind(each), []).append(each)
    for each in problems:
        alike = kinds[_kind(each)]
        shown = alike[:MOST_LISTED]
        if any(each is one for one in shown):
            yield str(each)
        if each is shown[-1]:
            more = len(alike) - len(shown) + sum(one.more for one in alike)
            yield from [f"  and {more:,} more"] if more else []


def _kind(problem: Problem) -> str:
    """Return what problems have in common that differ in names and places alone."""
    return re.sub(r"`[^`]*`|\d+", "`", f"{problem.place.source} {problem.message}")


class SourceChangedError(ManifestError):
    """A file that the manifest was read from is another by now: the rest of its cells isn't known.

    *written* is the file as messages show it. *begun* says how far the call had come, "" where it
    had begun nothing.
    """

    exit_code = INCOMPLETE

    def __init__(self, written: str, begun: str = "") -> None:
        self.written = written
        self.begun = begun
        super().__init__(
            [Problem(Place(written, 1, 1), "the file has changed while this call ran")]
        )

    def __str__(self) -> str:
        so_far = f"; {self.begun}" if self.begun else ""
        return (
            f"{self.written} has changed while this call ran{so_far}; run the same command again "
            "to go on with the file as it is then"
        )


class KeyRefusedError(BatchrunError):
    """The API does not accept the key, or the key is of another organisation than the ledger."""

    exit_code = 4


class NotPermittedError(KeyRefusedError):
    """The API knows the key, and doesn't permit what was asked; *models* are those that it named.

    Without *models* it is about the account, or about no single model.
    """

    def __init__(self, message: str, *, models: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.models = tuple(models)


class OutOfCreditError(BatchrunError):
    """The account cannot pay for another run. No cell failed because of it."""

    exit_code = 5


class BudgetReachedError(BatchrunError):
    """A budget of the sweep's own allows no further run.

    *left* are the folders of labels whose calls have gone, and whose reservations still count.
    *settling* are the commands that settle them; where it is raised, they aren't known.
    """

    exit_code = 6

    def __init__(self, message: str, *, left: Sequence[Path] = ()) -> None:
        super().__init__(message)
        self.left = tuple(left)
        self.settling: tuple[str, ...] = ()

    def __str__(self) -> str:
        left = self.settling
        ways = [f"to settle what a call has left reserved: `{each}`" for each in left[:MOST_LISTED]]
        if (more := len(left) - MOST_LISTED) > 0:
            ways.append(f"and {more:,} more such calls")
        return "\n  ".join([super().__str__(), *ways])


class UnreachableError(BatchrunError):
    """The API gave no answer, or none of its own, for longer than the give-up time.

    *fact* says so in a sentence, *advice* what to do about it.
    """

    exit_code = 8

    def __init__(self, fact: str, advice: str = "") -> None:
        super().__init__(f"{fact}{advice}")
        self.fact = fact


class BadAnswersError(UnreachableError):
    """Something answers one question for all that time, and never well; others may be answered."""


class TooLargeAnswerError(UnreachableError):
    """The API answers, with more than is read. *size* is what is known of it, in bytes."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class ThrottledError(UnreachableError):
    """The service answers with 429 to all calls of one kind for longer than the give-up time.

    *creates*: they are those that create something. *more* is what else there is to say; *until*
    is when the service wants to be asked again, by its clock, where it said so.
    """

    def __init__(self, fact: str, more: str, *, creates: bool, until: datetime | None) -> None:
        super().__init__(fact)
        self.more = more
        self.creates = creates
        self.until = until

    def __str__(self) -> str:
        return f"{self.fact}{self.more}"


class QuestionHeldError(UnreachableError):
    """The service refuses one question, by 429 or otherwise, and not all others."""


class QuestionRefusedError(QuestionHeldError):
    """It refuses it otherwise than by 429: asking later is of no use."""


class UnlistedError(UnreachableError):
    """The service lists no runs: what another copy of the ledger has sent can't be seen."""


class FolderError(BatchrunError):
    """The output folder or a file in it cannot be used."""

    exit_code = 9


class LedgerLockedError(FolderError):
    """Another process holds this ledger."""

    exit_code = 7


class LedgerError(FolderError):
    """The ledger cannot be read or written; without it nothing is sent."""


class LostLedgerError(LedgerError):
    """The ledger is gone, broken or old, and can be rebuilt; *recover* is the command that does.

    Where it is raised, the sweep's name on the command line isn't known; `commands/target.py` adds
    the command.
    """

    recover = "batchrun recover MANIFEST"

    def __str__(self) -> str:
        return f"{super().__str__()}; {self._way}"

    @property
    def ways(self) -> Sequence[str]:
        return (self._way,)

    @property
    def _way(self) -> str:
        return f"restore its newest copy, or rebuild it with `{self.recover}`"


class BegunElsewhereError(LostLedgerError):
    """The service has runs of this sweep that no ledger here knows; *sweeps* are their ids.

    *command* is the call that was refused, as it was typed.
    """

    def __init__(self, message: str, *, sweeps: Sequence[str]) -> None:
        super().__init__(message)
        self.sweeps = tuple(sweeps)
        self.command = "batchrun MANIFEST"

    def __str__(self) -> str:
        return "\n  ".join([Exception.__str__(self), *self.ways])

    @property
    def ways(self) -> Sequence[str]:
        recover = "" if " --recover" in self.command else " --recover"
        ways = [
            f"to rebuild its ledger here: `{self.recover}`",
            f"to do so and go on at once: `{self.command}{recover}`",
        ]
        if self.sweeps:
            named = ",".join(self.sweeps)
            ways.append(f"to pay for all of it again: `{self.command} --new-sweep {named}`")
        return ways


class NothingToRecoverError(LedgerError):
    """The service shows no run of the sweep whose ledger is to be rebuilt."""


class MadeBesideError(LedgerError):
    """A sweep that lies beside this one has the same cells; *again* is how it is gone on with.

    *command* is the call that was refused, as it was typed.
    """

    def __init__(self, message: str, *, folder: str, sweep: str, again: str) -> None:
        super().__init__(message)
        self.folder = folder
        self.sweep = sweep
        self.again = again
        self.command = "batchrun MANIFEST"

    def __str__(self) -> str:
        return "\n  ".join([Exception.__str__(self), *self.ways])

    @property
    def ways(self) -> Sequence[str]:
        return (
            f"to go on with that sweep: {self.again}",
            f"to take its results over: `{self.command} --reuse {shlex.quote(self.folder)}`",
            f"to pay for all of it again: `{self.command} --new-sweep {self.sweep}`",
        )


def most_severe(codes: Sequence[int]) -> int:
    """Return the exit code of a call that had several reasons to stop."""
    return min(codes, key=PRECEDENCE.index, default=0)
