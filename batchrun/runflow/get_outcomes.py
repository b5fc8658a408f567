"""The meaning of an answer to a question: to a GET, or to the POST of an upload. Pure.

**No refused GET ends a call by itself.** Once a single answer of 401, 402 or 403 did, from one host
of many or a gateway on the way, and paid runs were left unfetched. So this is what a status that
is not about the question comes to:

| answer to a GET | a run: NEEDED | a list, a batch: REFUSABLE | balance, models: OPTIONAL |
| --- | --- | --- | --- |
| 400 404 422 in the API's own envelope | refused | refused | not known |
| 401 in it, and to `/v1/auth/me`, too | the key is refused: the call ends | the same | the same |
| 401 in it, and not there | asked again | asked again | asked again |
| 204 402 403 405 410 451 501, and 404 without it | asked again | asked again | not known |
| the same, or a 401, for the fifth time in a row | held, if others are answered | refused | |
| any other | asked again | asked again | asked again |

**A list is LISTED: it is refused only after a third of the give-up time.** What it shows decides
whether runs are paid again: a list that was refused for ten seconds, at the start of a call, once
let a ledger that was behind pay for all that it lacked.

A list that is refused by a page, and not in the API's own envelope, counts as refused only if the
API answers when it is asked for the account: else a proxy may stand before all of the service. A
run is REFUSABLE, too, where the question is only whose it is. The POST of an upload is read as
other POSTs are: `post_outcomes.py`.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from batchrun.errors import QuestionRefusedError
from batchrun.runflow import wire
from batchrun.runflow.post_outcomes import raise_for_account
from batchrun.runflow.wire import Refusal

REFUSALS: Final = frozenset({400, 404, 422})  # what a question may be answered with, and is over
NOT_SERVED: Final = frozenset({204, 402, 403, 404, 405, 410, 451, 501})
IN_A_ROW: Final = 5
"""Refusals after which one is no longer taken for a passing one: some seven seconds, or more."""


class Terms(Struct, frozen=True, kw_only=True):
    """How a question may end without what it asks for.

    *refusals* in the API's own envelope end it at once. What is not served ends an *optional* one
    at once, and one that *may be refused* after *in_a_row* times; where it is *patient*, also not
    before a third of the give-up time. *posted* is a POST.
    """

    refusals: frozenset[int] = REFUSALS
    optional: bool = False
    may_be_refused: bool = False
    in_a_row: int = IN_A_ROW
    patient: bool = False
    posted: bool = False


NEEDED: Final = Terms()
OPTIONAL: Final = Terms(optional=True, may_be_refused=True)
REFUSABLE: Final = Terms(may_be_refused=True)
LISTED: Final = Terms(may_be_refused=True, patient=True)
STILL_REFUSED: Final = Terms(may_be_refused=True, in_a_row=1)
UPLOAD: Final = Terms(refusals=REFUSALS | {409, 413}, posted=True)


class Answer(Struct, frozen=True, kw_only=True):
    """A whole answer: JSON of the API as it was read, or its refusal; *size* is in bytes."""

    http_status: int
    body: Any
    refusal: Refusal | None
    size: int = 0


class Odd(Struct, frozen=True, kw_only=True):
    """What is no answer to the question; *refusal* where it is in the API's own envelope."""

    http_status: int
    called: str
    refusal: Refusal | None

    def __str__(self) -> str:
        if self.refusal is None:
            return f"HTTP {self.http_status} to {self.called}, not an answer of the API"
        return f"HTTP {self.http_status} {self.refusal} to {self.called}"

    @property
    def own_refusal(self) -> bool:
        """Whether the API itself refuses the question, and is well."""
        return self.refusal is not None and self.not_served

    @property
    def says_key(self) -> bool:
        """Whether it says that the key is refused."""
        return self.http_status == 401 and self.refusal is not None

    @property
    def not_served(self) -> bool:
        """Whether it refuses the question; a 5xx, say, doesn't."""
        return self.http_status == 401 or self.http_status in NOT_SERVED

    def as_answer(self) -> Answer:
        return refused(self.http_status, self.refusal)

    def held(self) -> QuestionRefusedError:
        """Return the error for a question that alone is refused."""
        return QuestionRefusedError(
            f"the service answers other questions and refuses this one: {self}"
        )


def refused(http_status: int, refusal: Refusal | None) -> Answer:
    """Return the answer that a refusal is; one that isn't the API's own gets words of ours."""
    words = Refusal(code="", message="not found" if http_status == 404 else "not served")
    return Answer(http_status=http_status, body=None, refusal=refusal or words)


def understand(
    http_status: int, content: bytes, read: Callable[[Any], Any], terms: Terms, called: str
) -> Answer | Odd:
    """Return what a whole answer to the question *called* means; 429 is the caller's.

    Raises what the refusal of a POST says of the account.
    """
    refusal = None
    if terms.optional and http_status == 204:
        return refused(http_status, refusal)
    with suppress(ValueError):
        body = wire.decode(content)
        if 200 <= http_status < 300:
            value = read(body)
            return Answer(http_status=http_status, body=value, refusal=None, size=len(content))
        refusal = wire.parse_refusal(body)
    if terms.posted and refusal is not None:
        raise_for_account(http_status, refusal, called)
    no_matter = terms.optional and http_status in NOT_SERVED
    if no_matter or (refusal is not None and http_status in terms.refusals):
        return refused(http_status, refusal)
    return Odd(http_status=http_status, called=called, refusal=refusal)
