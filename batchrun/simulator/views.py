"""The API's JSON bodies, made from what the store holds (pure).

Shapes follow `runflow-openapi.yaml`; what the documents leave open is said where it is decided.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from batchrun.simulator import life, prices
from batchrun.simulator.catalog import Input, Model
from batchrun.simulator.shapes import file_type, size
from batchrun.simulator.store import Run

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
HERE: Final = uuid.UUID("0192f0c4-7d1e-7a3b-9c55-51a0f10e5eed")  # namespace of the made-up ids
RELEASED: Final = 1_775_001_600_000_000  # 2026-04-01, when the catalogue's entries say they began
NAMES: Final = {"openai": "OpenAI", "bytedance": "ByteDance", "google": "Google"}

Url = Callable[[str, int, str], str]


def iso(moment: int | None) -> str | None:
    """Spell microseconds since 1970 with the offset +00:00, as the documents do."""
    if moment is None:
        return None
    return (EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")


def made_id(*parts: object) -> str:
    """Return a UUID that depends on *parts* alone."""
    return str(uuid.uuid5(HERE, "/".join(map(str, parts))))


def new_id(kind: str, seed: int, number: int, moment: int) -> str:
    """Return a UUIDv7 of this moment; the rest of it depends on kind, seed and number."""
    digest = hashlib.blake2b(f"{kind} {seed} {number} {moment}".encode(), digest_size=10).digest()
    value = (moment // 1000) << 80 | int.from_bytes(digest)
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def run_object(run: Run, model: Model, status: str, *, now: int, url: Url) -> dict[str, Any]:
    """Return the whole run as it is *now*, when its status is *status*."""
    done = status == run.outcome and now >= run.ended
    began = run.running if now >= run.running and status != "queued" else None
    values = json.loads(run.input)
    return {
        "id": run.id,
        "status_code": status,
        "target_type": "comfyui_workflow" if model.workflow else "model",
        "target_version": "1",
        "model_id": None if model.workflow else made_id("model", model.id),
        "flow_id": None,
        "flow_version_id": None,
        "comfyui_workflow_id": made_id("model", model.id) if model.workflow else None,
        "org_id": run.org,
        "batch_id": run.batch_id,
        "client_ref": run.client_ref,
        "source_code": "api",
        "input": values,
        "output": output(run, model, values, url) if done else None,
        "context": None,
        "metadata": json.loads(run.metadata) if run.metadata else None,
        "links": None,
        "duration_ms": (run.ended - run.running) // 1000 if done else None,
        "cost": run.cost if done else None,
        "cost_breakdown": prices.breakdown(model, values, run.outcome) if done else None,
        "nodes_total": 1,
        "nodes_completed": int(done),
        "resolved_template_id": None,
        "jurisdiction_code": None,
        "request_id": run.request_id,
        "created_by": made_id("user", run.org),
        "created_at": iso(run.created),
        "started_at": iso(began),
        "completed_at": iso(run.ended) if done else None,
        "callback_url": run.callback_url,
        "has_logs": True,
        "has_node_runs": False,
        **_failure(run, done=done),
        "feedback_is_positive": None,
        "feedback_reason": None,
        "source_chat_message_id": None,
        "current_evaluation_summary": None,
    }


def _failure(run: Run, *, done: bool) -> dict[str, str | None]:
    if not done or run.outcome != "failed":
        return {"failure_code": None, "failure_message": None, "failure_stage_code": None}
    if run.failure is not None:
        return {
            "failure_code": "INPUT_VALIDATION_FAILED",
            "failure_message": run.failure,
            "failure_stage_code": "preprocess",
        }
    # Only INPUT_VALIDATION_FAILED is published; this one stands for all others.
    return {
        "failure_code": "PROVIDER_ERROR",
        "failure_message": "the simulator was asked to let this run fail",
        "failure_stage_code": "dispatch",
    }


def output(run: Run, model: Model, values: Mapping[str, Any], url: Url) -> dict[str, Any] | None:
    """Return the normalised output of a run that has ended."""
    count = prices.landed(model, values, run.outcome)
    if count == 0:
        return None
    width, height = size(values, model.media)
    suffix = file_type(values, model.media).suffix
    files = [
        {"url": url(run.id, n, suffix), "type": model.media, "width": width, "height": height}
        for n in range(count)
    ]
    seed = values.get("seed", run.number)
    timing = {"inference": round((run.ended - run.running) / life.SECOND, 3)}
    return {"outputs": files, "seed": seed, "timing": timing, "nsfw_detected": False}


def logs(run: Run, now: int) -> list[dict[str, Any]]:
    """Return the log lines of a run so far."""
    lines = (
        (run.created, "info", "run accepted"),
        (run.dispatching, "info", "handed to the simulator's provider"),
        (run.running, "info", "running; nothing real is made"),
        (run.ended, "error" if run.outcome == "failed" else "info", f"ended: {run.outcome}"),
    )
    return [
        {
            "id": made_id("log", run.id, n),
            "run_id": run.id,
            "level_code": level,
            "message": message,
            "timestamp": iso(moment),
            "meta": None,
        }
        for n, (moment, level, message) in enumerate(lines)
        if moment <= now
    ]


def status_of(run: Run, now: int) -> str:
    return life.status(
        run.outcome, now, dispatching=run.dispatching, running=run.running, ended=run.ended
    )


def asset_object(row: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return an asset; *row* is the store's, *url* is signed."""
    kind = row["mime_type"].partition("/")[0]
    nothing = dict.fromkeys(["folder_id", "thumbnail_url", "source_id", "deleted_at", "deleted_by"])
    return {
        **nothing,
        "id": row["id"],
        "org_id": row["org"],
        "name": row["name"],
        "r2_key": f"assets/{row['id']}",
        "url": url,
        "mime_type": row["mime_type"],
        "size_bytes": row["size"],
        "asset_type": kind if kind in {"image", "video", "audio"} else "file",
        "source_type": "upload",
        "created_by": made_id("user", row["org"]),
        "created_at": iso(row["created"]),
        "updated_at": iso(row["confirmed"] or row["created"]),
        "created_by_user": None,
    }


def model_object(model: Model) -> dict[str, Any]:
    """Return a model of the catalogue; fields that need no value here are null."""
    owner, _, slug = model.id.partition("/")
    nothing = dict.fromkeys(
        [
            "icon_url",
            "cover_url",
            "family_id",
            "family_variant_code",
            "param_count",
            "architecture",
            "license_code",
            "max_resolution",
            "paper_url",
            "github_url",
            "seo",
            "content",
            "created_by",
            "deleted_at",
            "deleted_by",
        ]
    )
    return {
        **nothing,
        "id": made_id("model", model.id),
        "org_id": None,
        "model_creator_id": made_id("creator", owner),
        "slug": model.id,
        "name": f"{NAMES.get(owner, owner.title())} {slug.replace('/', ' ').replace('-', ' ')}",
        "description": _description(model),
        "version": "1",
        "is_public": True,
        "category_code": "comfyui" if model.workflow else model.media,
        "status_code": "active",
        "availability_status": "available",
        "supports_streaming": False,
        "is_official": True,
        "notable_features": [],
        "pricing_note": model.note or f"${model.price}/{model.unit}",
        "created_at": iso(RELEASED),
        "updated_at": iso(RELEASED),
        "inputs": [_input(model, given, n) for n, given in enumerate(model.inputs)],
        "outputs": [
            {
                "id": made_id("output", model.id),
                "name": f"{model.media}s",
                "variable_type_code": f"{model.media}_list",
            }
        ],
    }


def _description(model: Model) -> str:
    said = "simulated: nothing real is made"
    return f"{said}; made up: {model.made_up}" if model.made_up else said


def _input(model: Model, given: Input, order: int) -> dict[str, Any]:
    code, attrs = _validator(given)
    return {
        "id": made_id("input", model.id, given.name),
        "model_id": made_id("model", model.id),
        "name": given.name,
        "display_name": given.name.replace("_", " ").title(),
        "description": given.says or None,
        "variable_type_code": given.type,
        "default_behavior_code": "optional" if given.default is None else "static",
        "validator_code": code,
        "validator_attrs": attrs,
        "is_required": given.required,
        "default_value": given.default,
        "sort_order": order,
        "is_featured": given.required,
        "created_at": iso(RELEASED),
        "updated_at": iso(RELEASED),
    }


def _validator(given: Input) -> tuple[str | None, dict[str, Any] | None]:
    if given.enum is not None:
        return "enum", {"enum": list(given.enum)}
    if given.low is None and given.high is None:
        return None, None
    names = {"string": ("length", "min_length", "max_length"), "integer": ("range", "min", "max")}
    code, low, high = names.get(given.type, ("items", "min_items", "max_items"))
    return code, {low: given.low, high: given.high}
