"""Notices a ledger that was restored from an old copy: the service has runs that it doesn't know.

A copy is a beginning of the file. So it lacks the end of the waves that were being filled (one for
each model, and the intents of its newest batch), and all later ones, of which some may have no run.
"""

from collections.abc import Iterable
from typing import Final

from batchrun.engine.context import Context
from batchrun.engine.identify_runs import Owner, RunIdentifier
from batchrun.engine.recent_runs import newest_runs
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.waves import reference
from batchrun.errors import LostLedgerError
from batchrun.ledger.book import wave_number
from batchrun.ledger.scan import intents_of
from batchrun.runflow.wire import Run

AHEAD: Final = 3
"""Waves after the last known one that are asked for: one of refused inputs has no run."""


class LedgerCheck:
    """Compares the ledger of the sweep with what the service has of it."""

    def __init__(self, context: Context, ref_filter: RefFilter) -> None:
        self._context = context
        self._ledger = context.ledger
        self._client = context.client
        self._ref_filter = ref_filter
        self._sweep = context.sweep

    async def check(self) -> list[str]:
        """Return the waves that were found empty, if the ledger knows all runs that it should.

        Raises LostLedgerError if it doesn't.
        """
        book, sweep = self._ledger.book, self._sweep
        refs = [*book.filling.values(), *book.batches.values()]
        filling = [run for ref in refs for run in await self._ref_filter.runs_of(ref) or ()]
        newest = book.newest
        shown = newest is not None and any(run.id == newest.run_id for run in filling)
        self._ref_filter.proven |= shown
        await self._check_known([*filling, *await newest_runs(self._client, sweep)])
        ahead = range(book.last_wave + 1, book.last_wave + 1 + AHEAD) if book.last_wave else ()
        for number in ahead:
            self.check_new_wave(await self._ref_filter.runs_of(reference(sweep, number)) or ())
        return [reference(sweep, number) for number in ahead]

    def check_new_wave(self, runs: Iterable[Run]) -> None:
        """Raise LostLedgerError if a wave that nothing was sent in yet has runs."""
        for run in runs:
            raise self._behind(run)

    async def _check_known(self, runs: Iterable[Run]) -> None:
        """Raise LostLedgerError if one of these runs of the sweep is of no intent of the ledger."""
        unknown: dict[str, Run] = {}
        for each in await RunIdentifier(self._context).identify(runs):
            if each.owner is Owner.STRAY:
                raise self._behind(each.run)
            if each.owner is Owner.UNKNOWN:
                unknown[each.run.client_ref or ""] = each.run
        for ref, run in unknown.items():
            if wave_number(ref) > self._ledger.book.last_wave or await self._ends_within(ref):
                raise self._behind(run)

    async def _ends_within(self, ref: str) -> bool:
        """Say whether the ledger has the intents of only some items of a batch: none was sent."""
        if ref not in self._ledger.book.batches.values():
            return False
        intents = await self._ledger.scan(intents_of, ref)
        return len(intents) < (intents[0].size or 0)

    def _behind(self, run: Run) -> LostLedgerError:
        return LostLedgerError(
            f"the ledger {self._ledger.path} is behind: it doesn't know run {run.id} of this "
            f"sweep, which the service has (`client_ref` {run.client_ref})"
        )
