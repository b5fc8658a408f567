"""The options of `batchrun MANIFEST`, and the command that repeats them."""

import argparse
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from batchrun.base.values import parse_id
from batchrun.commands.options import Parser, add_place, take_place, value
from batchrun.commands.target import Place
from batchrun.settings import CALL, ENDING, LIMITS, SETTINGS, Setting

ABOUT_OUTPUT: Final = frozenset({"--json", "--quiet", "--verbose", "--no-progress"})
SHOWING: Final = ABOUT_OUTPUT | {"--dry-run"}
"""Options that change nothing but the output."""

KEEPING: Final = "-o"
"""The option that keeps a plan: no other command has it."""

FOR_ONE_CALL: Final = {
    *(*SHOWING, "--reuse", "--plan", "--yes"),
    *(each.flag for each in SETTINGS if each.for_one_call and each.flag),
}
"""Options that the next call doesn't repeat by itself."""

WITH_VALUE: Final = {
    *("--endpoint", "--outputs", "--label", "--only", "--reuse", "--plan", KEEPING),
    *(each.flag for each in SETTINGS if each.parse or each.choices),
}
"""Options whose value may be a word of its own, which goes where they go."""

DESCRIPTIONS: Final = {
    "run": "Run a manifest, or go on with it. The word `run` may be left out.",
    "plan": "What would be done and what it may cost; sends no run.",
    "redo": "Make the cells again that `--only` chooses, and pay for just these.",
}


class Options(Struct, frozen=True, kw_only=True):
    """The options of a call. No module below knows argparse.

    *chosen* are the settings that were given, by the fields of Settings. *recover* is the id of the
    sweep to rebuild before anything else, "" for the one of this name, None for none. *reuse* are
    the folders of sweeps whose results are taken over. *plan* is a plan that was kept, *kept* where
    to keep one.
    """

    manifest: Path
    place: Place
    chosen: Mapping[str, Any]
    only: tuple[str, ...]
    recover: str | None
    reuse: tuple[Path, ...]
    dry_run: bool
    json: bool
    quiet: bool
    no_progress: bool
    verbose: bool
    yes: bool = False
    plan: Path | None = None
    kept: Path | None = None


def parse(argv: Sequence[str], *, command: str = "run") -> Options:
    """Return the options in *argv*; UsageError where they are wrong."""
    parser = Parser(command, description=DESCRIPTIONS[command])
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    add_place(parser)
    add_settings(parser.add_argument_group("limits, in place of the manifest's"), LIMITS)
    _add_what(parser)
    if command == "run":
        parser.add_argument(
            "--plan",
            type=Path,
            metavar="FILE",
            help="do what this plan says, or nothing; `batchrun plan -o FILE` makes one",
        )
    if command == "plan":
        parser.add_argument(
            KEEPING, dest="kept", type=Path, metavar="FILE", help="keep the plan, for `--plan FILE`"
        )
    else:
        parser.add_argument("--yes", action="store_true", help="don't ask before it is paid for")
    _add_output(parser)
    values = vars(parser.parse_args(argv))
    chosen = {each.name: values.pop(each.name) for each in SETTINGS if each.name in values}
    given = {name: each for name, each in chosen.items() if each is not None}
    place = take_place(values)
    several = {name: tuple(values[name]) for name in ("only", "reuse")}
    return Options(**{**values, **several}, place=place, chosen=given)


def add_settings(group: argparse._ArgumentGroup, settings: Iterable[Setting]) -> None:
    """Add an option for each of *settings*; an option that isn't given is None."""
    for each in settings:
        if each.flag is None:
            continue
        how: dict[str, Any] = {"dest": each.name, "default": None, "help": _help(each)}
        if each.choices:
            group.add_argument(each.flag, action=_Choice, choices=each.choices, **how)
        elif each.parse is None:
            group.add_argument(each.flag, action="store_const", const=each.value, **how)
        else:
            group.add_argument(each.flag, type=value(each.parse), metavar=each.metavar, **how)


class _Choice(argparse.Action):
    """Stores what a word stands for."""

    def __call__(self, _parser: Any, namespace: Any, word: Any, _option: Any = None) -> None:
        assert isinstance(self.choices, Mapping)
        setattr(namespace, self.dest, self.choices[word])


def _help(setting: Setting) -> str:
    said = setting.help or setting.says
    known = setting.written and setting.parse is not None
    return (f"{said} (default {setting.written})" if known else said).replace("%", "%%")


def command_in(argv: Sequence[str], *, without: Collection[str] = FOR_ONE_CALL) -> str:
    """Return the command as it was typed, but for the options *without*.

    The copied command keeps the budget, the pace, and all else that was asked for.
    """
    kept, words = ["batchrun"], iter(argv)
    for word in words:
        name, equals, _ = word.partition("=")
        if word.startswith(KEEPING) and word != KEEPING:  # its value may be glued to it
            name, equals = KEEPING, "="
        if name not in without and word != "--":
            kept.append(word)
        elif name in WITH_VALUE and not equals:
            next(words)
    return shlex.join(kept)


def _add_what(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to do")
    group.add_argument("--dry-run", action="store_true", help="show the plan; nothing is sent")
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME=V[,V]",
        help="only cells with these values; repeatable, all must hold",
    )
    group.add_argument(
        "--recover",
        nargs="?",
        const="",
        type=value(_id_or_any),
        metavar="ID",
        help="where no ledger is here, rebuild it from the API first, then go on; for machines "
        "that begin with an empty disk",
    )
    group.add_argument(
        "--reuse",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="take over what has succeeded in another sweep's folder; it is not paid again; "
        "repeatable",
    )
    add_settings(group, CALL)


def _id_or_any(text: str) -> str:
    """Parse the id of a sweep; no text is any sweep."""
    return parse_id(text) if text else text


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to show")
    add_settings(group, ENDING)
    group.add_argument("--json", action="store_true", help="one JSON object on stdout")
    group.add_argument("--quiet", action="store_true", help="errors and the result only")
    group.add_argument("--no-progress", action="store_true", help="no bar and no progress lines")
    group.add_argument("--verbose", action="store_true", help="say what is tried again, and why")
