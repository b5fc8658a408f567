"""What one cell's input is by its model's description. Pure.

A million cells of one model have few values of most inputs and few sets of names. So a value is
looked at once, and a set of names once; of an input with more than `REMEMBERED` values, such as a
prompt, the others are looked at each time.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from batchrun.base.text import did_you_mean, listed
from batchrun.base.values import spell
from batchrun.catalogue.rules import Kind, Wrong, has_rule, wrong_with
from batchrun.manifest.matching import token
from batchrun.runflow.descriptions import Description

REMEMBERED: Final = 10_000
"""Values of one input that are remembered."""

MOST_NAMES: Final = 20
"""Inputs of a model that a message names."""


class Mistake(Struct, frozen=True, kw_only=True):
    """What is wrong with the input that is sent as *name*; *value* is what was looked at.

    *token* stands for the value: equal values have one; it is None where no value is to blame.
    """

    name: str
    wrong: Wrong
    value: Any = None
    token: Any = None

    @property
    def kind(self) -> Kind:
        return self.wrong.kind


def mistakes_of(description: Description, sent: Mapping[str, Any]) -> list[Mistake]:
    """Return what the description of a model says against an input, by its sent names."""
    return DescribedModel(description).mistakes(sent)


class DescribedModel:
    """One model's description, asked about many inputs."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self._values: dict[str, dict[Any, Mistake | None]] = {
            name: {} for name, each in description.inputs.items() if has_rule(each)
        }
        self._names: dict[tuple[str, ...], tuple[Mistake, ...]] = {}
        self.needed: Final = tuple(
            name
            for name, each in description.inputs.items()
            if each.required and each.default is None
        )
        """The inputs that must be sent: those without a default."""

    def mistakes(self, sent: Mapping[str, Any]) -> list[Mistake]:
        """Return what is wrong with an input: its names first, then its values in their order."""
        names = tuple(sent)
        known = self._names.get(names)
        if known is None:
            known = tuple(self._wrong_names(names))
            if len(self._names) < REMEMBERED:
                self._names[names] = known
        found = list(known)
        for name, value in sent.items():
            if (mistake := self.mistake(name, value)) is not None:
                found.append(mistake)
        return found

    def mistake(self, name: str, value: Any) -> Mistake | None:
        """Return what is wrong with the value of one input, None where that is nothing."""
        known = self._values.get(name)
        if known is None:
            return None
        mark = value if type(value) is str or type(value) is int else token(value)
        try:
            return known[mark]
        except KeyError:
            wrong = wrong_with(self.description.inputs[name], value)
        found = None
        if wrong is not None:
            found = Mistake(name=name, wrong=wrong, value=value, token=mark)
        if len(known) < REMEMBERED:
            known[mark] = found
        return found

    def has_rule(self, name: str) -> bool:
        """Say whether the description rules out any value of an input, or that it is absent."""
        return name in self._values

    def takes(self, name: str) -> bool:
        """Say whether the description has an input of that name, or says of none."""
        return not self.description.inputs or name in self.description.inputs

    def _wrong_names(self, names: Iterable[str]) -> Iterator[Mistake]:
        given = dict.fromkeys(names)
        for name in given:
            if not self.takes(name):
                yield Mistake(name=name, wrong=self._unknown(name, given))
        for name in self.needed:
            if name not in given:
                said = "needs this input, and it is not given"
                yield Mistake(name=name, wrong=Wrong(kind=Kind.MISSING, said=said))

    def _unknown(self, name: str, given: Mapping[str, Any]) -> Wrong:
        inputs = self.description.inputs
        near = did_you_mean(name, (each for each in inputs if each not in given))
        shown = listed((f"`{spell(each, 30)}`" for each in inputs), most=MOST_NAMES)
        return Wrong(
            kind=Kind.UNKNOWN,
            said="has no such input",
            hint=near.removeprefix("; ") or f"it takes {shown}",
            certain=self.description.is_whole,
        )
