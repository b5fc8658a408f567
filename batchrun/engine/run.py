"""The task group of one call: takes over what is open, then begins, waits and ends.

The order of things:

    run            starts the tasks below, and ends them when nothing is active any more
      _begin       what earlier calls left becomes attempts; the key and the ledger are checked
      poller       asks how runs stand, and resolves doubts
      downloader   saves outputs
      log keeper   keeps logs of runs
      duplicates   asks for the costs of second runs
      ticker       once a second: progress, `--max-duration`
      _drive       begins what can begin, ends if nothing is active, waits for an event

One task group; a task for each request under way and none that merely waits for its cell. The grid
is drawn one cell at a time, when a slot is free.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio
import anyio.lowlevel
import httpx
from anyio.abc import TaskGroup
from msgspec import Struct, field

from batchrun.base.progress import Moment, Progress
from batchrun.engine.admission import Admission
from batchrun.engine.affordable import Affordable
from batchrun.engine.batcher import Batcher
from batchrun.engine.budget import Budget
from batchrun.engine.cell_files import CellFiles
from batchrun.engine.changed_sources import ChangedSources
from batchrun.engine.context import Context
from batchrun.engine.day_budget import DayBudget
from batchrun.engine.downloader import Downloader
from batchrun.engine.duplicate_runs import DuplicateRuns
from batchrun.engine.ends import Ends, NoEnds
from batchrun.engine.funds import Funds
from batchrun.engine.in_flight import Active, InFlight
from batchrun.engine.log_keeper import LogKeeper
from batchrun.engine.names import Names
from batchrun.engine.open_sweep import SweepFolder
from batchrun.engine.opening import Opening
from batchrun.engine.other_sweeps import OtherSweeps
from batchrun.engine.own_runs import OwnRuns
from batchrun.engine.poll import Poller
from batchrun.engine.pots import pots_of
from batchrun.engine.preflight import LedgerCheck, Preflight
from batchrun.engine.price_history import learn
from batchrun.engine.prices import Prices
from batchrun.engine.ready_queue import ReadyQueue
from batchrun.engine.reconcile import Reconciler
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.refusing_models import RefusingModels
from batchrun.engine.request_body import Intents
from batchrun.engine.resume import YIELD_EVERY, reserve, resume
from batchrun.engine.run_costs import RunCosts
from batchrun.engine.scheduler import Scheduler
from batchrun.engine.selection import Selection
from batchrun.engine.service_habits import ServiceHabits
from batchrun.engine.service_waits import ServiceWaits
from batchrun.engine.shutdown import Shutdown, Wakeup, only_expected
from batchrun.engine.submit import Submitter
from batchrun.engine.throttle_lines import ThrottleLines
from batchrun.engine.transitions import Transitions
from batchrun.engine.uploader import Uploader
from batchrun.engine.waves import Waves, best_size
from batchrun.errors import (
    FolderError,
    KeyRefusedError,
    LostLedgerError,
    ManifestError,
    ThrottledError,
    UnreachableError,
)
from batchrun.ledger.file import Ledger
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.manifest import Manifest, Model
from batchrun.runflow.callbacks import Ended
from batchrun.runflow.client import Client
from batchrun.runflow.descriptions import Description
from batchrun.runflow.throttled import set_right
from batchrun.settings import Settings
from batchrun.sweep.references import marker

TICK: Final = 1.0
LAST: Final = 10.0
"""Seconds that the last look at what was sent may take: it holds up the end of a call."""

LAST_OFFLINE: Final = 3.0
"""The same where nothing has been answered in this call."""

GRACE: Final = 1.0
GRACE_OF_LOST: Final = 30.0
"""Seconds that answers under way get to arrive once a call leaves."""


class Services(Struct, frozen=True, kw_only=True):
    """Where a call meets the world; *downloads*, which carries uploads too, is without the key.

    *ends* sees each cell that comes to its end. *descriptions* are what the service says of models,
    as far as it is known.
    """

    client: Client
    downloads: httpx.AsyncClient
    progress: Progress
    ends: Ends = NoEnds()
    descriptions: Mapping[str, Description] = field(default_factory=dict)


class Runner:
    """One call of one sweep; of the cells of *selection* where it is given."""

    def __init__(
        self,
        manifest: Manifest,
        settings: Settings,
        folder: SweepFolder,
        ledger: Ledger,
        services: Services,
        selection: Selection | None = None,
    ) -> None:
        self._wakeup = Wakeup()
        self.shutdown = Shutdown(self._wakeup)
        self._context = context = Context(
            manifest=manifest,
            settings=settings,
            folder=folder,
            ledger=ledger,
            client=services.client,
            progress=services.progress,
            ends=services.ends,
            shutdown=self.shutdown,
            sources=ChangedSources(manifest, self.shutdown),
            names=Names(manifest, ledger),
            log_keeper=LogKeeper(
                folder.path, services.client, services.progress, self.shutdown, keep=settings.logs
            ),
            refusing=RefusingModels(ledger.book, {each.alias: each.id for each in manifest.models}),
        )
        self.selection = selection or Selection(settings.only, ledger, attempts=settings.attempts)
        self._active = Active()
        self._in_flight = InFlight(settings.concurrency, settings.model_concurrency)
        self._prices = Prices(settings.model_prices, services.descriptions)
        self._prices_learnt = False
        self._end = float("inf")  # by `--max-duration`
        self._costs = RunCosts(
            context, prices=self._prices, active=self._active, wakeup=self._wakeup
        )
        self._funds = self._made_funds()
        self._budget, self._day = self._funds.budget, self._funds.day
        self._seen = KeyIndex()
        streams = {model.alias: self._stream(model) for model in manifest.models}
        self._ready_queue = ReadyQueue(streams)
        self._uploads = Uploader(context, services.downloads, self._funds.admission)
        self._all_drawn = False
        self._downloader = Downloader(
            context, services.downloads, active=self._active, wakeup=self._wakeup
        )
        self._duplicates = DuplicateRuns(context, self._active, self._wakeup)
        self._throttles = ThrottleLines(ledger, services.client)
        self._transitions = self._made_transitions()

    def hear(self, ended: Ended) -> None:
        """Take in the end that a signed callback announces, at any time of the call."""
        self._transitions.hear(ended)

    @property
    def missed_callbacks(self) -> int:
        """How many runs ended whose callbacks had not come by then."""
        return self._transitions.trust.missed

    def _made_funds(self) -> Funds:
        """Return what the call may spend, and what it is let begin."""
        settings, book, prices = self._context.settings, self._context.ledger.book, self._prices
        pots = pots_of(settings.budget, settings.model_budgets, book, self._in_flight, prices)
        day = DayBudget(
            self._context,
            in_flight=self._in_flight,
            prices=prices,
            active=self._active,
            wakeup=self._wakeup,
        )
        if day.pot is not None:
            pots.append(day.pot)
        budget = Budget(pots, self._in_flight, prices=prices, costs=self._costs)
        models = {model.id for model in self._context.manifest.models}
        return Funds(budget, day, Admission(models))

    async def run(self) -> Shutdown:
        """Return why the call ended, when nothing more can be done in it.

        Expected stops are in what is returned; anything else that goes wrong is raised.
        """
        context = self._context
        context.progress.start(upper_bound(context.manifest), self._moment)
        self._ready_queue.begin()
        try:
            async with anyio.create_task_group() as tasks:
                await self._run(tasks)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            errors = only_expected(group)
            if errors is None:
                raise
            for error in errors:
                self.shutdown.leave(context.sources.named(error))
        finally:
            with anyio.CancelScope(shield=True):
                self._throttles.put_down()
                await context.ledger.settle()
                await self._end_day()
            context.progress.close()
        # However the call ends: what was not let begin is left undone, and has its own way on.
        for stop in self._funds.admission.at_end(counted=self._all_drawn):
            self.shutdown.submit_no_more(stop)
        for error in self.shutdown.errors:
            if isinstance(error, ThrottledError):
                set_right(error, context.client.server_now())
        return self.shutdown

    async def _end_day(self) -> None:
        try:
            await self._day.end()
        except FolderError as error:
            self.shutdown.leave(error)

    async def _run(self, tasks: TaskGroup) -> None:
        """Take over what is open, start everything else, and drive it to its end."""
        context = self._context
        transitions = self._transitions
        intents, ref_filter = Intents(context), RefFilter(context)
        other_sweeps, ledger_check = (
            OtherSweeps(context, ref_filter),
            LedgerCheck(context, ref_filter),
        )
        affordable = Affordable(
            context,
            prices=self._prices,
            pots=self._budget.pots,
            wants=self.selection.wants,
            learn=self._learn_prices,
        )
        preflight = Preflight(context, ref_filter, ledger_check, other_sweeps, affordable)
        opening = Opening(
            context,
            in_flight=self._in_flight,
            waves=transitions.waves,
            ref_filter=ref_filter,
            ledger_check=ledger_check,
            other_sweeps=other_sweeps,
            active=self._active,
            wakeup=self._wakeup,
        )
        habits = ServiceHabits(context.ledger, context.client.profile)
        files = CellFiles(
            context,
            transitions=transitions,
            uploads=self._uploads,
            admission=self._funds.admission,
        )
        submitter = Submitter(
            context,
            transitions=transitions,
            preflight=preflight,
            files=files,
            intents=intents,
            habits=habits,
            opening=opening,
            funds=self._funds,
        )
        tasks.start_soon(self._tick, submitter, name="ticker")
        if not await self._begin(transitions, preflight, intents, ref_filter):
            return
        reconciler = Reconciler(
            context,
            transitions=transitions,
            budget=self._budget,
            submitter=submitter,
            intents=intents,
            ref_filter=ref_filter,
            duplicates=self._duplicates,
            tasks=tasks,
        )
        poller = Poller(
            context,
            transitions=transitions,
            ref_filter=ref_filter,
            reconciler=reconciler,
            costs=self._costs,
        )
        tasks.start_soon(poller.run, name="poller")
        tasks.start_soon(self._downloader.run, name="downloader")
        tasks.start_soon(context.log_keeper.run, name="logs of runs")
        tasks.start_soon(self._duplicates.run, name="duplicate runs")
        tasks.start_soon(self._costs.run, name="costs of runs")
        tasks.start_soon(self._day.run, name="budget of the day")
        tasks.start_soon(opening.run, name="opening")
        tasks.start_soon(opening.look_again, name="look for other sweeps again")
        own_runs = OwnRuns(context, transitions=transitions, duplicates=self._duplicates)
        tasks.start_soon(own_runs.run, name="own runs")

        self._look_last = partial(self._look_at_all, poller, own_runs, reconciler)
        self._ask_for_costs = partial(self._costs.ask_last, ref_filter)
        await self._drive(transitions, submitter, opening, intents, tasks)
        await self._keep_logs()
        await habits.keep()

    async def _keep_logs(self) -> None:
        """Wait a little for logs that are still to be kept, unless the user waits for the end.

        They are worth no `--max-duration`, by which a call that is done would not be.
        """
        if not self.shutdown.interrupted:
            with anyio.move_on_at(self._end - TICK):
                async with self._giving_way():
                    await self._context.log_keeper.finish()
        self._context.log_keeper.close()

    def _made_transitions(self) -> Transitions:
        line, book = self._context.folder.line, self._context.ledger.book
        fresh = not book.past_opening
        waves = Waves(
            line.sweep,
            last=book.last_wave,
            size=self._wave_size,
            marker=marker(line.name, line.label) if fresh or not book.marked else None,
            opening=fresh,
        )
        return Transitions(
            self._context,
            in_flight=self._in_flight,
            waves=waves,
            active=self._active,
            ready_queue=self._ready_queue,
            downloader=self._downloader,
            costs=self._costs,
            wakeup=self._wakeup,
        )

    # The steps before the first send.

    async def _begin(
        self,
        transitions: Transitions,
        preflight: Preflight,
        intents: Intents,
        ref_filter: RefFilter,
    ) -> bool:
        """Take over what earlier calls left; False where the call is to leave before that is done.

        A service that gives no answer must not hold up an interrupt for as long as we ask it.
        """
        begun = False
        async with self._giving_way():
            await self._context.names.load()
            if await resume(self._context, transitions, self.selection.wants):
                await preflight.check_key()
            if self._budget.limited:
                await self._learn_prices()
                await self._costs.ask(ref_filter)  # what is counted for a run may be too much
                reserve(self._in_flight, self._budget, intents)
                await self._day.begin()
            begun = True  # not if it is broken off
        return begun  # noqa: RET504  (as above)

    @asynccontextmanager
    async def _giving_way(self) -> AsyncIterator[None]:
        """Break off what is done inside once the call is to leave."""
        async with anyio.create_task_group() as tasks:

            async def give_way() -> None:
                while not self.shutdown.leaving:
                    await self._wakeup.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(give_way, name="give way")
            yield
            tasks.cancel_scope.cancel()

    async def _learn_prices(self) -> None:
        """Take in what the ledger's runs have cost, and those of its siblings; once."""
        if not self._prices_learnt:
            models = {model.id for model in self._context.manifest.models}
            await self._context.ledger.scan(learn, self._prices, models)
            self._prices_learnt = True

    def _wave_size(self) -> int:
        profile = self._context.client.profile
        return self._context.settings.wave_size or best_size(
            most_shown=profile.most_shown, page_cap=profile.page_cap
        )

    # The grid.

    def _stream(self, model: Model) -> Iterator[Cell]:
        """Yield the model's cells, each once; what the grid's bound has too many goes off it."""
        wants, seen, progress = self.selection.wants, self._seen, self._context.progress
        beyond = upper_bound(self._context.manifest, model)
        try:
            for cell in expand(self._context.manifest, model):
                beyond -= 1
                if not wants(cell) or not seen.add(cell.key)[1]:
                    progress.fewer(1)
                else:
                    yield cell
        except ManifestError as error:
            self._context.sources.stop(error)
        else:
            progress.fewer(beyond)

    def _moment(self) -> Moment:
        in_flight, book = self._in_flight, self._context.ledger.book
        return Moment(in_flight.flying(), book.cost, in_flight.nodes())

    # The slots.

    async def _drive(
        self,
        transitions: Transitions,
        submitter: Submitter,
        opening: Opening,
        intents: Intents,
        tasks: TaskGroup,
    ) -> None:
        """Begin what can begin; end if nothing is active; wait for an event, and go on."""
        batcher = Batcher(
            self._context,
            transitions=transitions,
            submitter=submitter,
            opening=opening,
            metadata_of=intents.metadata_of,
            tasks=tasks,
        )
        scheduler = Scheduler(
            self._context,
            ready_queue=self._ready_queue,
            transitions=transitions,
            funds=self._funds,
            submitter=submitter,
            opening=opening,
            batcher=batcher,
            downloader=self._downloader,
        )
        while True:
            await self._begin_cells(scheduler, batcher)
            if self.shutdown.leaving:  # asked also here: amid a walk no task waits for the ring
                break
            if self.shutdown.holding:
                batcher.hold_back()
                submitter.hold_back()
            if not (self._active or self.shutdown.interrupted):
                await self._last_looks()
            if not self._active:
                scheduler.stop_if_held()
                submitter.judge_at_end()
                self._all_drawn = self._ready_queue.exhausted
                break
            with anyio.move_on_at(batcher.leave(last=scheduler.done)):
                await self._wakeup.wait()
        if self.shutdown.leaving:
            batcher.hold_back()
            submitter.hold_back()
            await self._let_answers_arrive()
        elif self.shutdown.submitting and scheduler.leaves_cells():
            self.shutdown.submit_no_more("parked runs hold the slots that are left")

    async def _last_looks(self) -> None:
        """Look once more at what was sent; where that can't be had in a moment, go without."""
        try:
            with anyio.move_on_after(LAST if self._context.client.answers else LAST_OFFLINE):
                async with self._giving_way():
                    await self._look_last()
                    await self._ask_for_costs()
        except* (UnreachableError, KeyRefusedError) as group:
            for error in only_expected(group) or ():
                self._context.progress.note(f"the last look at the runs failed: {error}")

    async def _look_at_all(self, poller: Poller, own_runs: OwnRuns, reconciler: Reconciler) -> None:
        """Have the last look at each wave; where its list is of no use, at all runs."""
        left = await poller.look_last()
        if (left or poller.passed_over) and not await own_runs.look_back():
            await reconciler.owe_look(left)
        elif not left:
            await own_runs.look()
        for wave in left:
            wave.unlisted = False
        await reconciler.write_last_looks()

    async def _begin_cells(self, scheduler: Scheduler, batcher: Batcher) -> None:
        """Draw cells into free slots until none can be drawn; let others work amid a long walk.

        Where all that was drawn in a while rests, no further cell is in sight for the cells that
        wait to share a request.
        """
        drawn, begun = 0, len(self._in_flight)
        await self._day.begin_round()
        scheduler.begin_round()
        while not self.shutdown.leaving and scheduler.draw():
            drawn += 1
            if drawn % YIELD_EVERY == 0:
                if len(self._in_flight) <= begun:
                    batcher.leave(last=False)
                begun = len(self._in_flight)
                await anyio.lowlevel.checkpoint()
        self._day.wait(self._budget)

    async def _let_answers_arrive(self) -> None:
        """Wait a little for the answers of requests that have left; what has not left, doesn't.

        Where the ledger turned out to be old, or a copy, their answers are waited for (rule 12).
        """
        lost = any(isinstance(error, LostLedgerError) for error in self.shutdown.errors)
        with anyio.move_on_after(GRACE_OF_LOST if lost else GRACE):
            while self._in_flight.sending() and not self.shutdown.at_once:
                await self._wakeup.wait()

    async def _tick(self, submitter: Submitter) -> None:
        """Let the progress breathe, and leave when it is time to."""
        if self._context.settings.max_duration is not None:
            self._end = anyio.current_time() + self._context.settings.max_duration
        waits = ServiceWaits(self._context.client, self._context.progress)
        while True:
            await anyio.sleep(min(TICK, max(0.0, self._end - anyio.current_time())))
            self._context.progress.tick()
            waits.look()
            self._throttles.look()
            submitter.judge()
            if anyio.current_time() >= self._end and not self.shutdown.leaving:
                self.shutdown.leave("`--max-duration` is over")
                self._end = float("inf")
