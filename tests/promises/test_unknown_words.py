"""Promise 6: unknown statuses, fields, error shapes, envelopes and spellings don't break it.

Here the whole way through the client; the parsers' own tables are in test_wire.py.
"""

import random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.errors import BatchrunError
from batchrun.runflow.client import Client
from batchrun.runflow.outputs import output_files
from batchrun.runflow.post_outcomes import (
    Accepted,
    Conflicted,
    ForeignResponse,
    InDoubt,
    InputRefused,
    judge,
)
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace


def client(*bodies: Any, status: int = 200) -> Client:
    left = iter(bodies)
    http = httpx.AsyncClient(
        base_url="https://api.example",
        transport=httpx.MockTransport(lambda _: httpx.Response(status, json=next(left))),
    )
    return Client(http, Limiter(Pace(100.0, jitter=random.Random(1).random)), give_up=60.0)


@pytest.mark.parametrize("spelling", ["canceled", "cancelled", "CANCELED"])
@pytest.mark.parametrize("field", ["status_code", "status"])
@pytest.mark.parametrize("key", ["id", "run_id"])
async def test_a_cancelled_run_is_the_same_in_every_spelling(
    spelling: str, field: str, key: str
) -> None:
    body = {key: "r1", field: spelling, "client_ref": "w", "galaxy": {"new": ["field"]}}

    alone = await client(body).get_run("r1")
    for listing in ({"items": [body], "next": None}, {"items": [body], "next_pq": None}):
        listed = await client(listing).runs_of("w")
        assert listed == [alone]
    accepted = await client(body, status=201).create_run("a/b", b"{}", idempotency_key="k")

    assert alone is not None
    assert (alone.id, alone.status_code, alone.terminal) == ("r1", "cancelled", True)
    assert accepted == Accepted(run=alone)


async def test_a_run_in_an_unknown_state_is_watched_on_until_it_says_a_known_word() -> None:
    api = client(*({"id": "r", "status_code": word} for word in ("warp", "stopped", "succeeded")))

    runs = [await api.get_run("r") for _ in range(3)]

    assert [run and run.terminal for run in runs] == [False, False, True]


async def test_a_finished_run_with_an_output_nobody_has_seen_is_a_finished_run() -> None:
    strange: list[Any] = [None, 5, "text", [], {"hologram": {"voxels": 3}}, {"outputs": {"a": 1}}]
    for output in strange:
        run = await client({"id": "r", "status_code": "succeeded", "output": output}).get_run("r")
        assert run is not None
        assert run.terminal
        assert output_files(run.output) == ()


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "C", "message": "m", "errors": None, "hint": "new"}, "C", "m"),
        ({"error": {"code": "C", "message": "m", "trace": 1}}, "C", "m"),
        ({"detail": {"code": "C", "message": "m"}}, "C", "m"),
        ({"detail": [{"loc": ["body", "input"], "msg": "m", "type": "new"}]}, "", "body.input: m"),
        ({"detail": "m"}, "", "m"),
        ({"code": "A_CODE_OF_TOMORROW"}, "A_CODE_OF_TOMORROW", ""),
    ],
)
async def test_a_refusal_is_understood_in_every_shape(body: Any, code: str, message: str) -> None:
    outcome = await client(body, status=422).create_run("a/b", b"{}", idempotency_key="k")

    assert outcome == InputRefused(http_status=422, code=code, message=message)


@given(status=st.integers(200, 599), content=st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes_with_any_status_are_an_outcome_or_an_expected_stop(
    status: int, content: bytes
) -> None:
    try:
        outcome = judge(status, content)
    except BatchrunError:
        return
    assert isinstance(outcome, Accepted | InputRefused | InDoubt | Conflicted | ForeignResponse)
    if status >= 500:
        assert isinstance(outcome, InDoubt), "never anything that would let it be sent again"
