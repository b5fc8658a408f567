"""A million cells, expanded: cells per second and peak memory.

    python benchmarks/grid.py [--cells N]

Each case runs in a process of its own, because peak memory never goes down. Every cell is hashed,
as a sweep does; none is kept.
"""

import argparse
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
    print(
        f"{case:<10}{count:>10,} cells {loaded - started:>7.2f} s to load {took:>7.2f} s to expand"
        f" {cells / took:>10,.0f} points/s {_peak():>7.0f} MiB peak ({_peak() - before:.0f} more)"
    )


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
