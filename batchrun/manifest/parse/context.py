"""The context that the readers of a manifest's parts share: the problems, the names there are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from batchrun.errors import Problem
from batchrun.manifest.data.local_files import LocalDisk
from batchrun.manifest.expressions.compiler import AXES, Compiler
from batchrun.manifest.expressions.expression import Axis, Broken, Expression, NoValueError
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode
from batchrun.manifest.yaml.section import Environment


class ParseContext(Struct, frozen=True):
    """Shared by everything that reads one manifest."""

    path: Path
    problems: list[Problem]
    notes: list[Problem]  # no mistakes: they become the manifest's notes
    environment: Environment
    disk: LocalDisk
    known: set[str]  # every name the manifest gives a value
    compiler: Compiler

    def bodies(
        self, nodes: Mapping[str, tuple[ScalarNode, Node]], constants: Mapping[str, Any]
    ) -> dict[str, Expression | Axis]:
        """Compile single values first: an axis operator's path may use them."""
        bodies: dict[str, Expression | Axis] = dict.fromkeys(nodes, Broken())
        axes = [name for name, (_, node) in nodes.items() if _is_axis(node)]
        for name, (_, node) in nodes.items():
            if name not in axes:
                bodies[name] = self.compiler.entry(node, {})
        fixed = {**constants, **constants_of(bodies, constants)}
        for name in axes:
            bodies[name] = self.compiler.entry(nodes[name][1], fixed)
        return bodies

    def said(self, error: NoValueError) -> None:
        """Report an error, unless it has been reported already."""
        if error.problem is not None:
            self.problems.append(error.problem)


def constants_of(
    bodies: Mapping[str, Expression | Axis], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of all names that do not vary."""
    found = {n: v for n, v in known.items() if n not in bodies}
    single = {n: body for n, body in bodies.items() if not isinstance(body, Axis | Broken)}
    lacking = {name: set(body.names) - found.keys() for name, body in single.items()}
    users: dict[str, list[str]] = {}
    for name, names in lacking.items():
        for used in names:
            users.setdefault(used, []).append(name)
    ready = [name for name, names in lacking.items() if not names]
    while ready:
        name = ready.pop()
        try:
            found[name] = single[name].evaluate(found)
        except NoValueError:
            continue
        for user in users.get(name, ()):
            lacking[user].discard(name)
            if not lacking[user]:
                ready.append(user)
    return found


def items_of(node: Node | None) -> Sequence[Node]:
    """Return the elements of a list, or nothing."""
    return node.items if isinstance(node, ListNode) else ()


def _is_axis(node: Node) -> bool:
    if isinstance(node, MapNode) and len(node.entries) == 1:
        return node.entries[0][0].text in AXES
    return isinstance(node, ListNode)
