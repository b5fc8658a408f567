"""The lines of an open data file as text; the bytes go into a digest on the way."""

from collections.abc import Iterator
from typing import Any

from batchrun.manifest.data.mistake import Mistake, WholeFileError


def decoded(file: Any, digest: Any) -> Iterator[str]:
    """Yield the lines of *file* without a mark; raise WholeFileError where a byte is no text."""
    for count, line in enumerate(file, start=1):
        digest.update(line)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"byte 0x{line[error.start]:02x} is not UTF-8; save the file as UTF-8"
            mistake = Mistake(count, message, column=error.start + 1, excerpt=False)
            raise WholeFileError(mistake) from None
        yield text.removeprefix("\ufeff") if count == 1 else text
