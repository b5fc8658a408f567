"""How wide text is on a terminal, and how it fits there. Pure."""

from collections.abc import Container, Iterator, Sequence
from itertools import zip_longest
from typing import Final
from unicodedata import east_asian_width

GAP: Final = "  "
"""Between two columns of a table."""

NARROWEST: Final = 4
"""Columns of a terminal below which no column of a table is cut."""


def width_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def cut(text: str, width: int) -> str:
    """Return *text* in at most *width* columns of a terminal."""
    if width_of(text) <= width:
        return text
    shown = text[: max(width, 0)]  # no character is narrower than one column
    while shown and width_of(shown) > width - 1:
        shown = shown[:-1]
    return f"{shown}…"


def fitted(
    widths: Sequence[int], width: int, kept: Container[int] = (), *, least: int = NARROWEST
) -> list[int]:
    """Return *widths* of columns that need no more than *width* with gaps, where that can be had.

    The widest give way, down to *least*; those whose numbers are *kept* never do.
    """
    room = width - len(GAP) * (len(widths) - 1)
    most = max(widths, default=0)

    def capped() -> list[int]:
        return [each if at in kept else min(each, most) for at, each in enumerate(widths)]

    while most > least and sum(capped()) > room:
        most -= 1
    return capped()


def in_columns(
    texts: Sequence[str],
    widths: Sequence[int],
    *,
    right: Container[int] = (),
    wraps: Container[int] = (),
) -> Iterator[str]:
    """Yield the lines of a row of a table, GAP between its columns.

    Columns whose numbers are in *right* are aligned to the right. A text that is too long is
    wrapped if its column is in *wraps*, else cut.
    """
    columns = [
        wrapped(text, width) if at in wraps else [cut(text, width)]
        for at, (text, width) in enumerate(zip(texts, widths, strict=True))
    ]
    for line in zip_longest(*columns, fillvalue=""):
        parts = []
        for at, (text, width) in enumerate(zip(line, widths, strict=True)):
            space = " " * (width - width_of(text))
            parts.append(space + text if at in right else text + space)
        yield GAP.join(parts).rstrip()


def wrapped(text: str, width: int) -> list[str]:
    """Return *text* in lines of at most *width* columns, broken between words where that can be."""
    lines, line = list[str](), ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width_of(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *pieces, line = _pieces(word, width)
        lines += pieces
    return [*lines, line]


def _pieces(word: str, width: int) -> list[str]:
    """Return a word in pieces of at most *width* columns, of one character at least."""
    pieces, piece = list[str](), ""
    for character in word:
        if piece and width_of(piece + character) > width:
            pieces.append(piece)
            piece = ""
        piece += character
    return [*pieces, piece]
