"""The JSON of batches and their items, made from what the store holds (pure).

Of the statuses of batches only queued, succeeded and partial_succeeded are documented; the other
words are those of runs (fact sheet, section 8).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from batchrun.simulator.life import TERMINAL
from batchrun.simulator.links import Links
from batchrun.simulator.store import Batch, Run
from batchrun.simulator.views import iso, made_id


@dataclass(frozen=True, slots=True)
class Item:
    """A run in its batch: where it stands, and the word that is *shown* for that."""

    run: Run
    status: str
    shown: str

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


def created(batch: Batch, runs: Sequence[Run]) -> dict[str, Any]:
    """Return the batch as the POST answers it: all of it is queued, whatever comes of it."""
    words = ["queued" if run.made else "failed" for run in runs]
    items = [Item(run, word, word) for run, word in zip(runs, words, strict=True)]
    return {**_common(batch, items), "status_code": "queued", "completed_at": None}


def _common(batch: Batch, items: Sequence[Item]) -> dict[str, Any]:
    """Return what the POST and the reads show, with lean items."""
    counts = Counter(item.status for item in items)
    began = [
        item.run.began
        for item in items
        if item.run.began is not None and (item.status == "running" or item.ended)
    ]
    end = max(item.run.ended for item in items) if all(item.ended for item in items) else None
    return {
        "id": batch.id,
        "target_type": "model",
        "target_id": made_id("model", batch.model),
        "status_code": status(counts.keys()),
        "items_total": len(items),
        "items_succeeded": counts["succeeded"] + counts["partial_succeeded"],
        "items_failed": counts["failed"],
        "items_cancelled": counts["canceled"],
        "items": [handle(item.run, item.shown) for item in items],
        "created_at": iso(batch.created),
        "output": None,  # documented as an object, without its shape
        "cost": _cost(items),
        "metadata": json.loads(batch.metadata) if batch.metadata else None,
        "callback_url": batch.callback_url,
        "started_at": iso(min(began, default=None)),
        "completed_at": iso(end),
    }


def whole(batch: Batch, items: Sequence[Item], links: Links) -> dict[str, Any]:
    """Return the batch as it is read."""
    shown = _common(batch, items)
    beginnings = [item.run.ended if item.run.began is None else item.run.began for item in items]
    lasted = max(item.run.ended for item in items) - min(beginnings)
    return {
        **shown,
        "org_id": batch.org,
        "target_type_code": "model",
        "source_code": "api",
        "input": [links.read(json.loads(item.run.input)) for item in items],
        "resolved_template_id": None,
        "dispatch_provider_link_id": None,
        "duration_ms": lasted // 1000 if shown["completed_at"] else None,
        "failure_code": None,
        "failure_message": None,
        "failure_stage_code": None,
        "created_by": made_id("user", batch.org),
        "links": None,
    }


def status(states: Iterable[str]) -> str:
    """Return the status of a batch whose items have these."""
    states = frozenset(states)
    if states - TERMINAL:
        return "queued" if states <= {"queued"} else "running"
    if len(states) == 1:
        return min(states)
    return "partial_succeeded" if states & {"succeeded", "partial_succeeded"} else "failed"


def _cost(items: Sequence[Item]) -> str | None:
    costs = [Decimal(item.run.cost) for item in items if item.run.cost and item.ended]
    return str(sum(costs, Decimal(0))) if costs else None


def item_id(run: Run) -> str:
    return made_id("item", run.id)


def handle(run: Run, shown: str) -> dict[str, Any]:
    """Return the lean item of a batch."""
    return {
        "id": item_id(run),
        "sequence_index": run.batch_index,
        "run_id": run.id if run.made else None,
        "status_code": shown,
        "client_ref": run.client_ref,
    }


def full_item(run: Run, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full item of a batch around the run as it is *shown*."""
    failed = shown["failure_code"] is not None
    error = {"code": shown["failure_code"], "message": shown["failure_message"]}
    names = ("created_at", "input", "cost", "output", "started_at", "completed_at")
    return {
        **handle(run, str(shown["status_code"])),
        "batch_id": run.batch_id,
        **{name: shown[name] for name in names},
        "error": error if failed else None,
        "run": shown,
    }
