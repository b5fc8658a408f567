"""Lists with elements that are no runs, or no list at all: all that can be had is had.

What such a list doesn't show may be there all the same: nothing is sent again for it, and no look
at it counts as the last one.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from engine_world import World
from simulated import Json
from test_client import answers, client, ok, run_body
from test_odd_services import LOSSES, SETTLE, TWELVE, Edited, assert_accounted, states

from batchrun.catalogue.asking import read_list
from batchrun.errors import UnreachableError
from batchrun.ledger.history import State
from batchrun.recovery.rebuild_ledger import find_sweeps
from batchrun.runflow.batches import parse_batch
from batchrun.runflow.pagination import UNREAD
from batchrun.runflow.wire import parse_asset, parse_page, parse_upload_place

NO_RUNS: Final[list[Any]] = [None, 7, 1.5, True, "a run", [], [{"id": "r9"}], {}, {"id": None}]
NO_LISTS: Final[list[Any]] = [None, 0, "none", {}, {"id": "r9"}, False]


@pytest.mark.parametrize("odd", NO_RUNS, ids=str)
@pytest.mark.parametrize("after", ["next", "next_pq"])
def test_an_element_that_is_no_run_is_passed_over_and_counted(odd: object, after: str) -> None:
    body = {"items": [run_body(1), odd, run_body(2)], after: "2"}

    page = parse_page(body)

    assert [run.id for run in page.runs] == ["r1", "r2"]
    assert (page.next, page.unread) == ("2", 1)
    assert parse_page(body, frozenset({"r1"})).over == 1


@pytest.mark.parametrize("odd", NO_LISTS, ids=str)
def test_a_list_that_is_none_shows_no_run_and_proves_nothing(odd: object) -> None:
    page = parse_page({"items": odd, "next": "2"})

    assert (page.runs, page.next, page.unread) == ((), "2", 1)


@pytest.mark.parametrize("body", [None, [], "x", {}, {"code": "x"}, {"next": None}], ids=str)
def test_what_has_no_items_is_no_page(body: object) -> None:
    with pytest.raises(ValueError, match="items"):
        parse_page(body)


@pytest.mark.parametrize("read", [parse_asset, parse_upload_place])
@pytest.mark.parametrize("body", [None, [], "x", 5, {}], ids=str)
def test_an_answer_of_an_upload_that_is_no_object_is_none(
    read: Callable[[Any], Any], body: object
) -> None:
    with pytest.raises(ValueError, match="expected an"):
        read(body)


async def test_a_list_is_whole_only_if_each_page_of_it_was_read_whole() -> None:
    odd, rest = {"items": [None, run_body(1)], "next": "2"}, {"items": [run_body(2)]}

    first = await client(answers(ok(odd), ok(rest))[0]).runs_of("w1")
    last = await client(answers(ok({**rest, "next": "2"}), ok({**odd, "next": None}))[0]).runs_of(
        "w1"
    )
    whole = await client(answers(ok(rest))[0]).runs_of("w1")

    assert first is not None
    assert last is not None
    assert whole is not None
    assert [{run.id for run in each} for each in (first, last)] == [{"r1", "r2"}, {"r1", "r2"}]
    assert [each.whole for each in (first, last, whole)] == [False, False, True]


@pytest.mark.parametrize("items", [None, [None, {"slug": "a/b"}], [7, {"slug": "a/b"}]], ids=str)
async def test_a_list_of_models_shows_what_it_has_and_is_not_whole(items: object) -> None:
    found = await read_list(client(lambda _: ok({"items": items})))

    assert found.failed is None
    assert set(found.models) == ({"a/b"} if items else set())
    assert not found.whole


def test_elements_of_a_batch_that_are_no_items_keep_their_places() -> None:
    items = [None, {"run_id": "r2"}, 7, {"run_id": "r4"}]

    assert [
        (each.index, each.run_id) for each in parse_batch({"id": "b", "items": items}).items
    ] == [
        (1, "r2"),
        (3, "r4"),
    ]
    assert parse_batch({"id": "b", "items": None}).items == ()


async def test_a_sweep_is_not_chosen_from_a_list_that_was_not_read_whole() -> None:
    tagged = run_body(1) | {"metadata": {"batchrun": {"sweep": "s", "name": "m", "label": None}}}

    assert await find_sweeps(client(lambda _: ok({"items": [tagged]})), "m", None) == {"s": 1}
    with pytest.raises(UnreachableError, match="no runs"):
        await find_sweeps(client(lambda _: ok({"items": [tagged, None]})), "m", None)


# A whole sweep.

Edit = Callable[[Json], Json]


def nulled(page: Json) -> Json:
    return page | {"items": None}


def mixed(page: Json) -> Json:
    odd: list[Any] = [None, 7, "x", []]
    return page | {"items": [each for run in page["items"] for each in (run, *odd)] or odd}


def hiding(page: Json) -> Json:
    """Each second run is null."""
    return page | {"items": [run if n % 2 else None for n, run in enumerate(page["items"])] or [0]}


EDITS: Final[list[Edit]] = [nulled, mixed, hiding]


@pytest.mark.parametrize("edit", EDITS)
async def test_a_sweep_is_done_where_lists_are_never_read_whole(tmp_path: Path, edit: Edit) -> None:
    world = World(tmp_path, Edited(edit=lambda page, _: edit(page)), text=TWELVE)

    stops = await world.call(settle=SETTLE, download=False)

    assert stops.codes == []
    assert states(world) == {State.SUCCEEDED: 12}
    assert set(world.service.paid().values()) == {1}
    assert world.listener.notes.count(UNREAD) <= 1
    assert (await world.call(settle=SETTLE, download=False)).codes == []
    assert world.service.calls["create"] == 12


@pytest.mark.parametrize("filters", ["yes", "no", "ignored", "empty"])
@pytest.mark.parametrize("edit", EDITS)
async def test_nothing_is_sent_again_for_what_such_a_list_does_not_show(
    tmp_path: Path, edit: Edit, filters: str
) -> None:
    service = Edited(script=[*LOSSES], filters=filters, edit=lambda page, _: edit(page))
    world = World(tmp_path, service, text=TWELVE)

    for _ in range(2):
        await world.call(settle=SETTLE, download=False)
    paid = Counter(service.paid())
    service.edit = lambda page, _: page
    for _ in range(2):
        await world.call(settle=SETTLE, download=False)

    assert set(paid.values()) == {1}
    assert states(world) == {State.SUCCEEDED: 12}
    assert assert_accounted(world) == 0


@pytest.mark.parametrize(("edit", "owed"), [(lambda page: page, 0), (nulled, 2), (hiding, 2)])
async def test_a_look_at_such_a_list_is_not_the_last_one(
    tmp_path: Path, edit: Edit, owed: int
) -> None:
    world = World(tmp_path, Edited(edit=lambda page, _: edit(page)), text=TWELVE)

    await world.call(settle=SETTLE, download=False)

    assert len(world.book().looked) == owed


async def test_a_sweep_elsewhere_may_be_hidden_by_such_a_list_and_that_is_said(
    tmp_path: Path,
) -> None:
    service = Edited(edit=lambda page, _: nulled(page))
    world = World(tmp_path, service, text=TWELVE)

    await world.call(settle=SETTLE, download=False)

    assert any("from another folder, may be among them" in each for each in world.listener.notes)
