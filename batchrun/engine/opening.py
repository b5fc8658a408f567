"""The first POST of a sweep: it goes alone, and the next ones once a list has shown its run.

Until one run of a sweep is known to exist, each POST is a single run under the sweep's marker
(`sweep/references.py`), so that a machine without this ledger finds it. Then the marker is closed.
After a recovery, too, the first POST goes alone: two machines may have recovered the same sweep.

**A list that shows the first run shows also what another machine has sent by then.** So each
machine that begins stops the other, or stops itself, after one run and not after all of them. Where
no list shows the run, the others go after `settle`; where all lists are refused, only once the run
was shown by its id. A first POST without an answer holds up no more than its own slot after a
while: others follow it under the marker, eight at most.
"""

from contextlib import suppress
from typing import Final

import anyio

from batchrun.engine.context import Context
from batchrun.engine.in_flight import Active, InFlight
from batchrun.engine.other_sweeps import OtherSweeps
from batchrun.engine.preflight import LedgerCheck
from batchrun.engine.recent_runs import newest_runs
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.shutdown import Wakeup
from batchrun.engine.waves import Waves
from batchrun.errors import LostLedgerError, QuestionHeldError, UnreachableError
from batchrun.ledger.facts import KnownRun
from batchrun.sweep.references import marker

MOST: Final = 8
"""Runs under the marker at once, where the first has no answer yet."""

PATIENCE: Final = 5.0
"""Seconds that the others wait for that answer."""


class Opening:
    """Says whether another cell may begin, until the opening is over."""

    def __init__(
        self,
        context: Context,
        *,
        in_flight: InFlight,
        waves: Waves,
        ref_filter: RefFilter,
        ledger_check: LedgerCheck,
        other_sweeps: OtherSweeps,
        active: Active,
        wakeup: Wakeup,
    ) -> None:
        self._settings = context.settings
        self._sweep = context.sweep
        self._book = context.ledger.book
        self._client = context.client
        self._progress = context.progress
        self._shutdown = context.shutdown
        self._marker = marker(context.folder.line.name, context.folder.line.label)
        self._in_flight = in_flight
        self._waves = waves
        self._ref_filter = ref_filter
        self._ledger_check = ledger_check
        self._other_sweeps = other_sweeps
        self._active = active
        self._wakeup = wakeup
        self._before = self._book.newest
        self._fresh = not self._book.past_opening
        self._locked = anyio.current_time()
        self._on_its_way, self._known = anyio.Event(), anyio.Event()
        self._impatient = False
        self.under_way = self._fresh or self._book.recovered

    def may_begin(self) -> bool:
        """Say whether another attempt may begin now; rings where that changes."""
        if not self.under_way:
            return True
        if self._book.newest != self._before:
            self._on_its_way.set()
            self._known.set()
            self._active.note(self, awaited=True)
            return False
        # What earlier calls left holds its slots, and is no POST of this call.
        begun = [each for each in self._in_flight if each.yielded and each.run_id is None]
        self._impatient |= any(attempt.parked for attempt in begun)
        if any(attempt.unresolved for attempt in self._in_flight):
            self._on_its_way.set()
        return len(begun) < (MOST if self._impatient else 1)

    def checked(self) -> None:
        """Begin to wait for the first POST: all that must hold before it has been asked for.

        Once a list that took long to be read made the others follow at once, eight side by side.
        """
        self._on_its_way.set()

    async def run(self) -> None:
        """Return when the opening is over."""
        await self._on_its_way.wait()
        with anyio.move_on_after(PATIENCE):
            await self._known.wait()
        self._impatient = True
        self._wakeup.ring()
        await self._known.wait()
        self._waves.close_marker()
        first = self._book.newest
        assert first is not None
        try:
            await self._wait_until_shown(first)
        except LostLedgerError as error:
            self._shutdown.leave(error)
        self.under_way = False
        self._active.note(self, awaited=False)
        self._wakeup.ring()

    async def look_again(self) -> None:
        """Look for other sweeps once more, `settle` after the lock was taken."""
        if not self._fresh:
            return
        await anyio.sleep_until(self._locked + self._settings.settle)
        try:
            await self._other_sweeps.check_again(await self._ref_filter.runs_of(self._marker))
        except LostLedgerError as error:
            self._shutdown.leave(error)
        except UnreachableError:
            if not self._client.answers:
                raise

    async def _wait_until_shown(self, first: KnownRun) -> None:
        end = anyio.current_time() + self._settings.settle
        while self._shutdown.submitting:
            asked, shown = anyio.current_time(), False
            with anyio.move_on_at(max(end, asked + PATIENCE)):
                shown = await self._is_shown(first)
            if shown:
                return
            if anyio.current_time() >= end:
                await self._wait_until_read(first)
                self._progress.note(
                    f"no list shows run {first.run_id} within `settle`; the next runs are asked "
                    "for without it"
                )
                return
            await self._pause(min(end, asked + self._settings.poll_interval))

    async def _is_shown(self, first: KnownRun) -> bool:
        """Say whether a list shows the first run, and nothing that speaks against the next ones."""
        try:
            filtered = await self._ref_filter.runs_of(first.client_ref)
            runs = await newest_runs(self._client, self._sweep) if filtered is None else [*filtered]
        except UnreachableError:
            if not self._client.answers:
                raise
            return False
        await self._ledger_check.check_runs(runs)
        if self._fresh:
            await self._other_sweeps.check_again(filtered)
        shown = any(run.id == first.run_id for run in runs)
        self._client.profile.filter_proven |= shown and filtered is not None
        return shown

    async def _wait_until_read(self, first: KnownRun) -> None:
        """Where all lists are refused, return once the first run is shown by its id, or others are.

        A key that may create runs, and not read them, would pay for all that have a slot.
        """
        if self._client.profile.refuses_lists:
            with suppress(QuestionHeldError):
                await self._client.get_run(first.run_id)

    async def _pause(self, until: float) -> None:
        """Wait; not longer than runs may be asked for."""
        while anyio.current_time() < until and self._shutdown.submitting:
            with anyio.move_on_at(until):
                await self._wakeup.wait()
