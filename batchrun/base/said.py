"""Words for people on stderr. They never end a call: a full disk or a reader that has gone may."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

from batchrun.base.text import for_terminal


def say(message: str, stream: IO[str] | None) -> None:
    """Print *message* without control characters, if the stream still takes it."""
    with suppress(OSError, ValueError):  # ValueError: it is closed
        print(for_terminal(message), file=stream, flush=True)


def log(message: str, stream: IO[str], *, now: datetime | None = None) -> None:
    """Say something of the work of a call: with the time before each line where it may be kept.

    That is wherever *stream* is no terminal. *now* is the time, else it is asked for.
    """
    say(message if is_terminal(stream) else timed(message, now or datetime.now(UTC)), stream)


def log_end(exit_code: int, onward: str, stream: IO[str]) -> None:
    """Say how a call ended, with the time: the last line of a log. A terminal has seen it."""
    if not is_terminal(stream):
        log(f"exit code {exit_code}: {onward}", stream)


def timed(message: str, now: datetime) -> str:
    """Return *message* with the time *now* (UTC) before each of its lines."""
    return "\n".join(f"{now:%Y-%m-%dT%H:%M:%SZ} {line}" for line in message.split("\n"))


def is_terminal(stream: IO[str]) -> bool:
    """Say whether a person reads the stream as it is written."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def width_for(stream: IO[str]) -> int | None:
    """Return how many columns a person sees of *stream*; None where a program reads it."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None
