"""The times and waits that a service names, within one window of sense. Pure; nothing here raises.

A service's clock may be wrong, a proxy may write its own, and a field may hold anything. So:

* A time counts from EARLIEST to LATEST; any other is as good as none. Arithmetic with a date at the
  edge of the calendar is an OverflowError, which ended a call once.
* A time without a zone is in UTC. A number is an epoch time: the window is narrower than the step
  from seconds to milliseconds, so its size says its unit.
* A wait counts up to LONGEST_WAIT. Its floor is its caller's: each wait that is given again and
  again grows, whatever was named (540 calls in four seconds answered to `Retry-After: 0`).
"""

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from batchrun.base.text import span

EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""No run was made before. An HTTP date of the year 1 reads as one of 2001, by the rule of mail."""

LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
LONGEST_WAIT: Final = 31 * 86400.0
"""Seconds: no service asks for more than the rest of a month's allowance."""

LONGEST_RUN: Final = 366 * 86400.0
"""Seconds that a run can have taken."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = EARLIEST.timestamp(), LATEST.timestamp()
_UNITS: Final = (1, 1_000, 1_000_000, 1_000_000_000)  # in a second
_SHORTEST: Final = len("2026-05-01T12:00:00")
_NUMBER: Final = re.compile(r"\s*[+-]?\d{1,30}(\.\d{0,30})?\s*")
_LEAP_SECOND: Final = re.compile(r"(:\d\d):60(?!\d)")


def moment(value: object) -> datetime | None:
    """Return a time of a body in UTC: ISO 8601, an HTTP date, or an epoch number, also as text.

    None for what is no time, or none within the window.
    """
    if isinstance(value, str):
        # The documented form comes first: a listing has hundreds of them.
        if len(value) >= _SHORTEST and (read := _iso(value)) is not None:
            return read
        return _from_text(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_number(value)
    return None


def in_window(value: datetime) -> datetime | None:
    """Return *value* in UTC, a naive one taken to be so; None outside the window."""
    if value.tzinfo is not UTC:
        try:
            value = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    return value if EARLIEST <= value < LATEST else None


@lru_cache(maxsize=16)  # all answers of a second have the same date, which is slow to read
def http_date(text: str | None) -> datetime | None:
    """Return an HTTP date in UTC; None where there is none within the window."""
    try:
        return in_window(parsedate_to_datetime(text or ""))
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


def number(text: str) -> float | None:
    """Return the number that *text* is, None where it is none."""
    return float(text) if _NUMBER.fullmatch(text) else None


def wait(seconds: float | None) -> float | None:
    """Return a wait that was named, from 0 to LONGEST_WAIT; None for what is no number."""
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def milliseconds(value: int | None) -> int | None:
    """Return how long a run took; None where it can't have taken that."""
    return value if value is not None and 0 <= value <= LONGEST_RUN * 1000 else None


def seconds_between(start: object, end: object) -> float | None:
    """Return the seconds between two times of one clock; None where they don't say.

    They don't where one is no time, where they are not in their order, or too far apart.
    """
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return None
    took = (last - first).total_seconds()
    return took if 0 <= took <= LONGEST_RUN else None


def until_words(at: datetime, now: datetime) -> str:
    """Spell a moment to wait for: `17:03:12 UTC (in 1 h)`, with its day where that is another."""
    seconds = (at - now).total_seconds()
    at += timedelta(seconds=0.5)  # to the nearest second
    day = "" if at.date() == now.date() else f"{at:%Y-%m-%d} "
    return f"{day}{at:%H:%M:%S} UTC ({f'in {_length(seconds)}' if seconds > 0 else 'over by now'})"


def _length(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{round(hours / 24)} days"
    return f"{hours} h {minutes} min".removesuffix(" 0 min") if hours else span(seconds)


def _from_text(text: str) -> datetime | None:
    if (found := number(text)) is not None and (read := _from_number(found)) is not None:
        return read
    text, leap = _LEAP_SECOND.subn(r"\1:59", text)
    if text[-1:] == "z":
        text = f"{text[:-1]}Z"
    read = _iso(text) or http_date(text)
    if read is None or not leap:
        return read
    return in_window(read + timedelta(seconds=1))


def _iso(text: str) -> datetime | None:
    try:
        return in_window(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _from_number(value: float) -> datetime | None:
    for unit in _UNITS:
        if _FIRST * unit <= value < _LAST * unit:
            return _EPOCH + timedelta(seconds=value / unit)
    return None
