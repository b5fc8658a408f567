"""Messages of one cause are one, and others are not."""

import pytest

from batchrun.base.normalised import LONGEST, normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("run run_8f3Kq9 failed", "run run_1a failed"),
        ("at https://x.test/a?b=1", "at https://y.test/"),
        ("at runflow://assets/a", "at data:image/png;base64,QUJD"),
        ("id 1f0e7f7e-3a5b-4e0b-9d8e-0123456789ab", "id 00000000-0000-0000-0000-000000000000"),
        ("hash deadbeef01", "hash 0123456789abcdef"),
        ("took 1.5 s", "took 30 s"),
        ("image 4103x4096 too large", "image 4200x4096 too large"),
        ("more than 4,096 pixels", "more than 4096 pixels"),
        ("no model `a/b`", "no model `c`"),
        ('value "auto" is wrong', 'value "" is wrong'),
        ("value 'auto' is wrong", "value '16:9, or so' is wrong"),
        ("value “auto” is wrong", "value “x” is wrong"),
        ("Bad   input\n", "bad input"),
        ("x" * LONGEST + "a", "x" * LONGEST + "b"),
    ],
)
def test_messages_that_differ_by_ids_numbers_urls_and_quoted_texts_are_one(
    one: str, other: str
) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bad ratio", "bad size"),
        ("facade", "decade"),
        ("a_b", "a_c"),
        ("the model's input isn't known", "the model's output isn't known"),
        ("note: a", "note: b"),
    ],
)
def test_messages_that_differ_by_words_are_two(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_a_quote_that_is_not_closed_hides_nothing() -> None:
    assert normalise("5' wide") == "n' wide"
    assert normalise('"open') == '"open'
