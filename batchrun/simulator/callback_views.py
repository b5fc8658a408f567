"""The JSON of callbacks' deliveries and secrets, made from what the store holds (pure).

The words of a delivery's status and of its failures are not documented; these are made up.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batchrun.simulator.retry_schedule import ATTEMPTS
from batchrun.simulator.views import iso

Row = Mapping[str, Any]


def delivery(row: Row, attempts: Sequence[Row]) -> dict[str, Any]:
    """Return a delivery of the history with its attempts."""
    return {
        "id": row["id"],
        f"{row['kind']}_id": row["subject"],
        "callback_url": row["url"],
        "payload_bytes": row["payload"].decode(),
        "payload": json.loads(row["payload"]),
        "signing_secret_id": row["secret_id"],
        "is_automatic": bool(row["automatic"]),
        "status_code": row["status"],
        "failure_reason_code": row["reason"],
        "failure_detail": row["detail"],
        "attempt_count": len(attempts),
        "max_attempts": ATTEMPTS,
        "next_attempt_at": iso(row["next_attempt"]),
        "created_at": iso(row["created"]),
        "updated_at": iso(row["updated"]),
        "completed_at": iso(row["completed"]),
        "attempts": [_attempt(each) for each in attempts],
    }


def _attempt(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "delivery_id": row["delivery_id"],
        "attempt_number": row["number"],
        "status_code": row["status"],
        "response_body": row["body"],
        "response_time_ms": row["milliseconds"],
        "error_message": row["error"],
        "created_at": iso(row["created"]),
    }


def secret(row: Row) -> dict[str, Any]:
    """Return a secret, without its plain text."""
    known = min(10, len(row["plain"]) // 2)
    return {
        "id": row["id"],
        "org_id": row["org"],
        "key_prefix": row["plain"][:known],
        "is_current": bool(row["is_current"]),
        "label": row["label"],
        "disabled_at": None,
        "last_used_at": iso(row["used"]),
        "created_at": iso(row["created"]),
        "updated_at": iso(row["updated"]),
    }
