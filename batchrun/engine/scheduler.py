"""Draws cells into free slots, and begins what each of them needs."""

from typing import Final

from batchrun.engine.batcher import Batcher
from batchrun.engine.budget import Keeps, Reservation
from batchrun.engine.context import Context
from batchrun.engine.downloader import Downloader, Job
from batchrun.engine.funds import Funds
from batchrun.engine.held_cells import HeldCells
from batchrun.engine.in_flight import Attempt
from batchrun.engine.opening import Opening
from batchrun.engine.ready_queue import ReadyQueue
from batchrun.engine.submit import Submitter
from batchrun.engine.transitions import Transitions
from batchrun.errors import ManifestError
from batchrun.ledger.history import GOOD, History, LookUp, Rest, Submit, Watch, grant, next_step
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell

BACKLOG: Final = 1000
"""Downloads that may wait before nothing new is submitted: what waits is held in memory."""


WITHOUT_BUDGET: Final = Reservation(choice="", amount=None, first=False)


class Scheduler:
    """Decides by a cell's history whether it rests, is under way, or gets a run."""

    def __init__(
        self,
        context: Context,
        *,
        ready_queue: ReadyQueue,
        transitions: Transitions,
        funds: Funds,
        submitter: Submitter,
        opening: Opening,
        batcher: Batcher,
        downloader: Downloader,
    ) -> None:
        self._settings = context.settings
        self._ledger = context.ledger
        self._progress = context.progress
        self._ready_queue = ready_queue
        self._transitions = transitions
        self._in_flight = transitions.in_flight
        self._budget = funds.budget
        self._admission = funds.admission
        self._refusing = context.refusing
        self._shutdown = context.shutdown
        self._submitter = submitter
        self._opening = opening
        self._batcher = batcher
        self._downloader = downloader
        self._log_keeper = context.log_keeper
        self._sources = context.sources
        self._names = context.names
        self._before = context.ledger.end
        self._granted: dict[str, int] = {}
        self._new_cells = KeyIndex()
        self._limit_used = False
        self._held = HeldCells()
        self._passed_over = False

    @property
    def done(self) -> bool:
        """Whether no cell will be drawn any more, but cells that are tried again."""
        if not self._shutdown.submitting or self._limit_used:
            return True
        return self.all_drawn and not self._held

    @property
    def all_drawn(self) -> bool:
        """Whether each cell of the grid was drawn."""
        return self._ready_queue.exhausted

    def begin_round(self) -> None:
        """Let cells that wait for money ask once more: something has changed."""
        for model in self._refusing.newly_stopped():
            self._stop(model)
        self._held.begin_round()
        self._budget.begin_round()
        for news in self._budget.news():
            self._progress.note(news)
        if not self._shutdown.submitting or (self._limit_used and not self._held.tried_again):
            self._budget.wait_no_more()

    def draw(self) -> bool:
        """Do what the next cell needs; False if no cell can be drawn now."""
        if not self._may_draw():
            return False
        cell = self._next_cell()
        if cell is None:
            return False
        try:
            self._names.follow(cell)
        except ManifestError as error:
            self._sources.stop(error)
            return False
        attempt = self._in_flight.get(cell.key)
        if attempt is not None:
            attempt.cell = attempt.cell or cell
            attempt.yielded = True
            self._sources.begin(cell.key)
            return True
        history = self._ledger.book.history(cell.key)
        granted = self._grant(cell.key, history)
        attempts = self._settings.attempts
        match next_step(history, attempts=attempts, granted=granted):
            case Submit(number):
                return self._begin(cell, history, number, granted)
            case Rest():
                self._sources.begin(cell.key)
                self._progress.passed(bad="" if history.state in GOOD else history.state)
                self._owed(cell, history)
                self._log_keeper.rests(cell.key, history)
            case Watch() | LookUp():
                raise AssertionError("what is open is in flight")
        return True

    def leaves_cells(self) -> bool:
        """Say, at the end, whether a cell is left that a run would be asked for; draws the rest."""
        while (cell := self._ready_queue.draw(lambda _: True)) is not None:
            history = self._ledger.book.history(cell.key)
            granted = self._grant(cell.key, history)
            step = next_step(history, attempts=self._settings.attempts, granted=granted)
            if isinstance(step, Submit):
                return True
        return False

    def stop_if_held(self) -> None:
        """Nothing is under way any more: what was held back stays undone."""
        if self._limit_used:
            self._shutdown.submit_no_more(f"`--limit {self._settings.limit}` is used up")
        refused = self._passed_over or self._budget.held_back
        if refused or (self._held and self._shutdown.submitting):
            for cell, choice in self._held.all():
                self._budget.pass_over(cell.alias, choice, cell.model, cell.input)
            self._shutdown.submit_no_more(self._budget.reached())

    def _stop(self, model: str) -> None:
        """Begin no further cell of a model that refuses them all alike."""
        for alias in self._refusing.aliases(model):
            self._ready_queue.drop(alias)
            self._held.drop(alias)
        why = self._refusing.reasons[model]
        self._progress.note(f"{why}; it gets no further cell in this call")
        self._shutdown.refusing.append(why)

    def _may_draw(self) -> bool:
        return (
            self._shutdown.submitting
            and not self._submitter.halted
            and self._downloader.waiting < BACKLOG
        )

    def _next_cell(self) -> Cell | None:
        """Return the next cell that may begin: one that waited for money, or a new one."""
        if self._held and (cell := self._held.take(self._has_room)) is not None:
            return cell
        return self._ready_queue.draw(self._may_come, new=not self._limit_used)

    def _may_come(self, alias: str) -> bool:
        """Say whether a further cell of a model may be drawn."""
        return self._has_room(alias) and not self._held.full(alias)

    def _has_room(self, alias: str) -> bool:
        """Say whether a further cell of a model may begin."""
        if not self._in_flight.has_room(alias):
            return False
        return self._refusing.may_begin(alias, self._in_flight.under_way)

    def _begin(self, cell: Cell, history: History, number: int, granted: int) -> bool:
        """Begin an attempt; False where the opening leaves no room for it now."""
        if self._is_beyond_limit(cell.key, history):
            self._limit_used = True
            return True  # cells that are tried again may still be drawn
        if self._sources.stopped():
            return False
        if self._is_left_undone(cell):
            return True
        if not self._opening.may_begin():
            self._ready_queue.put_back(cell)
            return False
        money = self._reserved(cell, tried=bool(history.attempt))
        if money is None:
            return True  # for others there may be room
        if not history.attempt and self._settings.limit is not None:
            self._new_cells.add(cell.key)  # one whose first attempt was dropped comes twice
        attempt = Attempt(
            key=cell.key,
            number=number,
            alias=cell.alias,
            model=cell.model,
            name=self._names.of(cell, history),
            cell=cell,
            yielded=True,
            granted=granted,
            choice=money.choice,
            reserved=money.amount,
            first=money.first,
        )
        self._sources.begin(cell.key)
        self._transitions.begin(attempt)
        self._batcher.put(attempt)
        return True

    def _is_left_undone(self, cell: Cell) -> bool:
        """Say whether a cell is not let begin, and count it."""
        if self._admission.is_stopped(cell.model):
            self._admission.leave(cell.model, cell.alias)
            return True
        if self._admission.takes_files or self._submitter.files.uploads.has_all(cell):
            return False
        self._admission.leave_without_files(cell.alias)
        return True

    def _reserved(self, cell: Cell, *, tried: bool) -> Reservation | None:
        """Return what the run of a cell reserves; None where it waits, or is passed over."""
        if not self._budget.limited:
            return WITHOUT_BUDGET
        choice = self._budget.choice(cell.model, cell.input)
        if self._budget.used_up(cell.alias):
            self._passed_over = True
            self._budget.pass_over(cell.alias, choice, cell.model, cell.input)
            return None
        if self._held.waits(cell.alias, choice):
            self._held.hold(cell, choice, tried=tried)
            return None
        match self._budget.offer(cell.alias, choice, cell.model, cell.input):
            case Reservation() as money:
                return money
            case Keeps.SETTLED:
                self._passed_over = True
                self._budget.pass_over(cell.alias, choice, cell.model, cell.input)
            case _:
                self._held.hold(cell, choice, tried=tried, first=True)
        return None

    def _grant(self, key: str, history: History) -> int:
        """Return what `--retry-failed` grants a cell that had ended before this call."""
        if not self._settings.retry_failed or history.ended_line >= self._before:
            return self._granted.get(key, 0)
        attempts, named = self._settings.attempts, self._settings.names_codes
        granted = self._granted.get(key) or grant(history, attempts=attempts, named=named)
        if granted:
            self._granted[key] = granted
        return granted

    def _is_beyond_limit(self, key: str, history: History) -> bool:
        """Say whether `--limit` has no room for a cell: from then on no new one is drawn."""
        limit = self._settings.limit
        counted = history.attempt or key in self._new_cells
        return limit is not None and not counted and len(self._new_cells) >= limit

    def _owed(self, cell: Cell, history: History) -> None:
        """Save what an earlier call could not."""
        if history.state in GOOD and not history.saved:
            assert history.run_id is not None
            name = self._names.of(cell, history)
            self._downloader.put(Job(key=cell.key, run_id=history.run_id, name=name))
