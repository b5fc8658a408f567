"""Starts and ends everything of one call: the slots, the poller, the downloads, the shutdown.

One task group; a task for each request under way and none that merely waits for its cell. The grid
is drawn one cell at a time, when a slot is free.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import anyio
import anyio.lowlevel
import httpx
from msgspec import Struct

from batchrun.base.progress import Moment, Progress
from batchrun.engine.batcher import Batcher
from batchrun.engine.budget import Budget
from batchrun.engine.downloader import Downloader, Job
from batchrun.engine.duplicate_runs import DuplicateRuns
from batchrun.engine.in_flight import Attempt, InFlight
from batchrun.engine.open_sweep import SweepFolder
from batchrun.engine.poll import Poller
from batchrun.engine.preflight import Preflight
from batchrun.engine.ready_queue import ReadyQueue
from batchrun.engine.reconcile import Reconciler
from batchrun.engine.request_body import Intents
from batchrun.engine.resume import YIELD_EVERY, reserve, resume
from batchrun.engine.scheduler import Scheduler
from batchrun.engine.selection import Selection
from batchrun.engine.shutdown import Shutdown, Wakeup, only_expected
from batchrun.engine.submit import Submitter
from batchrun.engine.transitions import Work
from batchrun.engine.uploader import Uploader
from batchrun.engine.waves import Waves, best_size
from batchrun.ledger.file import Ledger
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell
from batchrun.manifest.file_names import file_name, user_metadata
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.manifest import Manifest, Model
from batchrun.runflow.client import Client
from batchrun.runflow.wire import Run
from batchrun.settings import Settings

TICK: Final = 1.0
GRACE: Final = 1.0
"""Seconds that answers under way get to arrive once a call leaves."""


class Services(Struct, frozen=True, kw_only=True):
    """Where a call meets the world; *downloads*, which carries uploads too, is without the key."""

    client: Client
    downloads: httpx.AsyncClient
    progress: Progress


Points = Callable[[Model], Iterator[Cell]]
"""Yields a model's cells in the grid's order, as `expand` does."""


class Runner:
    """One call of one sweep. *points* is who draws from the grid, where somebody looks on."""

    def __init__(
        self,
        manifest: Manifest,
        settings: Settings,
        folder: SweepFolder,
        ledger: Ledger,
        services: Services,
        *,
        points: Points | None = None,
    ) -> None:
        self._manifest = manifest
        self._points = points or partial(expand, manifest)
        self._settings = settings
        self._name_of = partial(file_name, manifest)
        self._ledger = ledger
        self.selection = Selection(settings.only, ledger, attempts=settings.attempts)
        wakeup = Wakeup()
        self.shutdown = Shutdown(wakeup)
        self._progress = services.progress
        self._seen = KeyIndex()
        self._ready_queue = ReadyQueue(
            {model.alias: self._stream(model) for model in manifest.models}
        )
        in_flight = InFlight(settings.concurrency, settings.model_concurrency)
        self._work = Work(
            settings=settings,
            ledger=ledger,
            client=services.client,
            in_flight=in_flight,
            budget=Budget(settings.budget, ledger.book, in_flight),
            waves=Waves(folder.sweep, last=ledger.book.last_wave, size=self._wave_size),
            progress=services.progress,
            shutdown=self.shutdown,
            wakeup=wakeup,
            poll_wakeup=Wakeup(),
            identity=folder.tag,
            again=self._ready_queue.again,
            finished=self._put,
            remember_organisation=folder.remember_organisation,
        )
        self._downloader = Downloader(self._work, services.downloads, folder.path)
        self._preflight = Preflight(self._work)
        self._duplicates = DuplicateRuns(self._work)
        self._uploads = Uploader(ledger, services.client, services.downloads)

    async def run(self) -> Shutdown:
        """Return why the call ended, when nothing more can be done in it.

        Expected stops are in what is returned; anything else that goes wrong is raised.
        """
        intents = Intents(self._work, partial(user_metadata, self._manifest))
        submitter = Submitter(
            self._work,
            self._preflight,
            uploads=self._uploads,
            name_of=self._name_of,
            intents=intents,
        )
        self._progress.start(upper_bound(self._manifest), self._moment)
        self._ready_queue.begin()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tick, submitter, name="ticker")
                if await self._begin():
                    batcher = Batcher(self._work, submitter, tasks, intents.metadata_of)
                    reconciler = Reconciler(self._work, submitter, tasks)
                    tasks.start_soon(Poller(self._work, reconciler).run, name="poller")
                    tasks.start_soon(self._downloader.run, name="downloader")
                    tasks.start_soon(self._duplicates.run, name="duplicate runs")
                    await self._feed_slots(batcher, submitter)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            errors = only_expected(group)
            if errors is None:
                raise
            for error in errors:
                self.shutdown.leave(error)
        finally:
            with anyio.CancelScope(shield=True):
                await self._ledger.settle()
            self._work.progress.close()
        return self.shutdown

    async def _begin(self) -> bool:
        """Take over what earlier calls left; False where the call is to leave before that is done.

        A service that gives no answer must not hold up an interrupt for as long as we ask it.
        """
        begun = False
        async with anyio.create_task_group() as tasks:

            async def give_way() -> None:
                while not self.shutdown.leaving:
                    await self._work.wakeup.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(give_way, name="give way")
            if await resume(self._work, self._manifest, self.selection.wants):
                await self._preflight.check_key()
            if self._work.budget.limited:
                await self._learn_prices()
                reserve(self._work)
            begun = True
            tasks.cancel_scope.cancel()
        return begun

    async def _learn_prices(self) -> None:
        labels: dict[str, str | None] = {}
        for model in self._manifest.models:
            found = await self._work.client.model(model.id)
            labels[model.id] = str((found or {}).get("pricing_note") or "")
        self._work.budget.labels = labels

    def _wave_size(self) -> int:
        pages = self._work.client.pages
        return self._settings.wave_size or best_size(
            most_shown=pages.most_shown, page_cap=pages.cap
        )

    # The grid.

    def _stream(self, model: Model) -> Iterator[Cell]:
        """Yield the model's cells, each once; what the grid's bound has too many goes off it."""
        wants, seen, progress = self.selection.wants, self._seen, self._progress
        beyond = upper_bound(self._manifest, model)
        for cell in self._points(model):
            beyond -= 1
            if not wants(cell) or not seen.add(cell.key)[1]:
                progress.fewer(1)
            else:
                yield cell
        progress.fewer(beyond)

    def _moment(self) -> Moment:
        return Moment(self._work.in_flight.flying(), self._ledger.book.cost)

    # The slots.

    async def _feed_slots(self, batcher: Batcher, submitter: Submitter) -> None:
        """Draw cells into free slots until there is nothing left to do or to wait for."""
        scheduler = self._scheduler(batcher, submitter)
        drawn, begun = 0, len(self._work.in_flight)
        while not self.shutdown.leaving:
            if scheduler.draw():
                drawn += 1
                if drawn % YIELD_EVERY == 0:
                    begun = await self._pause(batcher, begun)
            elif not self._work.active:
                scheduler.stop_if_held()
                submitter.judge_at_end()
                break
            else:
                with anyio.move_on_at(batcher.leave(last=scheduler.done)):
                    await self._work.wakeup.wait()
            if self.shutdown.holding:
                batcher.hold_back()
                submitter.hold_back()
        if self.shutdown.leaving and not self.shutdown.at_once:
            await self._let_answers_arrive()
        elif not self._ready_queue.exhausted and self.shutdown.submitting:
            self.shutdown.submit_no_more("parked runs hold the slots that are left")

    async def _pause(self, batcher: Batcher, begun: int) -> int:
        """Let others work amid a long walk; return how much is under way, *begun* was before.

        Where all that was drawn since rests, no further cell is in sight for the pending batches.
        """
        if len(self._work.in_flight) <= begun:
            batcher.leave(last=False)
        begun = len(self._work.in_flight)
        await anyio.lowlevel.checkpoint()
        return begun

    def _scheduler(self, batcher: Batcher, submitter: Submitter) -> Scheduler:
        return Scheduler(
            self._work,
            self._ready_queue,
            submitter,
            batcher,
            self._downloader,
            name_of=self._name_of,
        )

    async def _let_answers_arrive(self) -> None:
        """Wait a little for the answers of requests that have left; what has not left, doesn't."""
        with anyio.move_on_after(GRACE):
            while self._work.in_flight.sending() and not self.shutdown.at_once:
                await self._work.wakeup.wait()

    def _put(self, attempt: Attempt, run: Run) -> None:
        if self._settings.download:
            job = Job(key=attempt.key, run_id=run.id, name=attempt.name, output=run.output)
            self._downloader.put(job)

    async def _tick(self, submitter: Submitter) -> None:
        """Let the progress breathe, and leave when it is time to."""
        end = float("inf")
        if self._settings.max_duration is not None:
            end = anyio.current_time() + self._settings.max_duration
        while True:
            await anyio.sleep(min(TICK, max(0.0, end - anyio.current_time())))
            self._work.progress.tick()
            submitter.judge()
            if anyio.current_time() >= end and not self.shutdown.leaving:
                self.shutdown.leave("`--max-duration` is over")
                end = float("inf")
