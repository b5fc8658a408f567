"""Models in a table, a line for each. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from batchrun.base.text import for_terminal
from batchrun.runflow.descriptions import Description
from batchrun.runflow.published_prices import spelled

LONGEST_PRICE: Final = 40
"""Characters of a price label in the table; the page of a model has all of it."""

UNKNOWN: Final = "?"
_GAP: Final = "  "


def model_table(models: Mapping[str, Description]) -> list[str]:
    """Return the lines of the table, in the order of the ids."""
    rows = [("model", "price", "published", "gives", "inputs")]
    rows += [_row(model, models[model]) for model in sorted(models)]
    return columns(rows)


def _row(model: str, description: Description) -> tuple[str, str, str, str, str]:
    price = one_line(description.label or UNKNOWN)
    if len(price) > LONGEST_PRICE:
        price = price[: LONGEST_PRICE - 1].rstrip() + "…"
    gives = ", ".join(description.kinds or description.outputs) or UNKNOWN
    number = str(len(description.inputs)) if description.inputs else UNKNOWN
    return one_line(model), price, spelled(model) or UNKNOWN, one_line(gives), number


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of equal columns, the first of *rows* with a rule below."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [lines[0], _GAP.join("─" * width for width in widths), *lines[1:]]


def one_line(text: str) -> str:
    """Return words of the service on one line, without what moves a terminal's cursor."""
    return for_terminal(" ".join(text.split()))
