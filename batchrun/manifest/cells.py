"""What the manifest comes to: cells, and the local files that stand in their inputs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec import Struct


class Omit:
    """The value of an input that is left out."""

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = Omit()


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


class Cell(Struct, frozen=True, kw_only=True):
    """One model with one set of input values and a replicate number: the unit of work."""

    key: str
    model: str
    alias: str
    input: dict[str, Any]  # as it is sent, a LocalFile where a file is
    replicate: int  # from 1
    values: dict[str, Any]  # inputs, vars and columns under their common names
    ordinal: int  # its place in the manifest's order; there are gaps

    @property
    def short(self) -> str:
        return self.key[:12]
