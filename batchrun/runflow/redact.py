"""The key as it may come back: a service that echoes it may spell it in another way. Pure.

It is taken out where bytes come in, and where a bug is written down. So nothing in between needs to
know that there is a key.
"""

import base64
import html
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "[key]"
_SHORTEST: Final = 12  # a shorter key could be a word that bodies are full of


def spellings(key: str) -> tuple[str, ...]:
    """Return how *key* may stand in a text, the longest first; nothing if it is too short."""
    if len(key) < _SHORTEST:
        return ()
    found = {key, quote(key, safe=""), quote(key), html.escape(key), key.replace("/", "\\/")}
    found |= {text for skipped in range(3) for text in _base64(key, skipped)}
    return tuple(sorted(found, key=len, reverse=True))


def _base64(key: str, skipped: int) -> tuple[str, ...]:
    """Return the part of a text's base64 that is the key's alone, behind *skipped* other bytes.

    Six bits a character: the characters at both ends also depend on its neighbours.
    """
    bits = 8 * skipped
    end = bits + 8 * len(key.encode())
    data = bytes(skipped) + key.encode()
    part = slice(-(-bits // 6), end // 6)
    return (base64.b64encode(data).decode()[part], base64.urlsafe_b64encode(data).decode()[part])
