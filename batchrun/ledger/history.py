"""The life of a cell: a fold over its lines. Every rule about it is in this file. Pure.

    PENDING --intent--> DOUBTFUL --submitted--> IN_FLIGHT --finished--> SUCCEEDED, FAILED, ...

An intent on disk means that a run may exist, and nothing else may be believed until a line says so:
`submitted` (it does), `rejected` or `dropped` (it does not). The next step of a cell follows from
its state alone; recovery after a crash and after a lost answer are therefore the same step.

AFTER says which line may follow which. A pair that is not in it raises, and changes nothing.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from sys import intern
from typing import Any, Final

import msgspec
from msgspec import Struct

from batchrun.ledger.failure_codes import FailureClass, failure_class
from batchrun.ledger.records import (
    Absent,
    AnyRecord,
    CellLine,
    Dropped,
    Extra,
    Finished,
    Intent,
    Lost,
    Parked,
    Priced,
    Rejected,
    Reused,
    Saved,
    Submitted,
    by_kind,
    kind_of,
)
from batchrun.settings import Settings


class State(StrEnum):
    """Where a cell stands."""

    PENDING = "pending"
    DOUBTFUL = "doubtful"  # an intent is on disk; whether a run exists is not known
    IN_FLIGHT = "in_flight"
    SUCCEEDED = "succeeded"
    PARTIAL_SUCCEEDED = "partial_succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    # An enum's own is a function in Python, and each line looks its cell's state up in a table.
    __hash__ = str.__hash__


OPEN: Final = frozenset({State.DOUBTFUL, State.IN_FLIGHT})
GOOD: Final = frozenset({State.SUCCEEDED, State.PARTIAL_SUCCEEDED})
BAD: Final = frozenset({State.FAILED, State.CANCELLED, State.REJECTED})
ENDS: Final = GOOD | BAD - {State.REJECTED}
"""The statuses that end a run, in the API's words."""

# None: the state stays, or the line itself says which state it is (see `apply`).
AFTER: Final[dict[tuple[State, type[AnyRecord]], State | None]] = {
    (State.PENDING, Intent): State.DOUBTFUL,
    (State.FAILED, Intent): State.DOUBTFUL,
    (State.CANCELLED, Intent): State.DOUBTFUL,
    (State.REJECTED, Intent): State.DOUBTFUL,
    (State.DOUBTFUL, Submitted): State.IN_FLIGHT,
    (State.DOUBTFUL, Rejected): State.REJECTED,
    (State.DOUBTFUL, Dropped): None,  # back to what it was before the intent
    (State.DOUBTFUL, Parked): None,
    (State.IN_FLIGHT, Parked): None,
    (State.IN_FLIGHT, Finished): None,  # the status code says it
    **{(state, line): None for state in State for line in (Extra, Priced)},
    **{(state, line): None for state in GOOD for line in (Saved, Absent, Lost)},
    **{(state, Reused): State.SUCCEEDED for state in (State.PENDING, *sorted(BAD))},
}

NOWHERE: Final = -1
"""The offset of a line that is not there."""


class History(msgspec.Struct, gc=False):
    """One cell's lines, folded. The *_line fields are byte offsets of lines in the ledger.

    *attempt* is the number of the newest attempt that counts; *failures* of them ended badly;
    *before* is the state that a dropped intent gives back. *failure* is the class of the last bad
    end; it follows from the words of that line, so old ledgers have it, too.
    """

    state: State = State.PENDING
    before: State = State.PENDING
    failure: FailureClass = FailureClass.AGAIN
    attempt: int = 0
    failures: int = 0
    parked: bool = False
    run_id: str | None = None
    client_ref: str = ""
    model: str = ""
    alias: str = ""
    intent_line: int = NOWHERE
    input_line: int = NOWHERE
    ended_line: int = NOWHERE
    saved_line: int = NOWHERE
    parked_line: int = NOWHERE

    @property
    def saved(self) -> bool:
        return self.saved_line != NOWHERE


def _after(kind: type[AnyRecord]) -> dict[State, Any]:
    """Return what AFTER says of one kind of line. A million lines look here."""
    return {state: after for (state, line), after in AFTER.items() if line is kind}


_INTENT: Final = _after(Intent)
_SUBMITTED: Final = _after(Submitted)
_DROPPED: Final = _after(Dropped)
_PARKED: Final = _after(Parked)
_FINISHED: Final = _after(Finished)
_REJECTED: Final = _after(Rejected)
_SAVED: Final = _after(Saved)
_ABSENT: Final = _after(Absent)
_REUSED: Final = _after(Reused)


def apply(history: History, record: CellLine, line: int = NOWHERE) -> None:
    """Fold one more line, which stands at offset *line*, into *history*.

    Raises ValueError, and changes nothing, if the line cannot follow.
    """
    CHANGES[type(record)](history, record, line)


def _intent(history: History, record: Intent, line: int) -> None:
    if history.state not in _INTENT:
        raise _cannot_follow(history, record)
    if record.attempt <= history.attempt:
        raise ValueError(
            f"`intent` is of attempt {record.attempt}, the cell has had {history.attempt}"
        )
    history.before = history.state
    history.state = _INTENT[history.state]
    history.attempt = record.attempt
    history.run_id = None
    history.parked = False
    # Interned: a million cells share a few models, and hundreds a wave's reference.
    history.client_ref = intern(record.client_ref)
    history.model = intern(record.model)
    history.alias = intern(record.alias)
    history.intent_line = line
    if record.input is not None:
        history.input_line = line


def _submitted(history: History, record: Submitted, _line: int) -> None:
    if history.state not in _SUBMITTED or record.attempt != history.attempt:
        raise _cannot_follow(history, record)
    history.state = _SUBMITTED[history.state]
    history.run_id = record.run_id
    history.parked = False


def _dropped(history: History, record: Dropped, _line: int) -> None:
    if history.state not in _DROPPED or record.attempt != history.attempt:
        raise _cannot_follow(history, record)
    history.state = history.before
    history.attempt -= 1
    history.parked = False


def _parked(history: History, record: Parked, line: int) -> None:
    if history.state not in _PARKED or record.attempt != history.attempt:
        raise _cannot_follow(history, record)
    history.parked = True
    history.parked_line = line


def _finished(history: History, record: Finished, line: int) -> None:
    if history.state not in _FINISHED or record.attempt != history.attempt:
        raise _cannot_follow(history, record)
    state = _STATE_OF.get(record.status_code)
    if state is None:
        raise ValueError(f"`finished` with the status code {record.status_code!r}")
    history.state = state
    if state in BAD:
        history.failures += 1
        history.failure = failure_class(
            record.failure_code, record.failure_stage, record.failure_message
        )
    history.ended_line = line
    history.parked = False


def _rejected(history: History, record: Rejected, line: int) -> None:
    if history.state not in _REJECTED or record.attempt != history.attempt:
        raise _cannot_follow(history, record)
    history.state = _REJECTED[history.state]
    history.failures += 1
    history.failure = failure_class(record.code, None, record.message)
    history.ended_line = line
    history.parked = False


def _saved(history: History, record: Saved, line: int) -> None:
    if history.state not in _SAVED:
        raise _cannot_follow(history, record)
    history.saved_line = NOWHERE if record.owed else line


def _absent(history: History, record: Absent | Lost, _line: int) -> None:
    """Nothing of the cell: the book has what is known of each of its files."""
    if history.state not in _ABSENT:
        raise _cannot_follow(history, record)


def _reused(history: History, record: Reused, line: int) -> None:
    if history.state not in _REUSED:
        raise _cannot_follow(history, record)
    history.state = _REUSED[history.state]
    history.run_id = record.run_id
    history.model, history.alias = intern(record.model), intern(record.alias)
    history.ended_line = NOWHERE  # how its run ended is written in the other ledger
    history.saved_line = line


def _money(_history: History, _record: Extra | Priced, _line: int) -> None:
    """Nothing of the cell: what it has cost beside its last run is the sweep's, see the book."""


def _cannot_follow(history: History, record: CellLine) -> ValueError:
    kind = kind_of(record)
    name = kind.__name__.lower()
    if (history.state, kind) not in AFTER or isinstance(record, Saved | Reused | Absent | Lost):
        return ValueError(f"`{name}` cannot follow {history.state}")
    return ValueError(f"`{name}` is of attempt {record.attempt}, the cell is at {history.attempt}")


_STATE_OF: Final = {str(state): state for state in ENDS}

CHANGES: Final[Mapping[type[AnyRecord], Callable[[History, Any, int], None]]] = by_kind(
    {
        Intent: _intent,
        Submitted: _submitted,
        Dropped: _dropped,
        Parked: _parked,
        Finished: _finished,
        Rejected: _rejected,
        Saved: _saved,
        Reused: _reused,
        Absent: _absent,
        Lost: _absent,
        Extra: _money,
        Priced: _money,
    }
)
"""The effect of each kind of line: `apply`, for callers that ask a million times."""


class Submit(Struct, frozen=True):
    """Ask for a run. The number is that of the attempt."""

    attempt: int


class LookUp(Struct, frozen=True):
    """Find out whether a run exists."""


class Watch(Struct, frozen=True):
    """See the run to its end."""


class Rest(Struct, frozen=True):
    """Nothing more to do for this cell."""


Step = Submit | LookUp | Watch | Rest


def next_step(history: History, *, attempts: int, granted: int = 0) -> Step:
    """Decide what a cell needs next.

    *attempts* is how many runs of a cell may end failed; *granted*, if not 0, is that number for
    this cell (see `grant`).
    """
    may = False
    match history.state:
        case State.PENDING:
            return Submit(history.attempt + 1)
        case State.DOUBTFUL:
            return LookUp()
        case State.IN_FLIGHT:
            return Watch()
        case State.SUCCEEDED | State.PARTIAL_SUCCEEDED:
            pass
        case State.FAILED if history.failure is FailureClass.AGAIN:
            may = history.failures < (granted or attempts)
        case State.FAILED | State.CANCELLED | State.REJECTED:
            # A cancelled run may have been billed, and refused input stays refused, by the API as
            # by a run: one more try where it was asked for, and none after it.
            may = history.failures <= granted - attempts
    return Submit(history.attempt + 1) if may else Rest()


def grant(history: History, *, attempts: int, named: bool = False) -> int:
    """Return how many runs of a cell may end badly with `--retry-failed`: *attempts* more.

    0 where it grants none: another run doesn't help, and the cell's code wasn't *named* (rule 36).
    """
    granted = history.state in BAD and (named or left_out(history) is None)
    return history.failures + attempts if granted else 0


def left_out(history: History) -> FailureClass | None:
    """Return why `--retry-failed` leaves a cell out that ended badly, None where it doesn't.

    Input that the API refused is not left out: no run came of it, and it costs nothing to ask.
    """
    if history.state in BAD and history.failure is FailureClass.MODERATED:
        return FailureClass.MODERATED
    if history.state is State.FAILED and history.failure is FailureClass.INPUT:
        return FailureClass.INPUT
    return None


def is_to_begin(history: History, settings: Settings) -> bool:
    """Say whether a call with *settings* would ask for a run of the cell."""
    attempts, granted = settings.attempts, 0
    if settings.retry_failed:
        granted = grant(history, attempts=attempts, named=settings.names_codes)
    return isinstance(next_step(history, attempts=attempts, granted=granted), Submit)


class Standing(StrEnum):
    """The state that a cell counts as, in the words of the results and of `--json`."""

    SUCCEEDED = "succeeded"
    PARTIAL_SUCCEEDED = "partial_succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    PARKED = "parked"
    IN_DOUBT = "in_doubt"
    PENDING = "pending"
    IN_FLIGHT = "in_flight"


def standing(history: History, *, attempts: int, granted: int = 0) -> Standing:
    """Say what a cell counts as; a cell with an attempt left is pending, however it ended."""
    match history.state:
        case State.DOUBTFUL:
            return Standing.IN_DOUBT
        case State.IN_FLIGHT:
            return Standing.PARKED if history.parked else Standing.IN_FLIGHT
        case state:
            again = isinstance(next_step(history, attempts=attempts, granted=granted), Submit)
            return Standing.PENDING if again else Standing(state)
