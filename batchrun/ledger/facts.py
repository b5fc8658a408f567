"""What the lines of a ledger come to beside the histories of cells: models, costs, files. Pure."""

from collections import deque
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct, field

from batchrun.base.normalised import normalise
from batchrun.base.times import milliseconds, seconds_between
from batchrun.ledger.records import (
    Finished,
    Rejected,
)

REMEMBERED: Final = 200
"""How many of a model's newest durations are kept."""

MOST_UNPRICED: Final = 1000
"""Runs without a known cost that are remembered one by one, the newest; others are counted."""

RECENT: Final = timedelta(days=7)
"""Costs of runs that ended longer ago are not asked for any more."""

Times = tuple[str | None, str | None, int | None]
"""The times of a run that has ended: creation, completion, milliseconds."""


class Refusals(Struct):
    """How many cells a model refused in *all*, how many of the last were refused *alike*, and an
    *example* of these. Alike are those of one status, code and message, as far as they are words.
    *accepted* is whether the model ever took a cell.
    """

    accepted: bool = False
    all: int = 0
    alike: int = 0
    example: str = ""
    kind: tuple[int, str, str] | None = None

    def add(self, record: Rejected) -> None:
        """Take in one more."""
        kind = (record.http_status, normalise(record.code or ""), normalise(record.message or ""))
        self.all += 1
        if kind == self.kind:
            self.alike += 1
            return
        words = (f"HTTP {record.http_status}", record.code or "", record.message or "")
        self.kind, self.alike = kind, 1
        self.example = " ".join(word for word in words if word)


class WithoutCost(Struct):
    """How many *runs* have no known cost and may have been billed.

    *reserved* is what was reserved for them; *unreserved* of them had no reserve.
    """

    runs: int = 0
    unreserved: int = 0
    reserved: Decimal = Decimal(0)


class ModelFacts(Struct):
    """The ledger's facts of one model: how long runs took, and what they cost.

    *paid_runs* of them cost something: failed ones are free, and say nothing of the price. Runs
    *without_cost* are counted by alias, since a budget may be of one alias.
    """

    times: deque[Times] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    read: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    runs: int = 0
    cost: Decimal = Decimal(0)
    max_cost: Decimal | None = None
    paid_runs: int = 0
    without_cost: dict[str, WithoutCost] = field(default_factory=dict)

    def add_cost(self, cost: Decimal) -> None:
        """Take in what one run has cost."""
        self.cost += cost
        self.paid_runs += cost > 0
        if self.max_cost is None or cost > self.max_cost:
            self.max_cost = cost

    @property
    def unpriced(self) -> WithoutCost:
        """The runs without a known cost, of all aliases."""
        each = self.without_cost.values()
        return WithoutCost(
            runs=sum(known.runs for known in each),
            unreserved=sum(known.unreserved for known in each),
            reserved=sum((known.reserved for known in each), Decimal(0)),
        )

    def count_unpriced(self, alias: str, runs: int, reserved: Decimal | None) -> None:
        """Take in so many more, or fewer, *runs* without a cost; *reserved* is for each."""
        known = self.without_cost.setdefault(alias, WithoutCost())
        known.runs += runs
        if reserved is None:
            known.unreserved += runs
        else:
            known.reserved += runs * reserved

    @property
    def durations(self) -> list[float]:
        """Seconds from the creation to the end of the newest runs, the newest last.

        Times are parsed when they are asked for, and never while a ledger is folded.
        """
        while self.times:
            if (seconds := _seconds(*self.times.popleft())) is not None:
                self.read.append(seconds)
        return list(self.read)


class UnpricedRun(Struct, frozen=True):
    """A run that ended without a cost that was known then, and when; *reserved* was for it."""

    cell: str
    attempt: int
    client_ref: str
    alias: str
    at: str
    reserved: Decimal | None

    def age(self, now: datetime) -> timedelta:
        """Return how long ago it ended; of this call's runs no time is noted."""
        with suppress(ValueError):
            return now - datetime.fromisoformat(self.at)
        return timedelta(0)


class LateCosts(Struct):
    """Runs without a cost when they ended: those still without one, and what others *came* to."""

    unpriced: dict[str, UnpricedRun] = field(default_factory=dict)
    came: dict[str, Decimal] = field(default_factory=dict)


class OwedFiles(Struct):
    """Cells of which not all files are here, by their keys; numbers are offsets of lines.

    *missing* has the `saved` lines of cells of which a file is gone from the folder, *partly* of
    cells of which one is still owed. *absent* and *lost* have, by its place, the line of each file
    that was not at its host, once or for good.
    """

    missing: dict[str, int] = field(default_factory=dict)
    partly: dict[str, int] = field(default_factory=dict)
    absent: dict[str, dict[int, int]] = field(default_factory=dict)
    lost: dict[str, dict[int, int]] = field(default_factory=dict)


class KnownRun(Struct, frozen=True):
    """A run that the ledger knows, and the wave that shows it."""

    run_id: str
    client_ref: str
    cell: str


def duration(record: Finished) -> float | None:
    """Return the seconds from a run's creation to its end, as the service counts them."""
    return _seconds(record.created_at, record.completed_at, record.duration_ms)


def _seconds(created: str | None, completed: str | None, ms: int | None) -> float | None:
    # The times are the service's own words, and ledgers of earlier versions have any.
    took = seconds_between(created, completed)
    if took is None and (ms := milliseconds(ms)) is not None:
        took = ms / 1000
    return took
