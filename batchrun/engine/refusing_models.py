"""Which models take no further cell in this call, since they refuse them all alike. Pure.

An unknown id, or an input that a model doesn't take, is refused for each of a million cells: one by
one, at no cost, for hours. So a model that took none, and refused ten alike, stops taking cells.
The ledger knows of earlier calls: a later one tries one cell first, and stops at once where that is
refused in the same way. What is alike is said by `Refusals` of the book.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from batchrun.base.text import for_terminal
from batchrun.ledger.book import Book
from batchrun.ledger.facts import Refusals

ENOUGH: Final = 10
"""Cells refused alike, one after the other, after which a model stops taking cells."""

LONGEST: Final = 160
"""Characters of the service's message that are shown."""


class RefusingModels:
    """*models* are the ids by their aliases; the answers follow from *book* as it is then."""

    def __init__(self, book: Book, models: Mapping[str, str]) -> None:
        self._book = book
        self._models = models
        self._before = {model: refusals.all for model, refusals in book.refusals.items()}
        self._stopped: dict[str, str] = {}

    def stops(self, model: str) -> bool:
        """Say whether *model* takes no further cell in this call."""
        if model in self._stopped:
            return True
        refusals = self._alike(model)
        return refusals is not None and refusals.all > self._before.get(model, 0)

    def may_begin(self, alias: str, under_way: Callable[[str], int]) -> bool:
        """Say whether a cell may begin; *under_way* is how many of an alias are."""
        model = self._models[alias]
        if self.stops(model):
            return False
        return self._alike(model) is None or not any(map(under_way, self.aliases(model)))

    def _alike(self, model: str) -> Refusals | None:
        """Return the refusals of a model that took no cell and refused enough of them alike."""
        refusals = self._book.refusals.get(model)
        alike = refusals is not None and refusals.alike >= ENOUGH and not refusals.accepted
        return refusals if alike else None

    def newly_stopped(self) -> Iterator[str]:
        """Yield the models that stop taking cells, each once."""
        for model in dict.fromkeys(self._models.values()):
            if model not in self._stopped and self.stops(model):
                self._stopped[model] = _said(model, self._book.refusals[model])
                yield model

    def aliases(self, model: str) -> list[str]:
        """Return the aliases of a model."""
        return [alias for alias, each in self._models.items() if each == model]

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why each model stopped that did."""
        return self._stopped


def _said(model: str, refusals: Refusals) -> str:
    words = for_terminal(" ".join(refusals.example.split()))
    words = words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
    return f"`{model}` refused {refusals.alike} cells alike and took none ({words})"
