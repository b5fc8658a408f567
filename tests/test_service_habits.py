"""Habits of the service last from one call to the next, proofs don't."""

from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from engine_world import World
from ledger_lines import NOON, SWEEP, intent, submitted
from simulated import Runflow

from batchrun.base.disk import InlineDisk
from batchrun.engine.service_habits import FRESH, ServiceHabits
from batchrun.ledger.file import open_ledger
from batchrun.ledger.records import Learnt, decode
from batchrun.runflow.service_profile import ServiceProfile

MODEL = "google/nano-banana-2"


def learnt(world: World) -> list[Learnt]:
    lines = (world.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    return [record for line in lines if isinstance(record := decode(line), Learnt)]


async def recalled(
    folder: Path, *records: Learnt, later: timedelta = timedelta(0)
) -> ServiceProfile:
    """Return what a call knows at its start whose ledger has *records*."""
    with open_ledger(folder, disk=InlineDisk(), clock=lambda: NOON) as ledger:
        await ledger.append(SWEEP, intent(), submitted(), *records)
    profile = ServiceProfile()
    with open_ledger(folder, disk=InlineDisk(), clock=lambda: NOON + later) as ledger:
        ServiceHabits(ledger, profile)
    return profile


EVERYTHING = (
    Learnt(model=MODEL, batches=True),
    Learnt(model="a/b", batches=False),
    Learnt(model=MODEL, https=True),
    Learnt(filter=False),
    Learnt(fields=False, page_cap=100),
)


async def test_each_habit_is_recalled(tmp_path: Path) -> None:
    profile = await recalled(tmp_path, *EVERYTHING)

    assert profile == ServiceProfile(
        takes_batches={MODEL: True, "a/b": False},
        wants_https={MODEL},
        refuses_filter=True,
        refuses_fields=True,
        page_cap=100,
    )


async def test_a_kept_habit_is_no_proof(tmp_path: Path) -> None:
    profile = await recalled(tmp_path, *EVERYTHING)

    assert not profile.filter_proven
    assert not profile.tags_shown


async def test_a_refusal_is_tried_again_after_a_day(tmp_path: Path) -> None:
    profile = await recalled(tmp_path, *EVERYTHING, later=FRESH + timedelta(seconds=1))

    assert profile == ServiceProfile(takes_batches={MODEL: True, "a/b": False})


async def test_a_habit_is_written_once(tmp_path: Path) -> None:
    with open_ledger(tmp_path, disk=InlineDisk(), clock=lambda: NOON) as ledger:
        profile = ServiceProfile()
        habits = ServiceHabits(ledger, profile)
        await habits.keep()
        assert ledger.end == 0, "nothing has been learnt"
        profile.refuses_filter = True
        profile.wants_https.add(MODEL)
        await habits.keep()
        end = ledger.end
        await habits.keep()
        assert ledger.end == end
        profile.page_cap = 50
        await habits.keep()
        assert ledger.book.learnt[None].page_cap == 50
        assert ledger.book.learnt[None].filter is False
        assert ledger.book.learnt[MODEL].https is True

        again = ServiceHabits(ledger, ServiceProfile())
        end = ledger.end
        await again.keep()
        assert ledger.end == end


async def test_a_model_that_took_a_batch_once_takes_batches(tmp_path: Path) -> None:
    with open_ledger(tmp_path, disk=InlineDisk(), clock=lambda: NOON) as ledger:
        habits = ServiceHabits(ledger, ServiceProfile())

        assert await habits.learn_batches(MODEL, takes=False)
        assert not await habits.learn_batches(MODEL, takes=False)
        assert await habits.learn_batches(MODEL, takes=True)
        assert not await habits.learn_batches(MODEL, takes=False)


async def filtered(world: World) -> int:
    """Call, with the first answer lost; return how many requests the service refused to filter."""
    answers = world.service.world.meter.requests
    before = answers["list", 400]
    world.service.script[:] = ["lost"]
    await world.call(settle=5.0)
    return answers["list", 400] - before


async def test_a_refused_filter_is_not_asked_for_again_by_the_next_call(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(filters="no"))
    first = await filtered(world)
    world.text = world.text.replace("[a, b", "[aa, bb")

    second = await filtered(world)

    assert (first > 0, second) == (True, 0)
    assert set(world.service.paid().values()) == {1}
    assert [line.filter for line in learnt(world)] == [False]


@pytest.mark.parametrize("filters", ["yes", "empty"])
async def test_a_filter_that_works_again_is_used_after_a_day(tmp_path: Path, filters: str) -> None:
    world = World(tmp_path, Runflow(filters="no"))
    await filtered(world)
    await anyio.sleep(FRESH.total_seconds() + 1)
    world.service.filters = filters
    world.text = world.text.replace("[a, b", "[aa, bb")

    await filtered(world)

    assert set(world.service.paid().values()) == {1}
    assert world.service.calls["list"] > 0
