"""Serves a world on a socket: in a thread of this process, or in the foreground."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from batchrun.simulator.app import create_app
from batchrun.simulator.caller import Caller
from batchrun.simulator.settings import Settings
from batchrun.simulator.world import World

if TYPE_CHECKING:
    from batchrun.simulator.certificates import Tls  # its package is needed for https alone

PATIENCE: Final = 60.0


class Server(uvicorn.Server):
    """A uvicorn server that says when it accepts connections, and calls back beside them."""

    def __init__(
        self,
        world: World,
        url: str,
        ready: Callable[[], None],
        *,
        tls: "Tls | None" = None,
        log_level: str | None = None,
    ) -> None:
        config = uvicorn.Config(
            create_app(world),
            lifespan="off",
            ws="none",
            loop="asyncio",
            log_config=None,
            log_level=log_level,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        if tls is not None:
            config.load()
            config.ssl = tls.context  # uvicorn's own options want the private key in a file
        super().__init__(config)
        self._ready = ready
        self._caller = Caller(world, base_url=url)
        self._calling: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._calling = asyncio.create_task(self._caller.run(), name="callbacks")
        self._calling.add_done_callback(self._end)
        self._ready()

    def _end(self, _calling: object) -> None:
        """Serve no longer: callbacks ended by a bug, which `shutdown` raises."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            if self._calling is not None:
                self._calling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._calling
        finally:
            await super().shutdown(sockets)


@contextlib.contextmanager
def embedded(
    state: Path | None, *, settings: Settings | None = None, tls: "Tls | None" = None
) -> Iterator[str]:
    """Serve on a free loopback port from a thread of this process; yield the URL."""
    world = World(state, settings=settings)
    ready = threading.Event()
    with _listening("127.0.0.1", 0) as listener:
        url = _url("127.0.0.1", listener, tls)
        # The embedding process breaks off open answers when it leaves, and that is no news.
        server = Server(world, url, ready.set, tls=tls, log_level="critical")
        thread = threading.Thread(
            target=server.run, args=([listener],), name="simulator", daemon=True
        )
        thread.start()
        if not ready.wait(PATIENCE):
            raise RuntimeError("the simulator did not start")
        try:
            yield url
        finally:
            server.should_exit = server.force_exit = True
            thread.join(PATIENCE)
            world.store.close()


def serve(
    state: Path | None,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    settings: Settings | None = None,
    tls: "Tls | None" = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until a signal ends it; *say* gets the URL once connections are accepted."""
    world = World(state, settings=settings)
    with _listening(host, port) as listener:
        url = _url(host, listener, tls)
        server = Server(world, url, lambda: say(url), tls=tls)
        try:
            server.run([listener])
        finally:
            world.store.close()


def _url(host: str, listener: socket.socket, tls: "Tls | None") -> str:
    return f"{'http' if tls is None else 'https'}://{host}:{listener.getsockname()[1]}"


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener
