"""The command line as commands share it: parsers that raise instead of ending the process."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from batchrun.base.text import is_text, nearest
from batchrun.commands.target import Place
from batchrun.errors import UsageError

T = TypeVar("T")

_SHORT: Final = len("--x")
"""Characters with which too many options begin."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are errors of ours."""

    def __init__(self, command: str, **rest: Any) -> None:
        super().__init__(prog=f"batchrun {command}".rstrip(), allow_abbrev=False, **rest)

    def parse_args(  # type: ignore[override]  # no caller asks for another kind of namespace
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """Return the options; UsageError for an unknown one, with the near miss."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = next((word for word in unknown if word.startswith("-")), unknown[0])
            name, _, _ = word.partition("=")
            begun = [each for each in self._option_string_actions if each.startswith(name)]
            known = begun if len(name) > _SHORT else []
            if near := next(iter(known), None) or nearest(name, self._option_string_actions):
                raise UsageError(f"unknown option `{name}`; did you mean `{near}`?")
            if name[:1] != "-" and any(each.dest == "manifest" for each in self._actions):
                raise UsageError(
                    f"`{name}` is one too many: one manifest is taken at a time; call "
                    f"`{self.prog.removesuffix(' run')}` once for each"
                )
            self.error(f"unknown {'option' if name[:1] == '-' else 'argument'} `{name}`")
        return options

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def value(parse: Callable[[Any], T]) -> Callable[[str], T]:
    """Let argparse show what a parser of `manifest.values` expected."""

    def convert(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

    return convert


def typed(text: str) -> str:
    """Return what was typed on a command line as text, in whatever locale; such text is UTF-8.

    Raises ValueError where its bytes are none.
    """
    if is_text(text):
        return text
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        raise ValueError("expected text in UTF-8") from None


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add what says which sweep is meant; works on every command."""
    group = parser.add_argument_group("which sweep")
    group.add_argument(
        "--endpoint", metavar="URL", help="the API's URL, or `simulator` for the embedded one"
    )
    group.add_argument(
        "--outputs", type=Path, metavar="DIR", help="where the folders of sweeps are"
    )
    group.add_argument(
        "--label",
        type=value(typed),
        metavar="TEXT",
        help="a sweep of its own beside the others of this manifest",
    )


def take_place(values: dict[str, Any]) -> Place:
    """Take what `add_place` added out of the parsed *values*."""
    return Place(**{name: values.pop(name) for name in ("endpoint", "outputs", "label")})


def simulator_missing(error: ImportError) -> UsageError:
    """Return what to say where the simulator's packages are not installed."""
    return UsageError(
        f"the simulator needs its extra ({error.name} is missing): install batchrun with it, in "
        "its clone `pip install '.[simulator]'`"
    )
