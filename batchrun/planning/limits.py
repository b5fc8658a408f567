"""Whether the budgets, and the account's balance, pay for what is to do.

As far as prices are known: what nothing prices is not counted, and the plan says so beside it.
"""

from collections.abc import Iterator
from decimal import Decimal

from batchrun.base.text import number_of, usd
from batchrun.engine.price_list import Cost
from batchrun.planning.forecast import Forecast
from batchrun.settings import Settings


def too_little(settings: Settings, forecast: Forecast) -> Iterator[str]:
    """Yield a line for each budget that ends before what is to do."""
    to_come = forecast.to_do.cost().expected
    if settings.budget is not None and forecast.spent + to_come > settings.budget:
        yield covers(settings.budget, forecast.to_do.cost(), spent=forecast.spent)
    spent = {row.alias: row.cost for row in forecast.counted.models}
    costs = forecast.to_do.costs()
    for alias, limit in settings.model_budgets.items():
        so_far = spent.get(alias, Decimal(0))
        if alias in costs and so_far + costs[alias].expected > limit:
            yield covers(limit, costs[alias], of=f" for {alias}", spent=so_far)
    day = settings.budget_per_day
    if day is not None and to_come > day:
        yield covers(day, forecast.to_do.cost(), of=" a day")


def covers(limit: Decimal, cost: Cost, *, of: str = "", spent: Decimal = Decimal(0)) -> str:
    """Say how many of the cells to come a budget pays for, of which so much is *spent*.

    It is about as many as cells of the mean price fit; the cells without a known price don't count.
    """
    known = cost.cells - cost.unknown
    room = max(Decimal(0), limit - spent)
    cells = min(known, int(known * room / cost.expected)) if cost.expected else known
    gone = f"; {usd(spent)} USD are spent" if spent else ""
    covered = f"{f'about {cells:,}' if cells else 'none'} of {number_of(known, 'cell')}"
    return f"the budget of {usd(limit)} USD{of} covers {covered}{gone}"


def of_a_day(settings: Settings) -> Iterator[str]:
    """Yield what a day's budget doesn't count."""
    if settings.budget_per_day is not None:
        yield (
            f"the budget of {usd(settings.budget_per_day)} USD a day holds for all labels in "
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
