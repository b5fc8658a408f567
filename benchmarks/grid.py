"""A million cells, expanded: cells per second and peak memory.

    python -m benchmarks.grid [--cells N] [--plan]

Each case runs in a process of its own, because peak memory never goes down. Every cell is hashed,
as a sweep does; none is kept. Seconds say little of another machine: so the same points are made
once more, by the least that could do it (itertools.product, json, blake2b), and the times compared.
"""

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from batchrun.cli import main as main_of_batchrun
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest

Found = dict[str, float]
MODELS = "models: [google/nano-banana-2, openai/gpt-image-1.5]\n"


def a_range(_: Path, cells: int) -> str:
    return f"""{MODELS}inputs:
  prompt: "a ${{color}} chair, ${{room}} light"
  aspect_ratio: [1:1, 16:9]
  seed: {{$range: [1, {cells // 20}]}}
vars: {{color: [red, green, blue, black, white], room: studio}}
"""


def rows(folder: Path, cells: int) -> str:
    with (folder / "prompts.csv").open("w", encoding="utf-8") as file:
        file.write("prompt,seed\n")
        for number in range(cells // 4):
            file.write(f'"picture {number}, {"very " * 20}fine",{number}\n')
    return f"{MODELS}rows: prompts.csv\ninputs: {{aspect_ratio: [1:1, 16:9]}}\n"


def excluded(folder: Path, cells: int) -> str:
    return f"{a_range(folder, cells)}exclude: [{{color: red, aspect_ratio: 1:1}}, {{seed: 7}}]\n"


def sampled(folder: Path, cells: int) -> str:
    return f"{a_range(folder, cells)}sample: {{n: 1000}}\n"


CASES: dict[str, Callable[[Path, int], str]] = {
    "range": a_range,
    "rows": rows,
    "exclude": excluded,
    "sample": sampled,
}


def measure(case: str, cells: int, *, planned: bool = False) -> Found:
    """Return seconds to "load" and to "expand", those of "naive", and MiB at "peak" and "more".

    Where it is *planned*, "expand" is what a plan takes from its first line to its last.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.yaml")
        path.write_text(CASES[case](Path(folder), cells), encoding="utf-8")
        before = _peak()
        started = time.process_time()
        manifest = load_manifest(path, {})
        loaded = time.process_time()
        count = _plan(path, cells) if planned else sum(1 for _ in expand(manifest))
        expanded = time.process_time()
    peak = _peak()
    return {
        "cells": count,
        "load": loaded - started,
        "expand": expanded - loaded,
        "naive": naive(cells),
        "peak": peak,
        "more": peak - before,
    }


def _plan(path: Path, cells: int) -> int:
    """Plan a manifest whose prices nothing says; return how many cells it has."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        assert main_of_batchrun(["plan", str(path), "--no-progress"]) == 0
    return cells


def in_process(case: str, cells: int, *, planned: bool = False) -> Found:
    """Return the same of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.grid", "--case", case, "--cells", str(cells)]
    command += ["--plan"] * planned
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: Found = json.loads(text)
    return found


def told(case: str, cells: int, found: Found) -> str:
    return (
        f"{case:<10}{found['cells']:>10,.0f} cells {found['load']:>7.2f} s to load"
        f" {found['expand']:>7.2f} s to expand {cells / found['expand']:>10,.0f} points/s"
        f" {found['expand'] / found['naive']:>6.2f} x naive"
        f" {found['peak']:>7.0f} MiB peak ({found['more']:.0f} more)"
    )


def naive(cells: int) -> float:
    """Return the seconds that a bare product of as many points takes, each hashed as JSON."""
    models = ("google/nano-banana-2", "openai/gpt-image-1.5")
    colors = ("red", "green", "blue", "black", "white")
    started = time.process_time()
    for color, ratio, seed, model in itertools.product(
        colors, ("1:1", "16:9"), range(1, cells // 20 + 1), models
    ):
        sent = {"prompt": f"a {color} chair, studio light", "aspect_ratio": ratio, "seed": seed}
        text = json.dumps([model, sent, 1], sort_keys=True, separators=(",", ":"))
        hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return time.process_time() - started


def _peak() -> float:
    """Return the MiB this process held at most: getrusage would tell of its parent, too."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--plan", action="store_true", help="measure `batchrun plan`")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.cells, planned=options.plan)))
        return
    for case in CASES:
        found = in_process(case, options.cells, planned=options.plan)
        print(told(case, options.cells, found), flush=True)


if __name__ == "__main__":
    main()
