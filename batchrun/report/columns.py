"""Many values of one column in few characters. Pure.

A column of a sweep mostly repeats a few values: a model's alias, a status, one of four prompts. So
each value is spelled once, and a number says which one a row has; -1 is a row without one.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import msgspec

ABSENT: Final = msgspec.UNSET
"""The value of a row that doesn't have the column."""

EXACT: Final = 2**53 - 1
"""The largest integer up to which JavaScript has all."""

Packed = dict[str, Any]
"""`all`: the one value of all rows. `values`: one for each row, or those that `codes` count."""


def packed(column: Sequence[Any]) -> Packed:
    """Return *column* packed; 1, 1.0, true and "1" are values of their own."""
    numbers: dict[Any, int] = {}
    values: list[Any] = []
    codes: list[int] = []
    for value in column:
        if value is ABSENT:
            codes.append(-1)
            continue
        token = _token(value)
        code = numbers.setdefault(token, len(values))
        if code == len(values):
            values.append(exact(value))
        codes.append(code)
    if len(values) == 1 and -1 not in codes:
        return {"all": values[0]}
    if len(values) == len(column):
        return {"values": values}
    return {"values": values, "codes": codes}


def exact(value: Any) -> Any:
    """Return *value* with numbers that JavaScript doesn't have as `{"$number": TEXT}`."""
    match value:
        case bool():
            return value
        case int() if not -EXACT <= value <= EXACT:
            return {"$number": str(value)}
        case float() if not isfinite(value):
            return {"$number": str(value)}
        case dict():
            return {name: exact(each) for name, each in value.items()}
        case list():
            return [exact(each) for each in value]
        case _:
            return value


def _token(value: Any) -> Any:
    if type(value) is str:
        return value
    return type(value), value if isinstance(value, int | float | None) else repr(value)
