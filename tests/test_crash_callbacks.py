"""The crash matrix with callbacks: killed at each boundary of a call, and as one arrives.

What a process has heard is gone with it. The service sends a callback again as long as it isn't
taken. The verdict is that of the matrix without callbacks.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from calling_back import SECRET, URL, Door, Hearing, Way, lost, straight
from crash.mortal import Killed, Mortal, Service
from test_crash_virtual import BATCH_TEXT, TEXT, Case, Kind, play_all

from batchrun.engine.run import Runner
from batchrun.runflow.callbacks import Ended

CALLBACKS = f"callbacks: {{url: {URL}}}\n"
LOST = ["lost", "ok", "lost"]
pytestmark = pytest.mark.timeout(900)


@dataclass
class MortalHearing(Hearing):
    """A process may die as a callback arrives."""

    life: Mortal | None = None

    def hear(self, runner: Runner, ended: Ended) -> None:
        assert self.life is not None
        try:
            self.life.passing("a callback arrives")
            super().hear(runner, ended)
            self.life.passing("a callback is heard")
        except Killed:  # this is another process; the dead one does nothing more
            self.door = None


class Called(Case):
    """A case whose service calls back."""

    way: Way = staticmethod(straight)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runflow.callback_secret = SECRET
        self.world = self.hearing = MortalHearing(
            self.path, self.runflow, text=self.kind.text + CALLBACKS, way=self.way
        )
        self._called = False

    def begin(self, service: Service, life: Mortal) -> None:
        self.hearing.life = life
        if not self._called:
            self._called = True
            service.tasks.start_soon(self.hearing.caller().run, name="callbacks")


async def twice(door: Door, request: httpx.Request) -> httpx.Response:
    """Let each callback arrive twice."""
    body = await request.aread()
    await door.post(body)
    return httpx.Response(await door.post(body))


async def forged(door: Door, request: httpx.Request) -> httpx.Response:
    """Let another's signature stand below each callback."""
    return httpx.Response(await door.post(await request.aread(), "whsec_of_another"))


async def unsigned(door: Door, request: httpx.Request) -> httpx.Response:
    """Let each callback arrive without a signature."""
    return httpx.Response(await door.post(await request.aread(), None))


async def lying(door: Door, request: httpx.Request) -> httpx.Response:
    """Let each callback say that its run has failed."""
    said = json.loads(await request.aread())
    said |= {"event": "run.failed", "status": "failed"}
    return httpx.Response(await door.post(json.dumps(said).encode()))


async def of_strangers(door: Door, request: httpx.Request) -> httpx.Response:
    """Let each callback be about a run that no one knows."""
    said = json.loads(await request.aread())
    said["run_id"] = said["run_id"][::-1]
    return httpx.Response(await door.post(json.dumps(said).encode()))


KINDS: dict[str, Kind] = {
    "answers lost": Kind(service={"script": LOST}),
    "listed late": Kind(service={"list_lag": 4.0, "script": LOST}),
    "committed after settle": Kind(late=8.0),
    "filter refused": Kind(service={"filters": "no", "script": LOST}),
    "a batch": Kind(service={"batches": "yes"}, text=BATCH_TEXT),
    "a batch whose answer is lost": Kind(
        service={"batches": "yes", "script": LOST}, text=BATCH_TEXT
    ),
}


@pytest.mark.parametrize("name", KINDS)
async def test_whenever_a_call_dies_that_hears_of_ends(
    tmp_path: Path, name: str, anyio_backend_name: str
) -> None:
    kind = KINDS[name]
    every = 15 if anyio_backend_name == "trio" else 4

    played, extra = await play_all(tmp_path, kind, every=every, make=Called)

    assert played > 2
    assert extra == 0 or kind.late


@pytest.mark.parametrize("wrong", [lost, twice, forged, unsigned, lying, of_strangers])
async def test_whenever_a_call_dies_whose_callbacks_go_wrong(tmp_path: Path, wrong: Way) -> None:
    class Wrong(Called):
        way: Way = staticmethod(wrong)

    played, extra = await play_all(tmp_path, KINDS["answers lost"], every=10, make=Wrong)

    assert played > 2
    assert extra == 0


async def test_a_call_dies_as_a_callback_arrives(tmp_path: Path) -> None:
    undisturbed = Called(tmp_path / "undisturbed", Kind(text=TEXT))
    await undisturbed.play([])
    wanted: tuple[Any, Any] = undisturbed.states(), undisturbed.files()

    for name in ("a callback arrives", "a callback is heard"):
        for number in (1, 2, 3):
            case = Called(tmp_path / f"{name} {number}", Kind(text=TEXT))
            life = Mortal((name, number))
            await case.play([life])
            assert life.dead
            assert case.judge(*wanted) == 0
