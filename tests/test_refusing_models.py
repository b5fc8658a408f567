"""A model that refuses its first ten cells alike, and took none, gets no further cell in a call."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from called import Sweep
from engine_world import Begun
from ledger_lines import intent, submitted
from result_lines import cell
from simulated import Runflow, refused

from batchrun.engine.held_cells import HeldCells
from batchrun.engine.ready_queue import ReadyQueue
from batchrun.engine.refusing_models import ENOUGH, RefusingModels
from batchrun.ledger.book import Book
from batchrun.ledger.history import State
from batchrun.ledger.records import Rejected
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

# The rule.


def rejected(number: int, *, status: int = 404, message: str = "no model `x`") -> Rejected:
    return Rejected(cell=f"c{number}", attempt=1, http_status=status, message=message)


def book_of(*records: Any) -> Book:
    book = Book()
    add(book, *records)
    return book


def add(book: Book, *records: Any) -> None:
    for record in records:
        if isinstance(record, Rejected):
            book.add(intent(record.cell, model="a/b"), 0)
        book.add(record, 0)


def refusing(book: Book, **models: str) -> RefusingModels:
    return RefusingModels(book, models or {"b": "a/b"})


def none_under_way(_alias: str) -> int:
    return 0


def test_the_tenth_refusal_stops_the_model_and_no_earlier_one() -> None:
    book = book_of()
    models = refusing(book)
    for number in range(ENOUGH):
        assert not models.stops("a/b")
        assert models.may_begin("b", {"b": number}.__getitem__)
        add(book, rejected(number, message=f"no model `x`, asked for the {number}th time"))

    assert models.stops("a/b")
    assert not models.may_begin("b", none_under_way)
    assert list(models.newly_stopped()) == ["a/b"]
    assert list(models.newly_stopped()) == []
    assert models.reasons["a/b"] == (
        "`a/b` refused 10 cells alike and took none (HTTP 404 no model `x`, asked for the 0th time)"
    )


@pytest.mark.parametrize("odd", [0, 5, 9])
def test_one_that_was_refused_otherwise_begins_the_count_anew(odd: int) -> None:
    book = book_of()
    models = refusing(book)
    add(book, *(rejected(n, status=422 if n == odd else 404) for n in range(ENOUGH)))

    assert not models.stops("a/b")


def test_a_model_that_took_a_cell_ever_is_never_stopped() -> None:
    book = book_of(intent("good", model="a/b"), submitted("good"))
    models = refusing(book)
    add(book, *map(rejected, range(50)))

    assert not models.stops("a/b")
    assert models.may_begin("b", lambda _: 5)


def test_what_an_earlier_call_was_refused_lets_one_cell_begin_at_a_time() -> None:
    book = book_of(*map(rejected, range(ENOUGH)))
    models = refusing(book)

    assert not models.stops("a/b")
    assert models.may_begin("b", none_under_way)
    assert not models.may_begin("b", lambda _: 1)
    add(book, rejected(10))
    assert models.stops("a/b")


def test_that_one_cell_is_one_for_all_aliases_of_the_model() -> None:
    models = refusing(book_of(*map(rejected, range(ENOUGH))), b="a/b", c="a/b", d="a/d")

    assert not models.may_begin("b", {"b": 0, "c": 1, "d": 0}.__getitem__)
    assert models.may_begin("d", {"b": 0, "c": 1, "d": 1}.__getitem__)
    assert models.aliases("a/b") == ["b", "c"]


def test_where_that_one_is_refused_otherwise_or_taken_the_model_goes_on() -> None:
    for follows in (rejected(10, status=422), submitted("c10")):
        book = book_of(*map(rejected, range(ENOUGH)))
        models = refusing(book)
        if not isinstance(follows, Rejected):
            add(book, intent("c10", model="a/b"))
        add(book, follows)

        assert models.may_begin("b", lambda _: 5)


def test_words_of_the_service_are_short_and_move_no_cursor() -> None:
    book = book_of()
    models = refusing(book)
    add(book, *(rejected(n, message="\x1b[31m\n" + "x" * 999) for n in range(ENOUGH)))

    (model,) = models.newly_stopped()
    assert models.reasons[model].isprintable()
    assert len(models.reasons[model]) < 300


def test_a_dropped_model_is_drawn_no_more_nor_what_comes_back_of_it() -> None:
    cells = {alias: [cell(f"{alias}{n}", alias) for n in range(3)] for alias in ("a", "b")}
    queue = ReadyQueue({alias: iter(each) for alias, each in cells.items()})
    queue.begin()
    queue.again(cells["a"][0])
    queue.drop("a")
    queue.again(cells["a"][1])
    queue.put_back(cells["a"][2])

    drawn = [queue.draw(lambda _alias: True) for _ in range(4)]

    assert drawn == [*cells["b"], None]
    assert queue.exhausted


def test_a_dropped_model_waits_for_no_money() -> None:
    held = HeldCells()
    for alias in ("a", "b", "a"):
        held.hold(cell(alias=alias), "choice", tried=True)
    held.drop("a")
    held.begin_round()

    taken = held.take(lambda _alias: True)
    assert taken is not None
    assert taken.alias == "b"
    assert (len(held), held.tried_again, held.full("a")) == (0, False, False)


# In a call.


class Choosy(Runflow):
    """Refuses every run, or item of a batch, that *refuses* says, with what it says."""

    refuses: Callable[[str, str], tuple[int, str] | None]

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        path = request.url.path
        if request.method == "POST" and path.endswith(("/runs", "/batches")):
            body = json.loads(request.content)
            one = body["input"] if path.endswith("/runs") else body["input"][0]
            said = self.refuses(path.removeprefix("/v1/models/"), one.get("prompt", ""))
            if said is not None:
                return refused(said[0], "NOT_FOUND", said[1])
        return await super().serve(request, word)


def choosy(refuses: Callable[[str, str], tuple[int, str] | None], **about: Any) -> Choosy:
    service = Choosy(**about)
    service.refuses = refuses
    return service


def unknown(path: str, prompt: str) -> tuple[int, str] | None:
    return (404, f"Model 'bad/one' not found for {prompt!r}") if path.startswith("bad/") else None


MANY = """\
models: [{id: bad/one, alias: bad}, {id: good/one, alias: good}]
inputs: {prompt: {$range: [1, 30]}}
limits: {concurrency: 8, rate: 100/s, batch: 1}
"""


def prompts(text: str) -> str:
    return text.replace("{$range: [1, 30]}", json.dumps([f"p{n}" for n in range(30)]))


def counted(world: Begun) -> dict[str, Counter[str]]:
    """Return how many cells of each alias are in which state, as far as they have a line."""
    found: dict[str, Counter[str]] = {}
    for history in world.book().histories.values():
        found.setdefault(history.alias, Counter())[str(history.state)] += 1
    return found


async def test_it_stops_after_ten_and_the_others_go_on(tmp_path: Path) -> None:
    service = choosy(unknown)
    world = Begun(tmp_path, service, text=prompts(MANY))

    stops = await world.call()

    found = counted(world)
    assert found["good"] == {"succeeded": 30}
    assert ENOUGH <= found["bad"]["rejected"] <= ENOUGH + 8
    assert found["bad"].total() == found["bad"]["rejected"] + found["bad"]["pending"]
    assert stops.codes == []  # the cells that are left make it exit code 3
    (said,) = stops.refusing
    assert said.startswith("`bad/one` refused 1")
    assert "took none (HTTP 404 NOT_FOUND Model 'bad/one' not found for 'p" in said
    assert sum("gets no further cell in this call" in note for note in world.listener.notes) == 1


async def test_a_later_call_tries_one_and_stops_at_once(tmp_path: Path) -> None:
    service = choosy(unknown)
    world = Begun(tmp_path, service, text=prompts(MANY))
    await world.call()
    before = len(service.posts)

    stops = await world.call()

    assert len(service.posts) == before + 1
    assert len(stops.refusing) == 1


async def test_a_later_call_goes_on_where_the_model_takes_cells_now(tmp_path: Path) -> None:
    service = choosy(unknown)
    world = Begun(tmp_path, service, text=prompts(MANY))
    await world.call()
    service.refuses = lambda _path, _prompt: None

    stops = await world.call()

    found = counted(world)["bad"]
    assert stops.refusing == []
    assert set(found) == {"succeeded", "rejected"}
    assert found.total() == 30


async def test_what_waits_for_its_turn_does_not_leave_any_more(tmp_path: Path) -> None:
    service = choosy(unknown)
    text = MANY.replace("concurrency: 8, rate: 100/s", "concurrency: 60, rate: 2/s")
    world = Begun(
        tmp_path, service, text=prompts(text.replace(", {id: good/one, alias: good}", ""))
    )

    await world.call()

    assert counted(world)["bad"] == {"rejected": ENOUGH, "pending": 30 - ENOUGH}
    assert len(service.posts) == ENOUGH


@pytest.mark.parametrize("takes", ["no", "yes"])
async def test_batches_that_are_refused_come_to_the_same(tmp_path: Path, takes: str) -> None:
    service = choosy(unknown, batches=takes)
    text = MANY.replace("concurrency: 8", "concurrency: 80").replace("batch: 1", "batch: 20")
    world = Begun(tmp_path, service, text=prompts(text))

    stops = await world.call()

    found = counted(world)
    assert found["good"] == {"succeeded": 30}
    assert ENOUGH <= found["bad"]["rejected"] < 30
    assert set(found["bad"]) <= {"rejected", "pending"}
    assert len(stops.refusing) == 1


async def test_items_that_a_batch_refuses_count_as_cells(tmp_path: Path) -> None:
    def refused(batch: dict[str, Any]) -> dict[str, Any]:
        error = {"code": "INPUT_VALIDATION_FAILED", "message": "no such ratio"}
        return {**batch, "items": [{**each, "error": error} for each in batch["items"]]}

    service = Runflow(batches="yes", without_run=frozenset(range(100)), edit_batch=refused)
    text = MANY.replace("concurrency: 8", "concurrency: 20").replace("batch: 1", "batch: 20")
    world = Begun(
        tmp_path, service, text=prompts(text.replace(", {id: good/one, alias: good}", ""))
    )

    stops = await world.call()

    assert counted(world)["bad"] == {"rejected": 20}
    assert len(stops.refusing) == 1


async def test_cells_that_are_refused_for_what_they_are_stop_nothing(tmp_path: Path) -> None:
    def some(_path: str, prompt: str) -> tuple[int, str] | None:
        return (422, f"no such ratio {prompt}") if int(prompt[1:]) % 7 else None

    world = Begun(tmp_path, choosy(some), text=prompts(MANY))

    stops = await world.call(concurrency=1)

    assert stops.refusing == []
    assert all(each.total() == 30 for each in counted(world).values())


async def test_with_a_budget_it_stops_as_well_and_is_not_said_to_have_reached_it(
    tmp_path: Path,
) -> None:
    service = choosy(unknown, priced=True)
    world = Begun(
        tmp_path, service, text=prompts(MANY.replace("limits: {", "limits: {budget: 99, "))
    )

    stops = await world.call()

    assert counted(world)["good"] == {"succeeded": 30}
    assert counted(world)["bad"]["rejected"] == ENOUGH
    assert (stops.codes, len(stops.refusing)) == ([], 1)


async def test_ten_cells_of_a_model_that_has_no_more_are_just_rejected(tmp_path: Path) -> None:
    text = "models: [bad/one]\ninputs: {prompt: {$range: [1, 10]}}\nlimits: {rate: 100/s}\n"
    service = choosy(lambda _path, _prompt: (404, "no such model"))
    world = Begun(tmp_path, service, text=text)

    stops = await world.call()

    assert Counter(each.state for each in world.book().histories.values()) == {State.REJECTED: 10}
    assert stops.codes == []


SHEET = """\
name: chairs
models: [{id: google/nano-banana-2, alias: banana}]
inputs: {prompt: "chair ${n}"}
vars: {n: {$range: [1, 14]}}
limits: {concurrency: 1, settle: 100ms, rate: 1000/s}
poll: {interval: 50ms}
outputs: {download: false}
"""


def test_the_call_is_not_finished_and_its_last_line_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    settings = Settings(faults=(parse_fault("error_before=404/create"),))
    with embedded(None, settings=settings) as url:
        sweep = Sweep(tmp_path, url, SHEET, capsys)
        found = [sweep.call() for _ in range(2)]

    assert [code for code, _, _ in found] == [3, 3]
    assert [(each["rejected"], each["pending"]) for _, each, _ in found] == [(10, 4), (11, 3)]
    for (_, report, said), number in zip(found, (10, 11), strict=True):
        why = f"`google/nano-banana-2` refused {number} cells alike and took none (HTTP 404 "
        assert why in said
        assert report["next"].startswith(why)
        assert "correct the model in the manifest, or take it out, then `batchrun" in report["next"]


def test_a_file_that_the_upload_refused_is_no_refusal_of_the_model() -> None:
    book = Book()
    for number in range(12):
        key = f"c{number}"
        book.add(intent(key), 2 * number)
        refusal = Rejected(cell=key, attempt=1, http_status=413, at_upload=True)
        book.add(refusal, 2 * number + 1)

    assert book.refusals["google/nano-banana-2"].all == 0
