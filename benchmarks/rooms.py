"""Where the time of one lifecycle goes: the share that each room has of the CPU.

    python -m benchmarks.rooms [--runs N] [--in-flight C]

A timer of the process's CPU interrupts the main thread, and what that has used since the last time
goes to the innermost frame that is of a room: C and the standard library count as their caller's.
A profiler that counts calls would inflate small functions; samples don't. The other thread is the
disk's, which the ledger writes and syncs in.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from types import FrameType
from typing import Self

from benchmarks.instant import instant
from benchmarks.lifecycles import with_batchrun

INTERVAL = 0.001  # seconds of CPU; the kernel makes it what it can
RUNFLOW = {"ratelimit": "limiter", "http": "transport"}
PACKAGES = {"manifest": "manifest and grid", "results": "results", "commands": "command line"}
LIBRARIES = {
    "httpx": "httpx",
    "h11": "transport",
    "anyio": "event loop",
    "asyncio": "event loop",
    "tqdm": "results",
    "yaml": "manifest and grid",
    "importlib": "imports",
    "_frozen_importlib": "imports",
    "_frozen_importlib_external": "imports",
}
LEDGER, DISK, REST = "ledger", "the disk's thread", "the rest"

Shares = dict[str, float]


def room_of(module: str) -> str | None:
    """Return the room of a module, ours or a library's, if it is in one."""
    package, *within = module.split(".")
    match within:
        case ["runflow", name, *_] if package == "batchrun":
            return RUNFLOW.get(name, "client")
        case [room, _, *_] if package == "batchrun":
            return PACKAGES.get(room, room)
    return "command line" if package == "batchrun" else LIBRARIES.get(package)


class Timer(ABC):
    """Calls `take` again and again with the seconds of CPU since then, while it is entered."""

    def __init__(self) -> None:
        self._last = 0.0

    @abstractmethod
    def take(self, took: float, frame: FrameType | None) -> None:
        """Count *took* for what *frame* is in."""

    def __enter__(self) -> Self:
        signal.signal(signal.SIGPROF, self._sample)
        self._last = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        self.take(time.thread_time() - self._last, frame)
        self._last = time.thread_time()


class Sampler(Timer):
    """Counts seconds by room while it is entered; `within` are those with the ledger's calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = defaultdict(float)
        self.within = 0.0

    def take(self, took: float, frame: FrameType | None) -> None:
        rooms = list(filter(None, map(room_of, modules(frame))))
        self.seconds[rooms[0] if rooms else REST] += took
        self.within += took * (LEDGER in rooms)


def modules(frame: FrameType | None) -> Iterator[str]:
    """Yield the name of each frame's module, the innermost first."""
    while frame is not None:
        yield frame.f_globals.get("__name__", "")
        frame = frame.f_back


def shares(url: str, model: str, *, runs: int, in_flight: int) -> tuple[Shares, float]:
    """Return each room's share of the CPU of a whole call, and the ledger's with all it calls."""
    process, thread = _cpu(), time.thread_time()
    with Sampler() as sampler:
        with_batchrun(url, runs, in_flight, model=model)
    total = _cpu() - process
    disk = total - (time.thread_time() - thread)
    found = {room: seconds / total for room, seconds in sampler.seconds.items()}
    return found | {DISK: disk / total}, (sampler.within + disk) / total


def in_process(model: str, *, runs: int, in_flight: int) -> tuple[Shares, float]:
    """Return the shares of a call in a process of its own."""
    with instant() as url:
        command = [sys.executable, "-m", "benchmarks.rooms", "--measure", url, model]
        command += ["--runs", str(runs), "--in-flight", str(in_flight)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rooms, ledger = json.loads(text.splitlines()[-1])
    return rooms, ledger


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = {"runs": options.runs, "in_flight": options.in_flight}
    if options.measure is not None:
        print("\n" + json.dumps(shares(*options.measure, **size)))
        return
    for model in ("single/model", "runflow/model"):
        rooms, ledger = in_process(model, **size)
        print(model)
        for room, share in sorted(rooms.items(), key=lambda item: -item[1]):
            print(f"  {room:<20}{share:>7.1%}")
        print(f"  ledger in all       {ledger:>7.1%}")


if __name__ == "__main__":
    main()
