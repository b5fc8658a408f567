"""What the parts of the engine share, and what becomes of an attempt.

Each step here changes what is held in memory first, and at once, then writes its line: so two
looks that overlap cannot write the same line twice, and a failed write stops everything anyway.
"""

from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from batchrun.base.progress import Progress
from batchrun.engine.budget import Budget
from batchrun.engine.in_flight import Active, Attempt, InFlight
from batchrun.engine.phases import AWAITED, Phase, WavePhase, check, check_wave
from batchrun.engine.poll_schedule import BATCH_POLL_VALUE, LARGE, SINGLE_POLL_VALUE, next_wait
from batchrun.engine.run_records import Refused, finished_line, rejected_line
from batchrun.engine.shutdown import Shutdown, Wakeup
from batchrun.engine.waves import NEVER, Wave, Waves
from batchrun.ledger.file import Ledger
from batchrun.ledger.history import GOOD, NOWHERE, State, Submit, next_step
from batchrun.ledger.records import (
    Dropped,
    Intent,
    Learnt,
    Parked,
    Submitted,
)
from batchrun.manifest.cells import Cell
from batchrun.runflow.client import Client
from batchrun.runflow.wire import Run
from batchrun.settings import Settings

UNKNOWN_STATUS: Final = "the service says a run is {word!r}, a status this batchrun doesn't know"


@dataclass(slots=True)
class Filter:
    """What is known of the list's filter by `client_ref`.

    *proven* once it has shown a run that we know; *refused* once the service would not have it.
    """

    proven: bool = False
    refused: bool = False


@dataclass(slots=True, kw_only=True)
class Work:
    """One call's work. *again* takes a cell to be tried once more, *finished* one to be saved.

    *wakeup* rings when a slot may be free or something is over, *poll_wakeup* when a wave is due
    sooner than planned. *held_by_budget* is True once the budget kept an intent from a second send.
    """

    settings: Settings
    ledger: Ledger
    client: Client
    in_flight: InFlight
    budget: Budget
    waves: Waves
    progress: Progress
    shutdown: Shutdown
    wakeup: Wakeup
    poll_wakeup: Wakeup
    identity: Mapping[str, Any]
    again: Callable[[Cell], None]
    finished: Callable[[Attempt, Run], None]
    remember_organisation: Callable[[str], Awaitable[None]]
    filter: Filter = field(default_factory=Filter)
    warned: set[str] = field(default_factory=set)
    held_by_budget: bool = False
    active: Active = field(default_factory=Active)

    async def listing(self, ref: str, *, over: AbstractSet[str] = frozenset()) -> list[Run] | None:
        """Return the runs of a wave as the list's filter shows them, None where it is refused.

        Those that are *over* are left out.
        """
        if self.filter.refused:
            return None
        runs = await self.client.runs_of(ref, over=over)
        if runs is None:
            self.filter.refused = True
            self.progress.note(
                "the service's list can't be filtered by client_ref; runs are asked for one by one"
            )
        return runs

    def begin(self, attempt: Attempt) -> None:
        """Give an attempt of this call a slot; nothing is written or sent yet."""
        self.in_flight.begin(attempt)
        self._enter(attempt, Phase.PREPARING)

    def take_over(self, attempt: Attempt) -> None:
        """Give an attempt of an earlier call its slot again, as the ledger has it."""
        self.in_flight.begin(attempt)
        self.waves[attempt.client_ref].join(attempt)
        self._enter(attempt, Phase.IN_DOUBT if attempt.run_id is None else Phase.RUNNING)
        if attempt.run_id is None:
            self.doubt([attempt])

    def ready(self, attempt: Attempt, sent: Mapping[str, Any]) -> None:
        """Its input is known as it is *sent*: it waits for a request."""
        attempt.sent = sent
        self._enter(attempt, Phase.QUEUED)

    def send(self, attempts: Iterable[Attempt]) -> None:
        """The attempts are part of a request, which may leave from now on."""
        for attempt in attempts:
            self._enter(attempt, Phase.SENDING)

    async def accept(self, told: Collection[tuple[Attempt, Run]], *, adopted: bool) -> None:
        """The runs exist: the API answered, or they were found again."""
        records = [self._accepted(attempt, run, adopted=adopted) for attempt, run in told]
        for ref in {attempt.client_ref for attempt, _ in told}:
            self._expect(self.waves[ref])
        await self.ledger.append(*records)

    def _accepted(self, attempt: Attempt, run: Run, *, adopted: bool) -> Submitted:
        attempt.run_id = run.id
        self._enter(attempt, Phase.RUNNING)
        attempt.started = anyio.current_time() - self.age(run)
        wave = self.waves[attempt.client_ref]
        wave.known_run_ids.add(run.id)
        wave.seen, wave.batch_id = True, run.batch_id or wave.batch_id
        wave.opened += 1
        return Submitted(
            cell=attempt.key,
            attempt=attempt.number,
            run_id=run.id,
            adopted=adopted,
            doubted=attempt.doubted,
        )

    async def finish(self, ended: Sequence[tuple[Attempt, Run]]) -> None:
        """The runs ended: write how, give the slots back, save or try again."""
        for attempt, _ in ended:
            self._end(attempt)
        await self.ledger.append(*(finished_line(a.key, a.number, run) for a, run in ended))
        for attempt, run in ended:
            self._enter(attempt, Phase.ENDED)
            if State(run.status_code) in GOOD:
                self._tell_end(attempt, good=True)
                self.finished(attempt, run)
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
            self._end(attempt)
        records = (rejected_line(attempt, refusal) for attempt in attempts)
        await self.ledger.append(*([] if intent is None else [intent]), *records)
        for attempt in attempts:
            self._enter(attempt, Phase.ENDED)
            self._tell_end(attempt, good=False)
        self.wakeup.ring()

    async def drop(self, attempts: Iterable[Attempt], reason: str) -> None:
        """It is certain that no run exists; the attempts don't count."""
        attempts = list(attempts)
        for attempt in attempts:
            self._end(attempt)
        records = (
            Dropped(cell=each.key, attempt=each.number, reason=reason, doubted=each.doubted)
            for each in attempts
        )
        await self.ledger.append(*records)
        for attempt in attempts:
            self._enter(attempt, Phase.ENDED)
        self.wakeup.ring()

    async def begin_anew(self, attempts: Iterable[Attempt], reason: str) -> None:
        """Drop the attempts, and have those of their cells that are wanted drawn again."""
        attempts = list(attempts)
        await self.drop(attempts, reason)
        for attempt in attempts:
            if attempt.selected:
                self._try_again(attempt)

    def withdraw(self, attempt: Attempt) -> None:
        """Give back a slot for which nothing was written or sent."""
        self._release(attempt)
        self._enter(attempt, Phase.ENDED)
        self.wakeup.ring()

    async def park(self, attempts: Iterable[Attempt], reason: str) -> None:
        """Give the attempts up for this call. They keep their slots: the runs may be running.

        Why it is not known whether there is a run, is said: somebody may have to decide. Once for
        each reason, which many have in common.
        """
        attempts = list(attempts)
        for attempt in attempts:
            self._enter(attempt, Phase.PARKED)
            if attempt.run_id is None and reason not in self.warned:
                self.warned.add(reason)
                self.progress.note(f"cell {attempt.key[:12]} is left in doubt: {reason}")
        records = (
            Parked(cell=each.key, attempt=each.number, run_id=each.run_id, reason=reason)
            for each in attempts
        )
        await self.ledger.append(*records)
        self.wakeup.ring()

    def doubt(self, attempts: Iterable[Attempt]) -> None:
        """Nobody knows whether the send that has just ended created these runs."""
        now = anyio.current_time()
        for attempt in attempts:
            if attempt.phase is not Phase.IN_DOUBT:
                self._enter(attempt, Phase.IN_DOUBT)
            attempt.doubted = True
            attempt.last_send_ended_at = now
            # Of several sends the last may come to light as late as an earlier one did, and that
            # one had another `settle` for it.
            later = self.settings.settle if attempt.sends > 1 else 0.0
            self.doubt_wave(self.waves[attempt.client_ref], now + later)
        self.wakeup.ring()
        self.poll_wakeup.ring()

    def doubt_wave(self, wave: Wave, ended: float) -> None:
        """A send of this wave left a doubt; it had certainly *ended* by then."""
        wave.last_send_ended_at = max(wave.last_send_ended_at, ended)
        if not wave.doubted:
            self._enter_wave(wave, WavePhase.RESOLVING if wave.polled else WavePhase.DOUBTED)

    def doubt_ends(self, wave: Wave) -> None:
        """The poll that is under way has shown all that may come to light late."""
        self._enter_wave(wave, WavePhase.POLLING)

    def poll_begins(self, wave: Wave) -> None:
        """The wave's runs are being asked for; no second poll of it begins meanwhile."""
        self._enter_wave(wave, WavePhase.RESOLVING if wave.doubted else WavePhase.POLLING)

    def poll_ends(self, wave: Wave) -> None:
        """The wave's runs have been asked for."""
        self._enter_wave(wave, WavePhase.DOUBTED if wave.doubted else WavePhase.IDLE)

    def still_in_doubt(self, attempts: Iterable[Attempt]) -> None:
        """The send is over, and has changed nothing: what was in doubt before it still is."""
        for attempt in attempts:
            self._enter(attempt, Phase.IN_DOUBT)

    def wait_for(self, wave: Wave) -> float:
        """Return the seconds to the next look at *wave*, from what is known of its model."""
        now = anyio.current_time()
        plenty = wave.batch and len(self.in_flight) >= LARGE and not self.client.waiting
        return next_wait(
            [now - attempt.started for attempt in wave.open()],
            sorted(self.ledger.book.facts(wave.model).durations),
            interval=self.settings.poll_interval,
            idle_looks=wave.idle_looks,
            in_flight=len(self.in_flight),
            value=BATCH_POLL_VALUE if plenty else SINGLE_POLL_VALUE,
        )

    def age(self, run: Run) -> float:
        """Return the seconds since *run* was created, by the service's clock."""
        if run.created_at is None:
            return 0.0
        return max(0.0, (self.client.server_now() - run.created_at).total_seconds())

    async def learn(self, model: str, *, batches: bool) -> None:
        """Remember whether *model* takes batches.

        One that ever did, does: then it is an input that was refused.
        """
        facts = self.ledger.book.facts(model)
        if facts.takes_batches is None or (batches and not facts.takes_batches):
            await self.ledger.append(Learnt(model=model, batches=batches))
            self.wakeup.ring()  # others wait for just that

    def warn_unknown_status(self, run: Run) -> None:
        """Say once for each word that the service uses a status we don't know."""
        if not run.known and run.status_code not in self.warned:
            self.warned.add(run.status_code)
            self.progress.note(UNKNOWN_STATUS.format(word=run.status_code))

    def intent(self, attempt: Attempt) -> Intent:
        """Return the intent as the ledger has it, with the input that was sent."""
        history = self.ledger.book.histories[attempt.key]
        record = self.ledger.read(history.intent_line)
        assert isinstance(record, Intent)
        return record

    def last_input(self, attempt: Attempt) -> Mapping[str, Any] | None:
        """Return the input that the cell's last intent with one carried; None before the first."""
        line = self.ledger.book.history(attempt.key).input_line
        if line == NOWHERE:
            return None
        record = self.ledger.read(line)
        assert isinstance(record, Intent)
        return record.input

    def _expect(self, wave: Wave) -> None:
        """Bring the wave's next look forward where one more open run calls for that."""
        # Each time their number has doubled: often enough, and cheap.
        if wave.next_look == NEVER or wave.opened >= 2 * wave.expected:
            wave.expected = wave.opened
            next_look = anyio.current_time() + self.wait_for(wave)
            if next_look < wave.next_look:
                wave.next_look = next_look
                self.poll_wakeup.ring()

    def _end(self, attempt: Attempt) -> None:
        self._release(attempt)
        self._enter(attempt, Phase.SETTLING)

    def _enter(self, attempt: Attempt, phase: Phase) -> None:
        check(attempt.phase, phase)
        attempt.phase = phase
        self.active.note(attempt, awaited=phase in AWAITED)

    def _enter_wave(self, wave: Wave, phase: WavePhase) -> None:
        check_wave(wave.phase, phase)
        wave.phase = phase
        self.active.note(wave, awaited=phase is not WavePhase.IDLE)

    def _release(self, attempt: Attempt) -> None:
        self.in_flight.end(attempt)
        if attempt.client_ref:
            self.waves[attempt.client_ref].leave(attempt)

    def _tell_end(self, attempt: Attempt, *, good: bool) -> None:
        """Count the cell as done, unless the walk of the grid is still to come to it: it will."""
        if attempt.yielded:
            self.progress.ended(good=good)

    def _try_again(self, attempt: Attempt) -> None:
        """Have the cell drawn again, if its attempts are not used up.

        One that the walk of the grid is still to come to will be drawn anyway, if it is asked for.
        """
        history = self.ledger.book.history(attempt.key)
        step = next_step(history, attempts=self.settings.attempts, granted=attempt.granted)
        if not isinstance(step, Submit):
            self._tell_end(attempt, good=False)
        elif attempt.yielded and attempt.cell is not None:
            self.again(attempt.cell)
