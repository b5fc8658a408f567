"""The command line: picks the command, turns errors into one message and an exit code.

The only module that ends the process, and with the commands the only one that prints. Commands are
imported late: `batchrun --help` doesn't wait for what it doesn't use.
"""

import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from batchrun import __version__
from batchrun.commands.output import guarded_output
from batchrun.commands.signals import SIGNALS, Interrupted
from batchrun.errors import BUG, BatchrunError, FolderError, UsageError, most_severe

COMMANDS: Final = {
    "run": "run a manifest, or go on with it (the default)",
    "plan": "what would be done; sends no run",
    "status": "counts, costs, open runs and failures; no network",
    "recover": "rebuild a lost, broken or old ledger from the API",
    "simulate": "serve the simulator on a port",
    "schema": "print the manifest's JSON Schema",
    "init": "write a commented manifest to start from",
    "help": "show this, or what one command takes",
}

NOT_YET: Final = frozenset({"why", "report", "compare", "rehearse", "lock", "verify"})
"""Commands whose words are taken, and that this version does not have."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. No expected stop leaves as an exception."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] == "help":
        words = [*words[1:2], "--help"]
    if not words or words[0] in {"-h", "--help"}:
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"batchrun {__version__}")
        return 0
    if words[0] in NOT_YET:
        message = f"`batchrun {words[0]}` is not in this version ({__version__}); see `--help`"
        return stopped(message, UsageError.exit_code, as_json="--json" in words)
    if is_nothing(words[0]):
        message = f"no command or manifest `{words[0]}`{near_command(words[0])}"
        return stopped(message, UsageError.exit_code, as_json="--json" in words)
    name = words.pop(0) if words[0] in COMMANDS else "run"
    return guarded(name, words)


def is_nothing(word: str) -> bool:
    """Tell whether the first word is no command, and nothing like the path of a manifest."""
    known = word in COMMANDS or word.startswith("-")
    return not (known or "/" in word or Path(word).suffix or Path(word).exists())


def near_command(word: str) -> str:
    """Return which command was meant, or else where they all are."""
    from batchrun.manifest.values import did_you_mean

    return did_you_mean(word, COMMANDS) or "; see `batchrun --help`"


def guarded(name: str, words: Sequence[str]) -> int:
    """Run a command behind the one boundary where errors become a message and a code."""
    SIGNALS.install()
    with guarded_output() as output:
        try:
            code = told(name, words)
        except Interrupted:  # while the last words were said
            code = SIGNALS.exit_code
    if output.full is not None:
        print(f"batchrun: cannot write to standard output: {output.full}", file=sys.stderr)
        code = most_severe([code, FolderError.exit_code])
    return code


def told(name: str, words: Sequence[str]) -> int:
    """Run a command; say why where nothing came of it."""
    as_json = "--json" in words
    again = shlex.join(["batchrun", *([] if name == "run" else [name]), *words])
    try:
        code: int = import_module(f"batchrun.commands.{name}").main(words)
    except BatchrunError as error:
        code = stopped(error, error.exit_code, as_json=as_json, again=again)
    except Interrupted:
        code = stopped("interrupted", SIGNALS.exit_code, as_json=as_json, again=again)
    except Exception as error:  # noqa: BLE001  (a bug: it is written down and said so)
        code = stopped(bug(error), BUG, as_json=as_json)
    return code


def overview() -> str:
    """Return what `batchrun --help` prints."""
    return "\n".join(
        [
            "usage: batchrun MANIFEST [options]",
            "       batchrun COMMAND ...",
            "",
            "Runs a manifest of models and inputs on Runflow; run it again to resume.",
            "",
            *(f"  {name:<10}{summary}" for name, summary in COMMANDS.items()),
            "",
            "`batchrun COMMAND --help` tells more. A manifest with a command's name is `./run`.",
        ]
    )


def stopped(
    error: BatchrunError | str, code: int, *, as_json: bool, again: str | None = None
) -> int:
    """Say on stderr why nothing came of it, and as JSON on stdout where that was asked for.

    *again* is the command as it was typed. It is the way on but for mistakes in it, and bugs.
    """
    from batchrun.results.summary import Stop, Summary, how_to_go_on, stop_of

    print(f"batchrun: {error}", file=sys.stderr)
    onward = "mend what the error names"
    if again is not None and code != UsageError.exit_code:
        onward = how_to_go_on(None, code, command=again)
        print(onward, file=sys.stderr)
    if as_json:
        stop = stop_of([error]) if isinstance(error, BatchrunError) else Stop(message=error)
        print(Summary(exit_code=code, next=onward, error=stop).as_json())
    return code


def bug(error: Exception) -> str:
    """Write the traceback of an unexpected error to a file, and return what to say of it."""
    from batchrun.commands.bug import write_traceback

    return (
        f"this is a bug in batchrun ({type(error).__name__}); the ledger is whole and the same "
        f"command goes on; please report it with {write_traceback(error)}"
    )


def entry() -> None:
    """Run the console script."""
    code = main()
    SIGNALS.ignore()
    sys.exit(code)
