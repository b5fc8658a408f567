"""Models in a table, a line for each. Pure."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from batchrun.base.text import for_terminal
from batchrun.base.widths import GAP, fitted, in_columns, width_of
from batchrun.runflow.descriptions import Description
from batchrun.runflow.published_prices import spelled

LONGEST_PRICE: Final = 40
"""Characters of a price label in the table; the page of a model has all of it."""

READABLE: Final = 10
"""Columns of a terminal below which nothing is cut: it would say nothing."""

UNKNOWN: Final = "?"


def model_table(models: Mapping[str, Description], width: int | None = None) -> list[str]:
    """Return the lines of the table, in the order of the ids.

    On a terminal of *width* columns ids are whole: for these, other columns are cut or left out.
    """
    rows = [("model", "price", "published", "gives", "inputs")]
    rows += [_row(model, models[model]) for model in sorted(models)]
    return _table(rows, width)


def _table(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    lines = columns(rows, width)
    if width is None or max(map(width_of, lines)) <= width or len(rows[0]) == 1:
        return lines
    return _table([row[:-1] for row in rows], width)


def _row(model: str, description: Description) -> tuple[str, str, str, str, str]:
    price = one_line(description.label or UNKNOWN)
    if len(price) > LONGEST_PRICE:
        price = price[: LONGEST_PRICE - 1].rstrip() + "…"
    gives = ", ".join(description.kinds or description.outputs) or UNKNOWN
    number = str(len(description.inputs)) if description.inputs else UNKNOWN
    return one_line(model), price, spelled(model) or UNKNOWN, one_line(gives), number


def columns(
    rows: Sequence[Sequence[str]], width: int | None = None, *, wraps: bool = False
) -> list[str]:
    """Return lines of columns, the first of *rows* with a rule below.

    On a terminal of *width* columns long texts are cut, but for the first one of a row, or the
    last one *wraps*. Where no width is given, all of them are whole.
    """
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    if width is not None:
        kept = range(last) if wraps else range(1)
        widths = fitted(widths, width, kept, least=READABLE)
    head, *lines = ([*in_columns(row, widths, wraps={last} if wraps else ())] for row in rows)
    return [*head, GAP.join("─" * width for width in widths), *chain(*lines)]


def one_line(text: str) -> str:
    """Return words of the service on one line, without what moves a terminal's cursor."""
    return for_terminal(" ".join(text.split()))
