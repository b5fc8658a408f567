"""What a run reserves of a budget before it is known what it costs."""

from decimal import Decimal
from pathlib import Path

import pytest
from engine_world import World
from simulated import Runflow

from batchrun.engine.budget import reservation
from batchrun.ledger.book import ModelFacts


@pytest.mark.parametrize(
    ("max_cost", "estimate", "room", "reserved"),
    [
        (None, None, "5", "5"),  # the first run tells the price, and the others wait for it
        (None, None, "0", None),
        (None, "0.08", "5", "0.08"),
        (None, "0.08", "0.07", None),
        (None, "0", "0", "0"),
        ("0.10", "0.08", "5", "0.10"),
        ("0.10", None, "0.05", None),
        ("0", None, "0", "0"),
    ],
)
def test_what_a_run_reserves(
    max_cost: str | None, estimate: str | None, room: str, reserved: str | None
) -> None:
    facts = ModelFacts(max_cost=None if max_cost is None else Decimal(max_cost))

    found = reservation(facts, None if estimate is None else Decimal(estimate), Decimal(room))

    assert found == (None if reserved is None else Decimal(reserved))


async def test_without_a_known_price_runs_go_one_by_one(tmp_path: Path) -> None:
    service = Runflow()
    world = World(tmp_path, service)

    await world.call(budget=Decimal("0.20"), concurrency=4)

    assert len(service.runs) == 2  # of 0.08 each; a third would be too much
    assert service.most_in_flight == 1
