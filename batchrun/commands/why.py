"""`batchrun why MANIFEST|FOLDER CELL`: the life of one cell, on one screen; no lock.

It reads the index, and of the ledger only the cell's lines: a long ledger takes as long as a short
one, once the index has caught up. Of the logs that the folder keeps it shows the end. With `--logs`
the service is asked for those that it doesn't keep, and for nothing else.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.no_file import DASH
from batchrun.base.text import for_terminal
from batchrun.commands.cell_life import life_in
from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.target import (
    Place,
    Subject,
    command_of,
    locate,
    naming_recover,
    recover_of,
    subject_of,
)
from batchrun.ledger.life import Life
from batchrun.ledger.missing_files import gone
from batchrun.ledger.records import Finished, Mark, Reused, Saved, Submitted
from batchrun.ledger.scan import marks_in
from batchrun.manifest.load import load_head, load_settings, read_text
from batchrun.results.life_words import as_dict, lines
from batchrun.results.next_call import next_call
from batchrun.results.origins import CellOrigin, origin_of_cell
from batchrun.results.result_files import MANIFEST
from batchrun.settings import Settings
from batchrun.sweep.identity import read_identity
from batchrun.sweep.location import LEDGER, LOGS

if TYPE_CHECKING:  # most cells have none
    from batchrun.runflow.run_logs import RunLogs

LARGE: Final = 4 << 20
"""Bytes of a manifest and its data files up to which they are read without being asked for."""

NO_MANIFEST: Final = "the manifest is gone"
TOO_LARGE: Final = (
    "the manifest's files are large: `--origin` reads them, for where values come from"
)


class Shown(Struct, frozen=True, kw_only=True):
    """All that is shown of a cell; *next* says whether the next call takes it up, and why."""

    life: Life
    origin: CellOrigin
    gone: Sequence[str]
    takes: bool
    next: str
    note: str
    logs: "RunLogs | None" = None


def main(argv: Sequence[str]) -> int:
    """Print the life of a cell; 0 whenever it could be read."""
    values = vars(parser().parse_args(argv))
    place, quiet = take_place(values), values["json"]
    subject = _subject(values["target"], place, everywhere=values["origin"], quiet=quiet)
    with naming_recover(recover_of(subject.command)):
        life = life_in(subject, values["cell"])
    shown = shown_of(subject, life, everywhere=values["origin"])
    shown = _with_logs(subject, shown, values["cell"], asked=values["logs"])
    text = as_json(shown) if values["json"] else "\n".join(map(for_terminal, screen(shown)))
    print(text)
    return 0


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser("why", description="The life of one cell, by the ledger alone.")
    made.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    made.add_argument("cell", metavar="CELL", help="a key's beginning, a run's id, or a file")
    made.add_argument(
        "--logs",
        action="store_true",
        help="show all logs of the run: the last failed one, or the one named; the service is "
        "asked for them unless the folder keeps them",
    )
    made.add_argument(
        "--origin",
        action="store_true",
        help="look through the whole grid for where the values come from, however long it takes",
    )
    add_place(made)
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def _subject(target: Path, place: Place, *, everywhere: bool, quiet: bool) -> Subject:
    """Return what is asked about, without its manifest where reading that would take long."""
    folder, path = target, target
    if everywhere or str(target) == DASH:
        return subject_of(target, place, quiet=quiet)
    if target.is_dir():
        identity = read_identity(target)
        if identity is None or identity.manifest is None:
            return subject_of(target, place, quiet=quiet)
        path, place = Path(identity.manifest), Place(label=identity.label)
    else:
        head = load_head(read_text(target), target, os.environ)
        if head is None:
            return subject_of(target, place, quiet=quiet)
        folder = locate(head, place)[1]
    if not _is_large(folder, path):
        return subject_of(target, place, quiet=quiet)
    command = command_of(path, place)
    return Subject(folder=folder, manifest=None, command=command, note=TOO_LARGE)


def _is_large(folder: Path, manifest: Path) -> bool:
    """Say whether the files of the last start, as they are now, are many bytes to read."""
    from batchrun.results.starts import newest_start

    start = newest_start(folder) if manifest.exists() else None
    names = () if start is None else start.files
    base = manifest.absolute().parent
    return sum(map(_bytes, (manifest, *(base / name for name in names)))) > LARGE


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # a name with a null in it is none
        return 0


def shown_of(subject: Subject, life: Life, *, everywhere: bool) -> Shown:
    """Return what is known of a cell without the service."""
    manifest, path = subject.manifest, subject.folder / LEDGER

    def marks() -> Mapping[str, Mark]:
        return marks_in(path)

    if manifest is None:
        origin = CellOrigin(sources={}, named=None, said=subject.note or NO_MANIFEST)
        settings = _limits(subject.folder)
    else:
        origin = origin_of_cell(manifest, life, marks, everywhere=everywhere)
        settings = manifest.settings()
    saved = [record for record in life.records if isinstance(record, Saved | Reused)]
    lost = gone(saved[-1], subject.folder) if saved else []
    takes, said = next_call(
        life,
        settings,
        subject.command,
        named=origin.named,
        gone=lost,
        redo=manifest is not None,
    )
    note = subject.note if manifest is not None else ""
    return Shown(life=life, origin=origin, gone=lost, takes=takes, next=said, note=note)


def _limits(folder: Path) -> Settings:
    """Return the settings that the manifest of the last start asks for, without its data files."""
    path = folder / MANIFEST
    try:
        return load_settings(path.read_bytes(), path)
    except OSError:
        return load_settings(b"{}", path)


def _with_logs(subject: Subject, shown: Shown, text: str, *, asked: bool) -> Shown:
    """Return *shown* with the logs of a run: the kept ones, and where *asked* the service's."""
    run = run_meant(shown.life, text)
    if not asked and not (subject.folder / LOGS / shown.life.key).exists():
        return shown
    from batchrun.commands.fetched_logs import logs_of
    from batchrun.engine.kept_logs import kept_logs
    from batchrun.results.log_words import end_of
    from batchrun.runflow.run_logs import RunLogs

    if run is None:
        return replace(shown, logs=RunLogs(run_id=None, said="the cell has no run"))
    if asked:
        return replace(shown, logs=logs_of(subject, shown.life.key, [run])[0])
    kept = kept_logs(subject.folder, shown.life.key, run)
    return shown if kept is None else replace(shown, logs=end_of(kept))


def run_meant(life: Life, text: str) -> str | None:
    """Return the run that is named, else the last one that failed, else the last one."""
    runs = [each.run_id for each in life.records if isinstance(each, Submitted | Finished)]
    failed = [
        each.run_id
        for each in life.records
        if isinstance(each, Finished) and each.status_code == "failed"
    ]
    return text if text in runs else next(iter([*failed[-1:], *runs[-1:]]), None)


def screen(shown: Shown) -> Iterator[str]:
    """Yield what people read: the cell, its input, its lines, what the next call does with it."""
    yield from lines(shown.life, shown.origin)
    if shown.logs is not None:
        from batchrun.results.log_words import in_words

        yield ""
        if shown.logs.run_id is not None:
            yield f"logs of run {shown.logs.run_id}:"
        yield from in_words(shown.logs)
    yield ""
    if shown.note:
        yield shown.note
    yield shown.next


def as_json(shown: Shown) -> str:
    """Return the cell as one JSON object."""
    found = as_dict(shown.life, shown.origin, shown.gone)
    following = {"takes_up": shown.takes, "next": shown.next, "note": shown.note or None}
    logs = {} if shown.logs is None else {"logs": msgspec.to_builtins(shown.logs)}
    return json.dumps({**found, **following, **logs})
