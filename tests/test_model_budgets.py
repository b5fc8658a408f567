"""Budgets of models beside that of the sweep, and models that the account can't pay."""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from engine_world import World
from ledger_lines import finished, intent, submitted
from simulated import Runflow, refused

from batchrun.engine.budget import Budget, Keeps, Reservation
from batchrun.engine.in_flight import Attempt, InFlight
from batchrun.engine.pots import is_near, pots_of, room
from batchrun.engine.prices import Prices
from batchrun.errors import NotPermittedError, OutOfCreditError, most_severe
from batchrun.ledger.book import Book
from batchrun.ledger.records import AnyRecord, Dropped, decode
from batchrun.manifest.grid.expand import expand
from batchrun.sweep.location import LEDGER

PRICE = Decimal("0.08")  # what a run costs
TWO = """\
models: [{id: a/one, alias: one, budget: 0.25}, {id: b/two, alias: two}]
inputs: {prompt: {$range: [1, 10]}}
limits: {concurrency: 4, rate: 100/s, settle: 2s}
"""


class NoCosts:
    """Every cost is known."""

    awaited = False

    def waits_for(self, choice: str) -> bool:
        return False

    def wait_for_any(self) -> bool:
        return False

    def wait_no_more(self) -> None: ...


def lines(world: World) -> list[AnyRecord | None]:
    return [*map(decode, (world.folder / LEDGER).read_bytes().splitlines(keepends=True))]


def of_models(world: World) -> Counter[str]:
    return Counter(run.model for run in world.service.runs)


async def test_a_model_that_is_used_up_is_passed_over_for_the_others(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=TWO)

    stops = await world.call()

    assert of_models(world) == {"a/one": 3, "b/two": 10}
    assert most_severe(stops.codes) == 6
    said = str(stops.errors[0])
    assert said.startswith("the budget of 0.25 USD for one allows no further run: 0.24 USD are")
    assert said.endswith("; no room for 7 cells of one at up to 0.08 USD")


async def test_the_budget_of_a_model_holds_over_calls(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=TWO)
    await world.call(limit=2)

    await world.call()
    stops = await world.call()

    assert of_models(world) == {"a/one": 3, "b/two": 10}
    assert most_severe(stops.codes) == 6


async def test_without_a_price_the_models_go_one_at_a_time_over_the_whole_sweep(
    tmp_path: Path,
) -> None:
    text = TWO.replace("alias: two", "alias: two, budget: 0.25")
    world = World(tmp_path, Runflow(), text=text)

    await world.call()

    assert of_models(world) == {"a/one": 3, "b/two": 3}
    first = {run.model: run for run in reversed(world.service.runs)}
    one, two = sorted(first.values(), key=lambda run: run.created)
    assert one.ends <= two.created


async def test_the_sweep_s_budget_and_a_model_s_hold_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=TWO)

    stops = await world.call(budget=PRICE * 5)

    assert world.book().cost == PRICE * 5
    assert of_models(world)["a/one"] <= 3
    assert "the budget of 0.40 USD allows no further run" in str(stops.errors[0])


async def test_at_eighty_percent_each_budget_says_one_line(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=TWO)

    await world.call(budget=PRICE * 15)

    said = [note for note in world.listener.notes if note.endswith("are used")]
    assert sorted(said) == [
        "0.24 USD of the budget of 0.25 USD for one are used",
        "0.96 USD of the budget of 1.20 USD are used",
    ]


def test_a_run_fits_where_it_fits_into_all_that_hold_its_alias() -> None:
    book, live = Book(), InFlight(concurrency=9, per_alias={})
    prices = Prices({"one": PRICE, "two": PRICE})
    pots = pots_of(Decimal("0.30"), {"one": Decimal("0.10")}, book, live, prices)
    budget = Budget(pots, live, prices=prices, costs=NoCosts())

    first = budget.offer("one", "c", "a/one", {})
    assert first == Reservation("c", PRICE, first=False)
    live.begin(Attempt(key="1", number=1, alias="one", model="a/one", name="", reserved=PRICE))

    assert budget.offer("one", "c", "a/one", {}) == Keeps.OTHERS
    assert budget.offer("two", "d", "b/two", {}) == Reservation("d", PRICE, first=False)
    assert {pot.name: room(pot) for pot in pots} == {
        "the budget of 0.30 USD": Decimal("0.22"),
        "the budget of 0.10 USD for one": Decimal("0.02"),
    }
    assert not any(map(is_near, pots))


@pytest.mark.parametrize(("left", "begins"), [("0.07", False), ("0.08", True)])
def test_a_first_run_whose_published_price_is_more_than_is_left_does_not_begin(
    left: str,
    begins: bool,  # noqa: FBT001  (a parameter of the test)
) -> None:
    live, prices = InFlight(concurrency=9, per_alias={}), Prices({})
    pots = pots_of(Decimal(left), {}, Book(), live, prices)
    budget = Budget(pots, live, prices=prices, costs=NoCosts())

    found = budget.offer("banana", "c", "google/nano-banana-2", {})
    assert found == (Reservation("c", Decimal(left), first=True) if begins else Keeps.SETTLED)
    budget.pass_over("banana", "c", "google/nano-banana-2", {})
    assert "no room for 1 cell of banana at about 0.08 USD" in str(budget.reached())


async def test_all_cells_that_a_budget_leaves_out_are_counted(tmp_path: Path) -> None:
    text = TWO.replace("prompt:", "quality: [low, high], prompt:")
    world = World(tmp_path, Runflow(), text=text)

    stops = await world.call(budget=PRICE * 3)
    said = str(stops.errors[0])

    left = sum(map(int, re.findall(r"(\d+) cells? of ", said)))
    assert left == len(list(expand(world.manifest()))) - len(world.service.runs)


def test_runs_without_a_cost_count_for_their_alias_alone() -> None:
    book, live, prices = Book(), InFlight(concurrency=9, per_alias={}), Prices({})
    book.add(intent("c1", reserved=Decimal("0.05")), 0)
    book.add(submitted("c1"), 1)
    book.add(finished("c1", cost=None), 2)

    pots = pots_of(Decimal(1), {"banana": Decimal(1), "other": Decimal(1)}, book, live, prices)

    assert [pot.free() for pot in pots] == [Decimal("0.95"), Decimal("0.95"), Decimal(1)]


class Poor(Runflow):
    """Answers runs of some models with 402, of others with 403."""

    unpaid: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        path = request.url.path
        if request.method == "POST" and any(f"/{model}/" in path for model in self.unpaid):
            return refused(402, "insufficient_credit", "Balance too low")
        if request.method == "POST" and any(f"/{model}/" in path for model in self.forbidden):
            return refused(403, "PERMISSION_DENIED", "Not in your plan")
        return await super().serve(request, word)


ONE_EACH = """\
models: [a/one, b/two]
inputs: {prompt: [a]}
limits: {concurrency: 1, rate: 100/s, settle: 2s}
"""
POOR = TWO.replace(", budget: 0.25", "")


@pytest.mark.parametrize("batches", ["no", "yes"])
async def test_a_model_that_gets_402_stops_alone_and_the_end_says_so(
    tmp_path: Path, batches: str
) -> None:
    service = Poor(batches=batches)
    service.unpaid = frozenset({"a/one"})
    world = World(tmp_path, service, text=POOR.replace("concurrency: 4", "concurrency: 30"))

    stops = await world.call()

    assert of_models(world) == {"b/two": 10}
    assert most_severe(stops.codes) == 5
    assert str(stops.errors[0]).startswith("a/one: ")
    assert " of one are left undone" in str(stops.errors[0])


async def test_a_second_model_that_gets_402_ends_the_submitting(tmp_path: Path) -> None:
    service = Poor()
    service.unpaid = frozenset({"a/one", "b/two"})
    world = World(tmp_path, service, text=POOR)

    stops = await world.call()

    assert most_severe(stops.codes) == 5
    assert len(service.posts) <= 8  # what was under way
    service.unpaid = frozenset()
    assert (await world.call()).codes == []
    assert sorted(service.paid().values()) == [1] * 20


async def test_the_only_model_that_gets_402_ends_the_submitting(tmp_path: Path) -> None:
    service = Poor()
    service.unpaid = frozenset({"google/nano-banana-2"})
    world = World(tmp_path, service)

    stops = await world.call()

    assert most_severe(stops.codes) == 5
    assert len(service.posts) <= 4


async def test_402_to_a_second_send_proves_nothing_of_the_first(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["reset", "402"], commit_lag=0.0), text=ONE_EACH)

    stops = await world.call()

    dropped = [each for each in lines(world) if isinstance(each, Dropped)]
    assert [each.doubted for each in dropped] == [True]  # by a look that counts, not by the answer
    assert most_severe(stops.codes) == 5
    assert (await world.call()).codes == []
    assert sorted(world.service.paid().values()) == [1, 1]


@pytest.mark.parametrize("batches", ["no", "yes"])
async def test_a_model_that_gets_403_stops_alone_and_the_end_names_it(
    tmp_path: Path, batches: str
) -> None:
    service = Poor(batches=batches)
    service.forbidden = frozenset({"a/one"})
    world = World(tmp_path, service, text=POOR.replace("concurrency: 4", "concurrency: 30"))

    stops = await world.call()

    assert of_models(world) == {"b/two": 10}
    assert set(stops.codes) == {4}
    [error] = stops.errors
    assert isinstance(error, NotPermittedError)
    assert error.models == ("a/one",)
    assert str(error).startswith("a/one: ")
    assert "HTTP 403 PERMISSION_DENIED: Not in your plan" in str(error)
    assert str(error).endswith("; 10 cells of one are left undone")
    service.forbidden = frozenset()
    assert (await world.call()).codes == []
    assert sorted(service.paid().values()) == [1] * 20


ONLY = "models: [a/one]\ninputs: {prompt: {$range: [1, 20]}}\nlimits: {concurrency: 4}\n"


@pytest.mark.parametrize("text", [POOR, ONLY])
async def test_a_second_model_that_gets_403_or_the_only_one_ends_the_submitting(
    tmp_path: Path, text: str
) -> None:
    service = Poor()
    service.forbidden = frozenset({"a/one", "b/two"})
    world = World(tmp_path, service, text=text)

    stops = await world.call()

    assert set(stops.codes) == {4}
    assert not stops.submitting
    assert len(service.posts) <= 8  # what was under way
    service.forbidden = frozenset()
    assert (await world.call()).codes == []
    assert sorted(service.paid().values()) == [1] * 20


async def test_a_model_that_is_unpaid_and_one_that_is_forbidden_leave_the_third_alone(
    tmp_path: Path,
) -> None:
    service = Poor()
    service.unpaid, service.forbidden = frozenset({"a/one"}), frozenset({"b/two"})
    text = POOR.replace("models: [", "models: [c/three, ")
    world = World(tmp_path, service, text=text)

    stops = await world.call()

    assert of_models(world) == {"c/three": 10}
    assert most_severe(stops.codes) == 4
    assert [type(error) for error in stops.errors] == [NotPermittedError, OutOfCreditError]
    assert [str(error)[-31:] for error in stops.errors] == [
        "10 cells of two are left undone",
        "10 cells of one are left undone",
    ]


async def test_403_to_a_second_send_proves_nothing_of_the_first(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(script=["reset", "403"], commit_lag=0.0), text=ONE_EACH)

    stops = await world.call()

    dropped = [each for each in lines(world) if isinstance(each, Dropped)]
    assert [each.doubted for each in dropped] == [True]  # by a look that counts, not by the answer
    assert most_severe(stops.codes) == 4
    assert (await world.call()).codes == []
    assert sorted(world.service.paid().values()) == [1, 1]
