"""Inputs as they are sent: each local file becomes what the service knows it as.

A content is uploaded once, whatever its path and however many cells hold it; the ledger remembers
it for later calls, which ask whether the service still has it before they rely on it.

Models take `runflow://assets/…`; the service's own documents say that some once took https only.
Such a model is noticed by its refusal, and given signed URLs from then on.

**A file that can't be put ends no call.** It is the fault of its own cells alone, or, where the
account isn't let put files, or none can be put any more, of all cells that need one put. Runs in
flight were once left unfetched for it.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import anyio
import httpx

from batchrun.base.local_file import LocalFile
from batchrun.engine.admission import Admission
from batchrun.engine.context import Context
from batchrun.errors import NotPermittedError, OutOfCreditError, UnreachableError
from batchrun.ledger.records import Uploaded
from batchrun.manifest.cells import Cell
from batchrun.runflow.assets import (
    SCHEME,
    FailedUploadError,
    RefusedFileError,
    failed_alone,
    reference,
    upload,
)
from batchrun.runflow.post_outcomes import InputRefused

WANTS_HTTPS: Final = re.compile(r"https?\b|runflow:", re.IGNORECASE)
"""In the refusal of an input with a file: a media URL of another kind was expected."""


ENOUGH_FAILED: Final = 3
"""Files in a row that could not be put, while none could: one or two may be at fault themselves,
and each one more takes minutes to fail, with all its tries."""


class NoFilesError(Exception):
    """No further file is put at the service in this call: `Admission` knows why."""


class Uploader:
    """Puts files at the service; *storage* is a client without the key."""

    def __init__(self, context: Context, storage: httpx.AsyncClient, admission: Admission) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._storage = storage
        self._turns: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._admission = admission
        self._failed: dict[str, RefusedFileError | FailedUploadError] = {}
        self._put = self._failed_since = 0  # files that could be put, and since then couldn't
        self._there: dict[str, str] = {}  # asset ids that this process has seen, by content
        self._missed: set[str] = set()
        self._wants_https = context.client.profile.wants_https
        self._otherwise: set[tuple[str, str]] = set()

    async def resolve(self, cell: Cell) -> Mapping[str, Any]:
        """Return the cell's input as it is sent.

        Raises ChangedFileError, RefusedFileError, FailedUploadError, NoFilesError,
        KeyRefusedError, and UnreachableError.
        """
        files = {file.sha256: file for file in files_in(cell.input)}
        if not files:
            return cell.input
        given = {
            sha256: await self._given(file, cell.model) for sha256, file in sorted(files.items())
        }
        sent = replaced(cell.input, lambda file: given[file.sha256])
        assert isinstance(sent, dict)
        return sent

    def gives_otherwise(
        self, cell: str, model: str, sent: Mapping[str, Any], refusal: InputRefused
    ) -> bool:
        """Say whether an input that was refused can be given in another way, and do so from now on.

        True at most once for a cell and an asset, and once for a cell and its kind of reference, so
        that a refusal for another reason comes through.
        """
        assets = set(assets_in(sent))
        for asset_id in assets:
            if asset_id in refusal.message and self._first(cell, asset_id):
                self._missed.add(asset_id)
                return True
        if assets and WANTS_HTTPS.search(refusal.message) and self._first(cell, SCHEME):
            self._wants_https.add(model)
            return True
        return False

    def _first(self, cell: str, what: str) -> bool:
        first = (cell, what) not in self._otherwise
        self._otherwise.add((cell, what))
        return first

    def has_all(self, cell: Cell) -> bool:
        """Say whether all files of a cell are at the service, as far as is known here."""
        return all(map(self._known, {file.sha256 for file in files_in(cell.input)}))

    def _known(self, sha256: str) -> str | None:
        """Return the asset that has a content, as this call has seen or an earlier one left it."""
        earlier = self._ledger.book.uploads.get(sha256)
        asset_id = self._there.get(sha256, None if earlier is None else earlier.asset_id)
        return None if asset_id in self._missed else asset_id

    async def _given(self, file: LocalFile, model: str) -> str:
        try:
            async with self._turns[file.sha256]:
                if file.sha256 in self._failed:
                    raise self._failed[file.sha256]
                if self._there.get(file.sha256) in {None, *self._missed}:
                    self._there[file.sha256] = await self._find(file) or await self._upload(file)
            asset_id = self._there[file.sha256]
            if model not in self._wants_https:
                return reference(asset_id)
            with self._judging(file), failed_alone(self._client, file):
                asset = await self._client.asset(asset_id)
        except (OutOfCreditError, NotPermittedError) as error:
            self._admission.stop_files(error)
            raise NoFilesError from None
        return (asset and asset.url) or reference(asset_id)

    async def _find(self, file: LocalFile) -> str | None:
        """Return the asset of an earlier upload that the service still has."""
        known = self._known(file.sha256)
        if known is None:
            return None
        with self._judging(file), failed_alone(self._client, file):
            return None if await self._client.asset(known) is None else known

    async def _upload(self, file: LocalFile) -> str:
        if not self._admission.takes_files:
            raise NoFilesError
        with self._judging(file):
            asset_id = await upload(self._client, self._storage, file)
        self._put += 1
        self._failed_since = 0
        record = Uploaded(sha256=file.sha256, asset_id=asset_id, reference=reference(asset_id))
        await self._ledger.append(record)
        return asset_id

    @contextmanager
    def _judging(self, file: LocalFile) -> Iterator[None]:
        """Remember why *file* could not be put; put none any more once it is not the files.

        One that was put meanwhile shows that files can be, however many fail beside it.
        """
        put = self._put
        try:
            yield
        except (RefusedFileError, FailedUploadError) as error:
            self._failed[file.sha256] = error
            own = isinstance(error, RefusedFileError) and not error.by_storage
            if not own and put == self._put:
                self._failed_since += 1
            if self._failed_since >= ENOUGH_FAILED:
                why = f"the last {self._failed_since} could not be, such as this one: {error}"
                self._admission.stop_files(UnreachableError(why))
            raise


def files_in(value: Any) -> Iterator[LocalFile]:
    """Yield the local files in *value*, however deep they stand."""
    return (leaf for leaf in leaves(value) if isinstance(leaf, LocalFile))


def replaced(value: Any, give: Callable[[LocalFile], str]) -> Any:
    """Return *value* with what *give* says in the place of each file."""
    if isinstance(value, LocalFile):
        return give(value)
    if isinstance(value, Mapping):
        return {name: replaced(below, give) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(below, give) for below in value]
    return value


def assets_in(value: Any) -> Iterator[str]:
    """Yield the ids of the assets that a sent input refers to."""
    for leaf in leaves(value):
        if isinstance(leaf, str) and leaf.startswith(SCHEME):
            yield leaf.removeprefix(SCHEME)


def leaves(value: Any) -> Iterator[Any]:
    """Yield what stands in *value* and holds nothing else."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for below in value:
            yield from leaves(below)
    else:
        yield value
