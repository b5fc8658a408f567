"""A connection's bytes under asyncio: the event loop's own TCP and TLS, without a layer between.

The way through anyio's streams does the same in a fifth more time per request; under trio that one
is taken (`anyio_stream.py`). Nothing here knows HTTP.
"""

import asyncio
import select
import ssl
from typing import Final, cast

import httpx

_ENOUGH: Final = 256 * 1024  # bytes that may wait to be read before the peer has to wait


async def connect(
    host: str, port: int, tls: ssl.SSLContext | None, seconds: float | None
) -> "LoopStream":
    """Return a connection, its TLS made, within *seconds*; OSError where there can't be one."""
    async with asyncio.timeout(seconds):
        _, stream = await asyncio.get_running_loop().create_connection(
            LoopStream,
            host,
            port,
            ssl=tls,
            happy_eyeballs_delay=0.25,  # of RFC 8305: a host whose IPv6 leads nowhere is reached
        )
    return stream


class LoopStream(asyncio.Protocol):
    """One connection, with one task at a time that reads or writes."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._paused = False
        self._waiting: asyncio.Future[None] | None = None

    async def read(self, most: int, seconds: float | None) -> bytes:
        """Return what has come, b"" once the peer has closed. ReadError, ReadTimeout."""
        while not self._received:
            if self._error is not None:
                raise httpx.ReadError(str(self._error))
            if self._ended:
                return b""
            await self._wait(httpx.ReadTimeout("nothing came"), seconds)
        data = bytes(self._received[:most])
        del self._received[:most]
        self._transport.resume_reading()
        return data

    async def write(self, data: bytes, seconds: float | None) -> None:
        """Return when next to all of *data* is with the system. WriteError, WriteTimeout."""
        self._check_writable()
        self._transport.write(data)
        while self._paused:
            await self._wait(httpx.WriteTimeout("the peer takes nothing"), seconds)
            self._check_writable()

    def readable(self) -> bool:
        """Say whether there is anything to read, or the end."""
        if self._received or self._ended or self._transport.is_closing():
            return True
        return bool(self._poll.poll(0))  # the loop may not have had the time to report it

    async def aclose(self) -> None:
        """Close at once; what is not yet sent is dropped."""
        self._error = self._error or ConnectionAbortedError("closed on this side")
        self._transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next round

    # The loop's reports to a connection.

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

    async def _wait(self, late: httpx.TimeoutException, seconds: float | None) -> None:
        """Return when the loop has reported something; raise *late* if not within *seconds*."""
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

    def _check_writable(self) -> None:
        if self._ended or self._transport.is_closing():
            raise httpx.WriteError(str(self._error or "the peer has closed"))
