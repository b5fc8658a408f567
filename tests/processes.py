"""batchrun as a process of its own, or called in this one; and the simulator on a real socket.

A process takes a third of a second to begin. So a test starts one only where the process is what it
is about: signals, kills, two at once, what its streams are.
"""

import io
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Final
from unittest import mock

from batchrun.cli import main

PATIENCE: Final = 300.0
"""Seconds after which a process hangs; on the slowest machine nothing that works takes as long."""

BATCHRUN = (sys.executable, "-m", "batchrun")


def environment() -> dict[str, str]:
    return {**os.environ, "RUNFLOW_API_KEY": "rf_live_test", "CI": "1"}


@contextmanager
def simulator(state: Path, *options: str) -> Iterator[str]:
    """Serve the simulator from a thread, with *options* of `batchrun simulate`; yield its URL."""
    from batchrun.commands.simulate import _settings, parser  # noqa: PLC0415  (it takes a second)
    from batchrun.simulator.server import embedded  # noqa: PLC0415

    with embedded(state, settings=_settings(parser().parse_args(options))) as url:
        yield url


@contextmanager
def simulator_process(state: Path, *options: str) -> Iterator[str]:
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


def call(*words: object, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Call the command in this process, with what a process of its own would have."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
    with (
        mock.patch.dict(os.environ, environment() | environ),
        chdir(cwd),
        redirect_stdout(streams[0]),
        redirect_stderr(streams[1]),
    ):
        code = main([*map(str, words)])
    out, err = (_written(stream) for stream in streams)
    return subprocess.CompletedProcess([*map(str, words)], code, out, err)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=PATIENCE) as answer:
        return json.load(answer)


def wait_for_runs(url: str, count: int) -> None:
    """Return when the service has made *count* runs, whoever asked for them."""
    deadline = time.monotonic() + PATIENCE
    while ask(url, "/_simulator/stats")["runs"] < count:
        assert time.monotonic() < deadline, f"not {count} runs"
        time.sleep(0.02)
