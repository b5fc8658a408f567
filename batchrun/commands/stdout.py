"""Standard output that may go away while a command speaks.

The work of a command counts, not whether its output is read. A reader that has gone is no
failure; a full disk behind `>` is reported once, at the end.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from batchrun.base.plain_marks import MARKS


class Output(io.TextIOBase):
    """Writes to *stream* until that fails; *error* is why it did. *began* once anything came."""

    def __init__(self, stream: TextIO) -> None:
        self.error: OSError | None = None
        self.began = False
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property here, and a variable there
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        self.began = True
        try:
            if self.error is None:
                self._stream.write(text)
        except OSError as error:
            self.error = error
        return len(text)

    def flush(self) -> None:
        try:
            if self.error is None:
                self._stream.flush()
        except OSError as error:
            self.error = error

    @property
    def full(self) -> str | None:
        """Why not all could be written; None where it was, or where the reader has gone."""
        if self.error is None or isinstance(self.error, BrokenPipeError):
            return None
        return self.error.strerror or str(self.error)


def spoken(stream: TextIO) -> bool:
    """Say whether a command has printed anything: of two JSON objects no reader makes sense."""
    return isinstance(stream, Output) and stream.began


@contextmanager
def guarded_output() -> Iterator[Output]:
    """Let all that is printed go through an Output, flushed at the end."""
    _open_what_is_closed()
    real = sys.stdout
    for stream in (real, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=MARKS)  # a table's rule, on a terminal of ASCII
    output = Output(real)
    sys.stdout = output
    try:
        yield output
        output.flush()
    finally:
        sys.stdout = real
        if output.error is not None:
            # The rest of the buffer must not fail once more when Python ends.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), real.fileno())


def _open_what_is_closed() -> None:
    """Open the standard descriptors that our parent closed: the ledger must not become one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
