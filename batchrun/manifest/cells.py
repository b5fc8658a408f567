"""The cells of a manifest, and the local files that stand in their inputs."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from batchrun.base.local_file import LocalFile

SHORT: Final = 12
"""Characters of a cell's key that stand for it in names and messages."""


class Omit:
    """The value of an input that is left out."""

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = Omit()

NO_TEXTS: Final[Mapping[str, str]] = {}
"""No value is a field of a CSV file."""

AS_IT_IS: Final[Mapping[str, Any]] = {}
"""No value of an input is sent as another one."""


class Cell(Struct, frozen=True, kw_only=True):
    """One model with one set of input values and a replicate number: the unit of work."""

    key: str
    model: str
    alias: str
    input: dict[str, Any]  # as it is sent, a LocalFile where a file is
    replicate: int  # from 1
    values: dict[str, Any]  # inputs, vars and columns under their common names
    ordinal: int  # its place in the manifest's order; there are gaps
    redo_of: str | None = None  # the key of the first replicate, where a mark made this one
    texts: Mapping[str, str] = NO_TEXTS  # of values that are numbers or booleans, as CSV has them
    keyed: Mapping[str, Any] = AS_IT_IS  # the values of its key where others are sent: sent_as.py

    @property
    def keyed_input(self) -> Mapping[str, Any]:
        """The input that its key is made of."""
        return {**self.input, **self.keyed} if self.keyed else self.input

    @property
    def short(self) -> str:
        return self.key[:SHORT]


def plain(value: Any) -> Any:
    """Return *value* as JSON can say it: a local file is its path, as the manifest has it."""
    match value:
        case LocalFile():
            return str(value)
        case Mapping():
            return {name: plain(each) for name, each in value.items() if each is not OMIT}
        case list() | tuple():
            return [plain(each) for each in value if each is not OMIT]
        case _:
            return value
