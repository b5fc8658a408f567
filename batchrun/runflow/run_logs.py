"""The logs of a run, and the records of its steps: read tolerantly, and never too much of them.

Whatever a service puts there is text from outside: control characters are escaped, and of an
address the part is left out that may sign it.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import escaped
from batchrun.errors import TooLargeAnswerError
from batchrun.runflow import lenient
from batchrun.runflow.inline import message
from batchrun.runflow.wire import cursor_of

MOST_PAGES: Final = 10
MOST_LINES: Final = 500
LONGEST: Final = 1000
"""Characters of one message."""

NONE: Final = "the service has none, or does not show them"

_READ: Final = 10 * LONGEST
"""Characters of a message that are looked through: a service may send megabytes in one line."""

_ADDRESS: Final = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://)([^\s/?#'\"<>@]*@)?([^\s?'\"<>]*)(\?[^\s'\"<>]*)?", re.IGNORECASE
)
_NAMED: Final = re.compile(
    r"((?<![^\W_])(?:token|secret|password|(?:api|access|secret)[_-]?key|signature|authorization)"
    r"[\"']?\s*[:=]\s*[\"']?)"
    r"(?:(?:bearer|basic)\s+)?[^\s\"',;&]+",
    re.IGNORECASE,
)


class LogLine(Struct, frozen=True, kw_only=True):
    """A line of a run's log; *at* is the service's time, as it spells it."""

    at: str | None
    level: str | None
    message: str


class NodeRun(Struct, frozen=True, kw_only=True):
    """One step of a run; *cost* is a decimal in USD, as text."""

    node: str | None
    state: str | None
    started_at: str | None
    duration_ms: int | None
    cost: str | None
    retries: int | None
    error: str | None


class RunLogs(Struct, frozen=True, kw_only=True):
    """The logs and the steps of one run; *said* is why some are missing, if any are.

    Where a cell has no run, there is no *run_id*.
    """

    run_id: str | None
    lines: tuple[LogLine, ...] = ()
    node_runs: tuple[NodeRun, ...] = ()
    said: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it shows nothing of the run."""
        return not (self.lines or self.node_runs)


class Part(Struct, frozen=True, kw_only=True):
    """The items of a list that were to be had; *said* is why some are missing, if any are."""

    items: Sequence[LogLine | NodeRun]
    said: str = ""


AskPart = Callable[[str, str, str | None], Awaitable[Any]]
"""Asks for a page of a run's `logs` or `node-runs`: run id, part, cursor."""


async def logs_of_run(
    run_id: str, ask: AskPart, *, has_logs: bool | None = None, has_node_runs: bool | None = None
) -> RunLogs:
    """Return the logs and the steps of a run; a part that it *has* not is not asked for."""
    none = Part(items=(), said=NONE)
    lines = steps = none
    if has_logs is not False:
        lines = await read_part(partial(ask, run_id, "logs"), log_line)
    if has_node_runs is not False:
        steps = await read_part(partial(ask, run_id, "node-runs"), node_run)
    return RunLogs(
        run_id=run_id,
        lines=tuple(each for each in lines.items if isinstance(each, LogLine)),
        node_runs=tuple(each for each in steps.items if isinstance(each, NodeRun)),
        said=_said(lines, steps),
    )


def _said(lines: Part, steps: Part) -> str | None:
    if not (lines.items or steps.items) and {lines.said, steps.said} <= {"", NONE}:
        return NONE
    said = {"logs": lines.said, "node-runs": steps.said}
    return "; ".join(f"{name}: {why}" for name, why in said.items() if why) or None


async def read_part(
    ask: Callable[[str | None], Awaitable[Any]], read: Callable[[Mapping[str, Any]], Any]
) -> Part:
    """Return the items of a list, page by page; *ask* is given a cursor, and returns a body.

    A body of None is a refusal. The list is cut at MOST_PAGES pages and MOST_LINES items.
    """
    items: list[Any] = []
    cursor: str | None = None
    seen: set[str | None] = set()
    while cursor not in seen and len(seen) < MOST_PAGES and len(items) < MOST_LINES:
        seen.add(cursor)
        try:
            body = await ask(cursor)
        except TooLargeAnswerError as error:
            return Part(items=items, said=f"the rest is missing: {error}")
        found = body if isinstance(body, list) else _items(body)
        if found is None:
            return Part(items=items, said=NONE)
        items += [read(each) for each in found if isinstance(each, Mapping)]
        cursor = _next(body)
        if cursor is None:
            break
    more = len(items) > MOST_LINES or cursor is not None
    said = f"only the first {min(len(items), MOST_LINES)} are shown" if more else ""
    return Part(items=items[:MOST_LINES], said=said)


def _items(body: Any) -> list[Any] | None:
    items = body.get("items") if isinstance(body, Mapping) else None
    return items if isinstance(items, list) else None


def _next(body: Any) -> str | None:
    if not isinstance(body, Mapping):
        return None
    named = (lenient.text(body.get(name)) for name in ("next", "next_pq"))
    return cursor_of(next(filter(None, named), None))


def log_line(item: Mapping[str, Any]) -> LogLine:
    """Return a line of `GET /v1/runs/{id}/logs` (runflow-api.md, section 6)."""
    words = _first(item, "message", "msg", "text")
    return LogLine(
        at=_word(_first(item, "timestamp", "created_at")),
        level=_word(_first(item, "level_code", "level")),
        message="" if words is None else harmless(words),
    )


def node_run(item: Mapping[str, Any]) -> NodeRun:
    """Return a record of `GET /v1/runs/{id}/node-runs` (runflow-api.md, section 6)."""
    cost = lenient.money(item.get("cost"))
    error = _first(item, "error_message", "error")
    return NodeRun(
        node=_word(_first(item, "name", "node_name", "node_id", "id")),
        state=_word(_first(item, "state_code", "status_code")),
        started_at=_word(item.get("started_at")),
        duration_ms=lenient.whole(item.get("duration_ms")),
        cost=None if cost is None else str(cost),
        retries=lenient.whole(item.get("retry_count")),
        error=None if error is None else harmless(error),
    )


def _first(item: Mapping[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _word(value: Any) -> str | None:
    return None if value is None else harmless(value)[:100]


def harmless(value: Any) -> str:
    """Return words of the service on one line, without media, secrets of addresses and controls."""
    text = message(value if isinstance(value, str) else str(value))[:_READ]
    text = escaped(unsigned(text))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def unsigned(text: str) -> str:
    """Return *text* without the queries of addresses, which may sign them, and named secrets."""
    text = _ADDRESS.sub(_without_query, text)
    return _NAMED.sub(lambda found: f"{found[1]}[left out]", text)


def _without_query(found: re.Match[str]) -> str:
    user = "[left out]@" if found[2] else ""
    return f"{found[1]}{user}{found[3]}{'?[left out]' if found[4] else ''}"
