"""The headers of time and content in an answer. Pure; all are optional and may be nonsense."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from batchrun.base.times import http_date, moment, number, wait

_RESETS: Final = ("RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset")
_OLDEST_CACHED: Final = 86_400.0
_SHA256: Final = re.compile(r"(?i)\bsha-256=:?([A-Za-z0-9+/]{43}=)")


def service_date(headers: Mapping[str, str]) -> datetime | None:
    """Return the service's time as an answer shows it; None where it doesn't.

    `Date` is when the answer was made; one from a cache has been there for `Age` seconds since.
    """
    date = http_date(headers.get("Date"))
    age = wait(number(headers.get("Age", "")))
    if date is None or age is None:
        return date
    return date + timedelta(seconds=min(age, _OLDEST_CACHED))


def seconds_to_wait(headers: Mapping[str, str], service_now: datetime | None) -> float | None:
    """Return how long the service asks us to wait: by `Retry-After`, else by a reset header.

    An absolute time is compared with the answer's own date, else with *service_now*, the service's
    time by an earlier answer. Where neither is known it says nothing: our clock may be wrong.
    """
    now = service_date(headers) or service_now
    for name in ("Retry-After", *_RESETS):
        if (seconds := _until(headers.get(name, ""), now)) is not None:
            return seconds
    return None


def _until(text: str, now: datetime | None) -> float | None:
    seconds = number(text)
    if (at := moment(text if seconds is None else seconds)) is not None:
        return None if now is None else wait((at - now).total_seconds())
    if seconds is not None:
        return wait(seconds)
    # A proxy may have added its own: two headers of one name come as one, with a comma between.
    parts = [wait(number(part)) for part in text.split(",")]
    return max((part for part in parts if part is not None), default=None)


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
