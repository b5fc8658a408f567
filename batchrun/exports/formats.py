"""Which formats results come in, and how the command line names them. Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from batchrun.base.text import did_you_mean, listed


class Format(StrEnum):
    """A format that is written where it is asked for, by its name on the command line."""

    EXCEL = "excel-csv"
    PARQUET = "parquet"
    METADATA = "metadata"


ALWAYS: Final = ("jsonl", "csv")
"""Written whether they are asked for or not."""

SEPARATORS: Final = {",": ",", ";": ";", "|": "|", "\t": "\t", "\\t": "\t", "tab": "\t"}
"""What may stand between two fields, as one types it."""


def parse_formats(text: str) -> list[Format]:
    """Return the formats of a comma list but for those always there; ValueError for an unknown."""
    words = (each.strip() for each in text.split(","))
    return [_format(each) for each in words if each not in ALWAYS]


def _format(word: str) -> Format:
    known = (*ALWAYS, *Format)
    if word not in known:
        raise ValueError(f"expected some of {listed(known)}{did_you_mean(word, known)}")
    return Format(word)


def wanted(given: Iterable[Sequence[Format]]) -> tuple[Format, ...]:
    """Return each format of the lists *given* once, in a fixed order."""
    asked = {each for formats in given for each in formats}
    return tuple(each for each in Format if each in asked)


def parse_separator(text: str) -> str:
    """Return the character that separates fields; ValueError for what can't."""
    if text not in SEPARATORS:
        raise ValueError("expected one of `,` `;` `|` and `tab`")
    return SEPARATORS[text]


def separator_of(decimal_point: str) -> str:
    """Return what separates fields where numbers have this *decimal_point*, as Excel does."""
    return ";" if decimal_point == "," else ","
