"""The JSON of runs and of their nodes, made from what the store holds (pure)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from batchrun.simulator import outputs, prices, steps
from batchrun.simulator.catalog import Model
from batchrun.simulator.links import ASSET, Links
from batchrun.simulator.node_runs import COMPLETED, Node, nodes
from batchrun.simulator.store import Run
from batchrun.simulator.views import iso, made_id

BEFORE_ALL: Final = -1
"""The moment at which the nodes of a run stand that is shown as queued, whatever its plan."""


def run_object(run: Run, model: Model, status: str, *, now: int, links: Links) -> dict[str, Any]:
    """Return the whole run as it is *now*, when its status is *status*."""
    done = status == run.outcome and now >= run.ended
    queued = status == "queued"
    began = run.began if run.began is not None and now >= run.began and not queued else None
    values = json.loads(run.input)
    total, completed = _progress(run, model, values, BEFORE_ALL if queued else now)
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
        "input": links.read(values) if ASSET in run.input else values,
        "output": outputs.output(run, model, values, links.file) if done else None,
        "context": None,
        "metadata": json.loads(run.metadata) if run.metadata else None,
        "links": None,
        "duration_ms": run.milliseconds if done else None,
        "cost": run.cost if done else None,
        "cost_breakdown": prices.breakdown(model, values, run.outcome) if done else None,
        "nodes_total": total,
        "nodes_completed": completed,
        "resolved_template_id": None,
        "jurisdiction_code": None,
        "request_id": run.request_id,
        "created_by": made_id("user", run.org),
        "created_at": iso(run.created),
        "started_at": iso(began),
        "completed_at": iso(run.ended) if done else None,
        "callback_url": run.callback_url,
        "has_logs": True,
        "has_node_runs": run.failure is None,
        **failure(run, done=done),
        "feedback_is_positive": None,
        "feedback_reason": None,
        "source_chat_message_id": None,
        "current_evaluation_summary": None,
        "node_runs": None,  # embeds; which request asks for them is not documented
        "logs": None,
        "flow": None,
    }


def _progress(run: Run, model: Model, values: Mapping[str, Any], now: int) -> tuple[int, int]:
    """Return how many nodes the run has, and how many of them are completed."""
    total = steps.count(model, values)
    if now < run.running or run.failure is not None:
        return total, 0
    if total == 1:  # as most have, in lists of hundreds
        return 1, int(now >= run.ended and run.outcome in COMPLETED)
    return total, sum(node.completed(now) for node in nodes(run, model))


def failure(run: Run, *, done: bool) -> dict[str, str | None]:
    """Return the three fields that say why a run failed."""
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


def node_objects(
    run: Run, model: Model, status: str, *, now: int, links: Links
) -> Sequence[dict[str, Any]]:
    """Return the node runs of a run, each as it stands *now*, in the order of the nodes."""
    moment = BEFORE_ALL if status == "queued" else now
    return [_node_object(run, model, node, moment, links) for node in nodes(run, model)]


def node_id(model: Model, node: Node) -> str:
    return made_id("node", model.id, node.name)


def _node_object(run: Run, model: Model, node: Node, now: int, links: Links) -> dict[str, Any]:
    began = node.began if node.began is not None and now >= node.began else None
    done = began is not None and now >= node.ended
    output = _left(run, model, node, links) if done else None
    urls = outputs.urls_of(output) if output else ()
    given = links.read(json.loads(run.input)) if node.index == 0 else None
    return {
        "id": made_id("node run", run.id, node.index),
        "run_id": run.id,
        "node_id": node_id(model, node),
        "flow_id": made_id("flow", model.id),
        "state_code": node.state(now),
        "input": given,
        "output": output,
        "input_signature": hashlib.sha256(f"{node.index} {run.input}".encode()).hexdigest(),
        "preview_type": model.media if urls else None,
        "preview_value": urls[0] if urls else None,
        "duration_ms": (node.ended - began) // 1000 if began is not None and done else None,
        "cost": str(node.cost) if done and node.cost is not None else None,
        "retry_count": node.retries if began is not None else 0,
        "error_message": _why(run, node) if done else None,
        "created_at": iso(run.created),
        "started_at": iso(began),
        "completed_at": iso(node.ended) if done else None,
    }


def _left(run: Run, model: Model, node: Node, links: Links) -> dict[str, Any] | None:
    """Return what a node leaves: a stage its own file, the last node what the run does."""
    values = json.loads(run.input)
    if not node.completed(node.ended):
        return None
    if node.index == steps.count(model, values) - 1:
        return outputs.output(run, model, values, links.file)
    name = outputs.file_of_step(model, node.name)
    return outputs.one_file(run, model, values, name, links.file) if name else None


def _why(run: Run, node: Node) -> str | None:
    if node.outcome != "failed":
        return None
    return failure(run, done=True)["failure_message"] or f"{node.name}: the provider gave no file"
