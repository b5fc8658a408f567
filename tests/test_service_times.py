"""Times that a service names and that can't be true: no run is parked for them, and none for ever.

Its runs last ten seconds, and `timeout` is a minute.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from engine_world import World
from simulated import Json, Runflow, now

from batchrun.ledger.history import State

TEXT: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 12]}}
limits: {concurrency: 12, rate: 20/s, batch: 1, timeout: 1m, settle: 2s}
"""
TIMEOUT: Final = 60.0
DAILY: Final = "2s, budget_per_day: 9"

CREATED: Final[Mapping[str, Callable[[datetime], Any]]] = {
    "no zone, west": lambda at: f"{at - timedelta(hours=8):%Y-%m-%dT%H:%M:%S}",
    "no zone, east": lambda at: f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}",
    "ahead": lambda at: f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    "a day behind": lambda at: f"{at - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    "seconds": lambda at: at.timestamp(),
    "milliseconds": lambda at: str(int(at.timestamp() * 1000)),
    "year 0": lambda _: "0000-01-01T00:00:00Z",
    "year 1": lambda _: "0001-01-01T00:00:00Z",
    "year 9999": lambda _: "9999-12-31T23:59:59Z",
    "null": lambda _: None,
    "a list": lambda _: [],
    "always now": lambda _: f"{now():%Y-%m-%dT%H:%M:%SZ}",
}


class Spelled:
    """Spells the times of each run in a way of its own."""

    def __init__(self) -> None:
        self.how: dict[str, str] = {}  # by run id

    def __call__(self, run: Json) -> Json:
        how = self.how.setdefault(run["id"], list(CREATED)[len(self.how) % len(CREATED)])
        named = CREATED[how](datetime.fromisoformat(run["created_at"]))
        started = {"started_at": named} if run.get("started_at") else {}
        return run | {"created_at": named, "expires_at": named} | started

    def parked(self, world: World) -> list[str]:
        """Return which spellings the runs have that are parked."""
        runs = world.book().histories.values()
        return sorted(self.how[each.run_id or ""] for each in runs if each.parked)


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


async def test_no_run_is_parked_for_the_spelling_of_its_time(tmp_path: Path) -> None:
    spelled = Spelled()
    world = World(tmp_path, Runflow(edit_run=spelled), text=TEXT)

    shutdown = await world.call(download=False)

    assert spelled.parked(world) == []
    assert not shutdown.codes
    assert states(world) == {State.SUCCEEDED: len(CREATED)}
    assert set(spelled.how.values()) == set(CREATED)


async def test_a_run_that_hangs_is_parked_by_its_time_out(tmp_path: Path) -> None:
    spelled = Spelled()
    world = World(tmp_path, Runflow(edit_run=spelled, duration=lambda _: 1e6), text=TEXT)

    await world.call(download=False, max_duration=TIMEOUT - 5)
    early = spelled.parked(world)
    await world.call(download=False)

    assert early == []
    assert spelled.parked(world) == sorted(CREATED)
    assert TIMEOUT <= anyio.current_time() <= TIMEOUT + 30, "the first call counts, too"


async def test_a_run_that_hangs_is_parked_within_one_call(tmp_path: Path) -> None:
    spelled = Spelled()
    world = World(tmp_path, Runflow(edit_run=spelled, duration=lambda _: 1e6), text=TEXT)

    await world.call(download=False)

    assert spelled.parked(world) == sorted(CREATED)
    assert TIMEOUT <= anyio.current_time() <= TIMEOUT + 30


@dataclass(kw_only=True)
class Dated(Runflow):
    """Its answers have the dates that *dates* makes, by their number."""

    dates: Callable[[int], str | None]
    answers: int = 0
    extra: Mapping[str, str] = field(default_factory=dict)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        whole = await super().serve(request, word)
        self.answers += 1
        del whole.headers["Date"]
        if (date := self.dates(self.answers)) is not None:
            whole.headers["Date"] = date
        whole.headers.update(self.extra)
        return whole


def shifted(by: timedelta) -> str:
    return f"{now() + by:%a, %d %b %Y %H:%M:%S} GMT"


DATES: Final[Mapping[str, Callable[[int], str | None]]] = {
    "none": lambda _: None,
    "garbage": lambda _: "yesterday",
    "year 1": lambda _: "Mon, 01 Jan 0001 00:00:00 GMT",
    "year 9999": lambda _: "Fri, 31 Dec 9999 23:59:59 GMT",
    "year 9999, west": lambda _: "Fri, 31 Dec 9999 23:59:59 -1400",
    "1970": lambda _: "Thu, 01 Jan 1970 00:00:00 GMT",
    "edge of the window": lambda _: "Thu, 31 Dec 2099 23:59:59 GMT",
    "two hosts": lambda number: shifted(timedelta(days=400 * (number % 2))),
    "an hour ahead": lambda _: shifted(timedelta(hours=1)),
    "a cached one": lambda _: shifted(-timedelta(hours=20)),
}


@pytest.mark.parametrize("which", DATES)
async def test_no_date_of_an_answer_parks_a_run_or_ends_a_call(tmp_path: Path, which: str) -> None:
    service = Dated(
        script=["ok", "lost", "500-after", "lost"], dates=DATES[which], extra={"Age": "72000"}
    )
    world = World(tmp_path, service, text=TEXT.replace("2s", DAILY))

    ends = [await world.call(download=False) for _ in range(3)]

    assert not ends[-1].codes
    assert states(world) == {State.SUCCEEDED: len(CREATED)}
    assert set(service.paid().values()) == {1}
