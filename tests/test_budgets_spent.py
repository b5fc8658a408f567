"""What is spent of each budget, as `--json` and people have it."""

from decimal import Decimal

from ledger_lines import finished, intent, submitted
from msgspec.structs import replace

from batchrun.ledger.book import Book
from batchrun.ledger.records import AnyRecord
from batchrun.results.budgets import budgets_of, in_words
from batchrun.settings import settings_from


def test_each_budget_shows_its_limit_and_what_is_spent_of_it() -> None:
    book = Book()
    done: list[AnyRecord] = [intent("c1"), submitted("c1"), finished("c1", cost=Decimal("0.30"))]
    for line, record in enumerate(done):
        book.add(record, line)
    settings = replace(
        settings_from({}, model_concurrency={}, model_prices={}, model_budgets={}),
        model_budgets={"banana": Decimal(2), "kling": Decimal("0.5")},
        budget_per_day=Decimal(20),
    )

    found = budgets_of(book, settings, Decimal(5))
    assert [each.as_dict() for each in found] == [
        {"of": "sweep", "limit": "5.00", "spent": "0.30"},
        {"of": "banana", "limit": "2.00", "spent": "0.30"},
        {"of": "kling", "limit": "0.50", "spent": "0.00"},
        {"of": "day", "limit": "20.00", "spent": None},
    ]
    assert in_words(found[:2]) == (
        "; of its budget of 5.00 USD 0.30 are spent"
        "; of the budget for banana of 2.00 USD 0.30 are spent"
    )
    assert budgets_of(book, None, None) == []
    assert in_words(budgets_of(book, None, Decimal("0.30"))).endswith(": raise it to go on")
