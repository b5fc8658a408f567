"""Whose a call is that came to nothing: for its `--json` object, by what a sweep is known there.

One script for all alerts has to know which sweep it was. So its id, name, label, endpoint, folder
and ledger come from the command line, and from the manifest or the folder that it names, as far as
these can be read; whatever is wrong with the rest is said elsewhere.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.no_file import DASH
from batchrun.commands.run_options import WITH_VALUE
from batchrun.commands.standard_input import STANDARD_INPUT, named
from batchrun.commands.target import Place, locate
from batchrun.errors import BatchrunError
from batchrun.manifest.load import find_head, find_head_in
from batchrun.manifest.manifest import Head
from batchrun.sweep.identity import Identity, read_identity
from batchrun.sweep.location import LEDGER, choose_endpoint

OF_A_SWEEP: Final = frozenset(
    {"run", "plan", "status", "why", "logs", "report", "redo", "recover", "picks"}
)
"""Commands whose first word is a manifest, or a sweep's folder."""

LARGE: Final = 1_000_000
"""Bytes of a manifest up to which it is parsed once more: 0.1 s at most."""

_OF_REPORT: Final = ("--format", "--delimiter", "--columns", "--labels")
_TAKING: Final = frozenset({*WITH_VALUE, "--sweep", "--copy", "--zip", *_OF_REPORT})


class Whose(Struct, frozen=True, kw_only=True):
    """The fields of the `--json` object by which a sweep is known; None for what isn't known.

    *outputs* is its folder; *ledger* is None where there is none yet.
    """

    sweep: str | None = None
    name: str | None = None
    label: str | None = None
    endpoint: str | None = None
    outputs: str | None = None
    ledger: str | None = None


def whose(command: str, words: Sequence[str]) -> Whose:
    """Return what is known of the sweep that *words* name. Raises nothing."""
    if command not in OF_A_SWEEP:
        return Whose()
    options = dict(_options(words))
    target = options.get("")
    path = None if target is None else Path(target)
    with suppress(OSError, ValueError, BatchrunError):
        if path is not None and path.is_dir() and (found := _in_folder(path)) is not None:
            return found
    head = None if path is None else _head_of(path)
    place = _place_of(options)
    endpoint = None
    with suppress(BatchrunError):  # what is no endpoint may hold a password
        by_manifest = None if head is None else head.endpoint
        endpoint = choose_endpoint(place.endpoint, by_manifest, os.environ.get("RUNFLOW_API_URL"))
    stem = path.stem if path is not None and target and target != DASH else None
    whose = Whose(name=stem if head is None else head.name, label=place.label, endpoint=endpoint)
    with suppress(OSError, ValueError, BatchrunError):
        if head is not None:
            folder = locate(head, place)[1]
            return replace(whose, **_of_folder(folder, _identity(folder)))
    return whose


def _head_of(path: Path) -> Head | None:
    """Return the manifest's name and place, None where they can't be read."""
    with suppress(OSError, ValueError, BatchrunError):
        text = STANDARD_INPUT.text if str(path) == DASH else None
        if text is not None and len(text) <= LARGE:
            return find_head_in(text, named(path), os.environ)
        if path.is_file() and path.stat().st_size <= LARGE:  # a pipe would be waited for
            return find_head(path, os.environ)
    return None


def _place_of(options: Mapping[str, str]) -> Place:
    outputs = options.get("--outputs")
    return Place(
        endpoint=options.get("--endpoint"),
        outputs=Path(outputs) if outputs else None,
        label=options.get("--label"),
    )


def _in_folder(folder: Path) -> Whose | None:
    """Return whose *folder* is by its `sweep.json`, None where it has none."""
    identity = read_identity(folder)
    if identity is None:
        return None
    of = Whose(name=identity.name, label=identity.label, endpoint=identity.endpoint)
    return replace(of, **_of_folder(folder, identity))


def _identity(folder: Path) -> Identity | None:
    with suppress(BatchrunError):  # the folder is known, whatever `sweep.json` says
        return read_identity(folder)
    return None


def _of_folder(folder: Path, identity: Identity | None) -> Mapping[str, str | None]:
    ledger = folder / LEDGER
    return {
        "sweep": None if identity is None else identity.sweep,
        "outputs": str(folder),
        "ledger": str(ledger) if ledger.exists() else None,
    }


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options with a value, and the first word that is none, as the option ""."""
    rest, found = iter(words), False
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _TAKING:
            yield name, value if equals else next(rest, "")
        elif (word == DASH or not word.startswith("-")) and not found:
            found = True
            yield "", word
