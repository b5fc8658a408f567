"""The summary of a call: the `--json` object, and how to go on. Pure."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from batchrun.base.text import money, number_of
from batchrun.errors import BatchrunError, ManifestError, Problem, ThrottledError, UnreachableError
from batchrun.results.tally import Tally

OPTIONAL: Final = frozenset(
    {
        *("moderated", "invalid_input"),
        *("elsewhere", "beside", "changed", "reused", "redo", "plan", "error"),
        *("input_problems", "waiting", "open", "remade", "budgets", "notes"),
    }
)
"""Fields that are left out where there is nothing to say, or none to count."""

SCHEMA: Final = 1
"""Version of the `--json` object; fields may be added within a version, never change or go."""


class Stop(Struct, frozen=True, kw_only=True):
    """Why a call stopped; *problems* are a manifest's mistakes."""

    message: str
    problems: tuple[Problem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "problems": [problem_as_dict(each) for each in self.problems],
        }


def stop_of(errors: Sequence[BatchrunError]) -> Stop | None:
    """Return what several reasons to stop come to, None where there was none."""
    if not errors:
        return None
    problems = (each.problems for each in errors if isinstance(each, ManifestError))
    return Stop(message="\n".join(map(str, errors)), problems=tuple(sum(problems, ())))


def throttled_of(errors: Sequence[BatchrunError]) -> str:
    """Return until when the service takes no calls; "" where it is no such stop, or not said."""
    facts = [
        each.fact for each in errors if isinstance(each, ThrottledError) and each.until is not None
    ]
    unreachable = [each for each in errors if isinstance(each, UnreachableError)]
    return "; ".join(dict.fromkeys(facts)) if len(facts) == len(unreachable) else ""


class Summary(Struct, frozen=True, kw_only=True):
    """The `--json` object, field by field and in its order.

    Whatever a call did not come to know keeps its default: so each exit has a summary. *elsewhere*
    are sweeps of this name that a plan found, and that were begun elsewhere; *beside* are those
    that lie beside this one and have its cells; *changed* is what a
    plan says of what was edited since the last start, *reused* what it takes over, *redo*
    what `redo` would make again, *plan* what a plan would begin. *failures* are grouped by their
    reason, *budgets* say what is spent of each. *notes* are what the manifest may not mean as it
    says it: no mistakes. Only `status` says what the sweep is *waiting* for,
    which runs are *open*, and how many cells `redo` had *remade*.
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
        values["error"] = None if self.error is None else self.error.as_dict()
        return {
            name: value
            for name, value in values.items()
            if name not in OPTIONAL or (value is not None and value != 0)
        }

    def as_json(self) -> str:
        """Return the object as one line of text that any terminal or pipe can take."""
        return json.dumps(self.as_dict())


class Others(Struct, frozen=True, kw_only=True):
    """How many cells that a call was not about are not done, and the *command* that does them."""

    unfinished: int
    command: str


def how_to_go_on(
    tally: Tally | None,
    exit_code: int,
    *,
    command: str,
    outputs: str | None = None,
    others: Others | None = None,
    refusing: Sequence[str] = (),
    throttled: str = "",
) -> str:
    """Return the last line of a call: one sentence; *command* is what runs this manifest again.

    *tally* counts the cells that the call was about; it is None where that isn't known.
    *others* are the cells that `--only` left out. *refusing* says of models that they refuse all
    cells alike, *throttled* that the service takes no calls for now.
    """
    if exit_code in _HINTS:
        return _hint(exit_code, command, throttled)
    if tally is None:
        return f"go on with `{command}`"
    if tally.unfinished:
        if refusing:
            mend = f"{'; '.join(refusing)}: correct the model in the manifest, or take it out"
            return f"{mend}, then `{command}`; {_left(tally)}"
        return f"go on with `{command}`; {_left(tally)}"
    said = "nothing to do" if outputs is None else f"nothing to do; the files are in {outputs}"
    if tally.bad > tally.partial_succeeded + tally.lost:
        said = _once_more(tally, command)
    elif tally.lost:
        said = f"nothing more can be had; {number_of(tally.lost, 'cell')} lost a file for good"
    elif others is not None and others.unfinished:
        said = "what was selected is done" if tally.cells else "no cell is selected"
    return f"{said}{_others(others)}"


def _once_more(tally: Tally, command: str) -> str:
    """Say what can be done about cells that ended badly; refused input would be refused again."""
    ended = tally.failed + tally.rejected + tally.cancelled
    if ended - tally.moderated - tally.invalid_input:
        said = f"`{command} --retry-failed` tries again what did not succeed"
    elif tally.invalid_input:
        said = f"change in the manifest what the API rejected, as said above, then `{command}`"
    else:
        said = f"change the inputs of these in the manifest, then `{command}`"
    if tally.cancelled:
        said += f"; {number_of(tally.cancelled, 'cancelled cell')} may cost again"
    moderated = number_of(tally.moderated, "cell")
    return f"{moderated} moderated: {said}" if tally.moderated else said


_HINTS: Final = {
    2: "correct what is named above, then `{command}`; nothing was sent",
    4: "set RUNFLOW_API_KEY to a key of the right account, then `{command}`",
    5: "add credit to the account, then `{command}`",
    6: "`{command}` goes on once the budget that is named above is raised "
    "in the manifest, or by `--budget` or `--budget-per-day`",
    7: "wait for the other batchrun or stop it, then `{command}`",
    8: "try again when the service can be reached: `{command}`",
    9: "put right what is named above, then `{command}`",
    70: "a bug in batchrun; the ledger is whole and `{command}` goes on",
}


def _hint(exit_code: int, command: str, throttled: str) -> str:
    if throttled and exit_code == ThrottledError.exit_code:
        return f"{throttled}; `{command}` goes on from then"
    return _HINTS[exit_code].format(command=command)


def _others(others: Others | None) -> str:
    if others is None or not others.unfinished:
        return ""
    number = number_of(others.unfinished, "other cell")
    return f"; {number} not done: `{others.command}` goes on with all"


def _left(tally: Tally) -> str:
    """Name what is left in the order in which a reader would ask."""
    parts = {
        "not yet done": tally.pending,
        "in flight": tally.in_flight,
        "parked": tally.parked,
        "in doubt": tally.in_doubt,
        "not saved": tally.unsaved,
    }
    return ", ".join(f"{number} {words}" for words, number in parts.items() if number)


def problem_as_dict(problem: Problem) -> dict[str, Any]:
    """Return a problem for JSON."""
    return {
        "source": problem.place.source,
        "line": problem.place.line,
        "column": problem.place.column,
        "message": problem.message,
    }
