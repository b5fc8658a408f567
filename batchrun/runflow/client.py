"""The API as functions: one for each call we make.

Each returns a value of ours or raises an error of ours. How a request is sent, and when again,
stands in `retry.py`; what a list of runs may claim, in `pagination.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, cast
from urllib.parse import quote

import httpx
import msgspec
from msgspec.structs import replace

from batchrun.base.endpoint import is_loopback
from batchrun.errors import QuestionHeldError, ThrottledError, TooLargeAnswerError
from batchrun.runflow import wire
from batchrun.runflow.batch_pages import read_batch
from batchrun.runflow.batches import Batch
from batchrun.runflow.get_outcomes import (
    NEEDED,
    ONCE,
    OPTIONAL,
    REFUSABLE,
    UPLOAD,
    Answer,
    Terms,
)
from batchrun.runflow.http.requests import Requests
from batchrun.runflow.key_check import ACCOUNT
from batchrun.runflow.model_list import ModelPage, model_body, parse_model_page
from batchrun.runflow.pagination import (
    LARGEST_PAGE,
    Listing,
    PageSize,
    RunList,
    ask_page,
)
from batchrun.runflow.post_outcomes import (
    Accepted,
    AcceptedBatch,
    BatchOutcome,
    Misdelivered,
    Outcome,
    judge,
    judge_batch,
)
from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.throttle_counts import ThrottleCounts
from batchrun.runflow.retry import Calls
from batchrun.runflow.service_profile import ServiceProfile
from batchrun.runflow.statuses import ends_listed
from batchrun.runflow.wire import Asset, Page, Run


class Client:
    """One method for each call we make.

    *http* carries the endpoint, the key and the time-outs of single steps; *give_up* is how many
    seconds the API may give no good answer. *clock* returns the local time.
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
        self._host = http.base_url.host
        self._limiter = limiter
        self._calls = Calls(http, limiter, give_up=give_up, log=log, clock=clock)
        self._requests = Requests(http)
        self.profile = ServiceProfile()
        self._model_size, self._part_size = PageSize(LARGEST_PAGE), PageSize(100)
        self._listing = Listing(self._calls, self._requests, self.profile, log)

    def __repr__(self) -> str:
        return f"<Client {self._host}: {self.requests} requests, {self._limiter!r}>"

    async def create_run(
        self,
        model: str,
        body: bytes,
        *,
        idempotency_key: str,
        is_for_it: Callable[[Run], bool] = lambda _: True,
        may_leave: Callable[[], bool] = lambda: True,
        on_departure: Callable[[], None] = lambda: None,
        on_nothing: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Send *body* once and return what that came to; more than once only if never taken.

        *is_for_it* says whether the run of an answer was made for this request. *on_departure* is
        called before each send, *on_nothing* after a send that certainly did nothing: a call that
        is cancelled with none on its way has created no run. *may_leave* is asked before each:
        where it says no, the outcome is NotSent.

        Raises KeyRefusedError, OutOfCreditError, and UnreachableError if nothing was ever sent
        or taken until the give-up time.
        """
        path = f"{wire.model_path(model)}/runs"
        request = self._requests.post(path, body, idempotency_key=idempotency_key)

        def judged(http_status: int, content: bytes) -> Outcome:
            outcome = judge(http_status, content)
            if isinstance(outcome, Accepted) and not is_for_it(outcome.run):
                return Misdelivered(reason=f"the answer is run {outcome.run.id}, of another cell")
            return outcome

        return await self._calls.once(request, judged, may_leave, on_departure, on_nothing)

    async def create_batch(
        self,
        model: str,
        body: bytes,
        *,
        idempotency_key: str,
        is_for_it: Callable[[Batch], bool] = lambda _: True,
        may_leave: Callable[[], bool] = lambda: True,
        on_departure: Callable[[], None] = lambda: None,
        on_nothing: Callable[[], None] = lambda: None,
    ) -> BatchOutcome:
        """Send the *body* of a batch, with just the guarantees of `create_run`."""
        path = f"{wire.model_path(model)}/batches"
        request = self._requests.post(path, body, idempotency_key=idempotency_key)

        def judged(http_status: int, content: bytes) -> BatchOutcome:
            outcome = judge_batch(http_status, content)
            if isinstance(outcome, AcceptedBatch) and not is_for_it(outcome.batch):
                return Misdelivered(reason=f"the answer is batch {outcome.batch.id}, another one")
            return outcome

        return await self._calls.once(request, judged, may_leave, on_departure, on_nothing)

    async def get_batch(self, batch_id: str) -> Batch | None:
        """Return the batch with its items, or None if the API says that it knows none.

        One that is too large is put together from pages; where that can't be, it is None, and said.
        """
        return await read_batch(self._get, batch_id, self.log)

    async def shown_batch(self, batch_id: str) -> Batch | None:
        """Return the batch; None where the API knows none, or refuses to show it."""
        return await read_batch(partial(self._get, terms=REFUSABLE), batch_id, self.log)

    async def get_run(self, run_id: str, terms: Terms = NEEDED) -> Run | None:
        """Return the run, or None if the API says that it knows none of that id.

        A run that is too large with its output is asked for without it, and says so. One that is
        too large even then is there, and no more is known of it.
        """
        try:
            return await self._run(run_id, terms)
        except TooLargeAnswerError as error:
            large = error.size
        try:
            run = await self._run(run_id, terms, {"fields": wire.LIGHT_FIELDS})
        except TooLargeAnswerError:
            run = Run(id=run_id, status_code="unknown", metadata={})
        return None if run is None else replace(run, output=None, left_out=large)

    async def shown_run(self, run_id: str) -> Run | None:
        """Return the run; None where the API knows none, or refuses to show it."""
        try:
            return await self.get_run(run_id, REFUSABLE)
        except QuestionHeldError as error:
            self.log(str(error))
            return None

    async def _run(
        self, run_id: str, terms: Terms, params: Mapping[str, str] | None = None
    ) -> Run | None:
        path, read = f"/v1/runs/{quote(run_id, safe='')}", wire.about(run_id, wire.parse_run)
        answer = await self._get(path, params=params, read=read, terms=terms)
        return None if answer.refusal is not None else cast("Run", answer.body)

    async def part_of_run(
        self, run_id: str, part: str, cursor: str | None = None, *, once: bool = False
    ) -> Any:
        """Return a page of a run's `logs` or `node-runs`, None if the API refuses it.

        *once*: what fails is not tried again, and raises QuestionHeldError.
        """
        path = f"/v1/runs/{quote(run_id, safe='')}/{part}"
        get = partial(self._get, terms=ONCE if once else OPTIONAL)
        answer = await ask_page(get, path, self._part_size, cursor)
        return None if answer.refusal is not None else answer.body

    async def status_ends(self) -> Mapping[str, bool]:
        """Return which unknown status words the service lists as ends, and which as none.

        Nothing where it doesn't say so. What fails is not tried again, and is QuestionHeldError.
        """
        answer = await self._get("/v1/runs/statuses", read=ends_listed, terms=ONCE)
        return {} if answer.refusal is not None else cast("Mapping[str, bool]", answer.body)

    async def newest_page(self, cursor: str | None = None) -> Page | None:
        """Return a page of all runs, the newest first, or None if the service refuses that.

        *cursor* is the `next` of the page before.
        """
        return await self._listing.newest_page(cursor)

    async def runs_of(
        self, client_ref: str, *, over: AbstractSet[str] = frozenset()
    ) -> RunList | None:
        """Return all runs of a wave, or None where that can't be known: see `Listing.runs_of`."""
        return await self._listing.runs_of(client_ref, over=over)

    async def filtered_page(self, client_ref: str) -> Page | None:
        """Return the first page of the list by *client_ref*, whatever is on it; None: refused."""
        return await self._listing.filtered_page(client_ref)

    async def account(self) -> str | None:
        """Return the organisation that the key belongs to; None where the API doesn't name it."""
        try:
            return wire.organisation(await self._get_optional(ACCOUNT))
        except (QuestionHeldError, ThrottledError) as error:  # the next question shows more
            self.log(str(error))
            return None

    async def model(self, model_id: str) -> Answer:
        """Return the model as the service describes it; the body is a mapping, or it is refused."""
        return await self._get(wire.model_path(model_id), read=model_body, terms=OPTIONAL)

    async def models_page(
        self, cursor: str | None = None, *, fields: str | None = None, public: bool = False
    ) -> ModelPage | None:
        """Return a page of the list of models, or None if the service refuses it.

        *cursor* is the `next` of the page before. *fields* are the only ones that are shown. The
        *public* list needs no key.
        """
        chosen = {} if fields is None else {"fields": fields}
        path = "/v1/public/models" if public else "/v1/models"
        get = partial(self._get, read=parse_model_page, terms=OPTIONAL)
        answer = await ask_page(get, path, self._model_size, cursor, **chosen)
        return None if answer.refusal is not None else cast("ModelPage", answer.body)

    async def balance(self) -> Decimal | None:
        """Return the account's balance in USD; None where the API doesn't say it."""
        return wire.parse_balance(await self._get_optional("/v1/billing/balance"))

    async def create_upload(self, *, name: str, mime: str, size: int) -> Answer:
        """Ask for a place for a file; the body is a `wire.UploadPlace`."""
        body = {"filename": name, "mime_type": mime, "size_bytes": size}
        request = self._requests.post("/v1/asset-uploads", msgspec.json.encode(body))
        return await self._calls.ask(request, wire.parse_upload_place, UPLOAD)

    async def confirm_upload(self, asset_id: str) -> Answer:
        """Have the service look at what was put; the body is a `wire.Asset`."""
        path = f"/v1/asset-uploads/{quote(asset_id, safe='')}/confirmations"
        request = self._requests.post(path, b"{}")
        return await self._calls.ask(request, wire.parse_asset, UPLOAD)

    async def asset(self, asset_id: str) -> Asset | None:
        """Return the asset with a fresh URL, or None where the service doesn't show one."""
        path = f"/v1/assets/{quote(asset_id, safe='')}"
        return cast("Asset | None", await self._get_optional(path, read=wire.parse_asset))

    @property
    def local(self) -> bool:
        """Whether the API is on this machine, and may give URLs of it."""
        return is_loopback(self._host)

    @property
    def answers(self) -> bool:
        """Whether any call was answered well within the give-up time."""
        return self._calls.answers

    def log(self, message: str) -> None:
        """Log what is tried in another way, and why."""
        self._calls.log(message)

    @property
    def waiting(self) -> int:
        """How many calls wait for the limiter behind the one whose turn it is."""
        return self._limiter.waiting

    def waits(self) -> Iterator[tuple[Kind, float, str]]:
        """Yield the waits that the service named: the kind, the seconds left, and words for it."""
        return self._calls.waits()

    def server_now(self) -> datetime:
        """Return the service's time: ours, set right by the Date header of its last answer."""
        return self._calls.clock.now()

    def said_age(self, run: Run) -> float | None:
        """Return the seconds since *run* was created, by the service's times alone.

        They may be below 0, or beyond belief; None where it doesn't say when that was.
        """
        if run.created_at is None:
            return None
        return (self.server_now() - run.created_at).total_seconds()

    @property
    def server_time(self) -> datetime | None:
        """The service's time; None before its first answer with a date."""
        return self._calls.clock.known

    def server_time_at(self, local: datetime) -> datetime | None:
        """Return the service's time at a moment of our clock; None before an answer with a date."""
        return self._calls.clock.at(local)

    @property
    def requests(self) -> int:
        """How many requests were sent, the repeated ones too."""
        return self._calls.requests

    @property
    def retries(self) -> int:
        """How many of them were repeated ones."""
        return self._calls.retries

    @property
    def rate_limited(self) -> int:
        """How many of them met a 429."""
        return self._calls.rate_limited

    @property
    def throttles(self) -> ThrottleCounts:
        """When that was, as far as it wasn't taken yet."""
        return self._calls.throttles

    async def _get_optional(
        self, path: str, *, read: Callable[[Any], Any] = lambda body: body
    ) -> Any:
        """Return what *path* says, or None where the service doesn't answer it."""
        try:
            answer = await self._get(path, read=read, terms=OPTIONAL)
        except TooLargeAnswerError as error:
            self.log(str(error))
            return None
        return None if answer.refusal is not None else answer.body

    async def _get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        read: Callable[[Any], Any] = lambda body: body,
        terms: Terms = NEEDED,
    ) -> Answer:
        """Return the API's answer to a GET, read by *read*, or a refusal that *terms* allow."""
        return await self._calls.ask(self._requests.get(path, params), read, terms)
