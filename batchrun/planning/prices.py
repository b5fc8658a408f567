"""What one run may cost: low, expected, high, and where that is known from. Pure.

From best to worst (section 9 of the contract): what runs of the same choice have cost, in this
ledger or a sibling; the manifest's `price`; the label in the model's description; the price that a
public page shows; not known. A price that was seen of one choice is not the price of another.

A label bounds nothing, and neither does a page: `high` counts four of them, which is what the first
run of a choice reserves.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import money, number_of
from batchrun.engine.budget import CAUTION
from batchrun.engine.prices import Prices
from batchrun.runflow.published_prices import published

_FINENESS: Final = Decimal("0.000001")


class Source(StrEnum):
    """Where a price is known from, the best first."""

    HISTORY = "history"
    MANIFEST = "manifest"
    LABEL = "label"
    PUBLISHED = "published"


class Price(Struct, frozen=True, kw_only=True):
    """USD for one run. *runs* is how many it was learnt from, *date* when a page was read."""

    low: Decimal
    expected: Decimal
    high: Decimal
    source: Source
    runs: int = 0
    date: str = ""

    @property
    def described(self) -> str:
        """Where it is known from, for people."""
        match self.source:
            case Source.HISTORY:
                return f"{number_of(self.runs, 'run')} of the same choice"
            case Source.MANIFEST:
                return "`price` in the manifest"
            case Source.LABEL:
                return "the service's label"
            case Source.PUBLISHED:
                return f"published, {self.date}"


class PriceList:
    """The prices of runs, by what *known* has learnt; the table of pages is used *with_table*."""

    def __init__(self, known: Prices, *, with_table: bool = True) -> None:
        self._known = known
        self._with_table = with_table

    def choice(self, model: str, inputs: Mapping[str, Any]) -> str:
        """Return the choice of a run: what its price hangs on."""
        return self._known.choice(model, inputs)

    def price(self, alias: str, choice: str, model: str, inputs: Mapping[str, Any]) -> Price | None:
        """Return what one run of *choice* may cost, None where nothing says it."""
        if costs := self._known.costs(choice):
            return of_runs(costs)
        given = self._known.given(alias)
        if given is not None:
            return Price(low=given, expected=given, high=given, source=Source.MANIFEST)
        label = self._known.estimate(model, inputs)
        if label is not None:
            return Price(low=label, expected=label, high=CAUTION * label, source=Source.LABEL)
        page = published(model, inputs) if self._with_table else None
        if page is None:
            return None
        return Price(
            low=page.usd,
            expected=page.usd,
            high=CAUTION * page.usd,
            source=Source.PUBLISHED,
            date=page.date,
        )


def of_runs(costs: Sequence[Decimal]) -> Price:
    """Return the price that runs of one choice have shown."""
    mean = (sum(costs, Decimal(0)) / len(costs)).quantize(_FINENESS)
    return Price(
        low=min(costs),
        expected=mean,
        high=max(costs),
        source=Source.HISTORY,
        runs=len(costs),
    )


class Cost(Struct, kw_only=True):
    """The cost of several cells in USD; of *unknown* ones no price is known.

    *sources* says where the prices of the others are known from: how many cells, by its words.
    """

    cells: int = 0
    unknown: int = 0
    low: Decimal = Decimal(0)
    expected: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    sources: dict[str, int] = {}

    def add(self, price: Price | None, cells: int) -> None:
        """Take in more cells of one price."""
        self.cells += cells
        if price is None:
            self.unknown += cells
            return
        self.low += cells * price.low
        self.expected += cells * price.expected
        self.high += cells * price.high
        said = price.described
        self.sources[said] = self.sources.get(said, 0) + cells

    def add_all(self, other: "Cost") -> None:
        """Take in all cells of another cost."""
        self.cells += other.cells
        self.unknown += other.unknown
        self.low += other.low
        self.expected += other.expected
        self.high += other.high
        for said, cells in other.sources.items():
            self.sources[said] = self.sources.get(said, 0) + cells

    @property
    def known(self) -> bool:
        """Whether the price of any cell is known."""
        return self.cells > self.unknown

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: an amount is null where no price at all is known."""
        amounts = {"low": self.low, "expected": self.expected, "high": self.high}
        return {
            "cells": self.cells,
            **{name: money(usd) if self.known else None for name, usd in amounts.items()},
            "unknown": self.unknown,
            "sources": self.sources,
        }
