"""A budget a UTC day, over all labels of a name: several calls in virtual time, one after another
and at once.
"""

import os
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import httpx
import msgspec
import pytest
from crash.mortal import Mortal, MortalDisk, MortalTransport, serving
from engine_world import World
from inline_threads import inline_threads
from simulated import Runflow, now

from batchrun.engine.shutdown import Shutdown
from batchrun.errors import BudgetReachedError, FolderError, most_severe
from batchrun.ledger.day_file import DAYS
from batchrun.ledger.day_sums import Held, total
from batchrun.ledger.scan import day_sums
from batchrun.sweep.location import LEDGER

PRICE: Final = Decimal("0.08")
TEXT: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 20]}}
limits: {concurrency: 4, rate: 100/s, settle: 2s, budget_per_day: 0.90}
"""
DAY: Final = "2026-01-01"
LATE: Final = 86400.0 - 25.0


def night(path: Path, service: Runflow, label: str, text: str = TEXT) -> World:
    return World(path, service, text=text, label=label)


class OneWrongDate(httpx.AsyncBaseTransport):
    """Lets one answer, the *wrong* one by its number, be of two days later."""

    def __init__(self, inner: httpx.AsyncBaseTransport, wrong: int) -> None:
        self._inner, self._left = inner, wrong

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        self._left -= 1
        if not self._left:
            date = now() + timedelta(days=2)
            answer.headers["Date"] = f"{date:%a, %d %b %Y %H:%M:%S} GMT"
        return answer


def held(path: Path, day: str = DAY) -> dict[str, Held]:
    """Return the newest line of each label."""
    file = path / "sweep" / DAYS / f"{day}.jsonl"
    lines = (msgspec.json.decode(each, type=Held) for each in file.read_bytes().splitlines())
    return {each.owner: each for each in lines}


def assert_equals_the_ledgers(path: Path, day: str = DAY) -> None:
    """Compare the file with what is made of the ledgers alone."""
    for owner, line in held(path, day).items():
        sums = day_sums(path / "sweep" / owner / LEDGER)
        assert line.spent == sums.spent(day)
        assert line.reserved == total((sums.unpriced(day), sums.may_cost(day)))


async def at_once(*worlds: World, **changes: Any) -> list[Shutdown]:
    """Call all of *worlds* at once, as processes of their own."""
    found: dict[int, Shutdown] = {}

    async def call(number: int) -> None:
        found[number] = await worlds[number]._call(changes)

    with inline_threads():
        async with anyio.create_task_group() as tasks:
            for number in range(len(worlds)):
                tasks.start_soon(call, number)
    return [found[number] for number in range(len(worlds))]


async def test_a_day_s_budget_holds_over_two_labels(tmp_path: Path) -> None:
    service = Runflow()

    first = await night(tmp_path, service, "one").call(limit=5)
    second = await night(tmp_path, service, "two").call()

    assert (most_severe(first.codes), most_severe(second.codes)) == (3, 6)
    assert len(service.runs) == 11
    said = str(second.errors[0])
    assert said.startswith("the budget of 0.90 USD a day (2026-01-01, UTC) allows no further run:")
    assert "0.48 USD are spent; 0.40 USD are spent by other labels" in said
    assert_equals_the_ledgers(tmp_path)


async def test_a_label_goes_on_in_a_second_call_with_what_is_left(tmp_path: Path) -> None:
    world = night(tmp_path, Runflow(), "one")
    await world.call(limit=5)

    stops = await world.call()

    assert most_severe(stops.codes) == 6
    assert len(world.service.runs) == 11
    assert_equals_the_ledgers(tmp_path)


@pytest.mark.parametrize("concurrency", [1, 16, 200])
@pytest.mark.parametrize("batches", ["no", "yes"])
async def test_two_calls_at_once_never_pass_it_together(
    tmp_path: Path, concurrency: int, batches: str
) -> None:
    service = Runflow(batches=batches, priced=True)
    worlds = [night(tmp_path, service, each) for each in ("one", "two")]

    stops = await at_once(*worlds, concurrency=concurrency)

    assert len(service.runs) == 11
    assert [most_severe(each.codes) for each in stops] == [6, 6]
    assert_equals_the_ledgers(tmp_path)


async def test_a_cell_waits_for_what_another_label_only_reserves(tmp_path: Path) -> None:
    lasting = 100.0
    failing = Runflow(
        duration=lambda _: lasting, ending=lambda n: "failed" if n < 11 else "succeeded"
    )
    failing.priced = True
    one, two = night(tmp_path, failing, "one"), night(tmp_path, failing, "two")

    stops = await at_once(one, two, attempts=1, budget_per_day=PRICE * 4)

    assert any(
        "cells wait for other labels" in note for note in [*one.listener.notes, *two.listener.notes]
    )
    assert {most_severe(each.codes) for each in stops} <= {1, 6, 0}
    assert len([run for run in failing.runs if run.status == "succeeded"]) == 4


@pytest.mark.parametrize("holds", ["a run that is parked", "a run without a cost"])
async def test_two_calls_that_only_wait_for_each_other_end(tmp_path: Path, holds: str) -> None:
    service = Runflow(duration=lambda number: 1e6 if number < 2 else 3.0)
    if holds == "a run without a cost":
        service = Runflow(edit_run=lambda run: {**run, "cost": None})
    text = TEXT.replace("google/nano-banana-2", "{id: google/nano-banana-2, price: 0.30}")
    worlds = [night(tmp_path, service, each, text) for each in ("one", "two")]

    with anyio.fail_after(3600):
        stops = await at_once(*worlds, timeout=60.0, concurrency=2)

    assert [most_severe(each.codes) for each in stops] == [6, 6]


async def test_the_next_day_has_a_budget_of_its_own_also_in_the_middle_of_a_call(
    tmp_path: Path,
) -> None:
    service = Runflow(duration=lambda _: 10.0)
    world = night(tmp_path, service, "one", TEXT.replace("concurrency: 4", "concurrency: 1"))
    await anyio.sleep(86400.0 - anyio.current_time() - 45.0)

    stops = await world.call(budget_per_day=PRICE * 8)

    assert most_severe(stops.codes) == 6
    sent = [run.created for run in service.runs]
    before = [each for each in sent if each < 86400.0]
    assert 3 <= len(before) <= 5
    assert len(sent) - len(before) == 8
    for day in (DAY, "2026-01-02"):
        assert_equals_the_ledgers(tmp_path, day)


async def test_a_run_counts_on_the_day_of_its_intent_though_it_ends_on_the_next(
    tmp_path: Path,
) -> None:
    service = Runflow(duration=lambda _: 3600.0)
    world = night(tmp_path, service, "one", TEXT.replace("concurrency: 4", "concurrency: 1"))
    await anyio.sleep(86400.0 - anyio.current_time() - 60.0)

    await world.call(timeout=7200.0, budget_per_day=PRICE * 3)

    assert held(tmp_path)["@one"].spent == PRICE
    assert held(tmp_path, "2026-01-02")["@one"].spent == PRICE * 3


async def test_the_service_s_clock_says_which_day_it_is(tmp_path: Path) -> None:
    service = Runflow(date_ahead=86400.0 * 3)
    world = night(tmp_path, service, "one")

    await world.call(timeout=1e9)  # by that clock the runs are three days old

    assert held(tmp_path, "2026-01-04")["@one"].spent == PRICE * 11
    assert not (tmp_path / "sweep" / DAYS / f"{DAY}.jsonl").exists()


@pytest.mark.parametrize("wrong", [22, 26])
async def test_one_wrong_date_of_an_answer_does_not_lift_the_budget(
    tmp_path: Path, wrong: int
) -> None:
    service = Runflow(duration=lambda _: 3.0)
    world = night(tmp_path, service, "one", TEXT.replace("20", "60"))
    world.transport = OneWrongDate(service.transport(), wrong)

    stops = await world.call()

    assert most_severe(stops.codes) == 6
    of_other_day = 4  # as many as may be under way at once
    assert len(service.runs) <= 11 + of_other_day


async def test_without_the_service_s_clock_our_own_counts_and_that_is_said(tmp_path: Path) -> None:
    world = night(tmp_path, Runflow(dated=False), "one")

    await world.call()

    assert held(tmp_path)["@one"].spent == PRICE * 11
    assert [note for note in world.listener.notes if "the clock of this machine" in note]


async def killed(path: Path, service: Runflow, label: str, *, sent: int) -> World:
    """Let a call of *label* be killed once it has sent so many requests for runs."""
    world = night(path, service, label)
    async with serving(service) as alive:
        life = Mortal(("POST sent", sent))
        world.disk, world.transport = MortalDisk(life), MortalTransport(alive, life)
        with suppress(BaseException):
            await world.call()
        assert life.dead
        await anyio.sleep(1)
    return world


async def test_what_a_killed_call_left_stays_counted_and_is_named(tmp_path: Path) -> None:
    service = Runflow(priced=True, duration=lambda _: 500.0)
    await killed(tmp_path, service, "one", sent=1)
    runs = len(service.runs)

    stops = await night(tmp_path, service, "two").call()

    assert runs == 1
    assert most_severe(stops.codes) == 6
    error = stops.errors[0]
    assert isinstance(error, BudgetReachedError)
    assert "0.32 USD reserved by label one, whose call is gone" in str(error)
    assert [each.name for each in error.left] == ["@one"]
    assert len(service.runs) <= 11


async def test_the_next_call_of_that_label_settles_it(tmp_path: Path) -> None:
    service = Runflow(priced=True, duration=lambda _: 5.0)
    one = await killed(tmp_path, service, "one", sent=1)
    one.disk, one.transport = World(tmp_path, service).disk, None
    await night(tmp_path, service, "two").call()

    await one.call()
    await night(tmp_path, service, "two").call()

    assert len(service.runs) == 11
    assert_equals_the_ledgers(tmp_path)


async def test_what_was_drawn_and_never_sent_is_free_again_once_the_call_is_gone(
    tmp_path: Path,
) -> None:
    service = Runflow()
    one = night(tmp_path, service, "one")
    await one.call(limit=1)
    line = held(tmp_path)["@one"]
    drawn = msgspec.structs.replace(line, reserved=Decimal("0.80"))
    with (tmp_path / "sweep" / DAYS / f"{DAY}.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(drawn) + b"\n")

    await night(tmp_path, service, "two").call()

    assert len(service.runs) == 11


@pytest.mark.parametrize("budget", [{"budget": 9}, {"budget_per_day": 9}])
@pytest.mark.parametrize("label", ["one", "two"])
async def test_the_price_bounds_runs_without_a_cost_that_were_sent_without_a_budget(
    tmp_path: Path, label: str, budget: dict[str, int]
) -> None:
    service = Runflow(edit_run=lambda run: {**run, "cost": None})
    text = TEXT.replace("google/nano-banana-2", "{id: google/nano-banana-2, price: 0.30}")
    text = text.replace(", budget_per_day: 0.90", "")
    await night(tmp_path, service, "one", text).call(limit=2)

    limits = {name: Decimal(usd) for name, usd in budget.items()}
    stops = await night(tmp_path, service, label, text).call(limit=3, **limits)

    assert most_severe(stops.codes) == 3  # by its `--limit`
    assert len(service.runs) == 5


async def test_without_the_file_it_is_made_again_from_the_ledgers(tmp_path: Path) -> None:
    service = Runflow()
    await night(tmp_path, service, "one").call(limit=5)
    (tmp_path / "sweep" / DAYS / f"{DAY}.jsonl").unlink()

    await night(tmp_path, service, "two").call()

    assert len(service.runs) == 11


async def test_a_call_without_a_budget_for_the_day_counts_all_the_same(tmp_path: Path) -> None:
    service = Runflow()
    without = TEXT.replace(", budget_per_day: 0.90", "")
    await night(tmp_path, service, "one", without).call(limit=5)

    await night(tmp_path, service, "two").call()

    assert len(service.runs) == 11


async def test_a_label_that_goes_on_without_the_day_s_budget_is_counted_by_its_ledger(
    tmp_path: Path,
) -> None:
    service = Runflow()
    one, two = (night(tmp_path, service, label) for label in ("one", "two"))
    await one.call(limit=2)  # its line in the day's file says 0.16

    async def all_of_one() -> None:
        await one._call({"budget_per_day": None})

    with inline_threads():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(all_of_one)
            await anyio.sleep(45)  # by now more than a day's budget was spent
            stops = await two._call({})

    assert most_severe(stops.codes) == 6
    assert len(service.runs) == 20


async def test_half_a_line_of_a_killed_process_is_cut_off(tmp_path: Path) -> None:
    service = Runflow()
    await night(tmp_path, service, "one").call(limit=5)
    file = tmp_path / "sweep" / DAYS / f"{DAY}.jsonl"
    with file.open("ab") as lines:
        lines.write(file.read_bytes().splitlines()[-1][:-9])

    await night(tmp_path, service, "two").call()

    assert len(service.runs) == 11
    assert_equals_the_ledgers(tmp_path)


HELD: Final = '{"type":"held","owner":"@a","at":"","spent":"1","reserved":"0","through":1}'


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"hold"}',
        HELD.replace('"1"', '"NaN"'),
        HELD.replace('"1"', '"-1"'),
        HELD.replace('"0"', '"Infinity"'),
        HELD.replace("@a", "@a\\u0000"),
        HELD.replace("@a", "@/../a"),
    ],
)
async def test_a_line_that_is_none_ends_the_call_and_nothing_is_sent(
    tmp_path: Path, line: str
) -> None:
    service = Runflow()
    file = tmp_path / "sweep" / DAYS / f"{DAY}.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(f"{line}\n")

    stops = await night(tmp_path, service, "two").call()

    assert most_severe(stops.codes) == 9
    assert "delete the file while no call of this name goes on" in str(stops.errors[0])
    assert service.posts == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_cannot_be_written_ends_the_call(tmp_path: Path) -> None:
    (tmp_path / "sweep" / DAYS).mkdir(parents=True, mode=0o500)
    service = Runflow()

    stops = await night(tmp_path, service, "two").call()

    assert most_severe(stops.codes) == 9
    assert service.posts == []


async def test_a_file_in_the_place_of_the_folder_ends_the_call(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / DAYS).touch()
    service = Runflow()

    stops = await night(tmp_path, service, "two").call()

    assert most_severe(stops.codes) == 9
    assert isinstance(stops.errors[0], FolderError)
    assert "which `budget_per_day` is kept in" in str(stops.errors[0])
    assert service.posts == []


async def test_a_file_that_is_deleted_during_a_call_is_written_again_before_the_next_post(
    tmp_path: Path,
) -> None:
    service = Runflow(duration=lambda _: 20.0)
    world = night(tmp_path, service, "one", TEXT.replace("concurrency: 4", "concurrency: 1"))
    file = tmp_path / "sweep" / DAYS / f"{DAY}.jsonl"

    async def delete() -> None:
        await anyio.sleep(50)
        file.unlink()
        posts = len(service.posts)
        while len(service.posts) == posts:
            await anyio.sleep(0.01)
        assert file.exists()

    with inline_threads():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delete)
            await world._call({})

    assert len(service.runs) == 11
    assert_equals_the_ledgers(tmp_path)


async def test_a_request_in_doubt_counts_on_both_days_until_it_is_settled(tmp_path: Path) -> None:
    service = Runflow(script=["reset"])
    world = night(tmp_path, service, "one", TEXT.replace("20", "1"))
    await anyio.sleep(86400.0 - anyio.current_time() - 1.0)
    await world.call(max_duration=0.5)
    assert world.book().open
    await anyio.sleep(60)
    sums = day_sums(world.folder / LEDGER)
    assert sums.may_cost(DAY) == sums.may_cost("2026-01-02") != 0

    await world.call(settle=1.0)

    after = day_sums(world.folder / LEDGER)
    assert after.may_cost(DAY) == after.may_cost("2026-01-02") == 0
    assert (after.spent(DAY), after.spent("2026-01-02")) == (Decimal(0), PRICE)
    assert_equals_the_ledgers(tmp_path, "2026-01-02")


async def test_few_lines_are_written_where_prices_are_known(tmp_path: Path) -> None:
    service = Runflow()
    many = TEXT.replace("20", "200").replace("0.90", "100")
    world = night(tmp_path, service, "one", many)

    await world.call()

    assert len(service.runs) == 200
    lines = (tmp_path / "sweep" / DAYS / f"{DAY}.jsonl").read_bytes().splitlines()
    assert len(lines) < 40
