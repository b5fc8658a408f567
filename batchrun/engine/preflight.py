"""The conditions of the first POST: it is our key, our sweep, and the newest ledger of it.

**Nothing is sent on the word of a ledger that is behind.** A ledger that was restored from an
old copy, or a foreign key, would pay for everything again. So the service is asked what it knows of
this sweep. A copy is a beginning of the file: it lacks the end of the waves that were being filled
(one for each model, and the intents of its newest batch), and all later ones, of which some may
have no run. A copy from before the first of two models, and one from before a wave without runs,
were once not noticed: so more is asked for than the newest wave.
"""

from collections.abc import Iterable
from typing import Final

import anyio

from batchrun.base.times import moment
from batchrun.engine.affordable import Affordable
from batchrun.engine.context import Context
from batchrun.engine.identify_runs import Owner, RunIdentifier, behind, was_taken_in
from batchrun.engine.other_sweeps import OtherSweeps
from batchrun.engine.recent_runs import runs_on
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.waves import Wave
from batchrun.errors import (
    KeyRefusedError,
    LostLedgerError,
    QuestionHeldError,
    QuestionRefusedError,
    UnlistedError,
)
from batchrun.ledger.facts import KnownRun
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import intents_of
from batchrun.runflow.pagination import RunList
from batchrun.runflow.wire import Page, Run
from batchrun.settings import BY_ID
from batchrun.sweep.references import is_marker, reference, wave_number

AHEAD: Final = 3
"""Waves after the last known wave that are asked for: a wave of refused inputs has no run."""


EACH_TENTH: Final = 10


class Preflight:
    """Opens once for the key and once for each wave; other tasks wait meanwhile."""

    def __init__(
        self,
        context: Context,
        ref_filter: RefFilter,
        ledger_check: "LedgerCheck",
        other_sweeps: OtherSweeps,
        affordable: Affordable,
    ) -> None:
        self._affordable = affordable
        self._client = context.client
        self._folder = context.folder
        self._ledger = context.ledger
        self._book = context.ledger.book
        self._ref_filter = ref_filter
        self._trust_key = context.settings.trust_key
        self._ledger_check = ledger_check
        self._other_sweeps = other_sweeps
        self._turn = anyio.Lock()
        self._key_checked = False
        self._opened: set[str] = set()
        self._turns: dict[str, anyio.Lock] = {}

    async def open(self, wave: Wave) -> None:
        """Return when attempts of *wave* may be sent.

        Batches are many and small: each tenth is asked for. Before the first POST more was asked
        already. Raises KeyRefusedError for a foreign key, LostLedgerError for a
        ledger that is behind.
        """
        ref = wave.ref
        if ref not in self._opened:
            await self.check_key()
        await self._affordable.check()
        if ref in self._opened:
            return  # a check of another wave that hangs must not hold it up
        if is_marker(ref) or (wave.batch and wave_number(ref) % EACH_TENTH):
            return
        async with self._turns.setdefault(ref, anyio.Lock()):
            if ref not in self._opened:
                self._ledger_check.check_new_wave(await self._ref_filter.runs_of(ref) or ())
                self._opened.add(ref)
        self._turns.pop(ref, None)

    async def check_key(self) -> None:
        """Return if the key sees what the ledger knows; KeyRefusedError if it doesn't."""
        if not self._key_checked:
            async with self._turn:
                await self._check_key_once()

    async def _check_key_once(self) -> None:
        if self._key_checked:
            return
        await self._check_organisation()
        await self._check_newest_run()
        page = await self._client.newest_page()
        if not self._book.past_opening:
            await self._other_sweeps.check(page)
        self._opened |= set(await self._ledger_check.check(page))
        self._check_lists()
        self._key_checked = True

    def _check_lists(self) -> None:
        """Raise UnlistedError where lists are refused: nothing shows whether the ledger is behind.

        Runs in flight are watched by their ids, and once a call sends, so are its own. But a copy
        of an old ledger would pay again for all that it lacks.
        """
        if (why := self._client.profile.refuses_lists) and not self._trust_key:
            raise UnlistedError(
                f"the service refuses to list runs ({why}), so it can't be seen whether the ledger "
                "has all that was paid for; nothing new was sent: call again later, or with "
                "--trust-key if no other copy of it was at work"
            )

    async def _check_organisation(self) -> None:
        ours = await self._client.account()
        sweep = self._book.sweep
        assert sweep is not None
        if ours is None or self._trust_key:
            return
        if sweep.organisation is None:
            await self._folder.remember_organisation(ours)
        else:
            check_organisation(ours, sweep.organisation)

    async def _check_newest_run(self) -> None:
        newest = self._book.newest
        if newest is None or self._trust_key:
            return
        run = await self._seen(newest)
        if run is None:
            raise KeyRefusedError(
                f"this key doesn't see run {newest.run_id}, the newest in the ledger; use the key "
                "that began this sweep, or --trust-key if the service forgets old runs"
            )
        history = self._book.history(newest.cell)
        intent = self._ledger.read(history.intent_line)
        if history.run_id == newest.run_id and isinstance(intent, Intent):
            self._client.profile.note_created(run.created_at, moment(intent.server_at))

    async def _seen(self, newest: KnownRun) -> Run | None:
        """Return the run if the key sees it: by its id, or in its wave where that takes long.

        A service may refuse the run of another organisation as it likes, 403 or 404. But one that
        shows no list, either, may refuse all for a while.
        """
        seen: Run | None = None
        listed: RunList | None = None
        held: QuestionHeldError | None = None
        silent = anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def ask_list() -> None:
                nonlocal seen, listed
                with anyio.move_on_after(BY_ID):
                    await silent.wait()
                listed = await self._ref_filter.runs_of(newest.client_ref)
                seen = next((run for run in listed or () if run.id == newest.run_id), None)
                if seen is not None:
                    tasks.cancel_scope.cancel()

            tasks.start_soon(ask_list, name="ask the list, too")
            try:
                seen = await self._client.get_run(newest.run_id)
                tasks.cancel_scope.cancel()
            except QuestionHeldError as error:
                held = error
                silent.set()
        refused = isinstance(held, QuestionRefusedError) and listed is not None
        if seen is None and held is not None and not refused:
            raise held
        return seen


class LedgerCheck:
    """Compares the ledger of the sweep with what the service has of it."""

    def __init__(self, context: Context, ref_filter: RefFilter) -> None:
        self._context = context
        self._ledger = context.ledger
        self._client = context.client
        self._ref_filter = ref_filter
        self._sweep = context.sweep

    async def check(self, page: Page | None) -> list[str]:
        """Return the waves that were found empty, if the ledger knows all runs that it should.

        *page* is the newest page of all runs, None where it is refused. Raises LostLedgerError
        where a run is missing in the ledger.
        """
        book, sweep = self._ledger.book, self._sweep
        refs = [*book.filling.values(), *book.batches.values()]
        filling = [run for ref in refs for run in await self._ref_filter.runs_of(ref) or ()]
        newest = book.newest
        shown = newest is not None and any(run.id == newest.run_id for run in filling)
        self._client.profile.filter_proven |= shown
        await self.check_runs([*filling, *runs_on(page, sweep)])
        ahead = range(book.last_wave + 1, book.last_wave + 1 + AHEAD) if refs else ()
        for number in ahead:
            self.check_new_wave(await self._ref_filter.runs_of(reference(sweep, number)) or ())
        return [reference(sweep, number) for number in ahead]

    def check_new_wave(self, runs: Iterable[Run]) -> None:
        """Raise LostLedgerError if a wave that nothing was sent in yet has runs."""
        for run in runs:
            raise self._behind(run)

    async def check_runs(self, runs: Iterable[Run]) -> None:
        """Raise LostLedgerError if one of these runs of the sweep is of no intent of the ledger."""
        unknown: dict[str, Run] = {}
        identifier = RunIdentifier(self._context)
        for each in await identifier.with_intents(await identifier.identify(runs)):
            if each.owner is Owner.STRAY and not was_taken_in(each.run, self._ledger.book):
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
        return behind(self._ledger.path, run)


def check_organisation(ours: str | None, theirs: str | None) -> None:
    """Raise KeyRefusedError if both are known and differ."""
    if None not in {ours, theirs} and ours != theirs:
        raise KeyRefusedError(
            f"the key belongs to organisation {ours}, the ledger to {theirs}; "
            "use the key that began this sweep, or another --label or --outputs"
        )
