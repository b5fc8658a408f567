"""Which sweep a command line means: its endpoint, its folder, its ledger, and the command that
finds them again.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.no_file import DASH, is_no_file, joined
from batchrun.base.regular_file import open_regular
from batchrun.base.text import listed
from batchrun.commands.drawing import draw_samples, files_said
from batchrun.commands.standard_input import STANDARD_INPUT, named
from batchrun.errors import (
    BegunElsewhereError,
    BudgetReachedError,
    LostLedgerError,
    MadeBesideError,
    ManifestError,
    UsageError,
)
from batchrun.manifest.load import load_manifest, near_beside, read_manifest
from batchrun.manifest.manifest import Head, Manifest
from batchrun.sweep.identity import Identity, check_folder, read_identity
from batchrun.sweep.location import (
    LEDGER,
    choose_endpoint,
    endpoint_folder,
    former_folder,
    output_folder,
)

if TYPE_CHECKING:
    from batchrun.ledger.reader import Reader


class Place(Struct, frozen=True, kw_only=True):
    """The options that say where a sweep is, beside its manifest."""

    endpoint: str | None = None
    outputs: Path | None = None
    label: str | None = None


def manifest_at(path: Path, *, quiet: bool = False) -> Manifest:
    """Return the manifest at *path*, `-` for standard input; ManifestError for what is wrong.

    *quiet* leaves out how far it is with the manifest's files.
    """
    looking = files_said(quiet=quiet)
    if str(path) == DASH:
        return read_manifest(STANDARD_INPUT.read(), named(path), os.environ, looking=looking)
    return load_manifest(path, os.environ, looking=looking)


def locate(head: Head, place: Place) -> tuple[str, Path]:
    """Return the endpoint and the folder; UsageError where *place* is none.

    Where no ledger is in the folder, and one is where batchrun 0.1 would have it, that one is it.
    """
    chosen = choose_endpoint(place.endpoint, head.endpoint, os.environ.get("RUNFLOW_API_URL"))
    folder, former = (_named(by, head, place, chosen) for by in (output_folder, former_folder))
    if former != folder and not (folder / LEDGER).exists() and (former / LEDGER).exists():
        return chosen, former
    return chosen, folder


_MOST_LABELS: Final = 10


def said_of_former(head: Head, place: Place, endpoint: str, folder: Path) -> str | None:
    """Return what is to be said where *folder* is the one that batchrun 0.1 has made."""
    now = _named(output_folder, head, place, endpoint)
    if now.resolve() == folder.resolve():
        return None
    return (
        f"going on in {folder}, where batchrun 0.1 has put this sweep; to have it found by any "
        f"spelling of the manifest's path, move it to {now}"
    )


def _named(by: Callable[..., Path], head: Head, place: Place, endpoint: str) -> Path:
    """Return the folder *by* one of the two rules for it."""
    outputs = place.outputs or head.directory
    return by(head.name, head.path, endpoint=endpoint, outputs=outputs, label=place.label)


def command_of(manifest: str | Path, place: Place) -> str:
    """Return the command that goes on with a sweep, as one would type it."""
    said = {"--endpoint": place.endpoint, "--outputs": place.outputs, "--label": place.label}
    options = [word for name, each in said.items() if each for word in (name, str(each))]
    word = DASH if is_no_file(Path(manifest)) else str(manifest)
    return joined(["batchrun", word, *options])


def recover_of(command: str) -> str:
    """Return what rebuilds the ledger of the sweep that *command* (`command_of`) goes on with."""
    return f"batchrun recover{command.removeprefix('batchrun')}"


def name_recover(error: Exception, command: str, *, again: str = "") -> None:
    """Let the error of a lost ledger advise the whole *command*: only here the place is known.

    *again* is the call that was stopped, as it was typed.
    """
    if isinstance(error, LostLedgerError):
        error.recover = command
    if isinstance(error, BegunElsewhereError | MadeBesideError) and again:
        error.command = again


def name_settling(error: Exception, manifest: Path, place: Place) -> None:
    """Let the error of a budget name the calls that settle what labels have left reserved."""
    if isinstance(error, BudgetReachedError):
        names = [each.name for each in error.left]
        labels = [name[1:] if name.startswith("@") else None for name in names]
        error.settling = tuple(command_of(manifest, replace(place, label=each)) for each in labels)


@contextmanager
def naming_recover(command: str) -> Iterator[None]:
    """Do so with what is raised inside."""
    try:
        yield
    except LostLedgerError as error:
        name_recover(error, command)
        raise


class Subject(Struct, frozen=True, kw_only=True):
    """The subject of a question: a folder, and the manifest where there still is one.

    *note* says which manifest that is, where it is not the file's present text.
    """

    folder: Path
    manifest: Manifest | None
    command: str
    note: str = ""


@contextmanager
def opened(subject: Subject) -> "Iterator[Reader]":
    """Read the sweep's ledger; UsageError where there is none yet.

    Its modules are imported late: `why` needs none of them, and takes half as long without.
    """
    from batchrun.ledger.file import check_sweep
    from batchrun.ledger.missing_files import forget_missing
    from batchrun.ledger.reader import open_reader

    path = subject.folder / LEDGER
    sweep = check_folder(subject.folder)
    if not path.exists():
        raise UsageError(f"there is no sweep in {subject.folder}{_instead(subject)}")
    with open_reader(path) as reader:
        check_sweep(reader.book, sweep, path)
        forget_missing(reader.book, path)
        yield reader


def _instead(subject: Subject) -> str:
    """Say what there is instead of a sweep: one that is begun for want of a label costs again."""
    if subject.manifest is None:
        return "; name the folder of one, or its manifest"
    return others_of_name(subject.folder) or f" yet; start it with `{subject.command}`"


def others_of_name(folder: Path) -> str:
    """Return a half sentence on the sweeps of the same name as *folder*; "" where it has none."""
    from batchrun.results.sweep_folders import labels_of_name

    found = labels_of_name(folder)
    labels = [f"`{each}`" for each in found if each is not None]
    said = f"; labels here: {listed(labels, most=_MOST_LABELS)}" if labels else ""
    return f"{said}; a sweep without a label is here" if None in found else said


def subject_of(target: Path, place: Place, *, quiet: bool = False) -> Subject:
    """Return what is asked about: a sweep's folder, or its manifest; UsageError for neither.

    *quiet* leaves out how far it is with a manifest's files and its sample.
    """
    if target.is_dir():
        identity = read_identity(target)
        manifest, note = (None, "") if identity is None else started_with(target, identity)
        if manifest is not None:
            draw_samples(manifest, quiet=quiet)
        command = "batchrun MANIFEST" if identity is None else resuming(identity, manifest, target)
        return Subject(folder=target, manifest=manifest, command=command, note=note)
    if not (target.suffix or target.exists() or str(target) == DASH):
        near = near_beside(target)
        raise UsageError(f"`{target}` is no folder of a sweep, and no manifest{near}")
    manifest = manifest_at(target, quiet=quiet)
    draw_samples(manifest, quiet=quiet)
    _, folder = locate(manifest.head, place)
    return Subject(folder=folder, manifest=manifest, command=command_of(target, place))


def started_with(folder: Path, identity: Identity) -> tuple[Manifest | None, str]:
    """Return the manifest that the sweep in *folder* was started with last, and a note on it.

    A folder keeps its text. Where that can't be read any more, it is the one that stands where the
    sweep's manifest stood: ManifestError where that is wrong. None where there is none.
    """
    from batchrun.results.starts import newest_start

    path = Path(identity.manifest) if identity.manifest else None
    start = None if path is None else newest_start(folder)
    if path is None:
        return None, ""
    text = _text_at(path)
    if start is not None:
        kept = start.manifest.encode("utf-8", "surrogateescape")
        with suppress(ManifestError):
            manifest = read_manifest(kept, path, os.environ, kept=True)
            same = text == kept or is_no_file(path)
            return manifest, "" if same else _since(path, gone=text is None)
    return (None, "") if text is None else (load_manifest(path, os.environ), "")


def _text_at(path: Path) -> bytes | None:
    """Return the text of the manifest at *path*, None where there is none to be read."""
    try:
        with open_regular(path) as file:  # it may have come on standard input, or by a pipe
            return file.read()
    except (OSError, ValueError):
        return None


def _since(path: Path, *, gone: bool) -> str:
    what = "is gone" if gone else "was edited"
    return f"{path} {what} since the last start: this is by the manifest of that start"


def resuming(identity: Identity, manifest: Manifest | None, folder: Path) -> str:
    """Return the command that finds *folder* again, from what its `sweep.json` says."""
    label = identity.label
    if manifest is not None:
        _, found = locate(manifest.head, Place(label=label))
        if found == folder.resolve():
            return command_of(manifest.path, Place(label=label))
    base = folder.resolve().parents[1 if identity.label else 0]
    if endpoint_folder(identity.endpoint) is not None:
        base = base.parent
    known = identity.manifest or "MANIFEST"
    return command_of(known, Place(endpoint=identity.endpoint, outputs=base, label=label))
