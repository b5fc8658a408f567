"""Carries the API's requests: one origin's connections, the one last used first.

httpx's own pool looks at all its requests and connections at each event, which fills a core at 200
runs a second. Here a free connection is taken from the end of a list, and there is nothing else to
manage: calls never queue for a connection, since the limiter has let them go already. HTTP/1.1
itself is h11's, as in httpx's own transport (`connection.py`). The meaning of an error:

* Until a connection is made, TLS and all, an error is a ConnectError or a ConnectTimeout: not a
  byte of the request was written, and it may be sent again.
* From then on it never is one of those, whatever it was: the request is in doubt. Nothing here
  sends a request twice, follows a redirect or keeps a cookie.

CPU of a request as `python -m benchmarks.transports` shows it, httpx's client layer included, with
64 in flight: an eighth of httpx's own transport; an eighth less than aiohttp under the same API,
which would also take as long to import as all else that a call needs, knows no trio, and sends some
requests twice by itself unless it is kept from it. Half of what is left is httpx's client layer.
With 200 or 1,000 in flight a request takes a fifth more than with 16.
"""

import ssl
from collections import deque

import anyio
import httpx
import sniffio

from batchrun.runflow.http import anyio_stream, asyncio_stream
from batchrun.runflow.http.certificates import untrusted
from batchrun.runflow.http.connection import Connection


class ApiTransport(httpx.AsyncBaseTransport):
    """Sends requests to the origin of *url*, and returns answers that are whole.

    *tls* is what https is checked by. Up to *keep* connections stay open for *expiry* seconds.
    """

    def __init__(
        self, url: httpx.URL, *, tls: ssl.SSLContext | None, keep: int, expiry: float
    ) -> None:
        self._origin = _origin(url)
        self._tls = tls
        if tls is not None:
            tls.set_alpn_protocols(["http/1.1"])
        self._keep = keep
        self._expiry = expiry
        self._free: deque[Connection] = deque()

    def __repr__(self) -> str:
        return f"<ApiTransport {self._origin[1]}: {len(self._free)} free connections>"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* once; an answer is returned when all of it is here."""
        if _origin(request.url) != self._origin:
            raise httpx.UnsupportedProtocol(f"this is not the way to {request.url.host}")
        connection = await self._take() or await self._open(request)
        try:
            answer = await connection.exchange(request)
        except BaseException:
            await _close(connection)
            raise
        await self._give_back(connection)
        answer.extensions["distrust"] = connection.distrust
        return answer

    async def aclose(self) -> None:
        """Close the free connections; the others close with their requests."""
        self._keep = 0
        while self._free:
            await _close(self._free.pop())

    async def _take(self) -> Connection | None:
        """Return the connection last used, if the server seems to be there still."""
        while self._free:
            connection = self._free.pop()
            if not connection.expired():
                return connection
            await _close(connection)
        return None

    async def _give_back(self, connection: Connection) -> None:
        """Keep *connection* if it can be used again, and drop connections that waited too long."""
        if len(self._free) < self._keep and connection.free():
            self._free.append(connection)
        else:
            await _close(connection)
        while self._free and self._free[0].late():
            await _close(self._free.popleft())

    async def _open(self, request: httpx.Request) -> Connection:
        """Return a new connection. ConnectError or ConnectTimeout where there can't be one."""
        scheme, host, port = self._origin
        port = port or (443 if scheme == "https" else 80)
        seconds = request.extensions.get("timeout", {}).get("connect")
        plain = sniffio.current_async_library() == "asyncio"
        connect = asyncio_stream.connect if plain else anyio_stream.connect
        try:
            stream = await connect(host, port, self._tls, seconds)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {host}") from error
        except OSError as error:
            raise untrusted(error, host) or httpx.ConnectError(str(error)) from error
        return Connection(stream, expiry=self._expiry)


async def _close(connection: Connection) -> None:
    """Close *connection*; a cancellation meanwhile loses no answer that is here already."""
    with anyio.CancelScope(shield=True):
        await connection.aclose()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.raw_host.decode("ascii"), url.port
