"""Standard output that goes away, is full, or can't spell: what was done counts."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from processes import BATCHRUN, PATIENCE, environment

pytestmark = pytest.mark.slow

MANIFEST = """\
models: [google/nano-banana-2]
inputs: {prompt: [a chair, a stool]}
limits: {rate: 100/s}
poll: {interval: 100ms}
outputs: {download: false}
endpoint: simulator
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return tmp_path


def shell(line: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run *line*, in which `batchrun` is the command."""
    return subprocess.run(
        ["bash", "-c", line.replace("batchrun", " ".join(BATCHRUN))],
        cwd=folder,
        env=environment() | environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_closed_output_is_no_failure(folder: Path) -> None:
    done = shell("batchrun m.yaml >&-", folder)
    silent = shell("batchrun m.yaml --label silent <&- >&- 2>&-", folder)
    status = shell("batchrun status m.yaml --label silent", folder)

    assert (done.returncode, silent.returncode, status.returncode) == (0, 0, 0)
    assert "Traceback" not in done.stderr
    assert status.stdout.splitlines()[-1] == "all 2 done"


def test_a_reader_that_has_gone_changes_no_exit_code(folder: Path) -> None:
    done = shell("batchrun m.yaml --json | true; exit ${PIPESTATUS[0]}", folder)
    read_only = [
        shell(f"batchrun {name} m.yaml | true; exit ${{PIPESTATUS[0]}}", folder)
        for name in ("status", "plan")
    ]

    assert [each.returncode for each in (done, *read_only)] == [0, 0, 0]
    assert all("Error" not in each.stderr for each in (done, *read_only))


def test_a_full_device_behind_the_output_is_said(folder: Path) -> None:
    for words in ("m.yaml", "status m.yaml", "plan m.yaml"):
        done = shell(f"batchrun {words} >/dev/full", folder)

        assert done.returncode == 9
        assert done.stderr.splitlines()[-1] == (
            "batchrun: cannot write to standard output: No space left on device"
        )


def test_a_terminal_of_ascii_gets_what_it_can_show(folder: Path) -> None:
    done = shell("batchrun m.yaml", folder, PYTHONIOENCODING="ascii", LC_ALL="C")

    assert done.returncode == 0
    assert "google-nano-banana-2" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("how", ["full", "no reader", "closed"])
def test_a_stderr_that_takes_nothing_ends_no_call(tmp_path: Path, how: str) -> None:
    (tmp_path / "m.yaml").write_text(
        "models: [google/nano-banana-2]\nendpoint: simulator\n"
        "inputs: {prompt: [a chair, a stool]}\n"
    )
    end = {"full": "2>/dev/full", "no reader": "2> >(exec true)", "closed": "2>&-"}[how]
    command = f"sleep 0.2; exec {shlex.join(BATCHRUN)} m.yaml --json {end}"

    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )

    report = json.loads(done.stdout)
    assert (done.returncode, report["exit_code"], report["succeeded"]) == (0, 0, 2)
