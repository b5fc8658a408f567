"""The headers of time and content in an answer. Pure; all are optional and may be nonsense."""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

_EPOCH_SINCE = 1_000_000_000  # a reset above this is a unix time, below it seconds to go


def seconds_to_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the service asks us to wait: Retry-After, else X-RateLimit-Reset."""
    asked = headers.get("Retry-After", "")
    if (seconds := _number(asked)) is not None:
        return max(0.0, seconds)
    if (moment := http_date(asked)) is not None:
        return max(0.0, (moment - now).total_seconds())
    reset = _number(headers.get("X-RateLimit-Reset", ""))
    if reset is None:
        return None
    return max(0.0, reset - now.timestamp() if reset > _EPOCH_SINCE else reset)


_SHA256: Final = re.compile(r"(?i)\bsha-256=:?([A-Za-z0-9+/]{43}=)")


def sha256_of(headers: Mapping[str, str]) -> str | None:
    """Return, in hex, the hash that the whole file is said to have (RFC 9530, RFC 3230, S3)."""
    given = headers.get("Repr-Digest", "") + " " + headers.get("Digest", "")
    found = _SHA256.search(given)
    text = found[1] if found else headers.get("x-amz-checksum-sha256", "")
    try:
        digest = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest.hex() if len(digest) == 32 else None


@lru_cache(maxsize=16)  # all answers of a second have the same date, which is slow to read
def http_date(text: str | None) -> datetime | None:
    """Read an HTTP date; None where there is none."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
