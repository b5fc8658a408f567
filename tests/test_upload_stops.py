"""Files that the service doesn't take: their cells wait or are rejected, and all else goes on."""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from crash.mortal import Mortal, MortalDisk, MortalTransport, Tail, serving
from engine_world import World
from simulated import Json, Runflow, answered, refused

from batchrun.base.disk import InlineDisk
from batchrun.engine.uploader import ENOUGH_FAILED
from batchrun.errors import KeyRefusedError, UnreachableError, most_severe
from batchrun.ledger.history import State
from batchrun.ledger.records import Rejected, decode
from batchrun.sweep.location import LEDGER

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
WITH_FILES = """\
models: [a/one]
inputs: {image_url: {$glob: "photos/*.png"}}
limits: {concurrency: 4, rate: 100/s, settle: 2s, give_up: 30s}
"""
BOTH = """\
models: [a/one, {id: b/two, omit: [image_url]}]
inputs: {image_url: {$glob: "photos/*.png"}, prompt: [p, q]}
limits: {concurrency: 4, rate: 100/s, settle: 2s, give_up: 30s}
"""
GONE = (500, "INTERNAL", "Something broke")
UNPAID = (402, "insufficient_credit", "Balance too low")
FORBIDDEN = (403, "PERMISSION_DENIED", "assets:create is missing")


@dataclass(kw_only=True)
class Picky(Runflow):
    """Answers the first step of some files' uploads, by their names, with a refusal.

    *storage* is the status with which the bytes are answered; *url* gives the address for them.
    """

    answers: Mapping[str, tuple[int, str, str]] = field(default_factory=dict)
    storage: int = 200
    url: Callable[[str], str] = lambda url: url
    asked: Counter[str] = field(default_factory=Counter)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if request.url.path != "/v1/asset-uploads":
            return await super().serve(request, word)
        name = json.loads(request.content)["filename"]
        self.asked[name] += 1
        if (answer := self.answers.get(name) or self.answers.get("*")) is not None:
            return refused(*answer)
        whole = await super().serve(request, word)
        body: Json = whole.json()
        return answered(201, {**body, "upload_url": self.url(body["upload_url"])})

    async def put(self, request: httpx.Request) -> httpx.Response:
        if self.storage != 200:
            return httpx.Response(self.storage)
        return await self._simulated.handle_async_request(request)


def made(path: Path, service: Picky, text: str = WITH_FILES, photos: str = "abcdef") -> World:
    (path / "photos").mkdir()
    for name in photos:
        (path / "photos" / f"{name}.png").write_bytes(PNG + name.encode())
    return World(path, service, text=text, storage=service.put)


def states(world: World) -> Counter[State]:
    return Counter(history.state for history in world.book().histories.values())


def of_models(world: World) -> Counter[str]:
    return Counter(run.model for run in world.service.runs)


async def assert_goes_on(world: World, cells: int) -> None:
    """Let the service be well again: a further call does the rest, and nothing is paid twice."""
    assert isinstance(world.service, Picky)
    world.service.answers, world.service.storage = {}, 200

    assert (await world.call()).codes == []

    assert states(world) == {State.SUCCEEDED: cells}
    assert sorted(world.service.paid().values()) == [1] * cells


@pytest.mark.parametrize(("answer", "code"), [(UNPAID, 5), (FORBIDDEN, 4)])
async def test_an_account_that_may_not_upload_goes_on_without_files(
    tmp_path: Path, answer: tuple[int, str, str], code: int
) -> None:
    world = made(tmp_path, Picky(answers={"*": answer}), BOTH)

    stops = await world.call()

    assert of_models(world) == {"b/two": 2}
    assert states(world) == {State.SUCCEEDED: 2}
    assert set(stops.codes) == {code}
    [error] = stops.errors
    assert str(error).startswith("no file is uploaded: the ")
    assert answer[2] in str(error)
    assert str(error).endswith("; 12 cells of a-one are left undone")
    await assert_goes_on(world, 14)


@pytest.mark.parametrize(("answer", "code"), [(UNPAID, 5), (FORBIDDEN, 4)])
async def test_runs_in_flight_are_seen_to_their_end_where_no_file_may_be_uploaded(
    tmp_path: Path, answer: tuple[int, str, str], code: int
) -> None:
    service = Picky(answers={"c.png": answer})
    world = made(tmp_path, service, WITH_FILES.replace("concurrency: 4", "concurrency: 2"))

    stops = await world.call()

    assert states(world) == {State.SUCCEEDED: 2}
    assert set(stops.codes) == {code}
    assert set(service.asked) == {"a.png", "b.png", "c.png"}
    assert str(stops.errors[0]).endswith("; 4 cells of a-one are left undone")
    await assert_goes_on(world, 6)


async def test_cells_whose_files_are_there_go_on_where_no_file_may_be_uploaded(
    tmp_path: Path,
) -> None:
    service = Picky()
    world = made(tmp_path, service, photos="abc")
    await world.call(limit=2)
    service.answers = {"*": FORBIDDEN}
    world.text = WITH_FILES.replace("[a/one]", "[b/two]")

    stops = await world.call()

    assert of_models(world) == {"a/one": 2, "b/two": 2}
    assert str(stops.errors[0]).endswith("; 1 cell of b-two is left undone")


async def test_a_key_that_is_refused_at_an_upload_leaves_runs_in_flight_to_their_end(
    tmp_path: Path,
) -> None:
    service = Picky(answers={"c.png": (401, "UNAUTHORIZED", "Bad key")})
    world = made(tmp_path, service, WITH_FILES.replace("concurrency: 4", "concurrency: 2"))

    stops = await world.call()

    assert states(world) == {State.SUCCEEDED: 2}
    assert set(stops.codes) == {4}
    assert isinstance(stops.errors[0], KeyRefusedError)
    assert set(service.asked) == {"a.png", "b.png", "c.png"}
    await assert_goes_on(world, 6)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_file_that_fails_for_good_holds_up_no_other(
    tmp_path: Path, concurrency: int
) -> None:
    service = Picky(answers={"b.png": GONE})
    text = WITH_FILES.replace("concurrency: 4", f"concurrency: {concurrency}")
    world = made(tmp_path, service, text)

    stops = await world.call()

    assert states(world) == {State.SUCCEEDED: 5}
    assert stops.codes == []  # the cell is left: that is exit 3
    [(why, number)] = stops.unsent.items()
    assert number == 1
    assert why.startswith("`photos/b.png` could not be uploaded: ")
    assert "HTTP 500 INTERNAL: Something broke to POST /v1/asset-uploads" in why
    assert why.endswith("; the next call tries again")
    await assert_goes_on(world, 6)


async def test_a_file_that_fails_is_tried_once_for_all_its_cells(tmp_path: Path) -> None:
    service = Picky(answers={"b.png": GONE})
    text = WITH_FILES.replace('png"}', 'png"}, prompt: {$range: [1, 9]}')
    world = made(tmp_path, service, text, photos="ab")
    await world.call()
    once = service.asked["b.png"]

    assert states(world) == {State.SUCCEEDED: 9}
    assert once <= 20
    await assert_goes_on(world, 18)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_file_that_is_refused_rejects_its_cells_and_is_named(
    tmp_path: Path, status: int
) -> None:
    service = Picky(answers={"b.png": (status, "VALIDATION_ERROR", "not such a file")})
    world = made(tmp_path, service)

    stops = await world.call()

    assert states(world) == {State.SUCCEEDED: 5, State.REJECTED: 1}
    assert stops.codes == []
    lines = (world.folder / LEDGER).read_bytes().splitlines(keepends=True)
    [line] = [each for each in map(decode, lines) if isinstance(each, Rejected)]
    assert (line.http_status, line.at_upload) == (status, True)
    assert line.message == "`photos/b.png`: not such a file"
    assert not stops.unsent


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    ("answers", "storage"),
    [({"*": GONE}, 200), ({}, 503), ({}, 403)],
    ids=["api", "storage", "refused"],
)
async def test_where_no_file_can_be_put_the_others_go_on_and_few_are_tried(
    tmp_path: Path, concurrency: int, answers: Mapping[str, tuple[int, str, str]], storage: int
) -> None:
    service = Picky(answers=answers, storage=storage)
    text = BOTH.replace("concurrency: 4", f"concurrency: {concurrency}")
    world = made(tmp_path, service, text, photos="abcdefghij")

    stops = await world.call()

    assert of_models(world) == {"b/two": 2}
    assert set(stops.codes) == {8}
    [error] = stops.errors
    assert isinstance(error, UnreachableError)
    assert str(error).startswith(f"no file is uploaded: the last {ENOUGH_FAILED} could not be, ")
    assert " cells of a-one are left undone" in str(error)
    assert len(service.asked) <= ENOUGH_FAILED + concurrency
    assert (State.REJECTED in states(world)) == (service.storage == 403)
    service.answers, service.storage = {}, 200
    await world.call(retry_failed=True)
    assert states(world) == {State.SUCCEEDED: 22}
    assert sorted(service.paid().values()) == [1] * 22


async def test_files_that_fail_beside_others_that_do_not_stop_nothing(tmp_path: Path) -> None:
    bad = {f"{name}.png": GONE for name in "bdfhj"}
    service = Picky(answers=bad)
    world = made(
        tmp_path, service, WITH_FILES.replace("concurrency: 4", "concurrency: 6"), "abcdefghijkl"
    )

    stops = await world.call()

    assert states(world) == {State.SUCCEEDED: 7}
    assert stops.codes == []
    assert sum(stops.unsent.values()) == 5
    await assert_goes_on(world, 12)


async def test_an_address_that_is_not_used_fails_its_file_alone(tmp_path: Path) -> None:
    service = Picky()
    given = 0

    def url(good: str) -> str:
        nonlocal given
        given += 1
        return "http://elsewhere.example/x" if given == 1 else good

    service.url = url
    world = made(tmp_path, service)

    await world.call()
    assert states(world) == {State.SUCCEEDED: 6}  # the API was asked for another place

    service.url = lambda _: "ftp://elsewhere.example/x"
    world.text = WITH_FILES.replace("[a/one]", "[b/two]")
    (tmp_path / "photos" / "z.png").write_bytes(PNG + b"z")
    stops = await world.call()

    assert of_models(world) == {"a/one": 6, "b/two": 6}
    [why] = stops.unsent
    assert "the API gave an upload URL at ftp://elsewhere.example; only https is used" in why
    service.url = lambda url: url
    await assert_goes_on(world, 13)


async def test_a_service_that_is_out_of_reach_ends_the_call_as_ever(tmp_path: Path) -> None:
    class Gone(Picky):
        async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
            if self.calls["upload"]:
                raise httpx.ConnectError("down", request=request)
            return await super().serve(request, word)

    stops = await made(tmp_path, Gone()).call()

    assert most_severe(stops.codes) == 8
    assert "gave no good answer for 30 s" in str(stops.errors[0])
    assert not stops.unsent


async def killed(world: World, at: int, tail: Tail) -> bool:
    """Let a call die at a boundary; say whether it came so far."""
    service, life = world.service, Mortal(at=at, tail=tail)
    world.disk = MortalDisk(life)
    async with serving(service) as process:
        world.transport = MortalTransport(process, life)
        with patch.object(os, "fsync", lambda _: None):  # a process dies here, and no machine
            try:
                await world.call()
            except BaseException:
                if not life.dead:
                    raise
    world.disk, world.transport = InlineDisk(), None
    return life.dead


@pytest.mark.parametrize("tail", ["kept", "half"])
@pytest.mark.parametrize("answer", [FORBIDDEN, GONE, (422, "INVALID", "not such a file")])
async def test_a_call_killed_amid_uploads_that_fail_pays_once_and_loses_nothing(
    tmp_path: Path, answer: tuple[int, str, str], tail: Tail, anyio_backend_name: str
) -> None:
    every, died = (41 if anyio_backend_name == "trio" else 13), 0
    for at in count(step=every):
        (folder := tmp_path / str(at)).mkdir()
        world = made(folder, Picky(answers={"b.png": answer}), photos="abcd")
        if not await killed(world, at, tail):
            break
        died += 1
        assert isinstance(world.service, Picky)
        world.service.answers = {}

        await world.call(retry_failed=True)
        stops = await world.call(retry_failed=True)

        assert stops.codes == [], at
        assert states(world) == {State.SUCCEEDED: 4}, at
        assert sorted(world.service.paid().values()) == [1] * 4, at
    assert died > 2
