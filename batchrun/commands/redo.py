"""`batchrun redo MANIFEST --only NAME=V`: make chosen cells again, and pay for just these."""

import sys
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from batchrun.base.said import log
from batchrun.base.text import money, number_of, usd
from batchrun.commands.call import Call, prepare_for
from batchrun.commands.changed_types import check_types
from batchrun.commands.confirm import confirm
from batchrun.commands.error_boundary import import_command
from batchrun.commands.notes import notes_of
from batchrun.commands.options import Parser
from batchrun.commands.plan_table import total
from batchrun.commands.preview import checked, price_list
from batchrun.commands.run_options import FOR_ONE_CALL, SHOWING, command_in, parse, parser_of
from batchrun.commands.target import Subject, command_of, naming_recover, opened
from batchrun.engine.redo import By, Choice, Wishes, choose
from batchrun.engine.selection import ChosenCells, Selection
from batchrun.errors import BudgetReachedError, UsageError
from batchrun.ledger.file import Ledger
from batchrun.ledger.reader import Readable
from batchrun.planning.limits import covers
from batchrun.planning.to_do import ToDo
from batchrun.results.summary import Summary
from batchrun.sweep.kept_picks import kept_picks
from batchrun.sweep.location import LEDGER

NO_CELL: Final = "no cell that has ended is chosen"


def main(argv: Sequence[str]) -> int:
    """Make the cells again that *argv* chooses; return the exit code."""
    started = time.monotonic()
    options = parse(argv, command="redo")
    if not options.only:
        raise UsageError("`batchrun redo` needs `--only NAME=V[,V]`: the cells to make again")
    call = prepare_for(options)
    with naming_recover(call.recover_command):
        offer = offer_of(call, argv)
        if options.dry_run or not offer.choice.cells:
            show(offer, call, as_json=options.json)
            return 0
        if not options.quiet:
            log("\n".join(offer.lines()), sys.stderr)
        if not options.yes:
            confirm("make them again, and pay for them?", unasked="it is paid for again")
        code: int = import_command("execute").execute(
            call, options, argv, started, choose_cells=Marker(offer).mark
        )
    return code


def parser() -> Parser:
    """Return the parser of its options."""
    return parser_of("redo")


class Offer(Struct, frozen=True, kw_only=True):
    """What is to be made again, and what that costs. *spent* is what all runs have cost so far.

    *command* makes it, *plain* goes on with the whole sweep.
    """

    choice: Choice
    to_do: ToDo
    budget: Decimal | None
    spent: Decimal
    command: str
    plain: str

    @property
    def cost(self) -> Decimal | None:
        """What it may cost, None where the price of a model isn't known."""
        cost = self.to_do.cost()
        return None if cost.unknown else cost.expected

    def lines(self) -> list[str]:
        """Return what people read before it is paid for."""
        choice, number = self.choice, number_of(len(self.choice.cells), "cell")
        costs, cost = self.to_do.costs(), self.to_do.cost()
        said = [
            f"{alias}: {number_of(cells, 'cell')}{total(costs[alias])}"
            for alias, cells in self.to_do.cells().items()
        ]
        if not choice.cells:
            said.append(NO_CELL)
        elif choice.is_open:
            said.append(
                f"{number} of an earlier redo of these cells {_are(choice)} open, and finished "
                f"first{total(cost)}; no other cell is made again"
            )
        else:
            said.append(f"{number} to make again{total(cost)}")
        if choice.left:
            said.append(_left(choice, len(choice.cells)))
        if choice.unended:
            said.append(
                f"{number_of(choice.unended, 'chosen cell')} not ended yet; "
                f"`{self.plain}` goes on with all"
            )
        if choice.granted:
            cells = number_of(choice.granted, "marked cell")
            said.append(
                f"{cells} already made again, once for each mark; `--only cell=KEY` makes one "
                "once more"
            )
        if self.budget is not None and self.spent + cost.expected > self.budget:
            said.append(covers(self.budget, cost, spent=self.spent))
        return said

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "cells": self.choice.keys,
            "open": self.choice.is_open,
            "unended": self.choice.unended,
            "left": self.choice.left,
            "granted": self.choice.granted,
            "cost": None if self.cost is None else money(self.cost),
        }


def _are(choice: Choice) -> str:
    return "is" if len(choice.cells) == 1 else "are"


def offer_of(call: Call, argv: Sequence[str]) -> Offer:
    """Return what a call with *argv* would make again, by the ledger as it is now."""
    again = {*FOR_ONE_CALL, "--only"}
    plain = command_in(argv, without=again)
    subject = Subject(
        folder=call.folder,
        manifest=call.manifest,
        command=command_of(call.manifest.path, call.place),
    )
    command = command_in(["redo", *argv], without=SHOWING)
    with opened(subject) as reader:
        check_types(call.knowing(reader.book), reader, command, quiet=True)
        choice = chosen(call, reader)
        models = list(dict.fromkeys(cell.model for cell in choice.cells))
        known = checked(call, reader.book, models)
        if (as_sent := call.sending(known.descriptions)).manifest.sent_as:
            choice = chosen(as_sent, reader)
        to_do = ToDo(price_list(call, known))
        for cell in choice.cells:
            to_do.add(cell)
        return Offer(
            choice=choice,
            to_do=to_do,
            budget=call.settings.budget,
            spent=reader.book.cost,
            command=command,
            plain=plain,
        )


def chosen(call: Call, ledger: Readable) -> Choice:
    """Return what the call makes again; `--limit` takes the first of it."""
    settings, limit = call.settings, call.settings.limit
    found = choose(
        call.knowing(ledger.book).manifest,
        ledger.book,
        Selection(settings.only, ledger, attempts=settings.attempts),
        attempts=settings.attempts,
        by=_by(settings.only),
        wishes=Wishes(kept_picks(call.folder).redo, ledger.book),
    )
    return found.limited(limit, ledger.book, _by(settings.only))


def _by(only: Mapping[str, tuple[str, ...]]) -> By:
    if "redo" in only:
        return By.WISH
    return By.KEY if "cell" in only else By.VALUES


class Marker:
    """Marks what was offered, once the ledger is held."""

    def __init__(self, offer: Offer) -> None:
        self._offered = offer.choice

    async def mark(self, call: Call, ledger: Ledger) -> Selection:
        """Return the cells to make, when the marks for them are on disk.

        Raises UsageError where the ledger has changed, and other cells would be made.
        """
        choice = chosen(call, ledger)
        if choice.keys != self._offered.keys:
            raise UsageError(
                "the sweep went on meanwhile, and other cells would be made again than was said; "
                "nothing was sent, call it again"
            )
        _check_room(call.settings.budget, ledger.book.cost)
        if choice.marks:
            await ledger.append(*choice.lines())
        return ChosenCells(choice.keys, _left(choice, call.settings.limit))


def _check_room(budget: Decimal | None, spent: Decimal) -> None:
    """Raise BudgetReachedError where nothing can be sent: then nothing is marked, either."""
    if budget is not None and spent >= budget:
        raise BudgetReachedError(
            f"the budget of {usd(budget)} USD allows no run: {usd(spent)} USD are spent; no "
            "cell was marked to be made again"
        )


def _left(choice: Choice, limit: int | None) -> str:
    """Return what `--limit` leaves to a later call, "" where that is nothing."""
    cells = number_of(choice.left, "chosen cell")
    return f"`--limit {limit}` leaves {cells} to a later call" if choice.left else ""


def show(offer: Offer, call: Call, *, as_json: bool) -> None:
    """Print the offer as the result: nothing is sent, and nothing is written."""
    made = f"`{offer.command}` makes them again" if offer.choice.cells else NO_CELL
    if not as_json:
        print("\n".join([*offer.lines(), f"nothing was sent; {made}"]))
        return
    summary = Summary(
        name=call.manifest.name,
        label=call.place.label,
        endpoint=call.endpoint,
        cost=offer.spent,
        outputs=str(call.folder),
        ledger=str(call.folder / LEDGER),
        next=made,
        redo=offer.as_dict(),
        notes=notes_of(call.manifest.notes),
    )
    print(summary.as_json())
