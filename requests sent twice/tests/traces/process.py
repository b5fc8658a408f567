"""One process, its effects on the world written down, and its death at any one of them.

The seams are the operating system's and httpx's: a write, an fsync and a rename below the sweep's
folder, a request that leaves and its answer. A death is before an effect, or amid a write. The
service is another process: it goes on with what a dead or impatient caller had sent.

Threads and virtual time do not mix, so the work of threads is done on the spot. Random names are
counted: no order may depend on them.
"""

import os
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import anyio.to_thread
import httpx
from anyio.abc import TaskGroup
from simulated import Runflow

from .tape import Tape

LEDGER = "ledger.jsonl"


class Killed(BaseException):
    """The process is dead."""


@dataclass
class Life:
    """Ends before the effect number *at*, counted from 0, or never; with *half*, amid that write.

    *writes* are the numbers of the effects that were writes of the ledger.
    """

    at: int | None = None
    half: bool = False
    passed: int = 0
    dead: bool = False
    writes: list[int] = field(default_factory=list)


class Randoms:
    """Random names, counted through all the processes of a scenario."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def key(self) -> uuid.UUID:
        return uuid.UUID(int=(0xBA7C << 112) + next(self._numbers), version=4)

    def token(self, size: int | None = None) -> str:
        return f"{next(self._numbers):0{2 * (size or 32)}x}"


class Process:
    """A call's way to the world: to the files of *folder*, and to the service."""

    def __init__(self, tape: Tape, folder: Path, server: "Server", life: Life) -> None:
        self.tape = tape
        self.life = life
        self._folder = folder
        self._server = server
        self._real_write = os.write

    @contextmanager
    def watched(self, randoms: Randoms) -> Iterator[None]:
        """Write down each effect as long as this lasts."""
        with ExitStack() as patches:
            for owner, name, new in (
                (os, "write", self._write),
                (os, "fsync", self._watching(os.fsync, lambda fd: f"fsync   {self._name(fd)}")),
                (os, "replace", self._watching(os.replace, self._renamed)),
                (anyio.to_thread, "run_sync", _inline),
                (uuid, "uuid4", randoms.key),
                (secrets, "token_hex", randoms.token),
            ):
                patches.enter_context(patch.object(owner, name, new))
            yield

    def transport(self) -> httpx.AsyncBaseTransport:
        return _Transport(self)

    async def ask(self, request: httpx.Request) -> httpx.Response:
        self.passing()
        number = self.tape.request(request)
        asked = self._server.take(request)
        try:
            await asked.over.wait()
        except BaseException:
            self.tape.given_up(number)
            raise
        self.passing()
        if asked.error is not None:
            self.tape.error(number, asked.error)
            raise asked.error
        assert asked.response is not None
        self.tape.answer(number, asked.response)
        return asked.response

    def passing(self) -> None:
        """Return, or die; the dead stay dead."""
        if self.life.dead or self.life.at == self.life.passed:
            self.life.dead = self.tape.deaf = True
            raise Killed
        self.life.passed += 1

    def _write(self, fd: int, data: bytes) -> int:
        if self._name(fd) not in {LEDGER, f"new {LEDGER}"}:
            return self._real_write(fd, data)
        amid = self.life.half and not self.life.dead and self.life.at == self.life.passed
        if amid:
            self._put(fd, data[: len(data) // 2])
        self.passing()
        self.life.writes.append(self.life.passed - 1)
        return self._put(fd, data)

    def _put(self, fd: int, data: bytes) -> int:
        written = self._real_write(fd, data)
        self.tape.ledger(data[:written])
        return written

    def _watching(
        self, real: Callable[..., Any], described: Callable[..., str]
    ) -> Callable[..., Any]:
        def wrapped(*words: Any, **named: Any) -> Any:
            text = described(*words)
            self.passing()
            done = real(*words, **named)
            self.tape.note(text)
            return done

        return wrapped

    def _renamed(self, old: Any, new: Any) -> str:
        return f"rename  {self._called(Path(old))} -> {self._called(Path(new))}"

    def _name(self, fd: int) -> str:
        """Return the name, below the sweep's folder, of an open file or folder."""
        wanted = os.fstat(fd)
        for path in (self._folder, *self._folder.rglob("*")):
            if os.path.samestat(wanted, path.stat()):
                return self._called(path)
        return "elsewhere"

    def _called(self, path: Path) -> str:
        name = path.relative_to(self._folder).as_posix()
        whole = name.removesuffix(".part").removesuffix(".new")
        if path == self._folder:
            return "."
        return name if whole == name else f"new {whole}"


class Server:
    """The service as a process of its own."""

    def __init__(self, runflow: Runflow, tasks: TaskGroup) -> None:
        self._runflow = runflow
        self._tasks = tasks

    def change(self, service: Mapping[str, Any]) -> None:
        for name, value in service.items():
            setattr(self._runflow, name, value)

    def take(self, request: httpx.Request) -> "_Asked":
        asked = _Asked(request)
        self._tasks.start_soon(self._serve, asked)
        return asked

    async def _serve(self, asked: "_Asked") -> None:
        try:
            asked.response = await self._runflow.answer(asked.request)
        except httpx.TransportError as error:
            asked.error = error
        asked.over.set()


class _Asked:
    """One request under way."""

    def __init__(self, request: httpx.Request) -> None:
        self.request = request
        self.response: httpx.Response | None = None
        self.error: httpx.TransportError | None = None
        self.over = anyio.Event()


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, process: Process) -> None:
        self._process = process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._process.ask(request)


async def _inline(work: Callable[..., Any], *words: Any, **_named: Any) -> Any:
    return work(*words)
