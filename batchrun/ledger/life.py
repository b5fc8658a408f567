"""The life of one cell: its lines and their fold. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from batchrun.ledger.history import History
from batchrun.ledger.records import AnyRecord, Intent, Mark

SHOWN: Final = 12
"""Characters of a key that are shown where one could be typed."""


class Life(Struct, frozen=True, kw_only=True):
    """A cell's lines in their order, and their fold; *mark* is its wish, without a line."""

    key: str
    history: History
    records: Sequence[AnyRecord]
    mark: Mark | None = None

    @property
    def input(self) -> Any:
        """The newest input that an intent carried."""
        return {} if self._sent is None else self._sent.input

    @property
    def keyed_input(self) -> Any:
        """The same by the values that its key is made of."""
        return {} if self._sent is None else self._sent.keyed_input

    @property
    def _sent(self) -> Intent | None:
        given = [each for each in self.records if isinstance(each, Intent) and each.input]
        return given[-1] if given else None
