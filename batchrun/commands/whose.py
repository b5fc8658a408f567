"""Whose a call is that came to nothing: name, label and endpoint for its `--json` object.

One script for all alerts has to know which sweep it was. So they come from the command line, and
from the manifest or the folder that it names, as far as these can be read; whatever is wrong with
the rest is said elsewhere.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from batchrun.base.no_file import DASH
from batchrun.commands.run_options import WITH_VALUE
from batchrun.commands.standard_input import STANDARD_INPUT, named
from batchrun.errors import BatchrunError
from batchrun.manifest.load import find_head, find_head_in
from batchrun.manifest.manifest import Head
from batchrun.sweep.identity import read_identity
from batchrun.sweep.location import choose_endpoint

OF_A_SWEEP: Final = frozenset({"run", "plan", "status", "why", "redo", "recover"})
"""Commands whose first word is a manifest, or a sweep's folder."""

LARGE: Final = 1_000_000
"""Bytes of a manifest up to which it is parsed once more: 0.1 s at most."""

_PLACES: Final = frozenset({"--endpoint", "--label", "--outputs"})
_TAKING: Final = frozenset({*_PLACES, *WITH_VALUE, "--sweep"})


class Whose(Struct, frozen=True, kw_only=True):
    """The fields of the `--json` object by which a sweep is known; None for what isn't known."""

    name: str | None = None
    label: str | None = None
    endpoint: str | None = None


def whose(command: str, words: Sequence[str]) -> Whose:
    """Return what is known of the sweep that *words* name. Raises nothing."""
    if command not in OF_A_SWEEP:
        return Whose()
    options = dict(_options(words))
    label, given = options.get("--label"), options.get("--endpoint")
    target = options.get("")
    head: Head | None = None
    if target is not None:
        path = Path(target)
        with suppress(OSError, ValueError, BatchrunError):
            identity = read_identity(path) if path.is_dir() else None
            if identity is not None:
                return Whose(name=identity.name, label=identity.label, endpoint=identity.endpoint)
        with suppress(OSError, ValueError, BatchrunError):
            text = STANDARD_INPUT.text if target == DASH else None
            if text is not None and len(text) <= LARGE:
                head = find_head_in(text, named(path), os.environ)
            elif path.is_file() and path.stat().st_size <= LARGE:  # a pipe would be waited for
                head = find_head(path, os.environ)
    by_manifest = None if head is None else head.endpoint
    endpoint = None
    with suppress(BatchrunError):  # what is no endpoint may hold a password
        endpoint = choose_endpoint(given, by_manifest, os.environ.get("RUNFLOW_API_URL"))
    stem = Path(target).stem if target and target != DASH else None
    return Whose(name=stem if head is None else head.name, label=label, endpoint=endpoint)


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
