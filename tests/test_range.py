"""The numbers of a `$range`: exact ends, equal steps, equal ratios, the same on every machine."""

import decimal
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.errors import ManifestError
from batchrun.manifest.expressions.expression import Constant
from batchrun.manifest.expressions.ranges import RangeError, range_of
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import read_manifest

HEAD: Final = "models: [google/nano-banana-2]\n"


def numbers(bounds: Any) -> list[Any]:
    found = range_of(bounds)
    return [each.value for each in found if isinstance(each, Constant)]


def spaced(first: Any, last: Any, count: Any, spacing: str = "linear") -> dict[str, Any]:
    return {"first": first, "last": last, "count": count, "spacing": spacing}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([1, 4], [1, 2, 3, 4]),
        ([4, 1, -1], [4, 3, 2, 1]),
        ([0.1, 0.3, 0.1], [0.1, 0.2, 0.3]),
        ({"first": 0, "last": 1, "count": 5}, [0, 0.25, 0.5, 0.75, 1]),
        (spaced(0, 1, 4), [0, 0.333333333333, 0.666666666667, 1]),
        (spaced(1, 0, 3), [1, 0.5, 0]),
        (spaced(-1, 1, 3), [-1, 0, 1]),
        (spaced(0.1, 0.7, 3), [0.1, 0.4, 0.7]),
        (spaced(0, 10**9, 4), [0, 333333333.333, 666666666.667, 10**9]),
        (spaced(10**6 + 1e-6, 10**6 + 3e-6, 3), [10**6 + n * 1e-6 for n in (1, 2, 3)]),
        (spaced(7, 8, 2), [7, 8]),
        (spaced(1, 1000, 4, "log"), [1, 10, 100, 1000]),
        (spaced(1000, 1, 4, "log"), [1000, 100, 10, 1]),
        (spaced(0.0001, 0.01, 3, "log"), [0.0001, 0.001, 0.01]),
        (spaced(1, 50, 4, "log"), [1, 3.68403149864, 13.572088083, 50]),
        (spaced(1, 1024, 11, "log"), [2**power for power in range(11)]),
        (spaced(0.1 + 0.2, 3, 2, "log"), [0.1 + 0.2, 3]),
        (spaced(1e-300, 1e300, 3, "log"), [1e-300, 1, 10**300]),
    ],
)
def test_a_range_comes_to_these_numbers(bounds: Any, expected: list[Any]) -> None:
    found = numbers(bounds)

    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("bounds", "words", "message"),
    [
        (5, [], "`$range` expects [first, last], [first, last, step], or {first: 1, last: 1000"),
        ([1], [], "`$range` expects [first, last]"),
        ([1, "x"], [], "`x` is not a number"),
        ([1, 2, 0], [], "the step of a `$range` cannot be 0"),
        ([2, 1], [], "this `$range` is empty; to count down, give a step: -1"),
        ([0, 10**10], [], "this `$range` has more than 1,000,000,000 values"),
        ({"first": 1, "last": 2}, [None], "`$range.count` is missing"),
        (
            {"min": 1, "maxval": 2, "num": 3, "scale": "log"},
            ["min", "maxval", "num", "scale"],
            "unknown key `$range.min`; did you mean `first`?",
        ),
        (spaced(1, 2, 3) | {"frist": 1}, ["frist"], "did you mean `first`?"),
        (spaced(1, 2, 3) | {"step": 1}, ["step"], "a step stands in the short form"),
        (spaced("a", True, 1), ["first", "last", "count"], "`$range.first` is `a`; expected a n"),
        (spaced(1, 2, 100_001), ["count"], "expected a whole number of 2 to 100,000"),
        (spaced(1, 2, 2.5), ["count"], "`$range.count` is `2.5`; expected a whole number of 2"),
        (spaced(0, -1, 3, "log"), ["first", "last"], "a log spacing expects numbers above 0"),
        (spaced(1, 2, 3, "geometric"), ["spacing"], "expected linear or log; did you mean `log`?"),
        (spaced(1, 2, 3, "liner"), ["spacing"], "did you mean `linear`?"),
        (spaced(4, 4, 3), [], "3 numbers from 4 to 4 are not 3 different ones"),
        (spaced(10**6, 1000000.0000001, 9, "log"), [], "are not 9 different ones"),
    ],
)
def test_all_that_is_wrong_with_a_range_is_said(
    bounds: Any, words: list[str | None], message: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        range_of(bounds)

    error = caught.value
    found = [one.word for one in error.found] if isinstance(error, RangeError) else []
    assert message in str(error)
    assert found == words


ENDS = st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9).filter(lambda x: not x.is_integer())
ABOVE = st.integers(1, 10**6) | st.floats(1e-9, 1e9).filter(lambda x: not x.is_integer())


@given(first=ENDS, last=ENDS, count=st.integers(2, 30))
@settings(deadline=None)
def test_even_numbers_are_exact_or_right_to_twelve_digits(
    first: float, last: float, count: int
) -> None:
    if abs(first - last) <= 1e-6 * max(abs(first), abs(last)):
        return
    found = [Fraction(Decimal(repr(number))) for number in numbers(spaced(first, last, count))]

    begin, end = Fraction(Decimal(repr(first))), Fraction(Decimal(repr(last)))
    assert (found[0], found[-1]) == (begin, end)
    for index, number in enumerate(found):
        true = begin + (end - begin) * index / (count - 1)
        assert abs(number - true) <= abs(true) * Fraction(1, 10**11)


@given(first=ABOVE, last=ABOVE, count=st.integers(2, 30))
@settings(deadline=None)
def test_numbers_of_equal_ratios_run_from_end_to_end(first: float, last: float, count: int) -> None:
    if abs(first - last) <= 1e-6 * max(first, last):
        return
    found = numbers(spaced(first, last, count, "log"))

    assert (found[0], found[-1]) == (first, last)
    assert found in (sorted(found), sorted(found, reverse=True))
    for before, number, after in zip(found, found[1:], found[2:], strict=False):
        assert abs(number / before / (after / number) - 1) < 1e-9


def test_the_numbers_do_not_hang_on_the_context_of_the_process() -> None:
    with decimal.localcontext() as context:
        context.prec, context.rounding = 3, decimal.ROUND_UP
        found = numbers(spaced(1, 50, 4, "log")), numbers(spaced(0, 1, 4))

    assert found == ([1, 3.68403149864, 13.572088083, 50], [0, 0.333333333333, 0.666666666667, 1])


def mistakes(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest((HEAD + text).encode(), Path("m.yaml"), {})
    return [str(problem).partition("\n")[0] for problem in caught.value.problems]


def test_each_mistake_has_the_place_of_its_word_or_of_its_value() -> None:
    text = "inputs:\n  n: {$range: {min: 1, last: x, count: 1, spacing: lg}}\n"

    assert mistakes(text) == [
        "m.yaml:3:16: unknown key `$range.min`; did you mean `first`?",
        "m.yaml:3:30: `$range.last` is `x`; expected a number",
        "m.yaml:3:40: `$range.count` is `1`; expected a whole number of 2 to 100,000",
        "m.yaml:3:52: `$range.spacing` is `lg`; expected linear or log; did you mean `log`?",
    ]


def test_a_range_takes_templates_that_do_not_vary_and_stands_in_a_list() -> None:
    text = "vars: {most: 9}\ninputs:\n  n: [{$range: {first: 1, last: '${most}', count: 3}}, 42]\n"

    cells = expand(read_manifest((HEAD + text).encode(), Path("m.yaml"), {}))

    assert [cell.input["n"] for cell in cells] == [1, 5, 9, 42]
    varies = text.replace("most: 9", "most: [9, 10]")
    assert mistakes(varies) == ["m.yaml:4:16: `${most}` varies; `$range` needs single values"]


@pytest.mark.parametrize(
    ("operators", "place"),
    [
        ("$range: [1, 9], $count: 3", "3:23: unknown operator `$count`"),
        ("a: 1, $spacing: log", "3:13: unknown operator `$spacing`"),
        ("$linspace: [1, 9, 3]", "3:7: unknown operator `$linspace`"),
        ("$logspace: [1, 9, 3]", "3:7: unknown operator `$logspace`"),
    ],
)
def test_another_tools_operator_is_answered_with_the_one_here(operators: str, place: str) -> None:
    [found] = mistakes(f"inputs:\n  n: {{{operators}}}\n")

    meant = "`$range: {first: 1, last: 1000, count: 4, spacing: log}`"
    assert found == f"m.yaml:{place}; did you mean {meant}?"


def test_of_two_operators_one_is_too_much() -> None:
    [found] = mistakes("inputs:\n  n: {$range: [1, 9], $lines: a.txt}\n")

    assert found == "m.yaml:3:23: `$range` stands alone in its mapping; `$lines` is too much"
