"""A small Runflow in memory, under virtual time, that can be told how to misbehave.

It is the boundary of the engine's tests: an httpx transport. What it does to a POST is one entry of
its script; when the script is used up, it behaves.
"""

import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The virtual clock as a date."""
    return BEGINNING + timedelta(seconds=anyio.current_time())


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


@dataclass(kw_only=True)
class FakeRun:
    id: str
    model: str
    body: dict[str, Any]
    key: str
    created: float
    listed: float
    ends: float
    status: str
    batch: str | None = None
    index: int = 0
    made_for: dict[str, Any] | None = None  # of a batch's item: the tag that it doesn't show

    @property
    def tag(self) -> dict[str, Any]:
        """What the run was made for."""
        tag: dict[str, Any] = self.made_for or self.body["metadata"]["batchrun"]
        return tag

    @property
    def cell(self) -> str:
        return str(self.tag["cell"])


@dataclass(kw_only=True)
class FakeRunflow:
    """*script* is what happens to the POSTs, one word each; see `_create`.

    *duration* and *ending* say how long the n-th run takes and what it ends as. *batches* is
    whether models take batches: `no` (422), `yes`, or `named`, where runs show their batch's
    metadata; *without_run* are the places of items that get no run. *retold* is what becomes of a
    batch on the way to whoever asked; with *keeps_batches* False, each is a 404 when asked for.
    """

    script: list[str] = field(default_factory=list)
    duration: Callable[[int], float] = lambda _: 10.0
    ending: Callable[[int], str] = lambda _: "succeeded"
    list_lag: float = 0.0
    commit_lag: float = 0.0
    filters: str = "yes"  # or: no (400), ignored, empty
    page_cap: int = 500
    organisation: str | None = "org-1"
    known: bool = True  # False: every run answers 404
    batches: str = "no"
    without_run: frozenset[int] = frozenset()
    retold: Callable[[dict[str, Any]], dict[str, Any]] = lambda batch: batch
    keeps_batches: bool = True
    latency: float = 0.05
    honours_key: bool = False
    runs: list[FakeRun] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    posts: list[tuple[float, str, bytes]] = field(default_factory=list)
    departures: list[float] = field(default_factory=list)
    sent_batches: list[tuple[str, bytes]] = field(default_factory=list)
    whole_batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    most_in_flight: int = 0

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def paid(self) -> Counter[str]:
        """Return how many runs each cell has."""
        return Counter(run.cell for run in self.runs)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.departures.append(anyio.current_time())
        await anyio.sleep(self.latency)
        path = request.url.path
        if request.method == "POST":
            batch = path.endswith("/batches")
            self.calls["create_batch" if batch else "create"] += 1
            return await (self._create_batch(request) if batch else self._create(request))
        if path.startswith("/v1/batches/"):
            self.calls["batch"] += 1
            return self._get_batch(path.rpartition("/")[2])
        if path == "/v1/runs":
            self.calls["list"] += 1
            return self._list(request)
        if path.startswith("/v1/runs/"):
            self.calls["get"] += 1
            return self._get(path.rpartition("/")[2])
        if path == "/v1/auth/me":
            self.calls["account"] += 1
            return self._json(200, {"org_id": self.organisation})
        return self._error(404, "NOT_FOUND", "no such route")

    async def _create(self, request: httpx.Request) -> httpx.Response:
        word = self.script.pop(0) if self.script else "ok"
        key = request.headers["Idempotency-Key"]
        self.posts.append((anyio.current_time(), key, request.content))
        refusal = self._before_commit(word, request)
        return refusal or await self._after_commit(word, request, self._commit(request, key))

    async def _create_batch(self, request: httpx.Request) -> httpx.Response:
        word = self.script.pop(0) if self.script else "ok"
        key = request.headers["Idempotency-Key"]
        self.sent_batches.append((key, request.content))
        refusal = self._before_commit(word, request)
        if refusal is not None:
            return refusal
        if self.batches == "no":
            return self._error(422, "VALIDATION", "the model takes no batches")
        return await self._after_commit(word, request, self._commit_batch(request, key))

    def _commit_batch(self, request: httpx.Request, key: str) -> dict[str, Any]:
        for whole in self.whole_batches.values():
            if self.honours_key and whole["key"] == key:
                return whole
        asked = json.loads(request.content)
        batch_id = str(uuid.UUID(int=10**9 + len(self.whole_batches)))
        cells = asked["metadata"]["batchrun"]["cells"]
        runs: list[FakeRun | None] = []
        for index, item in enumerate(asked["input"]):
            run = None if index in self.without_run else self._commit(request, key, item=item)
            runs.append(run)
            if run is not None:
                cell, attempt = cells[index]
                run.batch, run.index = batch_id, index
                run.made_for = {"cell": cell, "attempt": attempt, "key": key}
        whole = {"id": batch_id, "key": key, "runs": runs, "metadata": asked["metadata"]}
        self.whole_batches[batch_id] = whole
        return whole

    def _get_batch(self, batch_id: str) -> httpx.Response:
        whole = self.whole_batches.get(batch_id)
        if whole is None or not self.keeps_batches:
            return self._error(404, "BATCH_NOT_FOUND", "no such batch")
        return self._json(200, self._told_batch(whole))

    def _told_batch(self, whole: dict[str, Any]) -> dict[str, Any]:
        items = [
            {
                "id": f"item-{index}",
                "sequence_index": index,
                "run_id": run and run.id,
                "status_code": "failed" if run is None else self._body(run)["status_code"],
                "client_ref": run and run.body["client_ref"],
            }
            for index, run in enumerate(whole["runs"])
        ]
        told = {"id": whole["id"], "status_code": "running", "metadata": whole["metadata"]}
        return self.retold(told | {"items": items, "items_total": len(items)})

    def _before_commit(self, word: str, request: httpx.Request) -> httpx.Response | None:
        match word:
            case "unreachable":
                raise httpx.ConnectError("refused", request=request)
            case "reset":
                raise httpx.ReadError("reset", request=request)
            case "html":
                return httpx.Response(404, text="<html>proxy</html>")
            case _ if word.isdecimal():
                return self._error(int(word), f"CODE_{word}", f"answered {word}")
            case _:
                return None

    async def _after_commit(
        self, word: str, request: httpx.Request, made: FakeRun | dict[str, Any]
    ) -> httpx.Response:
        match word:
            case "lost":
                raise httpx.ReadError("reset after commit", request=request)
            case "500-after":
                return httpx.Response(500, text="<html>broken after commit</html>")
            case "half":
                return httpx.Response(201, text='{"id": "')
            case "no-id":
                return self._json(201, {"status_code": "queued"})
            case "hang":
                await anyio.sleep(10_000)
            case _:
                pass
        body = self._body(made) if isinstance(made, FakeRun) else self._told_batch(made)
        return self._json(201, body)

    def _commit(
        self, request: httpx.Request, key: str, *, item: dict[str, Any] | None = None
    ) -> FakeRun:
        if self.honours_key and item is None:
            for run in self.runs:
                if run.key == key:
                    return run
        number = len(self.runs)
        created = anyio.current_time() + self.commit_lag
        run = FakeRun(
            id=str(uuid.UUID(int=number + 1)),
            model=request.url.path,
            body=json.loads(request.content) if item is None else self._child(request, item),
            key=key,
            created=created,
            listed=created + self.list_lag,
            ends=created + self.duration(number),
            status=self.ending(number),
        )
        self.runs.append(run)
        in_flight = sum(run.ends > anyio.current_time() for run in self.runs)
        self.most_in_flight = max(self.most_in_flight, in_flight)
        return run

    def _child(self, request: httpx.Request, item: dict[str, Any]) -> dict[str, Any]:
        shown = json.loads(request.content)["metadata"] if self.batches == "named" else None
        given = {name: value for name, value in item.items() if name != "client_ref"}
        return {"input": given, "client_ref": item["client_ref"], "metadata": shown}

    def _get(self, run_id: str) -> httpx.Response:
        for run in self.runs:
            if run.id == run_id and run.created <= anyio.current_time() and self.known:
                return self._json(200, self._body(run))
        return self._error(404, "RUN_NOT_FOUND", "no such run")

    def _list(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        runs = [run for run in self.runs if run.listed <= anyio.current_time()]
        if "q" in params:
            if self.filters == "no":
                return self._error(400, "BAD_FILTER", "no such filter")
            found = re.fullmatch(r"client_ref\.EQ:'(.*)'", params["q"])
            assert found is not None
            if self.filters == "yes":
                runs = [run for run in runs if run.body["client_ref"] == found[1]]
            elif self.filters == "empty":
                runs = []
        newest_first = params.get("sort_by") == "created_at:desc"
        runs.sort(key=lambda run: run.created, reverse=newest_first)
        return self._page(runs, params)

    def _page(self, runs: Sequence[FakeRun], params: httpx.QueryParams) -> httpx.Response:
        start = int(params.get("pq", "0"))
        end = start + min(self.page_cap, int(params.get("limit", "50")))
        following = str(end) if end < len(runs) else None
        items = [self._body(run) for run in runs[start:end]]
        return self._json(200, {"items": items, "next": following})

    def _body(self, run: FakeRun) -> dict[str, Any]:
        over = run.ends <= anyio.current_time()
        good = over and run.status in {"succeeded", "partial_succeeded"}
        return {
            "id": run.id,
            "status_code": run.status if over else "running",
            "client_ref": run.body["client_ref"],
            "metadata": run.body["metadata"],
            "batch_id": run.batch,
            "created_at": stamp(BEGINNING + timedelta(seconds=run.created)),
            "completed_at": stamp(BEGINNING + timedelta(seconds=run.ends)) if over else None,
            "duration_ms": round((run.ends - run.created) * 1000) if over else None,
            "cost": "0.08" if good else None,
            "output": {"outputs": [{"url": PIXEL, "type": "image"}]} if good else None,
            "failure_code": "BROKEN" if over and run.status == "failed" else None,
            "failure_message": "it broke" if over and run.status == "failed" else None,
        }

    def _json(self, status: int, body: Any) -> httpx.Response:
        return httpx.Response(
            status, json=body, headers={"Date": format_datetime(now(), usegmt=True)}
        )

    def _error(self, status: int, code: str, message: str) -> httpx.Response:
        return self._json(status, {"code": code, "message": message, "errors": None})


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture of one pixel, so that saving needs no second server."""
