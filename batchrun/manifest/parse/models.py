"""`models`: what runs, what it is called here, and how its inputs differ from the common ones."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from msgspec import Struct

from batchrun.base.ceilings import MOST_IN_FLIGHT, MOST_REPLICATES
from batchrun.base.text import did_you_mean
from batchrun.base.values import parse_money, spell, up_to
from batchrun.manifest.expressions.expression import Constant, NoValueError
from batchrun.manifest.manifest import Definition, Model, ValueMap
from batchrun.manifest.matching import token
from batchrun.manifest.parse.context import ParseContext
from batchrun.manifest.parse.limits import parse_alias, parse_model_id
from batchrun.manifest.parse.namespace import keys_of, reserved
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode
from batchrun.manifest.yaml.section import REQUIRED, Section, plain_value, text_keys


class ModelReader(Struct, frozen=True):
    """Reads `models`, given what the common names come to."""

    context: ParseContext
    constants: Mapping[str, Any]
    unsent: AbstractSet[str]

    def read(self, root: Section) -> tuple[Model, ...]:
        """Return the models in their order, without wrong ones."""
        node = root.find("models")
        if node is None:
            if not did_you_mean("models", keys_of(root.node)):
                self.context.problems.append(root.node.problem("`models` is missing"))
            return ()
        if not isinstance(node, ListNode) or not node.items:
            self.context.problems.append(
                node.problem("`models` expects a list of model ids such as [google/nano-banana-2]")
            )
            return ()
        models: dict[str, Model] = {}
        for item in node.items:
            model = self._model(item)
            if model is None:
                continue
            if model.alias in models:
                message = f"two models are called `{model.alias}`; give one of them an `alias`"
                self.context.problems.append(item.problem(message))
                continue
            models[model.alias] = model
        return tuple(models.values())

    def _model(self, node: Node) -> Model | None:
        if isinstance(node, ScalarNode):
            return self._short(node)
        if not isinstance(node, MapNode):
            self.context.problems.append(
                node.problem("expected a model id, or a mapping with `id`")
            )
            return None
        section = Section(node, "models", self.context.problems, self.context.environment)
        model_id = section.take("id", parse_model_id, REQUIRED)
        found = type(model_id) is str
        model = Model(
            id=model_id if found else "",
            alias=section.take("alias", parse_alias, model_id.replace("/", "-") if found else ""),
            concurrency=section.take("concurrency", up_to(MOST_IN_FLIGHT), None),
            repeat=section.take("repeat", up_to(MOST_REPLICATES), None),
            price=section.take("price", parse_money, None),
            node=section.find("id"),
            budget=section.take("budget", parse_money, None),
            inputs=self._inputs(section),
            omit=self._omit(section),
            map=self._maps(section),
            rename=self._rename(section),
        )
        section.close()
        return model if found else None

    def _short(self, node: ScalarNode) -> Model | None:
        value = node.value
        try:
            model_id = parse_model_id(
                self.context.environment.expand(value) if type(value) is str else value
            )
        except ValueError as error:
            self.context.problems.append(node.problem(f"`{spell(value)}`: {error}"))
            return None
        return Model(id=model_id, alias=model_id.replace("/", "-"), node=node)

    def _inputs(self, section: Section) -> dict[str, Definition]:
        inner = section.section("inputs", "{seed: 7}")
        if inner is None:
            return {}
        nodes = {
            name: (key, node) for key, name, node in text_keys(inner.node, self.context.problems)
        }
        for name, (key, _) in nodes.items():
            if wrong := reserved(name):
                self.context.problems.append(key.problem(wrong))
        bodies = self.context.bodies(nodes, self.constants)
        return {
            name: Definition(
                name=name, node=nodes[name][0], body=body, sent=name not in self.unsent
            )
            for name, body in bodies.items()
        }

    def _omit(self, section: Section) -> dict[str, Node]:
        names: dict[str, Node] = {}
        for item in section.items("omit", "a list of names such as [seed]"):
            if isinstance(item, ScalarNode) and type(item.value) is str:
                names[item.value] = item
            else:
                self.context.problems.append(item.problem("`omit` expects names"))
        return names

    def _maps(self, section: Section) -> dict[str, ValueMap]:
        inner = section.section("map", "{aspect_ratio: {1:1: square}}")
        maps = {}
        for key, name, node in text_keys(inner.node, self.context.problems) if inner else ():
            if not isinstance(node, MapNode):
                message = (
                    f"`map.{name}` expects common values and this model's such as {{1:1: square}}"
                )
                self.context.problems.append(node.problem(message))
                continue
            maps[name] = ValueMap(node=key, values=dict(self._mapped(node)))
        return maps

    def _mapped(self, node: MapNode) -> Iterator[tuple[Any, Any]]:
        for value, below in node.entries:
            expression = self.context.compiler.value(below)
            if varying := expression.names - self.constants.keys():
                message = f"`${{{min(varying)}}}` varies; the values of a `map` do not"
                self.context.problems.append(below.problem(message))
                expression = Constant(None)  # said once: not that the map has no such value too
            try:
                yield token(value.value), expression.evaluate(self.constants)
            except NoValueError as error:
                self.context.said(error)
                yield token(value.value), None

    def _rename(self, section: Section) -> dict[str, tuple[str, Node]]:
        inner = section.section("rename", "{aspect_ratio: ratio}")
        names: dict[str, tuple[str, Node]] = {}
        for key, name, node in text_keys(inner.node, self.context.problems) if inner else ():
            target = plain_value(node)
            if type(target) is str and target:
                names[name] = (target, key)
            else:
                self.context.problems.append(
                    node.problem(f"`rename.{name}` expects this model's name")
                )
        return names
