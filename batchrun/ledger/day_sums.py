"""The money that a ledger's runs take from each day. Pure.

A run counts on the UTC day of its intent's `server_at`, or of our own clock where the service's
isn't known (rule 32 of the contract). A request that is in doubt may be sent again on a later day,
so it counts on each day from its own on until it is settled, and then on the later of its own and
its run's. A second run that comes to light when its attempt is over counts on that day.

The same fold reads a file and follows a ledger that grows: so a sum that is kept and one that is
made again from the ledger are equal.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from msgspec import Struct

from batchrun.base.times import moment
from batchrun.ledger.history import State
from batchrun.ledger.records import (
    AnyRecord,
    Dropped,
    Extra,
    Finished,
    Intent,
    Priced,
    Rejected,
    Submitted,
)


class _Sent(Struct):
    """One intent whose run may be running, or has ended without a cost."""

    day: str
    model: str
    alias: str
    reserved: Decimal | None
    sure: bool = False  # one send had a clear answer, so no other is made
    doubted: bool = False

    def counts_on(self, day: str) -> bool:
        return self.day == day or (self.day < day and (self.doubted or not self.sure))


Given = Callable[[str], Decimal | None]

NOT_GIVEN: Final[Given] = dict[str, Decimal]().get


class DaySums:
    """Sums by UTC day, such as "2026-11-29": what was spent, and what may still be."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._open: dict[str, _Sent] = {}
        self._unpriced: dict[str, _Sent] = {}
        self._late: dict[str, Decimal] = {}  # by run: a cost that came after its end
        self._extras: dict[str, tuple[str, Decimal]] = {}
        self._dearest: dict[str, Decimal] = {}

    def take(self, record: AnyRecord | None) -> None:
        """Take in the next line of the ledger."""
        match record:
            case Intent():
                day = day_of(record)
                self._open[record.cell] = _Sent(day, record.model, record.alias, record.reserved)
            case Submitted():
                if (sent := self._open.get(record.cell)) is not None:
                    sent.sure, sent.doubted = True, record.doubted
            case Rejected() | Dropped():
                self._open.pop(record.cell, None)
            case Finished():
                self._ended(record)
            case Priced():
                self._priced(record)
            case Extra():
                self._extra(record)
            case _:
                pass

    def spent(self, day: str) -> Decimal:
        """Return what runs of *day* have cost."""
        return self._spent.get(day, Decimal(0))

    def unpriced(self, day: str, given: Given = NOT_GIVEN) -> Decimal | None:
        """Return what runs of *day* that ended without a cost count as; None is no bound.

        *given* is what a run of an alias costs at most, for those that reserved nothing.
        """
        return self._sum([sent for sent in self._unpriced.values() if sent.day == day], given)

    def may_cost(self, day: str) -> Decimal | None:
        """Return what runs that may be running count as on *day*; None is no bound."""
        return self._sum([sent for sent in self._open.values() if sent.counts_on(day)])

    def _sum(self, sent: list[_Sent], given: Given = NOT_GIVEN) -> Decimal | None:
        return total(
            (self._dearest.get(each.model) or given(each.alias))
            if each.reserved is None
            else each.reserved
            for each in sent
        )

    def _ended(self, record: Finished) -> None:
        sent = self._open.pop(record.cell, None)
        if sent is None:
            return
        if sent.doubted:
            sent.day = max(sent.day, _day_of_time(record.created_at))
        if record.cost is not None:
            self._spend(sent.day, record.cost)
            if record.cost > self._dearest.get(sent.model, 0):
                self._dearest[sent.model] = record.cost
        elif record.status_code != State.FAILED:  # failed runs are not billed
            self._unpriced[record.run_id] = sent

    def _priced(self, record: Priced) -> None:
        sent = self._unpriced.pop(record.run_id, None)
        day = record.at[: len(_DAY)] if sent is None else sent.day
        self._spend(day, record.cost - self._late.get(record.run_id, Decimal(0)))
        self._late[record.run_id] = record.cost

    def _extra(self, record: Extra) -> None:
        sent = self._open.get(record.cell)
        first = record.at[: len(_DAY)] if sent is None else sent.day
        day, known = self._extras.get(record.run_id, (first, Decimal(0)))
        cost = known if record.cost is None else record.cost
        self._spend(day, cost - known)
        self._extras[record.run_id] = day, cost

    def _spend(self, day: str, cost: Decimal) -> None:
        self._spent[day] += cost


_DAY: Final = "2026-11-29"


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum of *amounts*; None where one of them has no bound."""
    found = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        found += amount
    return found


def day_of(intent: Intent) -> str:
    """Return the day on which the run of an intent counts."""
    return (intent.server_at or intent.at)[: len(_DAY)]


def day_at(moment: datetime) -> str:
    """Return the UTC day of *moment*."""
    return moment.astimezone(UTC).date().isoformat()


def _day_of_time(text: str | None) -> str:
    """Return the day of a service's time, "" where it is none."""
    at = moment(text)
    return "" if at is None else day_at(at)


class Held(Struct, frozen=True, kw_only=True, tag="held", tag_field="type"):
    """A line of the file: the whole part of the day that one label has. Money is USD.

    *owner* is its folder's name, "" without a label. *reserved* is None where it has no bound.
    *through* is how many bytes its ledger had by then. *waits*: its call does nothing but wait for
    the others. *call* stands for the call that wrote it: a later one may keep no budget by day.
    """

    owner: str
    at: str
    spent: Decimal
    reserved: Decimal | None
    through: int
    waits: bool = False
    call: str = ""


class Other(Struct, frozen=True):
    """The part of one other label: *spent*, and what its runs *reserved*; None has no bound.

    *alive* is whether its call goes on, *waits* whether it does nothing but wait for the others.
    """

    folder: Path
    spent: Decimal
    reserved: Decimal | None
    alive: bool
    waits: bool = False
