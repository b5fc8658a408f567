"""The files that a pattern finds, and those that it leaves out although they may be meant.

The rules, which docs/manifest.md says: `*`, `?` and `[…]` match within a name, `**` stands for any
number of folders; names that begin with a dot are hidden, unless the pattern's own part does; case
counts. `**` doesn't go through links to folders, as git and ripgrep don't: a link to `.` led round
in circles, and one picture was forty points. A link that the pattern itself names is followed.

Nothing is opened here. A folder is listed once for each part of the pattern that it is looked at
for, so the time is that of the folders there are.
"""

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from batchrun.base.ceilings import MOST_HELD

ALL_FOLDERS: Final = "**"
_MAGIC: Final = re.compile(r"[*?[]")
_ANYTHING: Final = frozenset({"*", ALL_FOLDERS})


class Why(StrEnum):
    """Why a name that may be meant is left out."""

    CASE = "case counts"
    NOWHERE = "a link to nowhere"
    CIRCLE = "a link that leads in a circle"
    FOLDER = "a folder"
    LINKED = "a link to a folder; `**` doesn't follow it"
    NO_FILE = "a pipe, a socket or a device"
    UNREADABLE = "a folder that cannot be read"
    MISSING = "not there"
    NAME = "its name is not UTF-8"


Look = Callable[[int, int], None]
"""Is called during a search, with how many names were seen, and how many files found."""

EACH: Final = 100
"""Names between two such calls: on a slow disk that is a second."""


class Found(Struct, frozen=True):
    """The *files* that match, sorted, and what is *left_out*, by its path."""

    files: tuple[str, ...]
    left_out: dict[str, Why]

    @property
    def listing(self) -> tuple[str, ...]:
        """All that was found: where it is the same later, so is each file, and each note."""
        return (*self.files, *(f"{path} is {why.name}" for path, why in self.left_out.items()))


def search(base: Path, pattern: str, look: Look | None = None) -> Found:
    """Return what *pattern*, as `Path` spells it, finds below *base*; beyond MOST_HELD files, some.

    An unreadable folder holds nothing, and is left out. *look* is shown how far it is.
    """
    found = _Search(str(base), pattern, look)
    found.run()
    return Found(tuple(sorted(found.files)), dict(sorted(found.left_out.items())))


def any_case(pattern: str, names: list[str]) -> str:
    """Return the last part of *pattern* such that all of *names* match, whatever their case."""
    last = pattern.rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    spelled = f"{stem}{dot}{_either(suffix)}"
    if dot and all(fnmatch.fnmatchcase(name, spelled) for name in names):
        return spelled
    return _either(last)


def _either(text: str) -> str:
    """Return *text* with both cases of each letter that stands outside brackets."""
    parts = re.split(r"(\[[^\]]*\])", text)
    return "".join(
        part if part.startswith("[") else re.sub(r"[^\W\d_]", _both, part) for part in parts
    )


def _both(match: re.Match[str]) -> str:
    lower, upper = match[0].lower(), match[0].upper()
    return f"[{lower}{upper}]" if lower != upper and len(lower + upper) == 2 else match[0]


class _Search(Struct):
    """One search. *files* and *left_out* have paths as the pattern would write them."""

    base: str
    pattern: str
    look: Look | None = None
    names: int = 0
    files: set[str] = field(default_factory=set)
    left_out: dict[str, Why] = field(default_factory=dict)
    walked: set[str] = field(default_factory=set)  # folders that `**` has gone through

    def run(self) -> None:
        root, parts = ("/", self.pattern[1:]) if self.pattern[:1] == "/" else ("", self.pattern)
        steps = [_part(part) for part in parts.split("/")]
        todo, seen = [(root, 0)], set[tuple[str, int]]()
        while todo and len(self.files) <= MOST_HELD:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                folder, number = at
                last = number + 1 == len(steps)
                todo += (
                    (below, number + go)
                    for below, go in self._look(folder, steps[number], last=last)
                )
        self._forget_loops()

    def _look(self, folder: str, part: "_Part", *, last: bool) -> Iterator[tuple[str, int]]:
        """Match the names in *folder*; yield the folders to go on in, and by how many parts."""
        if part.literal is not None:
            return self._named(folder + part.literal, part, last=last)
        if part.everywhere:
            return self._through(folder, last=last)
        return self._matching(folder, part, last=last)

    def _named(self, path: str, part: "_Part", *, last: bool) -> Iterator[tuple[str, int]]:
        kind = _kind(self._full(path))
        if last:
            self._match(path, part.text, kind)
        elif kind is Why.FOLDER:
            yield f"{path}/", 1
        elif kind is Why.UNREADABLE:
            self.left_out[path] = kind

    def _through(self, folder: str, *, last: bool) -> Iterator[tuple[str, int]]:
        """Go through all folders; match the files where that is the last part."""
        self.walked.add(folder)
        if not last:
            yield folder, 1
        for entry in self._entries(folder):
            if entry.name.startswith("."):
                continue
            path, kind = folder + entry.name, _kind_of(entry)
            if kind is not Why.FOLDER:
                if last:
                    self._match(path, ALL_FOLDERS, kind)
            elif entry.is_symlink():
                self.left_out[path] = Why.LINKED
            else:
                yield f"{path}/", 0

    def _matching(self, folder: str, part: "_Part", *, last: bool) -> Iterator[tuple[str, int]]:
        for entry in self._entries(folder):
            path = folder + entry.name
            if not part.matches(entry.name):
                if last and part.nearly(entry.name) and _kind_of(entry) is None:
                    self.left_out[path] = Why.CASE
            elif last:
                self._match(path, part.text, _kind_of(entry))
            elif _kind_of(entry) is Why.FOLDER:
                yield f"{path}/", 1

    def _match(self, path: str, part: str, kind: Why | None) -> None:
        if kind is Why.FOLDER and part in _ANYTHING:
            return
        if kind is None and not path.isascii():
            try:
                path.encode()
            except UnicodeEncodeError:
                kind = Why.NAME
        if kind is None:
            self.files.add(path)
        elif kind is not Why.MISSING:
            self.left_out[path] = kind

    def _entries(self, folder: str) -> "Iterator[os.DirEntry[str]]":
        try:
            with os.scandir(self._full(folder)) as entries:
                found = list(entries)
        except OSError:
            self.left_out[folder.rstrip("/") or "."] = Why.UNREADABLE
            return
        for entry in found:
            self.names += 1
            if self.look is not None and self.names % EACH == 0:
                self.look(self.names, len(self.files))
            yield entry

    def _full(self, path: str) -> str:
        return os.path.join(self.base, path)  # noqa: PTH118  (100,000 of them)

    def _forget_loops(self) -> None:
        """Forget each link that leads to where `**` has been: all that is there is found."""
        linked = [path for path, why in self.left_out.items() if why is Why.LINKED]
        if linked:
            walked = {os.path.realpath(self._full(folder)) for folder in self.walked}
            for path in linked:
                if os.path.realpath(self._full(path)) in walked:
                    del self.left_out[path]


class _Part(Struct, frozen=True):
    """One part of a pattern: a *literal* name, all folders (*everywhere*), or one that matches."""

    text: str
    literal: str | None = None
    everywhere: bool = False
    matched: Callable[[str], object] = bool
    ignoring_case: Callable[[str], object] = bool

    def matches(self, name: str) -> bool:
        hidden = name.startswith(".") and not self.text.startswith(".")
        return not hidden and self.matched(name) is not None

    def nearly(self, name: str) -> bool:
        """Say whether a name that isn't hidden would match, did case not count."""
        return not name.startswith(".") and self.ignoring_case(name) is not None


def _part(text: str) -> _Part:
    if not _MAGIC.search(text):
        return _Part(text, literal=text)
    pattern = fnmatch.translate(text)
    return _Part(
        text,
        everywhere=text == ALL_FOLDERS,
        matched=re.compile(pattern).match,
        ignoring_case=re.compile(pattern, re.IGNORECASE).match,
    )


def _kind_of(entry: "os.DirEntry[str]") -> Why | None:
    """Return what an entry is, None for a file, also one that a link leads to."""
    try:
        if entry.is_file():
            return None
        if entry.is_dir():
            return Why.FOLDER
    except OSError as error:  # also of a link into a folder that can't be read
        return Why.CIRCLE if error.errno == errno.ELOOP else Why.NOWHERE
    return Why.NOWHERE if entry.is_symlink() else Why.NO_FILE


def _kind(path: str) -> Why | None:
    """Return what is at a path, None for a file."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (a Path hides why there is none)
    except PermissionError:
        return Why.UNREADABLE
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Why.CIRCLE
        return Why.NOWHERE if Path(path).is_symlink() else Why.MISSING
    if stat.S_ISREG(mode):
        return None
    return Why.FOLDER if stat.S_ISDIR(mode) else Why.NO_FILE
