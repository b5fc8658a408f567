"""The text of a file, as the value of an input.

It is UTF-8, with or without a mark. Its line ends are line feeds, whatever system wrote it, and one
at the end of the file is no part of the text: an editor puts it there.
"""

import hashlib
from typing import Any, Final

from msgspec import Struct

from batchrun.base.first_bytes import wide_text

LARGEST_TEXT: Final = 262_144
"""Bytes of a file whose text is a value: each cell sends it, and the ledger keeps it for each."""


class FileText(Struct, frozen=True):
    """The *text* of a file, and the sha256 of its bytes."""

    text: str
    sha256: str


def text_of(file: Any, written: str) -> FileText:
    """Return the text of a file that is open for reading bytes; raise ValueError in words."""
    data = file.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise ValueError(f"`{written}` has more than the {LARGEST_TEXT} bytes that a text may have")
    if kind := wide_text(data):
        raise ValueError(f"`{written}` is {kind}; save the file as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"line {line} of `{written}` is not UTF-8; `$file` sends a file that is no text"
        raise ValueError(message) from None
    if "\0" in text:
        raise ValueError(f"`{written}` is no text: it holds U+0000")
    text = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    if not text.strip():
        raise ValueError(f"`{written}` has no text")
    return FileText(text, hashlib.sha256(data).hexdigest())
