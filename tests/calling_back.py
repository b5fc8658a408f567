"""A sweep whose service calls back, in virtual time: the simulator's callbacks, our application.

What is between them is the test's: callbacks may be lost, late, twice, or of someone else.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import httpx
from engine_world import World

from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.receiver.app import App
from batchrun.runflow.callbacks import SIGNATURE, Ended, signature
from batchrun.settings import Settings
from batchrun.simulator.caller import Caller

SECRET: Final = "whsec_0123456789abcdef"
URL: Final = "https://me.example/batchrun"

Way = Callable[["Door", httpx.Request], Awaitable[httpx.Response]]
"""What becomes of a callback: it may knock at the door, or not."""


async def straight(door: "Door", request: httpx.Request) -> httpx.Response:
    """Let each callback arrive once, as it was sent."""
    return await door.knock(request)


async def lost(_door: "Door", request: httpx.Request) -> httpx.Response:
    """Let none arrive: nothing is there to connect to."""
    raise httpx.ConnectError("nothing listens", request=request)


class Door(httpx.AsyncBaseTransport):
    """The way of callbacks to the application, without a socket; *came* is when each arrived."""

    def __init__(self, app: App, way: Way = straight) -> None:
        self.came: list[tuple[float, bytes]] = []
        self.answers: list[int] = []
        self._way = way
        self._app = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._way(self, request)

    async def knock(self, request: httpx.Request) -> httpx.Response:
        """Have a request arrive."""
        self.came.append((anyio.current_time(), await request.aread()))
        answer = await self._app.handle_async_request(request)
        self.answers.append(answer.status_code)
        return answer

    async def post(self, body: bytes, secret: str | None = SECRET) -> int:
        """Have *body* arrive, signed with *secret*; return the status of the answer."""
        headers = {} if secret is None else {SIGNATURE: signature(body, secret)}
        answer = await self.knock(httpx.Request("POST", URL, content=body, headers=headers))
        return answer.status_code


@dataclass
class CallingBack(World):
    """A world that calls back by *way* while its process lives.

    *heard* has what was handed on, and when. *doors* are those of each call.
    """

    way: Way = straight
    heard: list[tuple[float, Ended]] = field(default_factory=list)
    doors: list[Door] = field(default_factory=list)
    meanwhile: Callable[[Door, Runner], Coroutine[Any, Any, None]] | None = None

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        def hear(ended: Ended) -> None:
            self.heard.append((anyio.current_time(), ended))
            runner.hear(ended)

        door = Door(App([SECRET], hear), self.way)
        self.doors.append(door)
        caller = Caller(self.service.world, base_url="https://fake", transport=door)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.run, name="callbacks")
            if self.meanwhile is not None:
                tasks.start_soon(self.meanwhile, door, runner, name="meanwhile")
            stops = await super().run(runner, settings)
            tasks.cancel_scope.cancel()
        return stops
