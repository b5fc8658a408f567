"""The choice that a run's price hangs on: its model and the inputs that may change it. Pure.

A price that was learnt for one resolution or quality is not the price of another (rule 30 of the
contract). What a prompt says, which file is given, and the seed change no price; whether a file is
given at all may. Where no list of values is known, a short word may be one of them: `high`, `4K`.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct

from batchrun.base.json_text import made_once
from batchrun.base.local_file import LocalFile
from batchrun.runflow.descriptions import Description

_LONGEST_WORD: Final = 24
_MOST: Final = 50_000
"""Choices that a chooser remembers."""

_encode: Final = made_once(json.JSONEncoder(ensure_ascii=False, sort_keys=True))
_TEXT: Final = {"text": None}
_FILE: Final = {"file": None}
"""What stands for any text, and for any file."""

_NO_PART: Final = "seed"
_PROMPT: Final = "prompt"


def choice_of(model: str, inputs: Mapping[str, Any], description: Description) -> str:
    """Return what stands for the choice; runs of one choice cost about the same."""
    return Chooser(model, description).of(inputs)


class Chooser:
    """Says the choices of a model's runs, one after the other.

    Most values of a run are those of the run before it: what they mean for the price is made out
    once. A value is known again as the same object, so inputs must not change meanwhile.
    """

    def __init__(self, model: str, description: Description) -> None:
        self._model = model
        self._description = description
        self._rules: dict[str, tuple[_Rule, str]] = {}
        self._parts: dict[str, tuple[Any, str]] = {}
        self._choices: dict[tuple[str, ...], str] = {}

    def of(self, inputs: Mapping[str, Any]) -> str:
        """Return what stands for the choice of a run with *inputs*."""
        known, found = self._parts, []
        for name, value in inputs.items():
            part = known.get(name)
            if part is None or part[0] is not value:
                known[name] = part = (value, self._part(name, value))
            found.append(part[1])
        parts = tuple(found)
        return self._choices.get(parts) or self._digest(parts)

    def _part(self, name: str, value: Any) -> str:
        """Return what the price may hang on of one input, "" for nothing."""
        if name == _NO_PART:
            return ""
        known = self._rules.get(name)
        if known is None:
            rule = _rule(name, self._description)
            self._rules[name] = known = (rule, _encode([name, _TEXT]))
        rule, any_text = known
        part = rule.part(value)
        return any_text if part is _TEXT else _encode([name, part])

    def _digest(self, parts: tuple[str, ...]) -> str:
        if len(self._choices) >= _MOST:
            self._choices.clear()
        text = _encode([self._model, *sorted(filter(None, parts))])
        choice = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        self._choices[parts] = choice
        return choice


class _Rule(Struct, frozen=True):
    """The values of an input that change a price: *listed* texts; *words* that may be listed.

    Of a *prompt* nothing does, also where it is a number.
    """

    listed: frozenset[str] = frozenset()
    words: bool = True
    prompt: bool = False

    def part(self, value: Any) -> Any:
        """Return what of *value* the price may hang on, as JSON."""
        if type(value) is str:
            return self._part_of_text(value)
        match value:
            case Mapping():
                return {str(name): _NESTED.part(below) for name, below in value.items()}
            case list() | tuple():
                return [self.part(below) for below in value]
            case LocalFile():
                return _FILE
            case _:
                return _TEXT if self.prompt else value

    def _part_of_text(self, text: str) -> Any:
        if text in self.listed:
            return text
        if _is_address(text):
            return _FILE
        return text if self.words and _is_word(text) else _TEXT


_NESTED: Final = _Rule()


def _rule(name: str, description: Description) -> _Rule:
    described = description.inputs.get(name)
    listed = frozenset[str]() if described is None else described.listed
    known = bool(listed) or (description.lists_values and described is not None)
    prompt = _PROMPT in name.lower() and not listed
    return _Rule(listed, words=not (known or prompt), prompt=prompt)


def _is_address(text: str) -> bool:
    return "://" in text[:_LONGEST_WORD] or text[:5].lower() == "data:"


def _is_word(text: str) -> bool:
    return len(text) <= _LONGEST_WORD and not any(map(str.isspace, text))
