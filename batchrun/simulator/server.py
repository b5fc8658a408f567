"""Serves a world on a socket: in a thread of this process, or in the foreground."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn

from batchrun.simulator.app import create_app
from batchrun.simulator.caller import Caller
from batchrun.simulator.settings import Settings
from batchrun.simulator.world import World

PATIENCE: Final = 60.0


class Server(uvicorn.Server):
    """A uvicorn server that says when it accepts connections, and calls back beside them."""

    def __init__(
        self, world: World, url: str, ready: Callable[[], None], *, log_level: str | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
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
        )
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
def embedded(state: Path | None, *, settings: Settings | None = None) -> Iterator[str]:
    """Serve on a free loopback port from a thread of this process; yield the URL."""
    world = World(state, settings=settings)
    ready = threading.Event()
    with _listening("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # The embedding process breaks off open answers when it leaves, and that is no news.
        server = Server(world, url, ready.set, log_level="critical")
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
    say: Callable[[str], None] = print,
) -> None:
    """Serve until a signal ends it; *say* gets the URL once connections are accepted."""
    world = World(state, settings=settings)
    with _listening(host, port) as listener:
        url = f"http://{host}:{listener.getsockname()[1]}"
        server = Server(world, url, lambda: say(url))
        try:
            server.run([listener])
        finally:
            world.store.close()


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener
