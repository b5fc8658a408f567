"""Messages without what differs from run to run, so that those of one cause are one. Pure.

The rules are ours: the API's documents publish no list of messages.
"""

import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 2000
"""Characters of a message that are compared: what follows repeats the input."""

# Parts of a message that differ from run to run. The order matters: a quoted text may hold a URL,
# and a URL holds ids and numbers. An apostrophe in a word opens no quoted text.
_VARYING: Final = (
    (re.compile(r"`[^`]*`|\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)"), "TEXT"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+|\bdata:\S+"), "URL"),
    (re.compile(r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "ID"),
    (re.compile(r"\b[a-z]+_[0-9A-Za-z]*\d[0-9A-Za-z]*\b"), "ID"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}\b"), "ID"),
    (re.compile(r"\d+([.,]\d+)*"), "N"),
)


def normalise(message: str) -> str:
    """Return *message* in lower case, with a word for each number, id, URL and quoted text."""
    return _normalised(message[:LONGEST])


@lru_cache(maxsize=1000)  # of a million messages most are the same
def _normalised(message: str) -> str:
    for pattern, word in _VARYING:
        message = pattern.sub(word, message)
    return " ".join(message.split()).lower()
