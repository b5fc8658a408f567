"""The cells that come to their end in a call, one by one, for a reader that wants each at once."""

from typing import Protocol

from batchrun.manifest.cells import Cell


class Ends(Protocol):
    """Gets the cells of a call in the order in which they end."""

    def begun(self, cell: Cell) -> None:
        """The cell has an attempt of this call."""

    def over(self, key: str) -> None:
        """The cell is at its end, and the ledger says so on disk.

        It has no attempt left; or it needs none, and its files are saved where they are wanted. A
        cell may come more than once, and one of an earlier call without having begun in this one.
        """


class NoEnds:
    """Nothing listens."""

    def begun(self, cell: Cell) -> None:
        pass

    def over(self, key: str) -> None:
        pass
