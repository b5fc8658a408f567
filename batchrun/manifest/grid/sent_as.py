"""Values of CSV columns as they are sent: a model's description may take another type.

A field `42` in a column of numbers is the number 42, in the key of its cell too. A model whose
`prompt` is text gets "42", as it stood in the file. A field `30` in a column of text is text, and a
model that takes a whole number gets 30. So the type of a column follows from its file alone, and
the key of a cell never hangs on a description, which may be old, other or none.

Only a column whose type is seen from its fields is converted, as it is, or by way of `${name}`.
Where the manifest says the type, or in a JSONL file, the value is what the person wrote.
"""

from collections.abc import Mapping
from typing import Any, Final

from batchrun.manifest.cells import AS_IT_IS
from batchrun.manifest.data.column_types import Said
from batchrun.manifest.data.field_types import as_boolean, as_number, is_boolean, is_number
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.grid.traversal import Traversal
from batchrun.manifest.yaml.scalars import from_field

STRING: Final = "string"
INTEGER: Final = "integer"
NUMBER: Final = "number"
BOOLEAN: Final = "boolean"
"""The types that a value is converted to."""


class SentAs:
    """Converts the inputs of one model's cells; *types* are those that it takes, by sent names."""

    def __init__(self, layout: Layout, types: Mapping[str, str]) -> None:
        model = layout.model
        renamed = {name: target for name, (target, _) in model.rename.items()}
        self._inputs = [
            (name, target, types[target])
            for name in layout.sent
            if name not in model.map
            and name not in model.omit
            and (target := renamed.get(name, name)) in types
        ]

    def convert(self, walk: Traversal, sent: dict[str, Any]) -> Mapping[str, Any]:
        """Convert values of *sent* in their place; return those that were there, by sent names."""
        keyed: dict[str, Any] = {}
        for name, target, wanted in self._inputs:
            if target in sent:
                was = sent[target]
                sent[target] = value = of_slot(walk, name, was, wanted)
                if value is not was:
                    keyed[target] = was
        return keyed or AS_IT_IS


def of_slot(walk: Traversal, slot: str, value: Any, wanted: str) -> Any:
    """Return the *value* of a slot at the present point as a model gets it that takes *wanted*."""
    text = walk.texts.get(slot)
    return value if text is None or type(text) is Said else converted(value, text, wanted)


def converted(value: Any, text: str, wanted: str) -> Any:
    """Return *value* as *wanted*, the very same where it is that, or doesn't read as it.

    *text* is the field that it was read from.
    """
    if wanted == STRING:
        return text if type(value) in {bool, int, float} else value
    if type(value) is not str:
        return value
    if wanted == BOOLEAN:
        return as_boolean(value) if is_boolean(value) else value
    number = as_number(value) if is_number(value, from_field(value)) else value
    return value if wanted == INTEGER and type(number) is not int else number
