"""What the ledger costs: memory a cell, the fold, the group commit, a call with nothing to do.

    python -m benchmarks.ledger [--cells N] [--lines N] [--case memory|fold|commit|again]

Times are given as ratios to something that is measured in the same run, because nothing else means
anything on another machine: a streaming json.loads loop over the same file, an append that isn't
durable, `python -c "import httpx"`. The fold's are of the CPU, the others are those of a clock on
the wall. Each case is a function that returns its numbers.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import anyio

from batchrun.base.disk import Disk, InlineDisk, ThreadedDisk
from batchrun.ledger.file import open_ledger
from batchrun.ledger.reader import open_reader
from batchrun.ledger.records import (
    FORMAT,
    AnyRecord,
    Finished,
    Intent,
    Saved,
    SavedFile,
    Submitted,
    Sweep,
    decode,
    encode,
)
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.sweep.location import LEDGER

AT = "2026-05-04T12:00:00.000250Z"
LINES_PER_CELL = 4
IN_FLIGHT = 64
MANIFEST = """\
name: bench
models: [google/nano-banana-2]
inputs: {{prompt: a chair in a studio, seed: {{$range: [1, {cells}]}}}}
endpoint: http://127.0.0.1:9
outputs: {{dir: out}}
"""


def one_life(number: int, key: str) -> Iterator[AnyRecord]:
    """Yield the lines of a cell that was run, ended well and was saved, as a sweep writes them."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    run_id = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
    wave = f"br1.k3f9k3f9k3f9k3f9k3f9.{number // 100 + 1}"
    tag = {"sweep": "k3f9k3f9k3f9k3f9k3f9", "name": "bench", "label": None}
    mine = {"cell": key, "attempt": 1}
    yield Intent(
        at=AT,
        group=number + 1,
        model="google/nano-banana-2",
        alias="google-nano-banana-2",
        client_ref=wave,
        idempotency_key=run_id[::-1],
        body_sha256=digest,
        name=f"google-nano-banana-2/{key[:12]}",
        metadata={"batchrun": {**tag, **mine, "key": run_id[::-1]}},
        input={"prompt": "a chair in a studio", "seed": number + 1},
        **mine,  # type: ignore[arg-type]  # by name
    )
    yield Submitted(at=AT, run_id=run_id, **mine)  # type: ignore[arg-type]  # by name
    yield Finished(
        at=AT,
        run_id=run_id,
        status_code="succeeded",
        cost=Decimal("0.08"),
        duration_ms=9000 + number % 1000,
        created_at="2026-05-04T12:00:00.000000Z",
        completed_at="2026-05-04T12:00:09.000000Z",
        output={"images": [{"url": f"https://cdn.test/{run_id}/0.png", "width": 1024}]},
        **mine,  # type: ignore[arg-type]  # by name
    )
    path = f"files/google-nano-banana-2/{key[:12]}.png"
    file = SavedFile(path=path, bytes=1_234_567, sha256=digest, content_type="image/png")
    yield Saved(at=AT, cell=key, run_id=run_id, files=(file,))


def finished_sweep(folder: Path, cells: int) -> Path:
    """Write a manifest of so many cells, and the ledger of a sweep that has done them all."""
    manifest = folder / "bench.yaml"
    manifest.write_text(MANIFEST.format(cells=cells), encoding="utf-8")
    sweep = folder / "out" / "@127.0.0.1-9" / "bench"
    sweep.mkdir(parents=True)
    first = Sweep(
        at=AT,
        format=FORMAT,
        sweep="k3f9k3f9k3f9k3f9k3f9",
        name="bench",
        endpoint="http://127.0.0.1:9",
        manifest_sha256="",
        version="0",
    )
    with (sweep / LEDGER).open("wb") as file:
        file.write(encode(first))
        found = enumerate(expand(load_manifest(manifest, {})))
        file.writelines(map(encode, mixed(one_life(number, cell.key) for number, cell in found)))
    return sweep


def output_files(sweep: Path) -> Iterator[Path]:
    """Yield the files that the ledger of a sweep has as saved."""
    with (sweep / LEDGER).open("rb") as lines:
        for line in lines:
            record = decode(line) if line.startswith(b'{"type":"saved"') else None
            if isinstance(record, Saved):
                yield from (sweep / file.path for file in record.files)


def mixed(lives: Iterable[Iterator[AnyRecord]]) -> Iterator[AnyRecord]:
    """Yield the lines of *lives*, of which as many are under way at a time as in a sweep."""
    chance = random.Random(1)
    lanes: list[Iterator[AnyRecord]] = []
    for life in lives:
        yield next(life)
        lanes.append(life)
        while len(lanes) == IN_FLIGHT:
            yield from _step(lanes, chance.randrange(IN_FLIGHT))
    while lanes:
        yield from _step(lanes, 0)


def _step(lanes: list[Iterator[AnyRecord]], lane: int) -> Iterator[AnyRecord]:
    """Yield the next line of a lane; one that has none left is no lane any more."""
    for record in lanes[lane]:
        yield record
        return
    del lanes[lane]


def memory(cells: int) -> float:
    """Return the bytes that the book of a finished sweep holds for each cell."""
    with tempfile.TemporaryDirectory() as folder:
        path = finished_sweep(Path(folder), cells) / LEDGER
        with open_reader(path):  # what the first ledger alone costs is none of its cells'
            pass
        tracemalloc.start()
        with open_reader(path) as reader:
            held, _ = tracemalloc.get_traced_memory()
            assert len(reader.book.histories) == cells
            tracemalloc.stop()
    return held / cells


def fold(lines: int) -> tuple[float, float]:
    """Return how long a ledger's fold takes: by json.loads over the same lines, and in seconds."""

    def loads() -> None:
        with path.open("rb") as file:
            for line in file:
                json.loads(line)

    def ours() -> None:
        with open_reader(path):
            pass

    with tempfile.TemporaryDirectory() as folder:
        path = finished_sweep(Path(folder), lines // LINES_PER_CELL) / LEDGER
        theirs, own = interleaved(loads, ours, rounds=3, clock=time.process_time)
    return own / theirs, own


class Careless(InlineDisk):
    """Writes where a durable disk writes, and calls it done."""

    async def write(self, fd: int, data: bytes) -> None:
        os.write(fd, data)


def commit(cells: int, tasks: int = 64) -> tuple[float, float]:
    """Return what share of the records that are appended without being durable a group commit
    takes in the same time, and how many these are a second.
    """

    async def append(folder: Path, disk: Disk) -> None:
        todo = iter(range(cells))

        async def slot() -> None:
            for number in todo:
                for record in one_life(number, f"{number:032x}"):
                    await ledger.append(record)

        with open_ledger(folder, disk=disk) as ledger:
            async with anyio.create_task_group() as group:
                for _ in range(tasks):
                    group.start_soon(slot)

    def timed(disk: Disk) -> Callable[[], None]:
        def run() -> None:
            with tempfile.TemporaryDirectory(dir=".") as folder:
                anyio.run(append, Path(folder), disk)

        return run

    theirs, own = interleaved(timed(Careless()), timed(ThreadedDisk()), rounds=5)
    return theirs / own, cells * LINES_PER_CELL / own


IMPORT_AND_LOOK: Final = """
import httpx, os, sys
for line in open(sys.argv[1]): os.stat(line[:-1])
"""


def again(cells: int) -> tuple[float, float]:
    """Return how long a call takes that finds nothing to do, and its seconds.

    It is a multiple of a process that imports httpx and looks at the same files.
    """
    with tempfile.TemporaryDirectory() as folder:
        sweep = finished_sweep(Path(folder), cells)
        with (Path(folder) / "files.txt").open("w") as names:
            for path in output_files(sweep):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"a picture")
                names.write(f"{path}\n")
        environment = {**os.environ, "RUNFLOW_API_KEY": "none"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else only we are compiled each time

        def run(*words: str) -> Callable[[], None]:
            def call() -> None:
                subprocess.run(
                    [sys.executable, *words],
                    check=True,
                    cwd=folder,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                )

            return call

        ours = run("-m", "batchrun", "bench.yaml", "--no-progress", "--trust-key")
        ours()  # the first writes the results
        theirs, own = interleaved(run("-c", IMPORT_AND_LOOK, "files.txt"), ours, rounds=5)
    return own / theirs, own


def interleaved(
    *works: Callable[[], None], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the median seconds of each of *works*, measured in turn."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, took in zip(works, seconds, strict=True):
            started = clock()
            work()
            took.append(clock() - started)
    return [statistics.median(each) for each in seconds]


def tell_memory(cells: int) -> None:
    print(f"memory    {cells:>9,} cells: {memory(cells):.0f} bytes a cell")


def tell_fold(lines: int) -> None:
    ratio, seconds = fold(lines)
    print(f"fold      {lines:>9,} lines: {ratio:.2f} of json.loads ({seconds:.2f} s)")


def tell_commit(cells: int) -> None:
    for tasks in (64, 1000):
        ratio, rate = commit(cells, tasks)
        print(f"commit    {tasks:>9,} tasks: {ratio:.2f} of not durable ({rate:,.0f} records/s)")


def tell_again(cells: int) -> None:
    ratio, seconds = again(cells)
    print(f"again     {cells:>9,} cells: {ratio:.1f} times `import httpx` ({seconds:.2f} s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=["memory", "fold", "commit", "again"])
    parser.add_argument("--cells", type=int)
    parser.add_argument("--lines", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.case in {None, "memory"}:
        for cells in [options.cells] if options.cells else [10_000, 100_000, 1_000_000]:
            tell_memory(cells)
    if options.case in {None, "fold"}:
        tell_fold(options.lines)
    if options.case in {None, "commit"}:
        tell_commit(options.cells or 5_000)
    if options.case in {None, "again"}:
        tell_again(options.cells or 100_000)


if __name__ == "__main__":
    main()
