"""Polls waves: which runs ended, which exist although in doubt, which are one too many.

One poll is one listing of a wave, for all purposes. A run in the list exists, and is believed at
once. A run that the list lacks counts as missing only under the rules in `reconcile.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import anyio
from anyio.abc import TaskGroup

from batchrun.base.text import size_of
from batchrun.engine.callback_trust import RARE, rare_wait
from batchrun.engine.context import Context
from batchrun.engine.in_flight import Attempt, Callback
from batchrun.engine.phases import Phase
from batchrun.engine.poll_schedule import BATCH_POLL_VALUE, LARGE, SINGLE_POLL_VALUE, next_wait
from batchrun.engine.reconcile import Reconciler
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.run_costs import RunCosts
from batchrun.engine.transitions import Transitions
from batchrun.engine.waves import GATHERING, Wave
from batchrun.errors import QuestionHeldError, ThrottledError, UnreachableError
from batchrun.runflow.statuses import OPEN
from batchrun.runflow.wire import Run
from batchrun.settings import BY_ID

FEW: Final = 2
"""A wave with so few open runs is asked by run id: the list would show all runs that ended, too."""

UNKNOWN: Final = "the service doesn't know this run any more (404); it is never run again"

SILENT: Final = (
    "the service answers other calls but not those for this run, and its list doesn't show it; "
    "the next call asks again"
)

TOO_LARGE: Final = (
    "the service's answer for this run has {size} or more, also without its output, and its list "
    "doesn't show it; the next call asks again"
)


class Poller:
    """Knows when each wave is to be looked at, and does it; no look waits for another wave's.

    Nor does it wait long for a run that gives no answer by its id: that one is asked for apart,
    and the list of its wave is asked instead, from then on.
    """

    def __init__(
        self,
        context: Context,
        *,
        transitions: Transitions,
        ref_filter: RefFilter,
        reconciler: Reconciler,
        costs: RunCosts,
    ) -> None:
        self._settings = context.settings
        self._book = context.ledger.book
        self._client = context.client
        self._transitions = transitions
        self._in_flight = transitions.in_flight
        self._ref_filter = ref_filter
        self._reconciler = reconciler
        self._costs = costs
        self._trust = transitions.trust
        self._asking: dict[str, anyio.CancelScope] = {}  # by run id
        self._unread: set[str] = set()  # references of waves whose list was not read whole
        self.passed_over = False  # waves that no list can show: all runs are walked in the end
        self._silent: set[str] = set()  # references of waves whose list is asked instead
        self._tasks: TaskGroup

    async def run(self) -> None:
        """Look until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._transitions.status_words.run, name="words of statuses")
            while True:
                soonest = self._start_due()
                with anyio.move_on_at(soonest):
                    await self._transitions.poll_wakeup.wait()

    async def look_last(self) -> list[Wave]:
        """Ask for the list of each wave whose last runs came since it was asked for.

        A gateway may have sent a request twice: nothing but a list shows the second run. Return the
        waves whose lists don't show what they have to.
        """
        left: list[Wave] = []
        for wave in list(self._transitions.waves):
            if wave.unlisted and not wave.polled:
                self._transitions.poll_begins(wave)
                try:
                    asked = anyio.current_time()
                    runs = await self._ref_filter.runs_of(wave.ref)
                    await self._costs.show(runs or ())
                    if runs is None or not await self._reconciler.look_last(wave, asked, runs):
                        left.append(wave)
                finally:
                    self._transitions.poll_ends(wave)
        return left

    def _start_due(self) -> float:
        """Start the looks that are due; return when the next one is."""
        settings, waves = self._settings, self._transitions.waves
        now = anyio.current_time()
        soonest = float("inf")
        waves.forget()
        for wave in waves:
            wants_list = wave.unlisted and wave.ref not in self._unread
            if wants_list and not (wave.attempts or wave.room or wave.polled):
                if self._client.profile.refuses_filter:
                    wave.unlisted, self.passed_over = False, True
                else:  # its last attempt was refused: no poll has come after its runs
                    wave.next_look = now
            if wave.opened and wave.plan_is_stale:
                wave.expected = wave.opened
                wave.next_look = min(wave.next_look, now + self._wait_for(wave))
            if wave.polled:
                continue
            if wave.next_look <= now and self._may_be_put_off(wave, now):
                wave.next_look = now + self._wait_for(wave)
            due = wave.due(settle=settings.settle, interval=settings.poll_interval)
            if due <= now:
                self._transitions.poll_begins(wave)
                self._tasks.start_soon(self._poll, wave, name=f"look at {wave.ref}")
            else:
                soonest = min(soonest, due)
        return soonest

    async def _poll(self, wave: Wave) -> None:
        asked = wave.last_look = anyio.current_time()
        before = len(wave.attempts)
        self._notice_late(wave, asked)
        try:
            few = self._few(wave, asked)
            one_by_one = few is not None and await self._poll_one_by_one(few)
            if not one_by_one or (wave.unlisted and not (wave.room or wave.attempts)):
                await self._poll_list(wave, asked)
        finally:
            self._transitions.poll_ends(wave)
        wave.forget_announced(asked)
        wave.idle_looks = 0 if len(wave.attempts) < before else wave.idle_looks + 1
        self._plan(wave, asked)
        self._transitions.poll_wakeup.ring()
        self._transitions.wakeup.ring()

    def _few(self, wave: Wave, asked: float) -> list[Attempt] | None:
        """Return the runs to ask for by their ids; None where the wave's list is asked for."""
        if wave.doubted or wave.ref in self._silent:
            return None
        if _is_for_announced(wave, asked):
            return wave.ended() if len(wave.announced) == 1 else None
        open_runs = wave.open()
        return open_runs if len(open_runs) <= FEW else None

    async def _poll_list(self, wave: Wave, asked: float) -> None:
        # A doubt ends by a list only if that shows all that is known of the wave.
        over = frozenset() if wave.doubted else wave.finished_run_ids
        runs = await self._ref_filter.runs_of(wave.ref, over=over)
        extras_running = 0
        if runs is not None:
            if runs.whole:
                wave.unlisted = False
            else:  # it is asked for again at the end
                self._unread.add(wave.ref)
            extras_running = await self._reconciler.reconcile(wave, runs)
            await self._handle_list(wave, runs)
            await self._costs.show(runs)
        unidentified = (
            await self._not_running(wave, asked) if runs is None else self._missing(wave, runs)
        )
        await self._poll_one_by_one(unidentified)
        await self._reconciler.resolve_doubts(wave, asked, runs)
        if not extras_running:
            await self._reconciler.final_poll(wave, asked, runs)

    async def _handle_list(self, wave: Wave, runs: Sequence[Run]) -> None:
        by_id = {a.run_id: a for a in wave.attempts.values() if a.run_id is not None}
        shown = [(by_id[run.id], run) for run in runs if run.id in by_id]
        for _, run in shown:
            self._client.profile.filter_proven = True
            if run.id in self._asking:
                self._asking[run.id].cancel()
        await self._handle(shown)

    async def _not_running(self, wave: Wave, asked: float) -> list[Attempt]:
        """Return the open runs to ask for by id, where no list shows them.

        One call for a batch shows which of its runs are still running, and nothing of the others. A
        run that is older than `timeout` is asked for, too.
        """
        if _is_for_announced(wave, asked):
            return wave.ended()
        open_runs, running = wave.open(), set[str | None]()
        if wave.batch_id is not None and len(open_runs) > FEW:
            batch = await self._reconciler.batch_items.batch(wave.batch_id)
            items = () if batch is None else batch.items
            running = {item.run_id for item in items if item.status_code in OPEN}
        old = anyio.current_time() - self._settings.timeout
        return [a for a in open_runs if a.run_id not in running or a.started < old]

    def _missing(self, wave: Wave, runs: Sequence[Run]) -> list[Attempt]:
        """Return the open runs that the list doesn't show although it should by now."""
        shown = {run.id for run in runs}
        late = anyio.current_time() - self._settings.settle
        return [a for a in wave.open() if a.run_id not in shown and a.started <= late]

    async def _poll_one_by_one(self, attempts: Sequence[Attempt]) -> bool:
        """Ask for each run; False where one gives no answer for now, and is waited for apart."""
        for attempt in attempts:
            if attempt.run_id not in self._asking:
                answered = anyio.Event()
                self._tasks.start_soon(self._ask, attempt, answered, name=f"ask {attempt.run_id}")
                with anyio.move_on_after(BY_ID) as patience:
                    await answered.wait()
                if patience.cancelled_caught:
                    self._silent.add(attempt.client_ref)
        return not any(attempt.run_id in self._asking for attempt in attempts)

    async def _ask(self, attempt: Attempt, answered: anyio.Event) -> None:
        """Ask for the run by its id, until an answer or the list shows it."""
        assert attempt.run_id is not None
        run = None
        try:
            with anyio.CancelScope() as scope:
                self._asking[attempt.run_id] = scope
                run = await self._client.get_run(attempt.run_id)
            if not scope.cancel_called:
                if run is not None and run.left_out and not run.known:
                    size = size_of(run.left_out)
                    await self._ask_otherwise(attempt, TOO_LARGE.format(size=size))
                else:
                    await self._handle_run(attempt, run)
        except QuestionHeldError as error:
            await self._ask_otherwise(attempt, str(error))
        except UnreachableError as error:
            if isinstance(error, ThrottledError) or not self._client.answers:
                raise
            await self._give_up(attempt, SILENT)
        finally:
            del self._asking[attempt.run_id]
            answered.set()

    async def _ask_otherwise(self, attempt: Attempt, why: str) -> None:
        """Have the list of its wave asked for a run that is not shown by its id, or give it up."""
        if attempt.client_ref in self._silent:
            await self._give_up(attempt, why)
        self._silent.add(attempt.client_ref)

    async def _handle_run(self, attempt: Attempt, run: Run | None) -> None:
        if run is not None:
            await self._handle([(attempt, run)])
        elif anyio.current_time() - attempt.started > self._settings.settle:
            await self._give_up(attempt, UNKNOWN)

    async def _give_up(self, attempt: Attempt, reason: str) -> None:
        if attempt.phase is Phase.RUNNING:
            await self._transitions.park([attempt], reason)

    async def _handle(self, shown: Iterable[tuple[Attempt, Run]]) -> None:
        """Take in how runs stand: ended, too old, or neither."""
        # A run that ended while we asked is no news. From here to the first line nothing waits,
        # else two polls that show the same end would both write it.
        words = self._transitions.status_words
        seen = {Phase.RUNNING, Phase.PARKED}
        news = [(a, words.read(run)) for a, run in shown if a.phase in seen]
        for attempt, run in news:
            attempt.nodes = run.nodes
        if ended := [(attempt, run) for attempt, run in news if run.terminal]:
            await self._transitions.finish(ended)
        now = anyio.current_time()
        for attempt, run in news:
            if not run.terminal and self._is_contradicted(attempt):
                self._transitions.contradict(attempt)
            age = attempt.sight.age(self._client.said_age(run), now)
            if words.is_asked(run):  # it may have ended
                continue
            if not run.terminal and age > self._settings.timeout:
                await self._give_up(
                    attempt,
                    f"{run.status_code} for {age:.0f} s, longer than `timeout` allows; "
                    "the next call asks again",
                )

    def _is_contradicted(self, attempt: Attempt) -> bool:
        """Say whether a look shows that an end was announced that hadn't come.

        The first moments prove nothing: lists may be a little behind. A later look does, also where
        the one that the announcement hastened has shown nothing of the run.
        """
        wave = self._transitions.waves[attempt.client_ref]
        since = wave.announced.get(attempt.key)
        in_time = since is None or since <= (wave.last_look or 0.0) - GATHERING
        return attempt.over and in_time

    def _may_be_put_off(self, wave: Wave, now: float) -> bool:
        """Say whether a look that was planned as without callbacks has become needless since."""
        recent = wave.last_look is not None and now - wave.last_look < RARE
        return recent and self._trust.suffices(wave, now)

    def _notice_late(self, wave: Wave, now: float) -> None:
        """Put the model of *wave* back to normal where a callback is late: others may be, too."""
        late = self._trust.late(wave, now)
        for attempt in late:
            attempt.callback = Callback.LATE
        if late:
            self._trust.doubt(wave.model)
            for other in self._transitions.waves:
                if other.model == wave.model and other.opened and not other.polled:
                    other.next_look = min(other.next_look, now + self._wait_for(other))

    def _plan(self, wave: Wave, asked: float) -> None:
        wave.next_look = float("inf")
        wave.opened = wave.expected = len(wave.open())
        if wave.opened:
            wave.next_look = asked + self._wait_for(wave)

    def _wait_for(self, wave: Wave) -> float:
        """Return the seconds to the next poll of *wave*, from what is known of its model.

        Runs whose callback is awaited are hardly asked for until that is late.
        """
        now, interval = anyio.current_time(), self._settings.poll_interval
        late = self._trust.late_after(wave.model)
        awaited, others = self._trust.parted(wave)
        waits = []
        if late is not None and (awaited or not others):
            ages = [now - attempt.started for attempt in awaited]
            waits.append(rare_wait(ages, late, interval=interval))
        if others or not waits:
            waits.append(self._normal_wait(wave, [now - attempt.started for attempt in others]))
        return min(waits)

    def _normal_wait(self, wave: Wave, ages: Sequence[float]) -> float:
        in_flight = len(self._in_flight)
        plenty = wave.batch and in_flight >= LARGE and not self._client.waiting
        return next_wait(
            ages,
            sorted(self._book.facts(wave.model).durations),
            interval=self._settings.poll_interval,
            idle_looks=wave.idle_looks,
            in_flight=in_flight,
            value=BATCH_POLL_VALUE if plenty else SINGLE_POLL_VALUE,
        )


def _is_for_announced(wave: Wave, asked: float) -> bool:
    """Say whether the look that began at *asked* is for ends that callbacks announced, alone."""
    return bool(wave.announced) and wave.next_look > asked
