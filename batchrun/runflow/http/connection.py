"""One connection that carries one request after another; HTTP/1.1 itself is h11's.

A request goes out as a whole, an answer is whole or it is an error of httpx's. None of the errors
here means "not written": that is decided before there is a connection (`transport.py`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import h11
import httpx

from batchrun.runflow.http.body import MOST_BYTES, TooLargeError

_CHUNK: Final = 64 * 1024
_LONGEST_HEAD: Final = 100 * 1024


class Stream(Protocol):
    """The bytes of a connection; errors and time-outs are httpx's of reading and writing."""

    async def read(self, most: int, seconds: float | None) -> bytes: ...

    async def write(self, data: bytes, seconds: float | None) -> None: ...

    def readable(self) -> bool: ...

    async def aclose(self) -> None: ...


class Connection:
    """A *stream* to a server, kept for *expiry* seconds between two requests."""

    def __init__(self, stream: Stream, *, expiry: float) -> None:
        self._stream = stream
        self._expiry = expiry
        self._free_since = 0.0
        self._broken = False
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        """Send *request*, and return its answer. After an error the connection is to be closed."""
        timeouts = request.extensions.get("timeout", {})
        with _translated():
            await self.send(request, timeouts.get("write"))
            head = await self.head(timeouts.get("read"))
            body = await self.body(head, timeouts.get("read"))
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=httpx.ByteStream(body),
            extensions={
                "http_version": b"HTTP/" + head.http_version,
                "reason_phrase": head.reason,
            },
        )

    def free(self) -> bool:
        """Make ready for another request; False where there can't be one."""
        done = self._http.our_state is self._http.their_state is h11.DONE
        # More than the answer announced would be read as the answer to another request.
        if self._broken or not done or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        self._free_since = time.monotonic()
        return True

    def late(self) -> bool:
        """Say whether a free connection waited too long."""
        return time.monotonic() > self._free_since + self._expiry

    def expired(self) -> bool:
        """Say whether a free connection waited too long, or has been closed by the server."""
        return self.late() or self._stream.readable()

    def distrust(self) -> None:
        """Have it closed before another request is sent on it: its answers are out of step."""
        self._expiry = float("-inf")

    async def aclose(self) -> None:
        await self._stream.aclose()

    # The three steps of an exchange.

    async def send(self, request: httpx.Request, seconds: float | None) -> None:
        """Write *request*, or as much of it as the server takes before it answers and closes."""
        data = self._http.send(
            h11.Request(
                method=request.method, target=request.url.raw_path, headers=request.headers.raw
            )
        )
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for part in request.stream:
            data += self._http.send(h11.Data(data=part))
        data += self._http.send(h11.EndOfMessage())
        try:
            await self._stream.write(data, seconds)
        except httpx.WriteError:
            self._broken = True  # and the answer, which says why, may be there

    async def head(self, seconds: float | None) -> h11.Response:
        """Return the head of the answer; `100 Continue` and its like are none."""
        while not isinstance(event := await self._next(seconds), h11.Response):
            pass
        return event

    async def body(self, head: h11.Response, seconds: float | None) -> bytes:
        """Return the body of the answer; TooLargeError where it is larger than any should be."""
        announced = dict(head.headers).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > MOST_BYTES:
            raise TooLargeError(int(announced), head.status_code, headers=head.headers.raw_items())
        body = bytearray()
        while isinstance(event := await self._next(seconds), h11.Data):
            body += event.data
            if len(body) > MOST_BYTES:
                raise TooLargeError(len(body), head.status_code, headers=head.headers.raw_items())
        return bytes(body)

    async def _next(self, seconds: float | None) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._stream.read(_CHUNK, seconds)
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise httpx.RemoteProtocolError(
                    "the server closed the connection without an answer"
                )
            self._http.receive_data(data)
        return event


@contextmanager
def _translated() -> Iterator[None]:
    """Raise as httpx's what h11 finds wrong."""
    try:
        yield
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error)) from error
