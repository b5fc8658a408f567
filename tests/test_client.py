"""What each answer means, which requests are sent again, and what a look-up may claim."""

import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest

from batchrun.errors import (
    KeyRefusedError,
    NotPermittedError,
    OutOfCreditError,
    ThrottledError,
    UnreachableError,
    UsageError,
)
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client, check_endpoint, download_client
from batchrun.runflow.post_outcomes import (
    Accepted,
    Conflicted,
    ForeignResponse,
    InDoubt,
    InputRefused,
    Outcome,
)
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

KEY = "rf_live_canary_0123456789"
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

Json = dict[str, Any]
BatchAnswer = Callable[[httpx.Request], httpx.Response]
Handler = BatchAnswer | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]

FLAT = {"code": "SOME_CODE", "message": "some words", "errors": None}
NESTED = {"error": {"code": "SOME_CODE", "message": "some words"}}
DETAIL = {"detail": [{"loc": ["body", "input", "seed"], "msg": "must be a number"}]}
RUN = {"id": "r1", "status_code": "queued"}


def client(handler: Handler, *, give_up: float = 600.0, rate: float = 100.0) -> Client:
    http = api_client(
        "https://api.example", KEY, connections=4, transport=httpx.MockTransport(handler)
    )
    limiter = Limiter(Pace(rate, jitter=random.Random(1).random))
    return Client(http, limiter, give_up=give_up, log=LOG.append, clock=lambda: NOON)


LOG: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


async def post(api: Client) -> Outcome:
    return await api.create_run("a/b", b'{"input":{}}', idempotency_key="k-1")


def answers(*given: httpx.Response | Exception) -> tuple[BatchAnswer, list[httpx.Request]]:
    """Return a handler that gives these answers, the last one for ever, and what it was asked."""
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = given[min(len(asked), len(given)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return handle, asked


def ok(body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=RUN if body is None else body, headers=headers)


# --- POST: every status, in the API's envelope and out of it


def expected_of_post(status: int, *, enveloped: bool) -> type:
    if status == 408 or status >= 500:
        return InDoubt
    if status == 409:
        return Conflicted
    if not enveloped or status < 400:
        return ForeignResponse
    return {
        400: InputRefused,
        404: InputRefused,
        413: InputRefused,
        422: InputRefused,
        401: KeyRefusedError,
        403: NotPermittedError,
        402: OutOfCreditError,
    }.get(status, ForeignResponse)


GZIP = {"Content-Encoding": "gzip"}
STATUSES = [*range(300, 309), *(n for n in range(400, 600) if n != 429)]


@pytest.mark.parametrize(
    ("body", "enveloped"),
    [
        (FLAT, True),
        (NESTED, True),
        (DETAIL, True),
        ("<html>Bad gateway</html>", False),
        ({"message": "Forbidden"}, False),
        ({"error": {"code": 404, "message": "no such host"}}, False),
        ({"detail": "Not Found"}, False),
        ({"type": "about:blank", "title": "Error 1015", "detail": "limited"}, False),
        ([], False),
        (None, False),
        ("", False),
    ],
)
async def test_every_status_of_a_post_means_what_the_table_says_and_is_sent_once(
    body: Any, *, enveloped: bool
) -> None:
    content = {"json": body} if not isinstance(body, str) else {"text": body}
    asked = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(status, **content)

    api = client(handle)
    for number, status in enumerate(STATUSES, 1):
        expected = expected_of_post(status, enveloped=enveloped)
        if issubclass(expected, Exception):
            with pytest.raises(expected):
                await post(api)
        else:
            assert type(await post(api)) is expected, status
        assert asked == number, f"{status} was sent again"


@pytest.mark.parametrize("status", [200, 201, 202, 203])
@pytest.mark.parametrize("body", [RUN, {"run_id": "r1"}, {"id": "r1", "status": "brand-new"}])
async def test_any_2xx_with_a_run_id_is_accepted(status: int, body: Json) -> None:
    outcome = await post(client(lambda _: httpx.Response(status, json=body)))

    assert isinstance(outcome, Accepted)
    assert outcome.run.id == "r1"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(204),
        httpx.Response(201, text=""),
        httpx.Response(201, text='{"id": "r'),
        httpx.Response(201, text="<html>Welcome to the hotel</html>"),
        httpx.Response(201, json={"id": None}),
        httpx.Response(201, json={"status_code": "queued"}),
        httpx.Response(201, json=[RUN]),
        httpx.Response(201, content=b"[" * 100_000),
        pytest.param(
            lambda: httpx.Response(201, headers=GZIP, stream=httpx.ByteStream(b"no")),
            # httpx leaves its generators to the garbage where it can't decode; trio complains.
            marks=pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
        ),
        httpx.ReadError("reset"),
        httpx.ReadTimeout(""),
        httpx.WriteError("broken pipe"),
        httpx.WriteTimeout(""),
        httpx.CloseError("late"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.LocalProtocolError("too much data for declared Content-Length"),
        OSError("TLS record of the wrong kind"),
    ],
)
async def test_an_answer_that_is_not_whole_is_in_doubt_and_never_sent_again(
    answer: httpx.Response | Exception | Callable[[], httpx.Response],
) -> None:
    asked = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    assert isinstance(await post(client(handle)), InDoubt)
    assert asked == 1


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout(""),
        httpx.PoolTimeout(""),
        httpx.ProxyError("503 to CONNECT"),
        httpx.Response(429),
        httpx.Response(429, json={"code": "RATE_LIMITED", "message": "slower"}),
        httpx.Response(429, headers={"Retry-After": "never mind"}, text="<html>"),
    ],
)
async def test_what_was_never_taken_is_sent_again_byte_for_byte(
    error: httpx.Response | Exception,
) -> None:
    handle, asked = answers(error, error, ok())
    api = client(handle)

    outcome = await post(api)

    assert isinstance(outcome, Accepted)
    assert len(asked) == api.requests == 3
    assert api.retries == 2
    assert {request.content for request in asked} == {b'{"input":{}}'}
    assert {request.headers["Idempotency-Key"] for request in asked} == {"k-1"}


@pytest.mark.parametrize(
    ("header", "value", "pause"),
    [
        ("Retry-After", "7", 7.0),
        ("Retry-After", "0.5", 1.0),
        ("Retry-After", "0", 1.0),
        ("Retry-After", "-1", 1.0),
        ("Retry-After", "Fri, 01 May 2026 13:00:09 GMT", 9.0),
        ("Retry-After", "Fri, 01 May 2020 12:00:09 GMT", 1.0),
        ("X-RateLimit-Reset", str(int(NOON.timestamp()) + 3620), 20.0),
        ("X-RateLimit-Reset", str((int(NOON.timestamp()) + 3620) * 1000), 20.0),
        ("X-RateLimit-Reset", "12", 12.0),
        ("RateLimit-Reset", "12", 12.0),
        ("Retry-After", "nan", 1.0),
        ("Retry-After", "soon", 1.0),
    ],
)
async def test_a_429_waits_as_long_as_it_is_told(header: str, value: str, pause: float) -> None:
    """The service's clock is an hour ahead of ours."""
    times: list[float] = []
    headers = {header: value, "Date": "Fri, 01 May 2026 13:00:00 GMT"}

    def handle(request: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time())
        return ok() if len(times) > 1 else httpx.Response(429, headers=headers)

    await post(client(handle))

    assert pause <= times[1] - times[0] <= pause * 1.5 + 0.05


async def test_the_post_carries_key_reference_and_body_and_follows_no_redirect() -> None:
    handle, asked = answers(httpx.Response(307, headers={"Location": "https://elsewhere/"}))

    outcome = await client(handle).create_run("a/b c/d%2e", b"{}", idempotency_key="k")

    assert isinstance(outcome, ForeignResponse)
    (request,) = asked
    assert request.url.raw_path == b"/v1/models/a/b%20c/d%252e/runs"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Content-Type"] == "application/json"


async def test_a_call_that_hangs_is_in_doubt_after_its_own_time_out_and_holds_up_nobody() -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            await anyio.sleep_forever()
        return ok()

    api, done = client(handle), []

    async def look() -> None:
        for _ in range(20):
            await api.get_run("r1")
        done.append(anyio.current_time())

    started = anyio.current_time()
    async with anyio.create_task_group() as tg:
        tg.start_soon(look)
        outcome = await post(api)

    assert isinstance(outcome, InDoubt)
    assert done[0] - started < 5
    assert anyio.current_time() - started == pytest.approx(120, abs=1)


# --- GET


@pytest.mark.parametrize(
    "fault",
    [
        *(httpx.Response(status, json=FLAT) for status in (408, 429, 500, 502, 503, 504, 599)),
        *(httpx.Response(status, text="<html>") for status in (200, 302, 400, 401, 403, 404, 503)),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(200, json={"no": "id"}),
        httpx.Response(200, json={"id": "r2", "status_code": "failed"}),
        httpx.Response(200, text=""),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout(""),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("half an answer"),
        OSError("TLS"),
    ],
)
async def test_a_get_is_sent_again_until_the_api_itself_answers(
    fault: httpx.Response | Exception,
) -> None:
    handle, asked = answers(fault, fault, ok())

    run = await client(handle).get_run("r1")

    assert run is not None
    assert run.id == "r1"
    assert len(asked) == 3


@pytest.mark.parametrize("what", ["run", "batch"])
async def test_an_answer_about_another_one_is_asked_for_on_a_new_connection(what: str) -> None:
    distrusted: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        found = RUN | ({"id": "stray"} if not distrusted else {"id": "0AB"})
        aside = {"distrust": lambda: distrusted.append(request.url.path)}
        return httpx.Response(200, json=found, extensions=aside)

    api = client(handle)
    found = await (api.get_run("0a-b") if what == "run" else api.get_batch("0a-b"))

    assert found is not None
    assert (found.id, len(distrusted)) == ("0AB", 1), "case and hyphens don't count"
    assert "stray instead of 0a-b" in LOG[0]


@pytest.mark.parametrize("body", [FLAT, NESTED, {"detail": "no such run"}])
async def test_a_404_in_the_apis_own_words_is_no_run(body: Json) -> None:
    assert await client(lambda _: httpx.Response(404, json=body)).get_run("r1") is None


async def test_a_refused_key_stops_a_get_and_is_not_shown() -> None:
    handle, asked = answers(httpx.Response(401, json={"code": "NO", "message": f"no such: {KEY}"}))

    with pytest.raises(KeyRefusedError, match="RUNFLOW_API_KEY") as stopped:
        await client(handle).get_run("r1")

    assert KEY not in str(stopped.value)
    assert [request.url.path for request in asked] == ["/v1/runs/r1", "/v1/auth/me"]


@pytest.mark.parametrize(
    ("fault", "call"),
    [
        (httpx.Response(503, text="down"), "get"),
        (httpx.Response(429), "get"),
        (httpx.ConnectError("refused"), "get"),
        (httpx.Response(429), "post"),
        (httpx.ConnectError("refused"), "post"),
    ],
)
async def test_without_one_good_answer_until_the_give_up_time_the_api_is_unreachable(
    fault: httpx.Response | Exception, call: str
) -> None:
    handle, asked = answers(fault)
    api = client(handle, give_up=100.0)
    started = anyio.current_time()

    with pytest.raises(UnreachableError, match=r"https://api\.example") as stopped:
        await (api.get_run("r1") if call == "get" else post(api))

    last_pause = 48.0 if isinstance(fault, httpx.Response) and fault.status_code == 429 else 0.0
    assert 99 <= anyio.current_time() - started <= 101 + last_pause
    assert 4 <= len(asked) <= 15, "ever longer pauses"
    assert KEY not in str(stopped.value)


@pytest.mark.parametrize(
    ("call", "fact"), [("get", "answers no question before "), ("post", "takes no new run before ")]
)
async def test_a_retry_after_beyond_the_give_up_time_is_said_and_not_waited_for(
    call: str, fact: str
) -> None:
    handle, asked = answers(httpx.Response(429, headers={"Retry-After": "86400"}))
    started, api = anyio.current_time(), client(handle, give_up=60.0)

    with pytest.raises(ThrottledError) as stopped:
        await (api.newest_page() if call == "get" else post(api))

    assert anyio.current_time() - started <= 1
    assert len(asked) == 1
    assert f"{fact}2026-05-02 12:00:00 UTC (in 24 h)" in str(stopped.value)
    assert "HTTP 429" in str(stopped.value)


async def test_an_absolute_time_says_nothing_where_no_answer_shows_the_services_clock() -> None:
    times: list[float] = []

    def handle(request: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time())
        later = {"Retry-After": "Fri, 01 May 2026 13:00:09 GMT"}
        return ok() if len(times) > 1 else httpx.Response(429, headers=later)

    await post(client(handle))

    assert 1.0 <= times[1] - times[0] <= 1.6


@pytest.mark.parametrize("named", ["0", "-1", "0.001", "Fri, 01 May 2020 12:00:00 GMT"])
async def test_a_wait_of_nothing_is_no_leave_to_call_without_end(named: str) -> None:
    date = "Fri, 01 May 2026 12:00:00 GMT"
    handle, asked = answers(httpx.Response(429, headers={"Retry-After": named, "Date": date}))

    with pytest.raises(UnreachableError, match="nothing but 429"):
        await client(handle, give_up=100.0).get_run("r1")

    assert len(asked) <= 10


async def test_a_503_is_asked_again_when_the_service_wants_and_a_minute_later_at_most() -> None:
    times: list[float] = []
    waits = iter(["7", "3600"])

    def handle(request: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time())
        if len(times) > 2:
            return ok()
        return httpx.Response(503, json=FLAT, headers={"Retry-After": next(waits)})

    await client(handle).get_run("r1")

    assert times[1] - times[0] == pytest.approx(7.0, abs=0.1)
    assert times[2] - times[1] == pytest.approx(60.0, abs=0.1)


async def test_a_call_that_always_fails_ends_even_while_others_are_answered() -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.05)
        return httpx.Response(500) if request.url.path.endswith("bad") else ok()

    api, started = client(handle, give_up=60.0), anyio.current_time()

    async with anyio.create_task_group() as tg:

        async def others() -> None:
            while True:
                await api.get_run("r1")
                await anyio.sleep(0.1)

        tg.start_soon(others)
        with pytest.raises(UnreachableError, match="500"):
            await api.get_run("bad")
        tg.cancel_scope.cancel()

    undisturbed = (anyio.current_time() - started) / 0.15
    assert api.requests > 0.85 * undisturbed, "the others went on meanwhile"


async def test_in_an_outage_everybody_waits_for_one_probe() -> None:
    times: list[float] = []
    started = anyio.current_time()

    async def handle(request: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time() - started)
        await anyio.sleep(0.1)
        return httpx.Response(503) if times[-1] < 60 else ok()

    api = client(handle)
    async with anyio.create_task_group() as tg:
        for _ in range(30):
            tg.start_soon(api.get_run, "r1")

    during = [at for at in times if 5 < at < 60]
    assert len(during) <= 10
    assert times[-1] < 100


async def test_a_cancelled_probe_does_not_stop_the_others() -> None:
    handled = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal handled
        handled += 1
        if handled == 1:
            raise httpx.ReadError("reset")
        if handled == 2:
            await anyio.sleep_forever()
        return ok()

    api = client(handle)
    await post(api)
    with anyio.move_on_after(5):
        await api.get_run("probe")
    started = anyio.current_time()

    assert await api.get_run("r1") is not None
    assert anyio.current_time() - started < 1


# --- lists


def run_body(number: int, ref: str = "w1", at: datetime = NOON) -> Json:
    return {
        "id": f"r{number}",
        "status_code": "running",
        "client_ref": ref,
        "created_at": at.isoformat(),
    }


class Runs:
    """A service with runs, pages of its own size, and habits."""

    def __init__(self, runs: list[Json], *, page: int = 2, **habits: bool) -> None:
        self.runs, self.page, self.habits = runs, page, habits
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = dict(request.url.params)
        self.asked.append(asked)
        if any(self.habits.get(f"no_{name}") and name in asked for name in asked):
            return httpx.Response(400, json=FLAT)
        runs = self.runs
        if "q" in asked and not self.habits.get("ignores_q"):
            ref = asked["q"].removeprefix("client_ref.EQ:'").removesuffix("'")
            runs = [run for run in runs if run["client_ref"] == ref]
        if asked.get("sort_by") == "created_at:desc" and not self.habits.get("ignores_sort"):
            runs = sorted(runs, key=lambda run: str(run["created_at"]), reverse=True)
        start = 0 if self.habits.get("ignores_pq") else int(asked.get("pq", "0"))
        end = start + self.page
        more = end < len(runs) or (self.habits.get("one_more") and start < len(runs))
        after = str(end) if more else None
        if self.habits.get("circles") and after is None:
            after = "0"
        body: Json = {"items": runs[start:end]}
        if self.habits.get("next_pq"):
            body |= {"next_pq": after, "prev_pq": None}
        elif after and self.habits.get("urls"):
            body |= {"next": f"https://api.example/v1/runs?limit=9&pq={after}#x"}
        else:
            body |= {"first": None, "next": after, "previous": None}
        return httpx.Response(200, json=body)


@pytest.mark.parametrize("others", [[], ["w1"]])
async def test_a_list_that_leaves_references_out_is_not_known(others: list[str]) -> None:
    bodies = [run_body(n, ref) for n, ref in enumerate(others)]
    service = Runs([*bodies, run_body(9) | {"client_ref": None}], ignores_q=True)

    assert await client(service).runs_of("w1") is None


async def test_a_run_without_a_reference_is_nobodys_where_others_have_theirs() -> None:
    service = Runs(
        [run_body(1), run_body(2, "w2"), run_body(3) | {"client_ref": None}], ignores_q=True
    )

    found = await client(service).runs_of("w1")

    assert found is not None
    assert [run.id for run in found] == ["r1"]


@pytest.mark.parametrize("habit", ["", "next_pq", "urls", "no_fields", "no_sort_by"])
async def test_all_pages_of_a_wave_are_followed_in_any_envelope(habit: str) -> None:
    service = Runs([run_body(n, "w1" if n % 3 else "w2") for n in range(20)], **{habit: True})
    api = client(service)

    found = await api.runs_of("w1")

    assert found is not None
    assert [run.id for run in found] == [f"r{n}" for n in range(20) if n % 3]
    assert service.asked[0]["q"] == "client_ref.EQ:'w1'"
    assert service.asked[0]["limit"] == "500"
    assert "status_code" in service.asked[0]["fields"]


@pytest.mark.parametrize(("page", "cap"), [(6, None), (5, 5), (2, 2)])
async def test_where_pages_end_is_seen_where_another_has_runs(page: int, cap: int | None) -> None:
    service = Runs([run_body(n) for n in range(6)], page=page, one_more=True)
    api = client(service)

    found = await api.runs_of("w1")

    assert found is not None
    assert len(found) == 6
    assert api.profile.page_cap == cap


async def test_a_service_that_refuses_fields_is_asked_plainly_from_then_on() -> None:
    service = Runs([run_body(n) for n in range(6)], no_fields=True)
    api = client(service)

    await api.runs_of("w1")

    assert ["fields" in asked for asked in service.asked] == [True, False, False, False]


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_service_that_refuses_the_filter_gives_no_list(status: int) -> None:
    api = client(lambda _: httpx.Response(status, json=FLAT))

    assert await api.runs_of("w1") is None


async def test_a_service_that_ignores_the_filter_is_searched_to_the_end() -> None:
    service = Runs([run_body(n, f"w{n % 4}") for n in range(12)], ignores_q=True)

    found = await client(service).runs_of("w1")

    assert found is not None
    assert [run.id for run in found] == ["r1", "r5", "r9"]


async def test_but_not_through_a_long_history_and_then_nothing_is_claimed() -> None:
    service = Runs([run_body(n, "other") for n in range(1000)], ignores_q=True)

    assert await client(service).runs_of("w1") is None
    assert len(service.asked) == 10


@pytest.mark.parametrize("habit", ["ignores_pq", "circles"])
async def test_a_list_that_goes_in_a_circle_ends_and_claims_nothing(habit: str) -> None:
    service = Runs([run_body(n) for n in range(9)], **{habit: True})

    assert await client(service).runs_of("w1") is None
    assert len(service.asked) <= 6


async def test_a_page_with_an_item_that_has_no_id_is_passed_over_and_not_believed() -> None:
    handle, asked = answers(ok({"items": [{"client_ref": "w1"}], "next": None}))

    found = await client(handle).runs_of("w1")

    assert found == []
    assert not found.whole
    assert len(asked) == 1


async def test_a_reference_with_a_quote_is_never_put_into_a_filter() -> None:
    with pytest.raises(ValueError, match="quote"):
        await client(lambda _: ok()).runs_of("a' OR '1")


# --- the account, models, time


@pytest.mark.parametrize(
    ("body", "organisation"),
    [
        ({"org_id": "o1"}, "o1"),
        ({"id": "u", "organization": {"id": "o1"}}, "o1"),
        ({"user": {"id": "u", "organization_id": "o1"}}, "o1"),
        ({"data": {"org": "o1"}}, "o1"),
        ({"id": "u"}, None),
        ([], None),
    ],
)
async def test_the_organisation_is_read_from_any_shape(body: Any, organisation: str) -> None:
    assert await client(lambda _: ok(body)).account() == organisation


async def test_what_the_key_may_not_know_is_no_reason_to_stop() -> None:
    denied = client(lambda _: httpx.Response(403, json={"code": "PERMISSION_DENIED"}))
    absent = client(lambda _: httpx.Response(404, text="<html>"))

    assert (await denied.model("a/b")).http_status == 403
    assert await absent.account() is None
    assert (await absent.model("a/b")).http_status == 404
    assert await absent.models_page() is None
    with pytest.raises(KeyRefusedError):
        await client(lambda _: httpx.Response(401, json=FLAT)).account()


async def test_the_services_clock_is_read_from_its_answers() -> None:
    api = client(lambda _: ok(Date="Fri, 01 May 2026 12:10:00 GMT"))
    assert api.server_now() == NOON

    await api.get_run("r1")

    assert api.server_now() == NOON + timedelta(minutes=10)


async def test_the_age_of_a_run_is_counted_by_the_services_clock() -> None:
    created = {**RUN, "created_at": "2026-05-01T12:00:00Z"}
    api = client(lambda _: ok(created, Date="Fri, 01 May 2026 12:10:00 GMT"))

    run = await api.get_run("r1")

    assert run is not None
    assert api.said_age(run) == 600.0


async def test_the_same_date_told_again_later_is_set_against_the_clock_of_that_moment() -> None:
    local = [NOON]
    http = api_client(
        "https://api.example",
        KEY,
        connections=1,
        transport=httpx.MockTransport(lambda _: ok(Date="Fri, 01 May 2026 12:10:00 GMT")),
    )
    limiter = Limiter(Pace(100.0, jitter=random.Random(1).random))
    api = Client(http, limiter, give_up=600.0, clock=lambda: local[0])

    for minutes in (0, 3, 20):
        local[0] = NOON + timedelta(minutes=minutes)
        await api.get_run("r1")

        assert api.server_now() == NOON + timedelta(minutes=10)


async def test_a_run_of_an_unknown_status_stays_open_and_it_is_not_here_that_it_is_said() -> None:
    api = client(lambda _: ok({"id": "r1", "status_code": "teleporting"}))

    runs = [await api.get_run("r1") for _ in range(3)]

    assert all(run is not None and not run.terminal and not run.known for run in runs)
    assert LOG == []


# --- secrets, endpoints


async def test_a_key_that_the_service_echoes_reaches_nobody() -> None:
    echo = {"code": "BAD", "message": f"you sent {KEY}", "errors": None}
    rejected = await post(client(lambda _: httpx.Response(422, json=echo)))
    failed = await client(lambda _: ok(RUN | {"failure_message": KEY, "output": [KEY]})).get_run(
        "r1"
    )
    handle, _ = answers(httpx.ReadError(f"https://user:pw@host/ {KEY}"))
    doubt = await post(client(handle))

    for value in (rejected, failed, doubt, LOG):
        assert KEY not in repr(value)
        assert "pw" not in repr(value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://api.runflow.io",
        "http://10.0.0.1:80",
        "http://localhost.example",
        "https://user:canary-pw@api.runflow.io",
        "https://canary-pw@api.runflow.io",
        "ftp://api.runflow.io",
        "api.runflow.io",
        "https://",
        "https://api.runflow.io/?key=canary-pw",
        "https://[::1",
        "",
    ],
)
def test_an_endpoint_that_could_leak_the_key_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(UsageError) as stopped:
        api_client(endpoint, KEY, connections=1)

    assert "canary" not in str(stopped.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://api.runflow.io",
        "http://127.0.0.1:8000",
        "http://localhost:1",
        "http://[::1]:2/x",
        "http://127.0.0.2:1",
    ],
)
def test_https_and_this_machine_are_fine(endpoint: str) -> None:
    assert str(check_endpoint(endpoint)) == endpoint


@pytest.mark.parametrize(
    "endpoint", ["https://a..b", "https://.a", f"https://{64 * 'a'}.example", "https://xn--a"]
)
def test_a_host_that_no_name_can_be_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="its host is no name"):
        check_endpoint(endpoint)


@pytest.mark.parametrize("key", ["", "  ", "two\nlines", "with space", "schlüssel", "tab\there"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(UsageError, match="RUNFLOW_API_KEY") as stopped:
        api_client("https://api.example", key, connections=1)

    assert "lines" not in str(stopped.value)


def test_the_download_client_has_no_key() -> None:
    assert "authorization" not in download_client().headers
