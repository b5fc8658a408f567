"""Finds out what became of a send that got no clear answer, whether this process made it or not.

    evidence   the wave's list; where its filter can't be believed, the newest runs of all
    identify   whose each run is: `identify_runs.py`
    decide     what follows: `decisions.py`
    apply      the verbs of `transitions.py`, or a second send of the same bytes

**A run counts as missing under two conditions only.** The look-up began `settle` after our last
send of the intent had ended; and the list has shown, in this process, a run that we know. The last
look-up at a wave once came `settle` after the last send, while an earlier send, of a call that was
killed, was just coming to light: a run was never found. See docs/crash-safety.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import anyio
from anyio.abc import TaskGroup

from batchrun.base.progress import Notices
from batchrun.base.times import moment
from batchrun.engine.batch_items import BatchAnswer, match_items
from batchrun.engine.budget import Budget
from batchrun.engine.context import Context
from batchrun.engine.decisions import (
    Action,
    Decision,
    Policy,
    decide,
    decide_lost_items,
    requests_in_doubt,
)
from batchrun.engine.duplicate_runs import DuplicateRuns
from batchrun.engine.identify_runs import Identified, Owner, RunIdentifier, match_runs
from batchrun.engine.in_flight import Attempt
from batchrun.engine.phases import Phase
from batchrun.engine.recent_runs import BEGINNING, MARGIN, RecentRuns, recent_runs
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.request_body import Intents
from batchrun.engine.run_tag import tag_of
from batchrun.engine.submit import Submitter
from batchrun.engine.transitions import Transitions
from batchrun.engine.waves import Wave
from batchrun.errors import LostLedgerError
from batchrun.ledger.records import Looked, timestamp
from batchrun.runflow.pagination import RunList
from batchrun.runflow.wire import Run

OWED: Final = timedelta(hours=1)
"""How long after its first last look a wave that had a doubt is looked at again (rule 14)."""

UNCLEAR: Final = (
    "the service's list can neither be filtered nor walked back far enough, so whether a run "
    "exists is not known; look at the service, then decide with --resubmit-in-doubt"
)
UNTAGGED: Final = (
    "the service shows a run without its metadata as sent, which may be the one; look at "
    "the service, then decide with --resubmit-in-doubt"
)
STRANGER: Final = (
    "batch {batch} has run {run}, and shows it for none of its items: it may have been paid "
    "beside the run of a cell; look at the service"
)
NO_ROOM: Final = "the budget has no room to send it again; raise it, and call again"


class Reconciler:
    """Resolves doubts; one walk serves all that are in doubt at that time."""

    def __init__(
        self,
        context: Context,
        *,
        transitions: Transitions,
        budget: Budget,
        submitter: Submitter,
        intents: Intents,
        ref_filter: RefFilter,
        duplicates: DuplicateRuns,
        tasks: TaskGroup,
    ) -> None:
        self._settings = context.settings
        self._ledger = context.ledger
        self._client = context.client
        self._sweep = context.sweep
        self._transitions = transitions
        self._budget = budget
        self._submitter = submitter
        self._intents = intents
        self._ref_filter = ref_filter
        self._duplicates = duplicates
        self._shutdown = context.shutdown
        self._notices = Notices(context.progress)
        self._tasks = tasks
        self._walking = anyio.Lock()
        self._last_walk: RecentRuns | None = None
        book = context.ledger.book
        newest = None if book.newest is None else book.newest.run_id
        self._known_before = frozenset({newest, book.oldest} - {None})
        self._run_identifier = RunIdentifier(context)
        self.batch_items = self._run_identifier.batch_items

    async def reconcile(self, wave: Wave, runs: Iterable[Run]) -> int:
        """Adopt what is in doubt, write what is one too many; return how many of these still run.

        Runs that are known pass by unnoticed. A run that no copy of the ledger but another one can
        have made ends the call.
        """
        runs = [run for run in runs if run.client_ref in {None, wave.ref} or self._is_of(run, wave)]
        wave.note(runs)
        if wave.doubted or (wave.batch and not all(wave.has_met(run.id) for run in runs)):
            runs = await self.batch_items.with_tags(runs)
            self._say_strangers(wave, runs)
        found, others = match_runs(wave, runs, self._sweep)
        if found:
            await self._transitions.accept(found, adopted=True)
            if wave.batch:
                await self._submitter.learn(wave.model, batches=True)
        try:
            for tag, run in await self._run_identifier.unrecorded(wave, others):
                await self._duplicates.record(wave, tag, run)
        except LostLedgerError as error:
            self._shutdown.leave(error)
        running = await self._duplicates.look(runs)
        if running and not wave.doubted:  # it is looked at until they have ended
            self._transitions.doubt_wave(wave, anyio.current_time())
        return running

    def _say_strangers(self, wave: Wave, runs: Iterable[Run]) -> None:
        """Say that a batch that is settled has runs which it shows for none of its items."""
        if wave.batch and not wave.doubted:
            for run in runs:
                if tag_of(run, self._sweep) is None and not wave.has_met(run.id):
                    self._notices.once(STRANGER.format(run=run.id, batch=run.batch_id))

    def _is_of(self, run: Run, wave: Wave) -> bool:
        """Say whether the tag of a run names an attempt of *wave*, however its reference is."""
        tag = tag_of(run, self._sweep)
        attempt = None if tag is None else wave.attempts.get(tag.cell)
        return attempt is not None and tag is not None and tag.key == attempt.idempotency_key

    async def look_last(self, wave: Wave, asked: float, runs: RunList) -> bool:
        """Take in the last list of a wave; return whether it shows what it has to.

        Runs of it that don't show their tag are asked for by id.
        """
        strangers = [run for run in runs if run.id not in wave.known_run_ids]
        known, unknown = _by_owner(await self._run_identifier.identify(strangers))
        await self.reconcile(wave, known)
        wave.unlisted = False
        return not unknown and self._is_believed(wave, asked, runs)

    def _is_believed(self, wave: Wave, asked: float, runs: RunList | None) -> bool:
        """Say whether a list was read whole, and shows what is known of *wave*."""
        if runs is None or not runs.whole:
            return False
        return wave.shows_known(runs, asked - self._settings.settle)

    async def write_last_looks(self) -> None:
        """Write which waves had their last look, but for those that are owed another one."""
        book, waves = self._ledger.book, self._transitions.waves
        for ref in list(book.looked):
            if (seen := waves.find(ref)) is not None and not (seen.unlisted or seen.doubted):
                await self._write_looked(ref)
        listed = [
            ref
            for ref in book.unlisted
            if ref not in book.doubted and not ((wave := waves.find(ref)) and wave.unlisted)
        ]
        await self._ledger.append(*(Looked(client_ref=ref) for ref in listed))

    async def owe_look(self, waves: Iterable[Wave]) -> None:
        """Write that another look at *waves* is owed: the last one failed, or showed too little."""
        at = timestamp(self._client.server_now())
        lines = [Looked(client_ref=wave.ref, server_at=at) for wave in waves]
        await self._ledger.append(*lines)

    async def resolve_doubts(self, wave: Wave, asked: float, runs: RunList | None) -> None:
        """Decide what the look that began at *asked* and did not show an attempt means for it."""
        settle = self._settings.settle
        doubts = [a for a in wave.doubts() if asked >= a.last_send_ended_at + settle]
        if not doubts:
            return
        if runs is not None:
            identified = await self._run_identifier.identify(runs)
            known, unknown = _by_owner(identified)
            await self.reconcile(wave, known)
            if unknown:
                await self._decide(wave, doubts, unclear=UNTAGGED)
                return
        if self._is_believed(wave, asked, runs) and await self._ref_filter.prove():
            # The newest page, too: a list may end early, and show all that is known of its wave.
            page = await self._client.newest_page()
            await self.reconcile(wave, () if page is None else page.runs)
            await self._decide(wave, doubts)
        else:
            await self._by_walking(wave, doubts)

    async def final_poll(self, wave: Wave, asked: float, runs: RunList | None) -> None:
        """End the watch over a wave that had a doubt, if the look came late enough to do so."""
        if not self._shows_all(wave, asked):
            return
        if not (self._is_believed(wave, asked, runs) and await self._ref_filter.prove()):
            settled = wave.last_send_ended_at + self._settings.settle
            seen = await self._walk(settled, self._horizon(()))
            if seen is not None and await self.reconcile(wave, seen.runs):
                return
            if seen is None or not self._walk_shows_known(seen):
                self._transitions.doubt_ends(wave)  # in this call: it stays owed
                return
        if self._shows_all(wave, asked):  # a send may have ended while we walked
            self._transitions.doubt_ends(wave)
            await self._write_looked(wave.ref)

    async def _write_looked(self, ref: str) -> None:
        """Write that a wave had its last look; within an hour of the first, that one is owed."""
        first = self._ledger.book.looked.get(ref)
        now = self._client.server_now()
        if first is None:
            await self._ledger.append(Looked(client_ref=ref, server_at=timestamp(now)))
        elif (at := moment(first)) is None or now - at >= OWED:
            await self._ledger.append(Looked(client_ref=ref))

    def _shows_all(self, wave: Wave, asked: float) -> bool:
        """Say whether a look that began at *asked* shows all that may come to light late."""
        settled = asked >= wave.last_send_ended_at + self._settings.settle
        under_way = any(a.doubted and a.phase is Phase.SENDING for a in wave.attempts.values())
        return wave.doubted and settled and not under_way and not wave.doubts()

    async def _by_walking(self, wave: Wave, doubts: Sequence[Attempt]) -> None:
        since = max(a.last_send_ended_at for a in doubts) + self._settings.settle
        seen = await self._walk(since, self._horizon(doubts))
        if seen is None:
            await self._decide(wave, doubts, unclear=UNCLEAR)
            return
        await self.reconcile(wave, seen.runs)
        if not self._walk_shows_known(seen):
            await self._decide(wave, doubts, unclear=UNCLEAR)
            return
        if any(run.client_ref in {None, wave.ref} for run in seen.unidentified):
            await self._decide(wave, doubts, unclear=UNTAGGED)
        else:
            await self._decide(wave, doubts)

    def _walk_shows_known(self, seen: RecentRuns) -> bool:
        """Say whether a walk shows what it has to: a list may end early, and not say so."""
        if not (seen.whole and seen.to_the_end):
            return seen.whole
        before, shown = seen.asked - self._settings.settle, {run.id for run in seen.runs}
        return self._known_before <= shown and all(
            wave.shows_known(seen.runs, before) for wave in self._transitions.waves
        )

    async def _walk(self, since: float, horizon: datetime) -> RecentRuns | None:
        """Return a walk that began at *since* or later and went back to *horizon*."""
        async with self._walking:
            last = self._last_walk
            if last is None or last.asked < since or last.horizon > horizon:
                asked = anyio.current_time()
                last = await recent_runs(self._client, horizon, asked)
                self._last_walk = last and await self._identified(last)
            return self._last_walk

    async def _identified(self, walked: RecentRuns) -> RecentRuns:
        """Return the walk, its runs with what the service shows of them by id."""
        before: list[Run] = []
        since: list[Run] = []
        for run in walked.runs:
            over = run.created_at is not None and run.created_at < walked.horizon
            (before if over else since).append(run)
        known, unknown = _by_owner(await self._run_identifier.identify(since))
        return replace(walked, runs=(*known, *before), unidentified=tuple(unknown))

    def _horizon(self, doubts: Iterable[Attempt]) -> datetime:
        """Return the service's time before which none of the doubtful runs can be created.

        Never from our own time of an earlier call: its clock may have been wrong by any amount. Nor
        by the service's `Date` alone: the times of its runs may be of another clock.
        """
        sent = [moment(self._intents.of(attempt).server_at) for attempt in doubts]
        opened = self._ledger.opened_at + (self._client.server_now() - self._ledger.now())
        behind = self._client.profile.created_behind
        if None in sent or behind is None:
            return BEGINNING
        earliest = min([opened, *(at for at in sent if at)])
        return earliest - behind - MARGIN

    async def _decide(
        self, wave: Wave, doubts: Iterable[Attempt], *, unclear: str | None = None
    ) -> None:
        """Decide what becomes of attempts without a run, and do it.

        *unclear* is why a run may exist; None where it is certain that none does.
        """
        resends: list[Sequence[Attempt]] = []
        for request in requests_in_doubt(wave, doubts):
            # The rights of a call can change while the line before is being written.
            for decision in decide(wave, request, self._policy(), unclear=unclear):
                if decision.action is Action.SEND_AGAIN:
                    resends.append(request)  # after all others: what they give back it may take
                else:
                    await self._apply(wave, decision)
        if unclear is None and self._budget.limited:  # what isn't running costs nothing
            for attempt in (attempt for group in resends for attempt in group):
                self._transitions.in_flight.reserve(attempt, Decimal(0))
        for group in resends:
            if all(attempt.unresolved for attempt in group):
                await self._send_again(group, wait=unclear is None)

    def _policy(self) -> Policy:
        resubmit = self._settings.resubmit_in_doubt
        return Policy(submitting=self._shutdown.submitting, resubmit=resubmit)

    async def _apply(self, wave: Wave, decision: Decision) -> None:
        """Do all that one decision says, but for sending."""
        attempts = decision.attempts
        match decision.action:
            case Action.ASK_BATCH:
                await self._ask_batch(wave, attempts)
            case Action.CONCLUDE:
                assert attempts[0].verdict is not None
                await self._submitter.conclude(attempts, attempts[0].verdict)
            case Action.DROP:
                await self._transitions.drop(attempts, decision.reason)
            case Action.PARK:
                await self._transitions.park(attempts, decision.reason)
            case Action.BEGIN_ANEW:
                await self._transitions.begin_anew(attempts, decision.reason)
            case Action.SEND_AGAIN:
                raise AssertionError("what is sent again waits for all other decisions")

    async def _ask_batch(self, wave: Wave, attempts: Sequence[Attempt]) -> None:
        """Take from the batch itself what its list doesn't show; a batch is never sent again."""
        batch = None
        if wave.batch_id is not None:
            batch = await self.batch_items.batch(wave.batch_id)
        answer = BatchAnswer(unidentified=attempts)
        if batch is not None:
            answer = match_items(batch, attempts, wave.batch)
        runs = [each for each in answer.runs if each[0].unresolved]
        await self._transitions.accept(runs, adopted=True)
        await self._file_without_run(answer)
        if lost := [attempt for attempt in answer.unidentified if attempt.unresolved]:
            self._submitter.unbatchable.update(attempt.key for attempt in lost)
            for decision in decide_lost_items(lost, self._policy()):
                await self._apply(wave, decision)

    async def _file_without_run(self, answer: BatchAnswer) -> None:
        """File that items got no run, as `Submitter` does where the batch's POST shows it."""
        for attempt, refusal in answer.refused:
            if attempt.unresolved:
                await self._transitions.reject([attempt], refusal)
        for why, failed in answer.failed.items():
            if unresolved := [attempt for attempt in failed if attempt.unresolved]:
                await self._submitter.send_alone(unresolved, why, answered=True)

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


def _by_owner(identified: Iterable[Identified]) -> tuple[list[Run], list[Run]]:
    """Return the runs whose owner is known, and the others."""
    known: list[Run] = []
    unknown: list[Run] = []
    for each in identified:
        (unknown if each.owner is Owner.UNKNOWN else known).append(each.run)
    return known, unknown
