"""Deliberate bugs, each with the tests that catch it.

A test that no bug can fail proves nothing. `list.toml` holds the bugs: the code as it is, the code
as a careless change could leave it, the promise that this breaks, and the tests of which one must
fail then. The code moves with a refactoring; its breakages move with it. A text that is no longer
found fails a test of the default run.

    PYTHONPATH=tests python -m breakages            all of them, a few minutes
    PYTHONPATH=tests python -m breakages fsync 409  those with one of these texts in their names
    pytest -m nightly tests/test_breakages.py        the same, as tests
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
LIST: Final = Path(__file__).with_name("list.toml")


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """One bug: *old* stands once in *module*, a path below the repository, and *new* replaces it.

    *promise* says what users would lose; *tests* are the ids of tests, one of which must fail.
    """

    name: str
    promise: str
    module: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def import_name(self) -> str:
        """The module as an import statement names it."""
        return self.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def edited(self, text: str) -> str:
        """Return *text* with the bug in it; ValueError where its place is not found, or not one."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(
                f"{self.name!r}: its old text stands {found} times in {self.module}; "
                f"move the breakage along with the code, in {LIST.name}"
            )
        return text.replace(self.old, self.new)


def load(path: Path = LIST) -> list[Breakage]:
    """Return the breakages of a list, in its order."""
    told: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["breakage"]
    return [Breakage(**{**each, "tests": tuple(each["tests"])}) for each in told]
