"""Keeps the logs of runs beside the cells, as `outputs.logs` asks for them: a stage of its own.

Logs are worth no wait. They are asked for after the end of a run is written and its slot is given
back, one run after the other, and each question lets other calls go first for a while. What goes
wrong here is a note: it ends no call, and is left to the next one. A refusal is an answer, and is
kept like one, so that it is asked for once.
"""

from collections import deque
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from msgspec import Struct

from batchrun.base.progress import Notices, Progress
from batchrun.base.text import number_of
from batchrun.base.values import KeepLogs
from batchrun.engine.kept_logs import has_logs, keep_logs
from batchrun.engine.shutdown import Shutdown, Wakeup
from batchrun.errors import BatchrunError, FolderError
from batchrun.ledger.history import History, State
from batchrun.runflow.client import Client
from batchrun.runflow.run_logs import logs_of_run
from batchrun.runflow.wire import Run

PATIENCE: Final = 10.0
"""Seconds for which the question for the logs of a run lets other calls go first."""

PAUSE: Final = 0.5
"""Seconds between two looks at whether others wait."""

LONGEST: Final = 60.0
"""Seconds that the logs of one run may take, where a request hangs."""

LAST: Final = 30.0
"""Seconds that the end of a call waits for logs."""

GIVEN_UP: Final = 3
"""Runs in a row whose logs could not be had: then no further ones are asked for in this call."""

MOST_WAITING: Final = 10_000
"""Runs that wait for their turn; those beyond are left to the next call."""


class _Wanted(Struct, frozen=True, kw_only=True):
    """A run whose logs are to be kept; what it says it has, None where it doesn't say."""

    cell: str
    run_id: str
    has_logs: bool | None = None
    has_node_runs: bool | None = None


class LogKeeper:
    """Keeps the logs of runs that ended in this call, and of those that earlier ones left."""

    def __init__(
        self,
        folder: Path,
        client: Client,
        progress: Progress,
        shutdown: Shutdown,
        *,
        keep: KeepLogs,
    ) -> None:
        self._folder = folder
        self._client = client
        self._progress = progress
        self._notices = Notices(progress)
        self._shutdown = shutdown
        self._keep = keep
        self._todo: deque[_Wanted] = deque()
        self._news = Wakeup()
        self._busy = False
        self._in_vain = 0
        self._left = 0

    def ended(self, cell: str, run: Run) -> None:
        """The end of a cell's run is written: keep its logs in their turn, if they are wanted."""
        if self._wants(run.status_code):
            self._put(
                _Wanted(
                    cell=cell,
                    run_id=run.id,
                    has_logs=run.has_logs,
                    has_node_runs=run.has_node_runs,
                )
            )

    def rests(self, cell: str, history: History) -> None:
        """A cell was at its end before this call: keep what is missing of its last run."""
        run_id = history.run_id
        if run_id is None or history.state is State.REJECTED or not self._wants(history.state):
            return
        if not has_logs(self._folder, cell, run_id):
            self._put(_Wanted(cell=cell, run_id=run_id))

    def _wants(self, status: str) -> bool:
        if self._keep is KeepLogs.FAILED:
            return status != State.SUCCEEDED
        return self._keep is KeepLogs.ALL

    def _put(self, wanted: _Wanted) -> None:
        if self._in_vain >= GIVEN_UP or len(self._todo) >= MOST_WAITING:
            self._left += 1
        else:
            self._todo.append(wanted)
            self._news.ring()

    async def run(self) -> None:
        """Keep logs until cancelled."""
        while True:
            while not self._todo:
                self._busy = False
                self._news.ring()
                await self._news.wait()
            self._busy = True
            await self._fetch(self._todo.popleft())
            if self._in_vain >= GIVEN_UP:
                self._left += len(self._todo)
                self._todo.clear()

    async def _fetch(self, wanted: _Wanted) -> None:
        await self._let_others_go_first()
        try:
            with anyio.fail_after(LONGEST):
                logs = await logs_of_run(
                    wanted.run_id,
                    partial(self._client.part_of_run, once=True),
                    has_logs=wanted.has_logs,
                    has_node_runs=wanted.has_node_runs,
                )
            keep_logs(self._folder, wanted.cell, logs)
        except (BatchrunError, TimeoutError) as error:
            self._left += 1
            self._in_vain = GIVEN_UP if isinstance(error, FolderError) else self._in_vain + 1
            why = str(error) or f"no answer in {LONGEST:.0f} s"
            message = f"the logs of run {wanted.run_id} could not be kept: {why}"
            self._notices.once("logs", message)
        else:
            self._in_vain = 0

    async def _let_others_go_first(self) -> None:
        with anyio.move_on_after(PATIENCE):
            while self._client.waiting:
                await anyio.sleep(PAUSE)

    async def finish(self) -> None:
        """Wait a little for the logs that are still to come: the call has nothing else to do."""
        with anyio.move_on_after(LAST):
            while self._todo or self._busy:
                await self._news.wait()

    def close(self) -> None:
        """Say how many logs are left to the next call."""
        self._shutdown.unkept = self._left + len(self._todo) + self._busy
        if self._shutdown.unkept:
            runs = number_of(self._shutdown.unkept, "run")
            self._progress.note(f"the logs of {runs} are not kept; the next call asks for them")
