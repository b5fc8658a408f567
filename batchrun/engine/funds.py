"""All that limits what a call may begin: its budgets, the day's, and the models it may run."""

from collections.abc import Sequence

from msgspec import Struct

from batchrun.engine.admission import Admission
from batchrun.engine.budget import Budget
from batchrun.engine.day_budget import DayBudget
from batchrun.engine.in_flight import Attempt
from batchrun.ledger.records import Intent


class Funds(Struct, frozen=True):
    """What a call may spend."""

    budget: Budget
    day: DayBudget
    admission: Admission

    async def cover(self, attempts: Sequence[Attempt], intent: Intent) -> bool:
        """Return whether attempts may still be sent, with their share of the day drawn durably.

        It may be some time since they were drawn; what may not be sent is put off.
        """
        if any(self.budget.overdrawn(each.alias) for each in attempts):
            return False
        if any(self.admission.is_stopped(each.model) for each in attempts):
            return False
        return await self.day.cover(attempts, intent)
