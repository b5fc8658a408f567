"""Each deliberate bug of `breakages/list.toml` still fits the code, and is caught by its tests."""

import ast
from dataclasses import replace
from typing import Final

import pytest
from breakages import ROOT, Breakage, load
from breakages.trial import LONGEST, try_out, try_without

BREAKAGES: Final = load()
CASES: Final = [pytest.param(each, id=each.name) for each in BREAKAGES]

tried = pytest.mark.timeout(LONGEST + 60)


def source(breakage: Breakage) -> str:
    return (ROOT / breakage.module).read_text(encoding="utf-8")


@pytest.mark.parametrize("breakage", CASES)
def test_a_breakage_fits_the_code(breakage: Breakage) -> None:
    text = source(breakage)

    edited = breakage.edited(text)

    assert edited != text
    ast.parse(edited)


@pytest.mark.parametrize("breakage", CASES)
def test_a_breakage_names_tests_that_are_there(breakage: Breakage) -> None:
    assert breakage.tests
    for test in breakage.tests:
        path, _, name = test.partition("[")[0].partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_no_two_breakages_have_one_name() -> None:
    assert len({each.name for each in BREAKAGES}) == len(BREAKAGES)


@pytest.mark.parametrize("old", ["", "a text that no module has"])
def test_a_place_that_is_not_found_once_is_named(old: str) -> None:
    breakage = replace(BREAKAGES[0], old=old)

    with pytest.raises(ValueError, match=f"stands .* times in {breakage.module}"):
        breakage.edited(source(breakage))


@tried
@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("breakage", CASES)
def test_a_breakage_is_caught(breakage: Breakage) -> None:
    verdict = try_out(breakage)

    assert verdict.caught, verdict.output


@tried
@pytest.mark.slow
@pytest.mark.nightly
def test_without_a_breakage_the_same_tests_pass() -> None:
    verdict = try_without(BREAKAGES)

    assert verdict.code == 0, verdict.output


@tried
@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("flaw", ["", "raise ImportError", "this is no Python"])
def test_code_that_works_or_cannot_be_imported_is_not_caught(flaw: str) -> None:
    breakage = replace(BREAKAGES[0], new=f"{BREAKAGES[0].old}\n{flaw}\n")

    verdict = try_out(breakage)

    assert not verdict.caught, verdict.output
