"""The orders of a POST: one run, or one for each item of a batch (pure).

A batch's items are `input: [{…, client_ref}]`; the guide's `items: [{input: {…}, client_ref}]` is
read as the same (fact sheet, sections 8 and 14). A mistake in the shape of the request raises
the 422 that it gets as a whole; whether an item's values suit the model is not asked here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from batchrun.simulator.errors import invalid

MOST_ITEMS: Final = 100
LONGEST_REF: Final = 255
LONGEST_URL: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run that is asked for.

    *shown* is the metadata that the run itself will carry. *wishes* are `metadata.simulate`, *cell*
    is the key that batchrun says the run is for. *failure* says why it fails before it has begun;
    an item of a batch that gets no *run* fails, too.
    """

    values: Mapping[str, Any]
    client_ref: str | None = None
    shown: Any = None
    wishes: Mapping[str, Any]
    cell: str | None = None
    callback_url: str | None = None
    batch: tuple[str, int] | None = None
    failure: str | None = None
    run: bool = True


def single(body: Mapping[str, Any], values: Mapping[str, Any]) -> Order:
    """Return the order of a single run; its *values* have been looked at."""
    metadata = body.get("metadata")
    return Order(
        values=values,
        client_ref=body.get("client_ref"),
        shown=metadata,
        wishes=_wishes(metadata),
        cell=_cell(metadata),
        callback_url=callback_url(body),
    )


def batch(body: Mapping[str, Any], *, batch_id: str, with_metadata: bool) -> list[Order]:
    """Return the orders of a batch; its metadata is on its runs only *with_metadata*.

    Whether the service copies it is not documented; the callback is the batch's own.
    """
    metadata = body.get("metadata")
    callback_url(body)
    common = Order(values={}, shown=metadata if with_metadata else None, wishes=_wishes(metadata))
    return [
        replace(
            common,
            values={name: value for name, value in item.items() if name != "client_ref"},
            client_ref=_reference(item.get("client_ref"), index),
            cell=_cell(metadata, index),
            batch=(batch_id, index),
        )
        for index, item in enumerate(_items(body))
    ]


def callback_url(body: Mapping[str, Any]) -> str | None:
    """Return where to call back; which addresses the service refuses is not documented."""
    given = body.get("callback_url")
    if given is None:
        return None
    if not isinstance(given, str) or len(given) > LONGEST_URL:
        message = f"expected text of at most {LONGEST_URL} characters"
        raise _refused("callback_url", message=message)
    if not _is_address(given):
        raise _refused("callback_url", message="expected an http or https URL")
    return given


def _is_address(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return False
    has_port = url.port is None or 0 < url.port < 2**16
    return url.scheme in {"http", "https"} and bool(url.raw_host) and has_port


def _items(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    spelled = "items" if "items" in body and "input" not in body else "input"
    items = body.get(spelled)
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_ITEMS:
        raise _refused(spelled, message=f"expected a list of 1 to {MOST_ITEMS} items")
    for index, item in enumerate(items):
        values = item.get("input") if spelled == "items" and isinstance(item, dict) else item
        if not isinstance(values, dict):
            raise _refused(spelled, index, message="expected an object")
        if spelled == "items" and "client_ref" in item:
            values = {**values, "client_ref": item["client_ref"]}
        yield values


def _reference(given: Any, index: int) -> str | None:
    if given is None or (isinstance(given, str) and len(given) <= LONGEST_REF):
        return given
    message = f"expected text of at most {LONGEST_REF} characters"
    raise _refused("input", index, "client_ref", message=message)


def _refused(*where: str | int, message: str) -> Exception:
    return invalid([{"loc": ["body", *where], "msg": message, "type": "value_error"}])


def _wishes(metadata: Any) -> Mapping[str, Any]:
    wishes = metadata.get("simulate") if isinstance(metadata, dict) else None
    return wishes if isinstance(wishes, dict) else {}


def _cell(metadata: Any, index: int | None = None) -> str | None:
    """Return `metadata.batchrun.cell`, or for a batch's item the key in `cells[index]`."""
    match metadata:
        case {"batchrun": {"cells": [*cells]}} if index is not None and index < len(cells):
            first = cells[index][:1] if isinstance(cells[index], list) else []
            return first[0] if first and isinstance(first[0], str) else None
        case {"batchrun": {"cell": str(cell)}}:
            return cell
        case _:
            return None
