"""A Runflow that answers at once: the server of the benchmarks, in a process of its own.

Bare asyncio and no framework, so that it isn't the bottleneck. A run has succeeded by the time it
is first asked for.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
REF = re.compile(rb"client_ref\.EQ(?::|%3A)(?:'|%27)([^'%]+)")


class State:
    """What was created, by reference and by id, as the JSON that answers carry."""

    def __init__(self) -> None:
        self.numbers = count()
        self.by_ref: dict[bytes, list[bytes]] = {}
        self.by_id: dict[bytes, bytes] = {}

    def create(self, body: bytes) -> bytes:
        asked = json.loads(body)
        run_id = f"01a20d2b-0000-7000-8000-{next(self.numbers):012d}"
        ended: dict[str, Any] = {
            "id": run_id,
            "status_code": "succeeded",
            "client_ref": asked.get("client_ref"),
            "metadata": asked.get("metadata"),
            "cost": "0.08",
            "duration_ms": 0,
            "created_at": "2026-01-01T00:00:00.000000+00:00",
            "completed_at": "2026-01-01T00:00:00.000000+00:00",
            "output": {"outputs": [{"url": "https://files.example/0.png", "type": "image"}]},
        }
        text = json.dumps(ended).encode()
        self.by_id[run_id.encode()] = text
        self.by_ref.setdefault(str(asked.get("client_ref")).encode(), []).append(text)
        return json.dumps({"id": run_id, "status_code": "queued"}).encode()

    def answer(self, method: bytes, target: bytes, body: bytes) -> tuple[int, bytes]:
        if method == b"POST":
            return 201, self.create(body)
        if target.startswith(b"/v1/runs?"):
            found = REF.search(target)
            runs = self.by_ref.get(found[1], []) if found else []
            return 200, b'{"items":[' + b",".join(runs) + b'],"next":null}'
        if target.startswith(b"/v1/runs/"):
            return 200, self.by_id[target[9:]]
        return 404, b'{"code":"NOT_FOUND","message":"no such route"}'


class Protocol(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as far as our own clients speak it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
            status, content = self._state.answer(method, target, body)
            self._transport.write(
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(content), content)
            )


async def serve() -> None:
    """Serve on a free port, which is printed, until terminated."""
    state = State()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(state), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def instant() -> Iterator[str]:
    """Serve in another process; yield the URL."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve())
