"""What a callback says, and its signature (pure). Fact sheet, section 9.

The documents leave open how the error envelope looks (it is the API's own here) and what the items
of a batch's output are (here the lean items of the batch).
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

SIGNATURE: Final = "Runflow-Signature"
REQUEST_ID: Final = "Runflow-Request-Id"
RUN_EVENTS: Final = {
    "succeeded": "run.completed",
    "partial_succeeded": "run.partial_succeeded",
    "failed": "run.failed",
    "canceled": "run.cancelled",
}
BATCH_EVENTS: Final = {
    "succeeded": "batch.succeeded",
    "partial_succeeded": "batch.partial_succeeded",
    "failed": "batch.failed",
    "canceled": "batch.cancelled",
}


def of_run(run: Mapping[str, Any], *, status: str, shown: str) -> dict[str, Any]:
    """Return the envelope for a run as it is read; its *status* is spelled as *shown*."""
    output = run["output"]
    if status == "failed":
        output = {"code": run["failure_code"], "message": run["failure_message"], "errors": None}
    return {
        "event": RUN_EVENTS[status],
        "run_id": run["id"],
        "status": shown,
        "output": None if status == "canceled" else output,
        **_common(run),
    }


def of_batch(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the envelope for a batch as it is read."""
    output = {
        "items": batch["items"],
        "succeeded": batch["items_succeeded"],
        "failed": batch["items_failed"],
        "cancelled": batch["items_cancelled"],
        "total": batch["items_total"],
    }
    return {
        "event": BATCH_EVENTS[batch["status_code"]],
        "batch_id": batch["id"],
        "status": batch["status_code"],
        "output": output,
        **_common(batch),
    }


def _common(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in ("duration_ms", "created_at", "completed_at", "metadata")}


def frozen(payload: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed and sent, each time the same."""
    return json.dumps(payload, separators=(",", ":")).encode()


def headers(body: bytes, *, secret: str | None, request_id: str) -> dict[str, str]:
    """Return what is sent with *body*; without a secret it is not signed."""
    sent = {"Content-Type": "application/json", REQUEST_ID: request_id}
    return sent if secret is None else {**sent, SIGNATURE: signature(body, secret)}


def signature(body: bytes, secret: str) -> str:
    """Return the lowercase hex HMAC-SHA256; its key is the whole secret, `whsec_` and all."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest()
