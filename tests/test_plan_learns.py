"""A plan knows prices from the first run of each choice: with no label, and with no page at all."""

from decimal import Decimal
from pathlib import Path

import pytest
from engine_world import World
from simulated import Runflow

from batchrun.engine.price_history import learn
from batchrun.engine.prices import Prices
from batchrun.engine.selection import Selection
from batchrun.ledger.book import Book
from batchrun.planning.forecast import forecast
from batchrun.planning.prices import Cost, PriceList
from batchrun.runflow import published_prices
from batchrun.simulator.models import MODELS
from batchrun.sweep.location import LEDGER

MANIFEST = """\
models:
  - {id: openai/gpt-image-1.5, alias: gpt, inputs: {quality: [low, high]}}
  - id: google/nano-banana-2
    alias: banana
    omit: [image_size]
    inputs: {resolution: [1K, 4K], num_images: [1, 3]}
  - id: kuaishou/kling-video/v3/pro/text-to-video
    alias: kling
    omit: [image_size]
    inputs: {duration: ["3", "7"], generate_audio: [true, false]}
inputs:
  prompt: [a red chair, a blue stool]
  image_size: [1024x1024, 1536x1024]
repeat: 1
limits: {concurrency: 8, rate: 10/s}
"""


def planned(world: World) -> Cost:
    """Return what a plan says of the world's manifest, as it is now."""
    manifest = world.manifest()
    book = world.book() if (world.folder / LEDGER).exists() else Book()
    prices = Prices({})
    learn(world.folder / LEDGER, prices, {model.id for model in manifest.models})
    settings = manifest.settings()
    nothing_chosen = Selection({}, None, attempts=settings.attempts)
    return forecast(manifest, settings, book, PriceList(prices), nothing_chosen).to_do.cost()


async def test_from_the_second_run_of_each_choice_a_plan_says_what_is_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_prices, "TABLE", {})
    world = World(tmp_path, Runflow(models=dict(MODELS), priced=True), text=MANIFEST)

    before = planned(world)
    await world.call()
    world.text = MANIFEST.replace("repeat: 1", "repeat: 3")
    plan, spent = planned(world), world.book().cost
    await world.call()
    charged = world.book().cost - spent

    assert (before.cells, before.unknown) == (24, 24)
    assert (plan.cells, plan.unknown) == (48, 0)
    assert plan.low <= charged <= plan.high
    assert abs(plan.expected - charged) <= charged * Decimal("0.05")
