"""How long a run takes and how it ends (pure); what it costs is in `prices`.

All of it is decided by seed, run number and input when the run is created; what a run looks like
later is a function of that plan and the time. Times are microseconds.

A prompt can ask for trouble with a word of its own: `fail` fails, `flaky` fails the first time
this input is run, `partial` loses half of the outputs, `cancel` is cancelled at its end. Everything
can be said outright in `metadata.simulate`: `{outcome, failures, seconds, queued}`, where *queued*
is how many of the seconds pass before it runs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from batchrun.simulator import prices
from batchrun.simulator.catalog import Model
from batchrun.simulator.faults import chance

SECOND: Final = 1_000_000
TERMINAL: Final = frozenset({"succeeded", "partial_succeeded", "failed", "canceled"})
WORDS: Final = {"fail": "failed", "partial": "partial_succeeded", "cancel": "canceled"}
LASTS: Final = {"image": (0.8, 4.0), "video": (3.0, 8.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run's life from its creation on: offsets in microseconds, its end, its cost in USD."""

    outcome: str
    dispatching: int
    running: int
    ended: int
    cost: Decimal | None


STILLBORN: Final = Plan(outcome="failed", dispatching=0, running=0, ended=0, cost=None)
"""The life of a run that was refused at the door."""

NO_RUN: Final = replace(STILLBORN, outcome="no_run")
"""Of an item of a batch that got no run: a row that no answer shows as a run."""


def plan(
    model: Model,
    values: Mapping[str, Any],
    wishes: Mapping[str, Any],
    *,
    seed: int,
    number: int,
    before: int,
    failure_share: float,
    speed: float,
) -> Plan:
    """Decide a run's life; *before* is how many runs this very input had already."""
    outcome = _outcome(values, wishes, before)
    if outcome == "succeeded" and chance(seed, "failure", number) < failure_share:
        outcome = "failed"
    low, high = LASTS[model.media]
    seconds = low + (high - low) * chance(seed, "seconds", number)
    if isinstance(wish := wishes.get("seconds"), int | float):
        seconds = max(0.0, float(wish))
    whole = round(seconds * SECOND / speed)
    queue = 0.05 + 0.15 * chance(seed, "queue", number)
    dispatching, running = round(whole * queue), round(whole * (queue + 0.05))
    if isinstance(wish := wishes.get("queued"), int | float):
        dispatching = running = min(whole, round(max(0.0, float(wish)) * SECOND / speed))
    return Plan(
        outcome=outcome,
        dispatching=dispatching,
        running=running,
        ended=whole,
        cost=prices.charged(model, values, outcome),
    )


def _outcome(values: Mapping[str, Any], wishes: Mapping[str, Any], before: int) -> str:
    wish = wishes.get("outcome")
    if wish in TERMINAL:
        return str(wish)
    if isinstance(failures := wishes.get("failures"), int):
        return "failed" if before < failures else "succeeded"
    prompt = str(values.get("prompt", "")).lower()
    if re.search(r"\bflaky\b", prompt):
        return "failed" if before == 0 else "succeeded"
    word = re.search(r"\b(fail|partial|cancel)\b", prompt)
    return WORDS[word[1]] if word else "succeeded"


def depends_on_history(values: Mapping[str, Any], wishes: Mapping[str, Any]) -> bool:
    """Say whether the outcome needs to know how often this input has run before."""
    return "failures" in wishes or "flaky" in str(values.get("prompt", "")).lower()


def status(outcome: str, now: int, *, dispatching: int, running: int, ended: int) -> str:
    """Return the status at *now*; the other times are absolute too."""
    if now >= ended:
        return outcome
    if now >= running:
        return "running"
    return "dispatching" if now >= dispatching else "queued"
