"""The transport on real sockets: as httpx's own reads and fails, but for what it is faster by."""

import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
import trustme
from raw_server import RawServer, Script, answer, raw_server

from batchrun.runflow.http import connection
from batchrun.runflow.http.body import TooLargeError, read_body
from batchrun.runflow.http.certificates import NoWayError
from batchrun.runflow.http.client import api_client
from batchrun.runflow.http.connection import Connection
from batchrun.runflow.http.routed import Routed
from batchrun.runflow.http.transport import ApiTransport
from batchrun.runflow.one_send import FAILED, NEVER_WRITTEN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
    # httpx drops its own generators where it can't unpack an answer.
    pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning"),
]

KEY = "rf_live_0123456789"
RUN = b'{"id": "r1"}'
OK = answer(RUN)
HEAD = b"HTTP/1.1 200 OK\r\n"
PACKED = zlib.compress(RUN)
LARGE = b"x" * 20_000_000
PATIENT = httpx.Timeout(600.0)


@asynccontextmanager
async def client(
    url: str, *, keep: int = 8, expiry: float = 3.0
) -> AsyncIterator[httpx.AsyncClient]:
    """The product's client, which waits as long as a busy machine needs."""
    over = ApiTransport(httpx.URL(url), tls=None, keep=keep, expiry=expiry)
    async with api_client(url, KEY, connections=keep, transport=over) as http:
        http.timeout = PATIENT
        yield http


def free(http: httpx.AsyncClient) -> int:
    assert isinstance(http._transport, ApiTransport)
    return len(http._transport._free)


async def outcome(http: httpx.AsyncClient, body: bytes = b"{}") -> tuple[Any, ...]:
    """What a POST comes to: the whole answer, or the error's class."""
    try:
        got = await http.post("/v1/models/a/b/runs", content=body, follow_redirects=False)
    except (httpx.HTTPError, OSError) as error:
        return (type(error),)
    return got.status_code, got.reason_phrase, got.http_version, got.headers.raw, got.content


ANSWERS: dict[str, Script] = {
    "whole": ["read", OK, "hang"],
    "in pieces": ["read", OK[:5], OK[5:40], OK[40:-3], OK[-3:], "hang"],
    "empty": ["read", b"HTTP/1.1 204 No Content\r\n\r\n", "hang"],
    "another spelling of headers": [
        "read",
        HEAD + b"cOnTeNt-LENGTH: 2\r\nX-Twice: a\r\nX-Twice: b\r\nX-Latin: caf\xe9\r\n\r\n{}",
        "hang",
    ],
    "chunked": [
        "read",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n6\r\n" + RUN[:6] + b"\r\n",
        b"6;x=y\r\n" + RUN[6:] + b"\r\n0\r\nTrailer: t\r\n\r\n",
        "hang",
    ],
    "chunked and cut": ["read", HEAD + b"Transfer-Encoding: chunked\r\n\r\n6\r\nab", "close"],
    "no such chunk": ["read", HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n", "close"],
    "packed": [
        "read",
        HEAD + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
        "hang",
    ],
    "packed badly": [
        "read",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
        "hang",
    ],
    "until it closes": ["read", HEAD + b"\r\n" + RUN, "close"],
    "until it resets": ["read", HEAD + b"\r\n" + RUN, "reset"],
    "of HTTP/1.0": ["read", b"HTTP/1.0 200 Fine\r\n\r\n" + RUN, "close"],
    "more than announced": ["read", OK + b"more", "hang"],
    "less than announced": ["read", answer(RUN, announced=99), "close"],
    "less than announced, and no end": ["read", answer(RUN, announced=99), "hang"],
    "continue first": ["read", b"HTTP/1.1 100 Continue\r\n\r\n", OK, "hang"],
    "early hints first": ["read", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, "hang"],
    "another protocol": ["read", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "hang"],
    "a redirect": ["read", b"HTTP/1.1 307 T\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "hang"],
    "not HTTP": ["read", b"SSH-2.0-OpenSSH\r\n", "close"],
    "two lengths": ["read", HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "hang"],
    "an endless head": ["read", HEAD + b"X: " + b"x" * 200_000, "hang"],
    "nothing": ["read", "close"],
    "nothing, and no end": ["read", "hang"],
    "a reset": ["read", "reset"],
    "a close before it was asked": ["close"],
    "an answer before it was asked": [OK, "read", "hang"],
}


ENDLESS = {"less than announced, and no end", "nothing, and no end"}
"""Only a time-out ends these."""


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_what_it_is_to_httpx_itself(name: str) -> None:
    patience = httpx.Timeout(600.0, read=0.5 if name in ENDLESS else 600.0)
    with raw_server(ANSWERS[name]) as server:
        async with client(server.url) as http:
            http.timeout = patience
            ours = await outcome(http)
        asked = server.connections
        async with api_client(
            server.url, KEY, connections=2, transport=httpx.AsyncHTTPTransport()
        ) as http:
            http.timeout = patience
            theirs = await outcome(http)

    assert ours == theirs or _cut(ours, theirs), f"{ours} is not {theirs}"
    assert asked == 1, "nothing is sent twice"


def _cut(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> bool:
    """A close and a reset race with the request: either may be noticed first."""
    broken: tuple[type[Exception], ...] = (httpx.ReadError, httpx.RemoteProtocolError)
    return ours[0] in broken and theirs[0] in broken


@pytest.mark.parametrize("end", ["reset", "close", "hang"])
async def test_an_answer_to_half_of_a_large_request_ends_it(end: str) -> None:
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    early: Script = [refused, end]
    with raw_server(early, ["read", OK]) as server:
        async with client(server.url) as http:
            http.timeout = httpx.Timeout(600.0, write=1.0)
            first = await outcome(http, LARGE)
            second = await outcome(http)

    # A reset may overtake the end of connecting, or the answer.
    assert first[0] in {413, httpx.ReadError, httpx.WriteTimeout, httpx.ConnectError}
    assert second[0] == 201
    assert server.connections == 2, "the half-used connection was not used again"


class Broken:
    """A connection that fails at *step* with *error*."""

    def __init__(self, step: str, error: Exception) -> None:
        self._step = step
        self._error = error

    async def read(self, most: int, seconds: float | None) -> bytes:
        if self._step == "read":
            raise self._error
        return b""

    async def write(self, data: bytes, seconds: float | None) -> None:
        if self._step == "write":
            raise self._error

    def readable(self) -> bool:
        return False

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("step", ["read", "write", "neither"])
@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError("x"),
        httpx.ReadTimeout("x"),
        httpx.WriteError("x"),
        httpx.WriteTimeout("x"),
        OSError("x"),
        TimeoutError("x"),
    ],
)
async def test_no_error_of_a_connection_once_made_reads_as_never_written(
    step: str, error: Exception
) -> None:
    connection = Connection(Broken(step, error), expiry=1.0)
    request = httpx.Request("POST", "http://127.0.0.1/", content=b"{}")

    with pytest.raises(FAILED) as raised:
        await connection.exchange(request)

    assert not isinstance(raised.value, NEVER_WRITTEN)
    assert not connection.free()


async def test_what_fails_before_there_is_a_connection_was_never_written() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with client(f"http://127.0.0.1:{port}") as http:
        assert await outcome(http) == (httpx.ConnectError,)
    async with client("https://no-such-host.invalid") as http:
        assert await outcome(http) == (httpx.ConnectError,)


async def test_a_body_longer_than_announced_answers_no_other_request() -> None:
    with raw_server(["read", OK + OK.replace(b"r1", b"r2"), "hang"], ["read", OK]) as server:
        async with client(server.url) as http:
            first = await outcome(http)
            second = await outcome(http)

    assert (first[-1], second[-1]) == (RUN, RUN)
    assert server.connections == 2


async def test_what_comes_unasked_on_an_idle_connection_answers_no_request() -> None:
    unasked = b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n"
    with raw_server(["read", OK, "wait", unasked, "hang"], ["read", OK, "hang"]) as server:
        async with client(server.url) as http:
            await outcome(http)
            while unasked not in server.done:
                await anyio.sleep(0.01)
            await anyio.sleep(0.2)
            second = await outcome(http)

    assert second[0] == 201
    assert server.connections == 2


@pytest.mark.parametrize("busy", [False, True], ids=["noticed", "while the loop was busy"])
async def test_a_connection_that_was_closed_meanwhile_is_not_used_again(*, busy: bool) -> None:
    with raw_server(["read", OK, "close"]) as server:
        async with client(server.url) as http:
            await outcome(http)
            while busy and "close" not in server.done:
                time.sleep(0.01)  # noqa: ASYNC251  (the loop doesn't hear of the closing)
            while "close" not in server.done:
                await anyio.sleep(0.01)
            time.sleep(0.2) if busy else await anyio.sleep(0.2)  # noqa: ASYNC251  (likewise)
            second = await outcome(http)

    assert second[0] == 201
    assert server.connections == 2


async def test_the_connection_last_used_is_used_first_and_the_others_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: now))
    script: Script = ["read", OK, "read", OK, "read", OK, "read", OK, "read", OK, "hang"]
    with raw_server(script) as server:
        async with client(server.url, expiry=0.5) as http:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(outcome, http)
            opened, kept = server.connections, free(http)
            for _ in range(4):
                now += 0.2
                await outcome(http)
            left = free(http)

    assert opened == kept == 4
    assert server.connections == 4
    assert left == 1


async def test_an_expired_connection_is_not_used_again() -> None:
    with raw_server(["read", OK, "hang"]) as server:
        async with client(server.url, expiry=0.1) as http:
            await outcome(http)
            await anyio.sleep(0.2)
            await outcome(http)

        assert server.connections == 2


async def test_calls_never_queue_for_a_connection_and_few_are_kept() -> None:
    with raw_server(["read", "hang"]) as server:
        async with client(server.url, keep=3) as http:
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(outcome, http)
                while len(server.requests) < 100:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            assert free(http) == 0
    with raw_server(["read", OK, "hang"]) as server:
        async with client(server.url, keep=3) as http:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(outcome, http)
            assert free(http) <= 3


@pytest.mark.parametrize("came", [b"", OK[:20], OK[:-3]], ids=["nothing", "head", "body"])
async def test_a_cancelled_request_closes_its_connection(came: bytes) -> None:
    outcomes: list[Any] = []
    with raw_server(["read", came, "hang"], ["read", OK, "hang"]) as server:
        async with client(server.url) as http:

            async def ended() -> None:
                outcomes.append(await outcome(http))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ended)
                while came not in server.done:
                    await anyio.sleep(0.01)
                await anyio.sleep(0.1)
                tasks.cancel_scope.cancel()
            while not server.closed:
                await anyio.sleep(0.01)
            second = await outcome(http)

    assert outcomes == []
    assert second[0] == 201
    assert server.connections == 2


async def test_a_cancelled_sending_closes_its_connection() -> None:
    with Silent() as url:
        async with client(url) as http:
            with anyio.move_on_after(0.2) as scope:
                await outcome(http, LARGE)
            assert free(http) == 0

    assert scope.cancelled_caught


async def test_every_step_has_its_own_time_out() -> None:
    with raw_server(["read", "hang"]) as server:
        async with client(server.url) as http:
            http.timeout = httpx.Timeout(600.0, read=0.2)
            assert await outcome(http) == (httpx.ReadTimeout,)
    with Silent() as url:
        async with client(url) as http:
            http.timeout = httpx.Timeout(600.0, write=0.2)
            assert await outcome(http, LARGE) == (httpx.WriteTimeout,)
        async with client(url.replace("http:", "https:")) as http:
            assert isinstance(http._transport, ApiTransport)
            http._transport._tls = ssl.create_default_context()
            http.timeout = httpx.Timeout(600.0, connect=0.2)
            assert await outcome(http) == (httpx.ConnectTimeout,)


class Silent:
    """Takes connections, and never reads or says anything."""

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listener.close()


async def test_an_answer_without_bounds_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_BYTES", 1000)
    endless: Script = ["read", HEAD + b"\r\n", *[b"x" * 900] * 10_000]
    ended: Script = ["read", HEAD + b"\r\n" + b"x" * 1000, "close"]
    with raw_server(endless, ended) as server:
        async with client(server.url) as http:
            assert await outcome(http) == (TooLargeError,)
            assert (await outcome(http))[0] == 200


@pytest.mark.parametrize("length", [b"", b"Content-Length: 2000000\r\n"])
async def test_the_headers_of_an_answer_that_is_cut_are_kept(
    monkeypatch: pytest.MonkeyPatch, length: bytes
) -> None:
    monkeypatch.setattr(connection, "MOST_BYTES", 1000)
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n" + length
    with raw_server(["read", head + b"\r\n" + b"x" * 2000, "close"]) as server:
        async with client(server.url) as http:
            with pytest.raises(TooLargeError) as caught:
                await http.post("/v1/runs", content=b"{}")

    assert (caught.value.http_status, caught.value.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("own", [True, False])
async def test_a_body_is_read_to_the_limit_by_each_transport(*, own: bool) -> None:
    endless: Script = ["read", HEAD + b"\r\n", *[b"x" * 900] * 10_000]
    told = HEAD + b"Content-Encoding: deflate\r\n\r\n"
    bomb: Script = ["read", told + zlib.compress(bytes(1_000_000)), "close"]
    usual: Script = ["read", told + PACKED, "close"]
    with raw_server(endless, bomb, usual) as server:
        url = httpx.URL(server.url)
        over = (
            ApiTransport(url, tls=None, keep=1, expiry=3.0) if own else httpx.AsyncHTTPTransport()
        )
        async with httpx.AsyncClient(transport=over, timeout=PATIENT) as http:
            for _ in range(2):
                with pytest.raises(TooLargeError):
                    await received(http, server.url)
            assert await received(http, server.url) == RUN


async def received(http: httpx.AsyncClient, url: str) -> bytes:
    return await read_body(await http.send(http.build_request("GET", url), stream=True), 10_000)


async def test_a_large_answer_is_read_whole() -> None:
    large: Script = ["read", answer(LARGE)]
    with raw_server(large) as server:
        async with client(server.url) as http:
            assert (await outcome(http))[-1] == LARGE


async def test_a_large_request_arrives_whole() -> None:
    with raw_server(["read", OK, "hang"]) as server:
        async with client(server.url) as http:
            assert (await outcome(http, LARGE))[0] == 201
        assert server.requests == [LARGE]


async def test_neither_a_cookie_nor_a_redirect_is_followed() -> None:
    cookie = b"Set-Cookie: session=canary; Path=/\r\nLocation: /elsewhere\r\n"
    redirect = b"HTTP/1.1 302 Found\r\n" + cookie + b"Content-Length: 0\r\n\r\n"
    with raw_server(["read", redirect, "read", OK, "hang"]) as server:
        async with client(server.url) as http:
            first, second = await outcome(http), await outcome(http)

    assert (first[0], second[0]) == (302, 201)
    assert len(server.heads) == 2
    assert not [head for head in server.heads if b"canary" in head or b"elsewhere" in head]


async def test_a_request_arrives_as_httpx_would_send_it() -> None:
    with raw_server(["read", OK, "hang"]) as server:
        async with client(server.url) as http:
            await outcome(http)
        async with api_client(
            server.url, KEY, connections=2, transport=httpx.AsyncHTTPTransport()
        ) as http:
            await outcome(http)

    assert server.heads[0] == server.heads[1]
    assert b"Authorization: Bearer " in server.heads[0]


@asynccontextmanager
async def over_tls(
    authority: trustme.CA, trusted: trustme.CA, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, RawServer]]:
    """A client that trusts *trusted*, by SSL_CERT_FILE; a server that *authority* vouches for."""
    trusted.cert_pem.write_to_path(folder / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with raw_server(["read", OK, "read", OK, "hang"], tls=context) as server:
        async with api_client(server.url, KEY, connections=2) as http:
            assert isinstance(http._transport, ApiTransport)
            http.timeout = PATIENT
            yield http, server


async def test_tls_is_checked_by_the_certificates_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    async with over_tls(authority, authority, tmp_path, monkeypatch) as (http, server):
        first, second = await outcome(http, LARGE), await outcome(http)

    assert (first[0], second[0], first[2]) == (201, 201, "HTTP/1.1")
    assert server.connections == 1
    assert server.requests == [LARGE, b"{}"]


async def test_a_certificate_that_nobody_vouches_for_gets_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with over_tls(trustme.CA(), trustme.CA(), tmp_path, monkeypatch) as (http, server):
        assert await outcome(http) == (NoWayError,)

    assert server.requests == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_where_there_is_a_proxy_httpx_takes_the_way_through_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")

    remote = api_client("https://api.example", KEY, connections=1)
    local = api_client("http://127.0.0.1:8000", KEY, connections=1)

    assert isinstance(remote._transport, Routed)
    assert isinstance(local._transport, ApiTransport)
