"""The key as it may come back: a service that echoes it may spell it in another way. Pure.

It is taken out where bytes come in, and where a bug is written down. So nothing in between needs to
know that there is a key.
"""

import base64
import html
import re
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "[key]"
_SHORTEST: Final = 12  # a shorter key could be a word that bodies are full of


class Redacted:
    """Takes a *key* out of texts and bytes, in each of its spellings."""

    def __init__(self, key: str) -> None:
        self._texts = spellings(key)
        self._bytes = tuple(text.encode() for text in self._texts)
        # In JSON any character may stand as \\u0072: one pattern knows all mixtures.
        escapable = "".join(f"(?:{re.escape(c)}|\\\\u{_hex(c)})" for c in key)
        self._escaped = re.compile(escapable) if self._texts else None
        self._escaped_bytes = re.compile(escapable.encode()) if self._texts else None

    def text(self, text: str) -> str:
        """Return *text* with HIDDEN in the place of the key."""
        for secret in self._texts:
            text = text.replace(secret, HIDDEN)
        if self._escaped is not None and "\\u" in text:
            text = self._escaped.sub(HIDDEN, text)
        return text

    def body(self, content: bytes) -> bytes:
        """Return the bytes of a body with HIDDEN in the place of the key."""
        for secret in self._bytes:
            content = content.replace(secret, HIDDEN.encode())
        if self._escaped_bytes is not None and b"\\u" in content:
            content = self._escaped_bytes.sub(HIDDEN.encode(), content)
        return content


def _hex(character: str) -> str:
    """Return a pattern for the four digits of a JSON escape, in capitals or not."""
    digits = f"{ord(character):04x}"
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)


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
