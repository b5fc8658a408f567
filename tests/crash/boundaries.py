"""Where a process can die: each effect on the world has a moment before and a moment after it.

The product knows nothing of this: the seams it goes through anyway are wrapped, in a child process
that will die of it. A boundary is named by what is done to what, and when, for instance
`ledger fsync before` or `create sent`.
"""

import fcntl
import io
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from batchrun.commands import run
from batchrun.engine.run import Runner
from batchrun.ledger.file import Ledger, open_ledger
from batchrun.runflow.http.asyncio_stream import LoopStream
from batchrun.runflow.http.connection import Connection
from batchrun.runflow.http.transport import ApiTransport

ANY: Final = "any"
"""Stands for whatever boundary is passed: its passings are those of all of them together."""

ROUTES: Final = (
    ("create", re.compile(r"POST /v1/.*/runs")),
    ("create_batch", re.compile(r"POST /v1/.*/batches")),
    ("batch", re.compile(r"GET /v1/batches/.*")),
    ("list", re.compile(r"GET /v1/runs")),
    ("get", re.compile(r"GET /v1/runs/.*")),
    ("account", re.compile(r"GET /v1/auth/me")),
    ("download", re.compile(r"GET /files/.*")),
)

STEPS: Final = {"send": "sent", "head": "head read", "body": "read"}
"""The steps of a connection of ours, and what we call the moment after each."""

MOMENTS: Final = {
    "http11.send_request_headers.complete": "head sent",
    "http11.send_request_body.complete": "sent",
    "http11.receive_response_headers.complete": "head read",
    "http11.receive_response_body.complete": "read",
}
"""What httpcore says of a download on its way, and what we call that moment."""


class Reaper:
    """Counts how often each boundary is passed, and dies at the passing that was named."""

    def __init__(self, kill: tuple[str, int] | None, root: Path) -> None:
        self.passed: Counter[str] = Counter()
        self._kill = kill
        self._root = str(root)
        self._turn = threading.Lock()

    def passing(self, boundary: str) -> None:
        """Note a passing; does not return from the last one."""
        with self._turn:
            for name in (boundary, ANY):
                self.passed[name] += 1
                if (name, self.passed[name]) == self._kill:
                    os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def around(self, what: str | None) -> Iterator[None]:
        """Pass the boundaries before and after an effect; None is nothing of ours."""
        if what is not None:
            self.passing(f"{what} before")
        yield
        if what is not None:
            self.passing(f"{what} after")

    def names(self, place: Any) -> str | None:
        """Name a path, or an open file, of the sweep's folder."""
        text = str(Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else place)
        if not text.startswith(self._root):
            return None
        path = Path(text.removesuffix(".part"))
        if path.name in {"ledger.jsonl", "lock"} or path.suffix in {".json", ".yaml"}:
            return path.name
        if path.name.startswith("results."):
            return path.name
        return "output" if path.suffix or text.endswith(".part") else "folder"


def install(reaper: Reaper) -> None:
    """Wrap the seams of this process."""
    _wrap(os, "fsync", lambda fd: _verb(reaper.names(fd), "fsync"), reaper)
    _wrap(os, "replace", lambda _, to: _verb(reaper.names(to), "replace"), reaper)
    _wrap(os, "unlink", lambda path, **_: _verb(reaper.names(path), "unlink"), reaper)
    _wrap(os, "mkdir", lambda path, *_, **__: _verb(reaper.names(path), "mkdir"), reaper)
    _wrap(fcntl, "flock", lambda *_: "lock take", reaper)
    _wrap(io, "open", lambda file, mode="r", *_, **__: _opened(reaper, file, mode), reaper)
    _watch_writes(reaper)
    _watch_release(reaper)
    _watch_requests(reaper)
    _watch_downloads(reaper)
    _wrap(Runner, "hear", lambda *_: "callback", reaper)


def _verb(what: str | None, verb: str) -> str | None:
    return what and f"{what} {verb}"


def _opened(reaper: Reaper, file: Any, mode: str) -> str | None:
    return _verb(reaper.names(file), "open") if set(mode) & set("wax") else None


def _wrap(owner: Any, name: str, describe: Callable[..., str | None], reaper: Reaper) -> None:
    real = getattr(owner, name)

    def wrapped(*words: Any, **named: Any) -> Any:
        with reaper.around(describe(*words, **named)):
            return real(*words, **named)

    _put(owner, name, wrapped)


def _put(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _watch_writes(reaper: Reaper) -> None:
    """The ledger's writes have a boundary in their middle: a torn line."""
    real = os.write

    def write(fd: int, data: bytes) -> int:
        what = reaper.names(fd)
        if what is None:
            return real(fd, data)
        with reaper.around(f"{what} write"):
            half = real(fd, data[: len(data) // 2])
            reaper.passing(f"{what} write half")
            return half + real(fd, data[half:])

    _put(os, "write", write)


def _watch_release(reaper: Reaper) -> None:
    real = open_ledger

    @contextmanager
    def opened(folder: Path, *, sweep: str | None) -> Iterator[Ledger]:
        with real(folder, sweep=sweep) as ledger:
            yield ledger
            reaper.passing("lock release before")
        reaper.passing("lock release after")

    _put(run, "open_ledger", opened)


def _watch_requests(reaper: Reaper) -> None:
    """The API's requests have a boundary in their middle, when the service has half of one."""
    route: ContextVar[str] = ContextVar("route")

    async def handle(real: Any, self: Any, request: httpx.Request) -> httpx.Response:
        route.set(_route(request))
        reaper.passing(f"{route.get()} before")
        answer: httpx.Response = await real(self, request)
        return answer

    async def write(real: Any, self: Any, data: bytes, *words: Any) -> None:
        await real(self, data[: len(data) // 2], *words)
        reaper.passing(f"{route.get()} half sent")
        await real(self, data[len(data) // 2 :], *words)

    async def step(name: str, real: Any, self: Any, *words: Any) -> Any:
        done = await real(self, *words)
        reaper.passing(f"{route.get()} {STEPS[name]}")
        return done

    _around(ApiTransport, "handle_async_request", handle)
    _around(LoopStream, "write", write)
    for name in STEPS:
        _around(Connection, name, partial(step, name))


def _around(owner: type, name: str, wrapper: Callable[..., Coroutine[Any, Any, Any]]) -> None:
    real = getattr(owner, name)

    async def wrapped(*words: Any) -> Any:
        return await wrapper(real, *words)

    _put(owner, name, wrapped)


def _watch_downloads(reaper: Reaper) -> None:
    async def handle(real: Any, self: Any, request: httpx.Request) -> httpx.Response:
        route = _route(request)

        async def trace(event: str, _info: Any) -> None:
            if event in MOMENTS:
                reaper.passing(f"{route} {MOMENTS[event]}")

        reaper.passing(f"{route} before")
        request.extensions = {**request.extensions, "trace": trace}
        response: httpx.Response = await real(self, request)
        if route == "download":
            response.stream = _Chunks(response.stream, reaper)
        return response

    _around(httpx.AsyncHTTPTransport, "handle_async_request", handle)


def _route(request: httpx.Request) -> str:
    called = f"{request.method} {request.url.path}"
    return next((name for name, pattern in ROUTES if pattern.fullmatch(called)), "other")


class _Chunks(httpx.AsyncByteStream):
    """A download's body: each chunk is a boundary before and after it is written."""

    def __init__(self, stream: Any, reaper: Reaper) -> None:
        self._stream = stream
        self._reaper = reaper

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._reaper.passing("download write before")
            yield chunk
            self._reaper.passing("download write after")

    async def aclose(self) -> None:
        await self._stream.aclose()
