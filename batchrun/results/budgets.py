"""How much of each budget is spent, for `--json` and for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from batchrun.base.text import money, usd
from batchrun.ledger.book import Book
from batchrun.settings import Settings


class Spent(Struct, frozen=True, kw_only=True):
    """A budget in USD and what is spent of it; *of* is `sweep`, `day`, or a model's alias.

    Of a day it is not known here: other labels spend from it, too.
    """

    of: str
    limit: Decimal
    spent: Decimal | None

    def as_dict(self) -> Mapping[str, Any]:
        """Return it for JSON."""
        spent = None if self.spent is None else money(self.spent)
        return {"of": self.of, "limit": money(self.limit), "spent": spent}


def budgets_of(book: Book, settings: Settings | None, budget: Decimal | None) -> Sequence[Spent]:
    """Return the budgets of a sweep; *budget* is that of all its runs."""
    return list(_budgets(book, settings, budget))


def _budgets(book: Book, settings: Settings | None, budget: Decimal | None) -> Iterator[Spent]:
    if budget is not None:
        yield Spent(of="sweep", limit=budget, spent=book.cost)
    if settings is None:
        return
    for alias, limit in settings.model_budgets.items():
        yield Spent(of=alias, limit=limit, spent=book.spent.get(alias, Decimal(0)))
    if settings.budget_per_day is not None:
        yield Spent(of="day", limit=settings.budget_per_day, spent=None)


def in_words(budgets: Sequence[Spent]) -> str:
    """Return what is spent of each, in words that follow a sentence; "" for none."""
    return "".join(
        f"; of {_named(each)} {usd(each.spent)} are spent{_used_up(each)}"
        for each in budgets
        if each.spent is not None
    )


def _used_up(budget: Spent) -> str:
    return (
        ": raise it to go on" if budget.spent is not None and budget.spent >= budget.limit else ""
    )


def _named(budget: Spent) -> str:
    whose = "its budget" if budget.of == "sweep" else f"the budget for {budget.of}"
    return f"{whose} of {usd(budget.limit)} USD"
