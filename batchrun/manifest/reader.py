"""Sections -> the frozen Manifest. Every problem is collected; nothing here raises."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from batchrun.errors import Problem
from batchrun.manifest.compiler import OF_THE_CELL, REPLICATE, Compiler
from batchrun.manifest.datafile import DataFile, RowOptions
from batchrun.manifest.document import ListNode, MapNode, Node, ScalarNode
from batchrun.manifest.expressions import (
    Axis,
    Broken,
    Expression,
    NoValueError,
    Text,
)
from batchrun.manifest.manifest import (
    Definition,
    FixedTable,
    Grid,
    Manifest,
    Model,
    Outputs,
    Rule,
    Table,
    ValueMap,
)
from batchrun.manifest.matching import token
from batchrun.manifest.names import check_model, conflicts, keys_of, reserved
from batchrun.manifest.naming import DEFAULT_NAME
from batchrun.manifest.section import (
    REQUIRED,
    Environment,
    Section,
    plain_value,
    text_keys,
    text_of,
)
from batchrun.manifest.settings import (
    parse_alias,
    parse_endpoint,
    parse_model_id,
    parse_name,
    read_limits,
    read_outputs,
    read_poll_interval,
    read_sample,
)
from batchrun.manifest.sources import LocalDisk
from batchrun.manifest.tables import Beside, FileTable
from batchrun.manifest.template import split
from batchrun.manifest.values import did_you_mean, parse_count, spell

_MISPLACED = ("inputs", "vars", "zip", "rows", "exclude", "include", "repeat", "sample", "omit")


class Reader:
    """Reads one manifest; the order of its methods is the order in which things become known."""

    def __init__(
        self, root: MapNode, path: Path, environment: Environment, problems: list[Problem]
    ) -> None:
        self.path = path
        self.problems = problems
        self.root = Section(root, "", problems, environment)
        self.environment = environment
        self.disk = LocalDisk(path.absolute().parent)
        self.known: set[str] = set()
        self.compiler = Compiler(problems, environment, self.disk, self.known)

    def read(self, data: bytes) -> Manifest:
        root = self.root
        name = root.take("name", parse_name, self._stem())
        limits, interval = read_limits(root), read_poll_interval(root)
        endpoint = root.take("endpoint", parse_endpoint, None)
        repeat = root.take("repeat", parse_count, 1)
        sample = read_sample(root)
        files = [*self._data_files()]
        self._know(files)
        definitions, kinds = self._definitions()
        tables = self._tables(files)
        self.problems += conflicts(definitions, kinds, tables)
        models = self._models(definitions, {name for _, t in tables for name in t.columns})
        product = Grid(
            node=self._node("inputs"),
            tables=tuple(table for _, table in tables),
            names=definitions,
            models=models,
            exclude=self._exclude(models),
            sample=sample,
            repeat=repeat,
        )
        for model in models:
            self.problems += check_model(model, product, self._not_sent(product))
        grids = (product, *self._includes(product))
        outputs, metadata = self._outputs(), self._metadata()
        root.close()
        return Manifest(
            path=self.path,
            text=data,
            sha256=hashlib.sha256(data).hexdigest(),
            name=name,
            models=models,
            limits=limits,
            poll_interval=interval,
            outputs=outputs,
            endpoint=endpoint,
            metadata=metadata,
            grids=grids,
        )

    def _stem(self) -> str:
        return self.path.stem.strip(" .").lstrip("@-") or "manifest"

    def _node(self, key: str) -> Node:
        return self.root.find(key) or self.root.node

    # names

    def _know(self, files: Sequence[tuple[DataFile | Node, Node]]) -> None:
        for key in ("inputs", "vars"):
            self.known.update(keys_of(self.root.find(key)))
        for node in self._groups("zip"):
            self.known.update(keys_of(node))
        for data, _ in files:
            self.known.update(data.columns if isinstance(data, DataFile) else keys_of(data))
        for node in (*_items(self.root.find("models")), *_items(self.root.find("include"))):
            if isinstance(node, MapNode):
                inner = {text_of(key): value for key, value in node.entries}
                self.known.update(keys_of(inner.get("inputs")) if "id" in inner else inner)
        self.known -= {"models", *OF_THE_CELL, REPLICATE}

    def _groups(self, key: str) -> Sequence[Node]:
        """Return the independent axes of `zip` or `rows`: one, or those under `all`."""
        node = self.root.find(key)
        if isinstance(node, MapNode) and len(node.entries) == 1:
            name, below = node.entries[0]
            if name.text == "all" and isinstance(below, ListNode) and below.items:
                whole = key == "rows" or all(isinstance(item, MapNode) for item in below.items)
                return below.items if whole else (node,)
        return () if node is None else (node,)

    def _definitions(self) -> tuple[dict[str, Definition], dict[str, str]]:
        """Compile inputs and vars, in the order in which they are written."""
        nodes: dict[str, tuple[ScalarNode, Node]] = {}
        kinds: dict[str, str] = {}
        sections = [
            text_of(k) for k, _ in self.root.node.entries if text_of(k) in {"inputs", "vars"}
        ]
        for kind in sections:
            if (section := self.root.section(kind)) is None:
                continue
            for key, name, node in text_keys(section.node, self.problems):
                if name in nodes:
                    message = f"`{name}` is also in `{kinds[name]}`; keep one of them"
                    self.problems.append(key.problem(message))
                    continue
                nodes[name], kinds[name] = (key, node), kind
        self.root.find("inputs")
        self.root.find("vars")
        bodies = self._bodies(nodes, {})
        return {
            name: Definition(
                name=name, node=nodes[name][0], body=body, sent=kinds[name] == "inputs"
            )
            for name, body in bodies.items()
        }, kinds

    def _bodies(
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

    # rows and zip

    def _data_files(self) -> Iterator[tuple[DataFile | Node, Node]]:
        for node in self._groups("rows"):
            if isinstance(node, ListNode):
                yield node, node
                continue
            section = (
                Section(node, "rows", self.problems, self.environment)
                if isinstance(node, MapNode)
                else None
            )
            written = section.find("file") if section else node
            options = self._row_options(section) if section else RowOptions()
            if section and written is None:
                message = "`rows` expects a file name, `file:`, `all:` or a list of mappings"
                self.problems.append(node.problem(message))
            elif (data := self._data_file(written or node, options)) is not None:
                yield data, written or node

    def _row_options(self, section: Section) -> RowOptions:
        names = {
            key: section.take(key, _names, None) for key in ("send", "template", "text", "files")
        }
        section.close()
        send = names.pop("send")
        return RowOptions(send=send, **{key: value or frozenset() for key, value in names.items()})

    def _data_file(self, node: Node, options: RowOptions) -> DataFile | None:
        value = plain_value(node)
        try:
            if type(value) is not str or not value:
                raise ValueError("`rows` expects a file name or a list of mappings")  # noqa: TRY301 one way out
            written = self.environment.expand(value)
            if PurePosixPath(written).suffix.lower() not in {".csv", ".jsonl", ".ndjson"}:
                raise ValueError(f"`{written}`: rows come from a .csv or a .jsonl file")  # noqa: TRY301 one way out
        except ValueError as error:
            self.problems.append(node.problem(str(error)))
            return None
        shown = str(self.path.parent / written)
        data = DataFile(self.disk.base / Path(written).expanduser(), shown, written, options)
        data.scan(node, self.problems)
        return data if data.columns else None

    def _tables(self, files: Sequence[tuple[DataFile | Node, Node]]) -> list[tuple[str, Table]]:
        tables: list[tuple[str, Table | None]] = []
        for data, node in files:
            table = (
                self._file_table(data, node) if isinstance(data, DataFile) else self._inline(node)
            )
            tables.append(("rows", table))
        tables += [("zip", self._zip(node)) for node in self._groups("zip")]
        return [(kind, table) for kind, table in tables if table is not None]

    def _file_table(self, data: DataFile, node: Node) -> Table:
        for key in ("send", "template", "text", "files"):
            for name in sorted(getattr(data.options, key) or ()):
                if name not in data.columns:
                    hint = did_you_mean(name, data.columns)
                    self.problems.append(
                        node.problem(f"`rows.{key}`: no column `{name}` in {data.written}{hint}")
                    )
        beside = Beside(self.disk, PurePosixPath(data.relative).parent)
        table = FileTable(node, data, self.compiler, beside)
        self.problems += table.check()
        return table

    def _inline(self, node: Node) -> Table | None:
        entries: list[dict[str, Expression]] = []
        keys: dict[str, Node] = {}
        places = []
        for item in _items(node):
            if not isinstance(item, MapNode):
                self.problems.append(item.problem("a row is a mapping of names to values"))
                continue
            pairs = list(text_keys(item, self.problems))
            entries.append({name: self.compiler.value(below) for _, name, below in pairs})
            places.append(f"{self.path}:{item.line}")
            for key, name, _ in pairs:
                keys.setdefault(name, key)
        if not entries:
            self.problems.append(node.problem("`rows` needs at least one row"))
            return None
        columns = tuple(keys)
        return FixedTable(node, columns, tuple(entries), keys, tuple(places), frozenset(columns))

    def _zip(self, node: Node) -> Table | None:
        columns: dict[str, tuple[Node, list[Expression]]] = {}
        if not isinstance(node, MapNode) or not node.entries:
            self.problems.append(node.problem("`zip` expects columns, each a list of values"))
            return None
        for key, name, below in text_keys(node, self.problems):
            if not isinstance(below, ListNode):
                self.problems.append(below.problem(f"`zip.{name}` expects a list of values"))
                continue
            body = self.compiler.entry(below, {})
            assert isinstance(body, Axis)
            columns[name] = (key, list(body))
        lengths = {name: len(values) for name, (_, values) in columns.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} {count}" for name, count in lengths.items())
            message = f"the columns of a `zip` are of unequal length: {counts}"
            self.problems.append(node.problem(message))
            return None
        rows = [
            dict(zip(columns, row, strict=True))
            for row in zip(*(v for _, v in columns.values()), strict=True)
        ]
        keys = {name: key for name, (key, _) in columns.items()}
        places = (f"{self.path}:{node.line}",) * len(rows)
        return (
            FixedTable(node, tuple(columns), tuple(rows), keys, places, frozenset(columns))
            if rows
            else None
        )

    # models

    def _models(
        self, definitions: Mapping[str, Definition], columns: set[str]
    ) -> tuple[Model, ...]:
        node = self.root.find("models")
        if node is None:
            self.problems.append(self.root.node.problem("`models` is missing"))
            return ()
        if not isinstance(node, ListNode) or not node.items:
            self.problems.append(node.problem("`models` expects a list of model ids"))
            return ()
        common = {n: d.body for n, d in definitions.items() if n not in columns}
        constants = constants_of(common, {})
        models: dict[str, Model] = {}
        for item in node.items:
            model = self._model(item, constants)
            if model is None:
                continue
            if model.alias in models:
                message = f"two models are called `{model.alias}`; give one of them an `alias`"
                self.problems.append(item.problem(message))
                continue
            models[model.alias] = model
        return tuple(models.values())

    def _model(self, node: Node, constants: Mapping[str, Any]) -> Model | None:
        if isinstance(node, ScalarNode):
            try:
                model_id = parse_model_id(
                    self.environment.expand(node.value) if type(node.value) is str else node.value
                )
            except ValueError as error:
                self.problems.append(node.problem(f"`{spell(node.value)}`: {error}"))
                return None
            return Model(id=model_id, alias=model_id.replace("/", "-"))
        if not isinstance(node, MapNode):
            self.problems.append(node.problem("expected a model id, or a mapping with `id`"))
            return None
        section = Section(node, "models", self.problems, self.environment)
        model_id = section.take("id", parse_model_id, REQUIRED)
        found = type(model_id) is str
        model = Model(
            id=model_id if found else "",
            alias=section.take("alias", parse_alias, model_id.replace("/", "-") if found else ""),
            concurrency=section.take("concurrency", parse_count, None),
            repeat=section.take("repeat", parse_count, None),
            inputs=self._model_inputs(section, constants),
            omit=self._omit(section),
            map=self._maps(section, constants),
            rename=self._rename(section),
        )
        section.close()
        return model if found else None

    def _model_inputs(
        self, section: Section, constants: Mapping[str, Any]
    ) -> dict[str, Definition]:
        inner = section.section("inputs")
        if inner is None:
            return {}
        nodes = {name: (key, node) for key, name, node in text_keys(inner.node, self.problems)}
        for name, (key, _) in nodes.items():
            if wrong := reserved(name):
                self.problems.append(key.problem(wrong))
        bodies = self._bodies(nodes, constants)
        unsent = self._unsent_names()
        return {
            name: Definition(name=name, node=nodes[name][0], body=body, sent=name not in unsent)
            for name, body in bodies.items()
        }

    def _unsent_names(self) -> set[str]:
        return set(keys_of(self.root.find("vars")))

    def _omit(self, section: Section) -> dict[str, Node]:
        names: dict[str, Node] = {}
        for item in section.items("omit", "a list of names"):
            if isinstance(item, ScalarNode) and type(item.value) is str:
                names[item.value] = item
            else:
                self.problems.append(item.problem("`omit` expects names"))
        return names

    def _maps(self, section: Section, constants: Mapping[str, Any]) -> dict[str, ValueMap]:
        inner = section.section("map")
        maps = {}
        for key, name, node in text_keys(inner.node, self.problems) if inner else ():
            if not isinstance(node, MapNode):
                message = f"`map.{name}` expects common value: this model's value"
                self.problems.append(node.problem(message))
                continue
            values = {}
            for value, below in node.entries:
                try:
                    values[token(value.value)] = self.compiler.value(below).evaluate(constants)
                except KeyError as error:
                    message = f"`${{{error.args[0]}}}` varies; a map's values don't"
                    self.problems.append(below.problem(message))
                except NoValueError as error:
                    self.problems += [error.problem] if error.problem else []
            maps[name] = ValueMap(node=key, values=values)
        return maps

    def _rename(self, section: Section) -> dict[str, tuple[str, Node]]:
        inner = section.section("rename")
        names: dict[str, tuple[str, Node]] = {}
        for key, name, node in text_keys(inner.node, self.problems) if inner else ():
            target = plain_value(node)
            if type(target) is str and target:
                names[name] = (target, key)
            else:
                self.problems.append(node.problem(f"`rename.{name}` expects this model's name"))
        return names

    # exclude and include

    def _not_sent(self, grid: Grid) -> set[str]:
        unsent = {name for name, definition in grid.names.items() if not definition.sent}
        for table in grid.tables:
            unsent |= set(table.columns) - table.sent - grid.names.keys()
        return unsent

    def _exclude(self, models: Sequence[Model]) -> tuple[Rule, ...]:
        rules = []
        for item in self.root.items("exclude", "a list of mappings"):
            if not isinstance(item, MapNode) or not item.entries:
                message = "an element of `exclude` is a mapping of names to values"
                self.problems.append(item.problem(message))
                continue
            names: dict[str, frozenset[Any]] = {}
            chosen: frozenset[str] | None = None
            for key, name, node in text_keys(item, self.problems):
                if name == "model":
                    chosen = frozenset(model.alias for model in self._chosen(node, models))
                elif name not in self.known:
                    hint = did_you_mean(name, [*self.known, "model"])
                    message = f"`exclude`: no input, var or column is called `{name}`{hint}"
                    self.problems.append(key.problem(message))
                else:
                    names[name] = frozenset(self._wanted(node))
            rules.append(Rule(item, names, chosen))
        return tuple(rules)

    def _wanted(self, node: Node) -> Iterator[Any]:
        for item in node.items if isinstance(node, ListNode) else (node,):
            expression = self.compiler.value(item)
            try:
                yield token(expression.evaluate({}))
            except KeyError as error:
                message = f"`${{{error.args[0]}}}`: `exclude` takes values, not references"
                self.problems.append(item.problem(message))
            except NoValueError as error:
                self.problems += [error.problem] if error.problem else []

    def _chosen(self, node: Node, models: Sequence[Model]) -> Iterator[Model]:
        words = {word for model in models for word in (model.alias, model.id)}
        for item in node.items if isinstance(node, ListNode) else (node,):
            wanted = plain_value(item)
            found = [model for model in models if wanted in {model.alias, model.id}]
            if not found:
                hint = did_you_mean(str(wanted), words)
                self.problems.append(item.problem(f"no model `{spell(wanted)}`{hint}"))
            yield from found

    def _includes(self, product: Grid) -> Iterator[Grid]:
        for item in self.root.items("include", "a list of mappings"):
            if not isinstance(item, MapNode):
                self.problems.append(item.problem("an element of `include` is a mapping"))
                continue
            yield self._include(item, product)

    def _include(self, item: MapNode, product: Grid) -> Grid:
        unsent = self._not_sent(product)
        models = product.models
        nodes: dict[str, tuple[ScalarNode, Node]] = {}
        for key, name, node in text_keys(item, self.problems):
            wrong = reserved(name)
            if name in {"model", "models"}:
                models = tuple({m.alias: m for m in self._chosen(node, product.models)}.values())
            elif name in _MISPLACED and name not in self._input_names(product):
                message = f"`{name}` has no place in `include`; write inputs and vars directly"
                self.problems.append(key.problem(message))
            elif wrong or did_you_mean(name, ["models"]):
                self.problems.append(
                    key.problem(wrong or f"unknown key `{name}`; did you mean `models`?")
                )
            else:
                nodes[name] = (key, node)
        inherited = {n: d for n, d in product.names.items() if not isinstance(d.body, Axis)}
        constants = constants_of({n: d.body for n, d in inherited.items() if n not in nodes}, {})
        own = {
            name: Definition(name=name, node=nodes[name][0], body=body, sent=name not in unsent)
            for name, body in self._bodies(nodes, constants).items()
        }
        return Grid(
            node=item,
            names={**inherited, **own},
            models=tuple(_settled(model, own) for model in models),
            inherits=True,
            repeat=product.repeat,
        )

    def _input_names(self, product: Grid) -> set[str]:
        return {*product.names, *(name for table in product.tables for name in table.columns)}

    # outputs and metadata

    def _naming(self) -> Compiler:
        own = (REPLICATE, *OF_THE_CELL)
        return Compiler(self.problems, self.environment, self.disk, self.known, own)

    def _outputs(self) -> Outputs:
        folder, download, section = read_outputs(self.root, self.disk.base)
        node = section.find("name") if section else None
        if section is not None:
            section.close()
        default = Text(tuple(split(DEFAULT_NAME)), self.root.node)
        if node is None:
            return Outputs(directory=folder, download=download, name=default)
        if not isinstance(node, ScalarNode) or type(node.value) is not str or not node.value:
            self.problems.append(
                node.problem("`outputs.name` expects text such as ${alias}/${cell}")
            )
            return Outputs(directory=folder, download=download, name=default)
        name = self._naming().value(node)
        if isinstance(name, Broken):
            name = default
        return Outputs(directory=folder, download=download, name=name, name_node=node)

    def _metadata(self) -> dict[str, Expression]:
        section = self.root.section("metadata")
        if section is None:
            return {}
        compiler = self._naming()
        values = {}
        for key, name, node in text_keys(section.node, self.problems):
            if name == "batchrun":
                self.problems.append(key.problem("`metadata.batchrun` is batchrun's own"))
            values[name] = compiler.value(node)
        return values


def constants_of(
    bodies: Mapping[str, Expression | Axis], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of all names that do not vary."""
    found = {n: v for n, v in known.items() if n not in bodies}
    changed = True
    while changed:
        changed = False
        for name, body in bodies.items():
            if name in found or isinstance(body, Axis | Broken) or body.names - found.keys():
                continue
            try:
                found[name] = body.evaluate(found)
                changed = True
            except NoValueError:
                continue
    return found


def _settled(model: Model, own: Mapping[str, Definition]) -> Model:
    """Return the model as an include sees it: without axes, and without what the entry gives."""
    inputs = {
        name: definition
        for name, definition in model.inputs.items()
        if not isinstance(definition.body, Axis)
        and (name not in own or name in definition.body.names)
    }
    return Model(
        id=model.id,
        alias=model.alias,
        concurrency=model.concurrency,
        repeat=model.repeat,
        inputs=inputs,
        omit=model.omit,
        map=model.map,
        rename=model.rename,
    )


def _items(node: Node | None) -> Sequence[Node]:
    return node.items if isinstance(node, ListNode) else ()


def _is_axis(node: Node) -> bool:
    if isinstance(node, MapNode) and len(node.entries) == 1:
        return node.entries[0][0].text in {"$range", "$glob", "$lines"}
    return isinstance(node, ListNode)


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(type(name) is str for name in value):
        raise ValueError("expected a list of column names")
    return frozenset(value)
