"""The loop of a call: what wakes it, and that it leaves when it is asked to."""

from dataclasses import dataclass, field
from pathlib import Path

import anyio
from engine_world import Listener, World
from simulated import Runflow

from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.settings import Settings

MANY = """\
models: [google/nano-banana-2]
inputs: {prompt: a, seed: {$range: [1, 800]}}
limits: {concurrency: 800, rate: 1000/s}
"""


@dataclass
class Walk(Listener):
    """Says when the walk has passed 400 cells that are done."""

    amid: anyio.Event = field(default_factory=anyio.Event)

    def passed(self, *, bad: str = "") -> None:
        super().passed(bad=bad)
        if len(self.earlier) == 400:
            self.amid.set()


@dataclass
class Interrupted(World):
    """A call that is interrupted amid its walk of the grid; from then on no poll is answered."""

    at: float | None = None

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        async def interrupt() -> None:
            assert isinstance(self.listener, Walk)
            await self.listener.amid.wait()
            self.service.latency = 100_000.0
            self.at = anyio.current_time()
            runner.shutdown.interrupt("interrupted by SIGINT", drain=False)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            stops = await super().run(runner, settings)
            tasks.cancel_scope.cancel()
        return stops


async def test_an_interrupt_amid_a_long_walk_of_the_grid_is_obeyed_at_once(tmp_path: Path) -> None:
    service = Runflow(duration=lambda number: 1e6 if number == 0 else 1.0)
    await World(tmp_path, service, text=MANY).call(download=False, max_duration=60.0, batch=1)
    world = Interrupted(tmp_path, service, text=MANY, listener=Walk())

    with anyio.move_on_after(3600.0):
        await world.call(download=False, batch=1)

    assert world.at is not None
    assert anyio.current_time() - world.at < 3.0
