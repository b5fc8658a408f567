"""The question before something is paid for: put on a terminal, never on a pipe."""

import sys

from batchrun.errors import UsageError


def confirm(question: str, *, unasked: str) -> None:
    """Return if the user says yes; UsageError if not.

    Where no terminal can be asked, it is one with *unasked*: why `--yes` is needed.
    """
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():  # a daemon may have none
        raise UsageError(f"{unasked}: say so with `--yes`; nothing was sent")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        answer = sys.stdin.readline()
    except (OSError, UnicodeDecodeError):  # the terminal is gone, or what was typed is no text
        answer = ""
    if not answer.endswith("\n"):  # the end of the input: the next words begin a line
        print(file=sys.stderr, flush=True)
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was sent")
