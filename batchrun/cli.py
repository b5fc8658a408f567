"""The command line: says what commands there are, and picks one.

Everything else is imported late, the standard library's typing, pathlib and dataclasses among it:
`batchrun --help` takes hardly longer than Python itself.
"""

import sys

from batchrun import __version__

COMMANDS = {
    "run": "run a manifest, or go on with it (the default)",
    "plan": "what would be done; sends no run",
    "status": "counts, costs, open runs and failures; no network",
    "why": "the life of one cell; no network without `--logs`",
    "logs": "the logs and steps of a cell's runs, kept or asked from the service",
    "report": "write the page of results, and the results in other formats; no network",
    "picks": "take in the marks of the page; copy what is picked; no network",
    "list": "all sweeps and labels below a folder; no network",
    "models": "which models there are; what one takes, gives and costs",
    "redo": "make chosen cells again, and pay for just these",
    "recover": "rebuild a lost, broken or old ledger from the API",
    "simulate": "serve the simulator on a port",
    "schema": "print the manifest's JSON Schema",
    "init": "write a commented manifest to start from",
    "help": "show this, or what one command takes",
}

HELP = frozenset({"-h", "--help"})

NOT_YET = frozenset({"compare", "rehearse", "lock", "verify"})
"""Commands whose words are taken, and that this version does not have."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code. No expected stop leaves as an exception."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] == "help":
        words = [*words[1:], "--help"]
    if "--json" in words and not HELP.isdisjoint(words):
        return as_json(words)
    text = at_once(words)
    if text is not None:
        print(text)
        return 0
    return picked(words)


def as_json(words: list[str]) -> int:
    """Describe the commands as JSON: the one that *words* name, else all."""
    name = next((word for word in words if not word.startswith("-")), None)
    if name is not None and is_nothing(name):
        return picked([name])
    from batchrun.commands.error_boundary import guarded

    return guarded("help_json", [name if name in COMMANDS else "run"] if name else [*COMMANDS])


def at_once(words: list[str]) -> str | None:
    """Return what is answered without any command: the overview, the version."""
    if not words or words[0] in HELP:
        return overview()
    return f"batchrun {__version__}" if words[0] == "--version" else None


def picked(words: list[str]) -> int:
    """Run the command that *words* name, a manifest's by default."""
    from batchrun.commands.error_boundary import guarded, stopped
    from batchrun.errors import UsageError

    if words[0] in NOT_YET:
        message = f"`batchrun {words[0]}` is not in this version ({__version__}); see `--help`"
        return stopped(message, UsageError.exit_code, "", words)
    if is_nothing(words[0]):
        message = f"no command or manifest `{words[0]}`{near_command(words[0])}"
        return stopped(message, UsageError.exit_code, "", words)
    name, *words = words if words[0] in COMMANDS else ["run", *words]
    return guarded(name, words)


def is_nothing(word: str) -> bool:
    """Say whether the first word is no command, and nothing like the path of a manifest."""
    from pathlib import Path

    known = word in COMMANDS or word.startswith("-")
    return not (known or "/" in word or Path(word).suffix or Path(word).exists())


def near_command(word: str) -> str:
    """Return which command was meant, or else where they all are."""
    from pathlib import Path

    from batchrun.base.text import did_you_mean

    for path in (f"{word}.yaml", f"{word}.yml"):
        if Path(path).exists():
            return f"; did you mean `{path}`?"
    return did_you_mean(word, COMMANDS) or "; see `batchrun --help`"


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
            "`batchrun COMMAND --help` says more, `--help --json` says all of it to programs.",
            "A manifest with a command's name is `./run`, and `-` is one on standard input.",
        ]
    )


def entry() -> None:
    """Run the console script.

    What is imported stays to the end, so garbage is looked for only in what comes after:
    `error_boundary.import_command` begins with that.
    """
    import gc

    gc.disable()
    code = main()
    if "batchrun.commands.signals" in sys.modules:
        from batchrun.commands.signals import SIGNALS

        SIGNALS.ignore()
    sys.exit(code)
