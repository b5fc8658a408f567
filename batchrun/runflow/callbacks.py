"""Callbacks of the service: whether our secret signed one, and whose end it announces. Pure.

Facts are in runflow-api.md, section 9. What a callback says is a hint and no fact: the API is asked
before anything is written. So only what it takes to ask is read: the id of a run or of a batch.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from batchrun.runflow.lenient import text
from batchrun.runflow.statuses import TERMINAL, status, status_of
from batchrun.runflow.wire import decode

SIGNATURE: Final = "Runflow-Signature"
"""The header with the HMAC-SHA256 over the body as it was sent, in hexadecimal digits."""

MOST_SECRETS: Final = 2
"""Secrets that count at once: the one that is, and the one that is coming or going."""

_LONGEST: Final = 200
"""Characters of an id; what is longer is none, and is not kept."""

_SHORTEST: Final = 8
"""Characters of a secret; a shorter one could be guessed."""


class Ended(Struct, frozen=True):
    """A run, or a *batch* with all its runs, is said to have ended; *id* is the service's."""

    id: str
    batch: bool = False


def parse_secrets(value: str) -> tuple[str, ...]:
    """Return the secrets in *value*: one, or while it is being changed two with a comma between.

    They are taken as they are: the prefix `whsec_` is a part of them. ValueError where there is
    none, or none that can be one; it shows nothing of them.
    """
    secrets = tuple(dict.fromkeys(filter(None, re.split(r"[\s,]+", value))))
    if not secrets:
        raise ValueError("holds no secret")
    if len(secrets) > MOST_SECRETS:
        raise ValueError(f"holds {len(secrets)} secrets; expected one, or two with a comma between")
    if any(len(each) < _SHORTEST or not each.isascii() for each in secrets):
        raise ValueError("holds what is no secret; expected it as Runflow showed it, whsec_…")
    return secrets


def signature(body: bytes, secret: str) -> str:
    """Return the signature of *body*."""
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def is_signed(body: bytes, given: str | None, secrets: Sequence[str]) -> bool:
    """Say whether *given* is the signature of *body* by one of *secrets*, in constant time."""
    claimed = (given or "").strip().encode("utf-8", "replace")
    # Each secret is tried: which of them it is shows in no time either.
    right = [hmac.compare_digest(signature(body, secret).encode(), claimed) for secret in secrets]
    return any(right)


def read_end(body: bytes) -> Ended | None:
    """Return what is said to have ended; None where that is not said, in any words of ours.

    Unknown fields, events and statuses are no mistakes. ValueError for what is no JSON object.
    """
    value = decode(body)
    if not isinstance(value, Mapping):
        raise ValueError("expected a JSON object")  # noqa: TRY004  (one kind of error for callers)
    if not _is_over(value):
        return None
    run_id, batch_id, other = (_id(value.get(name)) for name in ("run_id", "batch_id", "id"))
    if run_id is not None:
        return Ended(run_id)
    if batch_id is not None:
        return Ended(batch_id, batch=True)
    return None if other is None else Ended(other, batch=_event(value)[0] == "batch")


def _id(value: Any) -> str | None:
    found = text(value)
    return found if found is not None and len(found) <= _LONGEST else None


def _is_over(body: Mapping[str, Any]) -> bool:
    """Say whether the status is one of an end; where that has no word of ours, the event's."""
    stands = status_of(body)
    if stands == "unknown":
        stands = status(_event(body)[1])
    return stands in TERMINAL


def _event(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the two parts of an event such as `run.completed`."""
    kind, _, word = (text(body.get("event")) or "").partition(".")
    return kind.strip().lower(), word
