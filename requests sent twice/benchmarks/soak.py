"""Kills by the hundred: SIGKILL at any boundary or any moment, under faults that come and go.

    python -m benchmarks.soak [--kills N] [--seed N] [--cells N] [--keep FOLDER]

Prints what it came to: kills, lives, runs, and how many were paid twice or lost. Exits with 1 if
anything is wrong, and says where to look.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash.lab import laboratory
from crash.soak import soak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=300, help="of each sweep")
    parser.add_argument("--keep", type=Path, help="where the sweeps are left to be looked at")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, laboratory() as lab:
        place = options.keep or Path(folder)
        figures = soak(lab, place, kills=options.kills, seed=options.seed, cells=options.cells)
    print(f"{figures}; {time.monotonic() - started:.0f} s")
    for each in figures.wrong:
        print(each)
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
