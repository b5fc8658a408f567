"""A plan as people read it: one screen."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import listed, money, number_of, size_of, span, usd
from batchrun.commands.plan_table import NONE, plan_table, rounded, total
from batchrun.manifest.cells import plain
from batchrun.manifest.file_names import file_name
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.sources import unvalued
from batchrun.planning.effort import Effort
from batchrun.planning.forecast import Forecast
from batchrun.planning.limits import of_a_day, suffices, too_little
from batchrun.planning.to_do import FirstCell
from batchrun.planning.type_changes import TypeChanges
from batchrun.planning.type_changes import lines as type_lines
from batchrun.results.edits import Edits
from batchrun.results.edits import lines as edit_lines
from batchrun.results.failures import Failure, failures
from batchrun.results.going_on import all_done, how_to_go_on
from batchrun.results.terminal_table import NO_CELL
from batchrun.results.terminal_table import folded as folded_points
from batchrun.settings import Settings

WRONG: Final = "the models' descriptions rule out inputs of the manifest"

LONGEST: Final = 60
"""Characters of an input's text that are shown."""


class Outlook(Struct, frozen=True, kw_only=True):
    """What a plan shows. *warnings* speak of the models' descriptions; the *balance* is in USD.

    *failures* are those of cells that ended badly and stay so. *shared* names rows that share runs.
    *reuse* are the folders that it takes over from, as people read them; *command* does what is
    planned; *refused*: it would be refused for what is paid already, *wrong_inputs*: for inputs
    that the models' descriptions rule out, *refused_types*: for what *types* say of columns.
    """

    manifest: Manifest
    settings: Settings
    forecast: Forecast
    effort: Effort
    folder: str
    command: str
    reuse: str = ""
    refused: bool = False
    wrong_inputs: bool = False
    types: TypeChanges | None = None
    refused_types: bool = False
    edits: Edits | None = None
    failures: Sequence[Failure] = ()
    shared: Sequence[str] = ()
    warnings: Sequence[str] = ()
    balance: Decimal | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        to_do, cost = self.forecast.to_do, self.forecast.to_do.cost()
        costs = to_do.costs()
        return {
            "to_do": to_do.number,
            "again": to_do.again,
            "later": to_do.later,
            "taken_over": self.forecast.taken_over,
            "keys": None if to_do.keys is None else to_do.keys.digest,
            "cost": cost.as_dict(),
            "models": [
                {
                    "alias": row.alias,
                    "cells": row.tally.cells,
                    "to_do": costs.get(row.alias, NONE).cells,
                    "cost": costs.get(row.alias, NONE).as_dict(),
                }
                for row in self.forecast.selected.models
            ],
            "first": [_first_as_dict(each, self.manifest) for each in to_do.first],
            "calls": self.effort.calls,
            "seconds": None if self.effort.seconds is None else round(self.effort.seconds, 1),
            "balance": None if self.balance is None else money(self.balance),
            "suffices": suffices(self.balance, self.settings, self.forecast),
            "uploads": {"files": len(to_do.files), "bytes": sum(to_do.files.values())},
            **({} if self.types is None else {"types": self.types.as_dict()}),
        }


def _first_as_dict(first: FirstCell, manifest: Manifest) -> dict[str, Any]:
    return {
        "cell": first.cell.key,
        "alias": first.cell.alias,
        "model": first.cell.model,
        "input": _shown(plain(first.cell.input), manifest.sources.variables, cut=False),
        "file": file_name(manifest, first.cell),
        "cost": None if first.price is None else money(first.price.expected),
        "source": None if first.price is None else str(first.price.source),
    }


def lines(outlook: Outlook, width: int | None = None) -> Iterator[str]:
    """Yield the plan as people read it, on a terminal of that *width* if it's one."""
    forecast, to_do = outlook.forecast, outlook.forecast.to_do
    tally, folded = forecast.selected.tally, forecast.selected.tally.folded
    costs = forecast.to_do.costs()
    rows = [(row, costs.get(row.alias, NONE)) for row in forecast.selected.models]
    yield from plan_table(rows, width)
    yield _sum(outlook)
    yield from _changed(outlook)
    if to_do.again:
        yield f"{number_of(to_do.again, 'cell')} of these had a run before"
    if to_do.later:
        yield f"`--limit {outlook.settings.limit}` leaves {to_do.later} more to later calls"
    yield from too_little(outlook.settings, forecast)
    yield from of_a_day(outlook.settings)
    yield from _balance(outlook)
    yield from _unknown(outlook)
    yield from _effort(outlook)
    if folded:
        yield folded_points(folded, tally.cells + folded)
        yield from outlook.shared
    if not tally.cells and not forecast.counted.tally.cells:
        yield NO_CELL
    yield from _first(outlook)
    yield from outlook.warnings
    yield from _ended_badly(outlook)
    yield f"the sweep's folder is {outlook.folder}"
    yield onward(outlook)


def _changed(outlook: Outlook) -> Iterator[str]:
    """Say what differs from the last start, and what comes from other sweeps."""
    if outlook.types is not None:
        yield from type_lines(outlook.types)
    if outlook.edits is not None:
        yield from edit_lines(outlook.edits)
    if taken := outlook.forecast.taken_over:
        yield f"{number_of(taken, 'cell')} taken over from {outlook.reuse}, at no cost"


def _sum(outlook: Outlook) -> str:
    forecast = outlook.forecast
    tally, cells = forecast.selected.tally, forecast.counted.tally.cells
    of = f"{tally.cells:,} of " if outlook.settings.only else ""
    to_do = forecast.to_do
    said = f"{of}{number_of(cells, 'cell')}, {to_do.number:,} to do{total(to_do.cost())}"
    return f"{said}; nothing was sent"


def _unknown(outlook: Outlook) -> Iterator[str]:
    cost = outlook.forecast.to_do.cost()
    if cost.unknown:
        costs = outlook.forecast.to_do.costs().items()
        aliases = listed(alias for alias, each in costs if each.unknown)
        yield (
            f"the price of {number_of(cost.unknown, 'cell')} is not known: {aliases}; "
            "`price` beside a model's `id` says what a run costs at most"
        )


def _effort(outlook: Outlook) -> Iterator[str]:
    effort, to_do, settings = outlook.effort, outlook.forecast.to_do, outlook.settings
    if not to_do.number:
        return
    if to_do.files:
        size = size_of(sum(to_do.files.values()))
        yield f"{number_of(len(to_do.files), 'file')} to upload, {size}"
    limits = (
        f"{settings.concurrency} runs in flight and {settings.rate.per_second:g} calls a second"
    )
    if effort.seconds is None:
        unknown = listed(effort.unknown)
        yield (
            f"at least {number_of(effort.calls, 'call')}, with {limits}; how long a run takes is "
            f"not known yet: {unknown}"
        )
    else:
        yield f"about {number_of(effort.calls, 'call')} and {span(effort.seconds)}, with {limits}"


def _balance(outlook: Outlook) -> Iterator[str]:
    """Say whether the account's balance suffices, where it is known."""
    if outlook.balance is None or not outlook.forecast.to_do.number:
        return
    said = f"the account's balance is {usd(outlook.balance)} USD"
    match suffices(outlook.balance, outlook.settings, outlook.forecast):
        case True:
            yield f"{said}: it suffices"
        case False:
            yield f"{said}: it does not suffice (exit 5, unless `--allow-short` is given)"
        case _:
            yield f"{said}: whether it suffices is not known"


def _first(outlook: Outlook) -> Iterator[str]:
    to_do = outlook.forecast.to_do
    if to_do.first:
        yield "first:"
    for each in to_do.first:
        cell, name = each.cell, file_name(outlook.manifest, each.cell)
        price = "" if each.price is None else f", {rounded(each.price.expected)} USD"
        sent = _shown(plain(cell.input), outlook.manifest.sources.variables, cut=True)
        said = json.dumps(sent, ensure_ascii=False)
        yield f"  {cell.alias} {said} -> {name}{price}"


def _shown(value: Any, variables: Mapping[str, str], *, cut: bool) -> Any:
    """Return a value without the values of environment variables; long texts are *cut*."""
    match value:
        case str():
            text = unvalued(value, variables)
            return f"{text[: LONGEST - 1]}…" if cut and len(text) > LONGEST else text
        case dict():
            return {name: _shown(below, variables, cut=cut) for name, below in value.items()}
        case list():
            return [_shown(below, variables, cut=cut) for below in value]
        case _:
            return value


def _refusal(outlook: Outlook) -> str:
    """Return with which exit code the call would be refused, and why; "" where it would not."""
    if outlook.refused_types:
        return "(exit 2) without `--new-types`: columns have other types, and paid cells drop out"
    if outlook.refused:
        return "(exit 9): something of it is paid already"
    if outlook.wrong_inputs:
        return f"(exit 2): {WRONG}"
    return ""


def _ended_badly(outlook: Outlook) -> Iterator[str]:
    """Say which cells are not tried again, and why they ended so."""
    if not outlook.failures:
        return
    cells = {row.alias: row.tally.cells for row in outlook.forecast.counted.models}
    number = sum(each.count for each in outlook.failures)
    are = "is" if number == 1 else "are"
    yield f"{number_of(number, 'cell')} ended badly and {are} not tried again:"
    yield failures(outlook.failures, cells)


def onward(outlook: Outlook) -> str:
    """Return the last line: how to do what is planned."""
    forecast, command = outlook.forecast, outlook.command
    if refusal := _refusal(outlook):
        return f"`{command}` would be refused {refusal}"
    if number := forecast.to_do.number:
        what = number_of(number, "cell")
        short = any(too_little(outlook.settings, forecast))
        return (
            f"`{command}` begins {f'as many of {what} as the budget pays for' if short else what}"
        )
    tally = forecast.selected.tally
    if tally.unfinished:
        return f"`{command}` goes on with what has begun; it begins no other cell"
    if outlook.failures:
        return how_to_go_on(tally, 0, command=command, failures=outlook.failures)
    return f"nothing to do: {all_done(tally)}"
