"""The list of models as the service shows it, and the id of each. Pure.

A model's id is OWNER/SLUG, as in the path of its runs. The documents name the fields of a model
and leave open which of them hold that id (runflow-api.md, section 12). A `slug` with a slash is
taken for it; a bare one is joined with the owner where the entry names one.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from batchrun.runflow import wire

_OWNERS: Final = ("owner", "owner_slug", "model_creator", "creator", "model_creator_slug")


class ModelPage(Struct, frozen=True, kw_only=True):
    """One page of the list: entries as they came; *next* is the cursor of the page after it.

    *unread* counts entries that can't be read: each may be a model.
    """

    entries: tuple[Mapping[str, Any], ...]
    next: str | None = None
    unread: int = 0


def model_body(body: Any) -> Mapping[str, Any]:
    """Return the *body* of a model; ValueError where it is none."""
    if not isinstance(body, Mapping):
        raise ValueError("expected an object")  # noqa: TRY004  (an answer that isn't the API's)
    return body


def parse_model_page(body: Any) -> ModelPage:
    """Return a page in either envelope; ValueError where *body* is none."""
    items, after, unread = wire.page_of(body)
    return ModelPage(entries=tuple(items), next=after, unread=unread)


def model_id_of(entry: Mapping[str, Any]) -> str | None:
    """Return the id OWNER/SLUG of a list's *entry*; None where it can't be read from it."""
    slug, own = entry.get("slug"), entry.get("id")
    for text in (slug, own):
        if isinstance(text, str) and _is_id(text):
            return text
    owner = next(filter(None, (_owner(entry.get(name)) for name in _OWNERS)), None)
    joined = f"{owner}/{slug}"
    return joined if owner and isinstance(slug, str) and _is_id(joined) else None


def _owner(value: object) -> str | None:
    """Return the owner's word in a path, from the word or the object that stands for it."""
    if isinstance(value, Mapping):
        value = value.get("slug")
    return value if isinstance(value, str) and value and "/" not in value else None


def _is_id(text: str) -> bool:
    parts = text.split("/")
    return len(parts) > 1 and all(parts) and text.isprintable() and " " not in text
