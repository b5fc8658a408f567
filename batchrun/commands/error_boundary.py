"""The one boundary where errors become a message and an exit code. No expected stop passes it."""

import gc
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from batchrun.base.said import say
from batchrun.commands.signals import SIGNALS, Interrupted
from batchrun.commands.stdout import guarded_output
from batchrun.errors import BUG, BatchrunError, FolderError, UsageError, most_severe


def guarded(name: str, words: Sequence[str]) -> int:
    """Run a command; return its exit code, whatever it stopped at."""
    SIGNALS.install()
    with guarded_output() as output:
        try:
            code = run_command(name, words)
        except Interrupted:  # while the last words were said
            code = SIGNALS.exit_code
    if output.full is not None:
        say(f"batchrun: cannot write to standard output: {output.full}", sys.stderr)
        code = most_severe([code, FolderError.exit_code])
    return code


def run_command(name: str, words: Sequence[str]) -> int:
    """Run a command; say why where nothing came of it."""
    as_json = "--json" in words
    again = shlex.join(["batchrun", *([] if name == "run" else [name]), *words])
    try:
        code: int = import_command(name).main(words)
    except BatchrunError as error:
        code = stopped(error, error.exit_code, as_json=as_json, again=again)
    except Interrupted:
        code = stopped("interrupted", SIGNALS.exit_code, as_json=as_json, again=again)
    except Exception as error:  # noqa: BLE001  (a bug: it is written down and said so)
        code = stopped(bug(error), BUG, as_json=as_json)
    return code


def import_command(name: str) -> ModuleType:
    """Return a module of this room; what importing it has made is never searched for garbage.

    The search took a tenth of the way to the first request, and a sixth of all that a short call
    takes at its exit. Only the console script, whose process is ours, has put it off until here.
    """
    if gc.get_freeze_count():  # by an earlier import here: the process is ours
        gc.disable()
    module = import_module(f"batchrun.commands.{name}")
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    return module


def stopped(
    error: BatchrunError | str, code: int, *, as_json: bool, again: str | None = None
) -> int:
    """Say on stderr why nothing came of it, and as JSON on stdout where that was asked for.

    *again* is the command as it was typed. It is the way on but for mistakes in it, and bugs.
    """
    from batchrun.results.summary import Stop, Summary, how_to_go_on, stop_of, throttled_of

    say(f"batchrun: {error}", sys.stderr)
    onward = "mend what the error names"
    if again is not None and code != UsageError.exit_code:
        throttled = throttled_of([error] if isinstance(error, BatchrunError) else [])
        onward = how_to_go_on(None, code, command=again, throttled=throttled)
        say(onward, sys.stderr)
    if as_json:
        stop = stop_of([error]) if isinstance(error, BatchrunError) else Stop(message=error)
        print(Summary(exit_code=code, next=onward, error=stop).as_json())
    return code


def bug(error: Exception) -> str:
    """Write the traceback of an unexpected error to a file, and return what to say of it."""
    from batchrun.commands.bug_report import write_traceback

    return (
        f"this is a bug in batchrun ({type(error).__name__}); the ledger is whole and the same "
        f"command goes on; please report it with {write_traceback(error)}"
    )
