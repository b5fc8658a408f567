"""Downloads what runs made: a stage of its own, so that a slow file holds up no run.

A file that cannot be had now stays owed: the ledger has no `saved` line for it, and the next call
tries again. It never costs a run.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any, Final

import anyio
import httpx
from msgspec import UNSET, Struct
from msgspec.structs import replace

from batchrun.base.output_store import OutputStore
from batchrun.base.text import size_of
from batchrun.base.times import moment
from batchrun.engine.context import Context
from batchrun.engine.in_flight import Active
from batchrun.engine.shutdown import Wakeup
from batchrun.errors import QuestionHeldError
from batchrun.ledger.history import NOWHERE, State
from batchrun.ledger.records import (
    Absent,
    AnyRecord,
    Finished,
    Lost,
    Reused,
    Saved,
    SavedFile,
    reason,
    timestamp,
)
from batchrun.manifest.cells import SHORT
from batchrun.runflow.downloads import DownloadError, ExpiredError, fetch
from batchrun.runflow.http.body import MOST_BYTES
from batchrun.runflow.inline import weight
from batchrun.runflow.outputs import OutputFile, address_of, is_empty, output_files

PAUSES: Final = (0.0, 2.0, 5.0)
"""Seconds before each time that a run is asked for its output once more. A service may show the end
of a run before its output, and an address before there is a file behind it.
"""

GIVEN_UP: Final = 3
"""Runs in a row that showed no file after all pauses: then none is waited for any more."""

MOST_HELD: Final = 64 * 2**20
"""Characters of media that waiting jobs hold in memory: the runs of further ones are asked again.
A service may keep an output that stands in an answer nowhere else, so it isn't left out at once.
"""

RENEWED: Final = 3
GONE_AFTER: Final = timedelta(hours=1)
"""A file is gone for good that its host didn't have at so many renewed addresses, in two calls that
are so long apart (rule 19).
"""


class Job(Struct, frozen=True, kw_only=True):
    """One run's outputs; *output* is None where the run has to be asked for it first."""

    key: str
    run_id: str
    name: str
    output: Any = None


class _Saving:
    """A job under way: the output as it was last shown, and its files by their places in it.

    *former* are those that were saved once. Of these *saved* are on disk, and those that were
    fetched since; *lost* are gone for good. *failed* can't be had in this call, *absent* weren't at
    so many of the *renewed* addresses. *addressed* are places that ever had an address, *empty*
    those that had none when the run was shown last; *all* counts the files that were ever shown.
    """

    def __init__(self, job: Job, former: Saved | Reused | None, lost: Collection[int]) -> None:
        self.job = job
        self.output = job.output
        self.former = {} if former is None else former.by_place
        self.saved: dict[int, SavedFile] = {}
        self.lost = set(lost)
        self.all = len({*self.former, *lost, *(() if former is None else former.owed)})
        self.failed: dict[int, DownloadError] = {}
        self.absent: Counter[int] = Counter()
        self.addressed: set[int] = set()
        self.empty: set[int] = set()
        self.renewed = False
        self.written = False
        self.errors: dict[int, str] = {}
        self.error = ""
        self.addresses: Sequence[str] = ()

    def lacks(self, output: Any) -> str:
        """Return why an *output* without a file is not what the run made, "" where it is."""
        if is_empty(output):
            return "the service shows an empty output of it"
        had = any(not each.path.endswith(".json") for each in self.former.values())
        return "the service shows no file of it any more" if had else ""

    def placed(self, files: Sequence[OutputFile]) -> Mapping[int, OutputFile]:
        """Return *files* by their places: by their addresses as they were shown first.

        A renewed address has another query, and a renewed list may have another order, or lack a
        file. Where no address is the same, the place in the list counts, if it lacks none.
        """
        shown = [address_of(file.url) for file in files]
        if not self.addresses:
            self.addresses = shown
        known = [each for each in self.addresses if each]
        if shown == self.addresses or not (set(known) & set(shown)) or len(set(known)) < len(known):
            return dict(enumerate(files)) if len(files) >= self.all else {}
        by_address = dict(zip(shown, files, strict=True))
        found = {n: by_address[a] for n, a in enumerate(self.addresses) if a in by_address}
        new = [file for file, each in zip(files, shown, strict=True) if each not in known]
        empty = [n for n, each in enumerate(self.addresses) if not each]
        beyond = range(len(self.addresses), len(self.addresses) + len(new))
        return found | dict(zip([*empty, *beyond], new, strict=False))

    @property
    def owed(self) -> list[int]:
        """The places of the files that are still to be had."""
        return [n for n in range(self.all) if n not in self.saved and n not in self.lost]

    def line(self) -> Saved:
        files = {**self.former, **self.saved}
        places = tuple(sorted(files.keys() - self.lost))
        return Saved(
            cell=self.job.key,
            run_id=self.job.run_id,
            files=tuple(files[place] for place in places),
            places=() if places == tuple(range(len(places))) else places,
            owed=tuple(self.owed),
        )

    def name(self, place: int) -> str:
        """Return the path of a file without its extension: the one that it had, if any."""
        if place in self.former:
            return self.former[place].path.rpartition(".")[0]
        name, own = f"files/{self.job.name}", f"files/{self.job.name}-{self.job.key[:SHORT]}"
        # Where names were given at the download, the key stands in no intent.
        if any(file.path.startswith(own) for file in self.former.values()):
            name = own
        return f"{name}-{place + 1}" if self.all > 1 else name


class Downloader:
    """Saves jobs below the sweep's files/, a few at once; none of them after `--no-download`."""

    def __init__(
        self, context: Context, http: httpx.AsyncClient, *, active: Active, wakeup: Wakeup
    ) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._http = http
        self._progress = context.progress
        self._ends = context.ends
        self._unsaved = context.shutdown.unsaved
        self._store = OutputStore(context.folder.path)
        self._wanted = context.settings.download
        self._workers = context.settings.downloads
        self._active = active
        self._wakeup = wakeup
        self._jobs: deque[Job] = deque()
        self._news = Wakeup()
        self._cells: set[str] = set()
        self._in_vain = 0
        self._held = 0

    @property
    def waiting(self) -> int:
        """How many jobs are not over."""
        return len(self._cells)

    def put(self, job: Job) -> None:
        """Save it in its turn. A cell that several points came to is put more than once."""
        if not self._wanted:
            self._ends.over(job.key)
        if not self._wanted or job.key in self._cells:
            return
        if (media := weight(job.output)) and self._held and self._held + media > MOST_HELD:
            job, media = replace(job, output=None), 0
        self._held += media
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
                self._unsaved[str(error)] += 1
                self._progress.note(
                    f"the output of run {job.run_id} could not be saved: {error}; "
                    "the next call tries again"
                )
            else:
                self._ends.over(job.key)
            finally:
                self._held -= weight(job.output)
                self._cells.discard(job.key)
                self._active.note((self, job.key), awaited=False)
                self._wakeup.ring()

    async def _save(self, job: Job) -> None:
        saving = self._taken_up(job)
        for pause in (0.0, *PAUSES):
            if saving.output is None:
                if pause and (self._in_vain < GIVEN_UP or self._is_partial(job)):
                    await anyio.sleep(pause)
                saving.empty.clear()
                saving.output, saving.renewed = await self._ask_again(job), True
            if saving.output is not None and await self._fetch_all(saving):
                break
        else:
            self._in_vain += 1
        await self._leave_unmade(saving)
        await self._give_up_lost(saving)
        if saving.owed or not saving.all:
            error = next(iter(saving.failed.values()), None)
            raise error or DownloadError(saving.error or "the service shows no output of it")

    def _taken_up(self, job: Job) -> _Saving:
        """Return what is had of a job's files, and what is gone for good."""
        book = self._ledger.book
        line = book.had(job.key)
        record = None if line is None else self._ledger.read(line)
        former = record if isinstance(record, Saved | Reused) else None
        saving = _Saving(job, former, book.files.lost.get(job.key, ()))
        ended = book.history(job.key).ended_line
        if job.output is None and ended != NOWHERE:
            record = self._ledger.read(ended)
            output = record.output if isinstance(record, Finished) else None
            saving.addresses = [address_of(file.url) for file in output_files(output)]
        found = saving.former.items()
        saving.saved = {place: file for place, file in found if self._store.size(file.path)}
        return saving

    async def _ask_again(self, job: Job) -> Any:
        """Return the run's output with fresh URLs: reading a run signs them anew."""
        try:
            run = await self._client.get_run(job.run_id)
        except QuestionHeldError as error:
            raise DownloadError(str(error)) from None
        if run is None:
            raise DownloadError("the service doesn't know the run any more (404)")
        if run.left_out:
            raise DownloadError(
                f"the service's answer for the run has {size_of(run.left_out)} or more, and no "
                f"more than {size_of(MOST_BYTES)} is read"
            )
        return run.output

    async def _fetch_all(self, saving: _Saving) -> bool:
        """Fetch what isn't saved yet; say whether nothing is left to try."""
        output, saving.output = saving.output, None
        files = output_files(output)
        if not files and (why := saving.lacks(output)):
            saving.error = why
            return False
        if not files:
            saving.saved[0] = self._keep_text(f"{saving.name(0)}.json", output)
        placed = saving.placed(files)
        if files and not placed:
            saving.error = f"the service shows {len(files)} of its {saving.all} files"
        saving.all = max(1, saving.all, *(place + 1 for place in placed))
        for place, file in sorted(placed.items(), key=itemgetter(0)):
            (saving.addressed if file.url else saving.empty).add(place)
            if place in saving.owed and place not in saving.failed:
                await self._fetch_one(saving, place, file)
        if not saving.owed:
            self._in_vain = 0
            if not saving.written:
                await self._write(saving)
        return not set(saving.owed) - set(saving.failed)

    async def _fetch_one(self, saving: _Saving, place: int, file: OutputFile) -> None:
        """Fetch a file, and write it down before another is had; it holds up no other.

        By then the address of the first may be no longer good: a file without its line would be
        gone.
        """
        try:
            saving.saved[place] = await self._fetch(file, place, saving)
        except ExpiredError as error:
            saving.error = saving.errors[place] = str(error)
            saving.absent[place] += saving.renewed and error.absent
        except DownloadError as error:
            saving.failed[place] = error
        else:
            await self._write(saving)

    async def _write(self, saving: _Saving) -> None:
        saving.written = True
        await self._ledger.append(saving.line())

    async def _fetch(self, file: OutputFile, place: int, saving: _Saving) -> SavedFile:
        if not file.url:
            raise ExpiredError(f"the service shows no address of its file {place + 1}")
        local = self._client.local
        with self._store.writing(saving.name(place)) as part:
            got = await fetch(self._http, file.url, part, media=file.type, loopback=local)
        former = saving.former.get(place)
        changed = former is not None and former.identity != got.sha256
        if changed:
            self._progress.note(
                f"{got.name} of cell {saving.job.key[:SHORT]} was fetched again, and the service "
                "sent other bytes than the first time; they are kept"
            )
        return SavedFile(
            path=got.name,
            bytes=got.bytes,
            sha256=got.sha256,
            content_type=got.content_type,
            source_sha256=former.identity if former is not None and changed else UNSET,
        )

    def _keep_text(self, path: str, output: Any) -> SavedFile:
        """Keep an output that has no files, such as a model's JSON."""
        data = json.dumps(output, ensure_ascii=False, indent=2).encode() + b"\n"
        self._store.put(path, data)
        return SavedFile(
            path=path,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content_type="application/json",
        )

    # Files that are gone, or were never made.

    async def _leave_unmade(self, saving: _Saving) -> None:
        """Owe no file of which a run that partly succeeded has shown no address: it made none.

        Its place in the list is empty for good; it was owed once, and such a cell was never done.
        """
        unmade = (saving.empty - saving.addressed) & set(saving.owed)
        if self._is_partial(saving.job) and unmade and saving.saved:
            saving.lost |= unmade
            await self._write(saving)

    def _is_partial(self, job: Job) -> bool:
        return self._ledger.book.history(job.key).state is State.PARTIAL_SUCCEEDED

    async def _give_up_lost(self, saving: _Saving) -> None:
        """Write down which files weren't at their host: once, or for the second time and for good.

        With a file that is lost less is owed; where nothing is, the cell is as saved as can be.
        """
        records: list[AnyRecord] = []
        for place in saving.owed:
            if saving.absent[place] < RENEWED:
                continue
            found = self._found_absent(saving.job, place)
            if found is None:
                records.append(self._absent(saving, place))
            elif self._is_long_ago(found):
                saving.lost.add(place)
                records.append(_lost(found))
        lost = [record for record in records if isinstance(record, Lost)]
        await self._ledger.append(*records, *([saving.line()] if lost else []))
        for record in lost:
            self._progress.note(reason(record)[1])

    def _found_absent(self, job: Job, place: int) -> Absent | None:
        """Return what an earlier call found of a file that wasn't there."""
        line = self._ledger.book.files.absent.get(job.key, {}).get(place)
        record = None if line is None else self._ledger.read(line)
        return record if isinstance(record, Absent) and record.run_id == job.run_id else None

    def _absent(self, saving: _Saving, place: int) -> Absent:
        server = self._client.server_time
        return Absent(
            cell=saving.job.key,
            run_id=saving.job.run_id,
            place=place,
            all=saving.all,
            file=saving.name(place),
            message=saving.errors[place],
            server_at=None if server is None else timestamp(server),
        )

    def _is_long_ago(self, found: Absent) -> bool:
        """Say whether an hour has passed, by the service's clock where both times are its own."""
        now, then = self._client.server_time, moment(found.server_at)
        if now is None or then is None:
            now, then = self._ledger.now(), moment(found.at)
        return then is not None and now - then >= GONE_AFTER


def _lost(found: Absent) -> Lost:
    return Lost(
        cell=found.cell,
        run_id=found.run_id,
        place=found.place,
        all=found.all,
        file=found.file,
        message=found.message,
    )
