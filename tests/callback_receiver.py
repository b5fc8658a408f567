"""A receiver of callbacks in virtual time: an httpx transport that remembers what came."""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import httpx


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
