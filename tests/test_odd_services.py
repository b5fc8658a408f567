"""Services that are odd, though the evidence is in their answers: nothing is paid twice, or hidden.

Each run that the service made is in the ledger in the end, as a cell's run or as an `extra`.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import Json, Runflow

from batchrun.errors import LostLedgerError
from batchrun.ledger.history import State
from batchrun.ledger.records import Extra, Looked, Submitted, decode
from batchrun.sweep.location import LEDGER
from batchrun.sweep.references import is_marker

SETTLE: Final = 2.0
TWELVE: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 12]}}
limits: {concurrency: 4, rate: 20/s, batch: 1}
"""
LOSSES: Final = ["ok", "lost", "ok", "500-after", "half", "lost", "ok", "lost"]


def records(world: World) -> list[Any]:
    lines = (world.folder / LEDGER).read_bytes().splitlines(keepends=True)
    return [decode(line) for line in lines]


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


def assert_accounted(world: World) -> int:
    """Each run of the service is known, and what is paid twice is an extra; return how many."""
    known = {each.run_id for each in records(world) if isinstance(each, Submitted | Extra)}
    extras = {each.run_id for each in records(world) if isinstance(each, Extra)}
    made = {run.id for run in world.service.runs}
    assert made == known
    assert len(made) - len(world.service.paid()) == len(extras)
    return len(extras)


def listed(request: httpx.Request) -> bool:
    return request.method == "GET" and request.url.path == "/v1/runs"


@dataclass(kw_only=True)
class Edited(Runflow):
    """Its lists are changed on their way: *edit* gets the page, and the query."""

    edit: Callable[[Json, Mapping[str, str]], Json] = lambda page, _: page

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        whole = await super().serve(request, word)
        if not (listed(request) and whole.is_success):
            return whole
        page = self.edit(whole.json(), request.url.params)
        return httpx.Response(200, json=page, headers={"Date": whole.headers["Date"]})


def spelled(spell: Callable[[str], str]) -> Callable[[Json, Mapping[str, str]], Json]:
    """Return what spells the references of a page otherwise."""

    def edit(page: Json, _: Mapping[str, str]) -> Json:
        for run in page["items"]:
            run["client_ref"] = spell(run["client_ref"]) if run["client_ref"] else None
        return page

    return edit


SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "cut within the sweep": lambda ref: ref[:16],
    "cut before the number": lambda ref: ref[:24],
    "cut within the number": lambda ref: ref[:26],
    "in capitals": str.upper,
    "with a prefix": lambda ref: f"org-1/{ref}",
    "with a blank": lambda ref: f" {ref}",
    "as another text": lambda ref: "x",
    "empty": lambda ref: "",
}


@pytest.mark.parametrize("filters", ["yes", "no", "empty"])
@pytest.mark.parametrize("name", SPELLINGS)
async def test_a_reference_that_lists_spell_otherwise(
    tmp_path: Path, name: str, filters: str
) -> None:
    service = Edited(script=[*LOSSES], filters=filters, edit=spelled(SPELLINGS[name]))
    world = World(tmp_path, service, text=TWELVE)

    for _ in range(3):
        await world.call(settle=SETTLE, download=False)

    assert states(world) == {State.SUCCEEDED: 12}
    assert assert_accounted(world) == 0


@pytest.mark.parametrize("name", SPELLINGS)
async def test_a_reference_of_a_batch_that_lists_spell_otherwise(tmp_path: Path, name: str) -> None:
    """Its runs don't show what they were made for: the batch does, once it is asked."""
    service = Edited(script=["lost"], batches="yes", edit=spelled(SPELLINGS[name]))
    text = TWELVE.replace("12]", "30]").replace("4,", "30,").replace(", batch: 1", "")
    world = Begun(tmp_path, service, text=text)

    for _ in range(3):
        await world.call(settle=SETTLE, download=False)

    assert set(service.paid().values()) == {1}
    if name != "as another text":  # then nothing shows that it may be ours
        assert states(world) == {State.SUCCEEDED: 30}


@pytest.mark.parametrize("oldest", [False, True])
async def test_a_list_that_ends_early_proves_nothing(tmp_path: Path, *, oldest: bool) -> None:
    def edit(page: Json, query: Mapping[str, str]) -> Json:
        items = page["items"][-4:] if oldest else page["items"][:4]
        return {**page, "items": items, "next": None}

    script = ["ok"] * 6 + LOSSES
    service = Edited(script=script, edit=edit)
    world = World(tmp_path, service, text=TWELVE.replace("12]", "30]").replace("4,", "20,"))

    for _ in range(3):
        await world.call(settle=SETTLE, download=False)
    service.edit = lambda page, _: page
    await world.call(settle=SETTLE, download=False)

    assert states(world) == {State.SUCCEEDED: 30}
    assert assert_accounted(world) == 0


@pytest.mark.parametrize("filters", ["no", "empty"])
@pytest.mark.parametrize("ahead", [900.0, 86_400.0, -900.0])
async def test_a_date_that_is_not_the_time_of_the_runs(
    tmp_path: Path, ahead: float, filters: str
) -> None:
    script = [*LOSSES, *LOSSES, *LOSSES]
    service = Runflow(script=script, filters=filters, page_cap=3, date_ahead=ahead)
    world = World(tmp_path, service, text=TWELVE.replace("12]", "30]").replace("4,", "20,"))

    for _ in range(3):
        await world.call(settle=SETTLE, download=False, timeout=200_000.0)

    assert states(world) == {State.SUCCEEDED: 30}
    assert assert_accounted(world) == 0


@dataclass(kw_only=True)
class Twice(Runflow):
    """A gateway repeats each POST: both are carried out, and the second one's answer is given."""

    repeats: Callable[[int], bool] = lambda _: True
    number: int = 0

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if request.method == "POST":
            self.number += 1
            if self.repeats(self.number):
                await super().serve(request, "ok")
        return await super().serve(request, word)


@pytest.mark.parametrize(
    ("filters", "faults"), [("yes", []), ("yes", ["crowd=500"]), ("no", [])], ids=str
)
@pytest.mark.parametrize("cells", [1, 2, 6])
async def test_a_gateway_that_repeats_each_post(
    tmp_path: Path, cells: int, filters: str, faults: list[str]
) -> None:
    service = Twice(filters=filters, faults=faults)
    text = TWELVE.replace("12]", f"{cells}]")
    world = World(tmp_path, service, text=text)

    await world.call(settle=SETTLE, download=False)

    assert states(world) == {State.SUCCEEDED: cells}
    assert assert_accounted(world) == cells
    price = world.book().facts("google/nano-banana-2").max_cost
    assert price is not None
    assert world.book().cost == 2 * cells * price


@pytest.mark.parametrize("batches", ["yes", "named"])
async def test_a_gateway_that_repeats_the_request_of_a_batch(tmp_path: Path, batches: str) -> None:
    service = Twice(batches=batches)
    text = TWELVE.replace("12]", "41]").replace("4,", "41,").replace(", batch: 1", "")
    world = World(tmp_path, service, text=text)

    await world.call(settle=SETTLE, download=False)

    assert states(world) == {State.SUCCEEDED: 41}
    assert assert_accounted(world) == 41


@pytest.mark.parametrize("word", ["unreachable", "503", "hang"])
async def test_an_owed_look_changes_no_exit_and_holds_it_up_for_a_moment(
    tmp_path: Path, word: str
) -> None:
    service = Runflow(script=["ok", "lost"])
    world = World(tmp_path, service, text=TWELVE.replace("12]", "3]"))
    await world.call(settle=SETTLE, download=False)
    assert world.book().doubted
    began = anyio.current_time()

    async def away(request: httpx.Request, _: str) -> httpx.Response:
        if word == "unreachable":
            raise httpx.ConnectError("refused", request=request)
        if word == "hang":
            await anyio.sleep(10_000)
        return httpx.Response(503)

    object.__setattr__(service, "serve", away)
    stops = await world.call(settle=SETTLE, download=False)

    assert stops.codes == []
    assert anyio.current_time() - began < 12.0


async def test_lists_refused_during_the_last_look_are_no_look(tmp_path: Path) -> None:
    """What was committed late is found by the next call, and counted."""
    service = Runflow(script=["ok", "reset"], commit_lag=0.0)
    world = World(tmp_path, service, text=TWELVE.replace("12]", "3]"))
    service.faults = []

    async def refuse(request: httpx.Request, word: str) -> httpx.Response:
        if listed(request) and anyio.current_time() > 3.0:
            return httpx.Response(400, json={"code": "BAD", "message": "no lists", "errors": None})
        return await Runflow.serve(service, request, word)

    object.__setattr__(service, "serve", refuse)
    await world.call(settle=SETTLE, download=False)

    looks = [each for each in records(world) if isinstance(each, Looked)]
    doubted = [each for each in looks if not is_marker(each.client_ref)]
    assert all(each.server_at for each in doubted), "another look is owed"
    assert world.book().doubted


@dataclass(kw_only=True)
class Swapped(Runflow):
    """The answers of two POSTs are swapped, as on a connection that has a stray answer."""

    kept: httpx.Response | None = None
    swaps: frozenset[int] = frozenset({4, 5})
    number: int = 0

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        whole = await super().serve(request, word)
        if request.method == "POST":
            self.number += 1
            if self.number in self.swaps:
                kept, self.kept = self.kept, whole
                return kept or whole
        return whole


async def test_an_answer_of_another_cell_is_a_doubt(tmp_path: Path) -> None:
    """The stray answer is an earlier cell's; the cell has a run of its own."""
    service = Swapped(swaps=frozenset(range(3, 9)))
    world = World(tmp_path, service, text=TWELVE)

    for _ in range(2):
        await world.call(settle=SETTLE, download=False)

    assert states(world) == {State.SUCCEEDED: 12}
    assert assert_accounted(world) == 0
    of_cell = {run.id: run.cell for run in service.runs}
    for each in records(world):
        if isinstance(each, Submitted):
            assert of_cell[each.run_id] == each.cell


ALTERED: Final[Mapping[str, Callable[[Json], Any]]] = {
    "null": dict.fromkeys,
    "stars": lambda tag: dict.fromkeys(tag, "***"),
    "upper": lambda tag: {name: str(value).upper() for name, value in tag.items()},
    "cut": lambda tag: {name: str(value)[:16] for name, value in tag.items()},
    "text": lambda tag: {name: str(value) for name, value in tag.items()},
    "lists": lambda tag: {name: [value] for name, value in tag.items()},
    "keyless": lambda tag: {name: value for name, value in tag.items() if name != "key"},
    "homeless": lambda tag: {name: value for name, value in tag.items() if name != "sweep"},
    "empty": lambda _: {},
    "one text": str,
}


@dataclass(kw_only=True)
class Altered(Runflow):
    """Its answers to GETs have other tags than were sent."""

    alter: Callable[[Json], Any]

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        whole = await super().serve(request, word)
        if request.method != "GET" or not request.url.path.startswith("/v1/runs"):
            return whole
        body = whole.json()
        for run in body.get("items", [body]):
            if run.get("metadata"):
                run["metadata"]["batchrun"] = self.alter(run["metadata"]["batchrun"])
        return httpx.Response(200, json=body, headers={"Date": whole.headers["Date"]})


@pytest.mark.parametrize("kind", [World, Begun])
@pytest.mark.parametrize("how", ALTERED)
async def test_a_run_of_our_reference_with_an_altered_tag_may_be_ours(
    tmp_path: Path, how: str, kind: type[World]
) -> None:
    """The answer of one POST was lost, and the list can't say of which cell its run is."""
    service = Altered(alter=ALTERED[how], script=["ok", "lost"])
    world = kind(tmp_path, service, text="models: [a/b]\ninputs: {n: [1, 2, 3]}\n")

    for _ in range(2):
        await world.call(settle=SETTLE, download=False)

    assert set(service.paid().values()) == {1}
    assert states(world) == {State.SUCCEEDED: 2, State.DOUBTFUL: 1}
    assert any("without its metadata as sent" in note for note in world.listener.notes)


@dataclass(kw_only=True)
class Mixed(Runflow):
    """Answers by id, once, with the run before: it failed."""

    mixed: bool = False

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        ids = [run.id for run in self.runs]
        if ids[1:] and request.url.path.endswith(ids[1]) and anyio.current_time() > 12:
            url = str(request.url)
            url, self.mixed = url if self.mixed else url.replace(ids[1], ids[0]), True
            request = httpx.Request(request.method, url, headers=request.headers)
        return await super().serve(request, word)


async def test_an_answer_about_another_run_ends_nothing(tmp_path: Path) -> None:
    service = Mixed(
        duration=lambda n: 60.0 if n else 10.0, ending=lambda n: "succeeded" if n else "failed"
    )
    world = World(tmp_path, service, text="models: [a/b]\ninputs: {n: [1, 2]}\n")

    await world.call(download=False, attempts=1)

    assert service.mixed
    assert states(world) == {State.SUCCEEDED: 1, State.FAILED: 1}
    assert set(service.paid().values()) == {1}


@dataclass
class Copied(World):
    """A second copy of the folder, at work at the same time."""

    copy: str = "copy"

    @property
    def folder(self) -> Path:
        return self.path / self.copy


async def test_two_copies_of_a_folder_at_work_at_once_are_stopped(tmp_path: Path) -> None:
    service = Runflow()
    text = TWELVE.replace("12]", "60]")
    one = Copied(tmp_path, service, text=text, copy="one")
    await one.call(settle=SETTLE, download=False, limit=4)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    two = Copied(tmp_path, service, text=text, copy="two")
    ended: list[Any] = []

    async def at_work(world: World) -> None:
        ended.append(await world.call(settle=SETTLE, download=False))

    async with anyio.create_task_group() as tasks:
        for each in (one, two):
            tasks.start_soon(at_work, each)

    assert any(isinstance(error, LostLedgerError) for stops in ended for error in stops.errors)
    twice = sum(count - 1 for count in service.paid().values())
    assert twice <= 8, "they were stopped, and late"
    codes = sorted(max(stops.codes, default=0) for stops in ended)
    assert codes in ([0, 9], [9, 9])
    for each in (one, two):  # answers under way were waited for
        assert State.DOUBTFUL not in states(each)


@dataclass(kw_only=True)
class Late(Runflow):
    """What it is asked for when nothing listens is carried out *late* seconds later."""

    late: float = 6.0

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if request.method == "POST" and word == "reset":
            self.due.append((anyio.current_time() + self.late, request))
        for moment, earlier in list(self.due):
            if moment <= anyio.current_time():
                self.due.remove((moment, earlier))
                await super().serve(earlier, "ok")
        return await super().serve(request, word)

    def __post_init__(self) -> None:
        self.due: list[tuple[float, httpx.Request]] = []


async def test_what_comes_later_than_settle_is_found_by_the_next_calls_of_an_hour(
    tmp_path: Path,
) -> None:
    service = Late(script=["ok", "reset", "reset"], late=60.0, duration=lambda _: 1.0)
    world = World(tmp_path, service, text=TWELVE.replace("12]", "4]"))
    await world.call(settle=1.0, download=False)
    assert states(world) == {State.SUCCEEDED: 4}
    assert len(service.runs) == 4
    await anyio.sleep(100)

    await world.call(settle=1.0, download=False)  # its first request lets them come to light
    await world.call(settle=1.0, download=False)

    assert len(service.runs) == 6
    assert assert_accounted(world) == 2
    looks = [each for each in records(world) if isinstance(each, Looked)]
    assert [each.server_at is None for each in looks if not is_marker(each.client_ref)] == [False]
    await anyio.sleep(3600)
    calls = service.calls["list"]
    for _ in range(3):
        await world.call(settle=1.0, download=False)
    assert [each for each in records(world) if isinstance(each, Looked)][-1].server_at is None
    assert not world.book().doubted
    assert service.calls["list"] - calls <= 8, "the last two calls have nothing to look at"
