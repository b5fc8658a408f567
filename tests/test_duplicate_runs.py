"""Second runs of an attempt whose cost is not known when they are found, in virtual time."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio
import httpx
import pytest
from engine_world import World
from simulated import Runflow

from batchrun.errors import most_severe

TWO = """\
models: [google/nano-banana-2]
inputs: {prompt: [a, b]}
limits: {timeout: 300s, settle: 30s}
"""
PRICE = Decimal("0.08")


@dataclass(kw_only=True)
class Late(Runflow):
    """Lists its first run after `settle`; that one takes long, and is sent for again meanwhile."""

    silent: bool = False

    def first(self) -> str | None:
        return next((run.id for run in self.runs), None)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if self.silent and request.url.path == f"/v1/runs/{self.first()}":
            return httpx.Response(500, text="broken")
        return await super().serve(request, word)


async def with_a_slow_extra(path: Path, **kind: object) -> World:
    """Return a sweep of one cell of two, which has a second run that has not ended yet."""
    service = Late(
        script=["lost"],
        duration=lambda number: 2000.0 if number == 0 else 10.0,
        list_lag=45.0,
        **kind,  # type: ignore[arg-type]  # fields of the service
    )
    world = World(path, service, text=TWO)
    await world.call(only={"prompt": ("a",)})
    assert world.book().extra_runs == {service.runs[0].id: None}
    assert world.book().cost == PRICE
    service.list_lag = 0.0
    return world


async def test_the_cost_of_a_slow_extra_run_is_asked_for_until_it_is_known(tmp_path: Path) -> None:
    world = await with_a_slow_extra(tmp_path)

    await world.call(only={"prompt": ("a",)})
    still = world.book().extra_runs
    await anyio.sleep(3000)
    await world.call(only={"prompt": ("a",)})

    assert list(still.values()) == [None]
    assert list(world.book().extra_runs.values()) == [PRICE]
    assert world.book().cost == 2 * PRICE


async def test_an_extra_run_whose_cost_is_known_is_not_asked_again(tmp_path: Path) -> None:
    world = await with_a_slow_extra(tmp_path)
    await anyio.sleep(3000)
    await world.call()
    before = world.service.calls["get"]

    await world.call()

    assert world.service.calls["get"] == before


async def test_an_extra_run_that_failed_cost_nothing(tmp_path: Path) -> None:
    world = await with_a_slow_extra(tmp_path, ending=lambda n: "succeeded" if n else "failed")
    await anyio.sleep(3000)

    await world.call(only={"prompt": ("a",)})

    assert list(world.book().extra_runs.values()) == [Decimal(0)]


async def test_an_extra_run_that_does_not_answer_stops_nothing(tmp_path: Path) -> None:
    world = await with_a_slow_extra(tmp_path, silent=True)

    stops = await world.call()

    assert stops.codes == []
    assert len(world.service.runs) == 3
    assert any("could not be asked for" in note for note in world.listener.notes)


@pytest.mark.parametrize(("budget", "runs"), [(PRICE * 2, 2), (PRICE * 3, 3)])
async def test_an_extra_run_counts_for_the_budget_before_it_has_told_its_cost(
    tmp_path: Path, budget: Decimal, runs: int
) -> None:
    world = await with_a_slow_extra(tmp_path)

    stops = await world.call(budget=budget)

    assert most_severe(stops.codes) == (6 if runs == 2 else 0)
    assert len(world.service.runs) == runs
