"""Whether the account's balance pays for the cells that are to be begun, before the first of them.

A balance below the expected cost ends the call, and nothing is sent (rule 36 of the contract). The
expected cost is no more than the budgets still allow. A price or a balance that isn't known is no
reason to stop: the call goes on, and says so.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Final

import anyio
import anyio.lowlevel

from batchrun.base.text import number_of, usd
from batchrun.engine.context import Context
from batchrun.engine.pots import Pot
from batchrun.engine.price_list import PriceList
from batchrun.engine.prices import Prices
from batchrun.errors import KeyRefusedError, OutOfCreditError, UnreachableError
from batchrun.ledger.history import is_to_begin
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand

LONGEST: Final = 10.0
"""Seconds that the balance may take to be said: all runs wait for it."""

YIELD_EVERY: Final = 500


class Affordable:
    """Asks for the balance once in a call; other tasks wait meanwhile.

    *wants* says whether the call is about a cell, *learn* learns prices where that isn't done yet.
    """

    def __init__(
        self,
        context: Context,
        *,
        prices: Prices,
        pots: Sequence[Pot],
        wants: Callable[[Cell], bool],
        learn: Callable[[], Awaitable[None]],
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._prices = PriceList(prices)
        self._pots = pots
        self._wants = wants
        self._learn = learn
        self._turn = anyio.Lock()
        self._checked = context.settings.allow_short

    async def check(self) -> None:
        """Return if runs may be asked for; else end the submitting, and wait to be held back."""
        if not self._checked:
            async with self._turn:
                await self._check_once()

    async def _check_once(self) -> None:
        if self._checked:
            return
        if (error := await self._short()) is not None:
            self._context.shutdown.submit_no_more(error)
            await anyio.sleep_forever()
        self._checked = True

    async def _short(self) -> OutOfCreditError | None:
        """Return why the balance doesn't suffice, None where it does, or that isn't known."""
        balance = await self._asked()
        if balance is None:
            self._context.progress.note("the account's balance is not known")
            return None
        aliases = {model.alias for model in self._context.manifest.models}
        whole = [pot for pot in self._pots if all(map(pot.holds, aliases))]
        if any(pot.free() <= balance for pot in whole):
            return None  # no more than that is spent
        await self._learn()
        return await self._compared(balance)

    async def _asked(self) -> Decimal | None:
        try:
            with anyio.move_on_after(LONGEST):
                return await self._context.client.balance()
        except (KeyRefusedError, UnreachableError):
            # Whether the key holds, and the service is there, POSTs and `/auth/me` say (rule 15).
            pass
        return None

    async def _compared(self, balance: Decimal) -> OutOfCreditError | None:
        costs: dict[str, Decimal] = {}
        cells = unknown = 0
        async with aclosing(self._to_begin()) as cells_to_begin:
            async for cell in cells_to_begin:
                cost = self._cost(cell)
                if cost is None:
                    unknown += 1
                    continue
                cells += 1
                costs[cell.alias] = costs.get(cell.alias, Decimal(0)) + cost
                if (expected := self._capped(costs)) > balance:
                    return _too_little(balance, cells, expected)
        if unknown:
            self._context.progress.note(
                f"no price is known for {number_of(unknown, 'cell')}: whether the balance of "
                f"{usd(balance)} USD suffices is not known"
            )
        return None

    async def _to_begin(self) -> AsyncGenerator[Cell, None]:
        """Yield the cells of which a run would be asked for, each once."""
        book, limit = self._context.ledger.book, self._settings.limit
        new, seen = 0, KeyIndex()
        for number, cell in enumerate(expand(self._context.manifest)):
            if number % YIELD_EVERY == 0:
                await anyio.lowlevel.checkpoint()
            if self._wants(cell) and seen.add(cell.key)[1] and self._begins(cell):
                new += not book.history(cell.key).attempt
                if limit is not None and new > limit:
                    return
                yield cell

    def _begins(self, cell: Cell) -> bool:
        return is_to_begin(self._context.ledger.book.history(cell.key), self._settings)

    def _cost(self, cell: Cell) -> Decimal | None:
        choice = self._prices.choice(cell.model, cell.input)
        price = self._prices.price(cell.alias, choice, cell.model, cell.input)
        return None if price is None else price.expected

    def _capped(self, costs: dict[str, Decimal]) -> Decimal:
        """Return the sum of *costs* by alias, each as far as the budget of its model allows."""
        return sum((self._of_alias(alias, cost) for alias, cost in costs.items()), Decimal(0))

    def _of_alias(self, alias: str, cost: Decimal) -> Decimal:
        return max(Decimal(0), min([cost, *(pot.free() for pot in self._pots if pot.holds(alias))]))


def _too_little(balance: Decimal, cells: int, expected: Decimal) -> OutOfCreditError:
    return OutOfCreditError(
        f"the balance of {usd(balance)} USD is below the expected cost: the first "
        f"{number_of(cells, 'cell')} to be begun cost about {usd(expected)} USD; add credit to "
        "the account, or go on all the same with `--allow-short`"
    )
