"""The two kinds of calls that a service may allow apart: those that create, and those that read."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a call does: create a run, a batch or an upload; or read."""

    CREATES = "creates"
    READS = "reads"

    # An enum's own is a function in Python, and each departure looks its kind up.
    __hash__ = str.__hash__

    @property
    def other(self) -> "Kind":
        """The other one of the two."""
        return _OTHER[self]


_OTHER: Final = {Kind.CREATES: Kind.READS, Kind.READS: Kind.CREATES}


def kind_of(method: str) -> Kind:
    """Return the kind of a request of this method."""
    return Kind.READS if method == "GET" else Kind.CREATES
