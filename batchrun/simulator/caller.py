"""Sends the callbacks of a world, until it is cancelled.

It waits for the next moment at which something is due, or for the bell. So it does nothing in a
world without callbacks, and needs no thread: in virtual time it runs beside the code under test.
"""

import math
import sqlite3
import uuid
from typing import Final

import anyio
import anyio.lowlevel
import httpx
from anyio.abc import TaskGroup

from batchrun.simulator.callback_making import CallbackMaking
from batchrun.simulator.callback_payload import headers
from batchrun.simulator.deliveries import Deliveries, Delivery, Outcome
from batchrun.simulator.life import SECOND
from batchrun.simulator.retry_schedule import TIMEOUT
from batchrun.simulator.world import World

LANES: Final = 32  # attempts at once to one receiver: it is not flooded, and delays no other
PAUSE: Final = 1.0  # seconds before the state is asked again after it failed
KEPT: Final = 1024  # characters of an answer that the history keeps


class Caller:
    """Calls back for *world*, by *transport* or, without one, over sockets.

    *base_url* is where the simulator is found: the addresses of outputs begin with it.
    """

    def __init__(
        self, world: World, *, base_url: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._world = world
        self._base_url = base_url
        self._transport = transport
        self._making = CallbackMaking(world)
        self._deliveries = Deliveries(world.store)
        self._in_hand: set[str] = set()
        self._looked = 0  # when, in microseconds
        self._lanes: dict[tuple[str, bytes, int | None], anyio.Semaphore] = {}
        self._http: httpx.AsyncClient | None = None

    async def run(self) -> None:
        """Send what comes due, each delivery in a task of its own; never return."""
        try:
            async with anyio.create_task_group() as tasks:
                while True:
                    try:
                        await self._look(tasks)
                    except sqlite3.OperationalError:  # the state is locked, or its disk is full
                        await anyio.sleep(PAUSE)
        finally:
            if self._http is not None:
                with anyio.CancelScope(shield=True):
                    await self._http.aclose()
                self._http = None

    async def _look(self, tasks: TaskGroup) -> None:
        """Start what is due, and wait until something else may be."""
        now = self._world.now()
        while self._making.make(now, self._base_url):
            await anyio.lowlevel.checkpoint()
        # What was due at the last look is in hand: it is not read again with each ring.
        for delivery_id, url in self._deliveries.due(min(self._looked, now), now):
            if delivery_id not in self._in_hand:
                self._in_hand.add(delivery_id)
                tasks.start_soon(self._deliver, delivery_id, url)
        self._looked = now
        moment = self._deliveries.next_after(now)
        seconds = math.inf if moment is None else (moment - self._world.now()) / SECOND
        await self._world.bell.wait(max(0.0, seconds))

    async def _deliver(self, delivery_id: str, url: str) -> None:
        try:
            async with self._lane(url):
                delivery = self._deliveries.claim(delivery_id, self._world.now())
                if delivery is not None:
                    await self._attempt(delivery)
        except sqlite3.OperationalError:
            await anyio.sleep(PAUSE)
            self._looked = 0  # it is looked for anew; what was sent and not noted is sent again
        finally:
            self._in_hand.discard(delivery_id)
        self._world.bell.ring()  # there may be a next attempt to wait for

    def _lane(self, url: str) -> anyio.Semaphore:
        parts = httpx.URL(url)
        receiver = (parts.scheme, parts.raw_host, parts.port)
        return self._lanes.setdefault(receiver, anyio.Semaphore(LANES))

    async def _attempt(self, delivery: Delivery) -> None:
        began, request_id = self._world.now(), str(uuid.uuid4())
        outcome = await self._post(delivery, request_id)
        now = self._world.now()
        self._deliveries.note(delivery, outcome, request_id=request_id, began=began, now=now)

    async def _post(self, delivery: Delivery, request_id: str) -> Outcome:
        sent = headers(delivery.payload, secret=delivery.secret, request_id=request_id)
        try:
            with anyio.fail_after(TIMEOUT):
                async with self._client().stream(
                    "POST", delivery.url, content=delivery.payload, headers=sent
                ) as answer:
                    return Outcome(status=answer.status_code, body=await _beginning(answer))
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(reason="timeout", error=f"no answer within {TIMEOUT:g} s")
        except Exception as error:  # noqa: BLE001 - no address may end the calls of the others
            said = _storable(str(error)) or type(error).__name__
            return Outcome(reason="connection_error", error=said)

    def _client(self) -> httpx.AsyncClient:
        """Return the client; it is made for the first callback, as its certificates take time."""
        if self._http is None:
            # A connection that is kept may have been closed by a receiver that was started anew,
            # and would cost that receiver an attempt.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._http = httpx.AsyncClient(
                transport=self._transport or httpx.AsyncHTTPTransport(limits=limits),
                headers={"User-Agent": "batchrun-simulator"},
                timeout=None,  # noqa: S113  (the whole attempt has a time-out)
                trust_env=False,
            )
        return self._http


async def _beginning(answer: httpx.Response) -> str:
    """Return the first characters of an answer's body; the rest is not read."""
    text = ""
    async for part in answer.aiter_text():
        text += part
        if len(text) >= KEPT:
            break
    return _storable(text[:KEPT])


def _storable(text: str) -> str:
    """Return *text* without halves of characters, such as a charset of a receiver's may yield."""
    return text.encode(errors="replace").decode()
