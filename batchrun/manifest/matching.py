"""When two values are one: for `exclude`, `map` and `--only`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

from batchrun.base.local_file import LocalFile
from batchrun.base.text import did_you_mean
from batchrun.base.values import spell
from batchrun.manifest.cells import OMIT, Omit
from batchrun.manifest.expressions.template import kind


def token(value: Any) -> Any:
    """Return something hashable that equal values share; true is not 1, and "1" is neither."""
    if type(value) is str or type(value) is int:
        return value
    if isinstance(value, Omit):
        return OMIT
    if isinstance(value, LocalFile):
        return ("file", value.sha256)
    return ("json", json.dumps(value, sort_keys=True, default=lambda file: {"$file": file.sha256}))


def tokens(value: Any) -> Iterator[Any]:
    """Yield the tokens of everything *value* may be called by: a file has its names too."""
    yield token(value)
    if isinstance(value, LocalFile):
        yield from (value.stem, value.name, value.written)


def is_among(value: Any, wanted: AbstractSet[Any]) -> bool:
    """Say whether *value* is one of those whose tokens are *wanted*."""
    return token(value) in wanted or not wanted.isdisjoint(tokens(value))


def spelling(value: Any) -> str:
    """Spell a value as one types it."""
    if type(value) is str:
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def reads_as(text: str, words: Iterable[str]) -> str | None:
    """Return the word that *text* is as a number, or but for its case: 7 and `007`, FALSE and
    `false`.
    """
    return next((word for word in words if word != text and _read(word) == _read(text)), None)


def _read(text: str) -> Decimal | str:
    with suppress(InvalidOperation):
        if (number := Decimal(text)).is_finite():
            return number
    return text.casefold()


def kind_of_mismatch(value: Any, known: Mapping[Any, Any]) -> str:
    """Spell a value that is not among *known*, and say so where only its kind differs."""
    text = spelling(value)
    other = next((key for key in known if text == (key if type(key) is str else str(key))), None)
    if other is None:
        near = did_you_mean(text, (key for key in known if type(key) is str))
        return f"`{spell(value)}`{near}"
    kinds = f"{kind(value)} here and {kind(other)} there"
    return f"`{text}`, which is {kinds}"
