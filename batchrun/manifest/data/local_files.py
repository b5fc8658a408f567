"""The files that a manifest reads beside itself: local files, globs, lines of text."""

import hashlib
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from batchrun.base.ceilings import MOST_HELD
from batchrun.base.file_state import file_state
from batchrun.base.local_file import LocalFile
from batchrun.base.media_types import media_type
from batchrun.base.regular_file import kind_of, open_regular
from batchrun.base.text import nearest
from batchrun.errors import SourceChangedError
from batchrun.manifest.data.globs import Found, search
from batchrun.manifest.data.left_out import leaving_out
from batchrun.manifest.data.text_files import text_of
from batchrun.manifest.sources import Sources

LARGEST_FILE: Final = 52_428_800  # runflow-api: size_bytes of an asset upload
_LONGEST_NAME: Final = 500


class Looking(Protocol):
    """Is shown how far it is with the files beside a manifest, which may be many."""

    def searching(self, names: int, files: int) -> None:
        """So many names were seen of one pattern, and so many files match."""

    def reading(self, files: int) -> None:
        """So many files were read."""


class LocalDisk:
    """The files beside a manifest. Each is hashed once, and noted in *sources*.

    *looking* is shown how far that is.
    """

    def __init__(self, base: Path, sources: Sources, looking: Looking | None = None) -> None:
        self.base = base
        self.sources = sources
        self.looking = looking
        self.found: dict[str, Found] = {}  # by pattern
        self._known: dict[str, LocalFile] = {}
        self._texts: dict[str, str] = {}

    def local(self, path: str) -> LocalFile:
        """Return the file at *path*, relative to the manifest; raise ValueError."""
        if path not in self._known:
            self._known[path] = self._read(path)
            if self.looking is not None:
                self.looking.reading(len(self._known))
        return self._known[path]

    def note(self, path: Path) -> None:
        """Note a file that is about to be read."""
        self.sources.files.setdefault(str(path), file_state(str(path)))

    def note_read_again(self, path: Path, written: str, sha256: str | None) -> None:
        """Note a file that is read again while cells are made, and its content."""
        self.sources.read_again[str(path)] = written
        if sha256 is not None:
            self.sources.digests[str(path)] = sha256

    def _read(self, written: str) -> LocalFile:
        path = placed(self.base, written)
        self.note(path)
        with opened(path, written) as file:
            head = file.read(16)
            size = path.stat().st_size
            if not 0 < size <= LARGEST_FILE:
                what = f"has {size} bytes, more than the 52428800 an upload may have"
                raise ValueError(f"`{written}` {what if size else 'is empty'}")
            mime = media_type(path.name, head)
            if mime is None:
                raise ValueError(
                    f"`{written}`: its name has no known content type; expected one such as .png"
                )
            if len(path.name) > _LONGEST_NAME:
                raise ValueError(f"`{written}`: its name is longer than 500 characters")
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.sources.digests[str(path)] = sha256
        return LocalFile(path=path, written=written, sha256=sha256, size=size, mime=mime)

    def matches(self, pattern: str) -> Sequence[LocalFile]:
        """Return the files that match, sorted by path; raise ValueError if there are none."""
        found = self.search(pattern)
        if len(found.files) > MOST_HELD:
            raise ValueError(f"more than {MOST_HELD:,} files match `{pattern}`")
        if not found.files:
            what = f"; {leaving_out(found, pattern)}" if found.left_out else ""
            raise ValueError(f"no file matches `{pattern}` in {self.base}{what}")
        return [self.local(path) for path in found.files]

    def search(self, pattern: str) -> Found:
        """Return what *pattern* finds, and note it; raise ValueError where it is no path."""
        wanted = str(placed(Path(), pattern))
        look = None if self.looking is None else self.looking.searching
        found = self.found[pattern] = search(self.base, wanted, look)
        self.sources.listings[wanted] = found.listing
        return found

    def text_lines(self, path: str) -> Sequence[str]:
        """Return the lines of a text file that are not blank; raise ValueError."""
        place = placed(self.base, path)
        self.note(place)
        lines = TextLines(place, path)
        self.note_read_again(place, path, lines.sha256)
        return lines

    def text(self, path: str) -> str:
        """Return the text of the file at *path*, relative to the manifest; raise ValueError."""
        if path not in self._texts:
            found = placed(self.base, path)
            self.note(found)
            with opened(found, path) as file:
                read = text_of(file, path)
            self.sources.digests[str(found)] = read.sha256
            self._texts[path] = read.text
        return self._texts[path]


def listing(base: Path, pattern: str) -> tuple[str, ...]:
    """Return all that a glob pattern finds below *base*."""
    return search(base, pattern).listing


def placed(base: Path, written: str) -> Path:
    """Return a path that is relative to *base*, and `~` the user's folder; raise ValueError."""
    if not written or "\0" in written:
        raise ValueError("expected a path")
    try:
        return base / Path(written).expanduser()
    except RuntimeError:
        raise ValueError(f"`{written}`: there is no such home folder") from None


def opened(path: Path, written: str) -> Any:
    """Open a regular file for reading bytes; raise ValueError in words."""
    try:
        if not path.is_file():
            raise ValueError(_missing(path, written))
        return open_regular(path)
    except OSError as error:
        raise ValueError(f"cannot read `{written}`: {error.strerror}") from None


def _missing(path: Path, written: str) -> str:
    if path.exists():
        return f"`{written}` is {kind_of(path.stat().st_mode)}, not a file"
    if path.is_symlink():
        return f"`{written}` is a link that leads to no file"
    missing = f"no file `{written}`"
    if "\\" in written:
        slashes = written.replace("\\", "/")
        return f"{missing}; folders are parted by `/`: did you mean `{slashes}`?"
    if not path.parent.is_dir():
        return f"{missing}; there is no folder {path.parent}"
    names = {other.name for other in path.parent.iterdir()}
    folder, bare = written[: written.rfind("/") + 1], path.name.strip()
    if bare != path.name and bare in names:
        return f"{missing}; it has a blank at an end: did you mean `{folder}{bare}`?"
    near = nearest(path.name, names)
    return missing + (f"; did you mean `{folder}{near}`?" if near else "")


def _written_at(file: Any) -> tuple[int, int, int]:
    """Return what differs once an open file was written to."""
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


class TextLines(Sequence[str]):
    """The lines of a text file: where each begins is kept, the text is read when asked for.

    Raises SourceChangedError where the file was written to since.
    """

    def __init__(self, path: Path, written: str) -> None:
        self._written = written
        digest = hashlib.sha256()
        self._starts = array("Q")
        with opened(path, written) as file:
            self._state = _written_at(file)
            start = 0
            for count, line in enumerate(file, start=1):
                digest.update(line)
                body = line.removeprefix(b"\xef\xbb\xbf") if not start else line
                try:
                    text = body.decode("utf-8")
                except UnicodeDecodeError:
                    raise ValueError(f"line {count} of `{written}` is not UTF-8") from None
                if text.strip():
                    self._starts.append(start + len(line) - len(body))
                start += len(line)
        if not self._starts:
            raise ValueError(f"`{written}` has no lines")
        self.sha256 = digest.hexdigest()
        self._file = opened(path, written)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:
        self._file.seek(self._starts[index])
        line = self._file.readline()
        if _written_at(self._file) != self._state:
            raise SourceChangedError(self._written)
        return line.decode("utf-8").rstrip("\r\n")

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
