"""The transitions of an attempt: the verbs of the engine. Only here does a phase change.

Each verb changes what is held in memory first, and at once, then writes its line: so two polls that
overlap cannot write the same line twice, and a failed write stops everything anyway.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import anyio

from batchrun.base.progress import Notices
from batchrun.engine.callback_hints import CallbackHints
from batchrun.engine.callback_trust import CallbackTrust
from batchrun.engine.context import Context
from batchrun.engine.downloader import Downloader, Job
from batchrun.engine.in_flight import Active, Attempt, InFlight
from batchrun.engine.phases import AWAITED, Phase, WavePhase, check, check_wave
from batchrun.engine.ready_queue import ReadyQueue
from batchrun.engine.run_costs import RunCosts
from batchrun.engine.run_records import Refused, finished_line, rejected_line
from batchrun.engine.shutdown import Wakeup
from batchrun.engine.status_words import StatusWords
from batchrun.engine.waves import Wave, Waves
from batchrun.ledger.history import GOOD, State, Submit, next_step
from batchrun.ledger.records import Dropped, Intent, Parked, Submitted
from batchrun.runflow.callbacks import Ended
from batchrun.runflow.wire import Run


class Transitions:
    """Moves attempts and waves from phase to phase, each with the line that says so.

    *wakeup* rings when a slot may be free or something is over, *poll_wakeup* when a wave is due
    sooner than planned.
    """

    def __init__(
        self,
        context: Context,
        *,
        in_flight: InFlight,
        waves: Waves,
        active: Active,
        ready_queue: ReadyQueue,
        downloader: Downloader,
        costs: RunCosts,
        wakeup: Wakeup,
    ) -> None:
        self.in_flight = in_flight
        self.waves = waves
        self.wakeup = wakeup
        self.poll_wakeup = Wakeup()
        self.trust = CallbackTrust(context.settings.callback_url, context.ledger.book.facts)
        self._hints = CallbackHints(in_flight, waves, self.trust)
        self.status_words = StatusWords(context.client, context.progress)
        self._settings = context.settings
        self._ledger = context.ledger
        self._client = context.client
        self._progress = context.progress
        self._ends = context.ends
        self._notices = Notices(context.progress)
        self._active = active
        self._ready_queue = ready_queue
        self._downloader = downloader
        self._log_keeper = context.log_keeper
        self._costs = costs

    # The way of an attempt.

    def begin(self, attempt: Attempt) -> None:
        """Give an attempt of this call a slot; nothing is written or sent yet."""
        self.in_flight.begin(attempt)
        self._enter(attempt, Phase.PREPARING)
        if attempt.cell is not None:
            self._ends.begun(attempt.cell)

    def take_over(self, attempt: Attempt) -> None:
        """Give an attempt of an earlier call its slot again, as the ledger has it."""
        self.in_flight.begin(attempt)
        self.waves[attempt.client_ref].join(attempt)
        if attempt.run_id is None:
            self.doubt([attempt])
        else:
            self._enter(attempt, Phase.RUNNING)

    def ready(self, attempt: Attempt, sent: Mapping[str, Any]) -> None:
        """The input is known as it is *sent*: the attempt waits for a request."""
        attempt.sent = sent
        self._enter(attempt, Phase.QUEUED)

    def place(self, attempts: Iterable[Attempt]) -> None:
        """The attempts have their place in a request; nothing of it is written or sent yet."""
        for attempt in attempts:
            self._enter(attempt, Phase.PLACED)

    def send(self, attempts: Iterable[Attempt]) -> None:
        """The attempts' intents are on disk; from now on the request may leave, or leave again."""
        for attempt in attempts:
            self._enter(attempt, Phase.SENDING)

    def doubt(self, attempts: Iterable[Attempt]) -> None:
        """It is not known whether the send that has just ended created these runs."""
        now = anyio.current_time()
        for attempt in attempts:
            self._enter(attempt, Phase.IN_DOUBT)
            attempt.doubted = True
            self.in_flight.date(attempt, None)  # it may be sent again, on a later day
            attempt.last_send_ended_at = now
            # A second send, too, may be committed up to `settle` late: wait for two periods.
            later = self._settings.settle if attempt.sends > 1 else 0.0
            self.doubt_wave(self.waves[attempt.client_ref], now + later)
        self.wakeup.ring()
        self.poll_wakeup.ring()

    def back_to_doubt(self, attempts: Iterable[Attempt]) -> None:
        """The send was broken off. An earlier one is in doubt as it was before.

        Where there is none this call is being cancelled, and the next one takes the doubt over.
        """
        for attempt in attempts:
            self._enter(attempt, Phase.IN_DOUBT)

    async def accept(self, found: Collection[tuple[Attempt, Run]], *, adopted: bool) -> None:
        """The runs exist: the API answered, or they were found again."""
        records = [self._accepted(attempt, run, adopted=adopted) for attempt, run in found]
        if any(self.waves[attempt.client_ref].plan_is_stale for attempt, _ in found):
            self.poll_wakeup.ring()
        self._announce(self._hints.catch_up(attempt for attempt, _ in found))
        await self._ledger.append(*records)

    def _accepted(self, attempt: Attempt, run: Run, *, adopted: bool) -> Submitted:
        self.in_flight.know(attempt, run.id)
        self._enter(attempt, Phase.RUNNING)
        now = anyio.current_time()
        attempt.sight.meet(now)
        attempt.started = now - attempt.sight.age(self._client.said_age(run), now)
        wave = self.waves[attempt.client_ref]
        wave.know(run.id, now)
        wave.batch_id = run.batch_id or wave.batch_id
        wave.opened += 1
        return Submitted(
            cell=attempt.key,
            attempt=attempt.number,
            run_id=run.id,
            adopted=adopted,
            doubted=attempt.doubted,
        )

    def hear(self, ended: Ended) -> None:
        """A signed callback says so: a hint, which frees slots and has the API asked soon."""
        self._announce(self._hints.take(ended))

    def _announce(self, attempts: Sequence[Attempt]) -> None:
        now = anyio.current_time()
        for attempt in attempts:
            self.in_flight.free(attempt)
            self.waves[attempt.client_ref].announced[attempt.key] = now
        if attempts:
            self.wakeup.ring()
            self.poll_wakeup.ring()

    def contradict(self, attempt: Attempt) -> None:
        """The API, asked long enough after it, says that a run goes on that was said to be over."""
        self.waves[attempt.client_ref].announced.pop(attempt.key, None)
        self.in_flight.hold(attempt)
        self.trust.doubt(attempt.model)

    async def park(self, attempts: Iterable[Attempt], reason: str) -> None:
        """Give the attempts up for this call. They keep their slots: the runs may be running.

        The reason why a run is in doubt is reported, since the user may have to decide. It is
        reported once: many attempts share it.
        """
        attempts = list(attempts)
        for attempt in attempts:
            known = attempt.run_id is not None
            self._enter(attempt, Phase.PARKED if known else Phase.PARKED_IN_DOUBT)
            if attempt.run_id is None:
                message = f"cell {attempt.key[:12]} is left in doubt: {reason}"
                self._notices.once(reason, message)
        records = (
            Parked(cell=each.key, attempt=each.number, run_id=each.run_id, reason=reason)
            for each in attempts
        )
        await self._ledger.append(*records)
        self.wakeup.ring()

    async def finish(self, ended: Sequence[tuple[Attempt, Run]]) -> None:
        """The runs ended: write how, give the slots back, save or try again."""
        for attempt, _ in ended:
            self._settle(attempt)
            self.trust.ended(attempt)
        known = [(attempt, self._costs.ended(attempt, run)) for attempt, run in ended]
        await self._ledger.append(*(finished_line(a.key, a.number, run) for a, run in known))
        for attempt, run in ended:
            self._enter(attempt, Phase.ENDED)
            self._log_keeper.ended(attempt.key, run)
            if State(run.status_code) in GOOD:
                self._tell_end(attempt)
                job = Job(key=attempt.key, run_id=run.id, name=attempt.name, output=run.output)
                self._downloader.put(job)
            else:
                self._try_again(attempt)
        self.wakeup.ring()

    async def reject(
        self, attempts: Iterable[Attempt], refusal: Refused, intent: Intent | None = None
    ) -> None:
        """The API refused the inputs: no run exists, and the same input stays refused.

        *intent* is written with it where the refusal came before there was one to send.
        """
        attempts = list(attempts)
        for attempt in attempts:
            self._settle(attempt)
        before = intent is not None
        records = (rejected_line(each, refusal, at_upload=before) for each in attempts)
        await self._ledger.append(*([] if intent is None else [intent]), *records)
        for attempt in attempts:
            self._enter(attempt, Phase.ENDED)
            self._tell_end(attempt, bad=State.REJECTED)
        self.wakeup.ring()

    async def drop(
        self, attempts: Iterable[Attempt], reason: str, *, answered: bool = False
    ) -> None:
        """It is certain that no run exists; the attempts don't count.

        *answered*: their batch was taken, which is proof for its other items.
        """
        attempts = list(attempts)
        for attempt in attempts:
            self._settle(attempt)
        records = (
            Dropped(
                cell=each.key,
                attempt=each.number,
                reason=reason,
                doubted=each.doubted,
                answered=answered,
            )
            for each in attempts
        )
        await self._ledger.append(*records)
        for attempt in attempts:
            self._enter(attempt, Phase.ENDED)
        self.wakeup.ring()

    async def begin_anew(
        self, attempts: Iterable[Attempt], reason: str, *, answered: bool = False
    ) -> None:
        """Drop the attempts, and have their selected cells drawn again."""
        attempts = list(attempts)
        await self.drop(attempts, reason, answered=answered)
        for attempt in attempts:
            if attempt.selected:
                self._try_again(attempt)

    def withdraw(self, attempt: Attempt) -> None:
        """Give back a slot for which nothing was written or sent."""
        self._release(attempt)
        self._enter(attempt, Phase.ENDED)
        self.wakeup.ring()

    def put_off(self, attempts: Iterable[Attempt]) -> None:
        """Give back the slots of attempts that are not sent now, and have their cells drawn again.

        Nothing of them was written or sent.
        """
        for attempt in attempts:
            self.withdraw(attempt)
            if attempt.cell is not None:
                self._ready_queue.again(attempt.cell)

    # The way of a wave.

    def doubt_wave(self, wave: Wave, ended: float) -> None:
        """A send of this wave left a doubt; it had certainly *ended* by then."""
        wave.last_send_ended_at = max(wave.last_send_ended_at, ended)
        if not wave.doubted:
            self._enter_wave(wave, WavePhase.RESOLVING if wave.polled else WavePhase.DOUBTED)
            self.poll_wakeup.ring()  # not each caller is a poll

    def doubt_ends(self, wave: Wave) -> None:
        """The poll that is under way has shown all that may come to light late."""
        self._enter_wave(wave, WavePhase.POLLING)

    def poll_begins(self, wave: Wave) -> None:
        """The wave's runs are being asked for; no second poll of it begins meanwhile."""
        self._enter_wave(wave, WavePhase.RESOLVING if wave.doubted else WavePhase.POLLING)

    def poll_ends(self, wave: Wave) -> None:
        """The wave's runs have been asked for."""
        self._enter_wave(wave, WavePhase.DOUBTED if wave.doubted else WavePhase.IDLE)

    # The steps that the verbs share.

    def _enter(self, attempt: Attempt, phase: Phase) -> None:
        check(attempt.phase, phase)
        attempt.phase = phase
        self._active.note(attempt, awaited=phase in AWAITED)

    def _enter_wave(self, wave: Wave, phase: WavePhase) -> None:
        check_wave(wave.phase, phase)
        wave.phase = phase
        self._active.note(wave, awaited=phase is not WavePhase.IDLE)

    def _settle(self, attempt: Attempt) -> None:
        self._release(attempt)
        self._enter(attempt, Phase.SETTLING)

    def _release(self, attempt: Attempt) -> None:
        self.in_flight.end(attempt)
        if not attempt.waits:
            self.waves[attempt.client_ref].leave(attempt)

    def _tell_end(self, attempt: Attempt, *, bad: str = "") -> None:
        """Count the cell as done, unless the walk of the grid is still to come to it: it will."""
        if attempt.yielded:
            self._progress.ended(bad=bad)
        if bad:  # else it is the downloader's to say
            self._ends.over(attempt.key)

    def _try_again(self, attempt: Attempt) -> None:
        """Have the cell drawn again, if its attempts are not used up.

        A cell that the walk of the grid has not reached will be drawn anyway, if it is selected.
        """
        history = self._ledger.book.history(attempt.key)
        step = next_step(history, attempts=self._settings.attempts, granted=attempt.granted)
        if not isinstance(step, Submit):
            self._tell_end(attempt, bad=history.state)
        elif attempt.yielded and attempt.cell is not None:
            self._ready_queue.again(attempt.cell)
