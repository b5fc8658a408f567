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

from batchrun.base.local_file import LocalFile
from batchrun.runflow.descriptions import Description

_LONGEST_WORD: Final = 24
_TEXT: Final = {"text": None}
_FILE: Final = {"file": None}
"""What stands for any text, and for any file."""

_NO_PART: Final = "seed"
_PROMPT: Final = "prompt"


def choice_of(model: str, inputs: Mapping[str, Any], description: Description) -> str:
    """Return what stands for the choice; runs of one choice cost about the same."""
    values = {
        name: _rule(name, description).part(value)
        for name, value in inputs.items()
        if name != _NO_PART
    }
    text = json.dumps([model, values], sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class _Rule(Struct, frozen=True):
    """The values of an input that change a price: *listed* texts; *words* that may be listed.

    Of a *prompt* nothing does, also where it is a number.
    """

    listed: frozenset[str] = frozenset()
    words: bool = True
    prompt: bool = False

    def part(self, value: Any) -> Any:
        """Return what of *value* the price may hang on, as JSON."""
        match value:
            case Mapping():
                return {str(name): _NESTED.part(below) for name, below in value.items()}
            case list() | tuple():
                return [self.part(below) for below in value]
            case str() if value in self.listed:
                return value
            case str() if not _is_address(value):
                return value if self.words and _is_word(value) else _TEXT
            case str() | LocalFile():
                return _FILE
            case _:
                return _TEXT if self.prompt else value


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
