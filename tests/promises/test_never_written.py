"""What certainly did nothing, and what is in doubt, told apart on real sockets.

Part of promise 1: a POST is sent again only when not a byte of it can have arrived.
"""

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from raw_server import Script, answer, raw_server

from batchrun.errors import UnreachableError
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.responses import Accepted, InDoubt, Outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
    # httpcore drops httpx's generator of the body where a write fails.
    pytest.mark.filterwarnings("ignore:Async generator 'httpx._content:ResourceWarning"),
]

RUN = b'{"id": "r1", "status_code": "queued"}'
BODY = b'{"input":{"prompt":"' + b"x" * 100 + b'"}}'


@asynccontextmanager
async def client(url: str, *, give_up: float = 20.0) -> AsyncIterator[Client]:
    async with api_client(url, "rf_live_0123456789", connections=2) as http:
        http.timeout = httpx.Timeout(1.0)
        yield Client(http, Limiter(Pace(50.0, jitter=random.Random(1).random)), give_up=give_up)


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
        async with client(server.url) as api:
            outcome = await post(api)

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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcomes: list[Outcome] = []

    async with client(f"http://127.0.0.1:{port}") as api, anyio.create_task_group() as tg:

        async def submit() -> None:
            outcomes.append(await post(api))

        tg.start_soon(submit)
        await anyio.sleep(0.3)
        assert api.requests >= 1
        async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as late:

            async def handle(stream: anyio.abc.SocketStream) -> None:
                async with stream:
                    await stream.receive()
                    await stream.send(answer(RUN, keep=False))

            async with anyio.create_task_group() as serving:
                serving.start_soon(late.serve, handle)
                while not outcomes:
                    await anyio.sleep(0.01)
                serving.cancel_scope.cancel()

    assert isinstance(outcomes[0], Accepted)
    assert api.retries >= 1


async def test_where_nobody_ever_listens_the_endpoint_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async with client(f"http://127.0.0.1:{port}", give_up=1.0) as api:
        with pytest.raises(UnreachableError, match=f"127.0.0.1:{port}.*ConnectError"):
            await post(api)


async def test_a_server_that_speaks_no_tls_was_never_written_to() -> None:
    with raw_server(["read", "close"]) as server:
        async with client(server.url.replace("http:", "https:"), give_up=1.0) as api:
            with pytest.raises(UnreachableError):
                await post(api)
    assert BODY not in b"".join(server.requests)


async def test_a_cancelled_call_leaves_no_connection_behind_that_answers_another() -> None:
    with raw_server(["read", "hang"], ["read", answer(RUN)]) as server:
        async with client(server.url) as api:
            with anyio.move_on_after(0.3):
                await post(api)
            outcome = await post(api)

    assert isinstance(outcome, Accepted)
    assert server.connections == 2
