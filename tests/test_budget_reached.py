"""What a budget allows over the ledger's life: calls with and without one, in virtual time."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from engine_world import World
from simulated import Runflow
from test_post_outcomes import crowded, parked

from batchrun.engine.in_flight import Attempt, InFlight, Share
from batchrun.errors import most_severe

MANY = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 20]}}
limits: {concurrency: 4, rate: 10/s, settle: 5s}
"""
PRICE = Decimal("0.08")  # what a run costs; the models have no descriptions


def test_what_all_reserve_is_counted_through_every_change() -> None:
    live = InFlight(concurrency=9, per_alias={})
    attempts = [
        Attempt(key=f"{n}", number=1, alias="a", model="a/b", name="", reserved=PRICE * (n % 2))
        for n in range(4)
    ]
    for attempt in attempts:
        live.begin(attempt)
    live.reserve(attempts[0], None, choice="c")
    live.reserve(attempts[1], PRICE * 2)
    live.end(attempts[2])
    live.date(attempts[3], "2026-11-29")

    shares = [
        Share("a", "c", None),
        Share("a", "", PRICE * 2),
        Share("a", "", PRICE, "2026-11-29"),
    ]
    assert live.shares == Counter(each.share for each in live) == Counter(shares)


async def in_doubt(path: Path, *, sends: int = 4) -> World:
    """Return a sweep of which a call without a budget has left *sends* cells in doubt."""
    world = World(path, Runflow(script=["reset"] * sends), text=MANY)
    await world.call(max_duration=20.0, settle=60.0, concurrency=sends)
    assert len(world.book().open) == sends
    return world


async def test_a_resend_stops_at_the_budget_like_a_first_send(tmp_path: Path) -> None:
    world = await in_doubt(tmp_path)

    stops = await world.call(budget=Decimal("0.10"))

    assert most_severe(stops.codes) == 6
    assert len(world.service.runs) == 1
    assert all("budget" in reason for reason in parked(world))


async def test_what_the_budget_kept_from_being_sent_again_goes_on_with_a_larger_one(
    tmp_path: Path,
) -> None:
    world = await in_doubt(tmp_path)
    await world.call(budget=Decimal("0.10"))

    stops = await world.call(budget=Decimal(5))

    assert stops.codes == []
    assert sorted(world.service.paid().values()) == [1] * 20


async def test_a_resend_waits_until_the_first_run_has_told_the_price(tmp_path: Path) -> None:
    world = await in_doubt(tmp_path)

    stops = await world.call(budget=Decimal(5))

    assert stops.codes == []
    assert sorted(world.service.paid().values()) == [1] * 20
    assert parked(world) == []


async def test_what_is_not_sent_again_leaves_its_share_to_the_others(tmp_path: Path) -> None:
    world = await in_doubt(tmp_path)
    world.service.forget()
    await world.call(limit=1, concurrency=5)  # the price is known, and nothing is in doubt
    before = len(world.service.runs)
    world.service.script = ["reset"] * 4
    await world.call(max_duration=20.0, settle=60.0)
    assert len(world.book().open) == 4

    stops = await world.call(budget=PRICE * before + Decimal("0.10"))

    assert most_severe(stops.codes) == 6
    assert len(world.service.runs) == before + 1


async def test_runs_in_flight_of_a_call_without_a_budget_count(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(duration=lambda _: 100.0), text=MANY)
    await world.call(max_duration=5.0)
    assert len(world.service.runs) == 4

    stops = await world.call(budget=PRICE * 6, concurrency=16)

    assert most_severe(stops.codes) == 6
    assert (len(world.service.runs), world.book().cost) == (6, PRICE * 6)
    assert "0.48 USD are spent" in str(stops.errors[0])


async def test_a_decision_to_send_again_is_no_way_past_the_budget(tmp_path: Path) -> None:
    world = World(tmp_path, crowded(script=["reset"] * 4), text=MANY)
    await world.call(max_duration=20.0, settle=60.0)

    stops = await world.call(budget=Decimal("0.10"), resubmit_in_doubt=True)

    assert most_severe(stops.codes) == 6
    assert len(world.service.runs) <= 1


async def test_without_a_budget_a_resend_needs_no_room(tmp_path: Path) -> None:
    world = await in_doubt(tmp_path)

    stops = await world.call()

    assert stops.codes == []
    assert sorted(world.service.paid().values()) == [1] * 20


def without_cost(run: dict[str, Any]) -> dict[str, Any]:
    """Show a run that says no more what it cost."""
    return run | {"cost": None}


async def test_runs_in_flight_count_as_four_labels_until_one_has_ended(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(priced=True, duration=lambda _: 100.0), text=MANY)
    await world.call(max_duration=5.0)
    assert len(world.service.runs) == 4

    await world.call(budget=PRICE * 6, concurrency=16, max_duration=50.0)
    assert len(world.service.runs) == 4

    await world.call(budget=PRICE * 6, concurrency=16)
    assert len(world.service.runs) == 6


async def test_a_run_that_shows_no_cost_costs_what_was_reserved(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(priced=True, edit_run=without_cost), text=MANY)

    stops = await world.call(budget=PRICE * 6)
    await world.call(budget=PRICE * 6)

    assert most_severe(stops.codes) == 6
    assert len(world.service.runs) == 2  # of four labels, and of the rest
    assert "2 runs without a known cost, counted as 0.48 USD" in str(stops.errors[0])


async def test_where_no_price_is_known_at_all_one_run_uses_the_budget_up(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(edit_run=without_cost), text=MANY)

    stops = await world.call(budget=Decimal("0.10"))

    assert most_severe(stops.codes) == 6
    assert len(world.service.runs) == 1
    assert "; 1 run without a known cost" in str(stops.errors[0])


@pytest.mark.parametrize(("priced", "runs"), [(True, 5), (False, 4)])
async def test_runs_of_a_call_without_a_budget_that_told_no_cost_count_too(
    tmp_path: Path, *, priced: bool, runs: int
) -> None:
    world = World(tmp_path, Runflow(priced=priced, edit_run=without_cost), text=MANY)
    await world.call(limit=4)
    assert len(world.service.runs) == 4

    stops = await world.call(budget=PRICE * 6)

    assert most_severe(stops.codes) == 6
    assert len(world.service.runs) == runs


async def test_failed_runs_are_not_billed_and_use_nothing_up(tmp_path: Path) -> None:
    failing = Runflow(priced=True, ending=lambda number: "failed" if number < 10 else "succeeded")
    world = World(tmp_path, failing, text=MANY)

    stops = await world.call(budget=PRICE * 20, attempts=11)

    assert stops.codes == []
    assert world.book().cost == PRICE * 20
