"""Descriptions of models with the times at which they were had. Pure.

A description is kept as the service sent it, so that a later version of batchrun may understand
more of it. Only what no version needs is left out: a model's page, its pictures. Times are UTC.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from batchrun.base.text import number_of, span
from batchrun.runflow.descriptions import Description, parse_description

FRESH: Final = timedelta(hours=24)
"""The age up to which a description is used without a word (rule 35 of the contract)."""

FRESH_ABSENCE: Final = timedelta(hours=1)
"""The same for a model that the service didn't know, and for its list: models are added."""

AHEAD: Final = timedelta(minutes=5)
"""How far ahead of our clock a time may be; one beyond it says nothing of an age."""

MOST_BYTES: Final = 256 * 1024
"""Bytes of one description beyond which only the fields that we read are kept."""

MOST_OF_ALL: Final = 16 * 2**20
"""Bytes of all of them: the oldest beyond it are dropped."""

_NEVER_READ: Final = frozenset(
    {"content", "seo", "icon_url", "cover_url", "notable_features", "paper_url", "github_url"}
)
_READ: Final = ("name", "slug", "description", "pricing_note", "inputs", "outputs")

Moment = Annotated[datetime, Meta(tz=True)]


class Entry(Struct, frozen=True, kw_only=True):
    """A model's description as it came at *at*; *body* is None where the service knew no model."""

    at: Moment
    body: Mapping[str, Any] | None = None

    @property
    def description(self) -> Description | None:
        return None if self.body is None else parse_description(self.body)

    def is_fresh(self, now: datetime) -> bool:
        return now - self.at < (FRESH_ABSENCE if self.body is None else FRESH)


class Listed(Struct, frozen=True, kw_only=True):
    """The ids of the service's list, which was read to its end."""

    at: Moment
    ids: tuple[str, ...]

    def is_fresh(self, now: datetime) -> bool:
        return now - self.at < FRESH_ABSENCE


class Entries(Struct, frozen=True, kw_only=True):
    """All that is kept of one endpoint: models by id, and its list."""

    schema: int = 1
    models: dict[str, Entry] = field(default_factory=dict)
    listed: Listed | None = None

    def fresh(self, model: str, now: datetime) -> Entry | None:
        entry = self.models.get(model)
        return entry if entry is not None and entry.is_fresh(now) else None

    def fresh_list(self, now: datetime) -> Listed | None:
        return self.listed if self.listed is not None and self.listed.is_fresh(now) else None

    def until(self, now: datetime) -> "Entries":
        """Return them without times ahead of *now*: they would stay fresh, and win, for years."""
        end = now + AHEAD
        models = {name: entry for name, entry in self.models.items() if entry.at <= end}
        listed = self.listed if self.listed is not None and self.listed.at <= end else None
        return Entries(models=models, listed=listed)

    def merged(self, other: "Entries") -> "Entries":
        """Return the newer one of each; of two with one time, that of *other*."""
        models = dict(self.models)
        for name, entry in other.models.items():
            if name not in models or models[name].at <= entry.at:
                models[name] = entry
        lists = [each for each in (other.listed, self.listed) if each is not None]
        return Entries(models=models, listed=max(lists, key=lambda each: each.at, default=None))


def age(at: datetime, now: datetime) -> str:
    """Spell how long ago *at* was: `40 s`, `3 h 20 min`, `3 days`."""
    ago = now - at
    return number_of(ago.days, "day") if ago.days > 1 else span(max(0.0, ago.total_seconds()))


def entry_of(body: Mapping[str, Any] | None, at: datetime) -> Entry | None:
    """Return what is to be kept of *body*; None where it is too large, or no JSON."""
    if body is None:
        return Entry(at=at)
    kept = {name: value for name, value in body.items() if name not in _NEVER_READ}
    for each in (kept, {name: kept.get(name) for name in _READ}):
        size = _size(each)
        if size is not None and size <= MOST_BYTES:
            return Entry(at=at, body=each)
    return None


def entries_of(
    bodies: Mapping[str, Mapping[str, Any] | None], at: datetime, listed: Listed | None = None
) -> Entries:
    """Return what is to be kept of answers of *at*; a body of None is of an unknown model."""
    found = {model: entry_of(body, at) for model, body in bodies.items()}
    models = {model: entry for model, entry in found.items() if entry is not None}
    return Entries(models=models, listed=listed)


def encode(entries: Entries) -> bytes:
    """Return the text of the file, without the oldest models beyond its bound."""
    kept, size = {}, 0
    for name, entry in _newest_first(entries.models.items()):
        size += (_size(entry.body) or 0) + len(name)
        if size > MOST_OF_ALL:
            break
        kept[name] = entry
    bounded = msgspec.structs.replace(entries, models=dict(sorted(kept.items())))
    return msgspec.json.encode(bounded) + b"\n"


def _newest_first(models: Iterable[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
    return sorted(models, key=lambda each: each[1].at, reverse=True)


def decode(data: bytes) -> Entries:
    """Return the entries in *data*; ValueError where it is no such file of this version."""
    try:
        entries = msgspec.json.decode(data, type=Entries)
    except (ValueError, RecursionError):
        raise ValueError("it holds no catalogue") from None
    if entries.schema != Entries().schema:
        raise ValueError("it is of another version of batchrun")
    return entries


def _size(value: Any) -> int | None:
    """Return the bytes of *value* as JSON; None where it can't be that."""
    try:
        return len(msgspec.json.encode(value))
    except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None
