"""Descriptions are asked for side by side, and no service that is slow or lies ends a call."""

from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import anyio
import httpx

from batchrun.catalogue.asking import AT_ONCE, EACH, LONGEST, ask, read_ids, read_list
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
BODY = {"slug": "a/b", "inputs": []}
ABSENT = {"code": "NOT_FOUND", "message": "no such model", "errors": None}


def client(answer: Handler, key: str | None = "rf_live_test") -> Client:
    http = api_client(
        "https://api.example",
        key,
        connections=4,
        transport=httpx.MockTransport(answer),  # type: ignore[arg-type]  # either kind
    )
    return Client(http, Limiter(Pace(1000.0, jitter=Random(1).random)), give_up=5.0)


async def test_a_model_that_the_service_does_not_know_is_an_answer() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        known = request.url.path == "/v1/models/a/b"
        return httpx.Response(200, json=BODY) if known else httpx.Response(404, json=ABSENT)

    answers = await ask(client(answer), ["a/b", "a/c", "a/b"])

    assert answers.bodies == {"a/b": BODY, "a/c": None}
    assert answers.failed == {}


async def test_each_model_is_asked_for_once_and_a_handful_side_by_side() -> None:
    asked, under_way, most = Counter[str](), 0, 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        asked[request.url.path] += 1
        under_way += 1
        most = max(most, under_way)
        await anyio.sleep(1.0)
        under_way -= 1
        return httpx.Response(200, json=BODY)

    begun = anyio.current_time()
    models = [f"a/{number}" for number in range(3 * AT_ONCE)]
    await ask(client(answer), [*models, *models])

    assert asked == {f"/v1/models/{model}": 1 for model in models}
    assert most == AT_ONCE
    assert anyio.current_time() - begun < 4.0


async def test_one_model_that_hangs_keeps_no_other_from_being_known() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/hangs"):
            await anyio.sleep_forever()
        return httpx.Response(200, json=BODY)

    begun = anyio.current_time()
    answers = await ask(client(answer), ["a/hangs", "a/b"])

    assert answers.bodies == {"a/b": BODY}
    assert answers.failed == {"a/hangs": "no answer within 10 s"}
    assert anyio.current_time() - begun < EACH + 1


async def test_a_service_that_hangs_is_waited_for_once_however_many_models_there_are() -> None:
    async def answer(_request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    begun = anyio.current_time()
    models = [f"a/{number}" for number in range(50)]
    answers = await ask(client(answer), models)

    assert answers.bodies == {}
    assert sorted(answers.failed) == sorted(models)
    assert anyio.current_time() - begun <= LONGEST


async def test_no_refusal_is_an_error() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/auth/me":
            return httpx.Response(200, json={})
        status = int(request.url.path.rpartition("/")[2])
        return httpx.Response(status, json={"code": "SOME", "message": "words", "errors": None})

    for status in (400, 401, 402, 403, 405, 410, 422, 451, 500, 501, 503):
        answers = await ask(client(answer), [f"a/{status}"])
        assert answers.bodies == {}
        assert answers.failed[f"a/{status}"]


async def test_what_is_no_description_is_not_known() -> None:
    answers = await ask(client(lambda _: httpx.Response(200, json=["a/b"])), ["a/b"])

    assert "not an answer of the API" in answers.failed["a/b"]


def pages(*contents: list[Any], last: str | None = None) -> Callable[[Any], httpx.Response]:
    """Return a service whose list has these pages, and *last* as the cursor of the last one."""

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("pq", "0"))
        after = str(number + 1) if number + 1 < len(contents) else last
        items = [{"slug": slug} for slug in contents[number]]
        return httpx.Response(200, json={"items": items, "next": after})

    return answer


async def test_a_list_is_read_to_its_end() -> None:
    found = await read_list(client(pages(["a/1", "a/2"], ["a/3"])))

    assert list(found.models) == ["a/1", "a/2", "a/3"]
    assert found.whole


async def test_half_a_list_is_not_the_list() -> None:
    whole = pages(["a/1"], ["a/2"])

    def half(request: httpx.Request) -> httpx.Response:
        if "pq" in request.url.params:
            return httpx.Response(400, json=ABSENT)
        return whole(request)

    found = await read_list(client(half))

    assert list(found.models) == ["a/1"]
    assert not found.whole


async def test_a_list_in_a_circle_has_no_end() -> None:
    found = await read_list(client(pages(["a/1"], ["a/2"], last="0")))

    assert found.why == "it has no end that could be found"


async def test_a_list_with_an_id_that_can_not_be_read_is_not_whole() -> None:
    found = await read_list(client(pages(["a/1", "two"])))

    assert found.why == "1 of its entries have no id that can be read"


async def test_a_list_that_hangs_is_not_waited_for() -> None:
    async def answer(_request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    begun = anyio.current_time()
    found = await read_ids(client(answer))

    assert not found.whole
    assert found.failed is not None
    assert anyio.current_time() - begun <= LONGEST + 1


async def test_ids_are_asked_for_alone_where_the_service_takes_that() -> None:
    asked: list[str | None] = []

    def takes(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("fields"))
        return pages(["a/1"])(request)

    def refuses(request: httpx.Request) -> httpx.Response:
        answer = takes(request)
        return httpx.Response(422, json=ABSENT) if "fields" in request.url.params else answer

    for service in (takes, refuses):
        assert (await read_ids(client(service))).models == {"a/1": {"slug": "a/1"}}

    assert asked == ["id,slug", "id,slug", None]


async def test_the_public_list_is_asked_for_without_a_key() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/public/models"
        assert "Authorization" not in request.headers
        return pages(["a/1"])(request)

    assert (await read_list(client(answer, None), public=True)).whole
