"""No answer is read beyond a limit, as it comes or as it is unpacked."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from batchrun.runflow.client import Client
from batchrun.runflow.http.body import TooLargeError, check_values, read_body, unpacked
from batchrun.runflow.http.client import api_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

MOST = 1_000_000
TEXT = b'{"items": []}' * 1000


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


PACKED = [
    ("", TEXT),
    ("identity", TEXT),
    ("gzip", gzip.compress(TEXT)),
    ("GZip ", gzip.compress(TEXT)),
    ("x-gzip", gzip.compress(TEXT[:5]) + gzip.compress(TEXT[5:])),
    ("deflate", zlib.compress(TEXT)),
    ("deflate", raw_deflate(TEXT)),
]


@pytest.mark.parametrize(("packing", "body"), PACKED, ids=range(len(PACKED)))
def test_an_answer_is_unpacked(packing: str, body: bytes) -> None:
    assert unpacked(body, packing, MOST, 200) == TEXT
    assert unpacked(b"", packing, MOST, 200) == b""


JSON = b'{"items": [{"id": "r1"}], "next": null}'


@pytest.mark.parametrize(
    ("packing", "body"),
    [
        ("identity, identity", JSON),
        ("identity, ,identity", b"no JSON, and not packed"),
        ("utf-8", JSON),
        ("UTF-8", b"\xef\xbb\xbf" + JSON),
        ("none", b" [] \n"),
        ("br", JSON),
        ("zstd, identity", JSON),
    ],
)
def test_a_body_that_is_json_is_read_as_it_is_whatever_word_it_is_said_to_be_packed_by(
    packing: str, body: bytes
) -> None:
    assert unpacked(body, packing, MOST, 200) == body


def test_a_word_that_says_nothing_stands_beside_one_that_does() -> None:
    assert unpacked(gzip.compress(TEXT), "identity, gzip", MOST, 200) == TEXT


def test_very_many_values_are_not_made_to_see_that_a_body_is_json() -> None:
    body = b"[" + b"[]," * (MOST // 3) + b"[]]"
    tracemalloc.start()
    try:
        assert unpacked(body, "utf-8", 2 * MOST, 200) == body
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 2 * MOST


BOMB = bytes(200 * MOST)


@pytest.mark.parametrize("packing", ["gzip", "deflate", "raw"])
def test_a_small_answer_that_would_be_a_very_large_one_is_not_unpacked(packing: str) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "raw": raw_deflate,
    }
    bomb = packs[packing](BOMB)
    assert len(bomb) < MOST
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            unpacked(bomb, "deflate" if packing == "raw" else packing, MOST, 200)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 4 * MOST


def test_the_parts_of_an_answer_are_limited_together() -> None:
    with pytest.raises(TooLargeError):
        unpacked(gzip.compress(bytes(MOST // 2 + 1)) * 2, "gzip", MOST, 200)

    assert len(unpacked(gzip.compress(bytes(MOST // 2)) * 2, "gzip", MOST, 200)) == MOST


def test_an_answer_in_very_many_parts_is_none_and_takes_no_time() -> None:
    part = gzip.compress(b"")

    assert unpacked(part * 99 + gzip.compress(TEXT), "gzip", MOST, 200) == TEXT
    with pytest.raises(httpx.DecodingError, match="100 parts"):
        unpacked(part * 200_000, "gzip", 10 * MOST, 200)


@pytest.mark.parametrize(
    "body", [b"[" + b"[]," * 50 + b"[]]", b"[" * 60, b"{" + b'"a":1,' * 60, b'[{"a":{}}' * 30]
)
def test_an_answer_of_very_many_values_is_too_large_as_it_would_be_in_memory(body: bytes) -> None:
    with pytest.raises(TooLargeError, match="with more than 50 values") as caught:
        check_values(body, 200, most=50)

    assert (caught.value.size, caught.value.http_status) == (len(body), 200)
    check_values(body, 200, most=len(body))
    check_values(b'"' + b"a" * 1000 + b'"', 200, most=50)


@pytest.mark.parametrize(
    ("packing", "body"),
    [
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(TEXT)[:-9]),
        ("deflate", zlib.compress(TEXT)[:-9]),
        ("gzip", JSON),
        ("deflate", JSON),
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
        ("gzip, utf-8", JSON),
        ("br", TEXT),
        ("zstd", TEXT),
        ("utf-8", b"<html>"),
        ("utf-8", b"[" * 100_000),
    ],
    ids=range(11),
)
def test_an_answer_that_is_cut_or_packed_otherwise_is_none(packing: str, body: bytes) -> None:
    with pytest.raises(httpx.DecodingError):
        unpacked(body, packing, MOST, 200)


class Parts(httpx.AsyncByteStream):
    """A body that comes in parts, and has no end unless it is closed."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.closed:
            self.given += 1
            yield bytes(1000)

    async def aclose(self) -> None:
        self.closed = True


async def test_a_body_without_end_is_read_to_the_limit_and_closed() -> None:
    stream = Parts()
    response = httpx.Response(200, stream=stream)

    with pytest.raises(TooLargeError) as caught:
        await read_body(response, MOST)

    assert stream.closed
    assert stream.given <= MOST // 1000 + 2
    assert (caught.value.http_status, caught.value.size > MOST) == (200, True)


@pytest.mark.parametrize(("packing", "body"), PACKED, ids=range(len(PACKED)))
async def test_a_body_is_read_and_unpacked_from_a_wire_and_without_one(
    packing: str, body: bytes
) -> None:
    headers = {"Content-Encoding": packing.strip()} if packing else {}
    from_a_wire = httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    assert await read_body(from_a_wire, MOST) == TEXT
    assert await read_body(httpx.Response(200, content=TEXT), MOST) == TEXT


async def test_a_run_whose_answer_would_be_very_large_is_asked_for_without_its_output() -> None:
    bomb, asked = gzip.compress(bytes(100 * MOST)), list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("fields", "all"))
        if len(asked) == 2:
            return httpx.Response(200, json={"id": "run-1", "status_code": "succeeded"})
        packed = httpx.ByteStream(bomb)
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=packed)

    transport = httpx.MockTransport(answer)
    async with api_client("https://fake", "key", connections=1, transport=transport) as http:
        client = Client(http, Limiter(Pace(100.0, jitter=lambda: 0.5)), give_up=5.0)
        run = await client.get_run("run-1")
        later = await client.get_run("run-1")
        assert client.answers

    assert run is not None
    assert later is not None
    assert (run.status_code, run.left_out > 64 * MOST) == ("succeeded", True)
    assert (later.known, later.left_out > 64 * MOST) == (False, True)
    assert (asked[0], "output" in asked[1].split(",")) == ("all", False)


@pytest.mark.parametrize("packing", ["utf-8", "identity, identity", "br"])
async def test_a_run_said_to_be_packed_in_an_unknown_way_is_read_as_it_is(packing: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        body = httpx.ByteStream(b'{"id": "run-1", "status_code": "succeeded"}')
        return httpx.Response(200, headers={"Content-Encoding": packing}, stream=body)

    transport = httpx.MockTransport(answer)
    async with api_client("https://fake", "key", connections=1, transport=transport) as http:
        client = Client(http, Limiter(Pace(100.0, jitter=lambda: 0.5)), give_up=5.0)
        run = await client.get_run("run-1")

    assert run is not None
    assert run.status_code == "succeeded"
    assert len(asked) == 1


@pytest.mark.parametrize("announced", [None, "3000000000", "x", "9" * 40])
async def test_the_size_that_an_answer_announces_is_named(announced: str | None) -> None:
    headers = {} if announced is None else {"Content-Length": announced}
    response = httpx.Response(200, headers=headers, stream=Parts())

    with pytest.raises(TooLargeError) as caught:
        await read_body(response, MOST)

    assert caught.value.said == (
        "2.8 GiB or more" if announced == "3000000000" else "977.5 KiB or more"
    )
