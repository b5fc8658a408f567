"""A service that takes calls of one kind, and asks to wait with the others."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import Runflow, now, refused
from test_client import client

from batchrun.engine.shutdown import Shutdown
from batchrun.errors import INCOMPLETE, QuestionHeldError, ThrottledError, UnreachableError
from batchrun.ledger.history import State
from batchrun.results.going_on import how_to_go_on
from batchrun.runflow.ratelimit.apart import Apart, question_of

NINE: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 9]}}
limits: {concurrency: 6, rate: 20/s, batch: 1, give_up: 10m}
"""
GIVE_UP: Final = 600.0
LONGEST_PAUSE: Final = 48.0
HOUR: Final = timedelta(hours=1)


@dataclass(kw_only=True)
class Busy(Runflow):
    """Answers 429 to calls that *refuses* picks, by number of that kind, with these *headers*."""

    refuses: Callable[[str, int], bool]
    headers: Callable[[], Mapping[str, str]] = dict
    status: int = 429
    turned_away: list[float] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        kind = "reads" if request.method == "GET" else "creates"
        self.seen[kind] += 1
        if not self.refuses(kind, self.seen[kind]):
            return await super().serve(request, word)
        self.turned_away.append(anyio.current_time())
        whole = refused(self.status, "RATE_LIMITED", "slower")
        whole.headers.update(self.headers())
        return whole


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


def stopped(shutdown: Shutdown) -> str:
    """Return what the call says of its end: the last line, and the error that it has."""
    (error,) = shutdown.errors
    return f"{error}\n{last_line(shutdown)}"


def last_line(shutdown: Shutdown) -> str:
    return how_to_go_on(None, 8, command="batchrun m.yaml", errors=shutdown.errors)


def http_date(seconds: float) -> str:
    return f"{now() + timedelta(seconds=seconds):%a, %d %b %Y %H:%M:%S} GMT"


NAMED: Final[Mapping[str, Callable[[], Mapping[str, str]]]] = {
    "seconds": lambda: {"Retry-After": "3600"},
    "date": lambda: {"Retry-After": http_date(3600)},
    "reset": lambda: {"RateLimit-Reset": "3600"},
    "epoch": lambda: {"X-RateLimit-Reset": str(now().timestamp() + 3600)},
    "milliseconds": lambda: {"X-RateLimit-Reset": str(int(now().timestamp() * 1000) + 3_600_000)},
}


@pytest.mark.parametrize("off", [timedelta(), HOUR, -HOUR], ids=["right", "ahead", "behind"])
@pytest.mark.parametrize("how", NAMED)
async def test_runs_in_flight_end_while_the_service_takes_no_new_one_for_an_hour(
    tmp_path: Path, how: str, off: timedelta
) -> None:
    service = Busy(refuses=lambda kind, number: kind == "creates" and number > 6)
    service.headers = NAMED[how]
    world = World(tmp_path, service, text=NINE, clock=lambda: now() + off)

    shutdown = await world.call(download=False)

    assert states(world)[State.SUCCEEDED] == 6
    assert len(service.runs) == 6
    assert anyio.current_time() < 60, "not the hour, nor the give-up time"
    assert set(shutdown.codes) == {UnreachableError.exit_code}
    until = f"before {now() - timedelta(seconds=anyio.current_time()) + HOUR:%H}:00:"
    assert f"the service takes no new run {until}" in world.listener.notes[-1]
    assert stopped(shutdown).count(f"the service takes no new run {until}") == 2
    assert "UTC (in 1 h); `batchrun m.yaml` goes on from then" in stopped(shutdown)
    assert len(service.turned_away) <= 6, "what had left, and nothing more"


@pytest.mark.parametrize("batches", ["yes", "no"])
async def test_after_the_wait_the_next_call_goes_on_and_pays_nothing_twice(
    tmp_path: Path, batches: str
) -> None:
    text = NINE.replace(", batch: 1", "").replace("9]", "20]")
    service = Busy(
        refuses=lambda kind, number: kind == "creates" and 2 < number < 9,
        headers=NAMED["seconds"],
        batches=batches,
    )
    world = Begun(tmp_path, service, text=text)

    with anyio.fail_after(3000):
        ends = [await world.call(download=False) for _ in range(8)]

    assert not ends[-1].codes
    assert states(world) == {State.SUCCEEDED: 20}
    assert set(service.paid().values()) == {1}


async def test_a_doubt_is_resolved_though_the_service_takes_no_new_run(tmp_path: Path) -> None:
    service = Busy(
        refuses=lambda kind, number: kind == "creates" and number > 5,
        headers=NAMED["seconds"],
        script=["ok", "lost", "500-after", "500", "ok"],
    )
    world = World(tmp_path, service, text=NINE)

    with anyio.fail_after(3000):
        shutdown = await world.call(download=False, settle=2.0)

    assert "takes no new run before 01:00:" in stopped(shutdown)
    assert states(world)[State.SUCCEEDED] == len(service.runs) == 4
    service.refuses = lambda *_: False
    assert not (await world.call(download=False, settle=2.0)).codes
    assert states(world) == {State.SUCCEEDED: 9}
    assert set(service.paid().values()) == {1}


async def test_a_wait_within_the_give_up_time_is_waited_by_its_kind_alone(tmp_path: Path) -> None:
    service = Busy(
        refuses=lambda kind, number: kind == "creates" and number == 7,
        headers=lambda: {"Retry-After": "300"},
    )
    world = World(tmp_path, service, text=NINE)

    shutdown = await world.call(download=False)

    assert not shutdown.codes
    assert states(world) == {State.SUCCEEDED: 9}
    assert len(service.turned_away) == 1
    departed = [at for at, _, _ in service.posts[7:]]
    assert min(departed) >= service.turned_away[0] + 300
    looks = [at for at in service.departures if at < service.turned_away[0] + 290]
    assert len(looks) > len(service.posts), "its runs were looked at meanwhile"
    (note,) = world.listener.notes
    assert note == (
        "the service takes no new run before 00:05:16 UTC (in 5 min); runs in flight are watched "
        "meanwhile"
    )


async def test_new_runs_refused_without_a_word_of_the_wait_are_given_up_and_the_others_end(
    tmp_path: Path,
) -> None:
    service = Busy(refuses=lambda kind, number: kind == "creates" and number > 6)
    service.duration = lambda _: 700.0
    world = World(tmp_path, service, text=NINE)

    shutdown = await world.call(download=False, timeout=5000.0)

    assert states(world)[State.SUCCEEDED] == 6
    assert "nothing but 429 to requests for new runs for 600 s" in stopped(shutdown)
    assert service.turned_away[-1] - service.turned_away[0] <= GIVE_UP + LONGEST_PAUSE
    assert len(service.turned_away) < 100


@pytest.mark.parametrize("after", [1, 12])
async def test_questions_refused_for_an_hour_end_the_call_which_says_so(
    tmp_path: Path, after: int
) -> None:
    service = Busy(
        refuses=lambda kind, number: kind == "reads" and number > after, headers=NAMED["seconds"]
    )
    world = World(tmp_path, service, text=NINE)

    shutdown = await world.call(download=False)

    assert anyio.current_time() < 60
    assert "answers no question before 01:00:" in stopped(shutdown)
    service.refuses = lambda *_: False
    assert not (await world.call(download=False)).codes
    assert states(world) == {State.SUCCEEDED: 9}
    assert set(service.paid().values()) == {1}


async def test_where_both_kinds_are_refused_for_an_hour_the_call_ends_at_once(
    tmp_path: Path,
) -> None:
    service = Busy(refuses=lambda *_: service.seen.total() > 20, headers=NAMED["seconds"])
    world = World(tmp_path, service, text=NINE)

    shutdown = await world.call(download=False)

    assert anyio.current_time() < 60
    assert {type(error) for error in shutdown.errors} == {ThrottledError}
    assert "before 01:00:" in last_line(shutdown)
    service.refuses = lambda *_: False
    assert not (await world.call(download=False)).codes
    assert set(service.paid().values()) == {1}


NOTHING: Final[Mapping[str, Callable[[], Mapping[str, str]]]] = {
    "0": lambda: {"Retry-After": "0"},
    "-1": lambda: {"Retry-After": "-1"},
    "past": lambda: {"Retry-After": http_date(-60)},
    "epoch": lambda: {"X-RateLimit-Reset": str(int(now().timestamp()) - 60)},
}


@pytest.mark.parametrize("how", NOTHING)
async def test_a_wait_of_nothing_brings_no_flood_of_calls(tmp_path: Path, how: str) -> None:
    service = Busy(refuses=lambda *_: 1.0 < anyio.current_time() < 120.0, headers=NOTHING[how])
    world = World(tmp_path, service, text=NINE.replace("20/s", "200/s"))

    shutdown = await world.call(download=False)

    assert not shutdown.codes
    assert states(world) == {State.SUCCEEDED: 9}
    assert len(service.turned_away) <= 40


async def test_an_upload_refused_for_an_hour_lets_the_runs_in_flight_end(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    text = """\
models: [a/b]
inputs: {prompt: [1, 2, 3], image_url: ["https://x/y.png", {$file: a.png}]}
limits: {concurrency: 6, rate: 20/s, batch: 1}
"""
    service = Uploads(refuses=lambda *_: False, headers=NAMED["seconds"])
    world = World(tmp_path, service, text=text)

    shutdown = await world.call(download=False)

    assert states(world)[State.SUCCEEDED] >= 1
    assert State.IN_FLIGHT not in states(world)
    assert len(service.runs) == states(world)[State.SUCCEEDED]
    assert "takes no new run before 01:00:" in stopped(shutdown)


@dataclass(kw_only=True)
class Uploads(Busy):
    """No place for a file is given in this hour."""

    def _word(self, request: httpx.Request) -> str:
        return "ok" if "asset-uploads" in request.url.path else super()._word(request)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if "asset-uploads" not in request.url.path:
            return await super().serve(request, word)
        whole = refused(429, "RATE_LIMITED", "slower")
        whole.headers.update(self.headers())
        return whole


@pytest.mark.parametrize("after", ["0", "20", "3600"])
async def test_a_503_with_a_wait_is_no_end(tmp_path: Path, after: str) -> None:
    service = Busy(
        refuses=lambda _, number: number % 5 == 0,
        headers=lambda: {"Retry-After": after},
        status=503,
    )
    world = World(tmp_path, service, text=NINE)
    calls: dict[str, Any] = {"download": False, "settle": 2.0}

    codes = [set((await world.call(**calls)).codes) for _ in range(3)]

    assert all(each <= {INCOMPLETE} for each in codes)
    assert states(world) == {State.SUCCEEDED: 9}
    assert set(service.paid().values()) == {1}


@pytest.mark.parametrize("kind", ["reads", "creates"])
@pytest.mark.parametrize(
    ("named", "seconds"), [("30", 35), ("20", 45), ("10", 45), ("", 45), ("30", 55)]
)
async def test_what_is_over_within_the_give_up_time_is_asked_once_more(
    tmp_path: Path, kind: str, named: str, seconds: int
) -> None:
    """A wait that was obeyed, or a pause of our own, ran on to the end of the patience."""

    def refuses(of: str, number: int) -> bool:
        first = service.turned_away[:1] or [anyio.current_time()]
        return of == kind and number > 5 and anyio.current_time() < first[0] + seconds

    headers = {"Retry-After": named} if named else {}
    service = Busy(refuses=refuses, headers=lambda: headers, duration=lambda _: 20.0)
    world = World(tmp_path, service, text=NINE.replace("10m", "60s").replace("6, ", "2, "))

    shutdown = await world.call(download=False)

    assert service.turned_away
    assert [str(error) for error in shutdown.errors] == []
    assert states(world) == {State.SUCCEEDED: 9}
    assert len(service.turned_away) < 12


async def test_no_wait_of_no_seconds_is_said(tmp_path: Path) -> None:
    service = Busy(
        refuses=lambda of, number: of == "reads" and number > 8,
        headers=lambda: {"Retry-After": "30"},
    )
    world = World(tmp_path, service, text=NINE.replace("10m", "60s"))

    shutdown = await world.call(download=False)

    assert 90 <= anyio.current_time() < 130
    assert "answers no question before" in stopped(shutdown)
    assert "(in 0 s)" not in stopped(shutdown)
    assert len(service.turned_away) < 12


@dataclass(kw_only=True)
class OneRefused(Busy):
    """Only GETs of paths that *hit* picks are answered with 429."""

    hit: Callable[[str], bool]

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        self.refuses = lambda kind, _: kind == "reads" and self.hit(request.url.path)
        return await super().serve(request, word)


OPTIONAL: Final = ("/v1/billing/balance", "/v1/auth/me", "/v1/models/google/nano-banana-2")


@pytest.mark.parametrize("named", ["3600", "30", ""])
@pytest.mark.parametrize("path", OPTIONAL)
async def test_a_wait_named_to_an_optional_question_holds_no_other(
    tmp_path: Path, path: str, named: str
) -> None:
    headers = {"Retry-After": named} if named else {}
    service = OneRefused(
        refuses=lambda *_: False, hit=lambda each: each == path, headers=lambda: headers
    )
    world = World(tmp_path, service, text=NINE.replace("10m", "60s"))

    shutdown = await world.call(download=False, allow_short=False)

    assert [str(error) for error in shutdown.errors] == []
    assert states(world) == {State.SUCCEEDED: 9}
    assert 0 < len(service.turned_away) < 15


@pytest.mark.parametrize("named", ["3600", ""])
async def test_a_wait_named_to_one_run_leaves_the_others_and_its_list_shows_it(
    tmp_path: Path, named: str
) -> None:
    headers = {"Retry-After": named} if named else {}
    service = OneRefused(
        refuses=lambda *_: False,
        hit=lambda path: bool(service.runs) and path == f"/v1/runs/{service.runs[0].id}",
        headers=lambda: headers,
    )
    world = World(tmp_path, service, text=NINE.replace("10m", "60s").replace("9]", "3]"))

    for _ in range(2):
        shutdown = await world.call(download=False)
        assert [str(error) for error in shutdown.errors] == []

    assert service.turned_away
    assert states(world) == {State.SUCCEEDED: 3}
    assert set(service.paid().values()) == {1}
    assert len(service.turned_away) < 20


def test_a_wait_is_for_one_question_until_another_is_refused_as_well() -> None:
    apart = Apart()

    assert apart.refused("runs/a", 3600.0, 1.0) is None
    assert apart.left("runs/a", 2.0) == 3599.0
    assert apart.left("runs/b", 2.0) == apart.left("", 2.0) == 0.0
    assert not apart.is_alone("runs/a"), "it may be for all"
    assert apart.refused("", None, 2.0) == 3599.0
    assert apart.refused("runs/b", 60.0, 2.0) == 3599.0

    apart.well("", sent_at=0.5)  # it had left before: no evidence
    assert not apart.is_alone("runs/a")
    apart.well("", sent_at=3.0)
    assert apart.is_alone("runs/a")
    assert apart.refused("runs/b", 60.0, 4.0) is None
    assert apart.refused("", 5.0, 4.0) == 60.0
    apart.well("runs/a", sent_at=4.0)
    assert apart.left("runs/a", 5.0) == 0.0


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("/v1/auth/me", "auth/me"),
        ("/proxy/v1/billing/balance", "billing/balance"),
        ("/v1/models", "models"),
        ("/v1/models/google/nano-banana-2", "models"),
        ("/v1/public/models", "public/models"),
        ("/v1/runs/r1", "runs/r1"),
        ("/v1/runs/r1/logs", "runs/*/logs"),
        ("/v1/runs/r2/node-runs", "runs/*/node-runs"),
        ("/v1/runs", ""),
        ("/v1/batches/b1", ""),
    ],
)
def test_what_a_wait_may_be_for(path: str, question: str) -> None:
    assert question_of("GET", path) == question
    assert question_of("POST", path) == ""


@pytest.mark.parametrize("named", ["30", "0.001", "3600"])
async def test_a_run_that_is_refused_by_its_id_alone_is_asked_for_within_the_patience(
    named: str,
) -> None:
    times: list[float] = []

    def handle(request: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time())
        return httpx.Response(429, headers={"Retry-After": named})

    with pytest.raises(UnreachableError) as stopped:
        await client(handle, give_up=60.0).get_run("r1")

    assert "(in 0 s)" not in str(stopped.value)
    assert times[-1] - times[0] <= 60 + 48
    if named == "30":
        assert len(times) >= 4
    if named == "3600":
        assert len(times) == 1
        assert isinstance(stopped.value, QuestionHeldError)
