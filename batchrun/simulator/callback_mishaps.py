"""Callbacks that go wrong: lost, late, repeated, forged, or not true (pure)."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final

from batchrun.simulator.faults import Switchboard, chance
from batchrun.simulator.life import SECOND
from batchrun.simulator.views import made_id

ROUTES: Final = {"run": "call", "batch": "call_batch"}
FORGED: Final = "whsec_of_another"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A callback that is to be sent *delay* microseconds from now.

    Of the first *unheard* attempts the answer is lost.
    """

    payload: Mapping[str, Any]
    secret: str | None = None
    secret_id: str | None = None
    delay: int = 0
    unheard: int = 0


def spoilt(said: Said, faults: Switchboard, *, kind: str, model: str) -> Said | None:
    """Return what is sent instead of *said*, None where that is nothing.

    *kind* is run or batch.
    """
    if not faults.faults:
        return said
    struck = {
        name: fault.value
        for name in ("lost", "late", "reorder", "twice", "forged", "unsigned", "stranger", "lies")
        if (fault := faults.strike(f"callback_{name}", ROUTES[kind], model)) is not None
    }
    if "lost" in struck:
        return None
    unsigned = "unsigned" in struck
    late = float(struck.get("late") or 0)
    late += float(struck.get("reorder") or 0) * chance(
        faults.seed, "reorder", said.payload[f"{kind}_id"]
    )
    return replace(
        said,
        payload=_untrue(said.payload, struck.keys(), kind),
        secret=None if unsigned else FORGED if "forged" in struck else said.secret,
        secret_id=None if unsigned else said.secret_id,
        delay=round(late * SECOND),
        unheard=int("twice" in struck),
    )


def _untrue(payload: Mapping[str, Any], struck: AbstractSet[str], kind: str) -> Mapping[str, Any]:
    if "stranger" in struck:
        payload = {**payload, f"{kind}_id": made_id("stranger", payload[f"{kind}_id"])}
    if "lies" in struck:
        payload = {**payload, "event": f"{kind}.failed", "status": "failed"}
    return payload
