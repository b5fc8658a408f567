"""Sends requests, each in its turn, until it is known what came of them.

Retries of the API's calls live here and nowhere else; retries of files are in `storage.py`:

* What only asks is sent again after a network error, a 429, a 5xx and an answer that is not the
  API's own; so are the two POSTs of a file's upload, which cost nothing. What a refusal of it means
  stands in `get_outcomes.py`.
* What may create a run is sent again only when it certainly did nothing: after a 429, and when not
  a byte of it was written because there was no connection. Everything else is its caller's
  decision, made after a look; see `post_outcomes.py`.

Every send, the repeated ones too, waits its turn at the limiter.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final, TypeVar

import anyio
import httpx
from msgspec.structs import replace

from batchrun.base.text import size_of
from batchrun.base.times import until_words
from batchrun.errors import (
    BadAnswersError,
    QuestionHeldError,
    ThrottledError,
    TooLargeAnswerError,
    UnreachableError,
)
from batchrun.runflow import wire
from batchrun.runflow.get_outcomes import NEEDED, Answer, Odd, Terms, understand
from batchrun.runflow.http.body import (
    MOST_BYTES,
    MOST_VALUES,
    TooLargeError,
)
from batchrun.runflow.http.certificates import NoWayError
from batchrun.runflow.http.requests import Requests
from batchrun.runflow.key_check import ACCOUNT, KeyCheck
from batchrun.runflow.one_send import FAILED, NEVER_WRITTEN, Received, sent
from batchrun.runflow.post_outcomes import (
    ForeignResponse,
    InDoubt,
    Misdelivered,
    NotSent,
    raise_for_account,
)
from batchrun.runflow.ratelimit.apart import Apart, question_of
from batchrun.runflow.ratelimit.kinds import Kind, kind_of
from batchrun.runflow.ratelimit.limiter import HeldError, Limiter
from batchrun.runflow.ratelimit.pace import LONGEST_NAMED_TROUBLE
from batchrun.runflow.ratelimit.throttle_counts import ThrottleCounts
from batchrun.runflow.redact import Redacted
from batchrun.runflow.retry_budget import RetryBudget
from batchrun.runflow.service_clock import ServiceClock
from batchrun.runflow.throttled import asked_to_wait, refused_all, wait_fact

_AFTER_PAUSE: Final = 1.0  # in which another call may meet the next 429
_LONGEST_BACKOFF: Final = 10.0  # of one call: after an outage it is not to be the last to know
_Outcome = TypeVar("_Outcome")


class Calls:
    """Sends what it is given with *http*, each in its turn.

    *give_up* is how many seconds the API may give no good answer. *clock* returns the local time.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        limiter: Limiter,
        *,
        give_up: float,
        log: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self.requests = self.retries = self.rate_limited = 0
        self.throttles = ThrottleCounts()
        self._http = http
        self._limiter = limiter
        self._give_up = give_up
        self.log = log
        self.clock = ServiceClock(clock)
        self._good_at = dict.fromkeys(Kind, float("-inf"))
        self._refused = dict.fromkeys(Kind, 0)
        self._apart = Apart()
        self._account_request = Requests(http).get(ACCOUNT)
        self._key_check = KeyCheck(self._account)
        self._redacted = Redacted(http.headers.get("Authorization", "").removeprefix("Bearer "))

    @property
    def answers(self) -> bool:
        """Whether any call was answered well within the give-up time."""
        return anyio.current_time() - max(self._good_at.values()) < self._give_up

    def waits(self) -> Iterator[tuple[Kind, float, str]]:
        """Yield the waits that the service named: the kind, the seconds left, and words for it."""
        for kind in Kind:
            if (seconds := self._limiter.named(kind)) > 0:
                yield kind, seconds, wait_fact(kind, self.clock.until(seconds), self.clock.now())

    async def once(
        self,
        request: httpx.Request,
        judged: Callable[[int, bytes], _Outcome],
        may_leave: Callable[[], bool],
        on_departure: Callable[[], None],
        on_nothing: Callable[[], None],
    ) -> _Outcome | InDoubt | NotSent:
        """Send *request* and return what the answer is *judged*; again only if never taken.

        *on_departure* is called before each send, *on_nothing* after a send that certainly did
        nothing: a call that is cancelled with none on its way has created nothing. *may_leave* is
        asked before each: where it says no, the outcome is NotSent.

        Raises what *judged* does, and UnreachableError if nothing was ever sent or taken until
        the give-up time.
        """
        retry_budget, kind = RetryBudget(self._give_up), kind_of(request.method)
        while may_leave():
            sent_at = await self._turn(retry_budget, kind)
            if not may_leave():
                self._limiter.abandoned(sent_at)
                break
            on_departure()
            try:
                response = await self._send(request, sent_at)
            except NEVER_WRITTEN as error:
                on_nothing()
                await self._troubled(retry_budget, sent_at, self._reason(error), kind)
            except FAILED as error:
                self._limiter.troubled(sent_at, kind=kind)
                return InDoubt(reason=self._reason(error))
            else:
                if response.status_code != 429:
                    return self._judged(response, sent_at, judged, kind)
                on_nothing()
                self._throttled(retry_budget, sent_at, response, kind)
        return NotSent()

    async def ask(
        self, request: httpx.Request, read: Callable[[Any], Any], terms: Terms = NEEDED
    ) -> Answer:
        """Send *request*, which creates nothing, until there is an answer of the API's own.

        A good one is read by *read*; a refusal is one, too, as far as *terms* go. Raises
        TooLargeAnswerError for a good one that is too large: asked for again it would be so again;
        QuestionHeldError where this question alone is refused, by whatever status, for too long;
        KeyRefusedError, and for a POST what else a refusal says of the account.
        """
        retry_budget, kind = RetryBudget(self._give_up), kind_of(request.method)
        question = question_of(request.method, request.url.path)
        while True:
            if terms.once and retry_budget.reason:
                raise QuestionHeldError(retry_budget.reason)
            sent_at = await self._turn_of(question, retry_budget, kind)
            try:
                response = await self._send(request, sent_at)
            except FAILED as error:
                if isinstance(error, TooLargeError):
                    self._good_at[kind] = anyio.current_time()
                    self._apart.well(question, sent_at)
                    self._limiter.well(sent_at, kind)
                    raise _too_large(request, error) from None
                await self._troubled(retry_budget, sent_at, self._reason(error), kind)
                continue
            if response.status_code == 429:
                self._throttled(retry_budget, sent_at, response, kind, question)
                continue
            found = self._understood(response, read, terms, _called(request))
            if isinstance(found, Answer):
                self._apart.well(question, sent_at)
                self._well(response, sent_at, kind)
                return found
            named = self._note_odd(retry_budget, sent_at, response, found, kind)
            await self._check_key(found)
            if (answer := await self._in_the_end(retry_budget, found, terms, kind)) is not None:
                return answer
            await self._back_off(retry_budget, kind, named)

    def _understood(
        self, response: Received, read: Callable[[Any], Any], terms: Terms, called: str
    ) -> Answer | Odd:
        def reading(body: Any) -> Any:
            return self._read(response, read, body, called)

        return understand(response.status_code, self._content(response), reading, terms, called)

    def _note_odd(
        self, retry_budget: RetryBudget, sent_at: float, response: Received, odd: Odd, kind: Kind
    ) -> float | None:
        """Note what is no answer; return the wait that it names."""
        named = self._named_by_trouble(response)
        self._failed(retry_budget, f"{odd}{response.aside}", answered=True, refused=odd.not_served)
        if odd.own_refusal:  # the service is well
            self._limiter.well(sent_at, kind)
        else:
            self._limiter.troubled(sent_at, named, kind)
        return named

    async def _in_the_end(
        self, retry_budget: RetryBudget, odd: Odd, terms: Terms, kind: Kind
    ) -> Answer | None:
        """Return the answer that a question's refusals in a row come to; None if it goes on."""
        now = anyio.current_time()
        if terms.posted or not retry_budget.is_refused(now, terms.in_a_row):
            return None
        if terms.patient and retry_budget.refused_for(now) < self._give_up / 3:
            return None
        if terms.may_be_refused:
            is_so = odd.own_refusal or await self._key_check.is_answered()
            return odd.as_answer() if is_so else None
        if retry_budget.outlived_by(self._good_at[kind]):
            raise odd.held()
        return None

    # The key.

    async def _check_key(self, odd: Odd) -> None:
        """Raise KeyRefusedError for a 401, if the account is asked for and answers so, too."""
        if odd.says_key and odd.refusal is not None and await self._key_check.is_refused():
            raise_for_account(odd.http_status, odd.refusal, odd.called)

    async def _account(self) -> Answer | Odd | None:
        """Ask once for the account; None without an answer."""
        retry_budget, kind = RetryBudget(self._give_up), Kind.READS
        request = self._account_request
        question = question_of(request.method, request.url.path)
        try:
            sent_at = await self._turn_of(question, retry_budget, kind)
        except UnreachableError:
            return None
        try:
            response = await self._send(request, sent_at)
        except UnreachableError:
            return None
        except FAILED:
            self._limiter.troubled(sent_at, kind=kind)
            return None
        if response.status_code == 429:
            self._throttled(retry_budget, sent_at, response, kind, question)
            return None
        self._limiter.well(sent_at, kind)
        return self._understood(response, lambda body: body, NEEDED, _called(request))

    def _read(self, response: Received, read: Callable[[Any], Any], body: Any, called: str) -> Any:
        """Read *body*; the connection whose answer is about something else isn't used again."""
        try:
            return read(body)
        except wire.OtherAnswerError as error:
            response.extensions.get("distrust", lambda: None)()
            self.log(f"the answer to {called} is about {error}; it is asked for again")
            raise

    # One send.

    async def _turn_of(self, question: str, retry_budget: RetryBudget, kind: Kind) -> float:
        """Wait until this question may be asked; QuestionHeldError where that takes too long."""
        seconds = self._apart.left(question, anyio.current_time())
        retry_budget.alone = self._apart.is_alone(question)
        left = self._left(retry_budget, kind)
        if seconds <= self._give_up and (seconds <= left or retry_budget.last_try_due):
            if seconds > 0:
                await anyio.sleep(seconds)
        elif seconds > 1:
            raise self._held(question, seconds)
        try:
            return await self._turn(retry_budget, kind)
        except ThrottledError:
            if self._apart.is_alone(question) and self._limiter.named(kind) <= 0:
                raise self._held(question) from None
            raise

    def _held(self, question: str, seconds: float = 0.0) -> QuestionHeldError:
        when = (
            f" before {until_words(self.clock.until(seconds), self.clock.now())}" if seconds else ""
        )
        return QuestionHeldError(
            f"the service takes no question for /v1/{question}{when}: it answered HTTP 429, too "
            "many requests"
        )

    async def _turn(self, retry_budget: RetryBudget, kind: Kind) -> float:
        """Wait for the limiter's word; give up waiting when the call's patience is at its end.

        That is at once where the service asks to wait for longer.
        """
        sent_at = None
        while sent_at is None and (left := self._left(retry_budget, kind)) > 0:
            with anyio.move_on_after(left) if retry_budget.reason else nullcontext():
                try:
                    sent_at = await self._limiter.wait(kind, patience=min(left, self._give_up))
                except HeldError:
                    break
        if sent_at is None and retry_budget.take_last_try():
            sent_at = await self._last_turn(kind)
        if sent_at is None:
            raise self._out_of_reach(retry_budget, kind)
        self.retries += retry_budget.reason != ""
        self.requests += 1
        return sent_at

    async def _last_turn(self, kind: Kind) -> float | None:
        """Wait for the end of a pause; None where another call meets the next 429 first."""
        refused = self._refused[kind]
        with anyio.move_on_after(self._give_up):
            while self._refused[kind] == refused:
                with anyio.move_on_after(self._limiter.pause(kind) + _AFTER_PAUSE):
                    try:
                        return await self._limiter.wait(kind, patience=self._give_up)
                    except HeldError:
                        break
        return None

    def _out_of_reach(self, retry_budget: RetryBudget, kind: Kind) -> UnreachableError:
        if (seconds := self._limiter.named(kind)) > 1:
            return asked_to_wait(kind, self.clock.until(seconds), self.clock.now())
        if not retry_budget.tries:
            return refused_all(kind, self._endpoint(), self._give_up)
        kind_of_error = BadAnswersError if retry_budget.answered else UnreachableError
        return kind_of_error(
            f"`{self._endpoint()}` gave no good answer for {self._give_up:g} s "
            f"({retry_budget.reason})",
            f"; {_advice(retry_budget)}, then call again",
        )

    def _left(self, retry_budget: RetryBudget, kind: Kind) -> float:
        good_at = max(self._good_at.values())
        return retry_budget.left(anyio.current_time(), good_at, self._good_at[kind])

    async def _send(self, request: httpx.Request, sent_at: float) -> Received:
        """Return a whole answer. If it is cancelled on the way, the limiter is informed."""
        try:
            return await sent(self._http, request)
        except NoWayError as error:
            if max(self._good_at.values()) > float("-inf"):
                raise  # there was a way: there may be one again
            self._limiter.troubled(sent_at)
            raise UnreachableError(f"`{self._endpoint()}`: {error}") from None
        except FAILED:
            raise
        except BaseException:
            self._limiter.abandoned(sent_at)
            raise

    def _judged(
        self,
        response: Received,
        sent_at: float,
        judged: Callable[[int, bytes], _Outcome],
        kind: Kind,
    ) -> _Outcome:
        try:
            outcome = judged(response.status_code, self._content(response))
        except BaseException:
            self._well(response, sent_at, kind)
            raise
        if isinstance(outcome, Misdelivered):
            response.extensions.get("distrust", lambda: None)()
        if response.unread and isinstance(outcome, InDoubt | ForeignResponse):
            outcome = replace(outcome, reason=f"{outcome.reason}{response.aside}")
        if isinstance(outcome, InDoubt | ForeignResponse):
            self._limiter.troubled(sent_at, self._named_by_trouble(response), kind)
        else:
            self._well(response, sent_at, kind)
        return outcome

    def _well(self, response: Received, sent_at: float, kind: Kind) -> None:
        self._good_at[kind] = anyio.current_time()
        self._limiter.well(sent_at, kind)
        self.clock.hear(response.headers)

    def _named_by_trouble(self, response: Received) -> float | None:
        """Return the wait that a 5xx names; it may be the word of one broken host of many."""
        named = self.clock.wait(response.headers) if response.status_code >= 500 else None
        return None if named is None else min(named, LONGEST_NAMED_TROUBLE)

    def _throttled(
        self,
        retry_budget: RetryBudget,
        sent_at: float,
        response: Received,
        kind: Kind,
        question: str = "",
    ) -> None:
        self.rate_limited += 1
        self.throttles.note(self.clock.local())
        self._refused[kind] += 1
        named = self.clock.wait(response.headers)
        reason = "HTTP 429, too many requests"
        retry_budget.throttled(anyio.current_time(), reason, named or 0.0)
        if kind is Kind.READS:
            named = self._apart.refused(question, named, anyio.current_time())
        self._limiter.throttled(sent_at, named, kind)
        wait = self._limiter.pause(kind)
        self.log(f"HTTP 429, too many requests: calls of this kind ({kind}) wait {wait:.1f} s")

    async def _troubled(
        self, retry_budget: RetryBudget, sent_at: float, reason: str, kind: Kind
    ) -> None:
        self._failed(retry_budget, reason)
        self._limiter.troubled(sent_at, kind=kind)
        await self._back_off(retry_budget, kind)

    def _failed(
        self,
        retry_budget: RetryBudget,
        reason: str,
        *,
        answered: bool = False,
        refused: bool = False,
    ) -> None:
        retry_budget.failed(anyio.current_time(), reason, answered=answered, refused=refused)
        self.log(f"try {retry_budget.tries}: {reason}")

    async def _back_off(
        self, retry_budget: RetryBudget, kind: Kind, named: float | None = None
    ) -> None:
        # Each call backs off on its own, too: else a call that always fails would be chosen as
        # every probe, and stall the others.
        left = max(0.0, self._left(retry_budget, kind))
        own = min(_LONGEST_BACKOFF, self._limiter.backoff(retry_budget.tries))
        await anyio.sleep(min(max(own, named or 0.0), left))

    # The words of errors.

    def _content(self, response: Received) -> bytes:
        """Return the body without our key, should the service ever echo it."""
        return self._redacted.body(response.content)

    def _reason(self, error: BaseException) -> str:
        text = self._redacted.text(f"{type(error).__name__}: {error}".rstrip(": "))
        return re.sub(r"//[^/\s@]*@", "//", text)

    def _endpoint(self) -> str:
        return str(self._http.base_url.copy_with(userinfo=b"")).rstrip("/")


def _too_large(request: httpx.Request, error: TooLargeError) -> TooLargeAnswerError:
    return TooLargeAnswerError(
        f"the answer to {_called(request)} has {error.said}; "
        f"no more than {size_of(MOST_BYTES)} and {MOST_VALUES:,} values are read",
        error.size,
    )


def _advice(retry_budget: RetryBudget) -> str:
    if retry_budget.refused:
        return "check the endpoint, `RUNFLOW_API_KEY`, and what its account may do"
    return "check the network and the endpoint"


def _called(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"
