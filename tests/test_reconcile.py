"""Looks up what became of a POST, where the service's lists don't tell all they should."""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import Runflow, now

from batchrun.base.disk import InlineDisk
from batchrun.ledger.history import State
from batchrun.simulator.life import SECOND

ONE: Final = "models: [google/nano-banana-2]\ninputs: {prompt: a}\n"
TWO: Final = "models: [google/nano-banana-2]\ninputs: {prompt: [a, b]}\n"
SETTLE: Final = 5.0


def states(world: World) -> set[State]:
    return {history.state for history in world.book().histories.values()}


@pytest.mark.parametrize("left_out", [["metadata"], ["client_ref"], ["metadata", "client_ref"]])
@pytest.mark.parametrize("filters", ["yes", "no", "ignored", "empty"])
@pytest.mark.parametrize("word", ["lost", "reset"])
@pytest.mark.parametrize("text", [ONE, TWO])
async def test_a_list_that_leaves_fields_out_pays_nothing_twice(
    tmp_path: Path, left_out: list[str], filters: str, word: str, text: str
) -> None:
    world = World(tmp_path, Runflow(script=[word], filters=filters, left_out=left_out), text=text)

    await world.call(settle=SETTLE, download=False)

    assert set(world.service.paid().values()) == {1}
    assert states(world) == {State.SUCCEEDED}


@pytest.mark.parametrize("filters", ["yes", "no", "empty"])
async def test_what_tells_nowhere_whose_it_is_leaves_a_doubt(tmp_path: Path, filters: str) -> None:
    service = Runflow(script=["lost"], filters=filters, left_out=["metadata"], everywhere=True)
    world = World(tmp_path, service, text=ONE)

    await world.call(settle=SETTLE, download=False)
    await world.call(settle=SETTLE, download=False)

    assert len(service.posts) == 1
    assert states(world) == {State.DOUBTFUL}
    assert any("without its metadata" in note for note in world.listener.notes)


@pytest.mark.parametrize("metadata", [{}, None, {"mine": 1}])
async def test_runs_made_by_hand_leave_no_doubt(tmp_path: Path, metadata: Any) -> None:
    service = Runflow(script=["ok", "reset"], filters="no")
    world = World(tmp_path, service, text=TWO)
    service.add_other(metadata=metadata)

    await world.call(settle=SETTLE, download=False)

    assert len(service.posts) == 3
    assert states(world) == {State.SUCCEEDED}
    assert len(service.runs) == 2


async def test_a_late_run_without_its_reference_is_still_an_extra(tmp_path: Path) -> None:
    service = Runflow(script=["lost"], left_out=["client_ref"], list_lag=SETTLE + 3)
    world = World(tmp_path, service, text=TWO)

    await world.call(settle=SETTLE, download=False)

    assert sorted(service.paid().values()) == [1, 2]
    assert world.book().extras == 1
    assert states(world) == {State.SUCCEEDED}


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2)])
@pytest.mark.parametrize("script", [["hang"], ["ok", "hang"]], ids=["none known", "one known"])
async def test_an_earlier_calls_wrong_clock_ends_no_walk_too_early(
    tmp_path: Path, script: list[str], ahead: timedelta, *, dated: bool
) -> None:
    """In the hour between the calls, thirty other runs were made; pages hold five.

    Only where a run is known a walk may end before the list does.
    """
    service = Runflow(dated=dated, script=[*script], filters="empty", page_cap=5)
    text = TWO if len(script) > 1 else ONE
    world = Begun(tmp_path, service, text=text, clock=lambda: now() + ahead)
    await world.call(settle=SETTLE, download=False, max_duration=5.0)
    await anyio.sleep(1800)
    for _ in range(30):
        service.add_other(client_ref="br1.other.1", metadata={})
        await anyio.sleep(1)  # a walk ends early only where times are seen to fall
    await anyio.sleep(1800)
    world.clock = now

    await world.call(settle=SETTLE, download=False)

    assert len(service.posts) == len(script)
    assert states(world) == {State.SUCCEEDED}


class SlowSecondIntent(InlineDisk):
    """The write of a second attempt's intent takes long; all others take no time."""

    async def write(self, fd: int, data: bytes) -> None:
        if b'"type":"intent"' in data and b'"attempt":2' in data:
            await anyio.sleep(20.0)
        await super().write(fd, data)


@dataclass(kw_only=True)
class Twice(Runflow):
    """The first run has a second one with the same key, which comes to light later."""

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        try:
            return await super().serve(request, word)
        finally:
            if len(self.runs) == 1:
                self._double(self.runs[0].id)

    def _double(self, run_id: str) -> None:
        store = self.world.store
        run = store.run(run_id)
        assert run is not None
        ended, listed = run.ended + 10**11, run.committed + 4 * SECOND
        second = replace(run, number=2, id=str(uuid.UUID(int=777)), ended=ended, listed=listed)
        store.add_run(second)


@pytest.mark.parametrize("settle", [5.0, 6.0, 7.0])
async def test_a_look_up_reads_no_line_that_is_still_being_written(
    tmp_path: Path, settle: float
) -> None:
    service = Twice(
        script=["lost", "reset"],
        duration=lambda number: 4.5 if number == 0 else 1.0,
        ending=lambda number: "failed" if number == 0 else "succeeded",
    )
    text = "models: [google/nano-banana-2]\ninputs: {prompt: [a, b]}\nlimits: {concurrency: 2}\n"
    world = World(tmp_path, service, text=text, disk=SlowSecondIntent())

    stops = await world.call(download=False, settle=settle, batch=1, timeout=60.0)

    assert stops.codes == []
