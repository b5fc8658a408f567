"""A manifest that is a mapping, as the text of a manifest. Pure.

JSON is YAML but for some characters, which PyYAML refuses, or takes for the end of a line: they are
written as escapes.
"""

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final

from batchrun.errors import UsageError

_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

_WHOLE: Final = "the manifest"


def text_of(manifest: Mapping[str, Any]) -> bytes:
    """Return the text; UsageError for a value that no manifest has."""
    text = json.dumps(_plain(manifest, ""), indent=2, ensure_ascii=False, allow_nan=False)
    return (_ESCAPED.sub(_escape, text) + "\n").encode()


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _plain(value: Any, path: str) -> Any:
    """Return *value* as JSON has it; *path* is where it stands."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return str(value)
        case PurePath():
            return str(value)
        case float() | Decimal() if math.isfinite(value):
            return _number(value, path)
        case Mapping():
            return {_key(key, path): _plain(each, _below(path, key)) for key, each in value.items()}
        case list() | tuple() | range():
            return [_plain(each, f"{path}[{number}]") for number, each in enumerate(value)]
        case _:
            raise UsageError(
                f"`{path or _WHOLE}` is {value!r}, a {type(value).__name__}; expected text, a "
                "number, True or False, None, a path, a list or a mapping"
            )


def _number(value: float | Decimal, path: str) -> float | int:
    """Return a number that is written exactly as *value* is."""
    if value == int(value) and isinstance(value, Decimal):
        return int(value)
    number = float(value)
    if isinstance(value, Decimal) and Decimal(repr(number)) != value:
        raise UsageError(f"`{path}` is {value}, with more digits than a number of a manifest has")
    return number


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise UsageError(
            f"`{path or _WHOLE}` has the key {key!r}, a {type(key).__name__}; expected text"
        )
    return str(key)


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
