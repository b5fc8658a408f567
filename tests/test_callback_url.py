"""The address for callbacks: in each request, in its intent, and in its second send."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from engine_world import Begun, World
from simulated import Runflow
from test_post_outcomes import crowded

from batchrun.ledger.history import State
from batchrun.ledger.records import Dropped, Intent, decode

ONE: Final = "name: one\nmodels: [google/nano-banana-2]\ninputs: {prompt: a}\n"
MANY: Final = "models: [google/nano-banana-2]\ninputs: {prompt: {$range: [1, 12]}}\n"
HERE: Final = "https://me.example/batchrun"
THERE: Final = "https://me.example/moved"
SETTLE: Final = 5.0


def calling(url: str | None, text: str = ONE) -> str:
    return text if url is None else f"{text}callbacks: {{url: {url}}}\n"


def lines(world: World) -> list[Any]:
    read = (world.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    return [decode(line) for line in read]


def sent(world: World) -> list[tuple[str, bytes]]:
    return [(key, body) for _, key, body in world.service.posts]


def intents(world: World) -> list[Intent]:
    return [record for record in lines(world) if isinstance(record, Intent)]


@pytest.mark.parametrize("url", [HERE, None])
async def test_a_run_is_asked_for_with_it(tmp_path: Path, url: str | None) -> None:
    world = World(tmp_path, Runflow(), text=calling(url))

    await world.call(settle=SETTLE, download=False)

    [(_, body)] = sent(world)
    assert json.loads(body).get("callback_url") == url
    assert [each.callback_url for each in intents(world)] == [url]


async def test_a_batch_is_asked_for_with_it_once(tmp_path: Path) -> None:
    world = Begun(tmp_path, Runflow(batches="yes"), text=calling(HERE, MANY))

    await world.call(settle=SETTLE, download=False)

    [(_, body)] = world.service.sent_batches
    assert json.loads(body)["callback_url"] == HERE
    assert not any("callback_url" in each for each in json.loads(body)["input"])
    assert [each.callback_url for each in intents(world) if each.batch] == [HERE] * 12


async def interrupted(tmp_path: Path, word: str, first: str | None, then: str | None) -> World:
    """Play a call whose first send goes wrong and that ends at once, and one with another URL."""
    world = World(tmp_path, Runflow(script=[word]), text=calling(first))
    await world.call(settle=SETTLE, download=False, max_duration=1.0)
    world.text = calling(then)
    await world.call(settle=SETTLE, download=False)
    return world


@pytest.mark.parametrize(
    ("first", "then"), [(HERE, HERE), (HERE, None), (None, HERE), (None, None)]
)
async def test_a_second_send_is_the_same_bytes(
    tmp_path: Path, first: str | None, then: str | None
) -> None:
    world = await interrupted(tmp_path, "reset", first, then)

    assert len(sent(world)) == 2
    assert len(set(sent(world))) == 1
    assert [each.callback_url for each in intents(world)] == [first]


async def test_where_it_has_moved_and_no_run_exists_the_cell_is_begun_anew(tmp_path: Path) -> None:
    world = await interrupted(tmp_path, "reset", HERE, THERE)

    assert [json.loads(body)["callback_url"] for _, body in sent(world)] == [HERE, THERE]
    assert len({key for key, _ in sent(world)}) == 2
    dropped = [record for record in lines(world) if isinstance(record, Dropped)]
    assert [record.reason for record in dropped] == [
        "no run exists, and its end is to be announced elsewhere by now"
    ]
    assert [each.callback_url for each in intents(world)] == [HERE, THERE]
    assert len(world.service.runs) == 1
    assert {each.state for each in world.book().histories.values()} == {State.SUCCEEDED}


async def test_where_it_has_moved_a_run_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    world = await interrupted(tmp_path, "lost", HERE, THERE)

    assert len(sent(world)) == len(world.service.runs) == 1
    assert [each.callback_url for each in intents(world)] == [HERE]


@pytest.mark.parametrize("word", ["lost", "reset"])
async def test_what_may_exist_is_sent_again_only_with_the_address_it_had(
    tmp_path: Path, word: str
) -> None:
    """The service shows too little of its runs; the user has decided."""
    service = crowded(script=[word], honours_key=True)
    world = World(tmp_path, service, text=calling(HERE))
    await world.call(settle=SETTLE, download=False)
    world.text = calling(THERE)

    await world.call(settle=SETTLE, download=False, resubmit_in_doubt=True)

    assert len(sent(world)) == 2
    assert len(set(sent(world))) == 1
    assert len(world.service.runs) == 1


async def test_a_batch_that_was_not_taken_is_begun_anew_with_the_new_address(
    tmp_path: Path,
) -> None:
    service = Runflow(script=["reset"], batches="yes")
    world = Begun(tmp_path, service, text=calling(HERE, MANY))
    await world.call(settle=SETTLE, download=False, max_duration=1.0)
    world.text = calling(THERE, MANY)

    await world.call(settle=SETTLE, download=False)

    urls = [json.loads(body)["callback_url"] for _, body in world.service.sent_batches]
    assert urls[0] == HERE
    assert set(urls[1:]) == {THERE}
    assert set(world.service.paid().values()) == {1}
    assert len(world.service.paid()) == 12
