"""The words of services for how a run stands -> ours. Pure.

The documents name seven statuses (runflow-api.md, section 5). Clients accept others, and other
services use their kin. A word is read as one of ours only where it can mean nothing else; one that
isn't here stays as it is, and counts as an open run: a run that is taken for over would be paid
again. `stopped`, `partial` and `rejected`, say, are not here.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, Final

TERMINAL: Final = frozenset({"succeeded", "partial_succeeded", "failed", "cancelled"})
OPEN: Final = frozenset({"queued", "dispatching", "running"})

_KIN: Final[Mapping[str, str]] = {
    "succeeded": "success successful complete completed done",
    "partial_succeeded": "partially_succeeded partial_success partially_successful"
    " partially_completed",
    # Of a limit of time: runflow-api.md counts `timeout` with `errored`. Failed runs cost nothing;
    # one that shows a cost is read as cancelled (`may_be_billed`).
    "failed": "failure error errored crashed timeout timed_out time_out",
    # Ended from outside, or its result is gone: it may have been billed, and is not run again.
    "cancelled": "canceled aborted terminated expired",
    "queued": "pending waiting enqueued in_queue scheduled created submitted accepted",
    "dispatching": "starting dispatched",
    "running": "in_progress processing executing started",
}
_OURS: Final = {
    word.replace("_", ""): ours for ours, kin in _KIN.items() for word in (ours, *kin.split())
}
_TIME_IS_UP: Final = frozenset({"timeout", "timedout"})
NO_WORD: Final = "unknown"
"""A status without a word."""

_LONGEST: Final = 60
"""Characters of a word that isn't ours."""

_LISTS: Final = ("items", "statuses", "data")
_CODES: Final = ("code", "status_code", "status", "value", "id", "name")
_FLAGS: Final = ("is_terminal", "terminal", "is_final", "final")
"""Names that a list of statuses may have for its items, their words, and whether they are ends."""

_SEPARATORS: Final = re.compile(r"[\s_-]+")


def status(value: Any) -> str:
    """Return our word for a status, or the word itself where we have none; `unknown` for no word.

    Case, hyphens, blanks and underscores don't count.
    """
    word = value.strip().lower() if isinstance(value, str) else ""
    shown = word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..."
    return _OURS.get(_SEPARATORS.sub("", word), shown) or NO_WORD


def ends_listed(body: Any) -> Mapping[str, bool]:
    """Return which words that aren't ours the service's list of statuses calls ends.

    The list's shape isn't documented: a list of objects, bare or as a page, each with a code and a
    flag. One that says nothing of ends, or something else of our own words, says nothing at all.
    """
    if isinstance(body, Mapping):
        body = next(filter(None, (body.get(name) for name in _LISTS)), None)
    said: dict[str, set[bool]] = {}
    for item in body if isinstance(body, list) else ():
        if isinstance(item, Mapping):
            codes = (item.get(name) for name in _CODES)
            word = status(next((code for code in codes if isinstance(code, str)), None))
            flags = {item[name] for name in _FLAGS if isinstance(item.get(name), bool)}
            said.setdefault(word, set()).update(flags)
    known = {word: flags for word, flags in said.items() if word in TERMINAL | OPEN}
    if any(flags - {word in TERMINAL} for word, flags in known.items()):
        return {}
    unknown = (word for word in said if word not in known and word != NO_WORD)
    return {word: said[word].pop() for word in unknown if _is_clear(word, said[word])}


def _is_clear(word: str, flags: AbstractSet[bool]) -> bool:
    """Say whether one thing is said of a word, and the word is whole."""
    return len(flags) == 1 and len(word) <= _LONGEST


def reason_of(body: Mapping[str, Any]) -> str | None:
    """Return what the status itself says of a bad end; None where it says no more than ours."""
    return f"its status is {_word_of(body)}" if is_kin(body) else None


def is_kin(body: Mapping[str, Any]) -> bool:
    """Say whether the word for a bad end is none of the documents' own."""
    word = _word_of(body)
    plain = _SEPARATORS.sub("", word) in {"failed", "cancelled", "canceled"}
    return not plain and status(word) in {"failed", "cancelled"}


def may_be_billed(body: Mapping[str, Any], cost: Decimal | None) -> bool:
    """Say whether a run ended by a limit of time, and shows a cost.

    Its wait may be what timed out. So it is final, and not run again by itself.
    """
    return bool(cost and cost > 0) and _SEPARATORS.sub("", _word_of(body)) in _TIME_IS_UP


def status_of(body: Mapping[str, Any]) -> str:
    """Return how a run, a batch or an item stands: `status_code`, else `status`."""
    return status(_word_of(body))


def _word_of(body: Mapping[str, Any]) -> str:
    shown = (body.get(name) for name in ("status_code", "status"))
    words = (word.strip().lower() for word in shown if isinstance(word, str))
    return next(filter(None, words), "")
