"""The attempts under way in this process, and the slots they hold. Pure.

An attempt holds its slot from its intent until it is certain that its run does not run any more:
in flight, in doubt and parked all count, restarts included. That is what keeps promise 5. Where a
signed callback says that it has ended, its slot is free before the API is asked about it.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from batchrun.engine.phases import LEFT, REQUESTED, UNRESOLVED, Phase
from batchrun.engine.run_age import Sight
from batchrun.ledger.records import Dropped, Rejected
from batchrun.manifest.cells import Cell

T = TypeVar("T", bound=Hashable)


class Callback(Enum):
    """All that is known of an attempt's callback."""

    AWAITED = "it is to come, where the request asked for one"
    LATE = "it has not come in the time in which nearly all do"
    HEARD = "it has come, and no other counts"


@dataclass(slots=True, eq=False, kw_only=True)
class Attempt:
    """One attempt under way. Moments are the loop's clock.

    *client_ref* and *idempotency_key* are empty until it is known in which request it travels; of a
    batch, *index* is its place in it. *sent* is the cell's input as it is sent, None until it is
    known and again once the intent has it. *cell* is what it takes to send it again, None where
    that isn't known; *selected* is whether this call is about it, *yielded* whether the walk of the
    grid has come to it. *last_send_ended_at* is when our last send of the intent ended, or when
    this process took the lock: an empty look-up counts only `settle` after it.
    *nodes* are the steps of its run that were over when it was shown last, and all of them.
    The run began about *started*; *sight* is what its age hangs on.
    *choice* is what its price hangs on, "" without a budget; *first*: it is to show that price.
    *day* is the UTC day on which its cost counts, such as 2026-11-29, and None as long as that may
    be each day: it isn't sent yet, or is in doubt and may be sent again.
    *callback_url* is where its request has the end announced, None where nowhere.
    *over*: it holds no slot, since that end was announced; *callback* is how far that is.
    *verdict* is the line to write if the next look-up that counts is empty: the refusal of a resend
    says nothing about the first send.
    """

    key: str
    number: int
    alias: str
    model: str
    client_ref: str = ""
    idempotency_key: str = ""
    index: int | None = None
    name: str
    cell: Cell | None = None
    sent: Mapping[str, Any] | None = None
    selected: bool = True
    yielded: bool = False
    granted: int = 0
    choice: str = ""
    reserved: Decimal | None = None
    first: bool = False
    day: str | None = None
    callback_url: str | None = None
    callback: Callback = Callback.AWAITED
    over: bool = False
    run_id: str | None = None
    nodes: tuple[int, int] | None = None
    started: float = 0.0
    sight: Sight = field(default_factory=Sight)
    sends: int = 0
    last_send_ended_at: float = 0.0
    doubted: bool = False
    conflicted: bool = False
    verdict: Rejected | Dropped | None = None
    phase: Phase = Phase.NEW

    @property
    def unresolved(self) -> bool:
        """Whether only a look-up can show if a run exists: now, or in a later call."""
        return self.phase in UNRESOLVED

    @property
    def parked(self) -> bool:
        """Whether it is left to a later call."""
        return self.phase in LEFT

    @property
    def waits(self) -> bool:
        """Whether it has not been given a request yet."""
        return self.phase in {Phase.PREPARING, Phase.QUEUED}

    @property
    def share(self) -> "Share":
        """The money that it reserves, and for what."""
        return Share(self.alias, self.choice, self.reserved, self.day)


class Share(NamedTuple):
    """The money that one attempt reserves, its alias, its choice, and the day that it counts on."""

    alias: str
    choice: str
    amount: Decimal | None
    day: str | None = None


class Active:
    """Everything that a call still waits for: attempts, waves, downloads. Empty, it is over.

    What must come to an end is noted here where it begins; so the call's loop has one condition to
    end on. It asked six questions once, and a call ended with its cells undone: the last request
    was over, and that its cells were to be drawn again was still being written.
    """

    def __init__(self) -> None:
        self._awaited: set[Hashable] = set()

    def __bool__(self) -> bool:
        return bool(self._awaited)

    def __repr__(self) -> str:
        return f"<Active: {len(self._awaited)} awaited>"

    def only(self, thing: Hashable) -> bool:
        """Say whether the call waits for nothing but *thing*."""
        return self._awaited == {thing}

    def note(self, thing: Hashable, *, awaited: bool) -> None:
        """Note whether the call waits for *thing*."""
        if awaited:
            self._awaited.add(thing)
        else:
            self._awaited.discard(thing)


class InFlight:
    """The attempts under way, by cell; counts the slots in all and per model.

    What they reserve is counted, too: to add it up for each that begins would take longer the more
    are under way. A reservation is changed by `reserve` and `date` alone.
    """

    def __init__(self, concurrency: int, per_alias: Mapping[str, int]) -> None:
        self._concurrency = concurrency
        self._per_alias = per_alias
        self._attempts: dict[str, Attempt] = {}
        self._by_run: dict[str, Attempt] = {}
        self._over = 0
        self._used: Counter[str] = Counter()
        self._shares: Counter[Share] = Counter()
        self._choices: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._attempts)

    def __contains__(self, key: str) -> bool:
        return key in self._attempts

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._attempts.values())

    def get(self, key: str) -> Attempt | None:
        return self._attempts.get(key)

    def with_run(self, run_id: str) -> Attempt | None:
        """Return the attempt under way whose run has that id."""
        return self._by_run.get(run_id)

    def full(self) -> bool:
        return len(self._attempts) - self._over >= self._concurrency

    def has_room(self, alias: str) -> bool:
        """Say whether another attempt of this model may begin."""
        limit = self._per_alias.get(alias)
        return not self.full() and (limit is None or self._used[alias] < limit)

    def under_way(self, alias: str) -> int:
        """Return how many attempts of this model hold a slot."""
        return self._used[alias]

    def most(self, alias: str) -> int:
        """Return how many attempts of this model may be under way at once."""
        return min(self._concurrency, self._per_alias.get(alias, self._concurrency))

    @property
    def shares(self) -> Mapping[Share, int]:
        """How many attempts reserve the same: there are few amounts, as there are few prices."""
        return self._shares

    def has_choice(self, choice: str) -> bool:
        """Say whether any attempt is of *choice*."""
        return choice in self._choices

    def begin(self, attempt: Attempt) -> None:
        self._attempts[attempt.key] = attempt
        self._used[attempt.alias] += 1
        self._note_share(attempt)
        if attempt.run_id is not None:
            self._by_run[attempt.run_id] = attempt

    def know(self, attempt: Attempt, run_id: str) -> None:
        """Note which run an attempt under way has created."""
        attempt.run_id = run_id
        self._by_run[run_id] = attempt

    def free(self, attempt: Attempt) -> None:
        """Give the attempt's slot back; what it reserves stays until it has ended."""
        if not attempt.over:
            attempt.over = True
            self._used[attempt.alias] -= 1
            self._over += 1

    def hold(self, attempt: Attempt) -> None:
        """Have the attempt hold a slot again, whether there is one or not: its run is running."""
        if attempt.over:
            attempt.over = False
            self._used[attempt.alias] += 1
            self._over -= 1

    def end(self, attempt: Attempt) -> None:
        """Give back all that the attempt holds."""
        self.free(attempt)
        self._over -= 1
        del self._attempts[attempt.key]
        if attempt.run_id is not None:
            self._by_run.pop(attempt.run_id, None)
        self._forget_share(attempt)

    def reserve(
        self, attempt: Attempt, amount: Decimal | None, *, choice: str | None = None
    ) -> None:
        """Have an attempt that is under way reserve another *amount*; *choice* if it is new."""
        self._forget_share(attempt)
        attempt.reserved = amount
        attempt.choice = attempt.choice if choice is None else choice
        self._note_share(attempt)

    def date(self, attempt: Attempt, day: str | None) -> None:
        """Have what an attempt under way reserves count on another *day*; None is each."""
        if attempt.day != day:
            self._forget_share(attempt)
            attempt.day = day
            self._note_share(attempt)

    def _note_share(self, attempt: Attempt) -> None:
        self._shares[attempt.share] += 1
        self._choices[attempt.choice] += 1

    def _forget_share(self, attempt: Attempt) -> None:
        _take_one(self._shares, attempt.share)
        _take_one(self._choices, attempt.choice)

    def flying(self) -> int:
        """Return how many runs are known to be under way and are looked at."""
        return sum(attempt.phase is Phase.RUNNING and not attempt.over for attempt in self)

    def nodes(self) -> tuple[int, int] | None:
        """Return the same of their steps: how many are over, and all; None if none has several."""
        shown = [each.nodes for each in self if each.phase is Phase.RUNNING and each.nodes]
        return (sum(over for over, _ in shown), sum(all_ for _, all_ in shown)) if shown else None

    def sending(self) -> bool:
        """Say whether an answer is being waited for."""
        return any(attempt.phase in REQUESTED for attempt in self)


def _take_one(counts: Counter[T], kind: T) -> None:
    counts[kind] -= 1
    if not counts[kind]:
        del counts[kind]
