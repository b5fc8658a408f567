"""`$range` -> its numbers: by a step, or so many of them, evenly spaced or by equal ratios. Pure.

Both ends are exact. A number between them that no decimal can spell is rounded to 12 significant
digits, by decimal arithmetic: its spelling goes into keys, and is the same on every machine.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from batchrun.base.ceilings import MOST_POINTS, MOST_SPACED
from batchrun.base.text import nearest
from batchrun.base.values import spell
from batchrun.manifest.expressions.expression import Constant, Fixed
from batchrun.manifest.yaml.scalars import plain

DIGITS: Final = 12
"""Significant digits of a number that is rounded."""

_ROUNDED: Final = Context(prec=DIGITS)
_EXACT: Final = Context(prec=50)
_WORDS: Final = ("first", "last", "count", "spacing")
_SPACINGS: Final = ("linear", "log")
# What other tools call it.
_ELSEWHERE: Final = {
    **dict.fromkeys(("min", "minval", "start", "from", "low", "lower"), "first"),
    **dict.fromkeys(("max", "maxval", "stop", "end", "to", "high", "upper"), "last"),
    **dict.fromkeys(("n", "num", "number", "steps", "points", "size"), "count"),
    **dict.fromkeys(("scale", "distribution", "log", "space"), "spacing"),
    **dict.fromkeys(("logarithmic", "log10", "geometric", "geom", "exponential"), "log"),
    **dict.fromkeys(("even", "uniform", "equal"), "linear"),
}
_FORMS: Final = (
    "`$range` expects [first, last], [first, last, step], "
    "or {first: 1, last: 1000, count: 4, spacing: log}"
)


class Wrong(Struct, frozen=True):
    """A word of a `$range` that is *unknown*, or whose value is wrong; None: all of it is."""

    word: str | None
    message: str

    @property
    def unknown(self) -> bool:
        return self.word not in _WORDS


class RangeError(ValueError):
    """What is wrong with a `$range`, all of it."""

    def __init__(self, *found: Wrong) -> None:
        super().__init__("; ".join(one.message for one in found))
        self.found = found


class _Numbers(Fixed):
    """Numbers that are worked out one by one."""

    __slots__ = ()

    @abstractmethod
    def value(self, index: int) -> int | float:
        """Return the number at *index*, which is within their length."""

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return Constant(self.value(index))


@dataclass(frozen=True, slots=True)  # a struct can't be a Sequence as well
class Steps(_Numbers):
    """The numbers of a `$range`, exactly: `first` and `step` count units of ten to the `exponent`.

    None of them is kept. Decimal's own arithmetic would round what has more than 28 digits.
    """

    first: int
    step: int
    exponent: int  # 0 or less
    length: int

    def __len__(self) -> int:
        return self.length

    def value(self, index: int) -> int | float:
        units = self.first + index * self.step
        return plain(Decimal(f"{units}e{self.exponent}")) if self.exponent else units


def range_of(bounds: Any) -> Fixed:
    """Return the numbers of a `$range`; raise ValueError("...")."""
    if isinstance(bounds, Mapping):
        return _spaced(bounds)
    if not isinstance(bounds, list) or not 2 <= len(bounds) <= 3:
        raise ValueError(_FORMS)
    exponent, (first, last, step) = _units([*bounds, 1][:3])
    if not step:
        raise ValueError("the step of a `$range` cannot be 0")
    count = (last - first) // step + 1 if (last - first) * step >= 0 else 0
    if count > MOST_POINTS:
        raise ValueError(f"this `$range` has more than {MOST_POINTS:,} values")
    if not count:
        hint = "; to count down, give a step: -1" if step == 1 else ""
        raise ValueError(f"this `$range` is empty{hint}")
    return Steps(first, step, exponent, count)


def _units(bounds: Sequence[Any]) -> tuple[int, list[int]]:
    """Return numbers as whole counts of one power of ten, and its exponent: 0 or less."""
    for bound in bounds:
        if type(bound) not in {int, float}:
            raise ValueError(f"`{spell(bound)}` is not a number")
    ratios = [Decimal(repr(bound)) for bound in bounds]
    exponent = min(0, *(int(ratio.as_tuple().exponent) for ratio in ratios))
    return exponent, [int(Fraction(ratio) * 10**-exponent) for ratio in ratios]


@dataclass(frozen=True, slots=True)
class _Spaced(_Numbers):
    """So many numbers between two ends; by equal ratios where there are *logs*.

    These are the natural logarithms of the first number, and of the last by the first.
    """

    first: Decimal
    last: Decimal
    length: int
    logs: tuple[Decimal, Decimal] | None

    def __len__(self) -> int:
        return self.length

    def value(self, index: int) -> int | float:
        return plain(self._at(index))

    def _at(self, index: int) -> Decimal:
        steps = self.length - 1
        if index in {0, steps}:
            return self.last if index else self.first
        if self.logs is None:
            first = Fraction(self.first)
            return _decimal(first + (Fraction(self.last) - first) * index / steps)
        begin, way = self.logs
        part = _EXACT.divide(_EXACT.multiply(way, Decimal(index)), Decimal(steps))
        return _ROUNDED.plus(_EXACT.exp(_EXACT.add(begin, part)))


def _decimal(number: Fraction) -> Decimal:
    """Return a number exactly where a decimal can spell it, else rounded."""
    rest, places = number.denominator, 0
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest //= 10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2
        places += 1
    if rest == 1:
        return Decimal(f"{int(number * 10**places)}e-{places}")
    return _ROUNDED.divide(Decimal(number.numerator), Decimal(number.denominator))


def _spaced(given: Mapping[str, Any]) -> Fixed:
    """Return the numbers of the long form; raise RangeError with all that is wrong."""
    if wrong := [*_wrong_words(given), *_wrong_values(given)]:
        raise RangeError(*wrong)
    first, last, count = Decimal(repr(given["first"])), Decimal(repr(given["last"])), given["count"]
    logs = None
    if given.get("spacing") == "log":
        begin = _EXACT.ln(first)
        logs = begin, _EXACT.subtract(_EXACT.ln(last), begin)
    numbers = _Spaced(first, last, count, logs)
    if numbers[0] == numbers[1] or numbers[count - 2] == numbers[count - 1]:
        raise ValueError(f"{count} numbers from {first} to {last} are not {count} different ones")
    return numbers


def _wrong_words(given: Mapping[str, Any]) -> Iterator[Wrong]:
    for word in given:
        if word == "step":
            yield Wrong(word, "a step stands in the short form: [first, last, step]")
        elif word not in _WORDS:
            yield Wrong(word, f"unknown key `$range.{word}`{_meant(word, _WORDS)}")
    if given.keys() <= set(_WORDS):
        for word in _WORDS[:3]:
            if word not in given:
                yield Wrong(None, f"`$range.{word}` is missing")


def _wrong_values(given: Mapping[str, Any]) -> Iterator[Wrong]:
    count, spacing = given.get("count", 2), given.get("spacing", "linear")
    for word in [word for word in ("first", "last") if word in given]:
        end = given[word]
        if type(end) not in {int, float}:
            yield Wrong(word, f"`$range.{word}` is `{spell(end)}`; expected a number")
        elif spacing == "log" and end <= 0:
            expected = "a log spacing expects numbers above 0"
            yield Wrong(word, f"`$range.{word}` is `{spell(end)}`; {expected}")
    if type(count) is not int or not 2 <= count <= MOST_SPACED:
        expected = f"expected a whole number of 2 to {MOST_SPACED:,}"
        yield Wrong("count", f"`$range.count` is `{spell(count)}`; {expected}")
    if spacing not in _SPACINGS:
        expected = f"expected linear or log{_meant(spacing, _SPACINGS)}"
        yield Wrong("spacing", f"`$range.spacing` is `{spell(spacing)}`; {expected}")


def _meant(word: Any, known: Sequence[str]) -> str:
    """Return "; did you mean `known`?" for a near miss, or for another tool's word."""
    text = str(word)
    near = _ELSEWHERE.get(text.lower())
    near = near if near in known else nearest(text, known)
    return f"; did you mean `{near}`?" if near else ""
