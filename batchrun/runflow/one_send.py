"""One send of a request, and the whole of its answer."""

from collections.abc import Mapping
from typing import Any, Final

import anyio
import httpx
from msgspec import Struct

from batchrun.runflow.http.body import MOST_BYTES, TooLargeError, check_values, read_body

# Raised before a byte of the request is written. A WriteError is not among them: httpcore swallows
# it to read an early answer, and what was written before it may have been enough.
NEVER_WRITTEN: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
# An error that httpx does not translate comes as OSError: TLS that breaks while an answer is read.
FAILED: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, TimeoutError)

# Longer than any one of httpx's time-outs: they begin anew with each byte that trickles in.
CALL_TIMEOUT: Final = 120.0


class Received(Struct, frozen=True, kw_only=True):
    """An answer as it came, its body unpacked; *unread* is the size of one that was left, in words.

    Only a refusal is left: its status says enough.
    """

    status_code: int
    headers: httpx.Headers
    content: bytes
    extensions: Mapping[str, Any]
    unread: str = ""

    @property
    def aside(self) -> str:
        return f", with {self.unread} that were not read" if self.unread else ""


async def sent(http: httpx.AsyncClient, request: httpx.Request) -> Received:
    """Send *request* with *http* and return its whole answer.

    Raises one of FAILED where there is none, and TooLargeError where a good one is too large.
    """
    try:
        with anyio.move_on_after(CALL_TIMEOUT):
            answer = await http.send(request, stream=True, follow_redirects=False)
            content = await read_body(answer, MOST_BYTES)
            check_values(content, answer.status_code)
            return Received(
                status_code=answer.status_code,
                headers=answer.headers,
                content=content,
                extensions=answer.extensions,
            )
    except TooLargeError as error:
        if 200 <= error.http_status < 300:
            raise
        return Received(
            status_code=error.http_status,
            headers=error.headers,
            content=b"",
            extensions={},
            unread=error.said,
        )
    raise TimeoutError(f"no whole answer in {CALL_TIMEOUT:g} s")
