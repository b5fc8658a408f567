"""A sweep whose service calls back, in virtual time: the simulator's callbacks, our application.

What is between them is the test's: callbacks may be lost, late, twice, or of someone else.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import anyio.lowlevel
import httpx
from engine_world import Begun, World

from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.receiver.app import App
from batchrun.runflow.callbacks import SIGNATURE, Ended, signature
from batchrun.settings import Settings
from batchrun.simulator.caller import Caller

SECRET: Final = "whsec_0123456789abcdef"
URL: Final = "https://me.example/batchrun"

PART: Final = 65_536

Way = Callable[["Door", httpx.Request], Awaitable[httpx.Response]]
"""What becomes of a callback: it may knock at the door, or not."""


async def straight(door: "Door", request: httpx.Request) -> httpx.Response:
    """Let each callback arrive once, as it was sent."""
    return await door.knock(request)


async def lost(_door: "Door", request: httpx.Request) -> httpx.Response:
    """Let none arrive: nothing is there to connect to."""
    raise httpx.ConnectError("nothing listens", request=request)


class Streamed:
    """A connection by which a body comes part by part, as a server hands it on.

    *between* parts so many seconds pass; at the end the sender *leaves* or stays.
    """

    def __init__(
        self, app: App, parts: Iterable[bytes], *, between: float = 0.0, leaves: bool = False
    ) -> None:
        self.taken = 0
        self._app, self._parts, self._between, self._leaves = app, iter(parts), between, leaves
        self._status = 0

    async def answer(self, headers: Mapping[str, str], method: str = "POST") -> int:
        """Return the status of the answer."""
        named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": "/", "headers": named}
        await self._app(scope, self._receive, self._send)
        return self._status

    async def _receive(self) -> dict[str, Any]:
        await anyio.sleep(self._between)
        part = next(self._parts, None)
        if part is not None:
            self.taken += 1
            return {"type": "http.request", "body": part, "more_body": True}
        if self._leaves:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]


class Door(httpx.AsyncBaseTransport):
    """The way of callbacks to the application, without a socket; *came* is when each arrived."""

    def __init__(self, app: App, way: Way = straight) -> None:
        self.came: list[tuple[float, bytes]] = []
        self.answers: list[int] = []
        self.lost: list[str] = []  # what a way has chosen to lose
        self._way = way
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._way(self, request)

    async def knock(self, request: httpx.Request) -> httpx.Response:
        """Have a request arrive."""
        body = await request.aread()
        self.came.append((anyio.current_time(), body))
        parts = (body[at : at + PART] for at in range(0, len(body), PART))
        self.answers.append(await Streamed(self._app, parts).answer(request.headers))
        return httpx.Response(self.answers[-1])

    async def post(self, body: bytes, secret: str | None = SECRET) -> int:
        """Have *body* arrive, signed with *secret*; return the status of the answer."""
        headers = {} if secret is None else {SIGNATURE: signature(body, secret)}
        answer = await self.knock(httpx.Request("POST", URL, content=body, headers=headers))
        return answer.status_code


@dataclass
class Hearing(World):
    """A world whose processes take callbacks; *heard* is what was handed on, and when.

    *doors* are those of each process, *door* is that of the one that lives.
    """

    way: Way = straight
    heard: list[tuple[float, Ended]] = field(default_factory=list)
    doors: list[Door] = field(default_factory=list)
    door: Door | None = None

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        def hear(ended: Ended) -> None:
            self.heard.append((anyio.current_time(), ended))
            self.hear(runner, ended)

        self.door = Door(App([SECRET], hear), self.way)
        self.doors.append(self.door)
        try:
            return await super().run(runner, settings)
        finally:
            self.door = None

    def hear(self, runner: Runner, ended: Ended) -> None:
        """Hand on what has ended; to be overridden by what happens to a process then."""
        runner.hear(ended)

    def caller(self) -> Caller:
        """Return what sends the service's callbacks: to whichever process lives."""
        return Caller(self.service.world, base_url="https://fake", transport=Street(self))


class Street(httpx.AsyncBaseTransport):
    """The way to the door that is there, if one is."""

    def __init__(self, world: Hearing) -> None:
        self._world = world

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._world.door is None:
            raise httpx.ConnectError("no process lives", request=request)
        return await self._world.door.handle_async_request(request)


@dataclass
class CallingBack(Hearing, Begun):
    """A sweep that is under way, whose service calls back as long as a process lives."""

    meanwhile: Callable[[Door, Runner], Coroutine[Any, Any, None]] | None = None

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.caller().run, name="callbacks")
            tasks.start_soon(self._meanwhile, runner, name="meanwhile")
            stops = await super().run(runner, settings)
            tasks.cancel_scope.cancel()
        return stops

    async def _meanwhile(self, runner: Runner) -> None:
        while self.door is None:
            await anyio.lowlevel.checkpoint()
        if self.meanwhile is not None:
            await self.meanwhile(self.door, runner)
