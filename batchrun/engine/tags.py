"""The tag that every run of ours carries: `metadata.batchrun`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.engine.waves import reference
from batchrun.runflow.wire import Run


@dataclass(frozen=True, slots=True)
class Tag:
    """What a run was made for; *key* is the intent's Idempotency-Key, and names it alone."""

    cell: str
    attempt: int
    key: str


def tag_of(run: Run, sweep: str) -> Tag | None:
    """Return the tag of a run of this sweep, None for other runs."""
    tag = run.metadata.get("batchrun")
    if not isinstance(tag, Mapping) or tag.get("sweep") != sweep:
        return None
    match tag:
        case {"cell": str(cell), "attempt": int(attempt), "key": str(key)}:
            return Tag(cell, attempt, key)
        case _:
            return None


def is_ours(run: Run, sweep: str) -> bool:
    """Say whether *run* is of this sweep, as far as it tells: by its reference, or by its tag."""
    if run.client_ref is not None:
        return run.client_ref.startswith(reference(sweep, 0)[:-1])
    return tag_of(run, sweep) is not None


def tagged(identity: Mapping[str, Any], tag: Tag) -> dict[str, Any]:
    """Return `metadata.batchrun` for one intent of the sweep that *identity* names."""
    return {**identity, "cell": tag.cell, "attempt": tag.attempt, "key": tag.key}
