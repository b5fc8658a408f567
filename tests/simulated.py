"""The simulator in virtual time, as the engine's tests speak of it.

It is the boundary of these tests: an httpx transport around a world in memory. What happens to a
POST is one word of the script; when the script is used up, the service behaves. All else are faults
of the simulator, or an answer that is changed on its way.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Any, Final

import anyio
import httpx

from batchrun.simulator import life
from batchrun.simulator.catalog import Model
from batchrun.simulator.faults import Fault, parse_fault
from batchrun.simulator.making import Taken
from batchrun.simulator.settings import Settings
from batchrun.simulator.store import Run
from batchrun.simulator.transport import SimulatedTransport, loop_clock
from batchrun.simulator.views import made_id
from batchrun.simulator.world import World

BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
Json = dict[str, Any]

WORDS: Final[Mapping[str, str]] = {
    "reset": "reset",
    "html": "proxy_page=404",
    "lost": "lost_answer",
    "500-after": "error_after_html=500",
    "half": "cut_json",
    "no-id": "no_run_id",
    "stray": "last_answer",
    "hang": "hang_before_headers",
}
"""What a word of the script is called by the simulator. A number is the status of a refusal;
`unreachable` lets no connection come about, and `ok` is nothing at all.
"""

FILTERS: Final[Mapping[str, Sequence[str]]] = {
    "yes": [],
    "no": ["list_no_filter"],
    "ignored": ["list_ignores_filter"],
    "empty": ["list_empty_on_filter"],
}
HIDDEN: Final[Mapping[str, Any]] = {"page_cap": 1, "faults": ("crowd=1",)}
"""Of a service whose newest page of all runs has only other work of the organisation.

A look at that page finds nearly all that other looks miss. Where it is shown, a test of the others
can't fail.
"""

ROUTES: Final = {"runs": "list", "batches": "batch", "auth": "account"}


def now() -> datetime:
    """The virtual clock as a date."""
    return BEGINNING + timedelta(seconds=anyio.current_time())


def answered(status: int, body: Any) -> httpx.Response:
    """Return an answer of the service, as it would be if the simulator gave it."""
    dated = now().strftime("%a, %d %b %Y %H:%M:%S GMT")
    return httpx.Response(status, json=body, headers={"Date": dated})


def refused(status: int, code: str, message: str) -> httpx.Response:
    return answered(status, {"code": code, "message": message, "errors": None})


class AnyModel(dict[str, Model]):
    """A catalogue in which each model is, takes any input, and costs 0.08."""

    def get(self, key: str, default: Any = None) -> Model:
        return self[key]

    def __missing__(self, key: str) -> Model:
        return Model(id=key, inputs=(), price=Decimal("0.08"), unit="image")


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """A run that was made; times are seconds of the virtual clock."""

    id: str
    model: str
    client_ref: str | None
    cell: str
    attempt: int
    input: Json
    batch: str | None
    created: float
    listed: float
    ends: float
    status: str


@dataclass(kw_only=True)
class Runflow:
    """*script* is what happens to the POSTs, one word each.

    *duration* and *ending* say how long the n-th run takes, from 0, and what it ends as. *batches*
    is whether models take batches: `no` (422), `yes`, or `named`, where runs show their batch's
    metadata; *without_run* are the places of items that get no run. *filters* is what the list does
    with one: `yes`, `no` (400), `ignored`, `empty`. With *known* False every run is a 404, with
    *keeps_batches* False every batch. *faults* are faults besides, by the simulator's
    names. Lists leave the fields *left_out* out, and *everywhere* so do answers by id. Where models
    aren't *priced* there are no descriptions of them; where answers aren't *dated* none says what
    time it is, and else it may be *date_ahead* s ahead. *edit_run* and *edit_batch* change how
    a run or a batch is shown. *models* are what there is. *callback_secret* signs
    its callbacks, where it sends any.
    """

    script: list[str] = field(default_factory=list)
    duration: Callable[[int], float] = lambda _: 10.0
    ending: Callable[[int], str] = lambda _: "succeeded"
    list_lag: float = 0.0
    commit_lag: float = 0.0
    filters: str = "yes"
    page_cap: int = 500
    organisation: str | None = "org-1"
    known: bool = True
    batches: str = "no"
    without_run: frozenset[int] = frozenset()
    keeps_batches: bool = True
    latency: float = 0.05
    honours_key: bool = False
    faults: Sequence[str] = ()
    left_out: Sequence[str] = ()
    everywhere: bool = False
    priced: bool = False
    dated: bool = True
    date_ahead: float = 0.0
    edit_run: Callable[[Json], Json] | None = None
    edit_batch: Callable[[Json], Json] | None = None
    models: dict[str, Model] = field(default_factory=AnyModel)
    callback_secret: str | None = None
    planted: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    posts: list[tuple[float, str, bytes]] = field(default_factory=list)
    departures: list[float] = field(default_factory=list)
    sent_batches: list[tuple[str, bytes]] = field(default_factory=list)

    @cached_property
    def world(self) -> World:
        settings = Settings(
            wishes=self._wishes,
            batches="none" if self.batches == "no" else "all",
            child_metadata=self.batches == "named",
            callback_secret=self.callback_secret,
            drawing=False,
        )
        clock = loop_clock(BEGINNING.timestamp())
        return World(None, settings=settings, models=self.models, clock=clock)

    @cached_property
    def _simulated(self) -> SimulatedTransport:
        return SimulatedTransport(self.world)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    @property
    def runs(self) -> list[MadeRun]:
        """What was made for cells so far, in its order."""
        made = (
            ("outcome != ?", life.NO_RUN.outcome),
            ("cell_key IS NOT NULL", ()),
            ("number > ?", self.planted),
        )
        rows = self.world.store.runs_where(made)
        return [self._made(run) for run in rows]

    def _made(self, run: Run) -> MadeRun:
        return MadeRun(
            id=run.id,
            model=run.model,
            client_ref=run.client_ref,
            cell=run.cell_key or "",
            attempt=self._attempt(run),
            input=json.loads(run.input),
            batch=run.batch_id,
            created=_seconds(run.committed),
            listed=_seconds(run.listed),
            ends=_seconds(run.ended),
            status=run.outcome,
        )

    def _attempt(self, run: Run) -> int:
        batch = self.world.store.batch(run.batch_id) if run.batch_id else None
        tag = json.loads((batch or run).metadata or "{}").get("batchrun", {})
        attempt: int = tag.get("attempt", 0) if batch is None else tag["cells"][run.batch_index][1]
        return attempt

    @property
    def most_in_flight(self) -> int:
        runs = self.runs
        return max(sum(each.created <= run.created < each.ends for each in runs) for run in runs)

    def paid(self) -> Counter[str]:
        """Return how many runs each cell has."""
        return Counter(run.cell for run in self.runs)

    def called(self, made_id: str) -> str | None:
        """Return what a run or batch is called by the order of their making, None without one."""
        store = self.world.store
        if run := store.run(made_id):
            return f"run-{run.number - self.planted}"
        batches = "SELECT COUNT(DISTINCT batch_id) AS count FROM runs WHERE number <= "
        row = store.one(
            f"{batches} (SELECT MIN(number) FROM runs WHERE batch_id = ?)",
            made_id,
        )
        return f"batch-{row['count']}" if row and row["count"] else None

    def forget(self) -> None:
        """Let no run have been made."""
        self.world.store.write("DELETE FROM runs WHERE number > ?", self.planted)

    def plant(self, client_ref: str, metadata: Json) -> str:
        """Let there be a run before all others, which counts for nothing here; return its id."""
        self.planted = 1
        return self.add_other(client_ref=client_ref, metadata=metadata)

    def add_other(self, *, client_ref: str | None = None, metadata: Any = None) -> str:
        """Let the organisation have made a run by hand, a moment ago; return its id."""
        at = self.world.now()
        model = self.world.models["a/b"]
        taken = Taken(
            model=model, org=made_id("org", "key"), route="", now=at, committed=at, listed=at
        )
        body = {"input": {}, "client_ref": client_ref, "metadata": metadata}
        with self.world.store.transaction():
            return self.world.making.single(taken, body).id

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, or raise what the wire does."""
        self.departures.append(anyio.current_time())
        await anyio.sleep(self.latency)
        self.calls[_route(request)] += 1
        return await self.serve(request, self._word(request))

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        """Return the answer to a request that has arrived; other services override it."""
        if word == "unreachable":
            raise httpx.ConnectError("refused", request=request)
        # From here to what the faults decide nothing else has its turn.
        self.world.faults.clear()
        self.world.faults.add([parsed(each) for each in self._arranged(word)])
        request.extensions.pop("timeout", None)
        return self._edited(request, await self._simulated.handle_async_request(request))

    def _word(self, request: httpx.Request) -> str:
        if request.method != "POST" or request.url.path.startswith("/v1/asset-uploads"):
            return "ok"
        key = request.headers["Idempotency-Key"]
        if request.url.path.endswith("/batches"):
            self.sent_batches.append((key, request.content))
        else:
            self.posts.append((anyio.current_time(), key, request.content))
        return self.script.pop(0) if self.script else "ok"

    def _arranged(self, word: str) -> list[str]:
        """Return the faults that hold for one request."""
        faults = ["data_output", f"page_cap={self.page_cap}", *FILTERS[self.filters], *self.faults]
        if word.isdecimal():
            faults.append(f"error_before={word}")
        elif word != "ok":
            faults.append(WORDS[word] + "/create+create_batch")
        if self.without_run:
            numbers = ",".join(str(index + 1) for index in sorted(self.without_run))
            faults.append(f"no_run@{numbers}")
        where = "list+get" if self.everywhere else "list"
        faults += [f"leave_out={name}/{where}" for name in self.left_out]
        choices = {
            f"list_lag={self.list_lag}": self.list_lag > 0,
            f"commit_lag={self.commit_lag}": self.commit_lag > 0,
            "no_idempotency": not self.honours_key,
            "error_before=404/model": not self.priced,
            "forget_run/get": not self.known,
            "forget_run/batch": not self.keeps_batches,
        }
        return faults + [fault for fault, chosen in choices.items() if chosen]

    def _wishes(self, number: int) -> Json:
        number -= self.planted
        if not number:
            return {"seconds": 0.0, "outcome": "succeeded", "queued": 0}
        ending = self.ending(number - 1)
        spelled = {"cancelled": "canceled"}.get(ending, ending)
        return {"seconds": self.duration(number - 1), "outcome": spelled, "queued": 0}

    def _edited(self, request: httpx.Request, whole: httpx.Response) -> httpx.Response:
        if not self.dated:
            del whole.headers["Date"]
        elif self.date_ahead:
            date = now() + timedelta(seconds=self.date_ahead)
            whole.headers["Date"] = f"{date:%a, %d %b %Y %H:%M:%S} GMT"
        path = request.url.path
        account = path == "/v1/auth/me"
        if not (whole.is_success and (account or self.edit_run or self.edit_batch)):
            return whole
        body = whole.json()
        if account:
            body["org_id"] = self.organisation
        elif "/batches" in path:
            body = self.edit_batch(body) if self.edit_batch else body
        elif self.edit_run and path == "/v1/runs":
            body["items"] = [self.edit_run(run) for run in body["items"]]
        elif self.edit_run:
            body = self.edit_run(body)
        date = whole.headers.get("Date")
        return httpx.Response(whole.status_code, json=body, headers={"Date": date} if date else {})


parsed: Final[Callable[[str], Fault]] = cache(parse_fault)


def _route(request: httpx.Request) -> str:
    path = request.url.path
    if path.startswith("/v1/asset-uploads"):
        return "confirm" if path.endswith("/confirmations") else "upload"
    if request.method == "POST":
        return "create_batch" if path.endswith("/batches") else "create"
    _, _, kind, *rest = path.split("/")
    return "get" if kind == "runs" and rest else ROUTES.get(kind, kind)


def _seconds(moment: int) -> float:
    return moment / life.SECOND - BEGINNING.timestamp()
