"""Requests are what httpx would build, but joined once; and never carry what was told by others."""

import json
from collections.abc import Callable

import httpx
import pytest

from batchrun.runflow.http.client import TIMEOUT, api_client
from batchrun.runflow.http.requests import Requests

KEY = "rf_live_canary_0123456789"
ENDPOINTS = [
    "https://api.example",
    "https://api.example:8443/prefix",
    "http://127.0.0.1:8000",
    "http://[::1]:8000/x/",
    "https://bücher.example",
]
PATHS = ["/v1/runs/r1", "/v1/runs/a%2Fb", "/v1/models/a/b%20c/d%252e/runs", "/v1/models/a/.../runs"]


def http(endpoint: str, answer: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return api_client(endpoint, KEY, connections=1, transport=httpx.MockTransport(answer))


def same(ours: httpx.Request, theirs: httpx.Request) -> None:
    assert (ours.method, ours.url, ours.content) == (theirs.method, theirs.url, theirs.content)
    assert sorted(ours.headers.multi_items()) == sorted(theirs.headers.multi_items())
    assert ours.extensions == theirs.extensions == {"timeout": TIMEOUT.as_dict()}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("path", PATHS)
def test_a_request_is_just_what_httpx_would_send(endpoint: str, path: str) -> None:
    client = http(endpoint, lambda _: httpx.Response(200))
    requests, build = Requests(client), client.build_request
    asked = {"q": "client_ref.EQ:'br1.ü.1'", "sort_by": "created_at:asc", "pq": "a&b=c+d e%20"}
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k-1"}

    same(requests.get(path), build("GET", path))
    same(requests.get(path, asked), build("GET", path, params=asked))
    same(requests.post(path, b"{}"), build("POST", path, json={}))
    same(
        requests.post(path, b'{"input":{}}', idempotency_key="k-1"),
        build("POST", path, content=b'{"input":{}}', headers=headers),
    )


def test_one_request_leaves_nothing_behind_for_the_next() -> None:
    requests = Requests(http("https://api.example", lambda _: httpx.Response(200)))

    first = requests.post("/v1/x", b"12345", idempotency_key="k-1")
    second = requests.post("/v1/x", b"1")
    first.headers["X-More"] = "more"
    asked = requests.get("/v1/x")

    assert "Idempotency-Key" not in second.headers
    assert second.headers["Content-Length"] == "1"
    assert not {"Idempotency-Key", "Content-Length", "Content-Type", "X-More"} & set(asked.headers)
    assert not asked.headers.keys() & {"idempotency-key", "content-length", "x-more"}


async def test_a_cookie_that_the_service_sets_is_not_sent_back() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, headers={"Set-Cookie": "who=you; Path=/"}, json={})

    client = http("https://api.example", answer)
    requests = Requests(client)
    for _ in range(2):
        response = await client.send(requests.get("/v1/x"))
        assert json.loads(response.content) == {}

    assert not [headers for headers in seen if "Cookie" in headers]
