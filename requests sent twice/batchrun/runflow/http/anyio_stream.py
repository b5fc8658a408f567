"""A connection's bytes under trio, and anything else that anyio knows.

It does what `asyncio_stream.py` does, and takes longer for it. Nothing here knows HTTP.
"""

import select
import ssl

import anyio
import anyio.abc
import httpx

_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError)


async def connect(
    host: str, port: int, tls: ssl.SSLContext | None, seconds: float | None
) -> "AnyioStream":
    """Return a connection, its TLS made, within *seconds*; OSError where there can't be one."""
    try:
        with anyio.fail_after(seconds):
            if tls is None:
                return AnyioStream(await anyio.connect_tcp(host, port))
            return AnyioStream(
                await anyio.connect_tcp(host, port, ssl_context=tls, tls_standard_compatible=False)
            )
    except (anyio.EndOfStream, *_BROKEN) as error:
        raise ConnectionError("the connection broke while TLS was made") from error


class AnyioStream:
    """One connection, with one task at a time that reads or writes."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        self._poll = select.poll()
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610  (Django's is another)
        self._poll.register(raw.fileno(), select.POLLIN)

    async def read(self, most: int, seconds: float | None) -> bytes:
        """Return what has come, b"" once the peer has closed. ReadError, ReadTimeout."""
        try:
            with anyio.fail_after(seconds):
                return await self._stream.receive(most)
        except anyio.EndOfStream:
            return b""
        except TimeoutError:
            raise httpx.ReadTimeout("nothing came") from None
        except _BROKEN as error:
            raise httpx.ReadError(str(error.__cause__ or error)) from error

    async def write(self, data: bytes, seconds: float | None) -> None:
        """Return when all of *data* is with the system. WriteError, WriteTimeout."""
        try:
            with anyio.fail_after(seconds):
                await self._stream.send(data)
        except TimeoutError:
            raise httpx.WriteTimeout("the peer takes nothing") from None
        except _BROKEN as error:
            raise httpx.WriteError(str(error.__cause__ or error)) from error

    def readable(self) -> bool:
        """Say whether there is anything to read, or the end."""
        return bool(self._poll.poll(0))

    async def aclose(self) -> None:
        await self._stream.aclose()
