"""Rewrites the kept traces: all of them, or those that are named.

    PYTHONPATH=tests python -m traces [NAME ...]

It says which ones changed. Why each line of them did belongs into the commit.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from .expectations import NAMES, keep, kept, strays, traced


def main(names: Sequence[str]) -> int:
    if unknown := sorted(set(names) - set(NAMES)):
        sys.stderr.write(f"no scenario of that name: {', '.join(unknown)}\n")
        return 2
    for name in names or NAMES:
        with TemporaryDirectory() as folder:
            text = traced(name, Path(folder)).text
        if text != kept(name):
            keep(name, text)
            sys.stdout.write(f"changed: {name}\n")
    for file in () if names else strays():
        file.unlink()
        sys.stdout.write(f"deleted: {file.stem}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
