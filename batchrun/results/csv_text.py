"""Values as text that a spreadsheet and a CSV reader both take for what it is. Pure."""

import json
from typing import Any, Final

FORMULA: Final = (*"=+-@", *"\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""What text must not begin with, or a spreadsheet runs it; the last four are full-width forms."""

_MARKED: Final = (*FORMULA, "'")


def field(value: Any) -> str:
    """Spell one value: text safe to open, anything else as JSON, nothing for null.

    Text that a spreadsheet would run gets an apostrophe in front, which it takes as "this is text"
    and does not show. So does text that already has one there: else it could not be told apart.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_MARKED) else value
    return str(value) if type(value) is int else json.dumps(value, ensure_ascii=False)
