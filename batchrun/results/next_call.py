"""Whether and why the next call takes a cell up. Pure."""

from collections.abc import Sequence
from typing import Final

from batchrun.ledger.failure_codes import FailureClass
from batchrun.ledger.history import (
    GOOD,
    History,
    LookUp,
    Rest,
    State,
    Submit,
    Watch,
    left_out,
    next_step,
)
from batchrun.ledger.life import SHOWN, Life
from batchrun.settings import Settings

NOTHING: Final = "nothing is left to do for this cell"
LEFT_OUT: Final = {
    FailureClass.MODERATED: "the cell was moderated",
    FailureClass.INPUT: "the run failed for its input; another input is another cell",
}
NO_LONGER: Final = "the cell is no longer in the manifest: no call takes it up"


def next_call(
    life: Life,
    settings: Settings,
    command: str,
    *,
    named: bool | None,
    gone: Sequence[str],
    redo: bool,
) -> tuple[bool, str]:
    """Return whether *command* takes the cell up, and the sentence that says why.

    *named* says whether the manifest has the cell, None where that isn't known; *gone* are its
    saved files that are no longer there. With *redo* the command to make it again is named.
    """
    history = life.history
    match next_step(history, attempts=settings.attempts):
        case Submit() if named is False:
            return False, NO_LONGER
        case Submit(number):
            sure = "" if named else ", if the manifest has the cell"
            return True, f"`{command}` begins attempt {number} of {settings.attempts}{sure}"
        case LookUp():
            return True, f"`{command}` looks up whether a run exists"
        case Watch():
            return True, f"`{command}` sees run {history.run_id} to its end"
        case Rest():
            takes, said = _rests(history, settings, command, gone)
            again = f"; {_redo(command, life.key)}" if redo and said == NOTHING else ""
            return takes, f"{said}{again}"


def _redo(command: str, key: str) -> str:
    redo = command.replace("batchrun", "batchrun redo", 1)
    return f"`{redo} --only cell={key[:SHOWN]}` makes it again, and is paid for"


def _rests(
    history: History, settings: Settings, command: str, gone: Sequence[str]
) -> tuple[bool, str]:
    """Say why a cell gets no further attempt, and whether its files are still to be had."""
    if history.state in GOOD and settings.download and not history.saved:
        return True, f"`{command}` saves the outputs"
    if history.state in GOOD and gone and settings.download:
        return True, f"`{command}` fetches {', '.join(gone)} again"
    if history.state in GOOD:
        return False, NOTHING
    if (why := left_out(history)) is not None:
        tried = f"`{command} --retry-failed --only code=…` tries it once more"
        return False, f"{LEFT_OUT[why]}; {tried}"
    if history.state is State.REJECTED:
        return False, "the API refused the input; another input in the manifest is another cell"
    return False, f"no attempt is left; `{command} --retry-failed` grants more"
