"""Tries a bug: its tests run in a copy of the repository that has it, and one of them must fail."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from breakages import ROOT, Breakage

PARTS: Final = ("batchrun", "tests", "docs", "manifests", "README.md", "pyproject.toml")
"""What the tests read, besides themselves."""

LONGEST: Final = 300.0
"""Seconds for the tests of one breakage."""

FAILED: Final = 1
"""Of pytest's exit codes, the one that says that tests ran and failed."""

ELSEWHERE: Final = 64
"""The exit code where another copy of the code was imported. None of pytest's."""

OPTIONS: Final = ("-x", "-q", "-rf", "-p", "no:cacheprovider")

RUN: Final = f"""
import batchrun, pytest, subprocess, sys
home, module, *arguments = sys.argv[1:]
if not batchrun.__file__.startswith(home):
    print("imported", batchrun.__file__)
    sys.exit({ELSEWHERE})
subprocess.run([sys.executable, "-c", "import " + module], check=True)
sys.exit(pytest.main(arguments))
"""
"""Imports the module with the bug apart: pytest wants to be the first to import its plugins. A test
that starts a process would fail, too, where that import fails, and seem to catch the bug."""


SLIP: Final = re.compile(r"\b(NameError: |ImportError: |AttributeError: .* has no attribute )")
"""What a test says of a bug whose text was not moved along with the code."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a trial. *failed* are the tests that failed, *output* is pytest's."""

    code: int
    failed: tuple[str, ...]
    seconds: float
    output: str

    @property
    def caught(self) -> bool:
        """Whether a test ran and failed. An error in an import or a fixture does not count.

        Nor does a bug that uses a name which is gone: it fails every test, and shows nothing.
        """
        return self.code == FAILED and bool(self.failed) and not SLIP.search(self.output)


def try_out(breakage: Breakage) -> Verdict:
    """Return what the breakage's own tests say of it."""
    return _run(breakage.tests, breakage)


def try_without(breakages: Sequence[Breakage]) -> Verdict:
    """Return what the tests of all *breakages* say of the code as it is."""
    return _run(sorted({test for each in breakages for test in each.tests}), None)


def _run(tests: Sequence[str], breakage: Breakage | None) -> Verdict:
    began = time.monotonic()
    name = "batchrun" if breakage is None else breakage.import_name
    with TemporaryDirectory(prefix="breakage-") as folder:
        home = Path(folder).resolve() / "copy"
        _copy(home)
        if breakage is not None:
            module = home / breakage.module
            text = module.read_text(encoding="utf-8")
            module.write_text(breakage.edited(text), encoding="utf-8")
        code, output = _pytest(home, name, tests)
    lines = [line for line in output.splitlines() if line.startswith("FAILED ")]
    failed = tuple(line.removeprefix("FAILED ").partition(" - ")[0] for line in lines)
    return Verdict(code=code, failed=failed, seconds=time.monotonic() - began, output=output)


def _copy(home: Path) -> None:
    caches = shutil.ignore_patterns("__pycache__", ".*")
    home.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, home / part, ignore=caches)
        else:
            shutil.copy2(source, home / part)


def _pytest(home: Path, module: str, tests: Sequence[str]) -> tuple[int, str]:
    """Return the exit code and the output of *tests* in the copy at *home*; -1 for a time-out.

    *module* must be fit to be imported.
    """
    # Another pytest may be around this one: its variables say which worker it is, and of what.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # The first path wins over the one at which the project is installed for development.
    inner = {**outer, "PYTHONPATH": str(home)}
    # Not in the system's own folder, where those of several pytests get in each other's way.
    own = f"--basetemp={home.parent / 'tmp'}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", RUN, f"{home}{os.sep}", module, *OPTIONS, own, *tests],
            cwd=home,
            env=inner,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"longer than {LONGEST:g} s"
    return done.returncode, done.stdout
