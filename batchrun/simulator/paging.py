"""Pages: what a list was asked for, and the envelope of the answer (pure).

A cursor is opaque to clients. Here it holds the sort position beside which a page begins, so that
runs made meanwhile neither hide nor repeat one.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from batchrun.simulator import query

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
FIRST: Final = "first"

Position = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One list request. *after* is the position beside which the page begins."""

    wanted: query.Filter | None
    limit: int
    descending: bool
    fields: frozenset[str] | None
    after: Position | None
    backwards: bool


def read(
    params: Mapping[str, str], *, fields: frozenset[str], sort: Sequence[str], descending: bool
) -> Asked:
    """Read a list's parameters; *sort* are what it can sort by. ValueError says what is off."""
    text = params.get("q")
    shown = params.get("fields")
    return Asked(
        wanted=query.parse(text, fields) if text else None,
        limit=_limit(params.get("limit")),
        descending=_descending(params.get("sort_by"), sort, default=descending),
        fields=frozenset(shown.replace(" ", "").split(",")) if shown else None,
        after=position(params.get("pq")),
        backwards=params.get("from_prev", "false").lower() in {"true", "1"},
    )


def _limit(text: str | None) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MAX_LIMIT:
        raise ValueError(f"limit must be between 1 and {MAX_LIMIT}")
    return int(text)


def _descending(text: str | None, sort: Sequence[str], *, default: bool) -> bool:
    if not text:
        return default
    field, _, direction = text.split(",")[0].strip().partition(":")
    if field not in sort or direction not in {"", "asc", "desc"}:
        raise ValueError(f"can sort by {' or '.join(sort)}, :asc or :desc")
    return direction == "desc"


def cursor(place: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def position(text: str | None) -> Position | None:
    """Return where a cursor points; ValueError if it is none of ours."""
    if not text or text == FIRST:
        return None
    try:
        major, minor = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("pq is not a cursor of this list") from None
    if not all(type(each) is int and abs(each) < 2**63 for each in (major, minor)):
        raise ValueError("pq is not a cursor of this list")
    return major, minor


def envelope(
    items: Sequence[Any],
    *,
    before: Position | None,
    after: Position | None,
    concept_names: bool = False,
) -> dict[str, Any]:
    """Return the page; *before* and *after* are its ends where there is more on that side."""
    following = cursor(after) if after else None
    previous = cursor(before) if before else None
    if concept_names:
        return {"items": items, "next_pq": following, "prev_pq": previous}
    return {"items": items, "first": FIRST, "next": following, "previous": previous}


def gather(
    found: Iterable[tuple[Position, Mapping[str, Any]]],
    asked: Asked,
    *,
    concept_names: bool = False,
) -> dict[str, Any]:
    """Return the page that *found* begins with: the matches beside `asked.after`, in order.

    No more of them is read than the page needs.
    """
    page = list(islice(found, asked.limit + 1))
    more = len(page) > asked.limit
    del page[asked.limit :]
    if asked.backwards:
        page.reverse()
    inside = asked.after is not None
    ahead, behind = (inside, more) if asked.backwards else (more, inside)
    return envelope(
        [project(item, asked.fields) for _, item in page],
        before=page[0][0] if page and behind else None,
        after=page[-1][0] if page and ahead else None,
        concept_names=concept_names,
    )


def cut(items: Sequence[Any], asked: Asked, *, concept_names: bool = False) -> dict[str, Any]:
    """Return the page of a list that is all in memory, in its order."""
    order = list(enumerate(items))
    if asked.descending:
        order.reverse()
    if asked.wanted is not None:
        order = [(n, item) for n, item in order if query.matches(asked.wanted, item)]
    start, end = _window([n for n, _ in order], asked)
    page = order[start:end]
    shown = [project(item, asked.fields) for _, item in page]
    more_after = bool(page) and end < len(order)
    return envelope(
        shown,
        before=(page[0][0], 0) if page and start else None,
        after=(page[-1][0], 0) if more_after else None,
        concept_names=concept_names,
    )


def _window(numbers: Sequence[int], asked: Asked) -> tuple[int, int]:
    if asked.after is None:
        return 0, asked.limit
    mark = asked.after[0]
    passed = [(n < mark) if not asked.descending else (n > mark) for n in numbers]
    if asked.backwards:
        end = sum(passed)
        return max(0, end - asked.limit), end
    start = sum(passed) + (mark in numbers)
    return start, start + asked.limit


def project(item: Mapping[str, Any], fields: frozenset[str] | None) -> Mapping[str, Any]:
    """Return *item* with the fields asked for; unknown ones are passed over."""
    if fields is None:
        return item
    return {name: value for name, value in item.items() if name in fields}
