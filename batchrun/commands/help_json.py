"""`batchrun --help --json`, and with a command before it: the command line as one JSON object.

For programs that show options, complete them, or check them. It is made from the parsers
themselves, which are made from the table of settings.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from batchrun import __version__
from batchrun.commands.options import Parser
from batchrun.errors import UsageError
from batchrun.settings import SETTINGS

SCHEMA: Final = 1
"""Version of the object; fields may be added within a version, never change or go."""

KINDS: Final[Mapping[Any, str]] = {Path: "path", int: "integer", float: "number"}
BY_METAVAR: Final = {"N": "integer", "T": "time", "R": "rate", "USD": "money", "X": "number"}

_TABLE: Final = {each.name: each for each in SETTINGS}


def main(argv: Sequence[str]) -> int:
    """Print the description of the commands that *argv* names; return 0."""
    print(json.dumps(described(argv)))
    return 0


def described(names: Sequence[str]) -> dict[str, Any]:
    """Return the description of the commands of these *names*."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "commands": [_command(name) for name in names],
    }


def parser_of(name: str) -> Parser:
    """Return the parser of a command; UsageError where it needs what isn't installed."""
    if name == "help":
        made = Parser("help", description="Show the commands, or what one command takes.")
        made.add_argument("command", nargs="?", metavar="COMMAND")
        return made
    found: Parser = import_module(f"batchrun.commands.{name}").parser()
    return found


def _command(name: str) -> dict[str, Any]:
    try:
        parser = parser_of(name)
    except UsageError as error:
        return {"name": name, "description": str(error), "arguments": [], "options": []}
    groups = {
        id(action): group.title
        for group in parser._action_groups[2:]  # noqa: SLF001  (argparse shows them in no other way)
        for action in group._group_actions  # noqa: SLF001
    }
    actions = parser._actions  # noqa: SLF001
    options = [each for each in actions if each.option_strings]
    return {
        "name": name,
        "description": parser.description,
        "arguments": [_argument(each) for each in actions if not each.option_strings],
        "options": [
            {"flags": each.option_strings, **_taken(each), "group": groups.get(id(each))}
            for each in options
        ],
    }


def _argument(action: argparse.Action) -> dict[str, Any]:
    return {**_taken(action), "required": action.nargs != "?"}


def _taken(action: argparse.Action) -> dict[str, Any]:
    """Return what an option and an argument have in common.

    *setting* is where a manifest has the same.
    """
    setting = _TABLE.get(action.dest)
    return {
        "name": action.dest,
        "metavar": action.metavar,
        "type": _kind(action),
        "optional_value": action.nargs == "?" and bool(action.option_strings),
        "default": _default(action),
        "choices": None if action.choices is None else list(action.choices),
        "repeatable": isinstance(action, argparse._AppendAction),  # noqa: SLF001
        "help": None if action.help is None else action.help.replace("%%", "%"),
        "setting": None if setting is None else setting.key,
    }


def _kind(action: argparse.Action) -> str:
    """Return what kind of value is taken; `flag` for none."""
    if action.nargs == 0:
        return "flag"
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    return KINDS.get(action.type) or BY_METAVAR.get(metavar, "text")


def _default(action: argparse.Action) -> Any:
    """Return the default as one would type it, None where there is none."""
    setting = _TABLE.get(action.dest)
    if setting is not None:
        return setting.written or None
    default = action.default
    if default is argparse.SUPPRESS or default is False or default in (None, [], ""):
        return None
    return default if isinstance(default, int | float | str) else str(default)
