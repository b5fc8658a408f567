"""The task group of one call: takes over what is open, then begins, waits and ends.

The order of things:

    run            starts the tasks below, and ends them when nothing is active any more
      _begin       what earlier calls left becomes attempts; the key and the ledger are checked
      poller       asks how runs stand, and resolves doubts
      downloader   saves outputs
      log keeper   keeps logs of runs
      duplicates   asks for the costs of second runs
      ticker       once a second: progress, `--max-duration`
      driver       begins what can begin, ends if nothing is active, waits for an event

One task group; a task for each request under way and none that merely waits for its cell. The grid
is drawn one cell at a time, when a slot is free.
"""

from collections.abc import Iterator, Mapping
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
from batchrun.engine.driver import Driver
from batchrun.engine.duplicate_runs import DuplicateRuns
from batchrun.engine.ends import Ends, NoEnds
from batchrun.engine.funds import Funds
from batchrun.engine.in_flight import Active, InFlight
from batchrun.engine.last_looks import LastLooks
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
from batchrun.engine.resume import reserve, resume
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
    ManifestError,
    ThrottledError,
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
        last_looks = LastLooks(
            context,
            poller=poller,
            own_runs=own_runs,
            reconciler=reconciler,
            costs=self._costs,
            ref_filter=ref_filter,
        )
        driver = self._made_driver(submitter, opening, intents, last_looks, tasks)
        self._all_drawn = await driver.drive()
        await self._keep_logs()
        await habits.keep()

    async def _keep_logs(self) -> None:
        """Wait a little for logs that are still to be kept, unless the user waits for the end.

        They are worth no `--max-duration`, by which a call that is done would not be.
        """
        if not self.shutdown.interrupted:
            with anyio.move_on_at(self._end - TICK):
                async with self.shutdown.giving_way():
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

    def _made_driver(
        self,
        submitter: Submitter,
        opening: Opening,
        intents: Intents,
        last_looks: LastLooks,
        tasks: TaskGroup,
    ) -> Driver:
        context, transitions = self._context, self._transitions
        batcher = Batcher(
            context,
            transitions=transitions,
            submitter=submitter,
            opening=opening,
            metadata_of=intents.metadata_of,
            tasks=tasks,
        )
        scheduler = Scheduler(
            context,
            ready_queue=self._ready_queue,
            transitions=transitions,
            funds=self._funds,
            submitter=submitter,
            opening=opening,
            batcher=batcher,
            downloader=self._downloader,
        )
        return Driver(
            context,
            active=self._active,
            transitions=transitions,
            funds=self._funds,
            scheduler=scheduler,
            batcher=batcher,
            submitter=submitter,
            last_looks=last_looks,
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
        async with self.shutdown.giving_way():
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

    # The clock.

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
