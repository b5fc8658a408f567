"""API bodies <-> our values. Pure, and tolerant wherever the API's own documents disagree.

A value that is not understood is left out, never guessed: an unknown status is an open run. An
element of a list that is no run with an id is passed over and counted, and so is a list that isn't
there: a run may be what such a page doesn't show, so it is no proof that there is none.
"""

import json
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from batchrun.base.times import milliseconds, moment
from batchrun.runflow.inline import message
from batchrun.runflow.lenient import failure, money, text, whole
from batchrun.runflow.statuses import OPEN, TERMINAL, may_be_billed, status_of
from batchrun.sweep.references import is_whole, may_be_ours

_NO_ROUTE: Final = ("Not Found", "Method Not Allowed")

MOST_DEEP: Final = 100
"""Levels of a body that is nested too deep to be read as it is."""

MOST_NODES: Final = 10_000
"""Steps of one run beyond which a number of them is none."""

_MOST_DIGITS: Final = 300
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{\]}]')

# The fields that a list is asked for, so that a finished run costs no further call. Nothing reads
# `org_id` yet; it costs no call either.
RUN_FIELDS: Final = (
    "id,status_code,client_ref,metadata,output,cost,duration_ms,created_at,started_at,"
    "completed_at,failure_code,failure_message,failure_stage_code,org_id,batch_id,"
    "target_version,cost_breakdown,current_evaluation_summary,has_logs,has_node_runs,"
    "nodes_total,nodes_completed"
)

LIGHT_FIELDS: Final = RUN_FIELDS.replace(",output,", ",")
"""The same without the output, where lists are too large with it."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One remote execution as the API showed it; times are aware and in UTC.

    *left_out* is the size of an answer that was too large: then the run was asked for without its
    output, and where that is too large, too, there is nothing but the id.

    A struct and no dataclass, which takes far longer to make: a look makes hundreds.
    """

    id: str
    status_code: str
    client_ref: str | None = None
    metadata: Mapping[str, Any]
    cost: Decimal | None = None
    duration_ms: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    output: Any = None
    failure_code: str | None = None
    failure_message: str | None = None
    failure_stage: str | None = None
    batch_id: str | None = None
    target_version: str | None = None
    cost_breakdown: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    has_logs: bool | None = None
    has_node_runs: bool | None = None
    nodes_total: int | None = None
    nodes_completed: int | None = None
    left_out: int = 0

    @property
    def terminal(self) -> bool:
        return self.status_code in TERMINAL

    @property
    def nodes(self) -> tuple[int, int] | None:
        """How many of its steps are over, and how many there are; None where that isn't several."""
        total = self.nodes_total
        if total is None or not 1 < total <= MOST_NODES:
            return None
        return min(max(self.nodes_completed or 0, 0), total), total

    @property
    def known(self) -> bool:
        """Whether the status has one of our words; a run whose status has none counts as open."""
        return self.status_code in TERMINAL or self.status_code in OPEN


class Page(Struct, frozen=True, kw_only=True):
    """One page of a listing; *next* is the cursor of the page after it.

    *over* counts runs that it shows, too, and that were not asked for. *unread* counts elements
    that can't be read: each may be a run.
    """

    runs: tuple[Run, ...]
    next: str | None = None
    over: int = 0
    unread: int = 0


class UploadPlace(Struct, frozen=True, kw_only=True):
    """Where the bytes of a file are to be put, and the asset that they become."""

    asset_id: str
    url: str


class Asset(Struct, frozen=True, kw_only=True):
    """A file that the service has; *url* is signed and soon expires."""

    id: str
    url: str | None


class Refusal(Struct, frozen=True, kw_only=True):
    """An error in the API's own words: proof that the API itself has answered."""

    code: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.code, self.message)))


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


_Named = TypeVar("_Named", bound=_WithId)


class OtherAnswerError(ValueError):
    """The answer is about something else than the question: answers got out of step."""


def decode(content: bytes) -> Any:
    """Return the JSON value of *content*, fit to be written as UTF-8 again, or raise ValueError."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        pass
    found = content.decode("utf-8-sig", "replace")
    with suppress(RecursionError):
        return _strict(found)
    try:
        return _strict(_flattened(found))
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


def _strict(found: str) -> Any:
    """Return the JSON value of a text that msgspec doesn't take, fit for the ledger's strict lines.

    A byte order mark, NaN and half a surrogate pair are left out. A number that no computer holds
    is its text: one odd output must not hide the other runs of its page.
    """
    value = json.loads(found, parse_constant=lambda _: None, parse_float=_float, parse_int=_int)
    again = json.dumps(value, ensure_ascii=False)
    return msgspec.json.decode(again.encode("utf-8", "replace"))


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if isfinite(value) else digits


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _flattened(found: str) -> str:
    """Return JSON text with null in the place of each value below MOST_DEEP."""
    depth, kept, pieces = 0, 0, list[str]()
    for token in _TOKENS.finditer(found):
        if token[0] in "[{":
            depth += 1
            if depth == MOST_DEEP + 1:
                pieces += [found[kept : token.start()], "null"]
        elif token[0] in "]}":
            depth -= 1
            if depth == MOST_DEEP:
                kept = token.end()
    return "".join([*pieces, found[kept:]])


def parse_run(body: Any) -> Run:
    """Return the run that *body* describes; ValueError where it has no id."""
    if not isinstance(body, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004  (one kind of error for callers)
    run_id = text(body.get("id")) or text(body.get("run_id"))
    if run_id is None:
        raise ValueError("expected a run with an id")
    get, metadata = body.get, body.get("metadata")
    failure_code, failure_message = failure(body)
    cost = money(get("cost"))
    return Run(
        id=run_id,
        status_code="cancelled" if may_be_billed(body, cost) else status_of(body),
        client_ref=_reference(text(get("client_ref")), metadata),
        metadata=metadata if isinstance(metadata, dict) else {},
        cost=cost,
        duration_ms=milliseconds(whole(get("duration_ms"))),
        created_at=moment(get("created_at")),
        started_at=moment(get("started_at")),
        completed_at=moment(get("completed_at") or get("finished_at")),
        output=get("output"),
        failure_code=failure_code,
        failure_message=failure_message,
        failure_stage=text(get("failure_stage_code")) or text(get("failure_stage")),
        batch_id=text(get("batch_id")),
        target_version=text(get("target_version")),
        cost_breakdown=_mapping(get("cost_breakdown")),
        evaluation=_mapping(get("current_evaluation_summary")),
        has_logs=_flag(get("has_logs")),
        has_node_runs=_flag(get("has_node_runs")),
        nodes_total=whole(get("nodes_total")),
        nodes_completed=whole(get("nodes_completed")),
    )


def about(asked: str, parse: Callable[[Any], _Named]) -> Callable[[Any], _Named]:
    """Return *parse*, which raises OtherAnswerError for what has another id than *asked*.

    Case and hyphens of an id don't count.
    """

    def parsed(body: Any) -> _Named:
        found = parse(body)
        if _plain_id(found.id) != _plain_id(asked):
            raise OtherAnswerError(f"{found.id[:80]} instead of {asked}")
        return found

    return parsed


def _plain_id(value: str) -> str:
    return value.replace("-", "").casefold()


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) and value else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _reference(value: str | None, metadata: Any) -> str | None:
    """Return a run's `client_ref`; None for one of ours that isn't spelled as we sent it.

    A list may cut references, or spell them in another way. Then the run's tag says whose it is.
    """
    if value is None or is_whole(value):
        return value
    tagged = isinstance(metadata, Mapping) and isinstance(metadata.get("batchrun"), Mapping)
    return None if tagged or may_be_ours(value) else value


def parse_page(body: Any, over: AbstractSet[str] = frozenset()) -> Page:
    """Return a page of runs in either envelope; ValueError where *body* is none.

    Runs that are *over*, by id, are counted and not read: a wave's list shows them to the end.
    """
    items, after, unread = page_of(body)
    news = [item for item in items if not _is_over(item, over)] if over else items
    runs = tuple(map(parse_run, filter(_has_id, news)))
    return Page(
        runs=runs,
        next=after,
        over=len(items) - len(news),
        unread=unread + len(news) - len(runs),
    )


def page_of(body: Any) -> tuple[list[Mapping[str, Any]], str | None, int]:
    """Return the items of a page in either envelope, the next page's cursor, and what isn't read.

    Items that are no objects are passed over and counted; so is an `items` that is no list: null,
    say, in the place of an empty list. Raises ValueError where *body* is no page.
    """
    if not isinstance(body, Mapping) or "items" not in body:
        raise ValueError("expected an object with a list of items")
    after = next(filter(None, (text(body.get(name)) for name in ("next", "next_pq"))), None)
    listed = body["items"]
    if not isinstance(listed, list):
        return [], cursor_of(after), 1
    items = [item for item in listed if isinstance(item, Mapping)]
    return items, cursor_of(after), len(listed) - len(items)


def _has_id(item: Mapping[str, Any]) -> bool:
    return bool(text(item.get("id")) or text(item.get("run_id")))


def _is_over(item: Any, over: AbstractSet[str]) -> bool:
    return isinstance(item, dict) and isinstance(name := item.get("id"), str) and name in over


def parse_refusal(body: Any) -> Refusal | None:
    """Return the error that *body* has in one of the API's shapes, or None if it is none.

    `{code, message}`, `{error: {code, message}}` and `{detail: …}`. Not taken for the API's own:
    a bare `{message}` (gateways), numeric codes (load balancers), problem documents with a title
    (content networks), and the bare "Not Found" of a web framework that has no such route.
    """
    if not isinstance(body, Mapping) or "title" in body:
        return None
    detail = body.get("detail")
    for shape in (body, body.get("error"), detail):
        if isinstance(shape, Mapping) and isinstance(shape.get("code"), str) and shape["code"]:
            return Refusal(code=shape["code"], message=message(_message(shape)))
    if isinstance(detail, list) and detail:
        return Refusal(code="", message=message(_fields(detail)))
    if isinstance(detail, str) and detail and detail not in _NO_ROUTE:
        return Refusal(code="", message=message(detail))
    return None


def is_no_route(body: Any) -> bool:
    """Whether *body* is all that a web framework says where it has no such route, and no more."""
    return isinstance(body, Mapping) and len(body) == 1 and body.get("detail") in _NO_ROUTE


def parse_upload_place(body: Any) -> UploadPlace:
    """Return the answer to the first step of an upload; ValueError where it is none."""
    if not isinstance(body, Mapping):
        raise ValueError("expected an object")  # noqa: TRY004  (one kind of error for callers)
    asset_id, url = (text(body.get(name)) for name in ("asset_id", "upload_url"))
    if asset_id is None or url is None:
        raise ValueError("expected an asset_id and an upload_url")
    return UploadPlace(asset_id=asset_id, url=url)


def parse_asset(body: Any) -> Asset:
    """Return the asset that *body* describes; ValueError where it has no id."""
    asset_id = text(body.get("id")) if isinstance(body, Mapping) else None
    if asset_id is None:
        raise ValueError("expected an asset with an id")
    return Asset(id=asset_id, url=text(body.get("url")))


def run_body(
    input: Mapping[str, Any],  # noqa: A002  (the API's own word)
    *,
    client_ref: str,
    metadata: Mapping[str, Any] | None,
    callback_url: str | None = None,
) -> bytes:
    """Return the exact bytes of a POST. Equal values give equal bytes, whatever their order."""
    body: dict[str, Any] = {"client_ref": client_ref, "input": input}
    if metadata is not None:
        body["metadata"] = metadata
    if callback_url is not None:
        body["callback_url"] = callback_url
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


@lru_cache(maxsize=128)
def model_path(model_id: str) -> str:
    """Return the path of a model, each segment encoded by itself; ValueError if it can be none."""
    segments = model_id.split("/")
    if not all(segments) or {".", ".."} & set(segments):
        raise ValueError("expected a model id such as google/nano-banana-2")
    return "/v1/models/" + "/".join(quote(segment, safe="") for segment in segments)


def organisation(body: Any) -> str | None:
    """Return the organisation's id from an account body; its shape is not documented."""
    if not isinstance(body, Mapping):
        return None
    for name in ("org_id", "organization_id", "organisation_id", "current_organization_id"):
        if found := text(body.get(name)):
            return found
    for name in ("organization", "organisation", "org", "current_organization"):
        below = body.get(name)
        found = text(below.get("id")) if isinstance(below, Mapping) else text(below)
        if found:
            return found
    inner = (body.get(name) for name in ("data", "account", "user", "api_key", "key"))
    return next(filter(None, map(organisation, inner)), None)


def cursor_of(value: str | None) -> str | None:
    """Take the `pq` of a URL or query string; what has none is the cursor itself."""
    if value is None:
        return None
    found = re.search(r"(?:^|[?&])pq=([^&#]+)", value)
    return unquote(found[1]) if found else value


def _message(body: Mapping[str, Any]) -> str:
    message, errors = text(body.get("message")) or "", body.get("errors")
    fields = _fields(errors) if isinstance(errors, list) else ""
    return f"{message} ({fields})" if message and fields else message or fields


def _fields(errors: list[Any]) -> str:
    """Spell the fields of a 422: `body.input.seed: must be a number; …`."""
    spelled = []
    for error in errors[:10]:
        if not isinstance(error, Mapping):
            spelled.append(str(error))
            continue
        where = error.get("loc")
        place = ".".join(map(str, where)) if isinstance(where, list) else where
        message = error.get("msg") or error.get("message")
        spelled.append(": ".join(str(part) for part in (place, message) if part))
    return "; ".join(filter(None, spelled))


def parse_balance(body: Any) -> Decimal | None:
    """Return the balance in USD, of either documented shape (runflow-api.md, section 11)."""
    if not isinstance(body, Mapping):
        return None
    if (balance := money(body.get("balance"))) is not None:
        return balance
    cents = money(body.get("balance_cents"))
    return None if cents is None else cents / 100
