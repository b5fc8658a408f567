"""What one field of a CSV file reads as. Pure; a column's type follows from all of its fields.

A field is a **number** where it is spelled as we would spell it (`7`, `-7.5`, `1e-07`), or where it
is a plain decimal of at most 15 digits (`7.0`, `9.90`): no digit of its value is lost. All else may
be an id, and a number would change it: `007`, `+5`, `1e3`, `1_000`, ` 7`, `7.`, `.5`.

A field is **padded** where it ends in a zero behind another decimal (`9.90`). A price list has such
fields, and every field of it has as many decimals. In `1.9`, `1.10` they are versions.

A field is a **boolean** where it is `true` or `false`, also as other programs write them: `TRUE`,
`True`.
"""

import re
from typing import Any, Final

from batchrun.manifest.yaml.scalars import number

_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_ANY_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DIGITS: Final = 15
"""Digits that a number keeps, wherever its point is."""


def is_boolean(text: str) -> bool:
    """Say whether a field reads as true or false."""
    return text in _TRUE or text in _FALSE


def is_number(text: str, alone: Any) -> bool:
    """Say whether a field reads as a number that is no id; *alone* is what `from_field` makes."""
    if type(alone) is not str:
        return type(alone) is not bool
    digits = len(text) - 1 - text.startswith("-")
    return digits <= _DIGITS and _DECIMAL.fullmatch(text) is not None


def is_padded(text: str) -> bool:
    """Say whether a number ends in a zero behind another decimal."""
    return text.endswith("0") and decimals(text) > 1 and _DECIMAL.fullmatch(text) is not None


def decimals(text: str) -> int:
    """Return how many decimals a number has; 0 without a point."""
    return len(text.partition(".")[2])


def as_number(text: str) -> Any:
    """Return the number that a field of a column of numbers spells, zeros before it or not.

    Where it spells none, it stays text.
    """
    plain = text.strip(" ")
    try:
        return number(plain) if _ANY_NUMBER.fullmatch(plain) else text
    except ValueError:  # too large, or too long
        return text


def as_boolean(text: str) -> Any:
    """Return what a field of a column of booleans spells; text where it spells neither."""
    plain = text.strip(" ")
    return plain in _TRUE if is_boolean(plain) else text
