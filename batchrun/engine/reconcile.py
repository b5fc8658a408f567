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
from typing import Final

import anyio
from anyio.abc import TaskGroup

from batchrun.engine.batch_items import BatchAnswer, match_items
from batchrun.engine.budget import Budget
from batchrun.engine.context import Context
from batchrun.engine.identify_runs import RunIdentifier
from batchrun.engine.in_flight import Attempt
from batchrun.engine.phases import Phase
from batchrun.engine.recent_runs import BEGINNING, RecentRuns, recent_runs
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.request_body import Intents
from batchrun.engine.run_records import billed
from batchrun.engine.run_tag import RunTag, tag_of
from batchrun.engine.shutdown import Shutdown
from batchrun.engine.submit import MOST_SENDS, Submitter
from batchrun.engine.transitions import Transitions
from batchrun.engine.waves import Wave
from batchrun.ledger.records import Extra, Looked
from batchrun.ledger.scan import keys_of, known_ids
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
LOST_ITEM: Final = (
    "the service has its batch, and shows no run for it; look at the service, then decide with "
    "--resubmit-in-doubt"
)
DECIDED: Final = "begun anew by --resubmit-in-doubt, whether a run exists or not"
NO_ROOM: Final = "the budget has no room to send it again; raise it, and call again"


class Reconciler:
    """Resolves doubts; one walk serves all that are in doubt at that time.

    *batch_items* knows the batches that runs are of.
    """

    def __init__(
        self,
        context: Context,
        *,
        transitions: Transitions,
        budget: Budget,
        submitter: Submitter,
        intents: Intents,
        ref_filter: RefFilter,
        shutdown: Shutdown,
        tasks: TaskGroup,
    ) -> None:
        self._settings = context.settings
        self._ledger = context.ledger
        self._client = context.client
        self._progress = context.progress
        self._sweep = context.sweep
        self._transitions = transitions
        self._budget = budget
        self._submitter = submitter
        self._intents = intents
        self._ref_filter = ref_filter
        self._shutdown = shutdown
        self._tasks = tasks
        self._walking = anyio.Lock()
        self._last_walk: RecentRuns | None = None
        self._run_identifier = RunIdentifier(context)
        self.batch_items = self._run_identifier.batch_items

    async def reconcile(self, wave: Wave, runs: Iterable[Run]) -> int:
        """Adopt what is in doubt, write what is one too many; return how many of these still run.

        Runs that are known pass by unnoticed. The tag's key alone makes a run an attempt's: a list
        may leave the `client_ref` out.
        """
        runs = [run for run in runs if run.client_ref in {None, wave.ref}]
        wave.note(runs)
        if wave.doubted:
            runs = await self.batch_items.with_tags(runs)
        found, others = self._sorted(wave, runs)
        if found:
            await self._transitions.accept(found, adopted=True)
            if wave.batch:
                await self._submitter.learn(wave.model, batches=True)
        running = 0
        for tag, run in await self._unmatched(wave, others):
            running += not await self._extra(wave, tag, run)
        return running

    def _sorted(
        self, wave: Wave, runs: Iterable[Run]
    ) -> tuple[list[tuple[Attempt, Run]], list[tuple[RunTag, Run]]]:
        """Return the runs of attempts in doubt, and those that may be one too many."""
        by_tag = {(a.idempotency_key, a.key): a for a in wave.attempts.values()}
        found: dict[str, tuple[Attempt, Run]] = {}
        others: list[tuple[RunTag, Run]] = []
        for run in runs:
            tag = tag_of(run, self._sweep)
            if tag is None:
                continue
            attempt = by_tag.get((tag.key, tag.cell))
            if attempt is not None and attempt.run_id is None and attempt.key not in found:
                if attempt.in_doubt:
                    found[attempt.key] = attempt, run
            elif wave.doubted and run.id not in wave.known_run_ids:
                others.append((tag, run))
        return list(found.values()), others

    async def _unmatched(
        self, wave: Wave, tagged: Sequence[tuple[RunTag, Run]]
    ) -> Sequence[tuple[RunTag, Run]]:
        """Return those of the runs that are of this wave, and that the ledger doesn't have.

        It is read once for all for which it hasn't been yet; what is written from then on is known.
        """
        new = {run.id for _, run in tagged} - wave.verified_run_ids
        if new:
            wave.verified_run_ids |= new
            wave.known_run_ids |= await self._ledger.scan(known_ids, new)
            terse = [run for _, run in tagged if run.client_ref is None]
            keys = await self._ledger.scan(keys_of, wave.ref) if terse else set()
            wave.known_run_ids |= {
                run.id for tag, run in tagged if run.client_ref is None and tag.key not in keys
            }
        return [(tag, run) for tag, run in tagged if run.id not in wave.known_run_ids]

    async def resolve_doubts(self, wave: Wave, asked: float, runs: Sequence[Run] | None) -> None:
        """Decide what the look that began at *asked* and did not show an attempt means for it."""
        settle = self._settings.settle
        doubts = [a for a in wave.doubts() if asked >= a.last_send_ended_at + settle]
        if not doubts:
            return
        if runs is not None:
            told = await self._run_identifier.identify(runs)
            await self.reconcile(wave, told.runs)
            if told.unidentified:
                await self._undecided(wave, doubts, UNTAGGED)
                return
        if runs is not None and await self._ref_filter.prove():
            await self._unseen(wave, doubts)
        else:
            await self._by_walking(wave, doubts)

    async def final_poll(self, wave: Wave, asked: float, runs: Sequence[Run] | None) -> None:
        """End the watch over a wave that had a doubt, if the look came late enough to do so."""
        if not self._shows_all(wave, asked):
            return
        if runs is None or not await self._ref_filter.prove():
            settled = wave.last_send_ended_at + self._settings.settle
            seen = await self._walk(settled, self._horizon(()))
            if seen is not None and await self.reconcile(wave, seen.runs):
                return
        if self._shows_all(wave, asked):  # a send may have ended while we walked
            self._transitions.doubt_ends(wave)
            await self._ledger.append(Looked(client_ref=wave.ref))

    def _shows_all(self, wave: Wave, asked: float) -> bool:
        """Say whether a look that began at *asked* shows all that may come to light late."""
        settled = asked >= wave.last_send_ended_at + self._settings.settle
        under_way = any(a.doubted and a.phase is Phase.SENDING for a in wave.attempts.values())
        return wave.doubted and settled and not under_way and not wave.doubts()

    async def _by_walking(self, wave: Wave, doubts: Sequence[Attempt]) -> None:
        since = max(a.last_send_ended_at for a in doubts) + self._settings.settle
        seen = await self._walk(since, self._horizon(doubts))
        if seen is None:
            await self._undecided(wave, doubts, UNCLEAR)
            return
        await self.reconcile(wave, seen.runs)
        if any(run.client_ref in {None, wave.ref} for run in seen.unidentified):
            await self._undecided(wave, doubts, UNTAGGED)
        else:
            await self._unseen(wave, doubts)

    async def _walk(self, since: float, horizon: datetime) -> RecentRuns | None:
        """Return a walk that began at *since* or later and went back to *horizon*."""
        async with self._walking:
            last = self._last_walk
            if last is None or last.asked < since or last.horizon > horizon:
                asked = anyio.current_time()
                last = await recent_runs(self._client, horizon, asked)
                self._last_walk = last and await self._told(last)
            return self._last_walk

    async def _told(self, walked: RecentRuns) -> RecentRuns:
        """Return the walk with what its runs tell when they are asked for by id."""
        before: list[Run] = []
        since: list[Run] = []
        for run in walked.runs:
            over = run.created_at is not None and run.created_at < walked.horizon
            (before if over else since).append(run)
        told = await self._run_identifier.identify(since)
        return replace(walked, runs=(*told.runs, *before), unidentified=told.unidentified)

    def _horizon(self, doubts: Iterable[Attempt]) -> datetime:
        """Return the service's time before which none of the doubtful runs can be created.

        Never from our own time of an earlier call: its clock may have been wrong by any amount.
        """
        moments = [self._intents.of(attempt).server_at for attempt in doubts]
        opened = self._ledger.opened_at + (self._client.server_now() - self._ledger.now())
        if None in moments:
            return BEGINNING
        return min([opened, *(datetime.fromisoformat(at) for at in moments if at)]) - MARGIN

    async def _unseen(self, wave: Wave, doubts: Iterable[Attempt]) -> None:
        """No run exists for these, unless the service commits later than it may."""
        missing = [group for group in _requests(wave, doubts) if await self._decide(wave, group)]
        if self._budget.limited:  # first of all: what isn't running costs nothing
            for attempt in (attempt for group in missing for attempt in group):
                self._transitions.in_flight.reserve(attempt, Decimal(0))
        for group in missing:
            if all(attempt.in_doubt for attempt in group):
                await self._send_again(group, wait=True)

    async def _decide(self, wave: Wave, group: Sequence[Attempt]) -> bool:
        """Do what follows from there being no run; return whether to send the request again."""
        if wave.seen and wave.batch:
            await self._ask_batch(wave, group)
        elif group[0].verdict is not None:
            await self._submitter.conclude(group, group[0].verdict)
        elif all(attempt.cell is None for attempt in group) and not group[0].conflicted:
            reason = "no run exists, and the manifest no longer names the cell"
            await self._transitions.drop(group, reason)
        elif (why := self._reason_to_wait(group)) is not None:
            await self._transitions.park(group, why)
        elif not _is_whole(wave, group):
            await self._transitions.begin_anew(
                group, "no run exists, and not all of its batch is wanted"
            )
        else:
            return True
        return False

    def _reason_to_wait(self, group: Sequence[Attempt]) -> str | None:
        """Return why a request is not to be sent again in this call, None if it may be."""
        if group[0].conflicted:
            return (
                "the service answered 409 and shows no run; look at the service, then decide "
                "with --resubmit-in-doubt"
            )
        if not any(attempt.selected for attempt in group):
            return "no run exists yet, and this call is about other cells"
        if not self._shutdown.submitting:
            return "no run exists yet, and submitting has stopped"
        if group[0].sends >= MOST_SENDS:
            return f"{group[0].sends} sends got no clear answer"
        return None

    async def _ask_batch(self, wave: Wave, group: Sequence[Attempt]) -> None:
        """Take from the batch itself what its list doesn't tell; it is never sent again."""
        batch = None
        if wave.batch_id is not None:
            batch = await self.batch_items.batch(wave.batch_id)
        told = (
            BatchAnswer((), (), group) if batch is None else match_items(batch, group, wave.batch)
        )
        await self._transitions.accept(
            [each for each in told.runs if each[0].in_doubt], adopted=True
        )
        for attempt, refusal in told.refused:
            if attempt.in_doubt:
                await self._transitions.reject([attempt], refusal)
        if lost := [attempt for attempt in told.unidentified if attempt.in_doubt]:
            self._submitter.unbatchable.update(attempt.key for attempt in lost)
            await self._begin_wanted_anew(lost, LOST_ITEM)

    async def _undecided(self, wave: Wave, doubts: Iterable[Attempt], reason: str) -> None:
        for group in _requests(wave, doubts):
            if wave.seen and wave.batch:
                await self._transitions.park(group, reason)
            elif not _is_whole(wave, group):
                await self._begin_wanted_anew(group, reason)
            elif self._decided and group[0].sends < MOST_SENDS:
                await self._send_again(group, wait=False)
            else:
                await self._transitions.park(group, reason)

    @property
    def _decided(self) -> bool:
        """Whether it was decided that what is in doubt is sent again."""
        return self._settings.resubmit_in_doubt and self._shutdown.submitting

    async def _begin_wanted_anew(self, group: Sequence[Attempt], reason: str) -> None:
        """Begin anew what of a batch is wanted, where that was decided; park the rest."""
        wanted = [a for a in group if a.selected and a.cell is not None] if self._decided else []
        if wanted:
            await self._transitions.begin_anew(wanted, DECIDED)
        if rest := [attempt for attempt in group if attempt not in wanted]:
            await self._transitions.park(rest, reason)

    async def _send_again(self, group: Sequence[Attempt], *, wait: bool) -> None:
        """Send the same intents again if the budget has room for them; *wait* while it may get it.

        What waits must hold nothing itself: two would wait for each other.
        """
        before = [attempt.reserved for attempt in group]
        if all(
            self._budget.admits(attempt, self._intents.last_input(attempt) or {})
            for attempt in group
        ):
            self._resend(group)
            return
        for attempt, reserved in zip(group, before, strict=True):
            self._transitions.in_flight.reserve(attempt, reserved)
        if not (wait and self._budget.may_get_room()):
            self._budget.held_back = True
            if wait and len(group) > 1:  # there may be room for some
                await self._transitions.begin_anew(group, NO_ROOM)
            else:
                await self._transitions.park(group, NO_ROOM)

    def _resend(self, group: Sequence[Attempt]) -> None:
        self._transitions.send(group)
        name = f"resend {group[0].key}"
        self._tasks.start_soon(self._submitter.resend, group, name=name)

    async def _extra(self, wave: Wave, tag: RunTag, run: Run) -> bool:
        """Write down a run that is one too many, once it has ended; return whether it has."""
        if not run.terminal and self._client.age(run) < self._settings.timeout:
            return False
        wave.known_run_ids.add(run.id)
        record = Extra(cell=tag.cell, attempt=tag.attempt, run_id=run.id, cost=billed(run))
        self._progress.note(
            f"cell {tag.cell[:12]} has a second run, {run.id}: the service committed it later "
            "than `settle` allows; its cost is counted"
        )
        await self._ledger.append(record)
        return True


def _requests(wave: Wave, doubts: Iterable[Attempt]) -> list[list[Attempt]]:
    """Return those in doubt by the request they share: each its own, or all of a batch."""
    doubts = [attempt for attempt in doubts if attempt.in_doubt]
    if not wave.batch:
        return [[attempt] for attempt in doubts]
    return [sorted(doubts, key=_index)] if doubts else []


def _is_whole(wave: Wave, group: Sequence[Attempt]) -> bool:
    """Say whether all that a request asked for is still to be asked for."""
    return len(group) == max(1, wave.batch) and all(
        attempt.cell is not None and attempt.selected for attempt in group
    )


def _index(attempt: Attempt) -> int:
    return attempt.index or 0
