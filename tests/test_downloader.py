"""From a run's output to files under names that nobody else has; what can't be had stays owed."""

import json
import os
import resource
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
import pytest
from engine_world import World
from simulated import Runflow, now

from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.ledger.records import Absent, Lost, Record, Saved, decode
from batchrun.runflow.http.client import download_client
from batchrun.settings import Settings

Line = TypeVar("Line", bound=Record)

PNG = b"\x89PNG\r\n\x1a\n"
ONE = "models: [a/b]\ninputs: {prompt: a}\n"


@dataclass(kw_only=True)
class Pictures(Runflow):
    """Outputs are URLs, which are signed anew each time a run is shown."""

    outputs: int = 1
    shown: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.edit_run = self._signed

    def _signed(self, run: dict[str, Any]) -> dict[str, Any]:
        if not run.get("output"):
            return run
        name = run["id"]
        self.shown[name] += 1
        urls = [
            f"https://files.example/{name}/{number}.png?signature={self.shown[name]}"
            for number in range(self.outputs)
        ]
        return run | {"output": {"outputs": [{"url": url, "type": "image"} for url in urls]}}


def whole(request: httpx.Request) -> httpx.Response:
    content = PNG + request.url.path.encode()
    return httpx.Response(200, content=content, headers={"Content-Type": "image/png"})


@dataclass
class Gallery(World):
    """A world whose files come from *host*."""

    host: Callable[[httpx.Request], Any] = whole

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        async with download_client(transport=httpx.MockTransport(self.host)) as http:
            runner._downloader._http = http
            return await super().run(runner, settings)

    def lines(self, kind: type[Line]) -> list[Line]:
        """Return the ledger's lines of one kind."""
        lines = (self.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
        return [record for line in lines if isinstance(record := decode(line), kind)]

    def saved(self) -> dict[str, list[str]]:
        """Return the paths of each cell's files."""
        return {each.cell: [file.path for file in each.files] for each in self.lines(Saved)}

    def files(self) -> list[str]:
        found = (path for path in (self.folder / "files").rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in found)


def good_from(number: int) -> Callable[[httpx.Request], httpx.Response]:
    """Return a host to which a signature is good from the *number*-th on."""

    def answer(request: httpx.Request) -> httpx.Response:
        if int(request.url.params["signature"]) < number:
            return httpx.Response(403, text="<Error>Request has expired</Error>")
        return whole(request)

    return answer


async def test_an_expired_url_is_renewed_by_asking_and_never_by_running_again(
    tmp_path: Path,
) -> None:
    world = Gallery(tmp_path, Pictures(), text=ONE, host=good_from(3))

    stops = await world.call()

    assert stops.codes == []
    assert world.service.calls["create"] == 1
    assert len(world.files()) == 1


async def test_what_cannot_be_had_stays_owed_and_costs_no_run(tmp_path: Path) -> None:
    world = Gallery(tmp_path, Pictures(), host=good_from(1000))
    await world.call()
    assert world.files() == []
    assert any("could not be saved" in note for note in world.listener.notes)
    world.host = whole

    await world.call()

    assert world.service.calls["create"] == 6
    assert len(world.files()) == len(world.saved()) == 6


async def test_a_file_that_cannot_be_had_holds_up_none_of_the_others(tmp_path: Path) -> None:
    service = Pictures()

    def host(request: httpx.Request) -> httpx.Response:
        first = service.runs[0].id
        return httpx.Response(500) if first in request.url.path else whole(request)

    world = Gallery(tmp_path, service, host=host)

    await world.call()

    assert len(world.files()) == 5
    assert {h.state for h in world.book().histories.values()} == {State.SUCCEEDED}


@pytest.mark.parametrize("downloads", [1, 3])
async def test_so_many_files_are_fetched_at_once_as_was_said(
    tmp_path: Path, downloads: int
) -> None:
    under_way: list[int] = []
    now = 0

    async def host(request: httpx.Request) -> httpx.Response:
        nonlocal now
        now += 1
        under_way.append(now)
        await anyio.sleep(5.0)
        now -= 1
        return whole(request)

    world = Gallery(tmp_path, Pictures(), host=host)

    await world.call(downloads=downloads)

    assert max(under_way) == downloads
    assert len(world.files()) == 6


async def test_of_several_outputs_each_has_a_number(tmp_path: Path) -> None:
    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE + 'outputs: {name: "x"}')

    await world.call()

    assert world.files() == ["files/x-1.png", "files/x-2.png", "files/x-3.png"]


@pytest.mark.parametrize("at_once", [1, 6])
async def test_cells_with_one_name_have_a_file_each(tmp_path: Path, at_once: int) -> None:
    text = (
        "models: [a/b]\ninputs: {n: ['a/b', 'a-b', 'a\\b', 'a:b', 'a|b', 'a*b']}\n"
        "outputs: {name: '${n}'}"
    )
    world = Gallery(tmp_path, Pictures(), text=text)

    await world.call(concurrency=at_once)

    paths = [path for each in world.saved().values() for path in each]
    assert len(paths) == len(set(paths)) == 6
    assert sorted(paths) == world.files()
    contents = {(world.folder / path).read_bytes() for path in paths}
    assert len(contents) == 6


HOSTILE = [
    "../../../escaped",
    "..",
    "/etc/absolute",
    "a\\..\\..\\b",
    "nul\\0byte",
    "CON",
    "con.txt",
    "LPT1",
    "x" * 500,
    "é" * 200,
    "caf\u00e9",
    "cafe\u0301",
    "CAF\u00c9",
    "-rf",
    "trailing. .",
    "a\u202egnp.exe",
    "~/home",
    "$HOME",
]


@pytest.mark.parametrize("at_once", [1, 30])
async def test_no_value_makes_a_file_outside_of_the_folder(tmp_path: Path, at_once: int) -> None:
    values = ", ".join('{$value: "' + value.replace("\\", "\\\\") + '"}' for value in HOSTILE)
    text = f'models: [a/b]\ninputs: {{v: [{values}]}}\noutputs: {{name: "in/${{v}}"}}'
    world = Gallery(tmp_path, Pictures(), text=text)

    await world.call(concurrency=at_once)

    paths = [path for each in world.saved().values() for path in each]
    assert len(paths) == len(HOSTILE)
    assert sorted(paths) == world.files()
    assert len(set(paths)) == len(HOSTILE)
    assert all(path.startswith("files/") and ".." not in path.split("/") for path in paths)
    assert sorted(os.listdir(tmp_path)) == ["m.yaml", "sweep"]  # noqa: PTH208
    assert all(len(path.rpartition("/")[2].encode()) < 250 for path in paths)


async def slowly(request: httpx.Request) -> httpx.Response:
    await anyio.sleep(5)
    return whole(request)


async def test_names_that_some_file_systems_take_for_one_are_not_written_at_once(
    tmp_path: Path,
) -> None:
    """There both would be written into one `.part`."""
    values = ["caf\u00e9", "cafe\u0301", "CAF\u00c9"]
    text = f"models: [a/b]\ninputs: {{v: {values}}}\noutputs: {{name: '${{v}}'}}"
    world = Gallery(tmp_path, Pictures(), text=text, host=slowly)

    await world.call()

    paths = [path for each in world.saved().values() for path in each]
    assert len({unicodedata.normalize("NFC", path).casefold() for path in paths}) == 3


async def test_a_full_disk_ends_the_call_with_9_and_the_next_one_saves_what_is_owed(
    tmp_path: Path,
) -> None:
    def large(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=PNG + bytes(2**20))

    world = Gallery(tmp_path, Pictures(), host=large)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, before[1]))
    try:
        stops = await world.call()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    first = world.service.calls["create"]
    again = await world.call()

    assert most_severe(stops.codes) == 9
    assert "too large" in str(stops.errors[0])
    assert first < 6
    assert again.codes == []
    assert set(world.service.paid().values()) == {1}
    assert len(world.files()) == 6


@dataclass(kw_only=True)
class Late(Runflow):
    """Shows the output of a run as *before* until *shown* seconds after its end."""

    before: Any = None
    shown: float = 3.0

    def __post_init__(self) -> None:
        self.edit_run = self._edited_run

    def _edited_run(self, run: dict[str, Any]) -> dict[str, Any]:
        ends = {each.id: each.ends for each in self.runs}[run["id"]]
        early = anyio.current_time() < ends + self.shown
        return run | {"output": self.before} if early and run.get("completed_at") else run


async def test_an_output_that_shows_after_the_end_is_waited_for(tmp_path: Path) -> None:
    world = Gallery(tmp_path, Late(), text=ONE)

    stops = await world.call()

    assert stops.codes == []
    assert len(world.files()) == 1


async def test_an_output_that_never_shows_is_owed_and_is_never_called_saved(tmp_path: Path) -> None:
    service = Late(shown=1e6)
    world = Gallery(tmp_path, service)

    stops = await world.call()
    assert world.saved() == {}
    assert any("shows no output" in note for note in world.listener.notes)
    began = anyio.current_time()
    await world.call()
    assert anyio.current_time() - began < 60, "after three in a row none is waited for"
    service.shown = 0.0
    again = await world.call()

    assert (stops.codes, again.codes) == ([], [])
    assert len(world.files()) == len(world.saved()) == 6
    assert service.calls["create"] == 6


@pytest.mark.parametrize("output", [False, 0, 0.0, "a text", ["a", "list"], {"a": 1}])
async def test_an_output_that_is_no_file_is_kept_as_it_is(tmp_path: Path, output: Any) -> None:
    world = Gallery(tmp_path, Late(before=output, shown=1e6), text=ONE)

    stops = await world.call()

    assert stops.codes == []
    [name] = world.files()
    assert json.loads((world.folder / name).read_bytes()) == output


EMPTY = [{}, [], "", {"outputs": []}, {"outputs": [], "seed": 1}, {"image_urls": None}, {"a": None}]


@pytest.mark.parametrize("output", EMPTY)
@pytest.mark.parametrize("shown", [3.0, 1e6])
async def test_an_output_of_nothing_is_asked_for_again_and_owed(
    tmp_path: Path, output: Any, shown: float
) -> None:
    world = Gallery(tmp_path, Late(before=output, shown=shown), text=ONE)

    stops = await world.call()

    assert stops.codes == []
    assert len(world.saved()) == len(world.files()) == (shown < 10)
    assert any("an empty output" in note for note in world.listener.notes) == (shown > 10)


async def test_of_three_files_one_that_is_gone_holds_up_none(tmp_path: Path) -> None:
    asked = Counter[str]()

    def host(request: httpx.Request) -> httpx.Response:
        asked[request.url.path[-5:]] += 1
        return httpx.Response(404) if request.url.path.endswith("/1.png") else whole(request)

    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE, host=host)

    await world.call()

    assert [name[-6:] for name in world.files()] == ["-1.png", "-3.png"]
    assert (asked["0.png"], asked["2.png"]) == (1, 1)
    assert [record.owed for record in world.lines(Saved)] == [(1, 2), (1,)]
    assert any("404" in note for note in world.listener.notes)


def gone_from(number: int, status: int = 404) -> Callable[[httpx.Request], httpx.Response]:
    """Return a host that doesn't have the files of that *number* of any run."""

    def host(request: httpx.Request) -> httpx.Response:
        there = not request.url.path.endswith(f"/{number}.png")
        return whole(request) if there else httpx.Response(status)

    return host


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("outputs", [1, 3])
async def test_a_file_is_lost_once_two_calls_an_hour_apart_did_not_find_it(
    tmp_path: Path, outputs: int, status: int
) -> None:
    place = outputs // 2
    asked = Counter[str]()
    answer = gone_from(place, status)

    def host(request: httpx.Request) -> httpx.Response:
        asked[request.url.path[-5:]] += 1
        return answer(request)

    world = Gallery(tmp_path, Pictures(outputs=outputs), text=ONE, host=host)
    await world.call()
    assert [(each.place, each.all) for each in world.lines(Absent)] == [(place, outputs)]
    await anyio.sleep(3000)
    await world.call()
    assert (len(world.lines(Absent)), len(world.lines(Lost))) == (1, 0)
    await anyio.sleep(700)
    asked.clear()
    await world.call()

    [lost] = world.lines(Lost)
    assert (lost.place, lost.all, lost.message[:8]) == (place, outputs, f"HTTP {status}")
    last = world.lines(Saved)[-1]
    assert (last.owed, len(last.files), set(asked)) == ((), outputs - 1, {f"{place}.png"})
    cell = lost.cell[:12]
    assert any(
        cell in note and lost.file in note and f"HTTP {status}" in note
        for note in world.listener.notes
    )
    asked.clear()
    await world.call()
    assert not asked
    assert world.service.calls["create"] == 1


async def test_a_second_call_within_the_hour_asks_for_nothing_but_what_is_missing(
    tmp_path: Path,
) -> None:
    asked = Counter[str]()

    def host(request: httpx.Request) -> httpx.Response:
        asked[request.url.path[-5:]] += 1
        return gone_from(1)(request)

    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE, host=host)
    await world.call()
    asked.clear()
    await world.call()
    assert set(asked) == {"1.png"}
    world.host = whole

    await world.call()

    assert [name[-6:] for name in world.files()] == ["-1.png", "-2.png", "-3.png"]
    assert world.lines(Saved)[-1].owed == ()
    assert world.lines(Lost) == []


@pytest.mark.parametrize("status", [403, 500])
async def test_a_file_that_may_be_there_is_never_called_lost(tmp_path: Path, status: int) -> None:
    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE, host=gone_from(1, status))

    for _ in range(3):
        await world.call()
        await anyio.sleep(4000)

    assert not world.lines(Absent)
    assert not world.lines(Lost)
    assert world.lines(Saved)[-1].owed == (1,)


async def test_a_broken_file_holds_up_neither_the_others_nor_the_word_on_one_that_is_gone(
    tmp_path: Path,
) -> None:
    def host(request: httpx.Request) -> httpx.Response:
        broken = request.url.path.endswith("/0.png")
        return httpx.Response(418) if broken else gone_from(1)(request)

    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE, host=host)
    await world.call()
    await anyio.sleep(3700)
    await world.call()

    assert [each.place for each in world.lines(Lost)] == [1]
    assert [name[-6:] for name in world.files()] == ["-3.png"]
    world.host = gone_from(1)
    await world.call()
    assert [name[-6:] for name in world.files()] == ["-1.png", "-3.png"]
    assert (world.lines(Saved)[-1].places, world.lines(Saved)[-1].owed) == ((0, 2), ())


async def test_each_file_is_written_down_before_the_next_is_had(tmp_path: Path) -> None:
    known: list[int] = []

    def host(request: httpx.Request) -> httpx.Response:
        known.append(len(world.lines(Saved)))
        return whole(request)

    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE, host=host)
    await world.call()

    assert known == [0, 1, 2]
    assert [record.owed for record in world.lines(Saved)] == [(1, 2), (2,), ()]


async def test_an_hour_is_one_of_the_service_where_both_times_are_its_own(tmp_path: Path) -> None:
    world = Gallery(tmp_path, Pictures(), text=ONE, host=gone_from(0))
    await world.call()
    world.clock = lambda: now() + timedelta(hours=5)

    await world.call()

    assert world.lines(Lost) == []
    world.service.dated = False
    await world.call()
    assert len(world.lines(Lost)) == 1


async def test_what_is_fetched_again_keeps_its_identity_and_its_neighbours(tmp_path: Path) -> None:
    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE)
    await world.call()
    first = world.lines(Saved)[-1]
    (world.folder / first.files[1].path).unlink()
    (world.folder / first.files[2].path).write_bytes(PNG + b"retouched by hand")
    world.host = lambda _: httpx.Response(200, content=PNG + b"another")

    await world.call()
    (world.folder / first.files[1].path).unlink()
    await world.call()  # of what was fetched then, once more

    last = world.lines(Saved)[-1]
    assert [file.identity for file in last.files] == [file.sha256 for file in first.files]
    assert last.files[1].source_sha256 == first.files[1].sha256 != last.files[1].sha256
    assert (world.folder / first.files[2].path).read_bytes() == PNG + b"retouched by hand"
    assert any("other bytes" in note for note in world.listener.notes)


PART = [
    {"outputs": [{"url": "https://files.example/a.png"}, {"url": None, "type": "image"}]},
    {"outputs": [{"url": None}, {"url": "https://files.example/a.png"}]},
    {"outputs": [None, "https://files.example/a.png"]},
    {"image_urls": ["https://files.example/a.png", None]},
    {"outputs": [{"url": "runflow://assets/1"}, {"url": "https://files.example/a.png"}]},
    {"outputs": [{"url": "ftp://files.example/b.png"}, {"url": "https://files.example/a.png"}]},
    {"outputs": [{"url": "https://files.example/a.png"}, {"url": "not an address"}]},
    {"image_urls": ["https://files.example/a.png", "runflow://assets/1"]},
]
NONE_AT_ALL = [
    {"outputs": [{"url": None}]},
    {"outputs": [{"url": "runflow://assets/1", "type": "image"}]},
    {"image_urls": ["s3://bucket/a.png"]},
    {"image_urls": [None]},
    {"image": {"url": "runflow://assets/1", "width": 512}},
    {"output_url": "s3://bucket/a.png"},
]


@pytest.mark.parametrize("output", [*PART, *NONE_AT_ALL], ids=range(len(PART + NONE_AT_ALL)))
async def test_a_place_without_an_address_that_is_understood_is_owed(
    tmp_path: Path, output: Any
) -> None:
    service = Late(before=output, shown=1e6)
    world = Gallery(tmp_path, service, text=ONE)

    stops = await world.call()

    assert stops.codes == []
    assert len(world.files()) == (output in PART)
    assert [len(record.owed) for record in world.lines(Saved)] == [1] * (output in PART)
    assert any("could not be saved" in note for note in world.listener.notes)
    assert not any(path.endswith(".json") for path in world.files())


async def test_a_file_that_is_gone_keeps_its_name_and_identity_while_it_is_owed(
    tmp_path: Path,
) -> None:
    world = Gallery(tmp_path, Pictures(outputs=3), text=ONE)
    await world.call()
    first = world.lines(Saved)[-1]
    for file in first.files[:2]:
        (world.folder / file.path).unlink()
    world.host = gone_from(1, 500)
    await world.call()
    assert (world.lines(Saved)[-1].owed, len(world.lines(Saved)[-1].there)) == ((1,), 2)
    world.host = lambda _: httpx.Response(200, content=PNG + b"another")

    await world.call()

    last = world.lines(Saved)[-1]
    assert last.owed == ()
    assert [file.path for file in last.files] == [file.path for file in first.files]
    assert [file.identity for file in last.files] == [file.sha256 for file in first.files]
    assert last.files[1].sha256 != first.files[1].sha256


async def test_a_place_that_is_filled_later_is_had_in_the_same_call(tmp_path: Path) -> None:
    def both(run: dict[str, Any]) -> dict[str, Any]:
        if not run.get("completed_at"):
            return run
        shown.append(run["id"])
        urls = [None if len(shown) < 3 else "https://x.example/a.png", "https://x.example/b.png"]
        outputs = {"outputs": [{"url": url} for url in urls]}
        return run | {"output": outputs}

    service, shown = Runflow(edit_run=both), list[str]()
    world = Gallery(tmp_path, service, text=ONE)

    await world.call()

    assert [name[-6:] for name in world.files()] == ["-1.png", "-2.png"]
    first, last = world.lines(Saved)
    assert (first.places, first.owed, last.places, last.owed) == ((1,), (0,), (), ())
    assert [(world.folder / file.path).read_bytes()[-6:] for file in last.files] == [
        b"/a.png",
        b"/b.png",
    ]


async def test_a_file_that_the_output_no_longer_shows_stays_owed(tmp_path: Path) -> None:
    service = Pictures(outputs=3)
    world = Gallery(tmp_path, service, text=ONE, host=gone_from(2))
    await world.call()
    service.outputs = 2

    await world.call()

    assert world.lines(Saved)[-1].owed == (2,)


async def test_a_file_that_is_there_two_seconds_after_the_run_is_waited_for(tmp_path: Path) -> None:
    began: list[float] = []

    def host(request: httpx.Request) -> httpx.Response:
        began.append(anyio.current_time())
        early = anyio.current_time() < began[0] + 2
        return httpx.Response(404) if early else whole(request)

    world = Gallery(tmp_path, Pictures(), text=ONE, host=host)

    stops = await world.call()

    assert stops.codes == []
    assert len(world.files()) == 1


@pytest.mark.parametrize("port", ["99999", "0"])
async def test_an_impossible_address_leaves_its_own_cell_owed(tmp_path: Path, port: str) -> None:
    service = Runflow()

    def odd(run: dict[str, Any]) -> dict[str, Any]:
        first = run["id"] == service.runs[0].id
        url = f"https://files.example:{port}/a b.png" if first else f"https://x.example/{run['id']}"
        return run | {"output": {"outputs": [{"url": url}]}} if run.get("output") else run

    service.edit_run = odd
    world = Gallery(tmp_path, service)

    stops = await world.call()

    assert stops.codes == []
    assert len(world.saved()) == 5
    assert service.calls["create"] == 6


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", ["${prompt}", "by/${prompt}", "${cell}"])
async def test_a_file_that_was_deleted_is_fetched_again_under_its_name(
    tmp_path: Path, outputs: int, name: str
) -> None:
    text = f"models: [a/b]\ninputs: {{prompt: [a, b, c]}}\noutputs: {{name: '{name}'}}\n"
    world = Gallery(tmp_path, Pictures(outputs=outputs), text=text)
    await world.call()
    before = world.files()
    assert len(before) == 3 * outputs
    for path in before[:: max(1, outputs - 1)]:
        (world.folder / path).unlink()

    stops = await world.call()

    assert stops.codes == []
    assert world.files() == before
    assert world.service.calls["create"] == 3


@dataclass(kw_only=True)
class Renewing(Runflow):
    """Three files of one run; *shows* says which of them the n-th answer shows, and in what order.

    None shows a text in their place.
    """

    shows: Callable[[int], list[int] | None] = lambda _: [0, 1, 2]
    shown: int = 0

    def __post_init__(self) -> None:
        self.edit_run = self._renewed

    def _renewed(self, run: dict[str, Any]) -> dict[str, Any]:
        if not run.get("output"):
            return run
        self.shown += 1
        numbers = self.shows(self.shown)
        if numbers is None:
            return run | {"output": {"message": "the outputs of this run have expired"}}
        made = [
            {"url": f"https://files.example/{n}.png?signature={self.shown}", "type": "image"}
            for n in numbers
        ]
        return run | {"output": {"outputs": made}}


def without(*gone: str) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path in gone and int(request.url.params["signature"]) < 6:
            return httpx.Response(404)
        return whole(request)

    return answer


@pytest.mark.parametrize(
    "shows",
    [
        lambda n: [0, 1, 2] if n < 2 else [2, 1, 0],
        lambda n: [0, 1, 2] if n < 2 or n > 5 else [0, 2],
        lambda n: [0, 1, 2] if n < 2 else [1, 0, 2],
    ],
    ids=["reversed", "shorter", "exchanged"],
)
async def test_a_renewed_list_in_another_order_mixes_no_files_up(
    tmp_path: Path, shows: Callable[[int], list[int] | None]
) -> None:
    world = Gallery(tmp_path, Renewing(shows=shows), text=ONE, host=without("/1.png"))
    for _ in range(3):
        await world.call()

    had = {path: (world.folder / path).read_bytes() for path in world.files()}
    assert sorted(had.values()) == [PNG + f"/{n}.png".encode() for n in range(3)]
    assert all(
        data.endswith(f"{int(path.rpartition('-')[2][0]) - 1}.png".encode())
        for path, data in had.items()
    )


async def test_a_text_in_the_place_of_files_that_were_had_is_not_kept_for_them(
    tmp_path: Path,
) -> None:
    world = Gallery(tmp_path, Renewing(shows=lambda n: [0] if n < 2 else None), text=ONE)
    await world.call()
    (only,) = world.files()
    (world.folder / only).unlink()

    stops = await world.call()

    assert world.files() == []
    assert "shows no file of it any more" in world.listener.notes[-1]
    assert world.saved() == {each.cell: [only] for each in world.lines(Saved)}
    assert stops.codes == []


@pytest.mark.parametrize(
    "output",
    [
        {"image_url": None, "seed": 3},
        {"images": [], "seed": 3},
        {"image": {"url": None}, "seed": 1},
        {"video": {"url": ""}, "seed": 1},
        {"images": [{"url": None}], "seed": 1},
        {"outputs": {"url": None}},
        {"url": None, "type": "image"},
        {"outputs": [{"type": "image"}]},
        {"outputs": [{"type": "image", "status": "processing"}]},
    ],
    ids=str,
)
async def test_a_place_for_a_file_without_an_address_is_owed(tmp_path: Path, output: Any) -> None:
    shown = Runflow(edit_run=lambda run: run | {"output": output} if run.get("output") else run)
    world = Gallery(tmp_path, shown, text=ONE)

    await world.call()

    assert world.files() == []
    assert any("the next call tries again" in note for note in world.listener.notes)


async def test_beside_a_text_an_empty_place_is_no_file(tmp_path: Path) -> None:
    output = {"caption": "a red chair", "image_url": None}
    shown = Runflow(edit_run=lambda run: run | {"output": output} if run.get("output") else run)
    world = Gallery(tmp_path, shown, text=ONE)

    await world.call()

    (only,) = world.files()
    assert json.loads((world.folder / only).read_text()) == output
