"""Reads that are refused end no call while paid runs are in flight, unless the key is refused."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import Runflow, answered, refused

from batchrun.engine.opening import MOST
from batchrun.errors import KeyRefusedError, UnreachableError
from batchrun.ledger.history import State
from batchrun.runflow.client import Client
from batchrun.runflow.get_outcomes import (
    IN_A_ROW,
    NEEDED,
    NOT_SERVED,
    OPTIONAL,
    REFUSABLE,
    Answer,
    Odd,
    understand,
)
from batchrun.runflow.http.client import api_client
from batchrun.runflow.key_check import KeyCheck
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.sweep.location import LEDGER

TWELVE: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 12]}}
limits: {concurrency: 6, rate: 20/s, batch: 1}
"""
OWN: Final = b'{"code": "NO", "message": "not now", "errors": null}'
PAGE: Final = b"<html>no</html>"
TERMS: Final = {"needed": NEEDED, "listed": REFUSABLE, "optional": OPTIONAL}

Refuse = Callable[[httpx.Request], int | None]


# What one answer means.


@pytest.mark.parametrize("content", [OWN, PAGE], ids=["own", "page"])
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("status", [204, *range(400, 430), 451, 500, 501, 503])
def test_each_refusal_means_what_the_table_says(status: int, terms: str, content: bytes) -> None:
    found = understand(status, content, lambda body: body, TERMS[terms], "GET /v1/x")

    at_once = status in {400, 404, 422} and content == OWN and status != 204
    if at_once or (terms == "optional" and status in NOT_SERVED):
        assert isinstance(found, Answer)
        assert found.refusal is not None
    elif status == 204 and content == OWN:
        assert isinstance(found, Answer), "a body that is there is read"
    else:
        assert isinstance(found, Odd)
        assert found.not_served == (status == 401 or status in NOT_SERVED)
        assert found.says_key == (status == 401 and content == OWN)


@pytest.mark.parametrize("status", [204, 402, 403, 404, 405, 410, 451, 501])
async def test_what_a_call_can_do_without_is_not_known_at_once(status: int) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(status, content=b"" if status == 204 else OWN)

    async with client(answer) as api:
        assert await api.account() is None
        assert await api.balance() is None
        assert await api.models_page() is None
        assert (await api.model("a/b")).refusal is not None
        assert await api.asset("a1") is None
    assert len(asked) == 5


# The key.


def client(answer: Callable[[httpx.Request], httpx.Response], **more: float) -> "Opened":
    return Opened(answer, more.get("give_up", 60.0))


@dataclass
class Opened:
    """A client of a service that is one function, as a context."""

    answer: Callable[[httpx.Request], httpx.Response]
    give_up: float

    async def __aenter__(self) -> Client:
        transport = httpx.MockTransport(self.answer)
        self._http = api_client("https://fake", "key", connections=1, transport=transport)
        await self._http.__aenter__()
        return Client(self._http, Limiter(Pace(100.0, jitter=lambda: 0.5)), give_up=self.give_up)

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()


async def test_one_question_about_the_key_answers_all_that_came_before_it() -> None:
    asked: list[float] = []

    async def ask() -> Answer | Odd:
        asked.append(anyio.current_time())
        await anyio.sleep(1)
        status = 401 if len(asked) == 2 else 200
        return understand(status, OWN, lambda body: body, NEEDED, "GET /v1/auth/me")

    check, found = KeyCheck(ask), list[bool]()

    async def one(after: float) -> None:
        await anyio.sleep(after)
        found.append(await check.is_refused())

    async with anyio.create_task_group() as tasks:
        for after in (0.0, 0.0, 0.0, 0.5, 0.6):
            tasks.start_soon(one, after)

    assert len(asked) == 2, "the last two came after the first question had left"
    assert Counter(found) == {False: 3, True: 2}


@pytest.mark.parametrize("account", [200, 403, 404, 429, 500, 503, "page", "error", "hang"])
async def test_a_401_that_the_account_does_not_confirm_is_a_passing_failure(
    account: int | str,
) -> None:
    asked: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path != "/v1/auth/me":
            first = asked.count(request.url.path) == 1
            body = {"id": "r1", "status_code": "queued"}
            return httpx.Response(401, content=OWN) if first else httpx.Response(200, json=body)
        if account == "error":
            raise httpx.ReadError("reset")
        if account == "hang":
            await anyio.sleep(1000)
        return httpx.Response(401 if account == "page" else int(account), content=PAGE)

    begun = anyio.current_time()
    async with client(answer) as api:  # type: ignore[arg-type]  # httpx takes both kinds
        run = await api.get_run("r1")

    assert run is not None
    assert asked == ["/v1/runs/r1", "/v1/auth/me", "/v1/runs/r1"]
    assert anyio.current_time() - begun < 15


async def test_where_only_the_account_can_not_be_asked_a_401_for_good_is_named_at_the_end() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        status = 404 if request.url.path == "/v1/auth/me" else 401
        return httpx.Response(status, content=OWN)

    async with client(answer) as api:
        with pytest.raises(UnreachableError, match=r"HTTP 401 NO: not now.*RUNFLOW_API_KEY"):
            await api.get_run("r1")


# One question of many.


@pytest.mark.parametrize("status", [401, 402, 403, 405, 410, 451, 501])
async def test_a_list_that_is_refused_for_long_counts_as_refused(status: int) -> None:
    asked: list[str] = []
    begun = anyio.current_time()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path == "/v1/auth/me":
            return httpx.Response(200, json={})
        return httpx.Response(status, content=OWN)

    async with client(answer) as api:
        assert await api.runs_of("w1") is None
        assert asked.count("/v1/runs") >= IN_A_ROW
        assert 20 <= anyio.current_time() - begun < 40
        assert await api.newest_page() is None


@pytest.mark.parametrize("between", [500, 200])
async def test_other_failures_end_the_row(between: int) -> None:
    statuses = [*[403] * (IN_A_ROW - 2), between, 403, 403]
    content = {500: OWN, 200: b"{}", 403: OWN}

    def answer(_: httpx.Request) -> httpx.Response:
        if not statuses:
            return httpx.Response(200, json={"items": [], "next": None})
        status = statuses.pop(0)
        return httpx.Response(status, content=content[status])

    async with client(answer) as api:
        assert await api.runs_of("w1") == []


# A whole call.


@dataclass(kw_only=True)
class Refusing(Runflow):
    """Refuses GETs with the status that *refuse* returns; *page*: as a page of a proxy."""

    refuse: Refuse = lambda _: None
    page: bool = False
    refusals: list[tuple[float, str]] = field(default_factory=list)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        status = self.refuse(request)
        if status is None:
            return await super().serve(request, word)
        self.refusals.append((anyio.current_time(), request.url.path))
        if self.page:
            return httpx.Response(status, text="<html>no</html>")
        return refused(status, "REFUSED", "not now")


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


def assert_all_there(world: World, cells: int = 12) -> None:
    """Each cell succeeded, and was paid once."""
    assert states(world) == {State.SUCCEEDED: cells}
    assert len(world.service.runs) == cells
    assert set(world.service.paid().values()) == {1}


def of_list(request: httpx.Request) -> bool:
    return request.method == "GET" and request.url.path == "/v1/runs"


def of_run(request: httpx.Request) -> bool:
    return request.method == "GET" and request.url.path.startswith("/v1/runs/")


def of_account(request: httpx.Request) -> bool:
    return request.url.path == "/v1/auth/me"


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("number", [1, 2, 3, 5, 8])
async def test_one_refusal_among_many_answers(tmp_path: Path, number: int, status: int) -> None:
    gets = 0

    def refuse(request: httpx.Request) -> int | None:
        nonlocal gets
        gets += request.method == "GET"
        return status if request.method == "GET" and gets == number else None

    world = World(tmp_path, Refusing(refuse=refuse), text=TWELVE)

    stops = await world.call(settle=2.0, download=False)

    assert stops.codes == []
    assert_all_there(world)


@pytest.mark.parametrize("kind", [World, Begun])
@pytest.mark.parametrize("since", [0.0, 4.0, 12.0])
@pytest.mark.parametrize("status", [401, 402, 403])
async def test_refusals_for_a_while_and_then_none(
    tmp_path: Path, status: int, since: float, kind: type[World]
) -> None:
    def refuse(request: httpx.Request) -> int | None:
        passing = since <= anyio.current_time() < since + 30
        return status if request.method == "GET" and passing and not of_account(request) else None

    service = Refusing(refuse=refuse, script=["ok", "ok", "lost"])
    world = kind(tmp_path, service, text=TWELVE)

    first = await world.call(settle=2.0, download=False)
    await world.call(settle=2.0, download=False)

    may = {3, 8} if since == 0 and kind is World else {3}
    assert set(first.codes) <= may, "an answer that was lost meanwhile may be looked up later"
    assert service.refusals
    assert_all_there(world)


@pytest.mark.parametrize("page", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403, 405, 451, 501])
async def test_a_list_that_is_refused_from_then_on_is_done_without(
    tmp_path: Path, status: int, *, page: bool
) -> None:
    service = Refusing(page=page)
    service.refuse = lambda each: status if of_list(each) and len(service.runs) > 3 else None
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call(settle=2.0, download=False)

    assert stops.codes == []
    assert_all_there(world)


@pytest.mark.parametrize("kind", [World, Begun])
@pytest.mark.parametrize("page", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403, 405, 451, 501])
async def test_nothing_new_is_sent_while_a_list_is_refused_from_the_start(
    tmp_path: Path, status: int, kind: type[World], *, page: bool
) -> None:
    """No list shows what another copy of the ledger may have sent."""
    service = Refusing(refuse=lambda each: status if of_list(each) else None, page=page)
    world = kind(tmp_path, service, text=TWELVE)
    begun = len(service.runs)

    stops = await world.call(settle=2.0, download=False)

    assert stops.codes == [8]
    assert "--trust-key" in str(stops.errors)
    assert len(service.runs) == begun
    assert states(world).get(State.SUCCEEDED, 0) == begun, "what was begun is seen to its end"

    stops = await world.call(settle=2.0, download=False, trust_key=True)

    assert stops.codes == []
    assert_all_there(world)
    said = f"the service refuses to list runs (HTTP {status} "
    assert any(said in note and "one by one" in note for note in world.listener.notes)


@pytest.mark.parametrize("page", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403, 405])
@pytest.mark.parametrize("lasts", [5.0, 10.0, 18.0])
@pytest.mark.parametrize("lost", [True, False])
async def test_a_list_that_is_refused_at_the_start_hides_no_paid_run(
    tmp_path: Path, lasts: float, status: int, *, lost: bool, page: bool
) -> None:
    """The sweep was begun with a ledger that is lost, or of which this one is an old copy."""
    service = Refusing(page=page)
    world = World(tmp_path, service, text=TWELVE)
    await world.call(settle=2.0, download=False, limit=3)
    old = (world.folder / LEDGER).read_bytes()
    await world.call(settle=2.0, download=False)
    if lost:
        shutil.rmtree(world.folder)
    else:
        (world.folder / LEDGER).write_bytes(old)
    end = anyio.current_time() + lasts
    service.refuse = lambda each: status if of_list(each) and anyio.current_time() < end else None

    stops = await world.call(download=False)

    assert stops.codes == [9]
    assert len(service.runs) == 12


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_a_key_that_is_refused_the_newest_run_is_a_foreign_one(
    tmp_path: Path, status: int
) -> None:
    """Its own organisation's list is answered, and doesn't show the run."""

    class Foreign(Refusing):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            whole = await super().serve(request, word)
            nothing = answered(200, {"items": [], "next": None})
            return nothing if foreign and of_list(request) else whole

    foreign = False
    service = Foreign(refuse=lambda each: status if foreign and of_run(each) else None)
    service.organisation = None
    world = World(tmp_path, service, text=TWELVE)
    await world.call(settle=2.0, download=False, limit=3)
    foreign = True

    stops = await world.call(settle=2.0, download=False)

    assert stops.codes == [4]
    assert "--trust-key" in str(stops.errors)
    assert len(service.runs) == 3


@pytest.mark.parametrize("status", [403, 500])
async def test_the_first_post_goes_alone_however_long_it_waited_for_lists(
    tmp_path: Path, status: int
) -> None:
    listed: list[float] = []

    def refuse(request: httpx.Request) -> int | None:
        if not of_list(request):
            return None
        listed.append(anyio.current_time())
        return status if anyio.current_time() < 18 else None

    service = Refusing(refuse=refuse)
    world = World(tmp_path, service, text=TWELVE)

    await world.call(settle=2.0, download=False)

    first, second = (moment for moment, *_ in service.posts[:2])
    assert any(first < at < second for at in listed)
    assert_all_there(world)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
@pytest.mark.parametrize("listed", [True, False])
async def test_one_run_that_is_refused_for_good_holds_up_no_other(
    tmp_path: Path, status: int, *, listed: bool
) -> None:
    def refuse(request: httpx.Request) -> int | None:
        ids = [run.id for run in service.runs]
        return status if of_run(request) and ids and request.url.path.endswith(ids[0]) else None

    service = Refusing(refuse=refuse)
    if not listed:
        service.filters = "no"
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call(settle=2.0, download=False)

    if listed and status != 404:
        assert stops.codes == []
        assert_all_there(world)
    else:
        assert states(world) == {State.SUCCEEDED: 11, State.IN_FLIGHT: 1}
        service.refuse = lambda _: None
        await world.call(settle=2.0, download=False)
        assert_all_there(world)


@pytest.mark.parametrize("since", [3.0, 6.0, 12.0])
async def test_a_key_that_is_revoked_ends_the_call_and_the_next_one_goes_on(
    tmp_path: Path, since: float
) -> None:
    def refuse(_: httpx.Request) -> int | None:
        return 401 if anyio.current_time() >= since else None

    service = Refusing(refuse=refuse)
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call(settle=2.0, download=False)

    assert 4 in stops.codes
    assert any(isinstance(error, KeyRefusedError) for error in stops.errors)
    assert anyio.current_time() < since + 30
    service.refuse = lambda _: None
    assert (await world.call(settle=2.0, download=False)).codes == []
    assert_all_there(world)


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_service_that_refuses_all_reads_for_good_ends_the_call_in_the_end(
    tmp_path: Path, status: int
) -> None:
    def refuse(request: httpx.Request) -> int | None:
        later = anyio.current_time() >= 8.0
        return status if request.method == "GET" and later and not of_account(request) else None

    service = Refusing(refuse=refuse)
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call(settle=2.0, download=False)

    assert stops.codes[0] in {3, 8}
    service.refuse = lambda _: None
    await world.call(settle=2.0, download=False)
    assert_all_there(world)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403])
async def test_where_no_run_can_be_read_a_few_are_paid_at_most(
    tmp_path: Path, status: int, *, trusted: bool
) -> None:
    """A key that may create runs and not read them, say."""
    service = Refusing(refuse=lambda each: status if of_list(each) or of_run(each) else None)
    world = World(tmp_path, service, text=TWELVE.replace("concurrency: 6", "concurrency: 12"))

    for _ in range(2):
        stops = await world.call(settle=2.0, download=False, trust_key=trusted)
        assert stops.codes == [8]
        said = "what its account may do" if trusted else "--trust-key"
        assert said in str(stops.errors[0])

    assert 1 <= len(service.runs) <= MOST if trusted else not service.runs
    service.refuse = lambda _: None
    await world.call(settle=2.0, download=False)
    assert_all_there(world)


@pytest.mark.parametrize("status", [204, 402, 403, 404, 405, 410, 451, 501])
@pytest.mark.parametrize("path", ["/v1/auth/me", "/v1/billing/balance", "/v1/models/"])
async def test_a_route_that_a_call_can_do_without_ends_none(
    tmp_path: Path, path: str, status: int
) -> None:
    def refuse(request: httpx.Request) -> int | None:
        return status if request.method == "GET" and request.url.path.startswith(path) else None

    service = Refusing(refuse=refuse, priced=True)
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call(settle=2.0, download=False, allow_short=False)

    assert stops.codes == []
    assert service.refusals
    assert_all_there(world)
    unknown = "the account's balance is not known" in world.listener.notes
    assert unknown == (path == "/v1/billing/balance")


async def test_the_balance_that_is_refused_with_401_is_not_known(tmp_path: Path) -> None:
    service = Refusing(refuse=lambda each: 401 if "billing" in each.url.path else None)
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call(settle=2.0, download=False, allow_short=False)

    assert stops.codes == []
    assert_all_there(world)


@pytest.mark.parametrize("status", [402, 403])
async def test_a_run_that_can_not_be_asked_whose_it_is_leaves_its_doubt(
    tmp_path: Path, status: int
) -> None:
    """The list leaves tags out, and the one run of a lost answer is refused by its id."""

    def refuse(request: httpx.Request) -> int | None:
        ids = [run.id for run in service.runs]
        return status if of_run(request) and ids[2:] and request.url.path.endswith(ids[2]) else None

    service = Refusing(
        refuse=refuse, script=["ok", "ok", "lost"], left_out=("metadata",), duration=lambda _: 40.0
    )
    world = Begun(tmp_path, service, text=TWELVE)

    stops = await world.call(settle=2.0, download=False)

    assert set(stops.codes) <= {3}
    assert states(world) == {State.SUCCEEDED: 11, State.DOUBTFUL: 1}
    service.refuse = lambda _: None
    await world.call(settle=2.0, download=False)
    assert_all_there(world)


@pytest.mark.parametrize("page", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403, 405])
async def test_a_batch_that_is_refused_leaves_its_doubt(
    tmp_path: Path, status: int, *, page: bool
) -> None:
    """The answer to its POST was lost, and nothing else shows the item that each run is of."""

    def refuse(request: httpx.Request) -> int | None:
        of_batch = request.url.path.startswith("/v1/batches/")
        return status if of_batch and request.method == "GET" else None

    service = Refusing(refuse=refuse, page=page, script=["lost"], batches="yes")
    text = TWELVE.replace("concurrency: 6", "concurrency: 12").replace(", batch: 1", "")
    world = Begun(tmp_path, service, text=text)

    stops = await world.call(settle=2.0, download=False)

    assert set(stops.codes) <= {3}
    assert states(world) == {State.DOUBTFUL: 12}
    service.refuse = lambda _: None
    await world.call(settle=2.0, download=False)
    assert_all_there(world)


async def test_a_list_that_was_refused_for_long_is_refused_at_once_until_it_is_shown() -> None:
    shown, before = False, 0
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if shown and (len(asked) - before) % 2 == 0:
            return httpx.Response(200, json={"items": [], "next": None})
        return httpx.Response(403, content=OWN)

    async with client(answer) as api:
        assert await api.newest_page() is None
        before = len(asked)
        assert before >= IN_A_ROW
        assert await api.runs_of("w1") is None
        assert len(asked) == before + 1
        shown = True
        assert await api.newest_page() is not None
        assert await api.newest_page() is not None, "one refusal is no matter again"
