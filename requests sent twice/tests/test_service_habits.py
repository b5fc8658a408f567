"""Habits of the service last from one call to the next, proofs don't."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_world import World
from ledger_lines import NOON, SWEEP, intent, submitted
from simulated import Runflow

from batchrun.base.disk import InlineDisk
from batchrun.engine.service_habits import FRESH, ServiceHabits
from batchrun.errors import LostLedgerError
from batchrun.ledger.file import open_ledger
from batchrun.ledger.records import Learnt, decode
from batchrun.runflow.service_profile import ServiceProfile
from batchrun.sweep.location import LEDGER

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
    Learnt(page_cap=100),
)


async def test_each_habit_is_recalled(tmp_path: Path) -> None:
    profile = await recalled(tmp_path, *EVERYTHING)

    assert profile == ServiceProfile(
        takes_batches={MODEL: True, "a/b": False},
        wants_https={MODEL},
        page_cap=100,
    )


async def test_a_kept_habit_is_no_proof(tmp_path: Path) -> None:
    profile = await recalled(tmp_path, *EVERYTHING)

    assert not profile.filter_proven
    assert not profile.tags_shown


async def test_a_habit_is_believed_for_a_day(tmp_path: Path) -> None:
    profile = await recalled(tmp_path, *EVERYTHING, later=FRESH + timedelta(seconds=1))

    assert profile == ServiceProfile(takes_batches={MODEL: True, "a/b": False})


async def test_a_habit_is_written_once(tmp_path: Path) -> None:
    with open_ledger(tmp_path, disk=InlineDisk(), clock=lambda: NOON) as ledger:
        profile = ServiceProfile()
        habits = ServiceHabits(ledger, profile)
        await habits.keep()
        assert ledger.end == 0, "nothing has been learnt"
        profile.wants_https.add(MODEL)
        await habits.keep()
        end = ledger.end
        await habits.keep()
        assert ledger.end == end
        profile.page_cap = 50
        await habits.keep()
        assert ledger.book.learnt[None].page_cap == 50
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


MORE = "models: [google/nano-banana-2]\ninputs: {prompt: {$range: [1, 12]}}\n"


@pytest.mark.parametrize("refusal", [{"filters": "no"}, {"filters": "no", "page_cap": 4}])
async def test_a_refused_filter_is_asked_again_before_anything_is_sent(
    tmp_path: Path, refusal: dict[str, Any]
) -> None:
    """An old copy of the ledger, and a service that was mended meanwhile: nothing is paid twice."""
    service = Runflow(**refusal)
    world = World(tmp_path, service)
    await world.call(download=False)
    copy = (world.folder / LEDGER).read_bytes()
    service.filters = "yes"
    world.text = MORE
    await world.call(download=False)
    for _ in range(30):
        service.add_other(client_ref="br1.other.1", metadata={})
    service.page_cap = 10
    (world.folder / LEDGER).write_bytes(copy)

    with pytest.raises(LostLedgerError):
        raise (await world.call(download=False)).errors[0]

    assert set(service.paid().values()) == {1}


async def test_a_refused_filter_is_asked_for_once_by_each_call(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(filters="no"))
    refused = world.service.world.meter.requests
    await world.call(limit=3, download=False)
    once = refused["list", 400]

    await world.call(download=False)

    assert 0 < once <= 2, "with fields, and without"
    assert refused["list", 400] == 2 * once
    assert set(world.service.paid().values()) == {1}
