"""Logs of a run: read tolerantly, bounded, and without what could harm a terminal or leak."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from batchrun.runflow.run_logs import (
    LONGEST,
    MOST_LINES,
    MOST_PAGES,
    LogLine,
    harmless,
    log_line,
    node_run,
    read_part,
)

Ask = Callable[[str | None], Awaitable[Any]]


def pages(*bodies: Any) -> tuple[Ask, list[str | None]]:
    """Return what answers with *bodies*, the last for ever, and the cursors it was asked for."""
    asked: list[str | None] = []

    async def ask(cursor: str | None) -> Any:
        asked.append(cursor)
        return bodies[min(len(asked), len(bodies)) - 1]

    return ask, asked


def page(*messages: str, **more: Any) -> dict[str, Any]:
    return {"items": [{"message": each, "level_code": "info"} for each in messages], **more}


async def words(ask: Ask) -> tuple[list[str], str]:
    part = await read_part(ask, log_line)
    return [each.message for each in part.items if isinstance(each, LogLine)], part.said


async def test_pages_are_followed_in_either_envelope() -> None:
    ask, asked = pages(
        page("a", next="https://x.test/v1?pq=2&limit=9"),
        page("b", next_pq="3"),
        page("c", next=None),
    )

    assert await words(ask) == (["a", "b", "c"], "")
    assert asked == [None, "2", "3"]


async def test_a_bare_list_and_odd_items_are_read() -> None:
    ask, _ = pages([{"message": "a"}, 7, None, {"msg": {"b": 1}}, {}])

    assert await words(ask) == (["a", "{'b': 1}", ""], "")


@pytest.mark.parametrize("body", [None, 7, "x", {"items": 3}, {}])
async def test_what_is_no_list_is_said(body: Any) -> None:
    ask, _ = pages(body)

    assert await words(ask) == ([], "the service has none, or does not show them")


async def test_a_list_in_a_circle_ends() -> None:
    ask, asked = pages(page("a", next="2"), page("b", next="2"))

    found, said = await words(ask)

    assert found == ["a", "b"]
    assert len(asked) == 2
    assert said == "only the first 2 are shown"


async def test_a_list_without_an_end_is_cut() -> None:
    asked = 0

    async def ask(_: str | None) -> Any:
        nonlocal asked
        asked += 1
        return page("a", next=str(asked))

    _, said = await words(ask)

    assert asked == MOST_PAGES
    assert said == f"only the first {MOST_PAGES} are shown"


async def test_a_page_of_too_many_is_cut() -> None:
    ask, _ = pages(page(*["a"] * 10_000))

    found, said = await words(ask)

    assert len(found) == MOST_LINES
    assert said == f"only the first {MOST_LINES} are shown"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("one\ntwo\r", "one\\ntwo\\r"),
        ("\u202eevil", "\\u202eevil"),
        (
            "got https://files.test/a.png?X-Amz-Signature=abc&Expires=9 (404)",
            "got https://files.test/a.png?[left out] (404)",
        ),
        ("s3://me:pass@bucket/x", "s3://[left out]@bucket/x"),
        ("Authorization: Bearer rf_live_1", "Authorization: [left out]"),
        ('{"token":"abc","x":1}', '{"token":"[left out]","x":1}'),
        ('{"access_token": "abc"}', '{"access_token": "[left out]"}'),
        ("RUNFLOW_API_KEY=rf_live_1", "RUNFLOW_API_KEY=[left out]"),
        ("what is this? a token of love", "what is this? a token of love"),
    ],
)
def test_words_of_the_service_are_made_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_long_message_is_cut() -> None:
    assert len(harmless("ab " * 100_000)) <= LONGEST + 1


def test_a_step_is_read_as_far_as_it_goes() -> None:
    step = node_run({"node_id": 7, "state_code": "failed", "cost": "x", "error": {"code": "E"}})

    assert (step.node, step.state, step.cost, step.error) == ("7", "failed", None, "{'code': 'E'}")
    assert node_run({}).node is None
