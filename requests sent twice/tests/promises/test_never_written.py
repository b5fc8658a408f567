"""What certainly did nothing, and what is in doubt, told apart on real sockets.

Part of promise 1: a POST is sent again only when not a byte of it can have arrived.
"""

import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx
import pytest
from raw_server import Script, answer, raw_server

from batchrun.errors import UnreachableError
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client
from batchrun.runflow.post_outcomes import Accepted, InDoubt, Outcome
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
    # httpcore drops httpx's generator of the body where a write fails.
    pytest.mark.filterwarnings("ignore:Async generator 'httpx._content:ResourceWarning"),
]

RUN = b'{"id": "r1", "status_code": "queued"}'
BODY = b'{"input":{"prompt":"' + b"x" * 100 + b'"}}'


@asynccontextmanager
async def client(
    url: str, *, give_up: float = 600.0, connect: float = 600.0, hangs: bool = False
) -> AsyncIterator[Client]:
    """A client that waits as long as a busy machine needs, but for an answer that never comes."""
    async with api_client(url, "rf_live_0123456789", connections=2) as http:
        http.timeout = httpx.Timeout(600.0, connect=connect, read=0.5 if hangs else 600.0)
        yield Client(http, Limiter(Pace(50.0, jitter=random.Random(1).random)), give_up=give_up)


@contextmanager
def bound() -> Iterator[tuple[str, socket.socket]]:
    """A port where nothing listens yet, and that is given to no other process meanwhile."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


async def post(api: Client) -> Outcome:
    return await api.create_run("a/b", BODY, idempotency_key="k")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(["read", "reset"], id="reset-after-reading"),
        pytest.param(["read", "close"], id="closed-after-reading"),
        pytest.param(["read", "hang"], id="hangs-before-headers"),
        pytest.param(["read", b"HTTP/1.1 201 Crea", "close"], id="half-a-status-line"),
        pytest.param(["read", answer(RUN, announced=900)[:-9], "close"], id="half-a-body"),
        pytest.param(["read", answer(RUN, announced=900), "hang"], id="hangs-in-the-body"),
        pytest.param(["read", answer(RUN, announced=900), "reset"], id="reset-in-the-body"),
        pytest.param(["read", b"SSH-2.0-OpenSSH\r\n", "close"], id="not-even-http"),
    ],
)
async def test_once_connected_every_broken_answer_is_in_doubt_and_sent_once(script: Script) -> None:
    with raw_server(script) as server:
        async with client(server.url, hangs="hang" in script) as api:
            outcome = await post(api)
            while not server.requests:
                await anyio.sleep(0.01)

    assert isinstance(outcome, InDoubt)
    assert api.requests == server.connections == len(server.requests) == 1


@pytest.mark.parametrize("act", ["reset", "close"])
async def test_a_connection_lost_on_arrival_is_tried_again_only_while_it_was_never_made(
    act: str,
) -> None:
    """A reset may overtake the end of connecting, and then nothing was written."""
    with raw_server([act]) as server:
        async with client(server.url) as api:
            outcome = await post(api)

    assert isinstance(outcome, InDoubt)
    assert api.requests == server.connections
    assert server.requests == []


async def test_a_keep_alive_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    script: Script = ["read", answer(RUN), "close"]
    with raw_server(script) as server:
        async with client(server.url) as api:
            first = await post(api)
            while "close" not in server.done:
                await anyio.sleep(0.01)
            await anyio.sleep(0.2)
            second = await post(api)

    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert server.connections == 2
    assert api.requests == 2


async def test_a_keep_alive_connection_that_dies_under_the_request_is_in_doubt() -> None:
    script: Script = ["read", answer(RUN), "read", "reset"]
    with raw_server(script) as server:
        async with client(server.url) as api:
            assert isinstance(await post(api), Accepted)
            outcome = await post(api)

    assert isinstance(outcome, InDoubt)
    assert server.connections == 1, "httpx did not send it again by itself"
    assert len(server.requests) == 2


async def test_a_refused_connection_is_tried_again_until_somebody_listens() -> None:
    outcomes: list[Outcome] = []

    with bound() as (url, listener):
        async with client(url) as api, anyio.create_task_group() as tg:

            async def submit() -> None:
                outcomes.append(await post(api))

            tg.start_soon(submit)
            while not api.retries:
                await anyio.sleep(0.01)
            listener.listen()
            connection, _ = await anyio.to_thread.run_sync(listener.accept)
            with connection:
                await anyio.to_thread.run_sync(connection.recv, 65536)
                connection.sendall(answer(RUN, keep=False))
                while not outcomes:
                    await anyio.sleep(0.01)

    assert isinstance(outcomes[0], Accepted)


async def test_where_nobody_ever_listens_the_endpoint_is_named() -> None:
    with bound() as (url, _):
        async with client(url, give_up=1.0) as api:
            with pytest.raises(
                UnreachableError, match=f"{url.removeprefix('http://')}.*ConnectErr"
            ):
                await post(api)


async def test_a_server_that_speaks_no_tls_was_never_written_to() -> None:
    with raw_server(["read", "close"]) as server:
        url = server.url.replace("http:", "https:")
        async with client(url, give_up=1.0, connect=1.0) as api:
            with pytest.raises(UnreachableError):
                await post(api)
    assert BODY not in b"".join(server.requests)


async def test_a_cancelled_call_leaves_no_connection_behind_that_answers_another() -> None:
    with raw_server(["read", "hang"], ["read", answer(RUN)]) as server:
        async with client(server.url) as api:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(post, api)
                while not server.requests:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            outcome = await post(api)

    assert isinstance(outcome, Accepted)
    assert server.connections == 2
