"""The identity of a cell: its key, and the version of the rule that makes it. Pure.

The rule, version 1: blake2b, 16 bytes, of the UTF-8 text of

    ["batchrun cell", 1, MODEL, INPUT, REPLICATE]

as JSON without spaces, keys sorted, non-ASCII characters as themselves, whole numbers without a
point. A local file stands as {"$file": SHA256 OF ITS BYTES}; a `$` that begins any other key is
doubled. Nothing else is in it: a key that changed would be paid for again, so a change of the rule
needs a new version, and a ledger of the old one must still be understood.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from batchrun.base.json_text import made_once
from batchrun.base.local_file import LocalFile
from batchrun.manifest.yaml.scalars import one_spelling
from batchrun.settings import SETTINGS

IDENTITY_VERSION: Final = 1

# Every field of a manifest, and whether a change of it may change a cell's key. A test fails for a
# field that is not here.
IDENTITY: Final[Mapping[str, bool]] = {
    "name": False,
    "models": True,
    "models.id": True,
    "models.alias": False,
    "models.inputs": True,
    "models.omit": True,
    "models.map": True,
    "models.rename": True,
    "models.concurrency": False,
    "models.price": False,
    "models.budget": False,
    "models.repeat": True,
    "inputs": True,
    "vars": True,  # by way of templates
    "zip": True,
    "rows": True,
    "rows.file": True,
    "rows.send": True,
    "rows.template": True,
    "rows.text": True,
    "rows.number": True,
    "rows.boolean": True,
    "rows.files": True,
    "rows.lists": True,
    "rows.delimiter": True,
    "exclude": False,  # these choose cells, and change none
    "include": True,
    "repeat": True,
    "sample": False,
    "sample.n": False,
    "sample.seed": False,
    "limits": False,
    "poll": False,
    "callbacks": False,
    "outputs": False,
    "outputs.dir": False,
    "outputs.name": False,
    "metadata": False,
    "endpoint": False,
    **{each.key: False for each in SETTINGS if each.key is not None},  # none of them is
}


_PLAIN: Final = frozenset({str, int, bool, type(None)})
_MOST_ORDERS: Final = 1000
"""Sets of an input's names whose order is remembered."""

_quote: Final = json.encoder.encode_basestring
_encode: Final = made_once(
    json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
)


def cell_key(model: str, input: Mapping[str, Any], replicate: int) -> str:  # noqa: A002 the API's word
    """Return the key of a cell: 32 lower-case hexadecimal digits."""
    for name, value in input.items():
        if type(value) not in _PLAIN or name[:1] == "$":
            input = canonical(input)  # noqa: A001 the same input, spelled one way
            break
    text = _encode(["batchrun cell", IDENTITY_VERSION, model, input, replicate])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class KeyMaker:
    """Makes the keys of a model's cells, as `cell_key` does, cell after cell.

    Most values of a cell are those of the cell before it: their texts are made once. A value is
    known again as the same object, so the values of an input must not change meanwhile.
    """

    def __init__(self, model: str) -> None:
        self._head = f'["batchrun cell",{IDENTITY_VERSION},{_encode(model)},{{'
        self._order: dict[tuple[str, ...], list[str]] = {}
        self._texts: dict[str, tuple[Any, str]] = {}

    def key(self, input: Mapping[str, Any], replicate: int) -> str:  # noqa: A002 the API's word
        """Return the key of a cell of the model."""
        texts = self._texts
        fields = []
        for name in self._order.get(names := tuple(input)) or self._ordered(names):
            value = input[name]
            known = texts.get(name)
            if known is None or known[0] is not value:
                texts[name] = known = (value, _field(name, value))
            fields.append(known[1])
        text = f"{self._head}{','.join(fields)}}},{replicate}]"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _ordered(self, names: tuple[str, ...]) -> list[str]:
        """Return *names* in the order in which their fields stand in the text."""
        if len(self._order) >= _MOST_ORDERS:
            self._order.clear()
        self._order[names] = found = sorted(names, key=_spelled)
        return found


def _field(name: str, value: Any) -> str:
    kind = type(value)
    if kind is str:
        text = _quote(value)
    elif kind is int:
        text = str(value)
    else:
        text = _encode(value if kind in _PLAIN else canonical(value))
    return f"{_quote(_spelled(name))}:{text}"


def _spelled(name: str) -> str:
    return f"${name}" if name.startswith("$") else name


def canonical(value: Any) -> Any:
    """Return *value* as plain JSON in its one spelling."""
    if isinstance(value, LocalFile):
        return {"$file": value.sha256}
    if isinstance(value, Mapping):
        return {_spelled(name): canonical(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(below) for below in value]
    return one_spelling(value) if type(value) is float else value
