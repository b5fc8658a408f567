"""The meaning of an answer to a POST. Pure: the table of the contract, and nothing else.

| answer | outcome for a run | for a batch |
| --- | --- | --- |
| 2xx with an id | Accepted | AcceptedBatch |
| 2xx with the id or the tag of another request's | Misdelivered, which is InDoubt | the same |
| 400 404 413 422 in the API's own envelope | InputRefused | BatchUnsupported |
| 405 in the envelope; 404 405 in a framework's bare words | ForeignResponse | BatchUnsupported |
| 401; 403; 402 in the envelope | KeyRefusedError; NotPermittedError; OutOfCreditError | the same |
| 409 | Conflicted | the same |
| 408, 5xx, 2xx without an id, no whole answer | InDoubt | the same |
| any other | ForeignResponse: a proxy has answered, or the API in no documented way | the same |
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec import Struct

from batchrun.errors import KeyRefusedError, NotPermittedError, OutOfCreditError
from batchrun.runflow.batches import Batch, parse_batch
from batchrun.runflow.wire import Refusal, Run, decode, is_no_route, parse_refusal, parse_run

_REFUSALS: Final = frozenset({400, 404, 413, 422})
_NO_ROUTE: Final = frozenset({404, 405})
_Accepted = TypeVar("_Accepted")
_Rejected = TypeVar("_Rejected")


class Accepted(Struct, frozen=True, kw_only=True):
    """A run exists, and this is its id."""

    run: Run


class InputRefused(Struct, frozen=True):
    """The API refused the input; this send created no run."""

    http_status: int
    code: str
    message: str


class AcceptedBatch(Struct, frozen=True, kw_only=True):
    """A batch exists; its answer may leave out items, which are there all the same."""

    batch: Batch


class BatchUnsupported(Struct, frozen=True):
    """Nothing was created by this send, and a batch won't do: single runs may."""

    http_status: int
    code: str
    message: str


class InDoubt(Struct, frozen=True, kw_only=True):
    """The request may have left and its fate is not known: look before sending again."""

    reason: str


class Misdelivered(InDoubt, frozen=True, kw_only=True):
    """The answer names a run that another request has made: what became of ours isn't known."""


class Conflicted(Struct, frozen=True, kw_only=True):
    """409: something of ours with this Idempotency-Key is there already, or in the making."""

    message: str


class ForeignResponse(Struct, frozen=True, kw_only=True):
    """An answer that is not the API's own, such as a proxy's page. It says nothing about runs."""

    reason: str


class NotSent(Struct, frozen=True):
    """Nothing was sent, or what was sent did certainly nothing: its turn came too late."""


Unclear = InDoubt | Conflicted | ForeignResponse
Outcome = Accepted | InputRefused | Unclear | NotSent
BatchOutcome = AcceptedBatch | BatchUnsupported | Unclear | NotSent


def judge(http_status: int, content: bytes) -> Outcome:
    """Return what a whole answer to the POST of a run means; 429 is the caller's.

    Raises what ends all submitting.
    """
    return _judged(http_status, content, accepted=_run, rejected=InputRefused, refusals=_REFUSALS)


def judge_batch(http_status: int, content: bytes) -> BatchOutcome:
    """Return what a whole answer to the POST of a batch means, as `judge` does of a run's."""
    refusals = _REFUSALS | _NO_ROUTE
    if http_status in _NO_ROUTE and is_no_route(_body(content)):
        return BatchUnsupported(http_status=http_status, code="", message="no such route")
    return _judged(
        http_status, content, accepted=_batch, rejected=BatchUnsupported, refusals=refusals
    )


def _judged(
    http_status: int,
    content: bytes,
    *,
    accepted: Callable[[Any], _Accepted],
    rejected: Callable[[int, str, str], _Rejected],
    refusals: frozenset[int],
) -> _Accepted | _Rejected | Unclear:
    body = _body(content)
    if 200 <= http_status < 300:
        try:
            return accepted(body)
        except ValueError:
            return InDoubt(reason=f"HTTP {http_status} without an id")
    refusal = parse_refusal(body)
    described = _spelled(http_status, refusal)
    if http_status == 408 or http_status >= 500:
        return InDoubt(reason=described)
    if http_status == 409:
        return Conflicted(message=described)
    if refusal is None or http_status not in refusals | {401, 402, 403}:
        return ForeignResponse(reason=f"{described}, not an answer of the API")
    raise_for_account(http_status, refusal)
    return rejected(http_status, refusal.code, refusal.message)


def raise_for_account(http_status: int, refusal: Refusal, called: str = "it") -> None:
    """Raise where the answer is about who asks, not what; *called* is what was asked for.

    KeyRefusedError, NotPermittedError, or OutOfCreditError.
    """
    described = _spelled(http_status, refusal)
    if http_status == 401:
        raise KeyRefusedError(f"the API refused the key ({described}); check `RUNFLOW_API_KEY`")
    if http_status == 403:
        raise NotPermittedError(
            f"the API doesn't permit {called} to this key ({described}); check `RUNFLOW_API_KEY`, "
            "and what its account may do"
        )
    if http_status == 402:
        raise OutOfCreditError(
            f"the account is out of credit ({described}); top it up, then call again"
        )


def _run(body: Any) -> Accepted:
    return Accepted(run=parse_run(body))


def _batch(body: Any) -> AcceptedBatch:
    return AcceptedBatch(batch=parse_batch(body))


def _body(content: bytes) -> Any:
    try:
        return decode(content)
    except ValueError:
        return None


def _spelled(http_status: int, refusal: Refusal | None) -> str:
    return f"HTTP {http_status} {refusal or ''}".strip()
