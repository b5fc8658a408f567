"""What the answer to a POST means. Pure: the table of the contract, and nothing else.

| answer | outcome |
| --- | --- |
| 2xx with a run id | Accepted |
| 400 404 413 422 in the API's own envelope | Rejected |
| 401 403 in the envelope; 402 in it | KeyRefusedError; OutOfCreditError |
| 409 | Conflicted |
| 408, 5xx, 2xx without an id, no whole answer | InDoubt |
| any other | Unlike: somebody else has answered, or the API in a way nobody documented |
"""

from dataclasses import dataclass

from batchrun.errors import KeyRefusedError, OutOfCreditError
from batchrun.runflow.wire import Refusal, Run, decode, parse_refusal, parse_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A run exists, and this is its id."""

    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The API refused the input; this send created no run."""

    http_status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InDoubt:
    """The request may have left and its fate is not known: look before sending again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted:
    """409: something of ours with this Idempotency-Key is there already, or in the making."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """An answer that is not the API's own, such as a proxy's page. It says nothing about runs."""

    reason: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Nothing was sent, or what was sent did certainly nothing: its turn came too late."""


Outcome = Accepted | Rejected | InDoubt | Conflicted | Unlike | Withheld


def judge(http_status: int, content: bytes) -> Outcome:
    """Return what a whole answer means; 429 is the caller's. Raises what ends all submitting."""
    refusal = refusal_of(content)
    if http_status == 408 or http_status >= 500:
        return InDoubt(reason=_told(http_status, refusal))
    if 200 <= http_status < 300:
        return _success(http_status, content)
    if http_status == 409:
        return Conflicted(message=_told(http_status, refusal))
    if refusal is None or http_status not in {400, 401, 402, 403, 404, 413, 422}:
        return Unlike(reason=f"{_told(http_status, refusal)}, not an answer of the API")
    raise_for_account(http_status, refusal)
    return Rejected(http_status=http_status, code=refusal.code, message=refusal.message)


def raise_for_account(http_status: int, refusal: Refusal) -> None:
    """Raise KeyRefusedError or OutOfCreditError where the answer is about who asks, not what."""
    if http_status in {401, 403}:
        told = _told(http_status, refusal)
        raise KeyRefusedError(f"the API refused the key ({told}); check `RUNFLOW_API_KEY`")
    if http_status == 402:
        told = _told(http_status, refusal)
        raise OutOfCreditError(f"the account is out of credit ({told}); top it up, then call again")


def refusal_of(content: bytes) -> Refusal | None:
    """Return the error in *content* if it is in one of the API's own shapes."""
    try:
        return parse_refusal(decode(content))
    except ValueError:
        return None


def _success(http_status: int, content: bytes) -> Outcome:
    try:
        return Accepted(run=parse_run(decode(content)))
    except ValueError:
        return InDoubt(reason=f"HTTP {http_status} without a run id")


def _told(http_status: int, refusal: Refusal | None) -> str:
    return f"HTTP {http_status} {refusal or ''}".strip()
