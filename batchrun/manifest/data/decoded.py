"""The lines of an open data file as text; the bytes go into a digest on the way.

A file is UTF-8, or UTF-16 where a mark at its beginning says so: Excel's "Unicode text" has one.
No byte is guessed: a Windows code page gives each of its bytes some character, seldom the right
one.
"""

import io
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from batchrun.manifest.data.mistake import Mistake, WholeFileError

_MARKS: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How a zip file begins, which .xlsx and .ods are, and how .xls does."""

SAVE_AS: Final = "in Excel, save it as `CSV UTF-8`"


def decoded(
    file: Any, digest: Any, *, newline: str = "\n", longest: int | None = None
) -> Iterator[str]:
    """Yield the lines of *file* with their ends, without a mark.

    *newline* is as `open` has it: "" takes a bare carriage return for an end, too. Raise
    WholeFileError where a byte is no text, or a line has more than *longest* characters.
    """
    source = _Digested(file, digest)
    start = source.peek()
    encoding = _MARKS.get(start[:2], "utf-8")
    if start.startswith(_WORKBOOKS):
        message = f"this is a workbook or another packed file, not text; {SAVE_AS}"
        raise WholeFileError(Mistake(1, message, excerpt=False))
    wrong = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
    text = io.TextIOWrapper(source, encoding, errors=wrong, newline=newline)  # type: ignore[type-var]  # enough
    read = text.readline if longest is None else partial(text.readline, longest + 1)
    count = 0
    try:
        while line := read():
            count += 1
            if not line.isascii() or "\0" in line:
                _check(line, count, encoding)
            if longest is not None and len(line) > longest:
                message = f"a line is longer than {longest} characters"
                raise WholeFileError(Mistake(count, message, excerpt=False))
            yield line.removeprefix("\ufeff") if count == 1 else line
    except UnicodeDecodeError:  # of UTF-16 only: an odd number of bytes
        message = "the last character of this UTF-16 file is cut off"
        raise WholeFileError(Mistake(count + 1, message, excerpt=False)) from None
    finally:
        text.detach()  # else the file is closed by whom it doesn't belong to


def _check(line: str, number: int, encoding: str) -> None:
    """Raise WholeFileError where *line* has a character that stands for a byte that is no text."""
    if "\0" in line:
        message = "a NUL byte is no text"
        if encoding == "utf-8" and line.count("\0") > 1:
            message = "this looks like UTF-16 without a mark at its beginning"
        message = f"{message}; save the file as UTF-8 ({SAVE_AS})"
        raise WholeFileError(Mistake(number, message, column=line.index("\0") + 1, excerpt=False))
    try:
        line.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(line[error.start])
        if encoding == "utf-8":
            message = f"byte 0x{code - 0xDC00:02x} is not UTF-8; save the file as UTF-8 ({SAVE_AS})"
        else:
            message = f"U+{code:04X} is half of a surrogate pair, and no text"
        column = len(line[: error.start].encode("utf-8")) + 1
        mistake = Mistake(number, message, column=column, excerpt=False)
        raise WholeFileError(mistake) from None


class _Digested(io.BufferedIOBase):
    """Lets a text reader read a file, and a digest see all of its bytes."""

    def __init__(self, file: Any, digest: Any) -> None:
        self._file = file
        self._digest = digest
        self._ahead = b""

    def readable(self) -> bool:
        return True

    def peek(self) -> bytes:
        """Return the first bytes, which are read again."""
        self._ahead = self._file.read(4)
        return self._ahead

    def read1(self, size: int = -1, /) -> bytes:
        data: bytes = self._ahead or self._file.read(size)
        self._ahead = b""
        self._digest.update(data)
        return data
