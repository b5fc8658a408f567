"""Real processes on real sockets: batchrun itself, and the simulator beside it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
            process.communicate(timeout=10)


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
        out, err = process.communicate(timeout=100)
    return subprocess.CompletedProcess([*map(str, words)], process.returncode, out, err)


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)
