"""The log lines of a run: what its life and that of its nodes leave behind (pure).

Levels and messages are made up; of a line only the fields are documented (fact sheet, section 6).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.simulator.catalog import Model
from batchrun.simulator.life import SECOND
from batchrun.simulator.node_runs import Node, nodes
from batchrun.simulator.run_views import failure, node_id
from batchrun.simulator.store import Run
from batchrun.simulator.views import iso, made_id


@dataclass(frozen=True, slots=True)
class Line:
    """One line; *moment* is microseconds since 1970."""

    moment: int
    level: str
    message: str
    meta: Mapping[str, Any] | None = None


def log_lines(run: Run, model: Model, now: int) -> list[dict[str, Any]]:
    """Return the lines of a run so far, in the order of their moments."""
    lines = sorted(_lines(run, model), key=lambda line: line.moment)
    return [
        {
            "id": made_id("log", run.id, number),
            "run_id": run.id,
            "level_code": line.level,
            "message": line.message,
            "timestamp": iso(line.moment),
            "meta": line.meta,
            "run": None,  # an embed; which request asks for it is not documented
        }
        for number, line in enumerate(lines)
        if line.moment <= now
    ]


def _lines(run: Run, model: Model) -> Iterator[Line]:
    yield Line(run.created, "info", "run accepted")
    if run.dispatching <= run.ended and run.failure is None:
        yield Line(run.dispatching, "info", "handed to the simulator's provider")
    if run.began is not None and run.failure is None:
        yield Line(run.began, "info", "running; nothing real is made")
    made = nodes(run, model)
    for node in made if len(made) > 1 else ():
        yield from _node(model, node)
    yield _end(run)


def _node(model: Model, node: Node) -> Iterator[Line]:
    if node.began is None:
        return
    meta = {"node_id": node_id(model, node), "node": node.name}
    lasted = node.ended - node.began
    yield Line(node.began, "debug", f"{node.name}: begun", meta)
    if node.retries:
        again = node.began + lasted // 2
        yield Line(again, "warning", f"{node.name}: no answer from the provider; sent again", meta)
    level = "error" if node.outcome == "failed" else "info"
    said = f"{node.name}: {node.outcome} after {lasted / SECOND:.3f} s"
    yield Line(node.ended, level, said, {**meta, "duration_ms": lasted // 1000})


def _end(run: Run) -> Line:
    said = f"ended: {run.outcome}"
    if run.outcome == "failed":
        why = failure(run, done=True)
        said = f"{said}: {why['failure_code']}: {why['failure_message']}"
    if run.planned_end is not None:
        reason = "" if run.cancel_reason is None else f": {run.cancel_reason}"
        said = f"{said} by an administrator{reason}"
    return Line(run.ended, "error" if run.outcome == "failed" else "info", said)
