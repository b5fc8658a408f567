"""A million cells, expanded: cells per second and peak memory.

    python benchmarks/grid.py [--cells N]

Each case runs in a process of its own, because peak memory never goes down. Every cell is hashed,
as a sweep does; none is kept. Seconds say little of another machine: so the same points are made
once more, by the least that could do it (itertools.product, json, blake2b), and the times compared.
"""

import argparse
import hashlib
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from batchrun.manifest.grid import expand
from batchrun.manifest.load import load_manifest

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


def measure(case: str, cells: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.yaml")
        path.write_text(CASES[case](Path(folder), cells), encoding="utf-8")
        before = _peak()
        started = time.perf_counter()
        manifest = load_manifest(path, {})
        loaded = time.perf_counter()
        count = sum(1 for _ in expand(manifest))
        took = time.perf_counter() - loaded
    peak = _peak()
    least = naive(cells)
    print(
        f"{case:<10}{count:>10,} cells {loaded - started:>7.2f} s to load {took:>7.2f} s to expand"
        f" {cells / took:>10,.0f} points/s {took / least:>6.2f} x naive"
        f" {peak:>7.0f} MiB peak ({peak - before:.0f} more)"
    )


def naive(cells: int) -> float:
    """Return the seconds that a bare product of as many points takes, each hashed as JSON."""
    models = ("google/nano-banana-2", "openai/gpt-image-1.5")
    colors = ("red", "green", "blue", "black", "white")
    started = time.perf_counter()
    for color, ratio, seed, model in itertools.product(
        colors, ("1:1", "16:9"), range(1, cells // 20 + 1), models
    ):
        sent = {"prompt": f"a {color} chair, studio light", "aspect_ratio": ratio, "seed": seed}
        text = json.dumps([model, sent, 1], sort_keys=True, separators=(",", ":"))
        hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return time.perf_counter() - started


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--case", choices=CASES)
    options = parser.parse_args()
    if options.case:
        measure(options.case, options.cells)
        return
    for case in CASES:
        command = [sys.executable, __file__, "--case", case, "--cells", str(options.cells)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
