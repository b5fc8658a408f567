"""Words for people on stderr. They never end a call: a full disk or a reader that has gone may."""

from contextlib import suppress
from typing import IO

from batchrun.base.text import for_terminal


def say(message: str, stream: IO[str] | None) -> None:
    """Print *message* without control characters, if the stream still takes it."""
    with suppress(OSError, ValueError):  # ValueError: it is closed
        print(for_terminal(message), file=stream, flush=True)
