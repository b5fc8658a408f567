"""Local files -> assets of the service, in the three documented steps (runflow-api, Assets):
ask for a place, put the bytes there without the key, have the service confirm that it has them.

None of it costs money, so each step may be done again; what is left of a broken upload is an
unconfirmed place at the service, to which no input refers.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import httpx

from batchrun.base.local_file import LocalFile
from batchrun.base.regular_file import open_regular
from batchrun.errors import (
    BadAnswersError,
    ThrottledError,
    TooLargeAnswerError,
    UnreachableError,
)
from batchrun.runflow.client import Client
from batchrun.runflow.headers import seconds_to_wait
from batchrun.runflow.one_send import FAILED
from batchrun.runflow.storage import BrokenTransferError, broken, keep_trying, may_be_opened
from batchrun.runflow.wire import Refusal, UploadPlace

SCHEME: Final = "runflow://assets/"
_CHUNK: Final = 256 * 1024
_PLACES: Final = 3  # asked for before we give up: the URL of one may expire under a slow line
_TRIES: Final = 5
_LONGEST_PAUSE: Final = 20.0


class ChangedFileError(Exception):
    """The file on disk is not the content any more that the cell was made from."""


class RefusedFileError(Exception):
    """The service doesn't take this file: its size, its type, or what it found in it.

    *by_storage*: its storage host refused the bytes, and didn't say what is wrong with them.
    """

    def __init__(
        self, http_status: int, refusal: Refusal, file: LocalFile, *, by_storage: bool = False
    ) -> None:
        self.http_status = http_status
        self.code = refusal.code
        self.message = f"`{file}`: {refusal.message}"
        self.by_storage = by_storage
        super().__init__(f"HTTP {http_status} {Refusal(code=self.code, message=self.message)}")


class FailedUploadError(Exception):
    """The file could not be put in spite of all tries; another call may have more luck."""

    def __init__(self, file: LocalFile, why: object) -> None:
        super().__init__(f"`{file}` could not be uploaded: {why}")


def reference(asset_id: str) -> str:
    """Return what an input carries for an asset."""
    return f"{SCHEME}{asset_id}"


async def upload(client: Client, storage: httpx.AsyncClient, file: LocalFile) -> str:
    """Return the id of a new asset that holds *file*; *storage* is a client without the key.

    Raises ChangedFileError, RefusedFileError, FailedUploadError; KeyRefusedError and
    OutOfCreditError where the API itself says so, and UnreachableError where it is out of reach.
    """
    with failed_alone(client, file):
        return await _uploaded(client, storage, file)


@contextmanager
def failed_alone(client: Client, file: LocalFile) -> Iterator[None]:
    """Raise FailedUploadError where the API answers, and only a call about *file* failed for good.

    One that nothing answered says so of a file only if other calls are answered; a 429 speaks of
    all calls of its kind.
    """
    try:
        yield
    except UnreachableError as error:
        own = isinstance(error, BadAnswersError | TooLargeAnswerError) or client.answers
        if isinstance(error, ThrottledError) or not own:
            raise
        raise FailedUploadError(file, error.fact) from None


async def _uploaded(client: Client, storage: httpx.AsyncClient, file: LocalFile) -> str:
    if "authorization" in storage.headers:
        raise ValueError("files are not put with the client that holds the key")
    failure: Exception = AssertionError("there is at least one place")
    for _ in range(_PLACES):
        asked = await client.create_upload(name=file.name, mime=file.mime, size=file.size)
        if asked.refusal is not None:
            raise RefusedFileError(asked.http_status, asked.refusal, file)
        place: UploadPlace = asked.body
        try:
            await _put(storage, _allowed(place.url, file, loopback=client.local), file)
        except (RefusedFileError, FailedUploadError) as error:
            failure = error  # perhaps only of this place: its URL may have expired
            continue
        confirmed = await client.confirm_upload(place.asset_id)
        # Refused, perhaps only because a lost answer had confirmed it already.
        if confirmed.refusal is None or await client.asset(place.asset_id) is not None:
            return place.asset_id
        failure = RefusedFileError(confirmed.http_status, confirmed.refusal, file)
    raise failure


async def _put(storage: httpx.AsyncClient, url: str, file: LocalFile) -> None:
    """Put the file's bytes to *url*; RefusedFileError or FailedUploadError where that can't be."""
    try:
        await keep_trying(
            partial(_put_once, storage, url, file),
            tries=_TRIES,
            first_pause=2.0,
            longest_pause=_LONGEST_PAUSE,
        )
    except BrokenTransferError as error:
        raise FailedUploadError(file, error) from None


async def _put_once(storage: httpx.AsyncClient, url: str, file: LocalFile) -> None:
    request = storage.build_request(
        "PUT",
        url,
        content=_content(file),
        headers={"Content-Type": file.mime, "Content-Length": str(file.size)},
    )
    host = request.url.host
    try:
        response = await storage.send(request, stream=True, follow_redirects=False)
        await response.aclose()  # its body says nothing, and may have no end
    except FAILED as error:
        raise broken(error, host) from None
    if response.is_success:
        return
    reason = f"HTTP {response.status_code} from {host}"
    if response.status_code >= 500 or response.status_code in {408, 429}:
        raise BrokenTransferError(reason, pause=seconds_to_wait(response.headers, None))
    refusal = Refusal(code="UPLOAD_REFUSED", message=reason)
    raise RefusedFileError(response.status_code, refusal, file, by_storage=True)


async def _content(file: LocalFile) -> AsyncIterator[bytes]:
    """Yield the bytes of *file*; ChangedFileError before the last of them if it has changed.

    The last chunk is held back until all are known to be what was promised, so that the service
    never gets a whole file that is another.
    """
    digest, size, last = hashlib.sha256(), 0, b""
    try:
        with open_regular(file.path) as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size > file.size:
                    break
                if last:
                    yield last
                last = chunk
    except OSError as error:
        why = f"`{file}` can't be read any more: {error.strerror}"
        raise ChangedFileError(why) from None
    if size != file.size or digest.hexdigest() != file.sha256:
        raise ChangedFileError(f"`{file}` has changed since this call read the manifest")
    yield last


def _allowed(url: str, file: LocalFile, *, loopback: bool) -> str:
    """Return *url* if it is https, or with *loopback* http to this machine (the simulator's)."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        why = "the API gave something for an upload URL that is none"
        raise FailedUploadError(file, why) from None
    if may_be_opened(parsed, loopback=loopback):
        return url
    given = f"the API gave an upload URL at {parsed.scheme}://{parsed.host}; only https is used"
    raise FailedUploadError(file, given)
