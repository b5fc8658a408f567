"""A plan's table keeps within a terminal; what doesn't fit is said below it."""

from collections import Counter
from decimal import Decimal

from batchrun.commands.plan_table import plan_table
from batchrun.engine.price_list import Cost
from batchrun.results.tally import ModelRow, Tally


def row(alias: str, source: str) -> tuple[ModelRow, Cost]:
    tally = Tally(cells=8, pending=8)
    low, high = Decimal("1.28"), Decimal("5.12")
    cost = Cost(cells=8, low=low, expected=low, high=high, sources=Counter({source: 8}))
    return ModelRow(alias=alias, tally=tally), cost


ROWS = [row("banana", "published, 2026-05"), row("gpt", "published, 2026-05"), row("s", "runs")]


def test_it_has_all_columns_where_they_fit_and_where_there_is_no_terminal() -> None:
    lines = plan_table(ROWS)

    assert plan_table(ROWS, 200) == lines
    assert lines[0].endswith("cost to come                   price known from")
    assert lines[1].endswith("about 1.28 USD (1.28 to 5.12)  published, 2026-05")


def test_in_a_narrower_one_where_prices_are_known_from_is_said_below() -> None:
    lines = plan_table(ROWS, 80)

    assert lines[1].endswith("about 1.28 USD (1.28 to 5.12)")
    assert lines[-1] == "prices known from: published, 2026-05 (banana, gpt); runs (s)"


def test_in_a_very_narrow_one_the_ends_of_amounts_are_left_out() -> None:
    lines = plan_table(ROWS, 50)

    assert lines[1].endswith("  about 1.28 USD")
    assert max(map(len, lines[:-1])) <= 50


def test_a_plan_of_nothing_needs_no_line_of_prices() -> None:
    assert len(plan_table([(ROWS[0][0], Cost())], 20)) == 2


def test_cells_that_ended_badly_are_not_done_and_have_a_column_where_there_are_some() -> None:
    ended = ModelRow(alias="a", tally=Tally(cells=9, succeeded=4, rejected=2, failed=3))

    head, line = plan_table([(ended, Cost())])

    assert head.split()[:8] == ["model", "cells", "done", "ended", "badly", "open", "to", "do"]
    assert line.split() == ["a", "9", "4", "5", "0", "0", "none"]
