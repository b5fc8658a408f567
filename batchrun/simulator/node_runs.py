"""The life of a run's nodes: how its time and its cost are divided among its steps (pure).

All of it follows from the run's id and its plan, as the run's own life does. So node runs, logs and
`nodes_completed` agree at each moment, and a run that is cancelled keeps what it had done by then.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from itertools import accumulate, pairwise
from typing import Final

from batchrun.simulator import steps
from batchrun.simulator.catalog import Model
from batchrun.simulator.faults import chance
from batchrun.simulator.store import Run

SMALLEST: Final = Decimal("0.000001")  # USD
RETRIED: Final = 0.12  # the share of nodes that need a second try
COMPLETED: Final = frozenset({"succeeded", "partial_succeeded"})
SKIPPED: Final = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of one run; times are microseconds since 1970.

    A node whose turn never comes has no *began*, and its *outcome* is `skipped`.
    """

    index: int
    name: str
    outcome: str
    began: int | None = None
    ended: int
    cost: Decimal | None = None
    retries: int = 0

    def state(self, now: int) -> str:
        """Return where it stands at *now*, in the words of runs: no document has others."""
        if now >= self.ended:
            return self.outcome
        return "queued" if self.began is None or now < self.began else "running"

    def completed(self, now: int) -> bool:
        return self.state(now) in COMPLETED


def nodes(run: Run, model: Model) -> Sequence[Node]:
    """Return the nodes of a run in their order; a run that was refused at the door has none."""
    if run.failure is not None:
        return ()
    names = steps.steps(model, json.loads(run.input))
    planned = run.planned_outcome or run.outcome
    last = _last(run, planned, len(names))
    weights = [0.5 + chance(run.id, "weight", index) for index in range(last + 1)]
    begun = [
        Node(
            index=index,
            name=names[index],
            outcome="succeeded",
            began=began,
            ended=ended,
            retries=int(len(names) > 1 and chance(run.id, "retry", index) < RETRIED),
        )
        for index, (began, ended) in enumerate(_spans(run, weights))
    ]
    begun = [_ended(run, planned, node, len(begun)) for node in begun]
    others = (
        Node(index=index, name=names[index], outcome=SKIPPED, ended=run.ended)
        for index in range(last + 1, len(names))
    )
    return [*_paid(run, [_cut(run, node) for node in (*begun, *others)], weights)]


def _last(run: Run, planned: str, count: int) -> int:
    """Return the index of the last node whose turn comes."""
    if planned in {"failed", "canceled"}:
        return int(chance(run.id, "node") * count)
    return count - 1


def _spans(run: Run, weights: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield beginnings and ends: one node after the other, from the run's beginning to its end."""
    end = run.ended if run.planned_end is None else run.planned_end
    lasts, whole = end - run.running, sum(weights)
    parts = [round(lasts * part / whole) for part in accumulate(weights)]
    return pairwise([run.running, *(run.running + part for part in parts[:-1]), end])


def _paid(run: Run, nodes: Sequence[Node], weights: Sequence[float]) -> Iterator[Node]:
    """Yield the nodes with what each costs; those whose turn came cost what the run does."""
    left = None if run.cost is None else Decimal(run.cost)
    begun = sum(node.began is not None for node in nodes)
    for node in nodes:
        if left is None or node.began is None:
            yield node
            continue
        part = left
        if node.index < begun - 1:
            share = Decimal(weights[node.index]) / Decimal(sum(weights))
            part = (Decimal(run.cost or 0) * share).quantize(SMALLEST, ROUND_DOWN)
        left -= part
        yield replace(node, cost=part)


def _ended(run: Run, planned: str, node: Node, begun: int) -> Node:
    """Return the node with the end that the run's plan has for it."""
    if planned == "partial_succeeded":
        # Of several nodes an inner one fails, and the run goes on without it.
        lost = 1 + int(chance(run.id, "node") * (begun - 2)) if begun > 2 else begun - 1
        bad = "failed" if begun > 1 else planned
        return replace(node, outcome=bad) if node.index == lost else node
    return replace(node, outcome=planned) if node.index == begun - 1 else node


def _cut(run: Run, node: Node) -> Node:
    """Return what is left of the node where an administrator cancelled the run."""
    if run.planned_end is None or node.ended <= run.ended:
        return node
    if node.began is None or node.began >= run.ended:
        return Node(index=node.index, name=node.name, outcome=SKIPPED, ended=run.ended)
    return replace(node, outcome="canceled", ended=run.ended)
