"""What batches save, and what waiting for company costs, in virtual time.

    python -m benchmarks.batches [--cells N] [--in-flight C] [--rate R] [--linger 0.25,0.5,1,2]

Each sweep is run with single runs that no rate holds back, with batches likewise, and under a rate
that single runs use up. *linger* is how many intervals of `poll` a freed slot waits for company.
"""

import argparse

from batchrun.engine import batcher
from benchmarks.sweeps import SHAPES, Service, Sweep, play

FREE = 100_000.0
"""Calls a second that hold nobody back."""


def measure(
    *, shape: str, cells: int, in_flight: int, rate: float, batch: int, linger: float | None = None
) -> Sweep:
    """Return what a sweep takes with batches of at most *batch*; 1 is single runs."""
    before = batcher.LINGER
    try:
        batcher.LINGER = before if linger is None else linger  # type: ignore[misc]
        service = Service(SHAPES[shape], batches=True)
        return play(service, cells=cells, in_flight=in_flight, rate=rate, batch=batch)
    finally:
        batcher.LINGER = before  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--linger", default="")
    parser.add_argument("--shape", default="even,constant,lognormal")
    options = parser.parse_args()
    lingers = [float(each) for each in options.linger.split(",") if each] or [batcher.LINGER]
    print("shape       rate  linger  submits/run  looks/run  lag s  makespan/singles")
    for shape in options.shape.split(","):
        for rate in (FREE, options.rate):
            size = {"shape": shape, "cells": options.cells, "in_flight": options.in_flight}
            singles = measure(**size, rate=rate, batch=1)
            rows = [("-", singles)]
            rows += [
                (f"{linger:g}", measure(**size, rate=rate, batch=100, linger=linger))
                for linger in lingers
            ]
            for linger, sweep in rows:
                print(
                    f"{shape:<10}{'free' if rate == FREE else f'{rate:g}/s':>6}{linger:>8}"
                    f"{sweep.submits:>13.3f}{sweep.looks:>11.3f}{sweep.lag:>7.2f}"
                    f"{sweep.makespan / singles.makespan:>12.3f} ({sweep.makespan:.0f} s)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
