"""Lives and simulators in processes of their own, begun in milliseconds, from any thread."""

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TESTS: Final = Path(__file__).parent.parent
PATIENCE: Final = 120.0
SECRET: Final = "whsec_0123456789abcdef"
"""What callbacks are signed with, where a life receives any."""

KILLED: Final = -signal.SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What is left of a process: its exit code (KILLED if it was), what it said and passed."""

    code: int
    out: str
    err: str
    passed: Counter[str]

    @property
    def summary(self) -> Any:
        return json.loads(self.out)


class Lab:
    """The forge's other end."""

    def __init__(self, forge: subprocess.Popen[str]) -> None:
        self._forge = forge
        self._numbers = itertools.count()
        self._turn = threading.Lock()
        self._answers: dict[int, queue.Queue[dict[str, int]]] = {}

    def life(
        self,
        folder: Path,
        *words: str,
        name: str,
        kill: tuple[str, int] | None = None,
        kill_after: float | None = None,
    ) -> Life:
        """Run batchrun with *words* in *folder*, to its end or to the passing *kill*.

        *kill_after* kills it after so many seconds, wherever it is then.
        """
        answers, pid = self._begin(folder, words, name, kill=kill, watched=True)
        try:
            code = answers.get(timeout=PATIENCE if kill_after is None else kill_after)["code"]
        except queue.Empty:
            os.kill(pid, signal.SIGKILL)
            code = answers.get(timeout=PATIENCE)["code"]
            assert kill_after is not None, f"{folder}: still there after {PATIENCE} s"
        passed = folder / f"{name}.passed"
        return Life(
            code=code,
            out=(folder / f"{name}.out").read_text("utf-8"),
            err=(folder / f"{name}.err").read_text("utf-8"),
            passed=Counter(json.loads(passed.read_text("utf-8")) if passed.exists() else {}),
        )

    @contextmanager
    def simulator(self, folder: Path, *faults: str, options: Sequence[str] = ()) -> Iterator[str]:
        """Serve `batchrun simulate` with *options*; yield its URL."""
        words = ["simulate", "--port", "0", *options]
        words += [word for fault in faults for word in ("--fault", fault)]
        answers, pid = self._begin(folder, words, "simulator", kill=None, watched=False)
        try:
            yield _url(folder / "simulator.out")
        finally:
            os.kill(pid, signal.SIGKILL)
            answers.get(timeout=PATIENCE)

    def _begin(
        self,
        folder: Path,
        words: Sequence[str],
        name: str,
        *,
        kill: tuple[str, int] | None,
        watched: bool,
    ) -> tuple[queue.Queue[dict[str, int]], int]:
        number = next(self._numbers)
        answers = self._answers[number] = queue.Queue()
        job = {
            "job": number,
            "folder": str(folder),
            "words": words,
            "name": name,
            "kill": kill,
            "watched": watched,
            "environment": {
                "RUNFLOW_API_KEY": "rf_live_crash",
                "RUNFLOW_WEBHOOK_SECRET": SECRET,
            },
        }
        for end in ("out", "err"):  # so that they are there even if it dies at once
            (folder / f"{name}.{end}").write_bytes(b"")
        assert self._forge.stdin is not None
        with self._turn:
            self._forge.stdin.write(json.dumps(job) + "\n")
            self._forge.stdin.flush()
        return answers, answers.get(timeout=PATIENCE)["pid"]

    def listen(self) -> None:
        """Hand out what the forge says, until it says no more."""
        assert self._forge.stdout is not None
        for line in self._forge.stdout:
            answer = json.loads(line)
            self._answers[answer["job"]].put(answer)


@contextmanager
def laboratory() -> Iterator[Lab]:
    """Start a forge, and end it with all that it began."""
    inherited = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{inherited}"}
    environment.pop("RUNFLOW_API_URL", None)
    environment["BATCHRUN_PACE_FOLDER"] = ""  # lives of one sweep follow each other
    with subprocess.Popen(
        [sys.executable, "-m", "crash.forge"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as forge:
        lab = Lab(forge)
        listener = threading.Thread(target=lab.listen, daemon=True)
        listener.start()
        try:
            yield lab
        finally:
            assert forge.stdin is not None
            forge.stdin.close()
            listener.join(PATIENCE)


def _url(path: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text("utf-8")).endswith("\n"):
            return next(word for word in text.split() if word.startswith("http")).rstrip(";")
        time.sleep(0.002)
    raise AssertionError(f"no simulator: {path.with_suffix('.err').read_text('utf-8')}")
