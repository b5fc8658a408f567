"""Which columns rows have, and of what kind each is: typed formats must know before the first row.

An axis may hold a number here and a text there. A column has a type only where all of its values
have; else its values are JSON, as text. What is written can be read back as it was. Pure.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from batchrun.base.times import moment
from batchrun.results.rows import COLUMNS, columns


class Kind(StrEnum):
    """What all values of a column are, where there are any."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    TEXTS = "texts"
    TIME = "time"
    MONEY = "money"
    JSON = "json"


_WIDE: Final = "an integer that a float may not hold"
_MOST_EXACT: Final = 2**53

_JSON: Final = frozenset({Kind.JSON})
_TEXTS: Final = frozenset({Kind.TEXTS})
_WIDE_INTEGER: Final = frozenset({Kind.INTEGER, _WIDE})
_PLAIN: Final[Mapping[type, frozenset[str]]] = {
    bool: frozenset({Kind.BOOLEAN}),
    int: frozenset({Kind.INTEGER}),
    float: frozenset({Kind.NUMBER}),
    str: frozenset({Kind.TEXT}),
}

_OURS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(COLUMNS, Kind.TEXT),
    **dict.fromkeys(("replicate", "attempts", "duration_ms"), Kind.INTEGER),
    **dict.fromkeys(("created_at", "completed_at"), Kind.TIME),
    "cost": Kind.MONEY,
    "shared": Kind.BOOLEAN,
    "files": Kind.TEXTS,
}
"""The kinds of the columns that each row has, whatever is in them."""


class Survey(Struct, frozen=True, kw_only=True):
    """What is known of all rows: the kind of each column, in order, and the sums.

    *digits* and *decimals* are the most that a cost has before and behind its point.
    """

    kinds: dict[str, Kind]
    rows: int
    most_files: int
    cost: Decimal
    digits: int
    decimals: int

    @property
    def axes(self) -> list[str]:
        """The columns that the manifest names."""
        return [name for name in self.kinds if name not in _OURS]


def survey(rows: Iterable[Mapping[str, Any]]) -> Survey:
    """Look at all *rows* once."""
    found: dict[str, set[str]] = {}
    untimely: set[str] = set()
    number = most_files = digits = decimals = 0
    cost = Decimal(0)
    for row in rows:
        number += 1
        most_files = max(most_files, len(row["files"]))
        for name, value in row.items():
            if name not in _OURS:
                found.setdefault(name, set()).update(kind_of(value))
            elif _OURS[name] is Kind.TIME and value is not None and moment(value) is None:
                untimely.add(name)
        if row["cost"] is not None:
            cost += Decimal(row["cost"])
            whole, _, part = row["cost"].lstrip("-").partition(".")
            digits, decimals = max(digits, len(whole)), max(decimals, len(part))
    kinds = {name: _OURS.get(name) or together(found[name]) for name in columns(found)}
    return Survey(
        kinds=kinds | dict.fromkeys(untimely, Kind.TEXT),
        rows=number,
        most_files=most_files,
        cost=cost,
        digits=digits,
        decimals=decimals,
    )


def kind_of(value: Any) -> frozenset[str]:
    """Return the kind of one value of an axis: none for null."""
    if value is None:
        return frozenset()
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return _TEXTS
    if type(value) is int and abs(value) > _MOST_EXACT:
        return _WIDE_INTEGER if -(2**63) <= value < 2**63 else _JSON
    return _PLAIN.get(type(value), _JSON)


def together(kinds: set[str]) -> Kind:
    """Return the kind of a column that has values of all of these *kinds*."""
    if not kinds:
        return Kind.TEXT
    if kinds == {Kind.INTEGER, Kind.NUMBER}:
        return Kind.NUMBER
    plain = kinds - {_WIDE}
    return Kind(*plain) if len(plain) == 1 else Kind.JSON
