"""The key is taken out of whatever comes in, however a service spells it."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.runflow.redact import HIDDEN, Redacted

KEY = "rf_live_0123456789abcdefXYZ/+="


def escaped(text: str, places: set[int], *, capitals: bool) -> str:
    """Spell the characters in *places* as JSON escapes."""
    form = "\\\\u{:04X}" if capitals else "\\\\u{:04x}"
    form = form.replace("\\\\", "\\")
    return "".join(form.format(ord(c)) if place in places else c for place, c in enumerate(text))


@given(st.sets(st.integers(0, len(KEY) - 1)), st.booleans())
def test_any_mixture_of_json_escapes_is_the_key(places: set[int], capitals: bool) -> None:  # noqa: FBT001
    spelled = escaped(KEY, places, capitals=capitals)
    body = f'{{"message": "no such key {spelled}!"}}'
    assert json.loads(body)["message"] == f"no such key {KEY}!"

    found = Redacted(KEY).body(body.encode())

    assert found == f'{{"message": "no such key {HIDDEN}!"}}'.encode()
    assert Redacted(KEY).text(body) == found.decode()


@pytest.mark.parametrize("text", ["nothing of it", "rf_live_0123456789", "\\u0072f_live", ""])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert Redacted(KEY).text(text) == text
    assert Redacted(KEY).body(text.encode()) == text.encode()


def test_its_base64_is_the_key() -> None:
    text = b64encode(f"Bearer {KEY}".encode()).decode()

    assert KEY[8:20] not in Redacted(KEY).text(text)
    assert HIDDEN in Redacted(KEY).text(text)


@pytest.mark.parametrize("key", ["", "short"])
def test_a_key_that_could_be_a_word_is_left(key: str) -> None:
    assert Redacted(key).text("a short word") == "a short word"
