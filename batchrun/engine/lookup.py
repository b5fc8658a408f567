"""Finds out what became of a send that got no clear answer.

    seen     a run that carries the intent's tag exists: it is adopted, or it is one too many
    unseen   counts only if the look began `settle` after our last send of the intent ended, and if
             the list's filter has shown a run that we know; where it hasn't, the newest runs are
             walked instead
    unclear  what neither can tell is parked, with the reason

Only what is unseen for certain is sent again. See design.md, "In doubt".
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup

from batchrun.engine.live import Attempt
from batchrun.engine.submitter import MOST_SENDS, Submitter
from batchrun.engine.tags import Tag, tag_of
from batchrun.engine.untagged import Untagged
from batchrun.engine.walk import BEGINNING, Walk, walk
from batchrun.engine.waves import Wave
from batchrun.engine.work import Work, billed
from batchrun.ledger.records import Extra, Looked
from batchrun.runflow.wire import Run

MARGIN: Final = timedelta(minutes=5)
"""How far before the oldest doubtful intent a walk goes: clocks differ."""

UNCLEAR: Final = (
    "the service's list can neither be filtered nor walked back far enough, so whether a run "
    "exists can't be told; look at the service, then decide with --resubmit-in-doubt"
)
UNTAGGED: Final = (
    "the service shows a run without its metadata, which may be the one; look at "
    "the service, then decide with --resubmit-in-doubt"
)
NO_ROOM: Final = "the budget has no room to send it again; raise it, and call again"


class LookUps:
    """Resolves doubts; one walk serves all that are in doubt at that time."""

    def __init__(self, work: Work, submitter: Submitter, tasks: TaskGroup) -> None:
        self._work = work
        self._submitter = submitter
        self._tasks = tasks
        self._walking = anyio.Lock()
        self._last_walk: Walk | None = None
        self._untagged = Untagged(work)

    async def meet(self, wave: Wave, runs: Iterable[Run]) -> int:
        """Adopt what is in doubt, write what is one too many; return how many of these still run.

        Runs that are known pass by unnoticed. The tag's key alone makes a run an attempt's: a list
        may leave the `client_ref` out.
        """
        by_key = {a.idempotency_key: a for a in wave.attempts.values()}
        others: list[tuple[Tag, Run]] = []
        for run in runs:
            tag = tag_of(run, self._work.identity["sweep"])
            if tag is None or run.client_ref not in {None, wave.ref}:
                continue
            attempt = by_key.get(tag.key)
            if attempt is not None and attempt.run_id is None:
                if attempt.in_doubt:
                    await self._work.accept(attempt, run, adopted=True)
            elif wave.doubted and run.id not in wave.familiar:
                others.append((tag, run))
        running = 0
        for tag, run in await self._strange(wave, others):
            running += not await self._extra(wave, tag, run)
        return running

    async def _strange(
        self, wave: Wave, tagged: Sequence[tuple[Tag, Run]]
    ) -> Sequence[tuple[Tag, Run]]:
        """Return those of the runs that are of this wave, and that the ledger doesn't have.

        It is read once for all for which it hasn't been yet; what is written from then on is known.
        """
        ledger = self._work.ledger
        new = {run.id for _, run in tagged} - wave.checked
        if new:
            wave.checked |= new
            wave.familiar |= await ledger.apart(partial(ledger.identities, new))
            terse = [run for _, run in tagged if run.client_ref is None]
            keys = await ledger.apart(partial(ledger.keys_of, wave.ref)) if terse else set()
            wave.familiar |= {
                run.id for tag, run in tagged if run.client_ref is None and tag.key not in keys
            }
        return [(tag, run) for tag, run in tagged if run.id not in wave.familiar]

    async def resolve(self, wave: Wave, asked: float, runs: Sequence[Run] | None) -> None:
        """Decide what the look that began at *asked* and did not show an attempt means for it."""
        settle = self._work.settings.settle
        doubts = [a for a in wave.doubts() if asked >= a.quiet_since + settle]
        if not doubts:
            return
        if runs is not None:
            told = await self._untagged.tell(runs)
            await self.meet(wave, told.runs)
            if told.untold:
                await self._undecided(doubts, UNTAGGED)
                return
        if runs is not None and await self._proven():
            await self._unseen(doubts)
        else:
            await self._by_walking(wave, doubts)

    async def last_look(self, wave: Wave, asked: float, runs: Sequence[Run] | None) -> None:
        """End the watch over a wave that had a doubt, if the look came late enough to do so."""
        if not self._shows_all(wave, asked):
            return
        if runs is None or not await self._proven():
            settled = wave.quiet_since + self._work.settings.settle
            seen = await self._walk(settled, self._horizon(()))
            if seen is not None and await self.meet(wave, seen.runs):
                return
        if self._shows_all(wave, asked):  # a send may have ended while we walked
            wave.doubted = False
            await self._work.ledger.append(Looked(client_ref=wave.ref))

    def _shows_all(self, wave: Wave, asked: float) -> bool:
        """Say whether a look that began at *asked* shows all that may come to light late."""
        settled = asked >= wave.quiet_since + self._work.settings.settle
        under_way = any(a.doubted and a.sending for a in wave.attempts.values())
        return wave.doubted and settled and not under_way and not wave.doubts()

    async def _by_walking(self, wave: Wave, doubts: Sequence[Attempt]) -> None:
        since = max(a.quiet_since for a in doubts) + self._work.settings.settle
        seen = await self._walk(since, self._horizon(doubts))
        if seen is None:
            await self._undecided(doubts, UNCLEAR)
            return
        await self.meet(wave, seen.runs)
        if any(run.client_ref in {None, wave.ref} for run in seen.untold):
            await self._undecided([a for a in doubts if a.in_doubt], UNTAGGED)
        else:
            await self._unseen(doubts)

    async def _walk(self, since: float, horizon: datetime) -> Walk | None:
        """Return a walk that began at *since* or later and went back to *horizon*."""
        async with self._walking:
            last = self._last_walk
            if last is None or last.asked < since or last.horizon > horizon:
                asked = anyio.current_time()
                last = await walk(self._work.client, horizon, asked)
                self._last_walk = last and await self._told(last)
            return self._last_walk

    async def _told(self, walked: Walk) -> Walk:
        """Return the walk with what its runs tell when they are asked for by id."""
        before: list[Run] = []
        since: list[Run] = []
        for run in walked.runs:
            over = run.created_at is not None and run.created_at < walked.horizon
            (before if over else since).append(run)
        told = await self._untagged.tell(since)
        return replace(walked, runs=(*told.runs, *before), untold=told.untold)

    def _horizon(self, doubts: Iterable[Attempt]) -> datetime:
        """Return the service's time before which none of the doubtful runs can be created.

        Never from our own time of an earlier call: its clock may have been wrong by any amount.
        """
        work = self._work
        moments = [work.intent(attempt).server_at for attempt in doubts]
        opened = work.ledger.opened_at + (work.client.server_now() - work.ledger.now())
        if None in moments:
            return BEGINNING
        return min([opened, *(datetime.fromisoformat(at) for at in moments if at)]) - MARGIN

    async def _proven(self) -> bool:
        """Say whether the filter has ever shown a run that we know; try the newest one."""
        work = self._work
        newest = work.ledger.book.newest
        if not work.filter.proven and newest is not None:
            runs = await work.listing(newest.client_ref) or ()
            work.filter.proven = any(run.id == newest.run_id for run in runs)
        return work.filter.proven

    async def _unseen(self, doubts: Iterable[Attempt]) -> None:
        """No run exists for these, unless the service commits later than it may."""
        missing = [a for a in doubts if a.in_doubt and await self._decide(a)]
        for attempt in missing:  # first of all: what isn't running costs nothing
            attempt.reserved = Decimal(0) if self._work.purse.limited else attempt.reserved
        for attempt in missing:
            if attempt.in_doubt:
                await self._send_again(attempt, wait=True)

    async def _decide(self, attempt: Attempt) -> bool:
        """Do what follows from there being no run; return whether to send it again."""
        work = self._work
        if attempt.verdict is not None:
            await self._submitter.conclude(attempt, attempt.verdict)
        elif attempt.conflicted:
            await work.park(
                attempt,
                "the service answered 409 and shows no run; look at the service, then decide "
                "with --resubmit-in-doubt",
            )
        elif attempt.cell is None:
            await work.drop(attempt, "no run exists, and the manifest no longer names the cell")
        elif not attempt.wanted:
            await work.park(attempt, "no run exists yet, and this call is about other cells")
        elif not work.stops.submitting:
            await work.park(attempt, "no run exists yet, and submitting has stopped")
        elif attempt.sends >= MOST_SENDS:
            await work.park(attempt, f"{attempt.sends} sends got no clear answer")
        else:
            return True
        return False

    async def _undecided(self, doubts: Iterable[Attempt], reason: str) -> None:
        for attempt in doubts:
            may = self._work.settings.resubmit_in_doubt and self._work.stops.submitting
            may = may and attempt.cell is not None and attempt.wanted
            if may and attempt.sends < MOST_SENDS:
                await self._send_again(attempt, wait=False)
            else:
                await self._work.park(attempt, reason)

    async def _send_again(self, attempt: Attempt, *, wait: bool) -> None:
        """Send the same intent again if the budget has room for it; *wait* while it may get some.

        What waits must hold nothing itself: two would wait for each other.
        """
        work = self._work
        if work.purse.admits(attempt, work.last_input(attempt) or {}):
            self._resend(attempt)
        elif not (wait and work.purse.may_get_room()):
            work.held_by_budget = True
            await work.park(attempt, NO_ROOM)

    def _resend(self, attempt: Attempt) -> None:
        attempt.sending = True
        self._tasks.start_soon(self._submitter.resend, attempt, name=f"resend {attempt.key}")

    async def _extra(self, wave: Wave, tag: Tag, run: Run) -> bool:
        """Write down a run that is one too many, once it has ended; return whether it has."""
        if not run.terminal and self._work.age(run) < self._work.settings.timeout:
            return False
        wave.familiar.add(run.id)
        record = Extra(cell=tag.cell, attempt=tag.attempt, run_id=run.id, cost=billed(run))
        self._work.progress.note(
            f"cell {tag.cell[:12]} has a second run, {run.id}: the service committed it later "
            "than `settle` allows; its cost is counted"
        )
        await self._work.ledger.append(record)
        return True
