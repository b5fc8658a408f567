"""The time of a look at a sweep: one cell of a long ledger, all of it, and the list of many labels.

    python -m benchmarks.looking [--lines N] [--labels N]

`why` is CPU of a whole process, once the index has caught up, as a ratio to `batchrun --version`,
and to the same of a ledger of four lines; all are taken in turns, and the figures are medians.
`status` and `list` are seconds at the clock on the wall.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from batchrun.manifest.load import load_manifest
from batchrun.results.starts import keep_start, start_of
from batchrun.sweep.identity import Identity, write_identity
from batchrun.sweep.location import LEDGER
from benchmarks.ledger import LINES_PER_CELL, finished_sweep

SCRIPT: Final = "from batchrun.cli import entry; entry()"
BARE: Final = "import sqlite3, msgspec"


def called(*words: str) -> float:
    """Return the milliseconds of CPU of a whole process of python with *words*."""
    environ = {**os.environ}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", *words], check=True, capture_output=True, env=environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def sweep_of(folder: Path, cells: int) -> Path:
    """Make a finished sweep of so many cells, with what a start leaves beside the ledger."""
    sweep = finished_sweep(folder, cells)
    manifest = load_manifest(folder / "bench.yaml", {})
    path = str(manifest.path)
    identity = Identity(
        sweep="k3f9k3f9k3f9k3f9k3f9", name="bench", endpoint="http://127.0.0.1:9", manifest=path
    )
    write_identity(sweep, identity)
    keep_start(sweep, start_of(manifest))
    return sweep


def a_cell(sweep: Path) -> str:
    """Return the key of the ledger's first cell."""
    with (sweep / LEDGER).open(encoding="utf-8") as lines:
        next(lines)
        return next(lines).partition('"cell":"')[2][:32]


def why(lines: int, rounds: int) -> dict[str, float]:
    """Return the milliseconds of each case; the first round, which makes indexes, is left out."""
    with tempfile.TemporaryDirectory() as folder:
        sweeps = {}
        for name, cells in (("long", max(1, lines // LINES_PER_CELL)), ("short", 1)):
            (Path(folder) / name).mkdir()
            sweeps[name] = sweep_of(Path(folder) / name, cells)
        cases: dict[str, Callable[[], float]] = {
            "version": lambda: called(SCRIPT, "--version"),
            "bare": lambda: called(BARE),
            **{
                name: lambda sweep=sweep: called(SCRIPT, "why", str(sweep), a_cell(sweep))  # type: ignore[misc]  # mypy infers no default
                for name, sweep in sweeps.items()
            },
        }
        found: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            for name, measured in cases.items():
                took = measured()
                if number:
                    found.setdefault(name, []).append(took)
        return {name: median(each) for name, each in found.items()}


def status(lines: int) -> float:
    """Return the seconds of `status` on a ledger of so many lines."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = sweep_of(Path(folder), max(1, lines // LINES_PER_CELL))
        return _seconds("status", str(sweep))


def listing(labels: int, cells: int = 40) -> float:
    """Return the seconds of the first `list` of so many labels, each of so many *cells*."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = sweep_of(Path(folder), cells)
        for number in range(labels - 1):
            label = sweep / f"@{number}"
            label.mkdir()
            for name in (LEDGER, "sweep.json"):
                shutil.copy(sweep / name, label / name)
            shutil.copytree(sweep / "starts", label / "starts")
        return median(_seconds("list", folder) for _ in range(3))


def _seconds(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", SCRIPT, *words], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=400)
    options = parser.parse_args()
    found = why(options.lines, rounds=7)
    for case, took in found.items():
        print(f"{case:<10}{took:>8.1f} ms CPU")
    print(f"why / --version         {found['long'] / found['version']:.2f}")
    print(f"why / why, short ledger {found['long'] / found['short']:.2f}")
    print(f"status  {status(options.lines):.1f} s")
    print(f"list    {listing(options.labels):.2f} s")


if __name__ == "__main__":
    main()
