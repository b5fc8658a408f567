"""Whole bodies of answers, never larger than a limit, however small they were packed.

A list of 3.5 MB was unpacked to 800 MB once. The limit holds for what comes over the wire, and for
what it is unpacked to. As values a body can be thirty times as large as it is: `[]` takes two bytes
in a text, and 56 in memory. So their number has a limit, too.
"""

import codecs
import re
import zlib
from typing import Any, Final

import httpx
import msgspec

from batchrun.base.text import size_of

MOST_BYTES: Final = 64 * 1024 * 1024
"""The most of an answer: some hundred times the longest page of runs without media."""

PACKINGS: Final = "gzip, deflate"
"""What may be unpacked: of these it is known that a small part can't become a very large one."""

MOST_VALUES: Final = 4_000_000
"""The most values of an answer in JSON: some ten times as many as the longest page of runs has."""

_MOST_PARTS: Final = 100  # of gzip: each costs a copy of what is left
_GZIP: Final = 16 + zlib.MAX_WBITS
_WINDOWS: Final = {
    "gzip": (_GZIP,),
    "x-gzip": (_GZIP,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
_PLAIN: Final = frozenset({"", "identity"})


class TooLargeError(httpx.ReadError):
    """An answer of more than the limit; *size* is what is known of it, *http_status* its status.

    *headers* are its own. *said* is its size in words.
    """

    def __init__(
        self, size: int, http_status: int, *, headers: Any = (), said: str | None = None
    ) -> None:
        self.said = said or f"{size_of(size)} or more"
        super().__init__(f"an answer of {self.said}")
        self.size = size
        self.http_status = http_status
        self.headers = httpx.Headers(headers)


def check_values(body: bytes, http_status: int, most: int = MOST_VALUES) -> None:
    """Raise TooLargeError where *body*, which is JSON, may have more than *most* values.

    Each value but the first of a list or an object has a comma before it. Commas and brackets
    within texts count, too: few texts have so many.
    """
    if len(body) > most and sum(map(body.count, (b",", b"[", b"{"))) > most:
        said = f"{size_of(len(body))} with more than {most:,} values"
        raise TooLargeError(len(body), http_status, said=said)


async def read_body(response: httpx.Response, most: int) -> bytes:
    """Return the body of an answer to a request that was sent with `stream=True`, unpacked.

    Raises TooLargeError, DecodingError, and what reading raises. It is closed at the end.
    """
    if response.is_stream_consumed:  # it was made whole, by a transport that has no wire
        return within(response.content, most, response.status_code)
    body, size = bytearray(), 0
    try:
        async for part in response.aiter_raw():
            size += len(part)
            if size <= most:
                body += part
            else:  # and let it run out: trio complains of generators that are dropped half way
                await response.aclose()
    except (httpx.StreamError, httpx.HTTPError):
        if size <= most:
            raise
    finally:
        await response.aclose()
    if size > most:
        announced = response.headers.get("Content-Length", "")
        size = max(size, int(announced) if re.fullmatch(r"\d{1,18}", announced) else 0)
        raise TooLargeError(size, response.status_code, headers=response.headers)
    packing = response.headers.get("Content-Encoding", "")
    return unpacked(bytes(body), packing, most, response.status_code)


def within(body: bytes, most: int, http_status: int) -> bytes:
    """Return *body* if it is no larger than *most* bytes."""
    if len(body) > most:
        raise TooLargeError(len(body), http_status)
    return body


def unpacked(body: bytes, packing: str, most: int, http_status: int) -> bytes:
    """Return what was packed as *body*, up to *most* bytes; TooLargeError, DecodingError.

    `identity` is no packing, however often it is said. A word that isn't known, such as `utf-8`,
    is none either, where the body is JSON as it is.
    """
    words = [word for word in map(str.strip, packing.lower().split(",")) if word not in _PLAIN]
    if not (words and body):
        return body
    for window in _WINDOWS.get(", ".join(words), ()):
        try:
            return _inflated(body, window, most, http_status)
        except zlib.error:
            continue
    if not (_WINDOWS.keys() & words) and _is_json(body):
        return body
    raise httpx.DecodingError(f"an answer that can't be unpacked ({packing[:40]})")


def _is_json(body: bytes) -> bool:
    """Say whether *body* is JSON; no value of it is made: there may be very many."""
    try:
        msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8), type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _inflated(body: bytes, window: int, most: int, http_status: int) -> bytes:
    found = bytearray()
    for _ in range(_MOST_PARTS):  # gzip may have several
        unpacking = zlib.decompressobj(window)
        found += unpacking.decompress(body, most + 1 - len(found))
        if len(found) > most:
            raise TooLargeError(len(found), http_status)
        if not unpacking.eof:
            raise zlib.error("it ends early")
        body = unpacking.unused_data if window == _GZIP else b""
        if not body:
            return bytes(found)
    raise httpx.DecodingError(f"an answer packed in more than {_MOST_PARTS} parts")
