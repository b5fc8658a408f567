"""Answers with media in them: all that can be had is had, the rest is named with its size.

The limits are small here, so that the answers can be.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine_world import World
from simulated import Json, Runflow, refused

from batchrun.catalogue.asking import read_list
from batchrun.engine import downloader
from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.runflow import one_send, pagination, retry
from batchrun.runflow.client import Client
from batchrun.runflow.http.body import check_values
from batchrun.runflow.http.client import api_client
from batchrun.runflow.inline import weight
from batchrun.runflow.post_outcomes import ForeignResponse
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.run_logs import LogLine, log_line, read_part

TWELVE = "models: [a/b]\ninputs: {n: {$range: [1, 12]}}\nlimits: {concurrency: 12}\n"
LIMIT = 200_000
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (one_send, retry):
        monkeypatch.setattr(room, "MOST_BYTES", LIMIT)
    monkeypatch.setattr(pagination, "_LIGHT", LIMIT // 50)
    monkeypatch.setattr(downloader, "MOST_HELD", 2 * LIMIT)


@dataclass(kw_only=True)
class Inline(Runflow):
    """Runs whose output stands in the answer.

    With *fields* the service leaves out what isn't asked for, also by id; it may *refuse* that
    parameter in lists. The output of the first run is so many times *larger*.
    """

    size: int = 60_000
    larger: int = 1
    fields: bool = True
    refuses: bool = False

    def __post_init__(self) -> None:
        self.edit_run = self._with_media

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        self._wanted = request.url.params.get("fields", "output").split(",")
        if self.refuses and request.url.path == "/v1/runs" and "fields" in request.url.params:
            return refused(400, "INVALID", "unknown parameter `fields`")
        return await super().serve(request, word)

    def _with_media(self, run: dict[str, Any]) -> dict[str, Any]:
        if not run.get("completed_at") or (self.fields and "output" not in self._wanted):
            return {name: value for name, value in run.items() if name != "output"}
        first = run["id"] == self.runs[0].id
        data = PNG + run["id"].encode() + bytes(self.size * (self.larger if first else 1))
        uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        return run | {"output": {"outputs": [{"url": uri, "type": "image"}]}}


def ledger_of(world: World) -> bytes:
    return (world.folder / "ledger.jsonl").read_bytes()


def files_of(world: World) -> list[Path]:
    return sorted((world.folder / "files").rglob("*.png"))


@pytest.mark.parametrize("fields", [True, False])
@pytest.mark.parametrize("refuses", [True, False])
async def test_a_list_that_is_too_large_is_asked_for_in_another_way(
    tmp_path: Path, *, fields: bool, refuses: bool
) -> None:
    world = World(tmp_path, Inline(fields=fields, refuses=refuses), text=TWELVE)

    stops = await world.call()

    assert stops.codes == []
    assert len(files_of(world)) == 12
    assert len({path.read_bytes() for path in files_of(world)}) == 12
    assert set(world.service.paid().values()) == {1}
    assert len(ledger_of(world)) < 30_000
    assert b"base64," not in ledger_of(world).replace(b"base64,[", b"")


async def test_a_call_that_takes_over_large_runs_has_them_all(tmp_path: Path) -> None:
    world = World(tmp_path, Inline(duration=lambda _: 60.0), text=TWELVE)
    await world.call(max_duration=30.0)

    stops = await world.call()

    assert stops.codes == []
    assert len(files_of(world)) == 12
    assert world.service.calls["create"] == 12


@pytest.mark.parametrize("cells", [1, 12])
async def test_an_output_that_is_too_large_is_named_with_its_size_and_holds_up_no_other(
    tmp_path: Path, cells: int
) -> None:
    text = TWELVE.replace("12]", f"{cells}]")
    world = World(tmp_path, Inline(larger=4), text=text)

    for _ in range(2):
        stops = await world.call()
        assert stops.codes == []
        notes = world.listener.notes
        assert any("could not be saved" in note and "313.9 KiB or more" in note for note in notes)
        notes.clear()

    assert len(files_of(world)) == cells - 1
    assert {each.state for each in world.book().histories.values()} == {State.SUCCEEDED}
    assert world.service.calls["create"] == cells


async def test_a_run_of_which_no_answer_can_be_read_is_left_to_the_next_call(
    tmp_path: Path,
) -> None:
    service = Inline(larger=4, fields=False)
    world = World(tmp_path, service, text=TWELVE)

    stops = await world.call()

    assert most_severe(stops.codes) != 8
    assert len(files_of(world)) == 11
    [parked] = [each for each in world.book().histories.values() if each.state == State.IN_FLIGHT]
    assert parked.parked
    assert b"313.9 KiB or more, also without its output" in ledger_of(world)
    service.fields = True
    await world.call()
    assert {each.state for each in world.book().histories.values()} == {State.SUCCEEDED}
    assert world.service.calls["create"] == 12


async def test_a_large_run_whose_answer_was_lost_is_found_and_not_paid_again(
    tmp_path: Path,
) -> None:
    service = Inline(script=["ok", "ok", "lost", "lost"], fields=False, duration=lambda _: 1.0)
    world = World(tmp_path, service, text=TWELVE.replace("12]", "4]"))

    stops = await world.call(settle=5.0)

    assert stops.codes == []
    assert set(service.paid().values()) == {1}
    assert len(files_of(world)) == 4


async def test_jobs_that_wait_hold_little_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    real = downloader.Downloader.put

    def put(self: downloader.Downloader, job: downloader.Job) -> None:
        real(self, job)
        held.append(sum(weight(each.output) for each in self._jobs))

    monkeypatch.setattr(downloader.Downloader, "put", put)
    monkeypatch.setattr(downloader, "MOST_HELD", 100_000)
    world = World(tmp_path, Inline(size=30_000), text=TWELVE.replace("12]", "4]"))

    await world.call(downloads=1)

    assert len(files_of(world)) == 4
    assert max(held) <= 100_000


# Other answers than those of runs.

Answers = Callable[[httpx.Request], httpx.Response]


def client(answer: Answers, notes: list[str] | None = None, give_up: float = 30.0) -> Client:
    http = api_client("https://fake", "key", connections=1, transport=httpx.MockTransport(answer))
    limiter = Limiter(Pace(100.0, jitter=lambda: 0.5))
    said = [] if notes is None else notes
    return Client(http, limiter, give_up=give_up, log=said.append)


def page(count: int, request: httpx.Request, item: Callable[[int], Json]) -> Json:
    """Return a page of *count* items, as many as are asked for."""
    first = int(request.url.params.get("pq", "0"))
    last = min(count, first + int(request.url.params["limit"]))
    after = str(last) if last < count else None
    return {"items": [item(n) for n in range(first, last)], "next": after}


def large_item(n: int) -> Json:
    return {"message": f"m{n}", "slug": f"a/{n}", "weight": "x" * (LIMIT // 20)}


async def test_a_list_of_models_is_asked_for_in_smaller_pages() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["limit"])
        return httpx.Response(200, json=page(30, request, large_item))

    found = await read_list(client(answer))

    assert (len(found.models), found.whole) == (30, True)
    assert asked == ["500", "50", "5", "5", "5", "5", "5", "5"]


async def test_logs_are_asked_for_in_smaller_pages_and_one_line_too_large_is_named() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=page(8, request, large_item))

    def one_too_large(request: httpx.Request) -> httpx.Response:
        def item(n: int) -> Json:
            return {"message": f"m{n}" if n != 5 else "x" * LIMIT}

        return httpx.Response(200, json=page(8, request, item))

    whole = await read_part(partial(client(answer).part_of_run, "r", "logs"), log_line)
    part = await read_part(partial(client(one_too_large).part_of_run, "r", "logs"), log_line)

    shown = [each.message for each in whole.items if isinstance(each, LogLine)]
    assert shown == [f"m{n}" for n in range(8)]
    assert (len(part.items), whole.said) == (5, "")
    assert (
        "the rest is missing: the answer to GET /v1/runs/r/logs has 195.3 KiB or more" in part.said
    )


@pytest.mark.parametrize("fields", [True, False])
async def test_a_batch_is_put_together_from_pages_or_named_with_its_size(*, fields: bool) -> None:
    notes: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        light = fields and "fields" in request.url.params
        load = "" if light else "x" * LIMIT
        if request.url.path.endswith("/items"):
            each = page(30, request, lambda n: {"run_id": f"r{n}", "weight": "x" * (LIMIT // 20)})
            return httpx.Response(200, json=each | {"load": load})
        body = {"id": "b", "status_code": "running", "metadata": {"batchrun": {}}, "load": load}
        return httpx.Response(200, json=body)

    batch = await client(answer, notes).get_batch("b")

    if fields:
        assert batch is not None
        assert batch.metadata == {"batchrun": {}}
        assert [(each.index, each.run_id) for each in batch.items] == [
            (n, f"r{n}") for n in range(30)
        ]
        assert notes == []
    else:
        assert batch is None
        assert "GET /v1/batches/b has 195.4 KiB or more; no more than 195.3 KiB" in notes[0]


async def test_a_batch_whose_items_have_no_end_is_not_taken_for_whole() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        load = {} if "fields" in request.url.params else {"load": "x" * LIMIT}
        return httpx.Response(200, json={"id": "b", "items": [None], "next": "same"} | load)

    assert await client(answer).get_batch("b") is None


async def test_what_can_be_done_without_is_left_out_with_its_size() -> None:
    notes: list[str] = []
    api = client(lambda _: httpx.Response(200, json={"balance": "1", "load": "x" * LIMIT}), notes)

    assert [await api.account(), await api.balance(), await api.asset("a")] == [None] * 3
    assert [note.count("195.3 KiB or more") for note in notes] == [1, 1, 1]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_refusal_that_is_too_large_counts_by_its_status(status: int) -> None:
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(status)
        if len(asked) == 1:
            large = {"code": "X", "message": "x" * LIMIT}
            return httpx.Response(status, json=large, headers={"Retry-After": "3"})
        return httpx.Response(200, json={"id": "r", "status_code": "queued"})

    api = client(answer)
    run = await api.get_run("r")

    assert run is not None
    assert (len(asked), api.rate_limited) == (2, int(status == 429))


async def test_a_refusal_of_a_run_that_is_too_large_says_nothing_and_is_named() -> None:
    api = client(lambda _: httpx.Response(422, json={"code": "X", "message": "x" * LIMIT}))

    outcome = await api.create_run("a/b", b"{}", idempotency_key="k")

    assert isinstance(outcome, ForeignResponse)
    assert outcome.reason.endswith("with 195.3 KiB or more that were not read")


async def test_an_answer_of_too_many_values_is_asked_for_in_smaller_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(one_send, "check_values", partial(check_values, most=1000))
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["limit"])
        items = page(10, request, lambda n: {"slug": f"a/{n}", "outputs": [[]] * 80})
        return httpx.Response(200, json=items)

    found = await read_list(client(answer))

    assert (len(found.models), found.whole) == (10, True)
    assert asked == ["500", "50", "5", "5"]
