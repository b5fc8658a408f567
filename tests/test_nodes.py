"""How far the runs in flight are with their steps: shown where they have several."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from engine_world import Listener, World
from simulated import Json, Runflow

from batchrun.base.progress import Moment
from batchrun.results.progress_lines import Lines
from batchrun.runflow.wire import parse_run

Nodes = tuple[int, int] | None


@dataclass
class Watching(Listener):
    """Remembers the steps, too."""

    nodes: list[Nodes] = field(default_factory=list)

    def tick(self) -> None:
        super().tick()
        assert self.now is not None
        self.nodes.append(self.now().nodes)


def steps(total: Any, completed: Any) -> Callable[[Json], Json]:
    return lambda run: run | {"nodes_total": total, "nodes_completed": completed}


@pytest.mark.parametrize("count", [1, 4])  # by id, by list
async def test_the_steps_of_runs_in_flight_are_added_up(tmp_path: Path, count: int) -> None:
    listener = Watching()
    service = Runflow(duration=lambda _: 60.0, edit_run=steps(7, 3))
    text = f"models: [a/b]\ninputs: {{n: {{$range: [1, {count}]}}}}\nlimits: {{batch: 1}}\n"

    await World(tmp_path, service, text=text, listener=listener).call(download=False)

    assert (3 * count, 7 * count) in listener.nodes
    assert listener.now is not None
    assert listener.now().nodes is None  # all are over


async def test_runs_of_one_step_show_none(tmp_path: Path) -> None:
    listener = Watching()
    service = Runflow(duration=lambda _: 60.0, edit_run=steps(1, 0))

    await World(tmp_path, service, listener=listener).call(download=False)

    assert set(listener.nodes) == {None}


@pytest.mark.parametrize(
    ("total", "completed", "nodes"),
    [
        (7, 3, (3, 7)),
        ("7", "3", (3, 7)),
        (7, None, (0, 7)),
        (7, 9, (7, 7)),
        (7, -1, (0, 7)),
        (1, 1, None),
        (0, 0, None),
        (-5, 2, None),
        (None, 3, None),
        (True, True, None),
        (10**30, 5, None),
        ({}, [], None),
        ("many", "few", None),
    ],
)
def test_odd_numbers_of_steps_are_none(total: Any, completed: Any, nodes: Nodes) -> None:
    run = {"id": "r", "status_code": "running"}

    assert parse_run(steps(total, completed)(run)).nodes == nodes


@pytest.mark.parametrize(("nodes", "said"), [((12, 35), "nodes 12/35, "), (None, "")])
def test_a_plain_line_says_the_steps(nodes: Nodes, said: str) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=iter([0.0, 0.0, 30.0]).__next__, every=30.0)
    lines.start(8, lambda: Moment(3, Decimal("0.05"), nodes))

    lines.tick()

    assert stream.getvalue().endswith(f"0 of 8 done, 3 in flight, {said}0.05 USD\n")
