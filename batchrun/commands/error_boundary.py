"""The one boundary where errors become a message and an exit code. No expected stop passes it."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

from msgspec.structs import asdict

from batchrun.base.said import is_terminal, log, log_end, say
from batchrun.commands.signals import SIGNALS, Interrupted
from batchrun.commands.stdout import guarded_output, spoken
from batchrun.errors import (
    BUG,
    BatchrunError,
    FolderError,
    ManifestError,
    TypesChangedError,
    UsageError,
    most_severe,
)

WORKING: Final = frozenset({"run", "redo", "recover"})
"""Commands that work on a sweep: the lines of a log have their time."""


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
    try:
        code: int = import_command(name).main(words)
    except BatchrunError as error:
        code = stopped(error, error.exit_code, name, words)
    except Interrupted:
        code = stopped("interrupted", SIGNALS.exit_code, name, words)
    except Exception as error:  # noqa: BLE001  (a bug: it is written down and said so)
        code = stopped(bug(error), BUG, name, words)
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


def stopped(error: BatchrunError | str, code: int, name: str, words: Sequence[str]) -> int:
    """Say on stderr why nothing came of a command, and as JSON on stdout where *words* ask for it.

    A call that works on a sweep says it with the time, but for the problems of a manifest: their
    places come first, for editors.
    """
    from batchrun.commands.whose import whose
    from batchrun.results.summary import Stop, Summary, stop_of

    SIGNALS.hush()
    onward = onward_of(error, code, name, words)
    problems, works = isinstance(error, ManifestError), name in WORKING
    speak = log if works and not problems else say
    speak(str(error) if problems else f"batchrun: {error}", sys.stderr)
    wanted = any(word.partition("=")[0] == "--json" for word in words)  # `--json=1` is a slip
    if wanted and not spoken(sys.stdout):
        stop = stop_of([error]) if isinstance(error, BatchrunError) else Stop(message=error)
        of = asdict(whose(name, words))
        print(Summary(**of, exit_code=code, next=onward, error=stop).as_json())
        sys.stdout.flush()
    ways = isinstance(error, BatchrunError) and error.ways
    enough = code in {UsageError.exit_code, BUG} or ways  # the message says it
    if works and not is_terminal(sys.stderr):
        log_end(code, onward, sys.stderr)
    elif not enough:
        say(onward, sys.stderr)
    return code


def onward_of(error: BatchrunError | str, code: int, name: str, words: Sequence[str]) -> str:
    """Return how to go on after *error*: by the command as it was typed, but for mistakes in it."""
    from batchrun.commands.run_options import ABOUT_OUTPUT, command_in
    from batchrun.results.going_on import after_stop, after_usage, how_to_go_on

    again = command_in([*([] if name == "run" else [name]), *words], without=ABOUT_OUTPUT)
    is_usage = isinstance(error, UsageError) and code == UsageError.exit_code
    if is_usage and not isinstance(error, ManifestError | TypesChangedError):
        return after_usage(str(error))
    if isinstance(error, BatchrunError):
        return after_stop(code, again, error)
    return how_to_go_on(None, code, command=again)


def bug(error: Exception) -> str:
    """Write the traceback of an unexpected error to a file, and return what to say of it."""
    from batchrun.commands.bug_report import write_traceback

    return (
        f"this is a bug in batchrun ({type(error).__name__}); the ledger is whole and the same "
        f"command goes on; please report it with {write_traceback(error)}"
    )
