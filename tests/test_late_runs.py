"""Runs that are committed late, and that one look alone can find: of no use is the newest page.

Each is one too many, as its request was sent again meanwhile. It is billed, so it is found, written
down, and said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import HIDDEN
from test_run import FirstIsLate

SETTLE: Final = 5.0
HOUR: Final = 3600.0
ONE: Final = "models: [google/nano-banana-2]\ninputs: {prompt: a}\n"
SIX: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 6]}}
limits: {concurrency: 2}
"""


async def call(world: World, **changes: Any) -> None:
    await world.call(settle=SETTLE, download=False, **changes)


def assert_found(world: World) -> None:
    assert world.book().extras == 1
    assert any("second run" in note for note in world.listener.notes)


async def test_after_two_lost_sends_the_last_look_comes_two_periods_after_the_second(
    tmp_path: Path,
) -> None:
    """The first is committed more than one period after the second, which was found at once."""
    service = FirstIsLate(script=["lost", "lost"], late=12.0, duration=lambda _: 3.0, **HIDDEN)
    world = Begun(tmp_path, service, text=ONE)

    await call(world)

    assert len(service.runs) == 2
    assert_found(world)


async def test_where_lists_have_no_filter_a_call_that_breaks_off_has_looked_by_then(
    tmp_path: Path,
) -> None:
    """The second run goes on, and the call ends before that and its own last look."""
    service = FirstIsLate(
        script=["lost"], duration=lambda number: 1000.0 if number else 3.0, filters="no"
    )
    world = World(tmp_path, service, text=ONE)

    await call(world, max_duration=30.0)

    assert len(service.runs) == 2
    assert_found(world)


@pytest.mark.parametrize("page", [HIDDEN, {}], ids=["hidden", "shown"])
async def test_the_next_call_looks_at_a_wave_that_others_have_followed(
    tmp_path: Path, page: Mapping[str, Any]
) -> None:
    """It was listed when the second wave after it began, but it had a doubt."""
    service = FirstIsLate(script=["lost"], late=60.0, duration=lambda _: 3.0, **page)
    world = Begun(tmp_path, service, text=SIX)
    await call(world, batch=1, wave_size=2)
    assert anyio.current_time() < service.late
    await anyio.sleep(HOUR)

    await call(world)

    assert len(service.runs) == 7
    assert_found(world)


async def test_a_second_run_that_had_ended_when_it_was_found_is_written_down(
    tmp_path: Path,
) -> None:
    service = FirstIsLate(script=["lost"], late=60.0, duration=lambda _: 3.0, **HIDDEN)
    world = Begun(tmp_path, service, text=ONE)
    await call(world)
    await anyio.sleep(HOUR / 2)

    await call(world)

    assert len(service.runs) == 2
    assert_found(world)


@dataclass(kw_only=True)
class RefusesLists(FirstIsLate):
    """Refuses each list from the second POST to a moment before the run of that POST ends."""

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        listed = request.method == "GET" and request.url.path == "/v1/runs"
        if listed and len(self.posts) > 1 and anyio.current_time() < 15.0:
            return httpx.Response(400, json={"code": "BAD", "message": "no lists", "errors": None})
        return await super().serve(request, word)


async def test_the_hour_of_a_wave_begins_with_the_first_look_that_was_answered(
    tmp_path: Path,
) -> None:
    """A run comes to light behind the second call, which is the first to look at its wave."""
    service = RefusesLists(script=["lost"], late=2.5 * HOUR, duration=lambda _: 20.0, **HIDDEN)
    world = Begun(tmp_path, service, text=ONE)
    await call(world)
    await anyio.sleep(2 * HOUR)
    await call(world)
    assert world.book().extras == 0
    await anyio.sleep(0.6 * HOUR)

    await call(world)

    assert len(service.runs) == 2
    assert_found(world)
