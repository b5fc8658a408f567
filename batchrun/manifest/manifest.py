"""The manifest as frozen values: what may be relied on once it has been read. Pure."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, field

from batchrun.errors import Problem
from batchrun.manifest.expressions.expression import Axis, Constant, Expression
from batchrun.manifest.sources import Sources
from batchrun.manifest.yaml.document import Node
from batchrun.settings import Settings, settings_from


class Outputs(Struct, frozen=True, kw_only=True):
    """Where finished files go, and what they are called."""

    directory: Path | None = None  # absolute; None: the default beside the manifest
    name: Expression
    name_node: Node | None = None


class Definition(Struct, frozen=True, kw_only=True):
    """A name and what it is given in one layer of the manifest."""

    name: str
    node: Node
    body: Expression | Axis
    sent: bool = True


class ValueMap(Struct, frozen=True, kw_only=True):
    """Common value -> a model's own."""

    node: Node
    values: Mapping[Any, Any]  # by token: see matching.py


class Model(Struct, frozen=True, kw_only=True):
    """A remote model, its short name here, and how its inputs differ from the common ones."""

    id: str
    alias: str
    concurrency: int | None = None
    repeat: int | None = None
    price: Decimal | None = None  # USD that one run costs at most
    node: Node | None = None  # where its id stands
    budget: Decimal | None = None  # USD that its runs may cost in all
    inputs: Mapping[str, Definition] = field(default_factory=dict)
    omit: Mapping[str, Node] = field(default_factory=dict)
    map: Mapping[str, ValueMap] = field(default_factory=dict)
    rename: Mapping[str, tuple[str, Node]] = field(default_factory=dict)


class RowOrigin(Protocol):
    """Where a row stands; spelled as messages show it, such as `prompts.csv:12`."""

    def problem(self, column: str, message: str) -> Problem | None:
        """Return a problem with the row's value; None where the row has no place for it."""


class ManifestOrigin(Struct, frozen=True):
    """A row of the manifest itself, with the *nodes* of its values."""

    text: str
    nodes: Mapping[str, Node] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text

    def problem(self, column: str, message: str) -> Problem | None:
        node = self.nodes.get(column)
        return None if node is None else node.problem(message)


class Row(Struct, frozen=True):
    """One row of a table: *values* as they are, *dynamic* values that use other names.

    *texts* are fields of a CSV file as they are written, see `data/column_types.py`.
    """

    values: Mapping[str, Any]
    dynamic: Mapping[str, Expression]
    place: RowOrigin
    texts: Mapping[str, str] = field(default_factory=dict)


class Table(Protocol):
    """Columns that advance together: rows, or a zip."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def sent(self) -> AbstractSet[str]: ...

    @property
    def uses(self) -> Mapping[str, frozenset[str]]:
        """The names that a column's values refer to."""

    def __len__(self) -> int: ...

    def rows(self) -> Iterator[Row]:
        """Yield the rows anew; raise ManifestError."""

    def problem(self, column: str, message: str) -> Problem:
        """Return a problem with a whole column."""


class FixedTable(Struct, frozen=True):
    """A table that stands in the manifest itself."""

    node: Node
    columns: tuple[str, ...]
    entries: tuple[Mapping[str, Expression], ...]
    nodes: Mapping[str, Node]
    places: tuple[ManifestOrigin, ...]
    sent: AbstractSet[str]

    @property
    def uses(self) -> Mapping[str, frozenset[str]]:
        return {
            name: frozenset().union(*(row[name].names for row in self.entries if name in row))
            for name in self.columns
        }

    def __len__(self) -> int:
        return len(self.entries)

    def rows(self) -> Iterator[Row]:
        for entry, place in zip(self.entries, self.places, strict=True):
            fixed = {n: e.value for n, e in entry.items() if isinstance(e, Constant)}
            dynamic = {n: e for n, e in entry.items() if not isinstance(e, Constant)}
            yield Row(fixed, dynamic, place)

    def problem(self, column: str, message: str) -> Problem:
        return self.nodes[column].problem(message)


class Rule(Struct, frozen=True):
    """One element of `exclude`: every name must have one of its values."""

    node: Node
    names: Mapping[str, frozenset[Any]]  # name -> tokens
    models: frozenset[str] | None = None  # aliases and ids


class Sample(Struct, frozen=True):
    n: int
    seed: int = 1


class Grid(Struct, frozen=True, kw_only=True, eq=False):
    """A product of tables and axes for some models: the manifest's own, or one `include`."""

    node: Node
    tables: tuple[Table, ...] = ()
    names: Mapping[str, Definition] = field(default_factory=dict)  # inputs and vars, as written
    models: tuple[Model, ...] = ()
    inherits: bool = False  # an include: axes of the product are not there
    exclude: tuple[Rule, ...] = ()
    sample: Sample | None = None
    repeat: int = 1


class Head(Struct, frozen=True, kw_only=True):
    """The place of a sweep, as its manifest says it."""

    path: Path
    name: str
    endpoint: str | None = None
    directory: Path | None = None


class Manifest(Struct, frozen=True, kw_only=True, eq=False):
    """A manifest that has been read and found right.

    *redone* are replicates beyond `repeat` that marks in the ledger made, by the key of the first
    replicate of their point: the keys of what is made, and the numbers. *notes* are no mistakes,
    but worth a look: what the manifest may not mean as it says it. *sent_as* are the types that
    models take, by their ids and inputs, as far as their descriptions say (`grid/sent_as.py`).
    """

    path: Path
    text: bytes
    sha256: str
    name: str
    models: tuple[Model, ...]
    chosen: Mapping[str, Any] = field(default_factory=dict)  # by the fields of Settings
    outputs: Outputs
    endpoint: str | None = None
    metadata: Mapping[str, Expression] = field(default_factory=dict)
    grids: tuple[Grid, ...] = ()
    sources: Sources = field(default_factory=Sources)
    redone: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[Problem, ...] = ()
    sent_as: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        return Head(
            path=self.path,
            name=self.name,
            endpoint=self.endpoint,
            directory=self.outputs.directory,
        )

    def settings(self) -> Settings:
        """Return what the manifest asks for; the command line replaces fields of it."""
        models = self.models
        return settings_from(
            self.chosen,
            model_concurrency={m.alias: m.concurrency for m in models if m.concurrency is not None},
            model_prices={m.alias: m.price for m in models if m.price is not None},
            model_budgets={m.alias: m.budget for m in models if m.budget is not None},
        )
