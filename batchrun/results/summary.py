"""The summary of a call: the `--json` object. Pure."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from batchrun.base.text import money
from batchrun.errors import BatchrunError, ManifestError, Problem
from batchrun.results.tally import Tally

OPTIONAL: Final = frozenset(
    {
        *("moderated", "invalid_input"),
        *("elsewhere", "beside", "changed", "reused", "redo", "plan", "error"),
        *("input_problems", "waiting", "open", "remade", "budgets", "notes", "callbacks"),
    }
)
"""Fields that are left out where there is nothing to say, or none to count."""

SCHEMA: Final = 1
"""Version of the `--json` object; fields may be added within a version, never change or go."""


NO_MODELS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})


class Stop(Struct, frozen=True, kw_only=True):
    """Why a call stopped; *problems* are a manifest's mistakes."""

    message: str
    problems: tuple[Problem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "problems": [problem_as_dict(each) for each in self.problems],
        }


def stop_of(errors: Sequence[BatchrunError], also: Sequence[str] = ()) -> Stop | None:
    """Return what several reasons to stop come to, None where there was none.

    *also* says what else was left undone, and why.
    """
    if not (errors or also):
        return None
    problems = (each.problems for each in errors if isinstance(each, ManifestError))
    return Stop(message="\n".join((*map(str, errors), *also)), problems=tuple(sum(problems, ())))


class Summary(Struct, frozen=True, kw_only=True):
    """The `--json` object, field by field and in its order.

    Whatever a call did not come to know keeps its default: so each exit has a summary. *elsewhere*
    are sweeps of this name that a plan found, and that were begun elsewhere; *beside* are those
    that lie beside this one and have its cells; *changed* is what a plan says of what was edited
    since the last start, *reused* what it takes over, *redo* what `redo` would make again, *plan*
    what a plan would begin. *models* are the counts of each, by its alias, *failures* are grouped
    by their reason, *budgets* say what is spent of each. *notes* are what the manifest may not
    mean as it says it: no mistakes. Only `status` says what the sweep is *waiting* for, which runs
    are *open*, and how many cells `redo` had *remade*.
    """

    schema: int = SCHEMA
    sweep: str | None = None
    name: str | None = None
    label: str | None = None
    endpoint: str | None = None
    cells: int = 0
    succeeded: int = 0
    partial_succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    parked: int = 0
    in_doubt: int = 0
    pending: int = 0
    in_flight: int = 0
    orphaned: int = 0
    folded: int = 0
    unsaved: int = 0
    lost: int = 0
    moderated: int = 0
    invalid_input: int = 0
    cost: Decimal = Decimal(0)
    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    callbacks: int | None = None
    duration_s: float = 0.0
    outputs: str | None = None
    ledger: str | None = None
    report: str | None = None
    complete: bool = False
    exit_code: int = 0
    next: str = ""
    elsewhere: tuple[Mapping[str, Any], ...] | None = None
    beside: tuple[Mapping[str, Any], ...] | None = None
    changed: Mapping[str, Any] | None = None
    reused: tuple[Mapping[str, Any], ...] | None = None
    redo: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = None
    input_problems: tuple[Mapping[str, Any], ...] | None = None
    models: Mapping[str, Mapping[str, Any]] = NO_MODELS
    failures: tuple[Mapping[str, Any], ...] = ()
    waiting: Mapping[str, Any] | None = None
    open: tuple[Mapping[str, Any], ...] | None = None
    remade: int | None = None
    budgets: tuple[Mapping[str, Any], ...] | None = None
    notes: tuple[Mapping[str, Any], ...] | None = None
    error: Stop | None = None

    @property
    def tally(self) -> Tally:
        return Tally(**{name: getattr(self, name) for name in Tally.__struct_fields__})

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can say of it; those of OPTIONAL where there is one."""
        values = asdict(self)
        values["cost"] = money(self.cost)
        values["duration_s"] = round(self.duration_s, 3)
        values["models"] = dict(self.models)
        values["error"] = None if self.error is None else self.error.as_dict()
        return {
            name: value
            for name, value in values.items()
            if name not in OPTIONAL or (value is not None and value != 0)
        }

    def as_json(self) -> str:
        """Return the object as one line of text that any terminal or pipe can take."""
        return json.dumps(self.as_dict())


def problem_as_dict(problem: Problem) -> dict[str, Any]:
    """Return a problem for JSON."""
    return {
        "source": problem.place.source,
        "line": problem.place.line,
        "column": problem.place.column,
        "message": problem.message,
        **({"more": problem.more} if problem.more else {}),
    }
