"""What callbacks save, in virtual time: a sweep with them, without, and with all of them lost.

    python -m benchmarks.callbacks [--cells N] [--in-flight 16,400] [--shape constant,lognormal]

Reading calls for each run, the seconds until the end of a run is known, and the seconds that the
sweep takes. Durations have a mean of 30 s.
"""

import argparse
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from calling_back import SECRET, URL, Door, Way, lost, straight

from batchrun.engine.run import Runner
from batchrun.receiver.app import App
from batchrun.simulator.caller import Caller
from benchmarks.sweeps import SHAPES, Service, Sweep, nothing, play
from benchmarks.watching import numbers

WAYS: Final[dict[str, Way | None]] = {"with": straight, "without": None, "all lost": lost}


def measure(
    way: Way | None, *, shape: str, cells: int, in_flight: int, rate: float, batches: bool = False
) -> Sweep:
    """Return what a sweep takes whose callbacks go *way*; None: it asks for none."""
    service = Service(SHAPES[shape], batches=batches, secret=SECRET)

    @asynccontextmanager
    async def calling(runner: Runner) -> AsyncIterator[None]:
        door = Door(App([SECRET], runner.hear), way or straight)
        caller = Caller(service.world, base_url="https://x", transport=door)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.run, name="callbacks")
            yield
            tasks.cancel_scope.cancel()

    return play(
        service,
        cells=cells,
        in_flight=in_flight,
        rate=rate,
        beside=nothing if way is None else calling,
        batch=100 if batches else 1,
        callback_url=None if way is None else URL,
    )


def table(found: Iterator[tuple[str, int, str, Sweep]]) -> Iterator[str]:
    yield "shape      in flight  callbacks  reads/run  (lists   gets)  lag s  makespan s"
    for shape, in_flight, name, sweep in found:
        yield (
            f"{shape:<11}{in_flight:>9}  {name:<9}{sweep.looks:>11.3f}"
            f"  ({sweep.lists:.3f}, {sweep.gets:.3f}){sweep.lag:>7.2f}{sweep.makespan:>12.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--in-flight", type=numbers, default=[16, 400])
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--shape", default="constant,even,lognormal")
    parser.add_argument("--batches", action="store_true")
    options = parser.parse_args()

    def found() -> Iterator[tuple[str, int, str, Sweep]]:
        for shape in options.shape.split(","):
            for in_flight in options.in_flight:
                for name, way in WAYS.items():
                    sweep = measure(
                        way,
                        shape=shape,
                        cells=options.cells,
                        in_flight=in_flight,
                        rate=options.rate,
                        batches=options.batches,
                    )
                    yield shape, in_flight, name, sweep

    for line in table(found()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
