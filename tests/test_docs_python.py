"""docs/python.md: its blocks run one after another, print what they say, and are typed."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from batchrun.commands.help_json import described
from batchrun.python.keywords import NAMES

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs/python.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_blocks_of_the_page_print_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text("\n".join(blocks("python")))

    done = subprocess.run(
        [sys.executable, "page.py"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted("".join(blocks("text")).splitlines())


@pytest.mark.slow
def test_the_blocks_of_the_page_are_typed(tmp_path: Path) -> None:
    checked = typed(tmp_path, "\n".join(blocks("python")))

    assert checked == (0, "")


@pytest.mark.slow
def test_a_slip_in_an_option_is_found_by_types(tmp_path: Path) -> None:
    code, said = typed(
        tmp_path,
        "import batchrun\n"
        "batchrun.run('m.yaml', lable='x')\n"
        "batchrun.plan('m.yaml', concurrency='3')\n"
        "batchrun.strem('m.yaml')\n",
    )

    assert code == 1
    assert [line.split(":")[1] for line in said.splitlines() if "error" in line] == ["2", "3", "4"]


def typed(folder: Path, program: str) -> tuple[int, str]:
    """Return mypy's exit code for a program, and what it says."""
    mypy = pytest.importorskip("mypy.api")
    page = folder / "page.py"
    page.write_text(program)
    words = ["--strict", "--no-error-summary", "--cache-dir", str(folder / "cache"), page.name]
    before = Path.cwd()
    os.chdir(folder)  # not where a configuration is
    try:
        said, _, code = mypy.run(words)
    finally:
        os.chdir(before)
    return code, said


def test_the_page_names_every_option() -> None:
    table = TEXT.partition("## Options")[2].partition("## Other")[0]

    assert set(re.findall(r"`(\w+)`", table)) >= NAMES


def test_the_page_names_every_field_of_the_description() -> None:
    table = TEXT.partition("## Other languages")[2]
    whole = described(["run"])
    [command] = whole["commands"]
    fields = {*whole, *command, *command["options"][0], *command["arguments"][0]}

    assert set(re.findall(r"`(\w+)`", table)) >= fields
