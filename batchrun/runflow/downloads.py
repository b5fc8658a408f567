"""Output files: HTTP without the key, into the store under their names once they are whole.

A file under its final name is complete: its length is the announced one, its hash is known. What
was cut goes on where it stopped if the server can show that it is still the same file, and from the
beginning otherwise. A `.part` of an earlier call is never continued: nothing shows whether it is a
part of this file.

This module knows URLs and files, nothing of runs: an expired URL is its caller's to renew.
"""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes

import anyio
import anyio.to_thread
import httpx
from msgspec import Struct

from batchrun.base.first_bytes import is_page, sniffed
from batchrun.base.media_types import extension
from batchrun.base.output_store import Part, writable
from batchrun.errors import FolderError
from batchrun.runflow.headers import seconds_to_wait, sha256_of
from batchrun.runflow.one_send import FAILED
from batchrun.runflow.storage import BrokenTransferError, broken, keep_trying, may_be_opened

_HOPS: Final = 8
_LONGEST_PAUSE: Final = 30.0
_EXPIRED: Final = frozenset({400, 401, 403, 404, 410})  # 400 is how S3 says "ExpiredToken"
_ABSENT: Final = frozenset({404, 410})
_PASSING: Final = frozenset({408, 425, 429})
_MEDIA: Final = frozenset({"image", "video", "audio"})
_XML: Final = frozenset({"application/xml", "text/xml"})  # how S3 and its kin say what is wrong
_MESSAGES: Final = _XML | {"application/json", "application/problem+json", "text/json"}

_PACKINGS: Final = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})

STALLED: Final = 60.0
"""Seconds in which ENOUGH bytes must arrive: httpx's time-outs begin anew with each byte."""

ENOUGH: Final = 64 * 1024

MOST_BYTES: Final = 16 * 2**30
"""No output is larger; what goes on beyond that would go on until the disk is full."""

Blocking = Callable[[Callable[[], None]], Awaitable[None]]


class ExpiredError(Exception):
    """The URL is no longer, or not yet, good for the file: ask the run for a fresh one.

    *absent*: its host says that there is no such file.
    """

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        self.absent = absent


class DownloadError(Exception):
    """The file could not be had in spite of all tries; another call may have more luck."""


class Downloaded(Struct, frozen=True, kw_only=True):
    """A file that is in the store under its final *name*."""

    name: str
    bytes: int
    sha256: str
    content_type: str | None


async def threaded(work: Callable[[], None]) -> None:
    """Do slow disk work in a thread; in virtual time use `inline` instead."""
    await anyio.to_thread.run_sync(work)


async def inline(work: Callable[[], None]) -> None:
    """Do disk work on the spot: a thread would make a virtual clock jump."""
    work()


async def fetch(
    http: httpx.AsyncClient,
    url: str,
    part: Part,
    *,
    media: str | None = None,
    loopback: bool = False,
    tries: int = 5,
    blocking: Blocking = threaded,
    jitter: Callable[[], float] = lambda: 0.5,
) -> Downloaded:
    """Save the file behind *url* as *part*, whose name gets the extension of its content type.

    *media* is image, video or audio where that is known: a message is no such file. *loopback*
    lets http to this machine be opened, for an API that is on it: no other has any business there.

    Raises ExpiredError, DownloadError, and FolderError where the disk is what fails.
    """
    if "authorization" in http.headers:
        raise ValueError("downloads are not made with the client that holds the key")
    download = _Download(http, url, part.file, media=media, loopback=loopback)
    try:
        await keep_trying(
            download.attempt,
            tries=tries,
            first_pause=1.0,
            longest_pause=_LONGEST_PAUSE,
            jitter=jitter,
        )
    except BrokenTransferError as error:
        raise DownloadError(str(error)) from None
    names: list[str] = []
    await blocking(lambda: names.append(part.publish(download.extension())))
    return Downloaded(
        name=names[0],
        bytes=download.size,
        sha256=download.hash.hexdigest(),
        content_type=download.content_type,
    )


class _Download:
    """One file on its way to disk, over as many answers as it takes."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        file: BinaryIO,
        *,
        media: str | None,
        loopback: bool,
    ) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self.content_type: str | None = None
        self._http = http
        self._url = url
        self._file = file
        self._media = media
        self._loopback = loopback
        self._head = b""
        self._validator: str | None = None
        self._total: int | None = None

    def extension(self) -> str:
        path = "" if self._inlined() else httpx.URL(self._url).path
        return extension(self.content_type, self._head, path)

    async def attempt(self) -> None:
        """Fetch what is missing. Raises BrokenTransferError where trying again makes sense."""
        if self._inlined():
            self._decode()
            return
        headers = {"Accept-Encoding": "identity"}
        if self.size and self._validator:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self._validator}
        try:
            answer = _answer(self._http, self._url, headers, loopback=self._loopback)
            async with answer as response:
                self._begin(response)
                start = self.size
                await self._take(response)
                self._check(response, self.size - start)
                self._check_content(response)
        except FAILED as error:
            raise broken(error, _place(self._url)) from None
        except (
            ValueError,
            httpx.InvalidURL,
        ) as error:  # a host that none resolves
            raise DownloadError(f"an address that can't be opened: {error}"[:200]) from None

    def _begin(self, response: httpx.Response) -> None:
        """Judge the answer's head: what it begins, goes on with, or refuses."""
        if response.status_code == 206 and self._goes_on(response):
            return
        self._restart()
        if response.status_code != 200:
            _raise_for_status(response)
        if not _may_be_unpacked(response):
            raise DownloadError(f"a file packed in a way that isn't read from {_place(self._url)}")
        self.content_type = _media_type(response)
        self._total = None if _encoded(response) else _length(response)
        self._limit(self._total or 0)
        self._validator = None if _encoded(response) else _validator(response)

    def _goes_on(self, response: httpx.Response) -> bool:
        announced = response.headers.get("Content-Range", "")
        asked = self._validator or ""
        same = not asked.startswith('"') or response.headers.get("ETag", asked) == asked
        if self.size and same and announced.startswith(f"bytes {self.size}-"):
            return True
        self._restart()
        raise BrokenTransferError(f"another part than was asked for from {_place(self._url)}")

    async def _take(self, response: httpx.Response) -> None:
        """Write the body. Where the disk fails, close first and let the body run out: trio
        complains of generators that are dropped half way.
        """
        failure: FolderError | DownloadError | None = None
        news = 0
        try:
            with anyio.fail_after(STALLED) as patience:
                async for chunk in response.aiter_bytes():
                    news += len(chunk)
                    if news >= ENOUGH:
                        patience.deadline, news = anyio.current_time() + STALLED, 0
                    try:
                        self._limit(self.size + len(chunk))
                        self._write(chunk)
                    except (FolderError, DownloadError) as error:
                        failure = failure or error
                        await response.aclose()
        except FAILED:
            if failure is None:
                raise
        if failure is not None:
            raise failure

    def _write(self, chunk: bytes) -> None:
        with writable(Path(self._file.name)):
            self._file.write(chunk)
        self.hash.update(chunk)
        self.size += len(chunk)
        if len(self._head) < 64:
            self._head += chunk[:64]

    def _check(self, response: httpx.Response, received: int) -> None:
        announced = _length(response)
        if _encoded(response):  # what was packed for the way is another length than the file
            received = response.num_bytes_downloaded
        if announced not in {None, received}:
            raise BrokenTransferError(f"{received} of {announced} bytes from {_place(self._url)}")
        if response.status_code == 206 and self._total not in {None, self.size}:
            size = self.size
            self._restart()
            raise BrokenTransferError(f"{size} of {self._total} bytes from {_place(self._url)}")
        if not self.size:
            raise BrokenTransferError(f"an empty file from {_place(self._url)}")

    def _check_content(self, response: httpx.Response) -> None:
        """Raise BrokenTransferError for a file that is another than was announced."""
        announced = None if _encoded(response) else sha256_of(response.headers)
        if announced not in {None, self.hash.hexdigest()}:
            self._restart()
            raise BrokenTransferError(f"another content than announced from {_place(self._url)}")
        page = self.content_type == "text/html" or self._media in _MEDIA or self._is_media()
        if (
            page
            and sniffed(self._head) is None
            and (self.content_type == "text/html" or is_page(self._head))
        ):
            self._restart()
            raise BrokenTransferError(f"a web page in place of the file from {_place(self._url)}")
        message = self.content_type in _MESSAGES and sniffed(self._head) is None
        svg = self.content_type in _XML and self.extension() == ".svg"
        if self._media in _MEDIA and message and not svg:
            self._restart()
            raise BrokenTransferError(f"a message in place of the file from {_place(self._url)}")

    def _is_media(self) -> bool:
        return (self.content_type or "").partition("/")[0] in _MEDIA

    def _limit(self, size: int) -> None:
        if size > MOST_BYTES:
            raise DownloadError(f"more than {MOST_BYTES // 2**30} GiB from {_place(self._url)}")

    def _restart(self) -> None:
        with writable(Path(self._file.name)):
            if self._file.tell():
                self._file.seek(0)
                self._file.truncate()
        self.size, self._head, self._validator = 0, b"", None
        self.hash = hashlib.sha256()

    def _inlined(self) -> bool:
        return self._url[:5].lower() == "data:"

    def _decode(self) -> None:
        """Write what a data: URI holds."""
        head, comma, text = self._url[5:].partition(",")
        media_type, *parameters = head.split(";")
        try:
            data = unquote_to_bytes(text)
            if "base64" in (parameter.strip().lower() for parameter in parameters):
                data = base64.b64decode(b"".join(data.split()) + b"==")
        except (ValueError, binascii.Error):
            data = b""
        if not (comma and data):
            raise DownloadError("a data: URI that holds nothing readable")
        self.content_type = media_type.strip().lower() or None
        self._write(data)


@asynccontextmanager
async def _answer(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], *, loopback: bool
) -> AsyncIterator[httpx.Response]:
    """Open *url*, over redirects; each hop is checked, as no setting of the client's does it."""
    request = http.build_request("GET", _allowed(url, loopback=loopback), headers=headers)
    for _ in range(_HOPS):
        response = await http.send(request, stream=True, follow_redirects=False)
        try:
            onward = response.next_request
            if onward is None:
                yield response
                return
        finally:
            await response.aclose()
        _allowed(str(onward.url), loopback=loopback)
        request = onward
    raise DownloadError(f"too many redirects from {_place(url)}")


def _allowed(url: str, *, loopback: bool) -> str:
    """Return *url* if it is https, or with *loopback* http to this machine (the simulator's)."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise DownloadError("an output that is not a URL") from None
    if not may_be_opened(parsed, loopback=loopback):
        raise DownloadError(f"an output at {_place(url)}; only https is fetched")
    return url


def _raise_for_status(response: httpx.Response) -> None:
    status, place = response.status_code, _place(str(response.url))
    if status in _EXPIRED:
        raise ExpiredError(f"HTTP {status} from {place}", absent=status in _ABSENT)
    if status >= 500 or status in _PASSING or status == 416:
        asked = seconds_to_wait(response.headers, None)
        raise BrokenTransferError(f"HTTP {status} from {place}", pause=asked)
    raise DownloadError(f"HTTP {status} from {place}")


def _place(url: str) -> str:
    """Name where a file is without what its query holds: a signature is as good as a key."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "a malformed URL"
    return f"{parsed.scheme}://{parsed.netloc.decode()}{parsed.path}"[:200]


def _media_type(response: httpx.Response) -> str | None:
    announced: str = response.headers.get("Content-Type", "")
    return announced.partition(";")[0].strip().lower() or None


def _encoded(response: httpx.Response) -> bool:
    encoding: str = response.headers.get("Content-Encoding", "identity")
    return encoding.lower() != "identity"


def _may_be_unpacked(response: httpx.Response) -> bool:
    """Say whether the file can be had as it was, and no small part can become a very large one.

    Words such as `aws-chunked` say nothing of the file.
    """
    words = response.headers.get("Content-Encoding", "").lower().split(",")
    packings = [word for each in words if (word := each.strip()) in _PACKINGS]
    return len(packings) < 2 and set(packings) <= {"gzip", "deflate"}


def _length(response: httpx.Response) -> int | None:
    announced = response.headers.get("Content-Length", "")
    return int(announced) if announced.isascii() and announced.isdigit() else None


def _validator(response: httpx.Response) -> str | None:
    """Return what proves that a later part is of the same file; a weak ETag does not."""
    etag: str = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")
