"""Marks of ours for an output that can't have them: a terminal of ASCII, a log in Latin-1. Pure.

`MARKS` is how Python calls the rule: the `errors` of a text stream. What stands in no table is
spelled by its number, as the values of people are.
"""

import codecs
from collections.abc import Mapping
from typing import Final

MARKS: Final = "batchrun-marks"

PLAIN: Final[Mapping[str, str]] = {
    "─": "-",
    "█": "#",
    "…": "...",
    "→": "->",
    "“": '"',
    "”": '"',
}


def plain_marks(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for the text that could not be encoded, and where it ends."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    spelled = (PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(spelled), error.end


codecs.register_error(MARKS, plain_marks)
