"""Sections -> the frozen Manifest. Every problem is collected; nothing here raises."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from batchrun.base.ceilings import MOST_REPLICATES
from batchrun.base.endpoint import parse_endpoint
from batchrun.base.values import up_to
from batchrun.errors import Problem
from batchrun.manifest.data.left_out import notes
from batchrun.manifest.data.local_files import LocalDisk, Looking
from batchrun.manifest.data.sheets import Sheets
from batchrun.manifest.expressions.compiler import OF_THE_CELL, REPLICATE, Compiler
from batchrun.manifest.expressions.expression import Broken, Expression, Text
from batchrun.manifest.expressions.template import split
from batchrun.manifest.file_names import DEFAULT_NAME, leaves
from batchrun.manifest.manifest import Definition, Grid, Head, Manifest, Outputs
from batchrun.manifest.parse.context import ParseContext, constants_of, items_of
from batchrun.manifest.parse.limits import (
    parse_name,
    read_outputs,
    read_sample,
    read_settings,
)
from batchrun.manifest.parse.models import ModelReader
from batchrun.manifest.parse.namespace import (
    KnownNames,
    check_model,
    conflicts,
    keys_of,
    not_sent,
)
from batchrun.manifest.parse.rows import DataReader
from batchrun.manifest.parse.rules import RuleReader
from batchrun.manifest.sources import Sources
from batchrun.manifest.yaml.document import MapNode, Node, ScalarNode, raise_if
from batchrun.manifest.yaml.section import Environment, Section, text_keys, text_of

_FORMS: Final = {"inputs": "{prompt: a red chair}", "vars": "{color: [red, blue]}"}


def read_head(root: MapNode, path: Path, environ: Mapping[str, str]) -> Head | None:
    """Return where the sweep is said to be, and read no more; None where that has problems."""
    problems: list[Problem] = []
    section = Section(root, "", problems, Environment(environ))
    head = Head(
        path=path,
        name=section.take("name", parse_name, name_of(path)),
        endpoint=section.take("endpoint", parse_endpoint, None),
        directory=read_outputs(section, path.absolute().parent.resolve())[0],
    )
    return None if problems else head


def read_limits(root: MapNode, path: Path) -> dict[str, Any]:
    """Return the settings that are given, by the fields of Settings; read no more."""
    section = Section(root, "", [], Environment({}))
    return read_settings(section) | read_outputs(section, path.absolute().parent.resolve())[1]


def name_of(path: Path) -> str:
    """Return the name of a sweep whose manifest at *path* gives none, in whatever locale."""
    stem = os.fsencode(path.stem).decode("utf-8", "surrogateescape")
    return stem.strip(" .").lstrip("@-") or "manifest"


class Reader:
    """Reads one manifest; the order of its methods is the order in which things become known."""

    def __init__(
        self,
        root: MapNode,
        path: Path,
        environ: Mapping[str, str],
        problems: list[Problem],
        noted: list[Problem],
        looking: Looking | None = None,
    ) -> None:
        self.sources = Sources()
        environment = Environment(environ, self.sources.variables)
        disk = LocalDisk(path.absolute().parent.resolve(), self.sources, looking)
        known = KnownNames()
        compiler = Compiler(problems, environment, disk, known, notes=noted)
        self.context = ParseContext(path, problems, noted, environment, disk, known, compiler)
        self.root = Section(root, "", problems, environment)
        self.data = DataReader(self.context, self.root)
        self.choices = RuleReader(self.context, self.root)

    def read(self, data: bytes) -> Manifest:
        """Return the manifest; where there are problems, it is only good to find more."""
        root = self.root
        name = root.take("name", parse_name, name_of(self.context.path))
        chosen = read_settings(root)
        endpoint = root.take("endpoint", parse_endpoint, None)
        product = self._product()
        includes = tuple(self.choices.includes(product))
        grids = (_without_empty(product) if includes else product, *includes)
        (outputs, saving), metadata = self._outputs(), self._metadata()
        root.close()
        if self.context.known.open:  # what is wrong with its cells can't be known, either
            raise_if(self.context.problems)
        self._note_globs()
        return Manifest(
            path=self.context.path,
            text=data,
            sha256=hashlib.sha256(data).hexdigest(),
            name=name,
            models=product.models,
            chosen=chosen | saving,
            outputs=outputs,
            endpoint=endpoint,
            metadata=metadata,
            grids=grids,
            sources=self.sources,
        )

    def _note_globs(self) -> None:
        found = self.context.disk.found
        for node, pattern in self.context.compiler.globs:
            if pattern in found:
                said = notes(pattern, found[pattern], found.values())
                self.context.notes.extend(node.problem(each) for each in said)

    def _product(self) -> Grid:
        files = self.data.files()
        self._know(files)
        definitions, kinds = self._definitions()
        tables = self.data.tables(files)
        self.context.problems.extend(conflicts(definitions, kinds, tables))
        bare = Grid(
            node=self.root.find("inputs") or self.root.node,
            tables=tuple(table for _, table in tables),
            names=definitions,
        )
        unsent = not_sent(bare)
        columns = {name for table in bare.tables for name in table.columns}
        common = {name: d.body for name, d in definitions.items() if name not in columns}
        constants = constants_of(common, {})
        models = ModelReader(self.context, constants, unsent).read(self.root)
        product = replace(
            bare,
            models=models,
            exclude=self.choices.exclude(models, constants),
            sample=read_sample(self.root),
            repeat=self.root.take("repeat", up_to(MOST_REPLICATES), 1),
        )
        for model in () if self.context.known.open else models:
            self.context.problems.extend(check_model(model, product, unsent))
        return product

    def _know(self, files: Sequence[tuple[Sheets | Node, Node] | None]) -> None:
        for key in ("inputs", "vars"):
            self.context.known.update(keys_of(self.root.find(key)))
        for node in self.data.groups("zip"):
            self.context.known.update(keys_of(node))
        self.context.known.open = None in files
        for data, _ in filter(None, files):
            self.context.known.update(data.columns if isinstance(data, Sheets) else keys_of(data))
        for node in (*items_of(self.root.find("models")), *items_of(self.root.find("include"))):
            if isinstance(node, MapNode):
                inner = {text_of(key): value for key, value in node.entries}
                self.context.known.update(keys_of(inner.get("inputs")) if "id" in inner else inner)
        self.context.known.difference_update({"models", *OF_THE_CELL, REPLICATE})

    def _definitions(self) -> tuple[dict[str, Definition], dict[str, str]]:
        """Compile inputs and vars, in the order in which they are written."""
        nodes: dict[str, tuple[ScalarNode, Node]] = {}
        kinds: dict[str, str] = {}
        sections = [text_of(k) for k, _ in self.root.node.entries if text_of(k) in _FORMS]
        for kind in sections:
            if (section := self.root.section(kind, _FORMS[kind])) is None:
                continue
            for key, name, node in text_keys(section.node, self.context.problems):
                if name in nodes:
                    message = f"`{name}` is also in `{kinds[name]}`; keep one of them"
                    self.context.problems.append(key.problem(message))
                    continue
                nodes[name], kinds[name] = (key, node), kind
        self.root.find("inputs")
        self.root.find("vars")
        bodies = self.context.bodies(nodes, {})
        return {
            name: Definition(
                name=name, node=nodes[name][0], body=body, sent=kinds[name] == "inputs"
            )
            for name, body in bodies.items()
        }, kinds

    def _naming(self) -> Compiler:
        own = (REPLICATE, *OF_THE_CELL)
        return Compiler(
            self.context.problems,
            self.context.environment,
            self.context.disk,
            self.context.known,
            own,
        )

    def _outputs(self) -> tuple[Outputs, dict[str, Any]]:
        """Return where files go and what they are called, and the settings that stand there."""
        folder, chosen, section = read_outputs(self.root, self.context.disk.base)
        node = section.find("name") if section else None
        if section is not None:
            section.close()
        default = Text(tuple(split(DEFAULT_NAME)), self.root.node)
        if node is None:
            return Outputs(directory=folder, name=default), chosen
        if not isinstance(node, ScalarNode) or type(node.value) is not str or not node.value:
            self.context.problems.append(
                node.problem("`outputs.name` expects text such as ${alias}/${cell}")
            )
            return Outputs(directory=folder, name=default), chosen
        name = self._naming().value(node)
        if isinstance(name, Broken):
            name = default
        elif leaves(node.value):
            self.context.problems.append(
                node.problem(
                    "`outputs.name` leaves the sweep's folder; `outputs.dir` says where it is"
                )
            )
        return Outputs(directory=folder, name=name, name_node=node), chosen

    def _metadata(self) -> dict[str, Expression]:
        section = self.root.section("metadata", "{project: spring}")
        if section is None:
            return {}
        compiler = self._naming()
        values = {}
        for key, name, node in text_keys(section.node, self.context.problems):
            if name == "batchrun":
                self.context.problems.append(key.problem("`metadata.batchrun` is batchrun's own"))
            values[name] = compiler.value(node)
        return values


def _without_empty(product: Grid) -> Grid:
    """Return *product* without its point where that sends nothing: its includes are all it has.

    Without an include that point is one: there are models that take no input.
    """
    sends = (
        any(definition.sent for definition in product.names.values())
        or any(table.sent for table in product.tables)
        or any(model.inputs for model in product.models)
    )
    return product if sends else replace(product, models=())
