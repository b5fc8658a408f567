"""A connection's bytes under asyncio, as httpcore wants them: the event loop's own TCP and TLS.

httpcore's way through anyio's streams does the same in a fifth more time per request; under trio
that way is the one taken. Nothing here knows HTTP.
"""

import asyncio
import select
import ssl
from typing import Any, Final, cast

import httpcore

_ENOUGH: Final = 256 * 1024  # bytes that may wait to be read before the peer has to wait


async def connect(
    host: str, port: int, tls: ssl.SSLContext | None, seconds: float | None
) -> "Stream":
    """Return a connection, its TLS made, within *seconds*; OSError where there can't be one."""
    async with asyncio.timeout(seconds):
        _, stream = await asyncio.get_running_loop().create_connection(
            Stream,
            host,
            port,
            ssl=tls,
            happy_eyeballs_delay=0.25,  # of RFC 8305: a host whose IPv6 leads nowhere is reached
        )
    return stream


class Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection, with one task at a time that reads or writes."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._paused = False
        self._waiting: asyncio.Future[None] | None = None

    # What a connection does for httpcore.

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
    ) -> bytes:
        """Return what has come, b"" once the peer has closed. ReadError, ReadTimeout."""
        while not self._received:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error))
            if self._ended:
                return b""
            await self._wait(httpcore.ReadTimeout, timeout)
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        self._transport.resume_reading()
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
    ) -> None:
        """Hand *buffer* to the system, or to the loop where that is full. WriteError and so on."""
        self._writable()
        self._transport.write(buffer)
        while self._paused:
            await self._wait(httpcore.WriteTimeout, timeout)
            self._writable()

    async def aclose(self) -> None:
        """Close at once; what is not yet sent is dropped."""
        self._error = self._error or ConnectionAbortedError("closed on this side")
        self._transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next round

    def get_extra_info(self, info: str) -> Any:
        """Say, of all that may be asked, whether there is anything to read, or the end."""
        if info == "is_readable":
            return bool(self._received) or self._ended or self._arrived()
        return None

    # What the loop tells a connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _ENOUGH:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = self._error or exc
        self._paused = False
        self._wake()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    # How the two meet.

    async def _wait(self, late: type[httpcore.TimeoutException], seconds: float | None) -> None:
        """Return when the loop has told something; raise *late* if it hasn't within *seconds*."""
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiting
        except TimeoutError:
            raise late from None
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _writable(self) -> None:
        if self._ended or self._transport.is_closing():
            raise httpcore.WriteError(str(self._error or "the peer has closed"))

    def _arrived(self) -> bool:
        """Ask the system for what the loop has not yet had time to tell."""
        return self._transport.is_closing() or bool(self._poll.poll(0))
