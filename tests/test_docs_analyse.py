"""The programs of docs/how-to/analyse.md run, where what they import is installed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from played_pages import BLOCK, furnish, quick, write
from processes import PATIENCE, environment

from batchrun.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "analyse.md"
BLOCKS = BLOCK.findall(PAGE.read_text("utf-8"))
PROGRAMS = [body for language, _, body in BLOCKS if language == "python"]
PACKAGES = ["pandas", "duckdb", "duckdb", "datasets"]


def test_each_program_begins_with_what_it_needs() -> None:
    assert [body.split()[1] for body in PROGRAMS] == PACKAGES


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(len(PACKAGES)))
def test_a_program_of_the_page_runs_and_prints(tmp_path: Path, number: int) -> None:
    needed = [PACKAGES[number], "pyarrow"]
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    furnish(tmp_path)
    for language, name, body in BLOCKS:
        if language == "yaml":
            write(tmp_path / name, body)
    manifest = str(tmp_path / "chairs.yaml")
    with quick():
        assert main([manifest, "--quiet"]) == 0
    assert main(["report", manifest, "--format", "parquet,metadata"]) == 0

    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[number]],
        cwd=tmp_path,
        env={**environment(), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "prompt" in done.stdout or "gpt" in done.stdout
