"""The allowed value that is meant by one that is not. Pure."""

import re
from collections.abc import Iterable
from decimal import Decimal
from math import log
from operator import itemgetter
from typing import Any, Final, TypeGuard

from batchrun.base.text import nearest

NUMBER: Final = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{1,18})?|\.\d{1,18})")
"""A text that is a number."""

_PAIR: Final = re.compile(r"([1-9]\d{0,8})([:x])([1-9]\d{0,8})")


def is_number(value: Any) -> TypeGuard[int | float]:
    """Say whether *value* is a number; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def nearest_of(value: Any, allowed: Iterable[Any]) -> Any:
    """Return the allowed value that is meant by *value*, None where none is near.

    Of numbers, spelled as text too, the nearest is meant; of two numbers in one, such as `16:10` or
    `1024x768`, one that begins alike, else that of the nearest proportion; of texts a near miss.
    """
    known = [each for each in allowed if isinstance(each, str | int | float)]
    for measure in (_numbers_apart, _pairs_apart):
        apart = [(by, each) for each in known if (by := measure(value, each)) is not None]
        if apart:
            return min(apart, key=itemgetter(0))[1]
    if not isinstance(value, str) or number_in(value) is not None:
        return None
    texts = {str(each): each for each in known}
    near = nearest(value, texts)
    return None if near is None else texts[near]


def number_in(value: Any) -> Decimal | None:
    """Return a number, or the one that a text spells; None for anything else."""
    if is_number(value) or (isinstance(value, str) and NUMBER.fullmatch(value)):
        return Decimal(str(value))
    return None


def _numbers_apart(one: Any, other: Any) -> tuple[bool, float] | None:
    read, known = number_in(one), number_in(other)
    return None if read is None or known is None else (False, float(abs(read - known)))


def _pairs_apart(one: Any, other: Any) -> tuple[bool, float] | None:
    if not isinstance(one, str) or not isinstance(other, str):
        return None
    read, known = _PAIR.fullmatch(one), _PAIR.fullmatch(other)
    if read is None or known is None or read[2] != known[2]:
        return None
    proportions = [int(pair[1]) / int(pair[3]) for pair in (read, known)]
    return read[1] != known[1], abs(log(proportions[0] / proportions[1]))
