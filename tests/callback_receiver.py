"""Callbacks in virtual time: a world that sends them, and a receiver that remembers them.

The receiver is an httpx transport.
"""

import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
from simulated import BEGINNING

from batchrun.simulator.caller import Caller
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.settings import Settings
from batchrun.simulator.transport import SimulatedTransport, loop_clock
from batchrun.simulator.world import World

BASE: Final = "https://simulated.example"
PATH: Final = "/v1/models/google/nano-banana-2/runs"
BATCHES: Final = "/v1/models/runflow/background-removal/batches"
URL: Final = "https://me.example/hook"
SECRET: Final = "whsec_first"
NOW: Final = {"simulate": {"seconds": 0}}
"""The metadata of a run that ends at once."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A callback as it came, *at* so many seconds of the loop's clock."""

    at: float
    url: str
    headers: httpx.Headers
    body: bytes

    @property
    def payload(self) -> Any:
        return json.loads(self.body)

    @property
    def subject(self) -> str:
        """Return the run or the batch that it is about."""
        found: str = self.payload.get("run_id") or self.payload["batch_id"]
        return found

    def signed_with(self, secret: str) -> bool:
        wanted = hmac.new(secret.encode(), self.body, "sha256").hexdigest()
        return bool(self.headers.get("Runflow-Signature") == wanted)


class Receiver(httpx.AsyncBaseTransport):
    """Answers the status that *answers* names for a call; it takes *seconds* for that."""

    def __init__(
        self,
        answers: Callable[[Call], int] = lambda _call: 200,
        *,
        seconds: Callable[[Call], float] = lambda _call: 0.0,
    ) -> None:
        self.calls: list[Call] = []
        self._answers = answers
        self._seconds = seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        call = Call(
            at=anyio.current_time(), url=str(request.url), headers=request.headers, body=body
        )
        self.calls.append(call)
        await anyio.sleep(self._seconds(call))
        return httpx.Response(self._answers(call), text="thanks")


class Service:
    """A world that calls back to *receiver*, and the client that asks it."""

    def __init__(self, world: World, http: httpx.AsyncClient, receiver: Receiver) -> None:
        self.world = world
        self.http = http
        self.receiver = receiver

    async def run(self, **more: Any) -> dict[str, Any]:
        """Return a new run that calls back; *more* is the POST's body beside its input."""
        body = {"input": {"prompt": "a kite"}, "callback_url": URL, **more}
        answer = await self.http.post(PATH, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def batch(self, count: int, **more: Any) -> dict[str, Any]:
        """Return a new batch of so many items that calls back."""
        items = [{"image_url": f"https://files.example/{n}.png"} for n in range(count)]
        body = {"input": items, "callback_url": URL, **more}
        answer = await self.http.post(BATCHES, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def get(self, path: str) -> Any:
        return (await self.http.get(path)).json()

    def subjects(self) -> list[str]:
        return [call.subject for call in self.receiver.calls]


@asynccontextmanager
async def serving(
    *faults: str,
    receiver: Receiver | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    state: Path | None = None,
    **settings: Any,
) -> AsyncIterator[Service]:
    """Serve a world in virtual time; send its callbacks to *receiver*, or to *transport*."""
    receiver = receiver or Receiver()
    chosen = Settings(drawing=False, faults=tuple(map(parse_fault, faults)), **settings)
    world = World(state, settings=chosen, clock=loop_clock(BEGINNING.timestamp()))
    caller = Caller(world, base_url=BASE, transport=transport or receiver)
    headers = {"Authorization": "Bearer key"}
    async with (
        httpx.AsyncClient(
            transport=SimulatedTransport(world), base_url=BASE, headers=headers
        ) as http,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(caller.run)
        yield Service(world, http, receiver)
        tasks.cancel_scope.cancel()
    world.store.close()
