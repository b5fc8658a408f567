"""A plan, and the end of a call, as values: the fields of the `--json` object with their types."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from batchrun.base.text import usd
from batchrun.commands.call import Call
from batchrun.commands.final_report import Ending
from batchrun.commands.outcome import Totals
from batchrun.commands.preview import Foreseen
from batchrun.errors import BatchrunError
from batchrun.ledger.reader import open_reader
from batchrun.results.failures import Failure
from batchrun.results.gathering import results_of
from batchrun.results.result import Result
from batchrun.results.summary import Summary
from batchrun.results.tally import ModelRow, Tally
from batchrun.sweep.location import LEDGER


class ModelPlan(Struct, frozen=True, kw_only=True):
    """What a call would begin of one model; the amounts are USD, None where no price is known.

    *unknown* counts the cells to do whose price isn't known: the amounts are of the others.
    """

    alias: str
    cells: int
    to_do: int
    low: Decimal | None
    expected: Decimal | None
    high: Decimal | None
    unknown: int


class Plan(Struct, frozen=True, kw_only=True):
    """What a call would do. As text it is what `batchrun plan` shows.

    *cells* are all that the manifest names, *done* those that have succeeded, at least in part;
    *to_do* would get a run in this call, and *again* of them had one before; *later* are left by
    `limit`, *taken_over* come from other folders. *low*, *expected* and *high* are USD; *unknown*
    counts the cells whose price isn't known. *calls* is how many requests it takes at least,
    *seconds* how long, *balance* what the account has in USD, and *suffices* whether that is
    enough; None where one isn't known. *outputs* is the sweep's folder.
    """

    name: str
    label: str | None
    endpoint: str
    cells: int
    done: int
    to_do: int
    again: int
    later: int
    taken_over: int
    low: Decimal | None
    expected: Decimal | None
    high: Decimal | None
    unknown: int
    models: tuple[ModelPlan, ...]
    calls: int
    seconds: float | None
    balance: Decimal | None
    suffices: bool | None
    outputs: Path
    next: str
    _object: Mapping[str, Any]
    _lines: Sequence[str]

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def __repr__(self) -> str:
        cost = (
            "at a cost that isn't known" if self.expected is None else f"{usd(self.expected)} USD"
        )
        return f"<Plan {self.name}: {self.to_do:,} of {self.cells:,} cells to do, {cost}>"

    def as_dict(self) -> dict[str, Any]:
        """Return the `--json` object of `batchrun plan`."""
        return dict(self._object)


class End(Struct, frozen=True, kw_only=True):
    """The end of a call: the counts and the exit code of the `--json` object.

    *counts* are of the manifest's cells; *cost* is what the sweep has cost so far, in USD.
    *failures* are grouped by their reason; *models* are the counts and the cost of each model, by
    its alias. *complete* is whether no further call has anything to do. *exit_code* is what the
    command line would end with, *next* how to go on, *errors* are what stopped the call before all
    was done. *notes* are what was to be said of it; with `progress` most of it was said on stderr.
    *duration* is how long the call took, in seconds.
    """

    sweep: str | None
    name: str
    label: str | None
    endpoint: str
    counts: Tally
    cost: Decimal
    requests: int
    retries: int
    rate_limited: int
    duration: float
    outputs: Path
    ledger: Path
    complete: bool
    exit_code: int
    next: str
    errors: tuple[BatchrunError, ...]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    models: Mapping[str, ModelRow]
    _object: Mapping[str, Any]
    _call: Call

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f"<End {self.name}: {counts.succeeded:,} of {counts.cells:,} cells succeeded, "
            f"{usd(self.cost)} USD, exit code {self.exit_code}>"
        )

    @property
    def results(self) -> Iterator[Result]:
        """The result of each cell, in the grid's order, read from the ledger as it is now."""
        with open_reader(self.ledger) as reader:
            yield from results_of(self._call.manifest, self._call.settings, reader, self.outputs)

    def as_dict(self) -> dict[str, Any]:
        """Return the `--json` object of the call."""
        return dict(self._object)


def plan_of(call: Call, found: Foreseen) -> Plan:
    """Return what was foreseen of a *call*."""
    summary = found.summary
    plan = summary.plan or {}
    return Plan(
        name=call.manifest.name,
        label=call.place.label,
        endpoint=call.endpoint,
        cells=summary.cells,
        done=summary.succeeded + summary.partial_succeeded,
        **{name: plan[name] for name in ("to_do", "again", "later", "taken_over")},
        **_amounts(plan["cost"]),
        models=tuple(_model(each) for each in plan["models"]),
        calls=plan["calls"],
        seconds=plan["seconds"],
        balance=None if plan["balance"] is None else Decimal(plan["balance"]),
        suffices=plan["suffices"],
        outputs=call.folder,
        next=summary.next,
        _object=summary.as_dict(),
        _lines=tuple(found.lines),
    )


def _model(plan: Mapping[str, Any]) -> ModelPlan:
    return ModelPlan(
        alias=plan["alias"],
        cells=plan["cells"],
        to_do=plan["to_do"],
        **_amounts(plan["cost"]),
    )


def _amounts(cost: Mapping[str, Any]) -> dict[str, Any]:
    amounts = {name: cost[name] for name in ("low", "expected", "high")}
    known = {name: None if each is None else Decimal(each) for name, each in amounts.items()}
    return {**known, "unknown": cost["unknown"]}


def end_of(ending: Ending, summary: Summary, totals: Totals | None, notes: Sequence[str]) -> End:
    """Return what a call came to; *notes* were said meanwhile."""
    call = ending.call
    return End(
        sweep=summary.sweep,
        name=call.manifest.name,
        label=call.place.label,
        endpoint=call.endpoint,
        counts=summary.tally,
        cost=summary.cost,
        requests=summary.requests,
        retries=summary.retries,
        rate_limited=summary.rate_limited,
        duration=summary.duration_s,
        outputs=call.folder,
        ledger=call.folder / LEDGER,
        complete=summary.complete,
        exit_code=summary.exit_code,
        next=summary.next,
        errors=tuple(ending.shutdown.errors),
        notes=tuple(notes),
        failures=() if totals is None else tuple(totals.failures),
        models={} if totals is None else {row.alias: row for row in totals.counted.models},
        _object=summary.as_dict(),
        _call=call,
    )
