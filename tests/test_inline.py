"""Media in a body itself never enter the ledger, and a few words say what was there."""

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from batchrun.base.text import size_of
from batchrun.engine.run_records import finished_line
from batchrun.ledger.records import encode
from batchrun.runflow.inline import message, shortened, weight
from batchrun.runflow.wire import parse_refusal, parse_run

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(9000)).decode()
URI = f"data:image/png;base64,{PICTURE}"
WRAPPED = base64.encodebytes(bytes(9000)).decode()


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (URI, f"data:image/png;base64,[{len(PICTURE)} characters left out]"),
        (URI.replace("data", "DATA"), "DATA:image/png;base64,[12012 characters left out]"),
        ("data:image/svg+xml," + "%3C " * 500, "data:image/svg+xml,[2000 characters left out]"),
        (PICTURE, f"[{len(PICTURE)} characters left out]"),
        (WRAPPED, f"[{len(WRAPPED)} characters left out]"),
        ("a word " * 20_000, "a word " * 28 + "a wo [139800 characters left out]"),
        ({"outputs": [{"url": URI, "type": "image"}], "seed": 1}, None),
        ({"image": {"b64_json": PICTURE}}, None),
        ([[URI], PICTURE], None),
    ],
)
def test_media_and_very_long_texts_are_left_out(value: Any, short: Any) -> None:
    found = shortened(value)

    assert short is None or found == short
    assert len(str(found)) < 400
    assert weight(value) > 1000
    assert weight(found) == 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        False,
        "a text",
        "An answer in words, as a model of language gives it. " * 500,
        {"outputs": [{"url": "https://host/" + "a" * 900 + "?signature=" + "b" * 900}]},
        {"vector": [0.1] * 5000},
        "data:image/png;base64,iVBORw0KGgo=",
    ],
)
def test_all_else_stays_as_it_is(value: Any) -> None:
    assert shortened(value) is value


def test_what_is_left_out_is_left_out_of_a_copy() -> None:
    value = {"outputs": [{"url": URI}]}

    shortened(value)

    assert value == {"outputs": [{"url": URI}]}


def test_a_deeply_nested_value_ends_in_no_error() -> None:
    value: Any = URI
    for _ in range(5000):
        value = [value]

    found = shortened(value)

    for _ in range(5000):
        (found,) = found
    assert found.startswith("data:image/png")


def test_no_line_of_a_run_that_ended_has_media_in_it() -> None:
    body = {
        "id": "run-1",
        "status_code": "failed",
        "output": {"b64_json": PICTURE},
        "failure_message": f"can't read the input {URI}, sorry",
        "current_evaluation_summary": {"seen": URI},
        "cost_breakdown": {"why": URI},
    }

    line = encode(finished_line("c1", 1, parse_run(body)))

    assert len(line) < 1000
    assert b"can't read the input data:image/png;base64,[12012 characters left out], sorry" in line


@pytest.mark.parametrize(
    "body",
    [
        {"code": "INVALID", "message": f"no image: {URI}"},
        {"detail": f"no image: {URI}"},
        {"detail": [{"loc": ["body", "input"], "msg": f"no image: {URI}"}]},
        {"code": "INVALID", "message": "no! " * 5000},
    ],
)
def test_a_refusal_that_repeats_the_input_is_said_in_short(body: Any) -> None:
    refusal = parse_refusal(body)

    assert refusal is not None
    assert len(refusal.message) < 300
    assert "left out]" in refusal.message


def test_a_message_of_usual_length_stays() -> None:
    text = "an error, " * 40

    assert message(text) == text


@pytest.mark.parametrize(
    ("count", "spelled"),
    [(0, "0 B"), (812, "812 B"), (2**20, "1 MiB"), (3_670_016, "3.5 MiB"), (3 * 2**40, "3072 GiB")],
)
def test_a_size_is_spelled(count: int, spelled: str) -> None:
    assert size_of(count) == spelled


def test_a_run_that_was_left_out_is_still_a_run() -> None:
    run = parse_run({"id": "run-1", "status_code": "succeeded"})

    assert replace(run, left_out=9).terminal
