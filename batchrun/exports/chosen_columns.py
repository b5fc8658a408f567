"""Chosen columns of the results, as a table for people or as JSON for programs. Pure.

Both come line by line: a table of a million rows is never in memory. On a terminal a long text is
cut; elsewhere it is whole, and its column is as wide as that, but for texts of more than
LONGEST_PADDED columns.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from batchrun.base.text import escaped, money, nearest
from batchrun.base.widths import cut, width_of
from batchrun.errors import UsageError
from batchrun.exports.survey import Kind, Survey

WIDEST: Final = 40
"""Columns of a terminal that one value takes at most."""

LONGEST_PADDED: Final = 200
"""Columns of a text for which a column is made wide enough where nothing is cut.

A longer one moves the rest of its own line: for one text of 10,000 a million rows would be padded.
"""

_GAP: Final = "  "
_TO_THE_RIGHT: Final = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.MONEY})


def chosen(text: str, known: Survey) -> list[str]:
    """Return the columns of a comma list; UsageError for one that no row has."""
    names = [name for each in text.split(",") if (name := each.strip())]
    for name in names:
        if name not in known.kinds:
            near = nearest(name, known.kinds)
            hint = f"did you mean `{near}`?" if near else f"there are {', '.join(known.kinds)}"
            raise UsageError(f"`--columns`: no column is called `{name}`; {hint}")
    if not names:
        raise UsageError("`--columns` names no column; try `--columns alias,status,cost`")
    return list(dict.fromkeys(names))


def table(
    rows: Iterable[Mapping[str, Any]], known: Survey, names: Sequence[str], *, most: int | None
) -> Iterator[str]:
    """Yield the lines of a table of the columns *names*, with the sum of costs below them.

    *rows* are walked twice. A value takes *most* columns of the terminal, None for all it needs.
    """
    total = _total(known, names)
    widths = [min(width_of(escaped(name)), most or LONGEST_PADDED) for name in names]
    for line in chain([total], (_spelled(row, known, names) for row in rows)):
        for number, text in enumerate(line):
            widths[number] = max(widths[number], _room_for(text, most))
    rule = _GAP.join("─" * width for width in widths)
    right = [known.kinds[name] in _TO_THE_RIGHT for name in names]
    yield _line([escaped(name) for name in names], widths, right, most)
    yield rule
    for row in rows:
        yield _line(_spelled(row, known, names), widths, right, most)
    if "cost" in names:
        yield rule
        yield _line(total, widths, right, most)


def json_parts(
    rows: Iterable[Mapping[str, Any]],
    known: Survey,
    names: Sequence[str],
    summary: Mapping[str, Any],
) -> Iterator[str]:
    """Yield the text of one JSON object, piece by piece: *summary*, and the *names* of each row."""
    head = json.dumps({**summary, "columns": names, "columns_cost": money(known.cost)})
    yield f'{head[:-1]}, "rows": ['
    for number, row in enumerate(rows):
        text = json.dumps({name: row.get(name) for name in names})
        yield f", {text}" if number else text
    yield "]}"


def _total(known: Survey, names: Sequence[str]) -> list[str]:
    if "cost" not in names:
        return ["" for _ in names]
    line = [money(known.cost) if name == "cost" else "" for name in names]
    if line[0] == "":
        line[0] = "total"
    return line


def _spelled(row: Mapping[str, Any], known: Survey, names: Sequence[str]) -> list[str]:
    return [_text(row.get(name), known.kinds[name]) for name in names]


def _text(value: Any, kind: Kind) -> str:
    """Spell *value* in one line, with nothing in it that moves a cursor or turns a line around."""
    if value is None:
        return ""
    if kind is Kind.TEXTS:
        return escaped(", ".join(value))
    return escaped(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _room_for(text: str, most: int | None) -> int:
    """Return how wide the column of *text* has to be: what is whole is not padded for ever."""
    width = width_of(text)
    if most is not None:
        return min(width, most)
    return width if width <= LONGEST_PADDED else 0


def _line(
    texts: Sequence[str], widths: Sequence[int], right: Sequence[bool], most: int | None
) -> str:
    fields = []
    for text, width, to_the_right in zip(texts, widths, right, strict=True):
        shown = text if most is None else cut(text, width)
        padding = " " * (width - width_of(shown))
        fields.append(padding + shown if to_the_right else shown + padding)
    return _GAP.join(fields).rstrip()
