"""The subject of one call: manifest, settings, where its sweep is. It knows no argparse."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.endpoint import SIMULATOR
from batchrun.catalogue.sent_types import sent_types
from batchrun.commands.drawing import draw_samples
from batchrun.commands.notes import say_notes
from batchrun.commands.target import Place, command_of, locate, manifest_at, recover_of
from batchrun.engine.selection import check_statuses, with_marks
from batchrun.errors import UsageError
from batchrun.ledger.book import Book
from batchrun.ledger.scan import redone_in
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.select import check_found, parse_only
from batchrun.runflow.descriptions import Description
from batchrun.settings import Settings
from batchrun.sweep.kept_picks import kept_picks
from batchrun.sweep.location import LEDGER

if TYPE_CHECKING:  # the call that has nothing to do loads only that one
    from batchrun.commands.run_options import Options

NOTHING: Final[Mapping[str, Any]] = {}


class Call(Struct, frozen=True, kw_only=True):
    """The subject of one call. *place* is what was said of where, *endpoint* and *folder* are what
    that came to. *settings* are the manifest's, with the *chosen* ones in their place.
    """

    manifest: Manifest
    settings: Settings
    chosen: Mapping[str, Any]
    place: Place
    endpoint: str
    folder: Path

    def knowing(self, book: Book) -> "Call":
        """Return the same call with the replicates in its manifest that marks of *book* made."""
        return replace(self, manifest=replace(self.manifest, redone=book.redone))

    def sending(self, descriptions: Mapping[str, Description]) -> "Call":
        """Return the same call whose values are sent as the models' *descriptions* take them."""
        return replace(self, manifest=replace(self.manifest, sent_as=sent_types(descriptions)))

    @property
    def recover_command(self) -> str:
        """The command that rebuilds this sweep's ledger."""
        return recover_of(command_of(self.manifest.path, self.place))


def prepare(
    path: Path,
    place: Place,
    *,
    chosen: Mapping[str, Any] = NOTHING,
    only: Sequence[str] = (),
    quiet: bool = False,
    as_json: bool = False,
) -> Call:
    """Return the call on the manifest at *path*; ManifestError or UsageError where there is none.

    *chosen* are settings in place of the manifest's, by the fields of Settings; *only* are cells
    to choose, such as "color=red". *quiet* leaves out notes on the manifest, and progress.
    *as_json* leaves out how far it is with the manifest's files.
    """
    manifest = manifest_at(path, quiet=quiet or as_json)
    say_notes(manifest, quiet=quiet)
    return call_on(manifest, place, chosen=chosen, only=only, quiet=quiet)


def call_on(
    manifest: Manifest,
    place: Place,
    *,
    chosen: Mapping[str, Any] = NOTHING,
    only: Sequence[str] = (),
    quiet: bool = False,
) -> Call:
    """Return the call on a *manifest* that has been read; the rest is as for `prepare`."""
    draw_samples(manifest, quiet=quiet)
    endpoint, folder = locate(manifest.head, place)
    if only:  # it may name what a mark made
        manifest = replace(manifest, redone=redone_in(folder / LEDGER))
    return Call(
        manifest=manifest,
        settings=_with_marks(settings_of(manifest, chosen, only), folder),
        chosen=chosen,
        place=place,
        endpoint=endpoint,
        folder=folder,
    )


def prepare_for(options: "Options") -> Call:
    """Return the call that *options* ask for, as `prepare` does."""
    return prepare(
        options.manifest,
        options.place,
        chosen=options.chosen,
        only=options.only,
        quiet=options.quiet,
        as_json=options.json,
    )


def settings_of(manifest: Manifest, chosen: Mapping[str, Any], only: Sequence[str]) -> Settings:
    """Return the manifest's settings with the *chosen* ones in their place."""
    try:
        selection = parse_only(manifest, only)
        check_statuses(selection)
        check_found(selection, expand(manifest) if selection else ())
    except ValueError as error:
        raise UsageError(str(error)) from None
    return replace(manifest.settings(), **chosen, only=selection)


def _with_marks(settings: Settings, folder: Path) -> Settings:
    """Return *settings* with the keys of cells where `--only` asks for marks of the page."""
    try:
        return replace(settings, only=with_marks(settings.only, lambda: kept_picks(folder)))
    except ValueError as error:
        raise UsageError(str(error)) from None


def key_of(endpoint: str) -> str | None:
    """Return the key for *endpoint*, None where there is none; the simulator takes any."""
    if endpoint == SIMULATOR:
        return SIMULATOR
    return os.environ.get("RUNFLOW_API_KEY", "").strip() or None


def needed_key(endpoint: str) -> str:
    """Return the key for *endpoint*, or raise UsageError."""
    key = key_of(endpoint)
    if key is None:
        raise UsageError(f"no key for {endpoint}: put it into RUNFLOW_API_KEY")
    return key
