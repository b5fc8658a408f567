"""Manifests that are no files: what they are called in messages, and on a command line. Pure."""

import shlex
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

DASH: Final = "-"
"""What a command line calls standard input."""

STDIN: Final = "<stdin>"
MAPPING: Final = "<mapping>"
"""The names of a manifest that came on standard input, and of one that is a value of Python."""


def is_no_file(path: PurePath) -> bool:
    """Say whether *path* only stands for a manifest; what it holds came in another way."""
    return path.name in {DASH, STDIN, MAPPING}


def joined(words: Sequence[str]) -> str:
    """Return *words* as one types them; a manifest on standard input is still to be given there."""
    command = shlex.join(words)
    return f"{command} < MANIFEST" if DASH in words else command
