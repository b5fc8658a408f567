"""`exclude` and `include`: what is dropped from the product, and what is added beside it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.text import did_you_mean
from batchrun.base.values import spell
from batchrun.manifest.expressions.expression import Axis, Expression, NoValueError
from batchrun.manifest.manifest import Definition, Grid, Model, Rule
from batchrun.manifest.matching import token
from batchrun.manifest.parse.context import ParseContext, constants_of
from batchrun.manifest.parse.namespace import not_sent, reserved, unknown_model
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode
from batchrun.manifest.yaml.section import Section, plain_value, text_keys

_SECTIONS: Final = (
    "inputs",
    "vars",
    "zip",
    "rows",
    "exclude",
    "include",
    "repeat",
    "sample",
    "omit",
)


class RuleReader(Struct, frozen=True):
    """Reads `exclude` and `include`, once models and names are known."""

    context: ParseContext
    root: Section

    def exclude(self, models: Sequence[Model], constants: Mapping[str, Any]) -> tuple[Rule, ...]:
        """Return the rules of `exclude`; templates in them may use what does not vary."""
        rules = []
        for item in self.root.items("exclude", "a list such as [{seed: 7}]"):
            if isinstance(item, MapNode) and item.entries:
                rules.append(self._rule(item, models, constants))
            else:
                message = (
                    "an element of `exclude` is a mapping of names to values such as {seed: 7}"
                )
                self.context.problems.append(item.problem(message))
        return tuple(rules)

    def _rule(self, item: MapNode, models: Sequence[Model], constants: Mapping[str, Any]) -> Rule:
        names: dict[str, frozenset[Any]] = {}
        chosen: frozenset[str] | None = None
        for key, name, node in text_keys(item, self.context.problems):
            if name == "model":
                chosen = frozenset(model.alias for model in self._chosen(node, models))
            elif name in self.context.known:
                names[name] = frozenset(self._wanted(node, constants))
            else:
                hint = did_you_mean(name, [*self.context.known, "model"])
                message = f"`exclude`: no input, var or column is called `{name}`{hint}"
                self.context.problems.append(key.problem(message))
        return Rule(item, names, chosen)

    def _wanted(self, node: Node, constants: Mapping[str, Any]) -> Iterator[Any]:
        compiler = self.context.compiler
        wanted: Iterable[Expression] = (compiler.value(node),)
        if isinstance(node, ListNode):
            axis = compiler.axis(node, constants)
            wanted = axis if compiler.holds(node, axis.segments) else ()
        for expression in wanted:
            if varying := expression.names - constants.keys():
                message = f"`${{{min(varying)}}}` varies; `exclude` takes values that do not"
                self.context.problems.append(node.problem(message))
                continue
            try:
                yield token(expression.evaluate(constants))
            except NoValueError as error:
                self.context.said(error)

    def _chosen(self, node: Node, models: Sequence[Model]) -> Iterator[Model]:
        if isinstance(node, ListNode) and not node.items:
            self.context.problems.append(node.problem("expected at least one model"))
        for item in node.items if isinstance(node, ListNode) else (node,):
            wanted = plain_value(item)
            found = [model for model in models if wanted in (model.alias, model.id)]
            if not found:
                self.context.problems.append(item.problem(unknown_model(spell(wanted), models)))
            yield from found

    def includes(self, product: Grid) -> Iterator[Grid]:
        for item in self.root.items("include", "a list such as [{prompt: a red chair}]"):
            if not isinstance(item, MapNode):
                message = "an element of `include` is a mapping such as {prompt: a red chair}"
                self.context.problems.append(item.problem(message))
                continue
            yield self._include(item, product)

    def _include(self, item: MapNode, product: Grid) -> Grid:
        models, nodes = self._entry(item, product)
        inherited = {n: d for n, d in product.names.items() if not isinstance(d.body, Axis)}
        constants = constants_of({n: d.body for n, d in inherited.items() if n not in nodes}, {})
        unsent = not_sent(product)
        own = {
            name: Definition(name=name, node=nodes[name][0], body=body, sent=name not in unsent)
            for name, body in self.context.bodies(nodes, constants).items()
        }
        return Grid(
            node=item,
            names={**inherited, **own},
            models=tuple(_settled(model, own) for model in models),
            inherits=True,
            repeat=product.repeat,
        )

    def _entry(
        self, item: MapNode, product: Grid
    ) -> tuple[Sequence[Model], dict[str, tuple[ScalarNode, Node]]]:
        """Return the models that an entry speaks of, and the values it gives."""
        models = product.models
        nodes: dict[str, tuple[ScalarNode, Node]] = {}
        taken = _names(product)
        for key, name, node in text_keys(item, self.context.problems):
            if name in {"model", "models"}:
                models = tuple({m.alias: m for m in self._chosen(node, product.models)}.values())
            elif name in taken:
                nodes[name] = (key, node)
            elif wrong := _misplaced(name):
                self.context.problems.append(key.problem(wrong))
            else:
                nodes[name] = (key, node)
        return models, nodes


def _misplaced(name: str) -> str | None:
    """Return what is wrong with a name that only this entry knows; None if nothing is."""
    if name in _SECTIONS:
        return f"`{name}` has no place in `include`; write inputs and vars directly"
    if did_you_mean(name, ["models"]):
        return f"unknown key `{name}`; did you mean `models`?"
    return reserved(name)


def _names(product: Grid) -> set[str]:
    return {*product.names, *(name for table in product.tables for name in table.columns)}


def _settled(model: Model, own: Mapping[str, Definition]) -> Model:
    """Return the model as an include sees it: without axes, and without what the entry gives."""
    inputs = {
        name: definition
        for name, definition in model.inputs.items()
        if not isinstance(definition.body, Axis)
        and (name not in own or name in definition.body.names)
    }
    return replace(model, inputs=inputs)
