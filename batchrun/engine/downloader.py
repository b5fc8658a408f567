"""Downloads what runs made: a stage of its own, so that a slow file holds up no run.

A file that cannot be had now stays owed: the ledger has no `saved` line for it, and the next call
tries again. It never costs a run.
"""

import hashlib
import json
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import anyio
import httpx
from msgspec import Struct

from batchrun.base.output_store import OutputStore
from batchrun.engine.context import Context
from batchrun.engine.in_flight import Active
from batchrun.engine.shutdown import Wakeup
from batchrun.ledger.records import Saved, SavedFile
from batchrun.manifest.cells import SHORT
from batchrun.runflow.downloads import DownloadError, ExpiredError, fetch
from batchrun.runflow.outputs import OutputFile, output_files

PAUSES: Final = (0.0, 2.0, 5.0)
"""Seconds before each time that a run is asked for its output once more. A service may show the end
of a run before its output, and an address before there is a file behind it.
"""

GIVEN_UP: Final = 3
"""Runs in a row that showed no file after all pauses: then none is waited for any more."""


class Job(Struct, frozen=True, kw_only=True):
    """One run's outputs; *output* is None where the run has to be asked for it first.

    *had* are the files that the cell had, where one of them is gone.
    """

    key: str
    run_id: str
    name: str
    output: Any = None
    had: Sequence[str] = ()


class _Saving:
    """The output of a run as it was last shown, and its files that are saved, by their place."""

    def __init__(self, output: Any) -> None:
        self.output = output
        self.saved: dict[int, SavedFile] = {}
        self.error = ""

    def files(self) -> tuple[SavedFile, ...]:
        return tuple(saved for _, saved in sorted(self.saved.items()))


class Downloader:
    """Saves jobs below the sweep's files/, a few at once; none of them after `--no-download`."""

    def __init__(
        self, context: Context, http: httpx.AsyncClient, *, active: Active, wakeup: Wakeup
    ) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._http = http
        self._progress = context.progress
        self._store = OutputStore(context.folder.path)
        self._wanted = context.settings.download
        self._workers = context.settings.downloads
        self._active = active
        self._wakeup = wakeup
        self._jobs: deque[Job] = deque()
        self._news = Wakeup()
        self._cells: set[str] = set()
        self._in_vain = 0

    @property
    def waiting(self) -> int:
        """How many jobs are not over."""
        return len(self._cells)

    def put(self, job: Job) -> None:
        """Save it in its turn. A cell that several points came to is put more than once."""
        if not self._wanted or job.key in self._cells:
            return
        self._cells.add(job.key)
        self._active.note((self, job.key), awaited=True)
        self._jobs.append(job)
        self._news.ring()

    async def run(self) -> None:
        """Save until cancelled."""
        async with anyio.create_task_group() as tasks:
            for number in range(self._workers):
                tasks.start_soon(self._worker, name=f"downloader {number}")

    async def _worker(self) -> None:
        while True:
            while not self._jobs:
                await self._news.wait()
            job = self._jobs.popleft()
            try:
                await self._save(job)
            except (DownloadError, ExpiredError, OSError) as error:
                self._progress.note(
                    f"the output of run {job.run_id} could not be saved: {error}; "
                    "the next call tries again"
                )
            finally:
                self._cells.discard(job.key)
                self._active.note((self, job.key), awaited=False)
                self._wakeup.ring()

    async def _save(self, job: Job) -> None:
        saving, name = _Saving(job.output), self._name(job)
        for pause in (0.0, *PAUSES):
            if saving.output is None:
                if pause and self._in_vain < GIVEN_UP:
                    await anyio.sleep(pause)
                saving.output = await self._ask_again(job)
            if saving.output is not None and await self._fetch_all(name, saving):
                self._in_vain = 0
                record = Saved(cell=job.key, run_id=job.run_id, files=saving.files())
                await self._ledger.append(record)
                return
        self._in_vain += 1
        raise DownloadError(saving.error or "the service shows no output of it")

    async def _ask_again(self, job: Job) -> Any:
        """Return the run's output with fresh URLs: reading a run signs them anew."""
        run = await self._client.get_run(job.run_id)
        if run is None:
            raise DownloadError("the service doesn't know the run any more (404)")
        return run.output

    async def _fetch_all(self, name: str, saving: "_Saving") -> bool:
        """Fetch what isn't saved yet; say whether that is all. One file holds up no other."""
        files = output_files(saving.output)
        if not files:
            saving.saved = dict(enumerate(self._keep_text(name, saving.output)))
            return True
        failure: DownloadError | None = None
        saving.saved = {n: saved for n, saved in saving.saved.items() if n < len(files)}
        for number, file in enumerate(files):
            if number in saving.saved:
                continue
            own = f"{name}-{number + 1}" if len(files) > 1 else name
            try:
                saving.saved[number] = await self._fetch(file, own)
            except ExpiredError as error:
                saving.error = str(error)
            except DownloadError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        saving.output = None
        return len(saving.saved) == len(files)

    async def _fetch(self, file: OutputFile, name: str) -> SavedFile:
        local = self._client.local
        with self._store.writing(f"files/{name}") as part:
            saved = await fetch(self._http, file.url, part, media=file.type, loopback=local)
        return SavedFile(
            path=saved.name,
            bytes=saved.bytes,
            sha256=saved.sha256,
            content_type=saved.content_type,
        )

    def _keep_text(self, name: str, output: Any) -> Sequence[SavedFile]:
        """Keep an output that has no files, such as a model's JSON."""
        if output in ({}, [], ""):
            return ()
        data = json.dumps(output, ensure_ascii=False, indent=2).encode() + b"\n"
        path = f"files/{name}.json"
        self._store.put(path, data)
        kept = SavedFile(
            path=path,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content_type="application/json",
        )
        return (kept,)

    def _name(self, job: Job) -> str:
        """Return the job's name, or the one that it had where names were given at the download."""
        other = f"{job.name}-{job.key[:SHORT]}"
        return other if any(path.startswith(f"files/{other}") for path in job.had) else job.name
