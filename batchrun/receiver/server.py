"""Serves the application that takes callbacks, on an address that is bound before.

It lives in the task group of the call. It catches no signals, writes no log, and leaves with it.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from typing import Final

import anyio
import sniffio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from batchrun.base.callback_address import Listen
from batchrun.errors import UsageError
from batchrun.receiver.app import App, Hear

LONGEST: Final = 10.0
"""Seconds that a connection may last, from its first byte to its last."""

MOST: Final = 64
"""Connections at once; more get a 503, and the service tries again."""

SPARE: Final = 32
"""Connections for that 503; what comes beyond them is closed unheard. An open connection is an open
file, and without those that are left the call itself could neither ask nor write."""


class Receiver:
    """An address of this machine that accepts connections; *said* is it, as messages have it."""

    def __init__(self, listener: socket.socket, secrets: Sequence[str]) -> None:
        host, port, *_ = listener.getsockname()
        self.said = str(Listen(host, port))
        self._listener = listener
        self._secrets = secrets
        self._app: App | None = None

    def __repr__(self) -> str:
        return f"<Receiver on {self.said}: {self.received} received>"

    @property
    def received(self) -> int:
        """How many signed callbacks came."""
        return 0 if self._app is None else self._app.received

    @property
    def refused(self) -> int:
        """How many came that were not signed by our secret."""
        return 0 if self._app is None else self._app.refused

    @contextlib.asynccontextmanager
    async def serving(self, hear: Hear) -> AsyncIterator[None]:
        """Answer callbacks as long as that lasts; *hear* gets what has ended."""
        if sniffio.current_async_library() != "asyncio":
            raise UsageError(
                "callbacks are received on asyncio only; call without `callbacks` on trio"
            )
        self._app = App(self._secrets, hear)
        server = _Server(self._app)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [self._listener], name="callbacks")
            await server.ready.wait()
            yield
            tasks.cancel_scope.cancel()


@contextlib.contextmanager
def receiver_on(listen: Listen, secrets: Sequence[str]) -> Iterator[Receiver]:
    """Yield a receiver whose address is bound; UsageError where it can't be."""
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(_bound(listen))
        except OSError as error:
            raise UsageError(
                f"callbacks can't be received on {listen}: {error.strerror or error}; set "
                "`callbacks.listen` to an address of this machine that is free, and lead the proxy "
                "or the tunnel there; nothing was sent"
            ) from None
        yield Receiver(listener, secrets)


def _bound(listen: Listen) -> socket.socket:
    kind = socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=kind, flags=socket.AI_PASSIVE)
    except UnicodeError:  # two dots in a row, or a part of more than 63 characters
        raise OSError("no host can have that name") from None
    family, *_, address = found[0]
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # from here on connections come about, and another process has no part
    except OSError:
        listener.close()
        raise
    return listener


class _Connection(H11Protocol):
    """A connection that ends after a while, however slowly its other end sends or reads."""

    _end: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._end = self.loop.call_later(LONGEST, transport.abort)
        if len(self.connections) > MOST + SPARE:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()  # else a flood of short ones would be held in memory
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """A server that says when it accepts connections, and leaves the signals to the call."""

    def __init__(self, app: App) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST,
                backlog=SPARE,  # so many are accepted at a stroke
            )
        )
        self.ready = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        finally:  # cancelled: what is under way is broken off, and the service tries again
            for server in getattr(self, "servers", ()):
                server.close()
            for connection in list(self.server_state.connections):
                connection.transport.abort()
