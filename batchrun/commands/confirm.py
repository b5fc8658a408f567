"""The question before something is paid for: put on a terminal, never on a pipe."""

import sys

from batchrun.errors import UsageError


def confirm(question: str, *, unasked: str) -> None:
    """Return if the user says yes; UsageError if not.

    Where no terminal can be asked, it is one with *unasked*: why `--yes` is needed.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{unasked}: say so with `--yes`; nothing was sent")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was sent")
