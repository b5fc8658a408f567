"""Whether the budgets, and the account's balance, pay for what is to do.

As far as prices are known: what nothing prices is not counted, and the plan says so beside it.
"""

from collections.abc import Iterator
from decimal import Decimal

from batchrun.base.text import money
from batchrun.planning.forecast import Forecast
from batchrun.settings import Settings


def too_little(settings: Settings, forecast: Forecast) -> Iterator[str]:
    """Yield a line for each budget that ends before what is to do."""
    to_come = forecast.to_do.cost().expected
    if settings.budget is not None and forecast.spent + to_come > settings.budget:
        yield _short(settings.budget, "", forecast.spent)
    spent = {row.alias: row.cost for row in forecast.counted.models}
    costs = forecast.to_do.costs()
    for alias, limit in settings.model_budgets.items():
        so_far = spent.get(alias, Decimal(0))
        if alias in costs and so_far + costs[alias].expected > limit:
            yield _short(limit, f" for {alias}", so_far)
    day = settings.budget_per_day
    if day is not None and to_come > day:
        yield f"the budget of {money(day)} USD a day will not do for all today"


def _short(limit: Decimal, of: str, spent: Decimal) -> str:
    said = f"of which {money(spent)} USD are spent"
    return f"the budget of {money(limit)} USD{of}, {said}, will not do for all"


def of_a_day(settings: Settings) -> Iterator[str]:
    """Yield what a day's budget doesn't count."""
    if settings.budget_per_day is not None:
        yield (
            f"the budget of {money(settings.budget_per_day)} USD a day holds for all labels in "
            "this folder; what other machines spend is not counted"
        )


def suffices(balance: Decimal | None, settings: Settings, forecast: Forecast) -> bool | None:
    """Say whether *balance* pays for what the call would spend; None where it isn't known.

    No more is spent than the budget of the sweep, or of the day, still allows.
    """
    if balance is None:
        return None
    cost = forecast.to_do.cost()
    most = [cost.expected]
    if settings.budget is not None:
        most.append(max(Decimal(0), settings.budget - forecast.spent))
    if settings.budget_per_day is not None:
        most.append(settings.budget_per_day)
    if min(most) > balance:
        return False
    return None if cost.unknown else True
