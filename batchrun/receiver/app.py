"""The application that takes callbacks: it answers at once, and hands on what is signed.

Anyone may send anything to a public address. So nothing is believed before the signature is right,
nothing larger than MOST is read, and nothing is waited for longer than PATIENCE.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchrun.runflow.callbacks import SIGNATURE, Ended, is_signed, read_end

MOST: Final = 1 << 20
"""Bytes of a body; a callback has the addresses of outputs, not the outputs."""

PATIENCE: Final = 5.0
"""Seconds that a sender may take for its body."""

Hear = Callable[[Ended], None]
"""Takes in what is said to have ended; it waits for nothing."""


class App:
    """An ASGI application; *received* counts the callbacks that were signed, repeated ones too,
    and *refused* what was not.

    *hear* gets what has ended. The path isn't looked at: a proxy may have changed it.
    """

    def __init__(self, secrets: Sequence[str], hear: Hear) -> None:
        self.received = self.refused = 0
        self._secrets = secrets
        self._hear = hear

    def __repr__(self) -> str:
        return f"<App: {self.received} received>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(Request(scope, receive))
        # One request, one connection: a sender that keeps it open holds nothing.
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "POST"})
        body = await _body(request)
        if isinstance(body, Response):
            return body
        if not is_signed(body, request.headers.get(SIGNATURE), self._secrets):
            self.refused += 1
            return Response(status_code=401)
        try:
            ended = read_end(body)
        except ValueError:
            return Response(status_code=400)
        self.received += 1
        if ended is not None:
            self._hear(ended)
        return Response(status_code=204)


async def _body(request: Request) -> bytes | Response:
    """Return the bytes as they were sent, or the refusal of what is too large or too slow."""
    body = bytearray()
    try:
        with anyio.fail_after(PATIENCE):
            async with aclosing(request.stream()) as parts:
                async for part in parts:
                    body += part
                    if len(body) > MOST:
                        return Response(status_code=413)
    except TimeoutError:
        return Response(status_code=408)
    except ClientDisconnect:
        return Response(status_code=400)
    return bytes(body)
