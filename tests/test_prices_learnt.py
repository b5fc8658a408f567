"""Budgets against prices that a service doesn't say: each is learnt from the first run of a choice.

Runs cost what a table says that no client can see. The overshoot is bounded all the same.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from engine_world import World
from simulated import AnyModel, Runflow, now

from batchrun.errors import most_severe
from batchrun.ledger.records import AnyRecord, Priced, decode
from batchrun.simulator.catalog import Model, choice, number, text
from batchrun.sweep.location import LEDGER

CostOf = Callable[[Mapping[str, Any]], str]

QUALITY: Final = choice("quality", "low", "high")
LABELLED: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 60]}}
limits: {concurrency: 50, rate: 100/s, settle: 5s}
"""
TWO: Final = """\
models: [openai/gpt-image-1.5]
inputs: {prompt: {$range: [1, 30]}, quality: [low, high]}
limits: {concurrency: 16, rate: 100/s, settle: 5s}
"""


class Labelled(AnyModel):
    """Each model takes a prompt and a quality, and its label says *label* an image."""

    def __init__(self, label: str) -> None:
        self._label = Decimal(label)

    def __missing__(self, key: str) -> Model:
        prompt = number("prompt", 0, 10_000)
        width = number("width", 1, 10_000)
        size = text("size")
        inputs = (prompt, width, size, QUALITY)
        return Model(id=key, inputs=inputs, price=self._label, unit="image")


def service(cost_of: CostOf, *, label: str | None = None, **options: Any) -> Runflow:
    """Return a service whose runs cost what *cost_of* says of their inputs, "" for nothing yet."""
    made = Runflow(models=AnyModel(), **options)
    if label is not None:
        made = Runflow(models=Labelled(label), priced=True, **options)

    def edit(run: dict[str, Any]) -> dict[str, Any]:
        known = made.world.store.run(run["id"])
        if run.get("cost") is None or known is None:
            return run
        return run | {"cost": cost_of(json.loads(known.input)) or None}

    made.edit_run = edit
    return made


def billed(world: World, cost_of: CostOf) -> Decimal:
    """Return what the service bills for all that it made."""
    good = [run for run in world.service.runs if run.status == "succeeded"]
    return sum((Decimal(cost_of(run.input)) for run in good), Decimal(0))


async def test_a_label_far_below_the_cost_is_noticed_by_one_run(tmp_path: Path) -> None:
    world = World(tmp_path, service(lambda _: "0.15", label="0.01"), text=LABELLED)

    stops = await world.call(budget=Decimal("0.60"))

    assert most_severe(stops.codes) == 6
    assert billed(world, lambda _: "0.15") == world.book().cost == Decimal("0.60")
    first, *others = sorted(run.created for run in world.service.runs)
    assert all(created > first + 10.0 for created in others)


@pytest.mark.parametrize("label", ["0.01", None])
async def test_the_price_of_one_quality_is_not_that_of_another(
    tmp_path: Path, label: str | None
) -> None:
    def cost_of(inputs: Mapping[str, Any]) -> str:
        return {"low": "0.009", "high": "0.133"}[inputs["quality"]]

    world = World(tmp_path, service(cost_of, label=label), text=TWO)

    stops = await world.call(budget=Decimal("0.60"))

    assert most_severe(stops.codes) == 6
    assert Decimal("0.4") < world.book().cost == billed(world, cost_of) <= Decimal("0.60")


async def test_cells_that_fit_go_past_one_that_doesn_t(tmp_path: Path) -> None:
    def cost_of(inputs: Mapping[str, Any]) -> str:
        return "1.21" if inputs.get("quality") == "high" else "0.08"

    text = """\
models: [a/model]
inputs: {prompt: [1], quality: [high, low]}
include:
  - {model: a/model, prompt: {$range: [2, 3]}, quality: high}
  - {model: a/model, prompt: {$range: [4, 10]}, quality: low}
limits: {concurrency: 2, rate: 100/s, settle: 5s}
"""
    world = World(tmp_path, service(cost_of), text=text)

    stops = await world.call(budget=Decimal("1.90"))

    made = [run.input["quality"] for run in world.service.runs]
    assert (made.count("high"), made.count("low")) == (1, 8)
    assert most_severe(stops.codes) == 6
    assert "no room for 2 cells of a-model at up to 1.21 USD" in str(stops.errors[0])


async def test_a_price_in_the_manifest_is_a_bound(tmp_path: Path) -> None:
    text = LABELLED.replace("[google/nano-banana-2]", "[{id: google/nano-banana-2, price: 0.15}]")
    world = World(tmp_path, service(lambda _: "0.15"), text=text)

    await world.call(budget=Decimal("3.00"))

    assert len(world.service.runs) == 20
    assert world.service.most_in_flight > 10


async def test_a_first_run_that_fails_lets_the_next_go_first(tmp_path: Path) -> None:
    failing = service(lambda _: "0.15", ending=lambda n: "failed" if n < 3 else "succeeded")
    world = World(tmp_path, failing, text=LABELLED)

    await world.call(budget=Decimal("0.60"), attempts=1)

    created = sorted(run.created for run in world.service.runs)
    assert len(created) == 3 + 4
    assert all(later - earlier > 10.0 for earlier, later in pairwise(created[:5]))


async def test_the_next_call_knows_what_was_learnt(tmp_path: Path) -> None:
    world = World(tmp_path, service(lambda _: "0.15"), text=LABELLED)
    await world.call(limit=1)
    before = len(world.service.runs)

    await world.call(budget=Decimal("0.90"))

    assert len(world.service.runs) == 6
    assert world.service.most_in_flight == 5
    assert before == 1


def records(world: World) -> list[AnyRecord | None]:
    return [decode(line) for line in (world.folder / LEDGER).read_bytes().splitlines(keepends=True)]


class Late:
    """Shows costs as *early* until *seconds* after a run's end."""

    def __init__(self, seconds: float, *, early: str | None) -> None:
        self._seconds, self._early = seconds, early

    def edit(self, run: dict[str, Any]) -> dict[str, Any]:
        if run.get("cost") is None or not run.get("completed_at"):
            return run
        age = (now() - datetime.fromisoformat(run["completed_at"])).total_seconds()
        return run if age >= self._seconds else run | {"cost": self._early}


FEW = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 6]}}
limits: {concurrency: 3, rate: 100/s, settle: 5s}
"""


@pytest.mark.parametrize("early", [None, "0", "0.00"])
@pytest.mark.parametrize("budget", [None, Decimal("9.00")])
async def test_a_cost_that_comes_after_the_end_is_counted(
    tmp_path: Path, early: str | None, budget: Decimal | None
) -> None:
    late = Runflow(edit_run=Late(4.0, early=early).edit, duration=lambda _: 1.0)
    world = World(tmp_path, late, text=FEW)

    await world.call(budget=budget)

    assert world.book().cost == Decimal("0.48")
    assert world.book().facts("google/nano-banana-2").unpriced.runs == 0
    assert any(isinstance(each, Priced) for each in records(world))


async def test_a_cost_that_comes_after_the_call_is_asked_for_by_the_next_one(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Runflow(edit_run=Late(60.0, early=None).edit), text=FEW)
    await world.call()
    assert world.book().cost < Decimal("0.48")

    await anyio.sleep(60)
    await world.call()

    assert world.book().cost == Decimal("0.48")
    assert len(world.service.runs) == 6


async def test_a_price_of_0_is_one_that_was_said_twice_a_minute_apart(tmp_path: Path) -> None:
    world = World(tmp_path, service(lambda _: "0.00"), text=LABELLED)

    await world.call(budget=Decimal("0.60"))

    first, *others = sorted(run.created for run in world.service.runs)
    assert len(others) == 59
    assert others[0] > first + 70.0
    assert others[-1] < others[0] + 30.0
    assert sum(isinstance(each, Priced) for each in records(world)) == 1


async def test_the_next_call_believes_a_price_of_0_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, service(lambda _: "0.00"), text=LABELLED)
    await world.call(budget=Decimal("0.60"), limit=2)
    began = anyio.current_time()

    await world.call(budget=Decimal("0.60"))

    assert anyio.current_time() < began + 40.0


async def test_after_five_minutes_without_a_cost_runs_go_one_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path, service(lambda _: "", label="0.10"), text=LABELLED)

    stops = await world.call(budget=Decimal("1.00"))

    first, second, third = sorted(run.created for run in world.service.runs)
    assert second > first + 310.0
    assert third > second + 10.0
    assert most_severe(stops.codes) == 6
    assert "(`price` beside a model's `id` says" in str(stops.errors[0])


@pytest.mark.parametrize("price", ["0.08", None])
@pytest.mark.parametrize("early", ["0", None])
async def test_a_cost_that_is_not_known_yet_frees_no_budget(
    tmp_path: Path, early: str | None, price: str | None
) -> None:
    model = "google/nano-banana-2"
    named = model if price is None else f"{{id: {model}, price: {price}}}"
    text = LABELLED.replace(f"[{model}]", f"[{named}]")
    world = World(tmp_path, Runflow(edit_run=Late(50.0, early=early).edit), text=text)

    for _ in range(3):
        await world.call(budget=Decimal("0.80"))
        await anyio.sleep(120)

    assert len(world.service.runs) <= 10
    assert world.book().cost == Decimal("0.08") * len(world.service.runs)


@pytest.mark.parametrize("early", ["0", None])
async def test_a_cost_that_comes_a_day_later_is_counted(tmp_path: Path, early: str | None) -> None:
    world = World(tmp_path, Runflow(edit_run=Late(3600.0, early=early).edit), text=FEW)
    await world.call()
    await anyio.sleep(86400)
    await world.call()

    assert world.book().cost == Decimal("0.48")


async def test_a_first_cost_that_came_after_the_call_does_not_hold_the_next_one_up(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Runflow(edit_run=Late(30.0, early=None).edit), text=FEW)
    await world.call(budget=Decimal(5), max_duration=20.0)
    await anyio.sleep(86400)

    stops = await world.call(budget=Decimal(5))
    await anyio.sleep(60)
    await world.call(budget=Decimal(5))

    assert stops.codes == []
    assert world.book().cost == Decimal("0.48")


async def test_the_price_that_the_message_advises_helps_a_cost_that_never_came(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Runflow(edit_run=lambda run: run | {"cost": None}), text=FEW)
    await world.call(budget=Decimal(5), max_duration=20.0)
    world.text = FEW.replace("[google/nano-banana-2]", "[{id: google/nano-banana-2, price: 0.10}]")

    stops = await world.call(budget=Decimal(5))

    assert stops.codes == []
    assert len(world.service.runs) == 6


async def test_where_the_budget_is_spent_to_the_cent_a_finished_sweep_is_finished(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Runflow(), text=FEW)
    await world.call(budget=Decimal("0.48"))

    stops = await world.call(budget=Decimal("0.48"))

    assert stops.codes == []


async def test_a_resend_waits_for_a_cost_as_a_first_send_does(tmp_path: Path) -> None:
    lost = Runflow(script=["reset"] * 2, edit_run=Late(20.0, early=None).edit)
    world = World(tmp_path, lost, text=FEW)
    await world.call(max_duration=20.0, settle=60.0, concurrency=2)

    stops = await world.call(budget=Decimal(5))

    assert stops.codes == []
    assert sorted(world.service.paid().values()) == [1] * 6


async def test_an_alias_at_its_limit_holds_up_no_other_one_of_its_model(tmp_path: Path) -> None:
    text = """\
models:
  - {id: a/model, alias: slow, concurrency: 1}
  - {id: a/model, alias: fast}
inputs: {prompt: {$range: [1, 6]}}
vars: {place: here}
limits: {concurrency: 8, rate: 100/s, settle: 5s, timeout: 40s}
""".replace("inputs: {", "inputs: {seed: 1, ").replace(
        "alias: fast}", "alias: fast, inputs: {seed: 2}}"
    )
    stuck = Runflow(duration=lambda n: 1000.0 if n == 2 else 5.0)
    world = World(tmp_path, stuck, text=text)

    await world.call(budget=Decimal(50))

    by_seed = [run.input["seed"] for run in world.service.runs]
    assert by_seed.count(2) == 6


async def test_a_call_that_stops_for_another_reason_blames_no_budget(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=FEW)

    stops = await world.call(budget=Decimal(5), max_duration=4.0)
    limited = await world.call(budget=Decimal(5), limit=1)

    assert not [error for error in (*stops.errors, *limited.errors) if "budget" in str(error)]


async def test_what_has_no_room_is_said_with_its_label(tmp_path: Path) -> None:
    world = World(tmp_path, service(lambda _: "0.15", label="0.15"), text=TWO)

    stops = await world.call(budget=Decimal("0.10"))

    assert "no room for 60 cells of openai-gpt-image-1.5 at about 0.15 USD" in str(stops.errors[0])
    assert len(world.service.runs) == 0
