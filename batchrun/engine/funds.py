"""All that limits what a call may spend: its budgets, the day's that is shared, and the credit."""

from collections.abc import Sequence

from msgspec import Struct

from batchrun.engine.budget import Budget
from batchrun.engine.credit import Credit
from batchrun.engine.day_budget import DayBudget
from batchrun.engine.in_flight import Attempt
from batchrun.ledger.records import Intent


class Funds(Struct, frozen=True):
    """What a call may spend."""

    budget: Budget
    day: DayBudget
    credit: Credit

    async def cover(self, attempts: Sequence[Attempt], intent: Intent) -> bool:
        """Return whether attempts may still be sent, with their share of the day drawn durably.

        It may be some time since they were drawn; what may not be sent is put off.
        """
        if any(self.budget.overdrawn(each.alias) for each in attempts):
            return False
        if any(self.credit.is_stopped(each.model) for each in attempts):
            return False
        return await self.day.cover(attempts, intent)
