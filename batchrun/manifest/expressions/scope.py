"""What names stand for, and how those values are written that are a field of a CSV file. Pure."""

from collections.abc import Mapping
from typing import Any

from batchrun.manifest.cells import NO_TEXTS

Scope = Mapping[str, Any]


class Values(dict[str, Any]):
    """Values by their names.

    *texts* are the fields of CSV files that some of them are, as they are written: text has those
    in it, where the value of `9.90` is the number 9.9.
    """

    __slots__ = ("texts",)

    def __init__(self, values: Scope, texts: Mapping[str, str] = NO_TEXTS) -> None:
        super().__init__(values)
        self.texts = dict(texts)


def texts_of(scope: Scope) -> Mapping[str, str]:
    """Return the fields that values of a scope are, as they are written."""
    return scope.texts if isinstance(scope, Values) else NO_TEXTS
