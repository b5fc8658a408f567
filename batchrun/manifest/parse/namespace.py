"""Which names a manifest knows, and which of its parts may share one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from batchrun.base.text import did_you_mean, nearest
from batchrun.base.values import spell
from batchrun.errors import Problem
from batchrun.manifest.expressions.compiler import OF_THE_CELL, REPLICATE
from batchrun.manifest.expressions.expression import Axis
from batchrun.manifest.manifest import Definition, Grid, Model, Table
from batchrun.manifest.yaml.document import ListNode, MapNode, Node
from batchrun.manifest.yaml.section import text_of

RESERVED = frozenset({REPLICATE, *OF_THE_CELL})


class KnownNames(set[str]):
    """Every name that a manifest gives a value; once *open*, each name may be one of them.

    So it is where the columns of a data file can't be read. Each use of one would be said to be a
    mistake, and the only real one would stand among them.
    """

    open = False

    def __contains__(self, name: object) -> bool:
        return self.open or super().__contains__(name)

    def __or__(self, others: AbstractSet[str]) -> "KnownNames":  # type: ignore[override]  # of one type
        both = KnownNames(super().__or__(others))
        both.open = self.open
        return both


def keys_of(node: Node | None) -> Iterator[str]:
    """Yield the keys of a mapping, and of the mappings in a list."""
    if isinstance(node, MapNode):
        yield from (text_of(key) for key, _ in node.entries)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from keys_of(item)


def reserved(name: str) -> str | None:
    """Return what is wrong with a name; None if nothing is."""
    if name in RESERVED:
        return f"`{name}` is a word of batchrun's own; take another name, and `rename` it"
    if name.startswith(("env:", "$", "\0")) or not name:
        return f"`{name}` cannot be a name"
    return None


def _sent_by_our_word(name: str) -> str:
    """Return what is wrong with a column that is sent; one that isn't sent has no name at all."""
    return (
        f"{reserved(name)}; of a data file, `send` names the columns to send: "
        "{file: FILE, send: [prompt]}"
    )


def unknown_model(word: str, models: Sequence[Model]) -> str:
    """Return what is wrong with *word*, which is no model's alias or id.

    Few type the whole of a long id: a word that is nearly a part of it is a near miss, too.
    """
    of = {part: model.alias for model in models for part in model.id.split("/")}
    of |= {name: name for model in models for name in (model.id, model.alias)}
    near = nearest(word, of)
    hint = f"; did you mean `{of[near]}`?" if near else ""
    return f"no model `{spell(word)}`{hint}"


def conflicts(  # noqa: C901  (one rule a branch)
    definitions: Mapping[str, Definition],
    kinds: Mapping[str, str],
    tables: Sequence[tuple[str, Table]],
) -> Iterator[Problem]:
    """Yield a problem for each name that occurs in two places where it may not."""
    seen: dict[str, str] = {}
    for name, definition in definitions.items():
        if wrong := reserved(name):
            yield definition.node.problem(wrong)
    for kind, table in tables:
        for name in table.columns:
            found = definitions.get(name)
            if reserved(name):
                yield table.problem(name, _sent_by_our_word(name))
            elif name in seen:
                yield table.problem(name, f"`{name}` is also a column in `{seen[name]}`")
            elif found is not None and kinds[name] == "vars" and not _fills(found, name, table):
                yield table.problem(name, f"`{name}` is also in `vars`; keep one of them")
            elif found is not None and kind == "zip":
                yield table.problem(name, f"`{name}` is also in `inputs`; keep one of them")
            elif found is not None and kinds[name] != "vars" and name not in table.sent:
                yield table.problem(name, _in_the_inputs_place(name))
            elif found is not None and isinstance(found.body, Axis):
                message = f"`{name}` is also an axis in `inputs`, which no column can override"
                yield table.problem(name, message)
            seen.setdefault(name, kind)


def _in_the_inputs_place(name: str) -> str:
    """Return what is wrong with a column that isn't sent, but would fill the input of its name."""
    return (
        f"`{name}` is not in `send`, and also in `inputs`; name it in `send` to send the values of "
        "the sheet, which keeps the keys of earlier sweeps, or rename the column"
    )


def _fills(var: Definition, name: str, table: Table) -> bool:
    """Say whether a var fills the empty fields of a column: as an input does, of one not sent."""
    return name not in table.sent and not isinstance(var.body, Axis)


def not_sent(grid: Grid) -> set[str]:
    """Return the names that serve templates, rules and tables only."""
    unsent = {name for name, definition in grid.names.items() if not definition.sent}
    for table in grid.tables:
        unsent |= set(table.columns) - table.sent - grid.names.keys()
    return unsent


def check_model(model: Model, grid: Grid, not_sent: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each setting of a model that speaks of an input it hasn't got."""
    inputs = _inputs(model, grid)
    unsent = set(not_sent)
    settings: list[tuple[str, str, Node]] = [
        *(("omit", name, node) for name, node in model.omit.items()),
        *(("map", name, mapping.node) for name, mapping in model.map.items()),
        *(("rename", name, node) for name, (_, node) in model.rename.items()),
    ]
    for setting, name, node in settings:
        if name in unsent:
            yield node.problem(f"`{setting}`: `{name}` is not sent to any model")
        elif name not in inputs:
            hint = did_you_mean(name, inputs)
            yield node.problem(f"`{setting}`: there is no input `{name}`{hint}")
        elif setting != "omit" and name in model.omit:
            yield node.problem(f"`{setting}`: `{name}` is also in `omit`")
    yield from _arrivals(model, inputs)


def _inputs(model: Model, grid: Grid) -> dict[str, None]:
    names = dict.fromkeys(name for name, d in grid.names.items() if d.sent)
    for table in grid.tables:
        names.update(dict.fromkeys(name for name in table.columns if name in table.sent))
    names.update(dict.fromkeys(name for name, d in model.inputs.items() if d.sent))
    return names


def _arrivals(model: Model, inputs: Iterable[str]) -> Iterator[Problem]:
    arrived: dict[str, str] = {}
    kept = [name for name in inputs if name not in model.omit]
    for name in sorted(kept, key=lambda name: name in model.rename):
        target, node = model.rename.get(name, (name, None))
        if target in arrived and node is not None:
            message = f"`{name}` and `{arrived[target]}` both arrive at `{target}`"
            yield node.problem(message)
        arrived.setdefault(target, name)
