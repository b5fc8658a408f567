"""`python -m golden`, with tests/ on the path: compare; with `--write`: write the answers anew.

The golden files change only with a reason. A cell's key that changes makes its users pay again, a
setting that changes surprises them, and a ledger that is read otherwise loses runs. So a commit
that writes these files says in its message why, and its author has read each line of the diff.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from golden import files


def main() -> int:
    """Say which answers differ; with `--write` keep those of today."""
    parser = argparse.ArgumentParser(prog="python -m golden", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the answers of today")
    keep = parser.parse_args().write
    differ = sum(_section(section, keep=keep) for section in files.SECTIONS)
    if keep:
        _say("written; these files change only with a reason: give it in the commit's message")
    return 1 if differ and not keep else 0


def _section(section: str, *, keep: bool) -> int:
    """Return how many answers of a section differ."""
    answers: list[Any] = []
    differ = 0
    for each in files.questions(section):
        with tempfile.TemporaryDirectory() as folder:
            answers.append(each.answer(Path(folder)))
        if answers[-1] != each.expected:
            differ += 1
            _say(f"{section}: {each.name} differs")
    if keep:
        files.write(section, answers)
    return differ


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
