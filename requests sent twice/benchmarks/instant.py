"""A Runflow that answers at once: the server of the benchmarks, in a process of its own.

Bare asyncio and no framework, and answers put together from bytes that are ready, so that it isn't
the bottleneck. A run has succeeded by the time it is first asked for. Models called `single/…` take
no batches.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import msgspec

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
REF = re.compile(rb"client_ref\.EQ(?::|%3A)(?:'|%27)([^'%]+)")

NULL = msgspec.Raw(b"null")
MOMENT = b"2026-01-01T00:00:00.000000+00:00"
RUN = (
    b'{"id":"%b","status_code":"succeeded","client_ref":%b,"batch_id":%b,"metadata":%b,'
    b'"cost":"0.08","duration_ms":0,"created_at":"'
    + MOMENT
    + b'","completed_at":"'
    + MOMENT
    + b'",'
    b'"output":{"outputs":[{"url":"https://files.example/0.png","type":"image"}]}}'
)
ITEM = b'{"id":"%b","sequence_index":%d,"run_id":"%b","status_code":"queued","client_ref":%b}'
BATCH = (
    b'{"id":"%b","target_type":"model","status_code":"%b","items_total":%d,"items_succeeded":%d,'
    b'"items_failed":0,"items_cancelled":0,"items":[%b],"created_at":"' + MOMENT + b'",'
    b'"output":null,"cost":null,"metadata":%b}'
)
UNKNOWN = 404, b'{"code":"NOT_FOUND","message":"Not found","errors":null}'
NO_BATCHES = 422, b'{"code":"UNPROCESSABLE","message":"takes no batches","errors":null}'


class Asked(msgspec.Struct):
    """A run as far as the server looks into it: the rest of the JSON is passed over."""

    client_ref: msgspec.Raw = NULL
    metadata: msgspec.Raw = NULL


class Batch(msgspec.Struct):
    """A batch likewise; *input* are its items."""

    input: list[Asked]
    metadata: msgspec.Raw = NULL


read_run = msgspec.json.Decoder(Asked).decode
read_batch = msgspec.json.Decoder(Batch).decode


class State:
    """What was created, by reference and by id, as the JSON that answers carry."""

    def __init__(self) -> None:
        self._numbers = count()
        self._runs: dict[bytes, bytes] = {}
        self._batches: dict[bytes, tuple[int, bytes, bytes]] = {}
        self._listed: dict[bytes, list[bytes]] = {}

    def answer(self, method: bytes, target: bytes, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body."""
        path, _, query = target.partition(b"?")
        if method == b"POST":
            if not path.endswith(b"/batches"):
                return 201, self._create(body)
            takes = not path.startswith(b"/v1/models/single/")
            return (201, self._create_batch(body)) if takes else NO_BATCHES
        if path == b"/v1/runs":
            return 200, b'{"items":[' + b",".join(self._of_reference(query)) + b'],"next":null}'
        if path.startswith(b"/v1/batches/"):
            return self._batch(path[12:])
        found = self._runs.get(path[9:]) if path.startswith(b"/v1/runs/") else None
        return (200, found) if found else UNKNOWN

    def _create(self, body: bytes) -> bytes:
        asked = read_run(body)
        ref = bytes(asked.client_ref)
        run_id = b"01a20d2b-0000-7000-8000-%012d" % next(self._numbers)
        text = self._runs[run_id] = RUN % (run_id, ref, b"null", bytes(asked.metadata))
        self._listed.setdefault(ref, []).append(text)
        return b'{"id":"%b","status_code":"queued"}' % run_id

    def _create_batch(self, body: bytes) -> bytes:
        asked = read_batch(body)
        number = next(self._numbers)
        batch_id = b"01a20d2b-0000-7000-8002-%012d" % number
        quoted = b'"%b"' % batch_id
        items = []
        for index, each in enumerate(asked.input):
            ref = bytes(each.client_ref)
            mark = b"%08d%04d" % (number, index)
            run_id = b"01a20d2b-0000-7000-8003-" + mark
            text = self._runs[run_id] = RUN % (run_id, ref, quoted, b"null")
            self._listed.setdefault(ref, []).append(text)
            items.append(ITEM % (b"01a20d2b-0000-7000-8004-" + mark, index, run_id, ref))
        lean, metadata = b",".join(items), bytes(asked.metadata)
        self._batches[batch_id] = len(items), lean, metadata
        return BATCH % (batch_id, b"queued", len(items), 0, lean, metadata)

    def _batch(self, batch_id: bytes) -> tuple[int, bytes]:
        if (found := self._batches.get(batch_id)) is None:
            return UNKNOWN
        total, lean, metadata = found
        lean = lean.replace(b'"status_code":"queued"', b'"status_code":"succeeded"')
        return 200, BATCH % (batch_id, b"succeeded", total, total, lean, metadata)

    def _of_reference(self, query: bytes) -> Sequence[bytes]:
        found = REF.search(query)
        return self._listed.get(b'"%b"' % found[1], ()) if found else ()


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
