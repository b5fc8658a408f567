"""How far a budget is passed: random prices that no client sees, random crashes and resumes.

Which inputs change the price, and by how much, is hidden. **The overshoot is at most what the runs
in flight cost more than they reserved**, counted when the last run was asked for, and of a choice
whose price isn't known one run is in flight at a time. How many runs went alone is printed.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import httpx
import pytest
from crash.mortal import Mortal, MortalDisk, MortalTransport, Service, serving
from effort import FACTOR
from engine_world import World
from simulated import AnyModel, Runflow, now

from batchrun.engine.choices import choice_of
from batchrun.ledger.records import Dropped, Finished, Intent, Parked, Priced, Rejected, decode
from batchrun.runflow.descriptions import DescribedInput, Description
from batchrun.simulator.catalog import Model, choice, flag, number
from batchrun.sweep.location import LEDGER

INPUTS: Final = {
    "quality": ["low", "high"],
    "width": [512, 1024, 2048],
    "sound": [True, False],
    "size": ["1K", "4K"],
}
LISTS: Final = {"quality": ("low", "high"), "size": ("1K", "4K")}
MODELS: Final = ("a/one", "b/two")
WORST: Final = (194, 226)
"""Seeds in which cells that waited for company were sent although the budget was passed by then."""

SEEDS: Final = sorted({*range(max(8, round(48 * FACTOR))), *WORST})


@dataclass
class Market:
    """Hidden prices: which inputs matter, the price of each choice, and the labels that are shown.

    A label may be right, far too low, or missing. A cost may be *late*, and said as *early* before.
    """

    random: Random
    prices: dict[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [*INPUTS]
        self.matters = {
            model: self.random.sample(names, self.random.randint(0, 3)) for model in MODELS
        }
        self.labels = {model: self.random.choice([None, "0.01", "0.20"]) for model in MODELS}
        self.late = timedelta(seconds=self.random.choice([0, 0, 3, 20]))
        self.early = self.random.choice([None, "0"])

    def cost(self, model: str, inputs: Mapping[str, Any]) -> Decimal:
        """Return what a run costs."""
        chosen = json.dumps([model, *(inputs.get(name) for name in self.matters[model])])
        if chosen not in self.prices:
            self.prices[chosen] = Decimal(self.random.randint(1, 60)) / 100
        return self.prices[chosen]

    def catalogue(self) -> dict[str, Model]:
        known = AnyModel()
        for model, label in self.labels.items():
            inputs = (
                number("prompt", 0, 10_000),
                number("width", 1, 10_000),
                flag("sound"),
                *(choice(name, *values) for name, values in LISTS.items()),
            )
            price = Decimal(label or 0)
            made = Model(id=model, inputs=inputs, price=price, unit="image", takes_batches=True)
            dict.__setitem__(known, model, made)
        return known

    def description(self, model: str) -> Description:
        if self.labels[model] is None:
            return Description()
        lists = {name: DescribedInput(allowed=tuple(values)) for name, values in LISTS.items()}
        free = dict.fromkeys(("prompt", "width", "sound"), DescribedInput())
        return Description(inputs={**free, **lists})


class Shop(Runflow):
    """Describes the models that have a label, and no others."""

    labels: Mapping[str, str | None]

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        model = request.url.path.removeprefix("/v1/models/")
        self.priced = self.labels.get(model) is not None
        return await super().serve(request, word)


def shop(market: Market, *, batches: str) -> Shop:
    """Return a service that bills what the market says."""
    made = Shop(
        models=market.catalogue(),
        batches=batches,
        duration=lambda n: 1.0 + n % 7,
        ending=lambda n: "failed" if n % 11 == 3 else "succeeded",
    )
    made.labels = market.labels

    def edit(run: dict[str, Any]) -> dict[str, Any]:
        known = made.world.store.run(run["id"])
        if run.get("cost") is None or known is None:
            return run
        if now() - datetime.fromisoformat(run["completed_at"]) < market.late:
            return run | {"cost": market.early}
        return run | {"cost": str(market.cost(known.model, json.loads(known.input)))}

    made.edit_run = edit
    return made


def manifest(random: Random, concurrency: int) -> str:
    axes = random.sample([*INPUTS], random.randint(1, 3))
    given = {name: INPUTS[name] for name in axes} | {"prompt": list(range(random.randint(4, 8)))}
    names = [*given]
    random.shuffle(names)
    inputs = json.dumps({name: given[name] for name in names})
    limits = f"{{concurrency: {concurrency}, rate: 100/s, settle: 2s}}"
    return f"models: {json.dumps([*MODELS])}\ninputs: {inputs}\nlimits: {limits}\n"


@dataclass
class Audit:
    """Reads a ledger as a stranger does: what was under way when, and what that had reserved.

    *made* are the cells and attempts that have a run: an intent that never came to one is no run.
    """

    market: Market
    made: AbstractSet[tuple[str, int]]
    open: dict[str, Intent] = field(default_factory=dict)
    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    parked: set[str] = field(default_factory=set)
    priced: set[str] = field(default_factory=set)
    unpriced: dict[str, Intent] = field(default_factory=dict)
    at_last: list[Intent] = field(default_factory=list)
    at_last_of: dict[str, list[Intent]] = field(default_factory=dict)
    alone: int = 0
    sent: int = 0

    def read(self, path: Path) -> "Audit":
        for line in path.read_bytes().splitlines(keepends=True):
            self._take(decode(line))
        return self

    def _take(self, record: object) -> None:
        match record:
            case Intent():
                self._sent(record)
            case Finished() | Rejected() | Dropped():
                ended = self.open.pop(record.cell, None)
                good = isinstance(record, Finished) and record.status_code == "succeeded"
                if ended is not None and isinstance(record, Finished) and record.cost is None:
                    if record.status_code != "failed":
                        self.unpriced[record.run_id] = ended
                elif ended is not None and good:
                    self.priced.add(self._choice(ended))
            case Parked():
                self.parked.add(record.cell)
            case Priced():
                self.priced.add(self._choice(self.unpriced.pop(record.run_id)))
            case _:
                pass

    def _sent(self, intent: Intent) -> None:
        if intent.input is not None:
            self.inputs[intent.cell] = intent.input
        choice = self._choice(intent)
        if choice not in self.priced:
            self.alone += 1
            others = [
                cell
                for cell, each in self.open.items()
                if self._choice(each) == choice
                and cell not in self.parked
                and (cell, each.attempt) in self.made
            ]
            assert not others, "two runs of a choice without a price are in flight"
        self.sent += 1
        self.open[intent.cell] = intent
        self.at_last = [*self.open.values(), *self.unpriced.values()]
        of_model = [each for each in self.at_last if each.model == intent.model]
        self.at_last_of[intent.model] = of_model

    def _choice(self, intent: Intent) -> str:
        inputs = self.inputs[intent.cell]
        return choice_of(intent.model, inputs, self.market.description(intent.model))

    def _cost(self, intent: Intent) -> Decimal:
        return self.market.cost(intent.model, self.inputs[intent.cell])

    def beyond(self, model: str | None = None) -> Decimal:
        """Return what the runs in flight at the last intent cost more than they reserved.

        Of all runs, or of those of a *model*, at its last intent.
        """
        at_last = self.at_last if model is None else self.at_last_of.get(model, [])
        return sum(
            (
                max(Decimal(0), self._cost(each) - each.reserved)
                for each in at_last
                if each.reserved is not None
            ),
            Decimal(0),
        )


async def live(world: World, service: Service, life: Mortal, **budgets: Any) -> None:
    """Call, and die of it or not."""
    world.disk, world.transport = MortalDisk(life), MortalTransport(service, life)
    try:
        await world.call(**budgets)
    except BaseException:  # what a dying process says of it has no meaning
        if not life.dead:
            raise


def settings(seed: int) -> Iterator[tuple[str, Any]]:
    random = Random(seed)
    yield "concurrency", (1, 16, 200)[seed % 3]
    yield "batches", ("no", "yes")[seed % 2]
    yield "budget", Decimal(random.randint(20, 900)) / 100
    yield "model", Decimal(random.randint(20, 300)) / 100 if seed % 4 == 1 else None


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_overshoot_is_what_runs_in_flight_cost_beyond_their_reservations(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen, random = dict(settings(seed)), Random(seed)
    market = Market(random)
    service = shop(market, batches=chosen["batches"])
    world = World(tmp_path, service, text=manifest(random, chosen["concurrency"]))
    budget, of_one = chosen["budget"], chosen["model"]
    (one, *_) = [model.alias for model in world.manifest().models]
    budgets = {"budget": budget, "model_budgets": {} if of_one is None else {one: of_one}}

    async with serving(service) as alive:
        for _ in range(2):
            await live(world, alive, Mortal(random.randint(20, 200)), **budgets)
        for _ in range(3):
            await live(world, alive, Mortal(), **budgets)
            await anyio.sleep(60)

    made = {(run.cell, run.attempt) for run in service.runs}
    audit = Audit(market, made).read(world.folder / LEDGER)
    runs = [run for run in service.runs if run.status == "succeeded"]
    billed = sum((market.cost(run.model, run.input) for run in runs), Decimal(0))
    assert billed == world.book().cost
    assert billed <= budget + audit.beyond()
    if of_one is not None:
        billed_of = sum(
            (market.cost(run.model, run.input) for run in runs if run.model == MODELS[0]),
            Decimal(0),
        )
        assert billed_of <= of_one + audit.beyond(MODELS[0])
    with capsys.disabled():
        sys.stdout.write(f"\nseed {seed}: {audit.alone} of {audit.sent} runs went alone")
