"""The `q` of list routes, in both spellings that are known (pure).

The documents write `status_code:succeeded AND created_at>2026-04-01`; deployed clients write
`client_ref.EQ:'token'` (fact sheet, section 2). AND binds tighter than OR; parentheses work. How a
quote is escaped is not documented; here it is by a backslash or by doubling it.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

RUN_FIELDS: Final = frozenset(
    [
        "id",
        "client_ref",
        "status_code",
        "created_at",
        "started_at",
        "completed_at",
        "batch_id",
        "model_id",
        "target_type",
        "cost",
        "duration_ms",
    ]
)

TOKEN: Final = re.compile(
    r"\s*(?:(?P<paren>[()])|(?P<word>AND|OR|NOT)\b|(?P<field>[A-Za-z_]\w*)"
    r"(?:\.(?P<name>[A-Za-z]+)\s*:|\s*(?P<sign>>=|<=|!=|[=:><]))\s*"
    r"(?:'(?P<quoted>(?:[^'\\]|\\.|'')*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^\s()'\"]+)))",
    re.DOTALL,
)
MOST_TOKENS: Final = 200  # each may be a call inside another: Python ends at a thousand
NAMES: Final = {"EQ": "=", "NE": "!=", "NEQ": "!=", "GT": ">", "GTE": ">=", "LT": "<", "LTE": "<="}
COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Is:
    field: str
    sign: str
    value: str


@dataclass(frozen=True, slots=True)
class Both:
    left: "Filter"
    right: "Filter"


@dataclass(frozen=True, slots=True)
class Either:
    left: "Filter"
    right: "Filter"


@dataclass(frozen=True, slots=True)
class Not:
    inner: "Filter"


Filter = Is | Both | Either | Not


def parse(text: str, fields: frozenset[str] = RUN_FIELDS) -> Filter:
    """Return the filter; ValueError says why *text* is none."""
    tokens = _tokens(text, fields)
    if len(tokens) > MOST_TOKENS:
        raise ValueError(f"the filter has more than {MOST_TOKENS} parts")
    parser = _Parser(tokens)
    found = parser.either()
    if parser.rest:
        raise ValueError("unexpected text after the filter")
    return found


def _tokens(text: str, fields: frozenset[str]) -> list[str | Is]:
    tokens: list[str | Is] = []
    position = 0
    while text[position:].strip():
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"cannot read the filter at {text[position:][:30]!r}")
        tokens.append(match["paren"] or match["word"] or _comparison(match, fields))
        position = match.end()
    return tokens


def _comparison(match: re.Match[str], fields: frozenset[str]) -> Is:
    if match["field"] not in fields:
        raise ValueError(f"cannot filter by {match['field']!r}")
    sign = NAMES.get(match["name"].upper()) if match["name"] else match["sign"]
    if sign is None:
        raise ValueError(f"unknown operator {match['name']!r}")
    if match["bare"] is not None:
        value = match["bare"]
    else:
        quoted = match["quoted"] if match["quoted"] is not None else match["double"]
        value = re.sub(r"\\(.)|''", lambda found: found[1] or "'", quoted)
    return Is(match["field"], "=" if sign == ":" else sign, value)


@dataclass(slots=True)
class _Parser:
    rest: list[str | Is]

    def either(self) -> Filter:
        left = self.both()
        while self._take("OR"):
            left = Either(left, self.both())
        return left

    def both(self) -> Filter:
        left = self.one()
        while self._take("AND"):
            left = Both(left, self.one())
        return left

    def one(self) -> Filter:
        if self._take("NOT"):
            return Not(self.one())
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise ValueError("a parenthesis is not closed")
            return inner
        if not self.rest or isinstance(self.rest[0], str):
            raise ValueError("expected a comparison such as status_code:succeeded")
        return cast("Is", self.rest.pop(0))

    def _take(self, token: str) -> bool:
        if self.rest and self.rest[0] == token:
            self.rest.pop(0)
            return True
        return False


def matches(wanted: Filter, record: Mapping[str, Any]) -> bool:
    """Say whether a JSON object is what the filter asks for."""
    match wanted:
        case Is(field, sign, value):
            return _compare(record.get(field), sign, value)
        case Both(left, right):
            return matches(left, record) and matches(right, record)
        case Either(left, right):
            return matches(left, record) or matches(right, record)
        case Not(inner):
            return not matches(inner, record)


def pinned(wanted: Filter | None) -> dict[str, str]:
    """Return the fields that every match has a known value of; a store can look those up."""
    match wanted:
        case Is(field, "=", value):
            return {field: value}
        case Both(left, right):
            return pinned(left) | pinned(right)
        case _:
            return {}


def bounds(wanted: Filter | None, field: str) -> tuple[datetime | None, datetime | None]:
    """Return moments between which *field* of every match lies, both included."""
    match wanted:
        case Is(name, ">" | ">=", value) if name == field:
            return moment(value), None
        case Is(name, "<" | "<=", value) if name == field:
            return None, moment(value)
        case Both(left, right):
            lows, highs = zip(bounds(left, field), bounds(right, field), strict=True)
            return (
                max((low for low in lows if low), default=None),
                min((high for high in highs if high), default=None),
            )
        case _:
            return None, None


def moment(text: str) -> datetime | None:
    """Read a date or a date and time; without an offset it is UTC."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _compare(found: Any, sign: str, value: str) -> bool:
    if found is None or value == "null":
        return (found is None and value == "null") == (sign == "=")
    left: Any = found
    right: Any = value
    if isinstance(found, bool):
        left = str(found).lower()
    elif isinstance(found, int | float):
        left, right = Decimal(str(found)), _decimal(value)
    elif (a := moment(str(found))) and (b := moment(value)):
        left, right = a, b
    elif sign not in {"=", "!="} and (number := _decimal(str(found))) is not None:
        left, right = number, _decimal(value)
    if right is None:
        return sign == "!="
    return COMPARE[sign](left, right)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
