"""What runs of each choice have cost, and which costs are still waited for. Pure.

A price is learnt from runs that succeeded: from a cost above 0, or from one of 0 that was said
twice, some time apart, since a service may say 0 as long as it doesn't know (rule 31 of the
contract). The dearest of the newest runs counts.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from batchrun.engine.choices import Chooser
from batchrun.runflow.descriptions import Description
from batchrun.runflow.prices import estimate

NEWEST: Final = 20
MOST_CHOICES: Final = 50_000
"""Choices that are remembered, the newest; a forgotten one is tried out again."""

UNDESCRIBED: Final = Description()
NOT_DESCRIBED: Final[Mapping[str, Description]] = {}


class Prices:
    """Prices by choice. *given* are the manifest's, by alias; *descriptions* are by model."""

    def __init__(
        self,
        given: Mapping[str, Decimal],
        descriptions: Mapping[str, Description] = NOT_DESCRIBED,
    ) -> None:
        self._given = given
        self._costs: dict[str, deque[Decimal]] = {}
        self._descriptions = descriptions
        self._choosers: dict[str, Chooser] = {}
        self.some_are_free = Decimal(0) in given.values()

    def given(self, alias: str) -> Decimal | None:
        """Return what the manifest says that a run of *alias* costs at most."""
        return self._given.get(alias)

    def choice(self, model: str, inputs: Mapping[str, Any]) -> str:
        """Return the choice of a run with *inputs*."""
        chooser = self._choosers.get(model)
        if chooser is None:
            self._choosers[model] = chooser = Chooser(model, self._description(model))
        return chooser.of(inputs)

    def _description(self, model: str) -> Description:
        return self._descriptions.get(model, UNDESCRIBED)

    def costs(self, choice: str) -> Sequence[Decimal]:
        """Return what the newest runs of *choice* have cost, the newest last."""
        return self._costs.get(choice, ())

    def learn(self, choice: str, cost: Decimal) -> None:
        """Take in what a run that succeeded has cost."""
        costs = self._costs.pop(choice, None)
        self._costs[choice] = costs = deque(maxlen=NEWEST) if costs is None else costs
        costs.append(cost)
        self.some_are_free |= not cost
        if len(self._costs) > MOST_CHOICES:
            del self._costs[next(iter(self._costs))]

    def learn_all(self, costs: Mapping[str, Iterable[Decimal]]) -> None:
        """Take in what earlier calls have learnt: costs by choice, the newest last."""
        for choice, each in costs.items():
            for cost in each:
                self.learn(choice, cost)

    def bound(self, alias: str, choice: str) -> Decimal | None:
        """Return what a run of *choice* costs at most, as far as is known; None: not known."""
        known = [*self._costs.get(choice, ())]
        if alias in self._given:
            known.append(self._given[alias])
        return max(known, default=None)

    def estimate(self, model: str, inputs: Mapping[str, Any]) -> Decimal | None:
        """Return what the model's label says of a run with *inputs*; an estimate is no bound."""
        return estimate(self._description(model).label, inputs)
