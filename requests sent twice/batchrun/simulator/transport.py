"""Plays a world in this process, without a socket: an httpx transport.

It waits by the event loop's clock alone. So under a loop in virtual time a sweep of hours is played
in moments, and each time in the same order; `loop_clock` gives the world the same time. Nothing may
use a thread then: such a world has `drawing` switched off, and its state in memory.

The failures of a socket are played here, too: a read that takes too long is httpx's ReadTimeout,
a connection that ends before the answer is its ReadError, an answer that ends amid its body its
RemoteProtocolError. A caller that goes away breaks off its request where it waits; what was
committed by then stays.
"""

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import anyio
import httpx

from batchrun.simulator.app import create_app
from batchrun.simulator.life import SECOND
from batchrun.simulator.mishaps import CONNECTION
from batchrun.simulator.world import World


def loop_clock(beginning: float) -> Callable[[], float]:
    """Return a clock, in seconds since 1970, that stands at *beginning* when the loop's is at 0."""
    return lambda: beginning + anyio.current_time()


class SimulatedTransport(httpx.AsyncBaseTransport):
    """Sends requests to *world*. Each takes *latency* seconds before it arrives.

    While *reachable* is False no connection comes about.
    """

    def __init__(self, world: World, *, latency: float = 0.0) -> None:
        self.world = world
        self.latency = latency
        self.reachable = True
        self._app = create_app(world)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the world's answer; httpx's TransportError where there is none, or half of one."""
        if not self.reachable:
            raise httpx.ConnectError("the simulated service is not reachable", request=request)
        answer = _Answer(await request.aread())
        patience = request.extensions.get("timeout", {}).get("read")
        with anyio.move_on_after(patience) as waiting:
            if self.latency:
                await anyio.sleep(self.latency)
            await self._app(_scope(request, answer), answer.receive, answer.send)
        if waiting.cancelled_caught:
            raise httpx.ReadTimeout("the simulated service gave no answer in time", request=request)
        return answer.response(request, dated=formatdate(self.world.now() / SECOND, usegmt=True))


class _Answer:
    """The two ends of one request, and its connection."""

    def __init__(self, body: bytes) -> None:
        self._request: bytes | None = body
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._whole = False

    async def receive(self) -> dict[str, Any]:
        """Return the request's body; from then on the caller stays, and sends nothing more."""
        if self._request is None:
            await anyio.sleep_forever()
        body, self._request = self._request, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
            return
        self._body += message.get("body", b"")
        self._whole = not message.get("more_body", False)

    def abort(self) -> None:
        """End the connection at once: what has been answered is lost."""
        self._status = 0

    def close(self) -> None:
        """End the connection behind what has been answered."""

    def response(self, request: httpx.Request, *, dated: str) -> httpx.Response:
        if not self._status:
            raise httpx.ReadError("the simulated connection has ended", request=request)
        if not self._whole:
            raise httpx.RemoteProtocolError("the simulated answer has no end", request=request)
        headers = [(b"date", dated.encode()), *self._headers]
        return httpx.Response(self._status, headers=headers, content=self._body, request=request)


def _scope(request: httpx.Request, connection: _Answer) -> dict[str, Any]:
    """Return the request as ASGI has it."""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 0),
        CONNECTION: connection,
    }
