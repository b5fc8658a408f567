"""The tag that every run of ours carries: `metadata.batchrun`. Pure.

A run's says what it was made for. A batch's says it of all its items, in their order; whether the
service shows it on the runs of a batch, too, is not documented.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from batchrun.runflow.wire import Run
from batchrun.sweep.references import is_marker, is_of_sweep, marker


class Redone(Struct, frozen=True, order=True):
    """A replicate that a mark made: its number, and the key of its point's *first* replicate.

    The tags of older runs have the number alone: the point may be any, and *first* is "".
    """

    number: int
    first: str = ""


class RunTag(Struct, frozen=True):
    """The cell and attempt that a run was made for; *key* is the intent's Idempotency-Key.

    It names the intent alone, or with the others of a batch, among which *cell* does. *redo* are
    the replicates beyond the manifest's `repeat` that the request has: no manifest says them, and
    a lost ledger is made again without its marks.
    """

    cell: str
    attempt: int
    key: str
    redo: tuple[Redone, ...] = ()


class SweepTag(Struct, frozen=True, kw_only=True):
    """The sweep that a run was made for, whichever it is, and the cell.

    *after* are the ids of sweeps that it has set aside.
    """

    sweep: str
    name: str
    label: str | None = None
    cell: str | None = None
    after: Sequence[str] = ()


def sweep_tag(run: Run) -> SweepTag | None:
    """Return the sweep that a run was made for; None where it doesn't show it."""
    tag = run.metadata.get("batchrun")
    if not isinstance(tag, Mapping):
        return None
    sweep, name, label, cell, after = map(tag.get, ("sweep", "name", "label", "cell", "after"))
    if not isinstance(sweep, str) or not isinstance(name, str):
        return None
    return SweepTag(
        sweep=sweep,
        name=name,
        label=label if isinstance(label, str) else None,
        cell=cell if isinstance(cell, str) else None,
        after=[each for each in after if isinstance(each, str)] if isinstance(after, list) else (),
    )


def same_name(tag: SweepTag, name: str, label: str | None) -> bool:
    """Say whether *tag* is of a sweep of that name and label, however they were typed."""
    return marker(tag.name, tag.label) == marker(name, label)


def tag_of(run: Run, sweep: str) -> RunTag | None:
    """Return the tag of a run of this sweep, None for other runs."""
    tag = run.metadata.get("batchrun")
    if not isinstance(tag, Mapping) or tag.get("sweep") != sweep:
        return None
    match tag:
        case {"cell": str(cell), "attempt": int(attempt), "key": str(key)}:
            return RunTag(cell, attempt, key, _redone(tag))
        case _:
            return None


def tags_of(metadata: Mapping[str, Any], sweep: str) -> Sequence[RunTag]:
    """Return the tags of a batch's items, in their order; none where it isn't of this sweep."""
    match metadata.get("batchrun"):
        case {"sweep": str(of), "key": str(key), "cells": [*cells]} if of == sweep:
            redo = _redone(metadata["batchrun"])
            return [RunTag(cell, number, key, redo) for cell, number in map(_pair, cells)]
        case _:
            return ()


def _redone(tag: Mapping[str, Any]) -> tuple[Redone, ...]:
    found = tag.get("redo")
    made = map(_replicate, found if isinstance(found, list) else ())
    return tuple(each for each in made if each is not None)


def _replicate(item: Any) -> Redone | None:
    match item:
        case bool():
            return None
        case int(number):
            return Redone(number)
        case [int(number), str(first)]:
            return Redone(number, first)
        case _:
            return None


def written(redo: Sequence[Redone]) -> list[tuple[int, str]]:
    """Return the replicates as a tag has them."""
    return [(each.number, each.first) for each in redo]


def _pair(item: Any) -> tuple[str, int]:
    match item:
        case [str(cell), int(attempt)]:
            return cell, attempt
        case _:
            return "", 0  # no cell's: its place among the others still counts


def is_ours(run: Run, sweep: str) -> bool:
    """Say whether *run* is of this sweep, as far as it shows: by its reference, or by its tag."""
    if run.client_ref is not None and not is_marker(run.client_ref):
        return is_of_sweep(run.client_ref, sweep)
    return tag_of(run, sweep) is not None


def tagged(identity: Mapping[str, Any], tag: RunTag) -> dict[str, Any]:
    """Return `metadata.batchrun` for one intent of the sweep that *identity* names."""
    values = {**identity, "cell": tag.cell, "attempt": tag.attempt, "key": tag.key}
    return {**values, "redo": written(tag.redo)} if tag.redo else values


def with_cells(metadata: Mapping[str, Any], tags: Sequence[RunTag]) -> dict[str, Any]:
    """Return what a batch's request carries, from the *metadata* that its intents have."""
    cells = [[tag.cell, tag.attempt] for tag in tags]
    return {**metadata, "batchrun": {**metadata["batchrun"], "cells": cells}}
