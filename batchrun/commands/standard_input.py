"""The text of a manifest: from its file or, for `-`, from standard input."""

import sys
from pathlib import Path

from batchrun.base.no_file import DASH, STDIN
from batchrun.base.said import is_terminal, say
from batchrun.errors import UsageError


class StandardInput:
    """The text on standard input, which is read once in a command. *text* is None until then."""

    def __init__(self) -> None:
        self.text: bytes | None = None

    def begin(self) -> None:
        """Begin a command: nothing has been read."""
        self.text = None

    def read(self) -> bytes:
        """Return all that comes on standard input; UsageError where it can't be read."""
        if self.text is None:
            self.text = _all_of_it()
        return self.text


STANDARD_INPUT = StandardInput()
"""It belongs to the process, and so does this."""


def named(path: Path) -> Path:
    """Return *path* as messages and the ledger's folder know it."""
    return Path(STDIN) if str(path) == DASH else path


def bytes_at(path: Path) -> bytes:
    """Return the text of the manifest at *path*; OSError or UsageError where it can't be read."""
    return STANDARD_INPUT.read() if str(path) == DASH else path.read_bytes()


def _all_of_it() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("`-` is a manifest on standard input, and there is none")
    if is_terminal(sys.stdin):
        say(
            "reading the manifest from the terminal; Ctrl-D on a line of its own ends it",
            sys.stderr,
        )
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise UsageError(f"cannot read standard input: {error.strerror}") from error
