"""Real processes on real sockets: batchrun itself, and the simulator beside it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PATIENCE: Final = 300.0
"""Seconds after which a process hangs; on the slowest machine nothing that works takes as long."""

BATCHRUN = (sys.executable, "-m", "batchrun")


def environment() -> dict[str, str]:
    return {**os.environ, "RUNFLOW_API_KEY": "rf_live_test", "CI": "1"}


@contextmanager
def simulator(state: Path, *options: str) -> Iterator[str]:
    """Serve the simulator in a process of its own; yield its URL."""
    command = [*BATCHRUN, "simulate", "--port", "0", "--state", str(state), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield next(word for word in line.split() if word.startswith("http")).rstrip(";")
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def start(*words: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*BATCHRUN, *map(str, words)],
        cwd=cwd,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    with start(*words, cwd=cwd) as process:
        out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess([*map(str, words)], process.returncode, out, err)


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=PATIENCE) as answer:
        return json.load(answer)


def wait_for_runs(url: str, count: int) -> None:
    """Return when the service has made *count* runs, whoever asked for them."""
    deadline = time.monotonic() + PATIENCE
    while ask(url, "/_simulator/stats")["runs"] < count:
        assert time.monotonic() < deadline, f"not {count} runs"
        time.sleep(0.02)
