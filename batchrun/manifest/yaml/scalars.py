"""The meaning of a scalar: YAML 1.2's core schema, and the one spelling of every number.

A number that is whole is an int here whatever it looked like: 1, 1.0 and 1e0 are one value.
PyYAML's own resolver speaks YAML 1.1, where 16:9 is 969, `no` is false and 010 is eight.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from math import isfinite, isinf
from typing import Any, Final

_NULL: Final = {"", "~", "null", "Null", "NULL"}
_BOOL: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_FIRST: Final = frozenset("-+.0123456789~nNtTfF")
DEEPEST: Final = 60  # lists and mappings in each other; what walks them may be recursive
_LONGEST: Final = 300  # digits; int() itself refuses more than 4300, with a traceback


def resolve(text: str) -> Any:
    """Return what a plain scalar means; raise ValueError("...") for what JSON cannot send."""
    if text and text[0] not in _FIRST:
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _FLOAT.fullmatch(text):
        return number(text)
    if _BASED.fullmatch(text):
        return _whole(int(text, 0))
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"`{text}` is not a number that can be sent; quote it if it is text")
    return text


def number(text: str) -> int | float:
    """Return the number that *text* spells, whole ones as int; raise ValueError."""
    if len(text) > _LONGEST:
        raise ValueError(f"a number of {len(text)} digits is too long; quote it if it is text")
    if _INT.fullmatch(text):
        return int(text)
    try:
        return plain(Decimal(text))
    except (InvalidOperation, OverflowError):
        raise ValueError(f"`{text}` is too large a number; quote it if it is text") from None


def plain(value: Decimal) -> int | float:
    """Return an int where *value* is whole, else the nearest float; raise OverflowError."""
    short = float(value)
    if isinf(short):
        raise OverflowError
    if value == value.to_integral_value():
        return int(value)
    return one_spelling(short)


def one_spelling(value: float) -> int | float:
    """Return a float as the value it is sent as; JSON and Python allow 1.0 beside 1."""
    if not isfinite(value):
        raise ValueError("NaN and infinities cannot be sent")
    return int(Decimal(repr(value))) if value.is_integer() else value


def _whole(value: int) -> int:
    if value.bit_length() > _LONGEST * 3:
        raise ValueError("this number is too long; quote it if it is text")
    return value


def normal(value: Any, deepest: int = DEEPEST) -> Any:
    """Return a JSON value with one spelling of every number; raise ValueError for NaN."""
    if not isinstance(value, Mapping | list):
        return one_spelling(value) if type(value) is float else value
    if not deepest:
        raise ValueError(f"nested more than {DEEPEST} deep")
    if isinstance(value, list):
        return [normal(below, deepest - 1) for below in value]
    return {key: normal(below, deepest - 1) for key, below in value.items()}


def from_field(text: str) -> Any:
    """Return what a CSV field is by itself: a number or boolean only if it is spelled as ours."""
    if text in {"true", "false"}:
        return text == "true"
    if text and text[0] in "-0123456789" and len(text) < _LONGEST and _FLOAT.fullmatch(text):
        with suppress(ValueError):  # of a number that is too large: `1e3009` may be an id
            value = number(text)
            if repr(value) == text:
                return value
    return text
