"""Draws cells into free slots, and begins what each of them needs."""

from typing import Final

from batchrun.engine.batcher import Batcher
from batchrun.engine.downloader import Downloader, Job
from batchrun.engine.ready_queue import ReadyQueue
from batchrun.engine.submit import NameOf, Submitter
from batchrun.engine.transitions import Work
from batchrun.ledger.history import GOOD, History, LookUp, Rest, Submit, Watch, grant, next_step
from batchrun.ledger.key_index import KeyIndex
from batchrun.manifest.cells import Cell

BACKLOG: Final = 1000
"""Downloads that may wait before nothing new is submitted: what waits is held in memory."""


class Scheduler:
    """Decides by a cell's history whether it rests, is under way, or gets a run."""

    def __init__(
        self,
        work: Work,
        ready_queue: ReadyQueue,
        submitter: Submitter,
        batcher: Batcher,
        downloader: Downloader,
        *,
        name_of: NameOf,
    ) -> None:
        self._work = work
        self._ready_queue = ready_queue
        self._submitter = submitter
        self._batcher = batcher
        self._downloader = downloader
        self._name_of = name_of
        self._before = work.ledger.end
        self._granted: dict[str, int] = {}
        self._new_cells = KeyIndex()
        self._limit_used = False
        self._held_by_budget = False

    @property
    def done(self) -> bool:
        """Whether no cell will be drawn any more, but those that are tried again."""
        return not self._work.shutdown.submitting or self._ready_queue.exhausted or self._limit_used

    def draw(self) -> bool:
        """Do what the next cell needs; False if no cell can be drawn now."""
        if not self._may_draw():
            return False
        cell = self._ready_queue.draw(self._work.in_flight.has_room, new=not self._limit_used)
        if cell is None:
            return False
        attempt = self._work.in_flight.get(cell.key)
        if attempt is not None:
            attempt.cell = attempt.cell or cell
            attempt.yielded = True
            return True
        history = self._work.ledger.book.history(cell.key)
        granted = self._grant(cell.key, history)
        attempts = self._work.settings.attempts
        match next_step(history, attempts=attempts, granted=granted):
            case Submit(number):
                return self._begin(cell, history, number, granted)
            case Rest():
                self._work.progress.passed(good=history.state in GOOD)
                self._owed(cell, history)
            case Watch() | LookUp():
                raise AssertionError("what is open is in flight")
        return True

    def stop_if_held(self) -> None:
        """Nothing is under way any more: what was held back stays undone."""
        if self._limit_used:
            self._work.shutdown.submit_no_more(f"`--limit {self._work.settings.limit}` is used up")
        if self._held_by_budget or self._work.held_by_budget:
            self._work.shutdown.submit_no_more(self._work.budget.reached())

    def _may_draw(self) -> bool:
        return (
            self._work.shutdown.submitting
            and not self._submitter.halted
            and self._downloader.waiting < BACKLOG
        )

    def _begin(self, cell: Cell, history: History, number: int, granted: int) -> bool:
        """Begin an attempt; False where the budget leaves no room for it now."""
        reserved = None
        if self._work.budget.limited:
            reserved = self._work.budget.reserve(cell.model, cell.input)
            self._held_by_budget = reserved is None
            if reserved is None:
                self._ready_queue.put_back(cell)
                return False
        if not self._within_limit(cell.key, history):
            return True  # those that are tried again may still be drawn
        attempt = self._submitter.begin(cell, number, granted=granted, reserved=reserved)
        self._batcher.put(attempt)
        return True

    def _grant(self, key: str, history: History) -> int:
        """Return what `--retry-failed` grants a cell that had ended before this call."""
        if not self._work.settings.retry_failed or history.ended_line >= self._before:
            return self._granted.get(key, 0)
        granted = self._granted.get(key) or grant(history, attempts=self._work.settings.attempts)
        if granted:
            self._granted[key] = granted
        return granted

    def _within_limit(self, key: str, history: History) -> bool:
        """Count a new cell; False where `--limit` is used up: from then on no other one is drawn.

        One whose first attempt was dropped comes twice, and is one.
        """
        limit = self._work.settings.limit
        if limit is None or history.attempt or key in self._new_cells:
            return True
        self._limit_used = len(self._new_cells) >= limit
        if not self._limit_used:
            self._new_cells.add(key)
        return not self._limit_used

    def _owed(self, cell: Cell, history: History) -> None:
        """Save what an earlier call could not."""
        if history.state in GOOD and not history.saved and self._work.settings.download:
            assert history.run_id is not None
            job = Job(key=cell.key, run_id=history.run_id, name=self._name_of(cell))
            self._downloader.put(job)
