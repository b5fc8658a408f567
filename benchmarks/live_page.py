"""What it costs to keep the page of results up while a sweep runs.

    python -m benchmarks.live_page [--cells 10000,100000] [--in-flight C] [--speed X] [--rate R]
        [--rest SECONDS]

A real call sends so many cells to `batchrun simulate`, each in a process of its own; nothing is
downloaded. The call's main thread is sampled by a timer of its CPU. A round is one writing of the
page and the results, by the process that the call starts for it. With --rest it rests for no longer
than so many seconds: what it costs is of no account then, but what each round writes is shown.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
from msgspec import Struct
from msgspec import json as typed_json
from msgspec.structs import asdict

from batchrun.cli import main as batchrun_main
from batchrun.commands import execute, live_page  # noqa: F401  (imported late by the command line)
from batchrun.report.data_files import FOLDER
from batchrun.results.result_files import REPORT, RESULTS_CSV, RESULTS_JSONL
from benchmarks.rooms import Timer, modules

KEY = "rf_live_benchmark"
MODEL = "google/nano-banana-2"
LIVE = "batchrun.commands.live_page"
AT_END = "batchrun.report"

Files = dict[str, tuple[int, int]]
"""Inode and size of each file, by its name."""


class Round(Struct, frozen=True, kw_only=True):
    """One writing: when it began, its CPU in seconds, the chunks and bytes that it wrote.

    *again* counts those of the chunks that were there before, unchanged.
    """

    at: float
    cpu: float
    chunks: int
    again: int
    data: int
    results: int


class Found(Struct, frozen=True, kw_only=True):
    """A call: its seconds on the wall and of CPU, and the shares of its own CPU."""

    cells: int
    wall: float
    cpu: float
    keeping_up: float
    at_end: float
    rounds: list[Round]

    @property
    def of_call(self) -> float:
        """All that keeping the page up takes, in this process and the other, by the call's CPU."""
        return self.keeping_up + self.process / self.cpu

    @property
    def process(self) -> float:
        return sum(each.cpu for each in self.rounds)


class Sampler(Timer):
    """Counts the seconds of CPU within a module or below it, while it is entered."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.seconds = dict.fromkeys(names, 0.0)

    def take(self, took: float, frame: FrameType | None) -> None:
        found = set(modules(frame))
        for name in self.seconds:
            if any(f"{each}.".startswith(f"{name}.") for each in found):
                self.seconds[name] += took


def files(folder: Path) -> Files:
    found = [*(folder / name for name in (RESULTS_JSONL, RESULTS_CSV, REPORT))]
    data = folder / FOLDER
    found += data.iterdir() if data.exists() else ()
    states = {path.name: path.stat() for path in found if path.exists()}
    return {name: (each.st_ino, each.st_size) for name, each in states.items()}


def written(before: Files, after: Files, *, at: float, cpu: float) -> Round:
    same = {name for name, state in after.items() if before.get(name) == state}
    new = {name: size for name, (_, size) in after.items() if name not in same}
    chunks = {name: size for name, size in new.items() if name.endswith(".js")}
    return Round(
        at=at,
        cpu=cpu,
        chunks=len(chunks),
        again=len(chunks.keys() & before.keys()),
        data=sum(chunks.values()),
        results=sum(new.values()) - sum(chunks.values()),
    )


def measure(url: str, cells: int, in_flight: int, rate: float) -> Found:
    """Return what a call of this process comes to."""
    rounds: list[Round] = []
    write = live_page.write_page

    async def measured(folder: Path) -> float:
        before, used, at = files(folder), _cpu(resource.RUSAGE_CHILDREN), time.monotonic() - began
        try:
            return await write(folder)
        finally:
            cpu = _cpu(resource.RUSAGE_CHILDREN) - used
            rounds.append(written(before, files(folder), at=at, cpu=cpu))

    live_page.write_page = measured
    with tempfile.TemporaryDirectory() as name, Sampler(LIVE, AT_END) as sampler:
        path = Path(name, "m.yaml")
        path.write_text(
            f"models: [{MODEL}]\ninputs: {{prompt: a chair, seed: {{$range: [1, {cells}]}}}}\n"
            f"limits: {{concurrency: {in_flight}, rate: {rate}/s}}\noutputs: {{download: false}}\n"
        )
        began, used = time.monotonic(), _cpu(resource.RUSAGE_SELF)
        assert batchrun_main([str(path), "--endpoint", url, "--quiet", "--no-progress"]) == 0
        wall, cpu = time.monotonic() - began, _cpu(resource.RUSAGE_SELF) - used
    return Found(
        cells=cells,
        wall=wall,
        cpu=cpu,
        keeping_up=sampler.seconds[LIVE] / cpu,
        at_end=sampler.seconds[AT_END] / cpu,
        rounds=rounds,
    )


def resting(seconds: float) -> Callable[..., Coroutine[Any, Any, None]]:
    async def rest(*_: object, **_rest: object) -> None:
        await anyio.sleep(seconds)

    return rest


def in_process(
    cells: int, *, in_flight: int, speed: float, rate: float, rest: float | None
) -> Found:
    """Return what a call in a process of its own comes to, beside the simulator in another."""
    with simulator(speed) as url:
        words = [sys.executable, "-m", "benchmarks.live_page", "--measure", url]
        words += ["--cells", str(cells), "--in-flight", str(in_flight), "--rate", str(rate)]
        words += [] if rest is None else ["--rest", str(rest)]
        environ = {**os.environ, "RUNFLOW_API_KEY": KEY}
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environ)
    return typed_json.decode(done.stdout.splitlines()[-1], type=Found)


@contextmanager
def simulator(speed: float) -> Iterator[str]:
    words = [sys.executable, "-m", "batchrun", "simulate", "--port", "0", "--speed", str(speed)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\w.:]+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


def _cpu(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def lines(found: Found) -> Iterator[str]:
    yield f"{found.cells:,} cells: {found.wall:.0f} s, of which {found.cpu:.1f} s of CPU"
    yield f"  keeping the page up, of the call's CPU {found.of_call:.2%}"
    yield f"    samples of the call itself           {found.keeping_up:.2%}"
    yield f"    the other process, by the call's CPU {found.process / found.cpu:.2%}"
    yield f"    the other process, of one core       {found.process / found.wall:.2%}"
    yield f"  the page at the call's end, by samples {found.at_end:.2%}"
    for each in found.rounds:
        yield (
            f"  at {each.at:>5.0f} s: {each.cpu:.2f} s of CPU; {each.chunks} chunks with "
            f"{each.data:,} bytes, {each.again} of them unchanged; {each.results:,} bytes of page "
            "and results"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", default="10000,100000")
    parser.add_argument("--in-flight", type=int, default=1000)
    parser.add_argument("--speed", type=float, default=50.0)
    parser.add_argument("--rate", type=float, default=100_000, help="calls a second")
    parser.add_argument("--rest", type=float)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(each) for each in options.cells.split(",")]
    if options.measure is not None:
        if options.rest is not None:
            live_page.rest = resting(options.rest)
        found = measure(options.measure, sizes[0], options.in_flight, options.rate)
        print("\n" + json.dumps(asdict(found), default=asdict))
        return
    for cells in sizes:
        found = in_process(
            cells,
            in_flight=options.in_flight,
            speed=options.speed,
            rate=options.rate,
            rest=options.rest,
        )
        print("\n".join(lines(found)), flush=True)


if __name__ == "__main__":
    main()
