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

    @property
    def cell(self) -> str:
        return str(self.body["metadata"]["batchrun"]["cell"])


@dataclass(kw_only=True)
class FakeRunflow:
    """*script* is what happens to the POSTs, one word each; see `_create`.

    *duration* and *ending* say how long the n-th run takes and what it ends as.
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
    latency: float = 0.05
    honours_key: bool = False
    runs: list[FakeRun] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    posts: list[tuple[float, str, bytes]] = field(default_factory=list)
    departures: list[float] = field(default_factory=list)
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
            self.calls["create"] += 1
            return await self._create(request)
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
        self, word: str, request: httpx.Request, run: FakeRun
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
        return self._json(201, self._body(run))

    def _commit(self, request: httpx.Request, key: str) -> FakeRun:
        if self.honours_key:
            for run in self.runs:
                if run.key == key:
                    return run
        number = len(self.runs)
        created = anyio.current_time() + self.commit_lag
        run = FakeRun(
            id=str(uuid.UUID(int=number + 1)),
            model=request.url.path,
            body=json.loads(request.content),
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
