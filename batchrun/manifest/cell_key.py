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
    "rows.files": True,
    "exclude": False,  # these choose cells, and change none
    "include": True,
    "repeat": True,
    "sample": False,
    "sample.n": False,
    "sample.seed": False,
    "limits": False,
    "poll": False,
    "outputs": False,
    "outputs.dir": False,
    "outputs.name": False,
    "metadata": False,
    "endpoint": False,
    **{each.key: False for each in SETTINGS if each.key is not None},  # none of them is
}


_PLAIN: Final = frozenset({str, int, bool, type(None)})
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


def canonical(value: Any) -> Any:
    """Return *value* as plain JSON in its one spelling."""
    if isinstance(value, LocalFile):
        return {"$file": value.sha256}
    if isinstance(value, Mapping):
        return {
            f"${name}" if name.startswith("$") else name: canonical(below)
            for name, below in value.items()
        }
    if isinstance(value, list | tuple):
        return [canonical(below) for below in value]
    return one_spelling(value) if type(value) is float else value
