"""`batchrun picks MANIFEST|FOLDER [FILE]`: take in the marks of the page; no network, no lock."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from batchrun.base.no_file import joined
from batchrun.base.output_store import OutputStore
from batchrun.base.said import width_for
from batchrun.base.text import escaped, few, for_terminal, listed, number_of
from batchrun.base.widths import cut
from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.status_report import rows_of
from batchrun.commands.target import Subject, naming_recover, opened, recover_of, subject_of
from batchrun.errors import INCOMPLETE, UsageError
from batchrun.ledger.beginning import beginning_of
from batchrun.ledger.reader import Reader
from batchrun.manifest.cells import SHORT
from batchrun.results.picked_files import copies_of_others, copy_files, zip_files
from batchrun.results.sweep_folders import label_of, sweeps_of_name
from batchrun.sweep.kept_picks import PICKS, kept_picks, take_in
from batchrun.sweep.location import LEDGER
from batchrun.sweep.picks import Kind, Picks

WORDS: Final = {
    Kind.PICK: "picked",
    Kind.REJECT: "rejected",
    Kind.REDO: "to redo",
    Kind.NOTE: "with a note",
}
"""How many cells have each kind of mark, as people read it."""

SCHEMA: Final = 1
"""Version of the `--json` object; fields may be added within a version, never change or go."""

NOT_THERE: Final = "not in the manifest"

MOST_NAMED: Final = 20
"""Notes that are shown, and files that are named which are not picked."""

MOST_LABELS: Final = 10
"""Labels that are named whose marks were left."""


def main(argv: Sequence[str]) -> int:
    """Take in marks, print what they come to, copy the files that are picked.

    The exit code is 3 where a picked cell has no file to be copied.
    """
    values = vars(parser().parse_args(argv))
    subject = subject_of(values["target"], take_place(values), quiet=values["json"])
    with naming_recover(recover_of(subject.command)), opened(subject) as reader:
        if reader.book.sweep is None:
            raise UsageError(f"no sweep has begun in {subject.folder}: there is nothing to mark")
        sweep = reader.book.sweep.sweep
        others = OtherLabels(subject.folder)
        taken = take_in(subject.folder, values["files"], sweep, lambda: others.labels)
        found = _found(subject, reader, kept_picks(subject.folder))
    copied = _taken_out(found, subject.folder, values["copy"], values["zip"])
    if values["json"]:
        counts = {"new": taken.new, "left": others.as_dicts(taken.left)}
        print(json.dumps({**_head(subject, sweep), **counts, **found.as_dict(), **copied}))
    else:
        print("\n".join(_lines(found, taken.new, given=bool(values["files"]), copied=copied)))
        if taken.new:
            print(f"`{_report_of(values['target'], subject)}` shows the marks in the page")
        if taken.left:
            print(others.line(taken.left))
    return INCOMPLETE if any(each["without_file"] for each in copied.values()) else 0


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser("picks", description="Take in the marks of the page, and say what they are.")
    made.add_argument("target", type=Path, metavar="MANIFEST|FOLDER")
    made.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="picks.jsonl",
        help="what the page has saved; without it, the marks that were taken in before",
    )
    add_place(made)
    made.add_argument(
        "--copy", type=Path, metavar="DIR", help="copy the files of picked cells into DIR"
    )
    made.add_argument(
        "--zip", type=Path, metavar="FILE", help="write the files of picked cells into a zip file"
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


class OtherLabels:
    """The sweeps of the same name as the one in *folder*, by their ledgers; read when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @cached_property
    def labels(self) -> Mapping[str, str | None]:
        """Their labels, by the ids of the sweeps; None is the label of one without."""
        folders = sweeps_of_name(self._folder)
        found = ((_id_of(each), label_of(each)) for each in folders if each != self._folder)
        return {sweep: label for sweep, label in found if sweep is not None}

    def as_dicts(self, left: Mapping[str, int]) -> list[dict[str, Any]]:
        """Return how many marks are theirs, for JSON."""
        return [
            {"sweep": sweep, "label": self.labels[sweep], "marks": number}
            for sweep, number in left.items()
        ]

    def line(self, left: Mapping[str, int]) -> str:
        """Return the same for people."""
        labels = ((self.labels[sweep], number) for sweep, number in left.items())
        named = (f"{number:,} of {_named(label)}" for label, number in labels)
        marks = number_of(sum(left.values()), "mark")
        each = listed(named, most=MOST_LABELS)
        said = f"{marks} left, of other labels: {each}; `batchrun picks` on these takes them in"
        return for_terminal(said)


def _named(label: str | None) -> str:
    return "the sweep without one" if label is None else label


def _id_of(folder: Path) -> str | None:
    """Return the id of the sweep in *folder*, None where its ledger can't be read."""
    first = beginning_of(folder / LEDGER)
    return None if first is None else first.sweep


class Marked(Struct, frozen=True, kw_only=True):
    """A cell with a mark. *made* is the key of the cell that a redo mark has made, if it has."""

    cell: str
    alias: str | None
    status: str | None
    note: str
    files: tuple[str, ...] = ()
    made: str | None = None

    def as_dict(self, kind: Kind) -> dict[str, Any]:
        values = {"cell": self.cell, "alias": self.alias, "status": self.status}
        note = {"note": self.note} if self.note else {}
        made = {"made": self.made} if kind is Kind.REDO else {}
        return {**values, "files": list(self.files), **note, **made}

    def line(self) -> str:
        """Return it for people; a note stands on one line."""
        words = [self.cell[:SHORT], self.alias or NOT_THERE, self.status or ""]
        made = [] if self.made is None else [f"made again as {self.made[:SHORT]}"]
        note = [json.dumps(self.note, ensure_ascii=False)] if self.note else []
        return for_terminal("  ".join(filter(None, [*words, *self.files, *made, *note])))

    def note_line(self) -> str:
        """Return its note for people, on one line."""
        note = escaped(" ".join(self.note.split()))
        return f"{self.cell[:SHORT]}  {escaped(self.alias or NOT_THERE)}  {note}"


class Found(Struct, frozen=True, kw_only=True):
    """What the marks come to: by kind, the cells that have one, in the manifest's order."""

    marked: Mapping[Kind, Sequence[Marked]] = field(default_factory=dict)

    @property
    def unknown(self) -> int:
        """How many cells with a mark are none of the sweep's, or none any more."""
        cells = {each.cell: each for marked in self.marked.values() for each in marked}
        return sum(each.alias is None for each in cells.values())

    @property
    def picked(self) -> Sequence[Marked]:
        return self.marked[Kind.PICK]

    def as_dict(self) -> dict[str, Any]:
        names = {"picked": Kind.PICK, "rejected": Kind.REJECT, "redo": Kind.REDO}
        every = {**names, "notes": Kind.NOTE}
        lists = {name: [m.as_dict(k) for m in self.marked[k]] for name, k in every.items()}
        return {**lists, "unknown": self.unknown}


def _found(subject: Subject, reader: Reader, picks: Picks) -> Found:
    """Return the cells that have marks, with their files."""
    wanted = {cell for kind in Kind for cell in picks.of(kind)}
    made = {mark.id: key for key, mark in reader.book.marks.items()}
    rows: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for row in rows_of(subject, reader, wanted):
        files = () if row.saved is None else tuple(each.path for each in row.saved.there)
        rows.setdefault(row.cell.key, (row.cell.alias, str(row.values["status"]), files))

    def marked(kind: Kind) -> Iterator[Marked]:
        for cell in sorted(picks.of(kind), key=_order([*rows])):
            alias, status, files = rows.get(cell, (None, None, ()))
            note = picks.notes[cell].note if cell in picks.notes else ""
            redone = made.get(picks.of(kind)[cell].id)
            yield Marked(cell=cell, alias=alias, status=status, note=note, files=files, made=redone)

    return Found(marked={kind: list(marked(kind)) for kind in Kind})


def _order(keys: Sequence[str]) -> Any:
    places = {key: place for place, key in enumerate(keys)}
    return lambda cell: (places.get(cell, len(places)), cell)


def _taken_out(
    found: Found, folder: Path, copy: Path | None, archive: Path | None
) -> dict[str, Any]:
    """Copy the files that are picked; return what is said of it."""
    names = list(dict.fromkeys(name for each in found.picked for name in each.files))
    if (copy or archive) and not names:
        raise UsageError("no cell with a file is picked: there is nothing to copy")
    bare = sum(not each.files for each in found.picked)
    store, said = OutputStore(folder), dict[str, Any]()
    counts = {"files": len(names), "without_file": bare}
    if copy is not None:
        new = copy_files(store, names, copy)
        others = copies_of_others(store, names, copy)
        said["copied"] = {"folder": str(copy), **counts, "new": new, "not_picked": others}
    if archive is not None:
        zip_files(store, names, archive)
        said["zipped"] = {"file": str(archive), **counts}
    return said


def _report_of(target: Path, subject: Subject) -> str:
    """Return the command that writes the page of what the command line means."""
    if target.is_dir():
        return joined(["batchrun", "report", str(target)])
    return f"batchrun report{subject.command.removeprefix('batchrun')}"


def _head(subject: Subject, sweep: str) -> dict[str, Any]:
    folder = str(subject.folder)
    return {"schema": SCHEMA, "sweep": sweep, "folder": folder, "kept": f"{folder}/{PICKS}"}


def _lines(found: Found, new: int, *, given: bool, copied: Mapping[str, Any]) -> Iterator[str]:
    """Yield what people read."""
    for kind in (Kind.PICK, Kind.REJECT, Kind.REDO):
        if found.marked[kind]:
            yield f"{WORDS[kind]}:"
            yield from (f"  {each.line()}" for each in found.marked[kind])
    if found.marked[Kind.NOTE]:
        yield f"{WORDS[Kind.NOTE]}:"
        yield from _notes(found.marked[Kind.NOTE], width_for(sys.stdout))
    counts = ", ".join(f"{len(found.marked[kind]):,} {words}" for kind, words in WORDS.items())
    yield f"{counts}; {number_of(new, 'new mark')}" if given else counts
    if found.unknown:
        cells = number_of(found.unknown, "marked cell")
        yield f"{cells} not among the manifest's: it was edited since, or is another version"
    yield from _taken_lines(copied)


def _taken_lines(copied: Mapping[str, Any]) -> Iterator[str]:
    """Yield what people read of files that were copied."""
    if "copied" in copied:
        said = copied["copied"]
        yield f"{said['folder']}: {number_of(said['files'], 'file')}, {said['new']:,} of them new"
        if others := said["not_picked"]:
            files = f"{number_of(len(others), 'file')} there {'is' if len(others) == 1 else 'are'}"
            yield f"{files} not picked: {listed(map(escaped, others), most=MOST_NAMED)}"
    if "zipped" in copied:
        yield f"{copied['zipped']['file']}: {number_of(copied['zipped']['files'], 'file')}"
    if bare := max((each["without_file"] for each in copied.values()), default=0):
        cells = number_of(bare, "picked cell")
        yield f"{cells} without a file here; a call on the manifest fetches what there is"


def _notes(marked: Sequence[Marked], width: int | None) -> Iterator[str]:
    """Yield a line for each of the first cells with a note, cut at a terminal's *width*."""
    for line in few((each.note_line() for each in marked), most=MOST_NAMED):
        yield f"  {line if width is None else cut(line, width - 2)}"
