"""Answers that go wrong on the wire: lost, late, cut, or not the API's."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from batchrun.simulator.faults import Fault

CONNECTION: Final = "batchrun.connection"
"""In the scope of a request: what can be done to its connection, None where nothing can."""

FOREVER: Final = 3600.0
PAGE: Final = "<html><body><h1>Something on the way answered</h1></body></html>"


class Wire:
    """Puts the connection into the scope of a request from a socket.

    An answer that must not be given is taken back there. The transport of `transport.py` brings its
    own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = getattr(getattr(send, "__self__", None), "transport", None)
        scope.setdefault(CONNECTION, socket)
        await self._app(scope, receive, send)


class Dropped(Response):
    """No answer at all: the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope[CONNECTION] is not None:
            scope[CONNECTION].abort()


class Hung(Response):
    """No answer, and the connection stays open."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await anyio.sleep(FOREVER)


class Half(Response):
    """The head and half of the body; then the end of the connection, or nothing (*hang*)."""

    def __init__(self, whole: Response, *, hang: bool) -> None:
        super().__init__(whole.body, whole.status_code, dict(whole.headers))
        self._hang = hang

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await anyio.sleep(FOREVER if self._hang else 0.02)
        if scope[CONNECTION] is not None:
            scope[CONNECTION].close()


REFUSALS: Final = {
    "unauthorized": (401, "UNAUTHORIZED", "Invalid token"),
    "forbidden": (403, "PERMISSION_DENIED", "Not authorized"),
    "no_credit": (402, "INSUFFICIENT_CREDIT", "Balance too low"),
    "conflict_409": (409, "CONFLICT", "Key was used with a different body"),
}


def before(fault: Fault) -> Response:
    """Return the answer of a fault that strikes before anything is committed."""
    if fault.name in REFUSALS:
        return refusal(*REFUSALS[fault.name])
    match fault.name:
        case "throttle":
            return _throttled(fault.value)
        case "proxy_page" | "error_before_html":
            return HTMLResponse(PAGE, int(fault.value or 403))
        case "redirect":
            status = int(fault.value or 307)
            return Response(status_code=status, headers={"Location": "http://localhost:9/"})
        case "error_before":
            return refusal(int(fault.value or 503), "UNAVAILABLE", "Service unavailable")
        case _:
            return Hung() if fault.name == "hang_before_commit" else Dropped()


def after(fault: Fault, whole: Response) -> Response:
    """Return what becomes of the answer to a POST that has been committed."""
    spoilt: dict[str, Callable[[], Response]] = {
        "error_after": lambda: refusal(int(fault.value or 500), "INTERNAL", "Internal error"),
        "error_after_html": lambda: HTMLResponse(PAGE, int(fault.value or 504)),
        "hang_before_headers": Hung,
        "hang_after_headers": lambda: Half(whole, hang=True),
        "half_answer": lambda: Half(whole, hang=False),
        "cut_json": lambda: Response(whole.body[:8], 201, media_type="application/json"),
        "no_run_id": lambda: JSONResponse({"status_code": "queued"}, 201),
    }
    return spoilt.get(fault.name, Dropped)()


def refusal(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error in the documented envelope."""
    body: dict[str, Any] = {"code": code, "message": message, "errors": None}
    return JSONResponse(body, status, headers=headers)


def _throttled(seconds: str | None) -> Response:
    headers = {} if seconds is None else {"Retry-After": seconds, "X-RateLimit-Remaining": "0"}
    return refusal(429, "RATE_LIMITED", "Rate limit exceeded", headers)
