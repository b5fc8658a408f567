"""Starts and ends everything of one call: the slots, the watcher, the downloads, the stops.

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
from batchrun.engine.batcher import Departures
from batchrun.engine.budget import Purse
from batchrun.engine.download import Job, Saver
from batchrun.engine.duplicate_runs import Extras
from batchrun.engine.in_flight import Attempt, Live
from batchrun.engine.poll import Watcher
from batchrun.engine.preflight import Gate
from batchrun.engine.ready_queue import Feed
from batchrun.engine.reconcile import LookUps
from batchrun.engine.request import Intents
from batchrun.engine.resume import YIELD_EVERY, adopt, reserve
from batchrun.engine.scheduler import Drawer
from batchrun.engine.selection import Selection
from batchrun.engine.shutdown import Bell, Stops, only_expected
from batchrun.engine.start import SweepFolder
from batchrun.engine.submit import Submitter
from batchrun.engine.transitions import Work
from batchrun.engine.upload import Uploads
from batchrun.engine.waves import Waves, best_size
from batchrun.ledger.file import Ledger
from batchrun.ledger.key_index import Keys
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


class Outside(Struct, frozen=True, kw_only=True):
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
        outside: Outside,
        *,
        points: Points | None = None,
    ) -> None:
        self._manifest = manifest
        self._points = points or partial(expand, manifest)
        self._settings = settings
        self._name_of = partial(file_name, manifest)
        self._ledger = ledger
        self.selection = Selection(settings.only, ledger, attempts=settings.attempts)
        bell = Bell()
        self.stops = Stops(bell)
        self._progress = outside.progress
        self._seen = Keys()
        self._feed = Feed({model.alias: self._stream(model) for model in manifest.models})
        live = Live(settings.concurrency, settings.model_concurrency)
        self._work = Work(
            settings=settings,
            ledger=ledger,
            client=outside.client,
            live=live,
            purse=Purse(settings.budget, ledger.book, live),
            waves=Waves(folder.sweep, last=ledger.book.last_wave, size=self._wave_size),
            progress=outside.progress,
            stops=self.stops,
            bell=bell,
            watch=Bell(),
            identity=folder.tag,
            again=self._feed.again,
            finished=self._put,
            remember_organisation=folder.remember_organisation,
        )
        self._saver = Saver(self._work, outside.downloads, folder.path)
        self._gate = Gate(self._work)
        self._extras = Extras(self._work)
        self._uploads = Uploads(ledger, outside.client, outside.downloads)

    async def run(self) -> Stops:
        """Return why the call ended, when nothing more can be done in it.

        Expected stops are in what is returned; anything else that goes wrong is raised.
        """
        intents = Intents(self._work, partial(user_metadata, self._manifest))
        submitter = Submitter(
            self._work, self._gate, uploads=self._uploads, name_of=self._name_of, intents=intents
        )
        self._progress.start(upper_bound(self._manifest), self._moment)
        self._feed.begin()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tick, submitter, name="ticker")
                if await self._begin():
                    departures = Departures(self._work, submitter, tasks, intents.metadata_of)
                    lookups = LookUps(self._work, submitter, tasks)
                    tasks.start_soon(Watcher(self._work, lookups).run, name="watcher")
                    tasks.start_soon(self._saver.run, name="saver")
                    tasks.start_soon(self._extras.run, name="extras")
                    await self._feed_slots(departures, submitter)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            errors = only_expected(group)
            if errors is None:
                raise
            for error in errors:
                self.stops.leave(error)
        finally:
            with anyio.CancelScope(shield=True):
                await self._ledger.settle()
            self._work.progress.close()
        return self.stops

    async def _begin(self) -> bool:
        """Take over what earlier calls left; False where the call is to leave before that is done.

        A service that gives no answer must not hold up an interrupt for as long as we ask it.
        """
        begun = False
        async with anyio.create_task_group() as tasks:

            async def give_way() -> None:
                while not self.stops.leaving:
                    await self._work.bell.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(give_way, name="give way")
            if await adopt(self._work, self._manifest, self.selection.wants):
                await self._gate.check_key()
            if self._work.purse.limited:
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
        self._work.purse.labels = labels

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
        return Moment(self._work.live.flying(), self._ledger.book.cost)

    # The slots.

    async def _feed_slots(self, departures: Departures, submitter: Submitter) -> None:
        """Draw cells into free slots until there is nothing left to do or to wait for."""
        drawer = self._drawer(departures, submitter)
        drawn, begun = 0, len(self._work.live)
        while not self.stops.leaving:
            if drawer.draw():
                drawn += 1
                if drawn % YIELD_EVERY == 0:
                    begun = await self._pause(departures, begun)
            elif self._over():
                drawer.stop_if_held()
                submitter.judge_at_end()
                break
            else:
                with anyio.move_on_at(departures.leave(last=drawer.done)):
                    await self._work.bell.wait()
            if self.stops.holding:
                departures.hold_back()
                submitter.hold_back()
        if self.stops.leaving and not self.stops.at_once:
            await self._let_answers_arrive()
        elif not self._feed.exhausted and self.stops.submitting:
            self.stops.submit_no_more("parked runs hold the slots that are left")

    async def _pause(self, departures: Departures, begun: int) -> int:
        """Let others work amid a long walk; return how much is under way, *begun* was before.

        Where all that was drawn since rests, no company is in sight for those that wait.
        """
        if len(self._work.live) <= begun:
            departures.leave(last=False)
        begun = len(self._work.live)
        await anyio.lowlevel.checkpoint()
        return begun

    def _drawer(self, departures: Departures, submitter: Submitter) -> Drawer:
        return Drawer(
            self._work, self._feed, submitter, departures, self._saver, name_of=self._name_of
        )

    def _over(self) -> bool:
        """Say whether nothing is under way that this call waits for."""
        owed = any(wave.doubted or wave.looking for wave in self._work.waves)
        asked = self._saver.waiting or self._extras.waiting or self._work.deciding
        return not (self._work.live.busy() or owed or asked)

    async def _let_answers_arrive(self) -> None:
        """Wait a little for the answers of requests that have left; what has not left, doesn't."""
        with anyio.move_on_after(GRACE):
            while self._work.live.sending() and not self.stops.at_once:
                await self._work.bell.wait()

    def _put(self, attempt: Attempt, run: Run) -> None:
        if self._settings.download:
            job = Job(key=attempt.key, run_id=run.id, name=attempt.name, output=run.output)
            self._saver.put(job)

    async def _tick(self, submitter: Submitter) -> None:
        """Let the progress breathe, and leave when it is time to."""
        end = float("inf")
        if self._settings.max_duration is not None:
            end = anyio.current_time() + self._settings.max_duration
        while True:
            await anyio.sleep(min(TICK, max(0.0, end - anyio.current_time())))
            self._work.progress.tick()
            submitter.judge()
            if anyio.current_time() >= end and not self.stops.leaving:
                self.stops.leave("`--max-duration` is over")
                end = float("inf")
