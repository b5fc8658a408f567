"""A local file: that a cell sends, or that was only read. Pure: other modules open it."""

from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct


@dataclass(frozen=True, slots=True, kw_only=True)  # a struct would compare `written`, too
class LocalFile:
    """A file to upload. It is its content: equal bytes are one value, wherever they lie."""

    path: Path  # absolute
    written: str = field(compare=False)  # relative to the manifest, where it lies below it
    sha256: str
    size: int
    mime: str

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def name(self) -> str:
        return self.path.name

    def __str__(self) -> str:
        return self.written


class FileState(Struct, frozen=True):
    """A file as it was. *sha256* is its content's where its time proves nothing."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str | None = None
