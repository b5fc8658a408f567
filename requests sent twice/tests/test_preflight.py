"""Nothing is sent before its wave was checked, and no check holds up another wave."""

from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
from engine_world import World
from simulated import Runflow

TWO_MODELS = """\
models: [{id: google/nano-banana-2, concurrency: 4}, {id: bria/b, concurrency: 4}]
inputs: {prompt: {$range: [1, 20]}}
limits: {concurrency: 8}
"""


@dataclass(kw_only=True)
class Hanging(Runflow):
    """It never answers the first listing of the second wave."""

    hung: bool = False

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.hung and request.url.params.get("q", "").endswith(".2'"):
            self.hung = True
            await anyio.sleep(10_000)
        return await super().answer(request)


async def test_a_check_of_one_wave_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    service = Hanging()
    world = World(tmp_path, service, text=TWO_MODELS)

    await world.call(download=False)

    assert service.hung
    first, *before = [at for at, _, _ in world.service.posts if at < 100.0]
    assert first < before[0]
    assert len(before) == 20, "the first wave's requests waited for the second wave's check"
    assert set(world.service.paid().values()) == {1}
    assert len(world.service.runs) == 40
