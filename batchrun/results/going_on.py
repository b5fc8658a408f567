"""How to go on: the last line of a call, which is `next` of its `--json` object. Pure.

It has to make sense alone: a mail of cron, or a line of a log, may show nothing else. So it names
the cells, the reason and the whole command, and refers to nothing that was said before it.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final

from msgspec import Struct

from batchrun.base.text import listed, number_of
from batchrun.errors import (
    UNREAD,
    BatchrunError,
    BudgetReachedError,
    KeyRefusedError,
    ManifestError,
    NotPermittedError,
    SourceChangedError,
    ThrottledError,
    UnreachableError,
)
from batchrun.results.failures import Failure
from batchrun.results.standing_words import LEFT
from batchrun.results.standing_words import said as said_of
from batchrun.results.tally import Tally

MOST_REASONS: Final = 3
"""Reasons that are named, of rejections and of failures."""


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
    failures: Sequence[Failure] = (),
    errors: Sequence[BatchrunError] = (),
) -> str:
    """Return the last line of a call: one sentence; *command* is what runs this manifest again.

    *tally* counts the cells that the call was about; it is None where that isn't known.
    *others* are the cells that `--only` left out. *refusing* says of models that they refuse all
    cells alike. *failures* and *errors* are why cells ended badly, and why the call did.
    """
    if exit_code in _HINTS:
        return _after_stops(exit_code, command, errors)
    changed = next((each for each in errors if isinstance(each, SourceChangedError)), None)
    if changed is not None:
        return _with_the_new(changed, command)
    if tally is None:
        return f"go on with `{command}`"
    if tally.unfinished:
        return f"{_go_on(command, refusing)}; {said_of(tally.as_dict(), LEFT)}"
    if tally.bad > tally.partial_succeeded + tally.lost:
        said = _once_more(tally, command, failures)
    elif tally.lost:
        said = f"nothing more can be had; {number_of(tally.lost, 'cell')} lost a file for good"
    elif others is not None and others.unfinished:
        said = "what was selected is done" if tally.cells else "no cell is selected"
    else:
        said = all_done(tally) if outputs is None else f"{all_done(tally)}; files in {outputs}"
    return f"{said}{_others(others)}"


def _go_on(command: str, refusing: Sequence[str]) -> str:
    if not refusing:
        return f"go on with `{command}`"
    return (
        f"{'; '.join(refusing)}: correct the model in the manifest, or take it out, "
        f"then `{command}`"
    )


def after_stop(exit_code: int, command: str, error: BatchrunError | None) -> str:
    """Return how to go on after what stopped a call with one of the codes that have a hint."""
    if isinstance(error, SourceChangedError):
        return _with_the_new(error, command)
    if exit_code == BudgetReachedError.exit_code:  # the same sum would stop the same call again
        command = _BUDGET.sub(r"\1\2…", command)
    hint = _HINTS[exit_code].format(command=command)
    if error is None:
        return hint
    if error.ways:
        return "; or ".join(error.ways)
    if isinstance(error, ManifestError) and error.problems:
        first, *rest = error.problems
        if first.message.startswith(UNREAD):
            return f"correct the path, then run `{command}`; {first.place.source}: {first.message}"
        number = number_of(1 + len(rest) + sum(each.more for each in error.problems), "mistake")
        sources = dict.fromkeys(each.place.source for each in error.problems)
        where = listed(sources, most=MOST_REASONS, by=" and ")
        said = f"{first.place}: {_first_line(first.message)}"
        return f"fix {number} in {where}, then run `{command}`; the first is {said}"
    return f"{hint}: {_first_line(str(error))}" if exit_code in _UNNAMED else hint


def _with_the_new(error: SourceChangedError, command: str) -> str:
    return f"go on with `{command}`: {error.written} has changed, and is taken as it is then"


def _after_stops(exit_code: int, command: str, errors: Sequence[BatchrunError]) -> str:
    if exit_code == ThrottledError.exit_code and (throttled := _throttled(errors)):
        return f"{throttled}; `{command}` goes on from then"
    if exit_code == KeyRefusedError.exit_code and (models := _forbidden(errors)):
        return (
            f"have the key permitted to run {', '.join(models)}, "
            f"or take that out of the manifest, then `{command}`"
        )
    error = next((each for each in errors if each.exit_code == exit_code), None)
    return after_stop(exit_code, command, error)


def _throttled(errors: Sequence[BatchrunError]) -> str:
    """Return until when the service takes no calls; "" where it is no such stop, or not said."""
    facts = [
        each.fact for each in errors if isinstance(each, ThrottledError) and each.until is not None
    ]
    unreachable = [each for each in errors if isinstance(each, UnreachableError)]
    return "; ".join(dict.fromkeys(facts)) if len(facts) == len(unreachable) else ""


def _forbidden(errors: Sequence[BatchrunError]) -> Sequence[str]:
    """Return the models that the key may not run, if nothing else is wrong with the key."""
    refused = [error for error in errors if isinstance(error, KeyRefusedError)]
    named = [error.models for error in refused if isinstance(error, NotPermittedError)]
    return tuple(chain(*named)) if len(named) == len(refused) and all(named) else ()


def after_usage(error: str) -> str:
    """Return how to go on after a mistake of the command line."""
    return f"fix the error, then run it again: {_first_line(error)}"


def all_done(tally: Tally) -> str:
    """Say that no cell is left."""
    part = f", {tally.partial_succeeded:,} of them in part" if tally.partial_succeeded else ""
    if not tally.cells:
        return "there is no cell to run"
    return f"all {tally.cells:,} done{part}" if tally.cells > 1 else f"1 cell done{part}"


def rejected(failures: Sequence[Failure], number: int) -> str:
    """Say which inputs the API rejected: of *number* cells, where no failure is known."""
    groups = [each for each in failures if each.invalid]
    if not groups:
        return f"the API rejected {number_of(number, 'cell')}"
    said = [
        f"{number_of(each.count, 'cell')} of `{each.alias}` ({each.reason})"
        for each in groups[:MOST_REASONS]
    ]
    if more := sum(each.count for each in groups[MOST_REASONS:]):
        said.append(f"{more:,} more")
    return f"the API rejected {' and '.join(said)}"


def _once_more(tally: Tally, command: str, failures: Sequence[Failure]) -> str:
    """Say what can be done about cells that ended badly; refused input would be refused again."""
    again = tally.failed + tally.rejected + tally.cancelled - tally.moderated - tally.invalid_input
    refused = rejected(failures, tally.invalid_input) if tally.invalid_input else ""
    moderated = f"{number_of(tally.moderated, 'cell')} moderated" if tally.moderated else ""
    if again:
        said = _tried_again(again, tally, command, failures)
        said += f"; {refused}: fix these inputs first" if refused else ""
        said += f"; {moderated}: change these inputs first" if moderated else ""
        if tally.cancelled:
            said += f"; {number_of(tally.cancelled, 'cancelled cell')} may cost again"
        return said
    if refused:
        said = f"{refused}; fix these inputs, then `{command}`"
    else:
        said = f"change these inputs, then `{command}`"
    return f"{moderated}: {said}" if moderated else said


def _tried_again(number: int, tally: Tally, command: str, failures: Sequence[Failure]) -> str:
    """Say of the *number* of cells that may be tried again why they ended, and the command."""
    of = f"{number:,} of {number_of(tally.cells, 'cell')}"
    cells = of if number < tally.cells else number_of(number, "cell")
    ended = "failed"
    if tally.cancelled:
        was = "was cancelled" if number == 1 else "were cancelled"
        ended = was if tally.cancelled == number else "did not succeed"
    again = "tries it again" if number == 1 else "tries them again"
    why = _reasons(failures) if tally.cancelled < number else ""
    return f"{cells} {ended}{why}; `{command} --retry-failed` {again}"


def _reasons(failures: Sequence[Failure]) -> str:
    """Name the first reasons that another run may pass, in brackets; "" where none is known."""
    groups = [each for each in failures if not (each.invalid or each.moderated)]
    said = [f"`{each.alias}`: {each.reason}" for each in groups[:MOST_REASONS]]
    if more := len(groups) - len(said):
        said.append(number_of(more, "more reason"))
    return f" ({'; '.join(said)})" if said else ""


_HINTS: Final = {
    2: "fix the error, then run `{command}`; nothing was sent",
    4: "set RUNFLOW_API_KEY to a key of the right account, then `{command}`",
    5: "add credit to the account, then `{command}`",
    6: "raise the budget in the manifest, or by `--budget` or `--budget-per-day`, then `{command}`",
    7: "wait for the other batchrun or stop it, then `{command}`",
    8: "try again when the service can be reached: `{command}`",
    9: "fix the error, then run `{command}`",
    70: "a bug in batchrun; the ledger is whole and `{command}` goes on",
}

_BUDGET: Final = re.compile(r"(?<= )(--budget(?:-per-day)?)([ =])\S+")
_UNNAMED: Final = frozenset({2, 6, 9})
"""Codes whose hint doesn't say what is wrong: the error's first line follows it."""


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _others(others: Others | None) -> str:
    if others is None or not others.unfinished:
        return ""
    number = number_of(others.unfinished, "other cell")
    return f"; {number} not done: `{others.command}` goes on with all"
