"""The walk through the newest runs: how far back it goes, and when it claims nothing."""

from datetime import timedelta

import httpx
import pytest
from test_client import NOON, Runs, client, run_body

from batchrun.engine.recent_runs import recent_runs

HORIZON = NOON - timedelta(minutes=3)


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_the_newest_runs_are_listed_back_to_a_moment_and_no_further(size: int) -> None:
    runs = [run_body(n, at=NOON - timedelta(minutes=n)) for n in range(10)]
    service = Runs(runs, page=size)

    seen = await recent_runs(client(service), HORIZON, 0.0)

    assert seen is not None
    assert [run.id for run in seen.runs][:4] == ["r0", "r1", "r2", "r3"]
    assert len(service.asked) == 4 // size + 1


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_where_the_service_does_not_sort_the_walk_goes_on_to_its_end(size: int) -> None:
    runs = [run_body(n, at=NOON - timedelta(minutes=9 - n)) for n in range(10)]

    seen = await recent_runs(client(Runs(runs, page=size, ignores_sort=True)), HORIZON, 0.0)

    assert seen is not None
    assert {"r6", "r7", "r8", "r9"} <= {run.id for run in seen.runs}


@pytest.mark.parametrize("habit", ["ignores_pq", "circles"])
async def test_a_list_that_goes_in_a_circle_ends_the_walk_and_claims_nothing(habit: str) -> None:
    service = Runs([run_body(n) for n in range(9)], **{habit: True})

    assert await recent_runs(client(service), NOON - timedelta(days=1), 0.0) is None
    assert len(service.asked) <= 6


async def test_a_walk_that_is_too_long_claims_nothing() -> None:
    runs = [run_body(n, at=NOON - timedelta(minutes=n)) for n in range(10)]

    assert await recent_runs(client(Runs(runs, page=1)), HORIZON, 0.0, most_pages=3) is None


async def test_a_service_that_refuses_to_list_its_runs_shows_none() -> None:
    refusing = client(lambda _: httpx.Response(422, json={"code": "NO", "message": "no list"}))

    assert await recent_runs(refusing, HORIZON, 0.0) is None
