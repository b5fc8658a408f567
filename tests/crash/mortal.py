"""A process that dies in virtual time: `World.call` cut off at its n-th boundary.

It stays dead: whatever it still tries, on the way out of its task group, dies too. What it had
sent goes on: the service is another process. What it had written and not synced is lost, kept, or
kept by half.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import anyio
import httpx
from anyio.abc import TaskGroup
from simulated import Runflow

from batchrun.base.disk import InlineDisk

Tail = Literal["kept", "half"]
"""What a write leaves that was not synced; one that was lost is a death before the write."""


class Killed(BaseException):
    """The process is dead."""


@dataclass
class Mortal:
    """Dies at boundary number *at*, counted from 0, or at the n-th of a name, or never; *passed*
    names those before it.
    """

    at: int | tuple[str, int] | None = None
    tail: Tail = "kept"
    passed: list[str] = field(default_factory=list)
    dead: bool = False

    def passing(self, boundary: str) -> None:
        """Return, or die."""
        passings = self.passed.count(boundary) + 1
        self.dead |= self.at in {len(self.passed), (boundary, passings)}
        if self.dead:
            raise Killed
        self.passed.append(boundary)


@dataclass
class MortalDisk(InlineDisk):
    """Each write has a moment before it, and one before its fsync is done."""

    life: Mortal

    async def write(self, fd: int, data: bytes) -> None:
        self.life.passing("before a write")
        try:
            self.life.passing("write")
        except Killed:
            os.write(fd, data if self.life.tail == "kept" else data[: len(data) // 2])
            raise
        os.write(fd, data)


class Service:
    """The service as a process of its own: it goes on with what a dead caller had sent.

    A POST is *late* seconds on its way: longer than `settle`, it is committed too late.
    """

    def __init__(self, runflow: Runflow, tasks: TaskGroup, *, late: float) -> None:
        self._runflow = runflow
        self.tasks = tasks
        self._late = late

    async def ask(self, request: httpx.Request, life: Mortal) -> httpx.Response:
        """Return the answer; the caller may die at departure, on the wait, or at the answer."""
        life.passing(f"departure of {request.method}")
        call = _Call(request)
        self.tasks.start_soon(self._serve, call)
        life.passing(f"{request.method} sent")
        await call.over.wait()
        life.passing(f"answer to {request.method}")
        if call.error is not None:
            raise call.error
        assert call.response is not None
        return call.response

    async def _serve(self, call: "_Call") -> None:
        try:
            if call.request.method == "POST":
                await anyio.sleep(self._late)
            call.response = await self._runflow.answer(call.request)
        except httpx.TransportError as error:
            call.error = error
        call.over.set()


class _Call:
    """One request under way."""

    def __init__(self, request: httpx.Request) -> None:
        self.request = request
        self.response: httpx.Response | None = None
        self.error: httpx.TransportError | None = None
        self.over = anyio.Event()


class MortalTransport(httpx.AsyncBaseTransport):
    """What a mortal process talks through."""

    def __init__(self, service: Service, life: Mortal) -> None:
        self._service = service
        self._life = life

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._service.ask(request, self._life)


@asynccontextmanager
async def serving(runflow: Runflow, *, late: float = 0.0) -> AsyncIterator[Service]:
    """Let the service live as long as this lasts, whoever of its callers dies."""
    async with anyio.create_task_group() as tasks:
        yield Service(runflow, tasks, late=late)
        tasks.cancel_scope.cancel()
