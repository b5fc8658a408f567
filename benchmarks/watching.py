"""Looks per run, and how late an end is discovered, in virtual time.

    python -m benchmarks.watching [--cells N] [--wave 50,100,200,500] [--page 100,500]

Durations have a mean of 30 s, spread evenly over ±80 % unless said otherwise. A look is a page of a
listing or the reading of one run. Peers that poll each run every 2 s need 15 looks a run.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from benchmarks.sweeps import SHAPES, Service, Sweep, play


def measure(*, shape: str, page: int, wave: int, cells: int, in_flight: int, rate: float) -> Sweep:
    """Return what a sweep of single runs takes with waves of so many, 0 being the default."""
    changes: dict[str, Any] = {"wave_size": wave} if wave else {}
    service = Service(SHAPES[shape], page=page)
    return play(service, cells=cells, in_flight=in_flight, rate=rate, batch=1, **changes)


def table(found: Iterator[tuple[str, int, int, Sweep]]) -> Iterator[str]:
    yield "shape      page  wave  looks/run  (lists   gets)  lag s  makespan/bound"
    for shape, page, wave, sweep in found:
        yield (
            f"{shape:<9}{page:>6}{wave or 'auto':>6}{sweep.looks:>11.3f}"
            f"  ({sweep.lists:.3f}, {sweep.gets:.3f}){sweep.lag:>7.2f}"
            f"{sweep.makespan / sweep.bound:>10.3f}"
        )


def numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--wave", type=numbers, default=[0], help="0 is the default")
    parser.add_argument("--page", type=numbers, default=[100, 500])
    parser.add_argument("--shape", default="even,constant,lognormal")
    options = parser.parse_args()

    def found() -> Iterator[tuple[str, int, int, Sweep]]:
        for shape in options.shape.split(","):
            for page in options.page:
                for wave in options.wave:
                    sweep = measure(
                        shape=shape,
                        page=page,
                        wave=wave,
                        cells=options.cells,
                        in_flight=options.in_flight,
                        rate=options.rate,
                    )
                    yield shape, page, wave, sweep

    for line in table(found()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
