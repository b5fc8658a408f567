"""Batches: the bytes that are sent, what is read from answers, and what each answer means."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.errors import BatchrunError, KeyRefusedError, NotPermittedError, OutOfCreditError
from batchrun.runflow.batches import Item, batch_body, parse_batch
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client
from batchrun.runflow.post_outcomes import (
    AcceptedBatch,
    BatchOutcome,
    BatchUnsupported,
    Conflicted,
    ForeignResponse,
    InDoubt,
    NotSent,
    judge_batch,
)
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

KEY = "rf_live_canary_0123456789"
BODY = b'{"input":[{"client_ref":"w"}]}'
FLAT = {"code": "SOME_CODE", "message": "some words", "errors": None}
BATCH = {
    "id": "b1",
    "target_type": "model",
    "status_code": "queued",
    "items_total": 2,
    "metadata": {"batchrun": {"sweep": "s"}},
    "created_at": "2026-05-01T14:00:00+02:00",
    "items": [
        {"id": "i1", "sequence_index": 1, "run_id": "r1", "status_code": "queued"},
        {"id": "i0", "sequence_index": 0, "run_id": "r0", "status_code": "failed"},
    ],
}


def client(handler: Callable[[httpx.Request], httpx.Response]) -> Client:
    http = api_client(
        "https://api.example", KEY, connections=4, transport=httpx.MockTransport(handler)
    )
    return Client(http, Limiter(Pace(100.0, jitter=random.Random(1).random)), give_up=600.0)


async def post(api: Client) -> BatchOutcome:
    return await api.create_batch("a/b c", BODY, idempotency_key="k-1")


def items_of(*items: Any) -> list[tuple[int, str | None]]:
    batch = parse_batch({"id": "b", "items": list(items)})
    return [(item.index, item.run_id) for item in batch.items]


# --- the bytes


def test_a_body_has_the_inputs_in_order_each_with_the_reference_and_the_same_bytes() -> None:
    one = batch_body([{"b": 1, "a": "é"}, {"a": 2}], client_ref="br1.x.1", metadata={"k": [1]})
    two = batch_body([{"a": "é", "b": 1}, {"a": 2}], client_ref="br1.x.1", metadata={"k": [1]})

    assert one == two
    assert one == (
        b'{"input":[{"a":"\\u00e9","b":1,"client_ref":"br1.x.1"},{"a":2,"client_ref":"br1.x.1"}],'
        b'"metadata":{"k":[1]}}'
    )


def test_a_body_without_metadata_has_none_and_the_inputs_are_left_as_they_were() -> None:
    inputs = {"a": 1}

    body = json.loads(batch_body([inputs], client_ref="r", metadata=None))

    assert body == {"input": [{"a": 1, "client_ref": "r"}]}
    assert inputs == {"a": 1}


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_of_a_size_that_the_api_refuses_is_never_built(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        batch_body([{}] * count, client_ref="r", metadata=None)


def test_a_hundred_inputs_are_a_batch() -> None:
    body = json.loads(batch_body([{}] * 100, client_ref="r", metadata=None))

    assert body["input"] == [{"client_ref": "r"}] * 100


def test_an_input_called_client_ref_would_be_lost_in_a_batch_and_nan_is_never_sent() -> None:
    with pytest.raises(ValueError, match="client_ref"):
        batch_body([{}, {"client_ref": "the model's own"}], client_ref="r", metadata=None)
    with pytest.raises(ValueError, match="JSON"):
        batch_body([{"x": float("nan")}], client_ref="r", metadata=None)


# --- what is read


def test_a_batch_is_read_with_its_items_where_they_belong() -> None:
    batch = parse_batch(BATCH)

    assert (batch.id, batch.status_code) == ("b1", "queued")
    assert batch.metadata == {"batchrun": {"sweep": "s"}}
    assert batch.created_at == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert batch.items == (
        Item(index=1, run_id="r1", status_code="queued"),
        Item(index=0, run_id="r0", status_code="failed"),
    )


def test_an_item_tells_why_it_failed_in_either_shape_and_its_reference() -> None:
    flat = {"failure_code": "C", "failure_message": "m", "client_ref": "w"}
    nested = {"error": {"code": "C", "message": "m"}, "client_ref": "w"}

    for shape in (flat, nested):
        (item,) = parse_batch({"id": "b", "items": [shape]}).items
        assert (item.failure_code, item.failure_message, item.client_ref) == ("C", "m", "w")


@pytest.mark.parametrize("told", ["canceled", "cancelled", "CANCELED "])
def test_cancelled_is_one_word_for_a_batch_and_its_items(told: str) -> None:
    batch = parse_batch({"batch_id": "b", "status": told, "items": [{"status": told}]})

    assert (batch.status_code, batch.items[0].status_code) == ("cancelled", "cancelled")


@pytest.mark.parametrize("items", [None, [], {}, "none", 7, [None], ["r1"]])
def test_a_batch_without_items_that_can_be_read_is_a_batch(items: Any) -> None:
    assert parse_batch({"id": "b", "items": items}).items == ()
    assert parse_batch({"id": "b"}).items == ()


def test_a_run_is_found_inside_its_item_too_and_an_item_may_have_none() -> None:
    assert items_of({"run": {"id": "r0"}}, {"run_id": None, "run": None}, {}) == [
        (0, "r0"),
        (1, None),
        (2, None),
    ]


def test_items_that_do_not_tell_their_place_are_in_the_order_sent() -> None:
    assert items_of({"run_id": "r0"}, "?", {"run_id": "r2"}) == [(0, "r0"), (2, "r2")]


def test_where_some_tell_their_place_the_others_are_nowhere() -> None:
    assert items_of({"run_id": "r?"}, {"run_id": "r0", "sequence_index": 0}) == [(0, "r0")]


def test_two_items_that_claim_one_place_are_both_nowhere() -> None:
    at = [{"run_id": f"r{n}", "sequence_index": place} for n, place in enumerate((0, 1, 1, -1))]

    assert items_of(*at) == [(0, "r0")]


@pytest.mark.parametrize("body", [None, [], "b1", {}, {"id": ""}, {"items": []}])
def test_what_has_no_id_is_no_batch(body: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_batch(body)


# --- what each answer means


def expected(status: int, *, enveloped: bool, bare: bool) -> type:
    if status == 408 or status >= 500:
        return InDoubt
    if status == 409:
        return Conflicted
    if bare and status in {404, 405}:
        return BatchUnsupported
    if not enveloped:
        return ForeignResponse
    stops = {401: KeyRefusedError, 402: OutOfCreditError, 403: NotPermittedError}
    return stops.get(
        status, BatchUnsupported if status in {400, 404, 405, 413, 422} else ForeignResponse
    )


@pytest.mark.parametrize(
    ("body", "enveloped", "bare"),
    [
        (FLAT, True, False),
        ({"error": FLAT}, True, False),
        ({"detail": [{"loc": ["body", "input"], "msg": "not a batch model"}]}, True, False),
        ({"detail": "Not Found"}, False, True),
        ({"detail": "Method Not Allowed"}, False, True),
        ({"detail": "Not Found", "instance": "/v1"}, False, False),
        ({"detail": ["Not Found"], "title": "Not Found"}, False, False),
        ({"message": "Not Found"}, False, False),
        ("<html>Not Found</html>", False, False),
        ("Not Found", False, False),
        (None, False, False),
        ("", False, False),
    ],
)
async def test_every_status_of_a_batch_means_what_the_table_says_and_is_sent_once(
    body: Any, *, enveloped: bool, bare: bool
) -> None:
    content = {"json": body} if not isinstance(body, str) else {"text": body}
    asked = 0

    def handle(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(status, **content)

    api = client(handle)
    for number, status in enumerate((*range(300, 429), *range(430, 600)), 1):
        meaning = expected(status, enveloped=enveloped, bare=bare)
        if issubclass(meaning, Exception):
            with pytest.raises(meaning):
                await post(api)
        else:
            assert type(await post(api)) is meaning, status
        assert asked == number, f"{status} was sent again"


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("items", [BATCH["items"], None, []])
async def test_any_2xx_with_a_batch_id_is_accepted_whatever_it_tells_of_items(
    status: int, items: Any
) -> None:
    outcome = await post(client(lambda _: httpx.Response(status, json=BATCH | {"items": items})))

    assert isinstance(outcome, AcceptedBatch)
    assert outcome.batch.id == "b1"
    assert len(outcome.batch.items) == len(items or ())


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(204),
        httpx.Response(201, text='{"id": "b'),
        httpx.Response(201, json={"items": BATCH["items"]}),
        httpx.Response(201, json=[BATCH]),
        httpx.Response(200, text="<html>Welcome to the hotel</html>"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout(""),
        httpx.WriteError("broken pipe"),
        OSError("TLS"),
    ],
)
async def test_an_answer_without_an_id_or_lost_is_in_doubt_and_never_sent_again(
    answer: httpx.Response | Exception,
) -> None:
    events: list[str] = []

    def handle(_: httpx.Request) -> httpx.Response:
        events.append("sent")
        if isinstance(answer, Exception):
            raise answer
        return answer

    outcome = await client(handle).create_batch(
        "a/b",
        BODY,
        idempotency_key="k",
        on_departure=lambda: events.append("leaves"),
        on_nothing=lambda: events.append("nothing"),
    )

    assert isinstance(outcome, InDoubt)
    assert events == ["leaves", "sent"]


@pytest.mark.parametrize("fault", [httpx.Response(429, json=FLAT), httpx.ConnectError("refused")])
async def test_what_was_never_taken_is_sent_again_byte_for_byte(
    fault: httpx.Response | Exception,
) -> None:
    asked: list[httpx.Request] = []
    events: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) > 2:
            return httpx.Response(201, json=BATCH)
        if isinstance(fault, Exception):
            raise fault
        return httpx.Response(fault.status_code, content=fault.content)

    outcome = await client(handle).create_batch(
        "a/b c",
        BODY,
        idempotency_key="k-1",
        on_departure=lambda: events.append("leaves"),
        on_nothing=lambda: events.append("nothing"),
    )

    assert isinstance(outcome, AcceptedBatch)
    assert events == ["leaves", "nothing", "leaves", "nothing", "leaves"]
    assert {request.content for request in asked} == {BODY}
    assert {request.headers["Idempotency-Key"] for request in asked} == {"k-1"}
    assert {request.headers["Content-Type"] for request in asked} == {"application/json"}
    assert {request.url.raw_path for request in asked} == {b"/v1/models/a/b%20c/batches"}


async def test_a_batch_that_may_not_leave_any_more_is_withheld() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise AssertionError("was sent")

    outcome = await client(handle).create_batch(
        "a/b", BODY, idempotency_key="k", may_leave=lambda: False
    )

    assert outcome == NotSent()


async def test_a_batch_is_asked_for_by_its_id_and_a_404_of_the_api_is_none() -> None:
    shown = BATCH | {"id": "b/1"}

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.raw_path == b"/v1/batches/b%2F1":
            return httpx.Response(200, json=shown)
        return httpx.Response(404, json=FLAT)

    api = client(handle)

    assert await api.get_batch("b/1") == parse_batch(shown)
    assert await api.get_batch("b2") is None


async def test_an_answer_that_is_no_batch_is_asked_for_again() -> None:
    answers = iter([{"no": "id"}, {"detail": "Not Found"}, BATCH])
    statuses = iter([200, 404, 200])

    batch = await client(lambda _: httpx.Response(next(statuses), json=next(answers))).get_batch(
        "b1"
    )

    assert batch == parse_batch(BATCH)


async def test_a_key_that_is_echoed_reaches_nobody() -> None:
    item = {"sequence_index": 0, "run_id": "r", "error": {"message": f"you sent {KEY}"}}
    echo = BATCH | {"metadata": {"echo": KEY}, "items": [item]}
    refused = {"code": "BAD", "message": f"you sent {KEY}"}

    accepted = await post(client(lambda _: httpx.Response(201, json=echo)))
    asked = await client(lambda _: httpx.Response(200, json=echo)).get_batch("b1")
    not_taken = await post(client(lambda _: httpx.Response(422, json=refused)))

    assert isinstance(accepted, AcceptedBatch)
    assert isinstance(not_taken, BatchUnsupported)
    for told in (accepted, asked, not_taken):
        assert "[key]" in repr(told)
        assert KEY not in repr(told)


# --- nothing whatever breaks it

NAMES = "id batch_id run_id run items sequence_index status_code error message code detail"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES.split(" ")), below, max_size=6)
    ),
    max_leaves=20,
)


@given(status=st.integers(200, 599), body=JSON)
def test_any_body_with_any_status_is_an_outcome_or_an_expected_stop(status: int, body: Any) -> None:
    try:
        outcome = judge_batch(status, json.dumps(body).encode())
    except BatchrunError:
        return
    assert isinstance(
        outcome, AcceptedBatch | BatchUnsupported | InDoubt | Conflicted | ForeignResponse
    )
    if isinstance(outcome, AcceptedBatch):
        places = [item.index for item in outcome.batch.items]
        assert len(set(places)) == len(places)
    if status >= 500:
        assert isinstance(outcome, InDoubt), "never anything that would let it be sent again"
