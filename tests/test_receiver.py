"""The application that takes callbacks: what it answers, and what it hands on."""

import itertools
import json
from typing import Any, Final

import anyio
import httpx
import pytest
from calling_back import Streamed

from batchrun.receiver.app import MOST, PATIENCE, App
from batchrun.runflow.callbacks import Ended, signature

SECRETS: Final = ("whsec_0123456789abcdef", "whsec_fedcba9876543210")
ENDED: Final = b'{"event": "run.completed", "run_id": "r-1", "status": "succeeded"}'
URL: Final = "https://me.example/batchrun"


class Taken:
    """An application, and what it handed on."""

    def __init__(self) -> None:
        self.heard: list[Ended] = []
        self.app = App(SECRETS, self.heard.append)

    async def send(self, method: str = "POST", path: str = "", **what: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as http:
            return await http.request(method, path, **what)

    async def post(self, body: bytes, secret: str = SECRETS[0], **more: Any) -> httpx.Response:
        return await self.send(content=body, headers=signed(body, secret), **more)

    @property
    def untouched(self) -> bool:
        return not self.heard and not self.app.received


def signed(body: bytes, secret: str = SECRETS[0]) -> dict[str, str]:
    return {"Runflow-Signature": signature(body, secret), "Runflow-Request-Id": "x"}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("path", ["", "/", "/batchrun/any?way=1"])
async def test_a_signed_callback_is_taken_on_any_path(secret: str, path: str) -> None:
    """A proxy may have changed the path."""
    taken = Taken()

    answer = await taken.post(ENDED, secret, path=path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Connection"] == "close"
    assert (taken.heard, taken.app.received) == ([Ended("r-1")], 1)


async def test_what_comes_twice_is_answered_well_and_counted() -> None:
    taken = Taken()

    answers = [await taken.post(ENDED) for _ in range(2)]

    assert [each.status_code for each in answers] == [204, 204]
    assert taken.app.received == 2


async def test_what_is_of_no_end_is_answered_well_too() -> None:
    """Else the service would send it again."""
    taken = Taken()

    answer = await taken.post(b'{"event": "run.started", "run_id": "r-1", "status": "running"}')

    assert answer.status_code == 204
    assert taken.heard == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Runflow-Signature": ""}, signed(ENDED, "whsec_another_secret"), signed(ENDED + b" ")],
)
async def test_what_isnt_signed_by_our_secret_changes_nothing(headers: dict[str, str]) -> None:
    taken = Taken()

    answer = await taken.send(content=ENDED, headers=headers)

    assert answer.status_code == 401
    assert taken.untouched


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_a_post_is_taken(method: str) -> None:
    taken = Taken()

    answer = await taken.send(method, content=ENDED, headers=signed(ENDED))

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert taken.untouched


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"\xff", b"[" * 10_000])
async def test_what_is_signed_and_no_json_object_changes_nothing(body: bytes) -> None:
    taken = Taken()

    answer = await taken.post(body)

    assert answer.status_code == 400
    assert taken.untouched


async def test_a_body_as_large_as_may_be_is_taken() -> None:
    taken = Taken()
    body = json.dumps({"run_id": "r-1", "status": "failed", "output": ""}).encode()
    body = body.replace(b'""', b'"' + b"x" * (MOST - len(body)) + b'"')

    assert len(body) == MOST
    assert (await taken.post(body)).status_code == 204


async def test_what_is_larger_is_refused_as_soon_as_that_is_known() -> None:
    """Whatever its length says: it comes in parts, and without end."""
    taken = Taken()
    endless = Streamed(taken.app, itertools.repeat(b"x" * 65_536))

    status = await endless.answer({**signed(ENDED), "Content-Length": "10"})

    assert status == 413
    assert endless.taken <= MOST // 65_536 + 1
    assert taken.untouched


async def test_who_sends_slowly_is_not_waited_for() -> None:
    taken, began = Taken(), anyio.current_time()
    parts = [ENDED[at : at + 1] for at in range(len(ENDED))]

    app = Streamed(taken.app, parts, between=1.0)
    status = await app.answer(signed(ENDED))

    assert status == 408
    assert anyio.current_time() - began == pytest.approx(PATIENCE)
    assert taken.untouched


async def test_who_goes_away_amid_it_changes_nothing() -> None:
    taken = Taken()

    status = await Streamed(taken.app, [ENDED[:10]], leaves=True).answer(signed(ENDED))

    assert status == 400
    assert taken.untouched


async def test_what_comes_in_parts_is_whole() -> None:
    taken = Taken()

    status = await Streamed(taken.app, [ENDED[:10], b"", ENDED[10:]]).answer(signed(ENDED))

    assert status == 204
    assert taken.heard == [Ended("r-1")]
