"""What a sweep waits for, in one line. Pure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec import Struct

from batchrun.base.text import money, number_of, usd


class Waiting(Struct, frozen=True, kw_only=True):
    """What stands in the way of a sweep's end.

    *holder* is the process that holds the ledger, where one does. *running* runs are under way,
    and *doubtful* sends may have made one; the oldest began *since* (UTC). *unpriced* runs have no
    known cost yet. *budget* and *spent* are in USD: no further cell fits, and *pending* are left.
    """

    holder: str | None = None
    running: int = 0
    doubtful: int = 0
    since: str | None = None
    unpriced: int = 0
    pending: int = 0
    budget: Decimal | None = None
    spent: Decimal = Decimal(0)

    def __bool__(self) -> bool:
        return bool(self.holder or self.running or self.doubtful or self.unpriced or self.budget)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; a sum of money is text."""
        return {
            "holder": self.holder,
            "runs": self.running,
            "in_doubt": self.doubtful,
            "since": self.since,
            "unpriced": self.unpriced,
            "budget": None if self.budget is None else money(self.budget),
        }

    def line(self, age: str) -> str:
        """Return the line that people read, empty for nothing; *age* is that of the oldest run."""
        reasons = "; ".join(self._reasons(age))
        return f"waiting for {reasons}" if reasons else ""

    def _reasons(self, age: str) -> Iterator[str]:
        if self.holder:
            yield f"another process, which holds the ledger: {self.holder}"
        oldest = f", the oldest for {age}" if age else ""
        if self.running:
            yield f"{number_of(self.running, 'run')}{oldest}"
        if self.doubtful:
            said = "" if self.running else oldest
            yield f"a look-up of {number_of(self.doubtful, 'send')} in doubt{said}"
        if self.unpriced:
            yield f"the cost of {number_of(self.unpriced, 'run')}, which is not known yet"
        if self.budget is not None:
            left = f"{usd(self.spent)} of {usd(self.budget)} USD are spent"
            yield f"a larger budget for {number_of(self.pending, 'cell')}: {left}"
