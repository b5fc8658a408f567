"""The API as functions: the only module that knows there is HTTP with the key.

What comes back is a value of ours or an error of ours. HTTP retries live here and nowhere else:

* A GET is sent again after a network error, a 429, a 5xx and an answer that is not the API's own;
  so are the two POSTs of a file's upload, which cost nothing.
* The POST of a run or a batch is sent again only when it certainly did nothing: after a 429, and
  when not a byte of it was written because there was no connection. Everything else is its
  caller's decision, made after a look; see `outcomes.py`.

Every send, the repeated ones too, waits its turn at the limiter.
"""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

import anyio
import httpx

from batchrun.errors import UnreachableError
from batchrun.manifest.endpoint import is_loopback
from batchrun.runflow import wire
from batchrun.runflow.batches import Batch, parse_batch
from batchrun.runflow.headers import http_date, seconds_to_wait
from batchrun.runflow.limiter import Limiter
from batchrun.runflow.outcomes import (
    Accepted,
    AcceptedBatch,
    BatchOutcome,
    Conflicted,
    InDoubt,
    NotTaken,
    Outcome,
    Rejected,
    Unlike,
    Withheld,
    judge,
    judge_batch,
    raise_for_account,
)
from batchrun.runflow.patience import Patience
from batchrun.runflow.secrets import HIDDEN, spellings
from batchrun.runflow.wire import Asset, Page, Refusal, Run

__all__ = [
    "Accepted",
    "AcceptedBatch",
    "Answer",
    "BatchOutcome",
    "Client",
    "Conflicted",
    "InDoubt",
    "NotTaken",
    "Outcome",
    "Rejected",
    "Unlike",
    "Withheld",
]

# Raised before a byte of the request is written. A WriteError is not among them: httpcore swallows
# it to read an early answer, and what was written before it may have been enough.
NEVER_WRITTEN: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
# What httpx does not translate comes as OSError: TLS that breaks while an answer is read.
FAILED: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, TimeoutError)

# Longer than any one of httpx's time-outs: they begin anew with each byte that trickles in.
CALL_TIMEOUT: Final = 120.0
_LONGEST_BACKOFF: Final = 10.0  # of one call: after an outage it is not to be the last to know
_FOREIGN_PAGES: Final = 10  # of 500 runs: further we don't search in a list that isn't filtered
_PAGES: Final = 2000
_Outcome = TypeVar("_Outcome")
_REFUSALS: Final = frozenset({400, 404, 422})  # what a question may be answered with, and is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: JSON of the API as it was read, or its refusal."""

    http_status: int
    body: Any
    refusal: Refusal | None


@dataclass(slots=True)
class Pages:
    """What listings have shown of the service's pages: the most runs, and where pages end."""

    most_shown: int = 0
    cap: int | None = None

    def note(self, page: Page, ours: int) -> None:
        self.most_shown = max(self.most_shown, ours)
        if page.next is not None and ours == len(page.runs) > 0:
            self.cap = ours


class Client:
    """One method for each call we make.

    *http* carries the endpoint, the key and the time-outs of single steps; *give_up* is how many
    seconds the API may give no good answer. *clock* tells the local time.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        limiter: Limiter,
        *,
        give_up: float,
        log: Callable[[str], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.requests = self.retries = self.rate_limited = 0
        self._http = http
        self._limiter = limiter
        self._give_up = give_up
        self._log = log
        self._clock = clock
        self._ahead: timedelta | None = None  # of the local clock: the service's
        self._good_at = float("-inf")
        self._secrets = spellings(http.headers.get("Authorization", "").removeprefix("Bearer "))
        self._said: set[str] = set()
        self.pages = Pages()
        self._plain_lists = False

    def __repr__(self) -> str:
        return f"<Client {self._http.base_url.host}: {self.requests} requests, {self._limiter!r}>"

    async def create_run(
        self,
        model: str,
        body: bytes,
        *,
        idempotency_key: str,
        may_leave: Callable[[], bool] = lambda: True,
        on_departure: Callable[[], None] = lambda: None,
        on_nothing: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Send *body* once and return what that came to; more than once only if never taken.

        *on_departure* is called before each send, *on_nothing* after one that certainly did
        nothing: a call that is cancelled with none on its way has created no run. *may_leave* is
        asked before each: where it says no, the outcome is Withheld.

        Raises KeyRefusedError, OutOfCreditError, and UnreachableError if nothing was ever sent
        or taken until the give-up time.
        """
        request = self._creation(f"{wire.model_path(model)}/runs", body, idempotency_key)
        return await self._create(request, judge, may_leave, on_departure, on_nothing)

    async def create_batch(
        self,
        model: str,
        body: bytes,
        *,
        idempotency_key: str,
        may_leave: Callable[[], bool] = lambda: True,
        on_departure: Callable[[], None] = lambda: None,
        on_nothing: Callable[[], None] = lambda: None,
    ) -> BatchOutcome:
        """Send the *body* of a batch, with just the guarantees of `create_run`."""
        request = self._creation(f"{wire.model_path(model)}/batches", body, idempotency_key)
        return await self._create(request, judge_batch, may_leave, on_departure, on_nothing)

    async def get_batch(self, batch_id: str) -> Batch | None:
        """Return the batch with its items, or None if the API says that it knows none."""
        answer = await self._get(f"/v1/batches/{quote(batch_id, safe='')}", read=parse_batch)
        return None if answer.refusal is not None else cast("Batch", answer.body)

    async def get_run(self, run_id: str) -> Run | None:
        """Return the run, or None if the API says that it knows none of that id."""
        answer = await self._get(f"/v1/runs/{quote(run_id, safe='')}", read=wire.parse_run)
        if answer.refusal is None:
            return cast("Run", answer.body)
        return None

    async def list_runs(
        self,
        *,
        client_ref: str | None = None,
        created_after: datetime | None = None,
        cursor: str | None = None,
        limit: int = 500,
        newest_first: bool = False,
    ) -> Page | None:
        """Return one page, or None if the service refuses the question.

        *created_after* is never sent: there are two spellings of such a filter, and one that is
        taken wrongly would show an empty list, which reads as "no run". Runs before it are left
        out here, and where the page is seen to go from new to old, the listing ends with it.
        """
        params: dict[str, str] = {}
        if client_ref is not None:
            params["q"] = f"client_ref.EQ:'{_unquoted(client_ref)}'"
        params["sort_by"] = "created_at:desc" if newest_first else "created_at:asc"
        page = await self._page(params, cursor=cursor, limit=limit)
        return page if page is None or created_after is None else _cut(page, created_after)

    async def runs_of(self, client_ref: str) -> list[Run] | None:
        """Return all runs that carry *client_ref*, or None where that can't be known.

        Not known: the service refuses the filter, ignores it and has too many runs to search, pages
        in a circle, or doesn't show the references of runs. A part is never returned for the whole:
        the runs missing from it would be created, and paid, again.
        """
        found: dict[str, Run] = {}
        cursors: set[str | None] = {None}
        cursor: str | None = None
        foreign = 0
        references: set[str | None] = set()
        while len(cursors) < _PAGES and foreign < _FOREIGN_PAGES:
            page = await self.list_runs(client_ref=client_ref, cursor=cursor)
            if page is None:
                return None
            ours = {run.id: run for run in page.runs if run.client_ref == client_ref}
            found |= ours
            self.pages.note(page, len(ours))
            references |= (shown := {run.client_ref for run in page.runs})
            if shown - {client_ref}:
                foreign += 1
                self._say_once("the service lists runs of other references than it was asked for")
            cursor = page.next
            if cursor is None:
                # A list that shows nobody else's reference may have left ours out.
                silent = None in references <= {None, client_ref}
                return None if silent else list(found.values())
            if cursor in cursors:
                break
            cursors.add(cursor)
        self._say_once("the service's list of runs has no end that we could find")
        return None

    async def account(self) -> str | None:
        """Return the organisation that the key belongs to, where the API tells."""
        return wire.organisation(await self._get_optional("/v1/auth/me"))

    async def model(self, model_id: str) -> Mapping[str, Any] | None:
        """Return the model's description, or None if there is none to be had."""
        body = await self._get_optional(wire.model_path(model_id))
        return body if isinstance(body, Mapping) else None

    async def balance(self) -> Decimal | None:
        """Return the credit left in USD, or None where the key may not know."""
        return wire.parse_balance(await self._get_optional("/v1/billing/balance"))

    async def create_upload(self, *, name: str, mime: str, size: int) -> Answer:
        """Ask for a place for a file; the body is a `wire.UploadPlace`."""
        body = {"filename": name, "mime_type": mime, "size_bytes": size}
        request = self._http.build_request("POST", "/v1/asset-uploads", json=body)
        return await self._ask(request, wire.parse_upload_place, refusals=_REFUSALS | {409, 413})

    async def confirm_upload(self, asset_id: str) -> Answer:
        """Have the service look at what was put; the body is a `wire.Asset`."""
        path = f"/v1/asset-uploads/{quote(asset_id, safe='')}/confirmations"
        request = self._http.build_request("POST", path, json={})
        return await self._ask(request, wire.parse_asset, refusals=_REFUSALS | {409, 413})

    async def asset(self, asset_id: str) -> Asset | None:
        """Return the asset with a fresh URL, or None where the service doesn't have it or tell."""
        path = f"/v1/assets/{quote(asset_id, safe='')}"
        answer = await self._get(path, read=wire.parse_asset, optional=True)
        return answer.body if isinstance(answer.body, Asset) else None

    @property
    def local(self) -> bool:
        """Whether the API is on this machine, and may give URLs of it."""
        return is_loopback(self._http.base_url.host)

    @property
    def answers(self) -> bool:
        """Whether any call was answered well within the give-up time."""
        return anyio.current_time() - self._good_at < self._give_up

    @property
    def waiting(self) -> int:
        """How many calls wait for the limiter behind the one whose turn it is."""
        return self._limiter.waiting

    def server_now(self) -> datetime:
        """Return the service's time: ours, set right by the Date header of its last answer."""
        return self.server_time or self._clock()

    @property
    def server_time(self) -> datetime | None:
        """The service's time; None as long as it hasn't told."""
        return None if self._ahead is None else self._clock() + self._ahead

    # One page, with fewer demands where the service refuses.

    async def _page(self, params: dict[str, str], *, cursor: str | None, limit: int) -> Page | None:
        paging = {"limit": str(limit)} | ({} if cursor is None else {"pq": cursor})
        if not self._plain_lists:
            full = params | paging | {"fields": wire.RUN_FIELDS}
            answer = await self._get("/v1/runs", full, read=wire.parse_page)
            if answer.refusal is None:
                return cast("Page", answer.body)
        # Refused, but perhaps only for what we can do without.
        plain = params | paging | {"limit": str(min(limit, 100))}
        if params["sort_by"].endswith(":asc"):
            del plain["sort_by"]
        answer = await self._get("/v1/runs", plain, read=wire.parse_page)
        if answer.refusal is not None:
            self._say_once(f"the service refuses to list runs ({answer.refusal})")
            return None
        self._plain_lists = True
        return cast("Page", answer.body)

    # What may create something, sent once.

    def _creation(self, path: str, body: bytes, idempotency_key: str) -> httpx.Request:
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        return self._http.build_request("POST", path, content=body, headers=headers)

    async def _create(
        self,
        request: httpx.Request,
        judged: Callable[[int, bytes], _Outcome],
        may_leave: Callable[[], bool],
        on_departure: Callable[[], None],
        on_nothing: Callable[[], None],
    ) -> _Outcome | InDoubt | Withheld:
        """Send *request* once, and again only after a send that was never taken."""
        patience = Patience(self._give_up)
        while may_leave():
            sent_at = await self._turn(patience)
            if not may_leave():
                self._limiter.abandoned(sent_at)
                break
            on_departure()
            try:
                response = await self._send(request, sent_at)
            except NEVER_WRITTEN as error:
                on_nothing()
                await self._troubled(patience, sent_at, self._reason(error))
            except FAILED as error:
                self._limiter.troubled(sent_at)
                return InDoubt(reason=self._reason(error))
            else:
                if response.status_code != 429:
                    return self._judged(response, sent_at, judged)
                on_nothing()
                self._throttled(patience, sent_at, response)
        return Withheld()

    # What may be sent again, sent until there is an answer.

    async def _get_optional(self, path: str) -> Any:
        """Return what *path* says, or None where the service doesn't have it or tell us."""
        answer = await self._get(path, optional=True)
        return None if answer.refusal is not None else answer.body

    async def _get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        read: Callable[[Any], Any] = lambda body: body,
        optional: bool = False,
    ) -> Answer:
        """Return the API's answer to a GET, read by *read*, or its refusal by 400, 404 or 422."""
        request = self._http.build_request("GET", path, params=params)
        return await self._ask(request, read, refusals=_REFUSALS, optional=optional)

    async def _ask(
        self,
        request: httpx.Request,
        read: Callable[[Any], Any],
        *,
        refusals: AbstractSet[int],
        optional: bool = False,
    ) -> Answer:
        """Send what may be sent again until there is an answer of the API's own."""
        patience = Patience(self._give_up)
        while True:
            sent_at = await self._turn(patience)
            try:
                response = await self._send(request, sent_at)
            except FAILED as error:
                await self._troubled(patience, sent_at, self._reason(error))
                continue
            if response.status_code == 429:
                self._throttled(patience, sent_at, response)
                continue
            answer = self._understood(response, read, refusals, optional=optional)
            if answer is not None:
                self._well(response, sent_at)
                return answer
            reason = f"HTTP {response.status_code} to {_called(request)}, not an answer of the API"
            await self._troubled(patience, sent_at, reason)

    def _understood(
        self,
        response: httpx.Response,
        read: Callable[[Any], Any],
        refusals: AbstractSet[int],
        *,
        optional: bool,
    ) -> Answer | None:
        """Return the answer if it is the API's own, None if the question is to be put again."""
        status, body, refusal = response.status_code, None, None
        with suppress(ValueError):
            body = wire.decode(self._content(response))
            refusal = wire.parse_refusal(body)
            if 200 <= status < 300:
                return Answer(http_status=status, body=read(body), refusal=None)
        if optional and (status == 404 or (status == 403 and _not_permitted(refusal))):
            refusal = refusal or Refusal(code="", message="not found")
            return Answer(http_status=status, body=None, refusal=refusal)
        if refusal is None:
            return None
        raise_for_account(status, refusal)
        if status not in refusals:
            return None
        return Answer(http_status=status, body=None, refusal=refusal)

    # One send.

    async def _turn(self, patience: Patience) -> float:
        """Wait for the limiter's word; give up waiting when the call's patience is at its end."""
        while (left := patience.left(anyio.current_time(), self._good_at)) > 0:
            with anyio.move_on_after(left):
                sent_at = await self._limiter.wait()
                self.retries += patience.reason != ""
                self.requests += 1
                return sent_at
        raise UnreachableError(
            f"`{self._endpoint()}` gave no good answer for {self._give_up:g} s"
            f" ({patience.reason}); check the network and the endpoint, then call again"
        )

    async def _send(self, request: httpx.Request, sent_at: float) -> httpx.Response:
        """Return a whole answer. Cancelled on the way, it tells the limiter."""
        try:
            with anyio.fail_after(CALL_TIMEOUT):
                return await self._http.send(request, follow_redirects=False)
        except FAILED:
            raise
        except BaseException:
            self._limiter.abandoned(sent_at)
            raise

    def _judged(
        self, response: httpx.Response, sent_at: float, judged: Callable[[int, bytes], _Outcome]
    ) -> _Outcome:
        try:
            outcome = judged(response.status_code, self._content(response))
        except BaseException:
            self._well(response, sent_at)
            raise
        if isinstance(outcome, InDoubt | Unlike):
            self._limiter.troubled(sent_at)
        else:
            self._well(response, sent_at)
        return outcome

    def _well(self, response: httpx.Response, sent_at: float) -> None:
        self._good_at = anyio.current_time()
        self._limiter.well(sent_at)
        if (told := http_date(response.headers.get("Date"))) is not None:
            self._ahead = told - self._clock()

    def _throttled(self, patience: Patience, sent_at: float, response: httpx.Response) -> None:
        self.rate_limited += 1
        patience.failed(anyio.current_time(), "HTTP 429, too many requests", counts=False)
        self._limiter.throttled(sent_at, seconds_to_wait(response.headers, self.server_now()))

    async def _troubled(self, patience: Patience, sent_at: float, reason: str) -> None:
        patience.failed(anyio.current_time(), reason)
        self._log(f"try {patience.tries}: {reason}")
        self._limiter.troubled(sent_at)
        # By itself too, or one call that always fails would be each probe, and pause everybody.
        await anyio.sleep(min(_LONGEST_BACKOFF, self._limiter.backoff(patience.tries)))

    # What may be said.

    def _content(self, response: httpx.Response) -> bytes:
        """Return the body without our key, should the service ever echo it."""
        content = response.content
        for secret in self._secrets:
            content = content.replace(secret.encode(), HIDDEN.encode())
        return content

    def _reason(self, error: BaseException) -> str:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return re.sub(r"//[^/\s@]*@", "//", text)

    def _endpoint(self) -> str:
        return str(self._http.base_url.copy_with(userinfo=b"")).rstrip("/")

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._log(message)


def _called(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def _unquoted(value: str) -> str:
    """No escape is documented; our own references never hold a quote."""
    if "'" in value:
        raise ValueError("a client_ref with a quote can't be searched for")
    return value


def _not_permitted(refusal: Refusal | None) -> bool:
    return refusal is not None and refusal.code in {"", "PERMISSION_DENIED"}


def _cut(page: Page, created_after: datetime) -> Page:
    moments = [run.created_at for run in page.runs if run.created_at is not None]
    falling = len(moments) > 1 and moments == sorted(moments, reverse=True)
    # A single run, or equal times, don't show that the service sorts at all.
    ended = falling and moments[0] > moments[-1] and moments[-1] < created_after
    runs = (run for run in page.runs if run.created_at is None or run.created_at >= created_after)
    return Page(runs=tuple(runs), next=None if ended else page.next)
