"""The words of a service that takes no calls of one kind for now. Pure."""

from datetime import datetime
from typing import Final

from batchrun.base.times import until_words
from batchrun.errors import ThrottledError
from batchrun.runflow.ratelimit.kinds import Kind

_NAMED: Final = {
    Kind.CREATES: "the service takes no new run before {}",
    Kind.READS: "the service answers no question before {}",
}
_ASKED: Final = (
    ": it answered HTTP 429, too many requests, and asks to wait so long; call again then"
)
_SILENT: Final = {
    Kind.CREATES: "`{}` answered nothing but 429 to requests for new runs for {:g} s",
    Kind.READS: "`{}` answered nothing but 429 for {:g} s",
}
_SLOWER: Final = " (HTTP 429, too many requests); lower `--rate`, or call again later"


def wait_fact(kind: Kind, until: datetime, now: datetime) -> str:
    """Say until when the service wants no call of this kind; times are the service's."""
    return _NAMED[kind].format(until_words(until, now))


def asked_to_wait(kind: Kind, until: datetime, now: datetime) -> ThrottledError:
    """Return the error for a wait that is longer than the give-up time."""
    creates = kind is Kind.CREATES
    return ThrottledError(wait_fact(kind, until, now), _ASKED, creates=creates, until=until)


def refused_all(kind: Kind, endpoint: str, give_up: float) -> ThrottledError:
    """Return the error for a service that names no wait, and takes nothing for that long."""
    creates = kind is Kind.CREATES
    return ThrottledError(
        _SILENT[kind].format(endpoint, give_up), _SLOWER, creates=creates, until=None
    )


def set_right(error: ThrottledError, now: datetime) -> None:
    """Have an error say how long it is by *now*: the runs in flight took a while to end."""
    if error.until is not None:
        error.fact = wait_fact(Kind.CREATES if error.creates else Kind.READS, error.until, now)
