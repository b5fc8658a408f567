"""API bodies and our values: every shape that was seen, and some that were not."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.runflow.outputs import OutputFile, output_files
from batchrun.runflow.wire import decode, model_path, parse_page, parse_refusal, parse_run, run_body

FULL = {
    "id": "r1",
    "status_code": "failed",
    "client_ref": "br1.x.1",
    "metadata": {"batchrun": {"cell": "c"}},
    "cost": "0.0800",
    "duration_ms": 1234,
    "created_at": "2026-05-01T12:00:00Z",
    "started_at": "2026-05-01T14:00:00.123456+02:00",
    "completed_at": "2026-05-01T12:00:00.123456789Z",
    "output": {"outputs": []},
    "failure_code": "INPUT_VALIDATION_FAILED",
    "failure_message": "too large",
    "failure_stage_code": "preprocess",
    "org_id": "o1",
    "batch_id": "b1",
    "sequence_index": 7,
    "a_new_field": {"deep": [1]},
}


def test_a_full_run_is_read_with_money_as_decimal_and_times_in_utc() -> None:
    run = parse_run(FULL)

    assert run.cost == Decimal("0.0800")
    assert run.created_at == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert run.completed_at == datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert (run.client_ref, run.batch_id) == ("br1.x.1", "b1")
    assert run.metadata == {"batchrun": {"cell": "c"}}
    assert (run.failure_code, run.failure_message, run.failure_stage) == (
        "INPUT_VALIDATION_FAILED",
        "too large",
        "preprocess",
    )
    assert run.duration_ms == 1234
    assert run.output == {"outputs": []}


@pytest.mark.parametrize(
    ("told", "status_code", "terminal", "known"),
    [
        ("queued", "queued", False, True),
        ("dispatching", "dispatching", False, True),
        ("running", "running", False, True),
        ("succeeded", "succeeded", True, True),
        ("partial_succeeded", "partial_succeeded", True, True),
        ("failed", "failed", True, True),
        ("canceled", "cancelled", True, True),
        ("cancelled", "cancelled", True, True),
        ("Canceled ", "cancelled", True, True),
        ("completed", "succeeded", True, True),
        ("errored", "failed", True, True),
        ("warp", "warp", False, False),
        ("", "unknown", False, False),
        (None, "unknown", False, False),
        (7, "unknown", False, False),
    ],
)
@pytest.mark.parametrize("name", ["status_code", "status"])
def test_every_status_is_ours_or_open(
    name: str, told: Any, status_code: str, *, terminal: bool, known: bool
) -> None:
    run = parse_run({"run_id": "r1", name: told})

    assert (run.status_code, run.terminal, run.known) == (status_code, terminal, known)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ("0.10", "0.10"),
        (0.1, "0.1"),
        (3, "3"),
        ("-1.5", "-1.5"),
        (None, None),
        (True, None),
        ("free", None),
        ("NaN", None),
        ("1e9999999", None),
        ("1e-9999999", None),
        ("9" * 5000, None),
        (10**400, None),
        (1e300, None),
        ("Infinity", None),
        ({"usd": 1}, None),
    ],
)
def test_cost_is_exact_or_unknown(told: Any, cost: str | None) -> None:
    assert parse_run({"id": "r", "cost": told}).cost == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize("told", [None, "", "yesterday", [], "0001-01-01T00:00:00+23:00"])
def test_a_time_that_cannot_be_read_is_unknown(told: Any) -> None:
    assert parse_run({"id": "r", "created_at": told}).created_at is None


def test_a_time_without_zone_is_utc() -> None:
    told = parse_run({"id": "r", "created_at": "2026-05-01T12:00:00"}).created_at

    assert told == datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_the_nested_error_serves_where_the_failure_fields_are_missing() -> None:
    run = parse_run({"id": "r", "error": {"code": "E", "message": "m"}, "failure_stage": "s"})
    plain = parse_run({"id": "r", "error": "it broke"})

    assert (run.failure_code, run.failure_message, run.failure_stage) == ("E", "m", "s")
    assert (plain.failure_code, plain.failure_message) == (None, "it broke")


@pytest.mark.parametrize("body", [None, [], "r1", {}, {"id": ""}, {"id": None}, {"id": ["r"]}])
def test_what_has_no_id_is_no_run(body: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_run(body)


@pytest.mark.parametrize(
    ("told", "cursor"),
    [
        ({"next": "abc"}, "abc"),
        ({"next_pq": "abc"}, "abc"),
        ({"next": None, "next_pq": "abc"}, "abc"),
        ({"next": "https://api/v1/runs?limit=5&pq=a%2Bb%3D%3D&x=1"}, "a+b=="),
        ({"next": "/v1/runs?pq=abc#frag"}, "abc"),
        ({"next": "?pq=abc"}, "abc"),
        ({"next": "pq=abc&limit=5"}, "abc"),
        ({"next": "eyJhIjoxfQ=="}, "eyJhIjoxfQ=="),
        ({"next": "/+8="}, "/+8="),
        ({"next": "Zpq="}, "Zpq="),
        ({"next": ""}, None),
        ({"next": None}, None),
        ({}, None),
        ({"next": 5}, "5"),
    ],
)
def test_the_cursor_is_found_in_both_envelopes_and_in_urls(told: Any, cursor: str | None) -> None:
    assert parse_page({"items": [{"id": "r"}]} | told).next == cursor


@pytest.mark.parametrize("body", [None, [], {}, {"next": None}, {"runs": []}, "items", 5])
def test_what_is_no_page_is_not_taken_for_an_empty_one(body: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_page(body)


def test_a_422_names_its_fields_in_every_shape() -> None:
    errors = [{"loc": ["body", "seed"], "msg": "a number"}, {"msg": "x"}, "plain", {"loc": "top"}]
    flat = parse_refusal({"code": "V", "message": "invalid", "errors": errors})
    detail = parse_refusal({"detail": errors})

    assert str(flat) == "V: invalid (body.seed: a number; x; plain; top)"
    assert str(detail) == "body.seed: a number; x; plain; top"


# --- outputs


@pytest.mark.parametrize(
    ("output", "files"),
    [
        (None, []),
        ({}, []),
        ({"outputs": [{"url": "https://h/1", "type": "image"}], "seed": 1}, [("1", "image")]),
        ({"outputs": [{"url": "https://h/1"}], "image_urls": ["https://h/1b"]}, [("1", None)]),
        ({"outputs": ["https://h/1", {"url": None}, 5, {"url": "https://h/2"}]}, ["1", "", "2"]),
        ({"video_urls": ["https://h/v"], "image_urls": ["https://h/i"]}, ["i", "v"]),
        ({"image_urls": ["https://h/i", "https://h/i"]}, [("i", "image")]),
        ({"outputs": [], "audio_urls": ["https://h/a"]}, [("a", "audio")]),
        ({"image": {"url": "https://h/i", "thumbnail_url": "https://h/t"}}, [("i", "image")]),
        ({"image": ["https://h/i"]}, [("i", "image")]),
        ({"a": {"b": [{"output_url": "https://h/2"}, {"url": "https://h/1"}]}}, ["2", "1"]),
        ("https://h/bare", ["bare"]),
        ({"picture": "https://h/p", "note": "see https://h/x y"}, ["p"]),
        ({"outputs": [{"url": "ftp://h/1"}]}, ["1"]),
        ({"outputs": [{"url": "https://"}, {"url": "https://[::1"}]}, ["", "[::1"]),
        ({"outputs": [{"url": "ftp://h/1"}], "image_urls": ["https://h/2"]}, ["2"]),
        ({"outputs": [{"url": None}, {"url": None}]}, ["", ""]),
        ({"image": {"url": "runflow://assets/1"}}, [("1", "image")]),
        ({"image": {"url": "runflow://assets/1"}, "see": "https://h/2"}, ["2"]),
        ({"word": {"url": "see below"}, "note": "key:/value"}, []),
        ({"outputs": ["a text", {"type": "text", "text": "another"}]}, []),
        ({"outputs": "https://h/1"}, ["1"]),
        ({"outputs": [{"url": "https://h/a b.png"}]}, ["a%20b.png"]),
        ({"image_urls": [" https://h/1\n"]}, ["1"]),
        ({"note": "https://h/1 is where it was"}, []),
    ],
)
def test_the_files_of_every_shape_are_found_in_order_and_once(output: Any, files: Any) -> None:
    found = output_files(output)

    names = [file.url.rpartition("/")[2] for file in found]
    assert names == [file[0] if isinstance(file, tuple) else file for file in files]
    for file, expected in zip(found, files, strict=True):
        if isinstance(expected, tuple):
            assert file.type == expected[1]


def test_a_data_uri_is_a_file_too_and_tells_its_type() -> None:
    uri = "data:image/png;base64,AAAA"

    assert output_files({"outputs": [{"url": uri}]}) == (OutputFile(url=uri, type="image"),)


@pytest.mark.parametrize("name", ["b64_json", "base64", "data"])
@pytest.mark.parametrize(
    "within", [lambda each: {"outputs": [each]}, lambda each: each], ids=["listed", "bare"]
)
def test_a_file_within_the_output_is_found_by_its_first_bytes(
    name: str, within: Callable[[Any], Any]
) -> None:
    text = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()

    [file] = output_files(within({name: text, "type": "image"}))

    assert file == OutputFile(url=f"data:;base64,{text}", type="image")
    assert output_files(within({name: "a text", "type": "image"})) == ()
    assert output_files({name: text, "url": "https://h/1"})[0].url == "https://h/1"


LONG = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(600)).decode()


@pytest.mark.parametrize(
    ("output", "files"),
    [
        (LONG, [LONG]),
        ({"image": LONG}, [LONG]),
        ({"images": [LONG, "a text"]}, [LONG]),
        ({"outputs": [{"url": None, "b64_json": LONG}]}, [LONG]),
        ({"outputs": [{"url": "https://h/1"}, {"b64_json": LONG}]}, ["1", LONG]),
        ({"outputs": [{"b64_json": LONG}, {"url": None}, {"url": "https://h/1"}]}, [LONG, "", "1"]),
        (
            {"data": [{"b64_json": LONG}, {"b64_json": LONG[:-4] + "AAAB"}]},
            [LONG, LONG[:-4] + "AAAB"],
        ),
        ({"note": "Qk" + "A word, and another. " * 50}, []),
        ({"short": LONG[:60]}, []),
    ],
    ids=range(9),
)
def test_base64_is_a_file_wherever_it_stands(output: Any, files: list[str]) -> None:
    urls = [file.url for file in output_files(output)]

    assert urls == [
        f"data:;base64,{file}" if len(file) > 99 else f"https://h/{file}" if file else ""
        for file in files
    ]


def test_an_output_nested_a_hundred_thousand_deep_is_no_reason_to_stop() -> None:
    output: Any = "https://h/deep"
    for _ in range(100_000):
        output = [output]

    assert [file.url for file in output_files(output)] == ["https://h/deep"]


NAMES = (
    "id run_id status status_code error code message detail outputs url image_urls items next cost"
    " metadata errors created_at duration_ms loc msg sequence_index"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(
            st.sampled_from(NAMES.split(" ")),
            below,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_body_whatever_breaks_a_parser(body: Any) -> None:
    output_files(body)
    parse_refusal(body)
    for parser in (parse_run, parse_page):
        try:
            parser(body)
        except ValueError as error:
            assert "expected" in str(error)  # noqa: PT017  (most bodies raise nothing)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": NaN, "b": -Infinity}', {"a": None, "b": None}),
        (b'{"a": "\\ud800"}', {"a": "?"}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b"[1e400, -1E999, 1.5]", ["1e400", "-1E999", 1.5]),
        (b"[%s, 7]" % (b"9" * 5000), ["9" * 5000, 7]),
    ],
)
def test_what_other_parsers_take_is_taken_and_fit_for_the_ledger(
    content: bytes, value: Any
) -> None:
    assert decode(content) == value
    msgspec.json.encode(decode(content)).decode()


@pytest.mark.parametrize("deep", [1_500, 100_000])
def test_one_output_nested_deep_hides_no_other_run(deep: int) -> None:
    odd = '{"id": "r1", "output": {"text": "]}\\"[", "a": %s, "b": 2}}' % ("[" * deep + "]" * deep)
    page = parse_page(decode(f'{{"items": [{odd}, {{"id": "r2", "output": "x"}}]}}'.encode()))

    assert [run.id for run in page.runs] == ["r1", "r2"]
    assert (page.runs[0].output["text"], page.runs[0].output["b"]) == (']}"[', 2)
    assert page.runs[1].output == "x"


@pytest.mark.parametrize("content", [b"", b"{", b"<html>", b"[" * 200_000, b"{}{}"])
def test_what_is_no_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode(content)


# --- requests


def test_a_body_has_the_same_bytes_whatever_order_its_values_came_in() -> None:
    one = run_body({"b": 1, "a": {"y": 1.5, "x": "é\ud800"}}, client_ref="r", metadata={"k": 1})
    two = run_body({"a": {"x": "é\ud800", "y": 1.5}, "b": 1}, client_ref="r", metadata={"k": 1})

    assert one == two
    assert one == (
        b'{"client_ref":"r","input":{"a":{"x":"\\u00e9\\ud800","y":1.5},"b":1},"metadata":{"k":1}}'
    )


def test_a_body_without_metadata_has_none_and_nan_is_never_sent() -> None:
    assert json.loads(run_body({}, client_ref="r", metadata=None)) == {
        "client_ref": "r",
        "input": {},
    }
    with pytest.raises(ValueError, match="JSON"):
        run_body({"x": float("nan")}, client_ref="r", metadata=None)


@pytest.mark.parametrize(
    ("model_id", "path"),
    [
        ("google/nano-banana-2", "/v1/models/google/nano-banana-2"),
        ("bytedance/seedance/2.0/fast", "/v1/models/bytedance/seedance/2.0/fast"),
        ("a/b c", "/v1/models/a/b%20c"),
        ("a/b%2Fc", "/v1/models/a/b%252Fc"),
        ("a/b?x=1#y", "/v1/models/a/b%3Fx%3D1%23y"),
        ("a/é", "/v1/models/a/%C3%A9"),
        ("a/...", "/v1/models/a/..."),
    ],
)
def test_each_segment_of_a_model_id_is_encoded_and_arrives_so(model_id: str, path: str) -> None:
    assert model_path(model_id) == path

    sent = httpx.Client(base_url="https://api/prefix").build_request("GET", path)
    assert sent.url.raw_path.decode() == f"/prefix{path}"


@pytest.mark.parametrize("model_id", ["", "/", "a//b", "a/", "/a", "a/../b", "./a", "a/."])
def test_a_model_id_that_would_lead_elsewhere_is_refused(model_id: str) -> None:
    with pytest.raises(ValueError, match="expected a model id"):
        model_path(model_id)
