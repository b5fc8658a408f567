"""The small parsers: what they take, and the sentence they refuse the rest with."""

import re
from decimal import Decimal
from typing import Any

import pytest

from batchrun.base.endpoint import parse_endpoint
from batchrun.base.text import did_you_mean
from batchrun.base.values import (
    MOST_ITEMS,
    parse_batch_size,
    parse_fail_on,
    parse_flag,
    parse_input_errors,
    parse_keep_logs,
    parse_money,
    parse_rate,
    parse_seconds,
    parse_text,
    parse_wait,
    spell,
    up_to,
)
from batchrun.manifest.parse.limits import (
    parse_alias,
    parse_model_id,
    parse_name,
)
from batchrun.manifest.yaml.scalars import from_field, number, one_spelling, resolve


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("10/s", 10.0), ("600/min", 10.0), ("0.5/s", 0.5), ("36000/h", 10.0), ("1/min", 1 / 60)],
)
def test_a_rate_knows_its_calls_per_second_and_its_spelling(text: str, per_second: float) -> None:
    assert parse_rate(text).per_second == pytest.approx(per_second)
    assert str(parse_rate(text)) == text


@pytest.mark.parametrize(
    "value", ["10", 10, "0/s", "0.0/min", "-1/s", "10/m", "10 /s", "", None], ids=repr
)
def test_what_is_no_rate(value: object) -> None:
    with pytest.raises(ValueError, match="expected a rate such as 10/s or 600/min"):
        parse_rate(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("15m", 900), ("1.5h", 5400), ("2d", 172_800)],
)
def test_a_time_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (15, "did you mean `15s`?"),
        ("15", "did you mean `15s`?"),
        ("15 min", None),
        ("15min", "did you mean `15m`?"),
        ("15sec", "did you mean `15s`?"),
        ("0s", "longer than nothing"),
        ("-1s", None),
        (None, None),
        (True, None),
        ([1], None),
    ],
    ids=repr,
)
def test_what_is_no_time(value: object, hint: str | None) -> None:
    with pytest.raises(ValueError, match="expected a time") as caught:
        parse_seconds(value)

    assert hint is None or hint in str(caught.value)


@pytest.mark.parametrize(
    ("value", "amount"),
    [(5, "5"), (0.1, "0.1"), ("5.00", "5.00"), (0, "0"), ("1e2", "1e2"), (5.25, "5.25")],
)
def test_money_is_decimal(value: object, amount: str) -> None:
    assert parse_money(value) == Decimal(amount)


@pytest.mark.parametrize(
    "value", ["$5", "5 USD", -1, "NaN", "Infinity", True, None, "", "1e99", []], ids=repr
)
def test_what_is_no_money(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected an amount in USD such as 5\.00"):
        parse_money(value)


def test_money_has_a_ceiling() -> None:
    assert parse_money(1_000_000_000) == 10**9
    with pytest.raises(ValueError, match=r"such as 5\.00, at most 1,000,000,000$"):
        parse_money("1000000000.01")


@pytest.mark.parametrize("value", [0, -1, 1.5, "0", "x", "", None, True, "1" * 5000], ids=repr)
def test_what_is_no_count(value: object) -> None:
    with pytest.raises(ValueError, match="expected a whole number of 1 or more"):
        up_to(16)(value)


@pytest.mark.parametrize("value", [1_001, "1001", 2**63, 2**70, "1" * 20, "1" * 50], ids=repr)
def test_a_count_has_a_ceiling(value: object) -> None:
    with pytest.raises(ValueError, match=r"^expected at most 1,000$"):
        up_to(1_000)(value)


@pytest.mark.parametrize("rate", ["999999999/s", "1000000.1/s", "0.9/h", "0.000000001/h"])
def test_a_rate_has_a_floor_and_a_ceiling(rate: str) -> None:
    assert parse_rate("1/h").per_second * 3600 == pytest.approx(1)
    assert parse_rate("1000000/s").per_second == 1_000_000
    with pytest.raises(ValueError, match=r"^expected a rate from 1/h to 1000000/s$"):
        parse_rate(rate)


@pytest.mark.parametrize("time", ["3650.1d", "87601h", "999999999d"])
def test_a_time_has_a_ceiling(time: str) -> None:
    assert parse_seconds("3650d") == parse_seconds("87600h")
    with pytest.raises(ValueError, match=r"^expected a time of at most 3650d$"):
        parse_seconds(time)


def test_a_count_may_be_text_of_digits() -> None:
    assert (up_to(16)(16), up_to(16)("16")) == (16, 16)


@pytest.mark.parametrize(
    "value", [0, -1, 101, 1.5, "0", "101", "off", "", None, False, True], ids=repr
)
def test_what_is_no_batch_size(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected a whole number from 1 \(no batches\) to 100"):
        parse_batch_size(value)


def test_a_batch_has_one_item_to_as_many_as_the_api_takes() -> None:
    assert MOST_ITEMS == 100
    assert [parse_batch_size(value) for value in (1, "1", 99, 100, "100")] == [1, 1, 99, 100, 100]


@pytest.mark.parametrize(
    ("text", "bad", "cells", "allowed"),
    [
        ("any", 0, 10, True),
        ("any", 1, 10, False),
        ("none", 10, 10, True),
        ("3", 3, 10, True),
        ("3", 4, 10, False),
        ("5%", 5, 100, True),
        ("5%", 6, 100, False),
        ("0.1%", 1, 1000, True),
        ("5%", 0, 0, True),
    ],
)
def test_fail_on_says_how_many_may_fail(text: str, bad: int, cells: int, *, allowed: bool) -> None:
    assert parse_fail_on(text).allows(bad, cells) is allowed


@pytest.mark.parametrize("value", ["", "x", "-1", "101%", "5 %", "1.5", None, "%"], ids=repr)
def test_what_fail_on_does_not_know(value: object) -> None:
    with pytest.raises(ValueError, match="expected any, none, a number of cells or a share"):
        parse_fail_on(value)


def test_a_time_to_wait_may_be_none() -> None:
    assert [parse_wait(text) for text in ("0s", "0ms", "30s")] == [0, 0, 30]
    with pytest.raises(ValueError, match="expected a time such as"):
        parse_wait(0)


def test_yes_is_text_and_no_flag() -> None:
    assert parse_flag(value=True)
    with pytest.raises(ValueError, match=r"expected true or false; `yes` is text in YAML 1\.2"):
        parse_flag("yes")
    with pytest.raises(ValueError, match="expected text"):
        parse_text("  ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("nUll", "nUll"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("yes", "yes"),
        ("off", "off"),
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b1", "0b1"),
        ("-0x1", "-0x1"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("16:9", "16:9"),
        ("1.0", 1),
        ("1e0", 1),
        ("1e3", 1000),
        ("1.5e3", 1500),
        (".5", 0.5),
        ("5.", 5),
        ("0.10", 0.1),
        ("-0.0", 0),
        ("1e-3", 0.001),
        ("1e20", 10**20),
        ("123456789012345678901", 123456789012345678901),
        (".", "."),
        ("-", "-"),
        ("+", "+"),
        ("e3", "e3"),
        ("1e", "1e"),
        ("1.2.3", "1.2.3"),
        ("2026-01-02", "2026-01-02"),
        ("12:30:00", "12:30:00"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_follow_yaml_1_2s_core_schema(text: str, value: Any) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        ".nan",
        ".NaN",
        ".inf",
        "-.INF",
        "1e999",
        "1e309",
        "-2e308",
        "1e99999999999",
        "9" * 4000,
        "0x" + "f" * 900,
    ],
    ids=repr,
)
def test_numbers_that_json_cannot_send_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"too l(ong|arge)|cannot be sent|can be sent"):
        resolve(text)


def test_whole_numbers_are_exact_however_they_are_spelled() -> None:
    assert number("1e23") == 10**23
    assert number("12345678901234567890.0") == 12345678901234567890
    assert number("1e300") == 10**300
    assert one_spelling(1e308) == 10**308
    assert number("1.00000000000000000000001") == 1
    assert number(str(2**70)) == 2**70


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-5", -5),
        ("0.5", 0.5),
        ("true", True),
        ("false", False),
        ("00123", "00123"),
        ("1e3", "1e3"),
        ("1.0", "1.0"),
        ("1.50", "1.50"),
        ("+1", "+1"),
        ("-0", "-0"),
        ("True", "True"),
        ("null", "null"),
        (" 1", " 1"),
        ("1,5", "1,5"),
        ("0x10", "0x10"),
        ("1_0", "1_0"),
        (".5", ".5"),
        ("12345678901234567890", 12345678901234567890),
        ("1e-07", 1e-07),
        ("nan", "nan"),
        ("-", "-"),
        ("٣", "٣"),
        ("inf", "inf"),
        ("1e3009", "1e3009"),
        ("-1.5e400", "-1.5e400"),
    ],
)
def test_a_csv_field_is_a_number_only_if_it_is_written_back_the_same(text: str, value: Any) -> None:
    assert from_field(text) == value
    assert type(from_field(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "simulator",
        "https://api.runflow.io",
        "https://host:8443/base",
        "http://127.0.0.1:8765",
        "http://localhost",
        "http://[::1]:81",
        "http://127.9.9.9",
    ],
    ids=repr,
)
def test_endpoints(text: str) -> None:
    assert parse_endpoint(text) == text
    assert parse_endpoint(f"{text}/" if ":" in text else text) == text


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        (" https://api.runflow.io ", "https://api.runflow.io"),
        ("HTTPS://API.Runflow.io:443/", "https://api.runflow.io"),
        ("http://LOCALHOST:80//", "http://localhost"),
        ("http://localhost.:8000", "http://localhost.:8000"),
        ("http://127.0.0.2:08000/V1", "http://127.0.0.2:8000/V1"),
        ("http://[0:0::1]:80", "http://[0:0::1]"),
    ],
)
def test_every_spelling_of_an_endpoint_is_one(text: str, spelled: str) -> None:
    assert parse_endpoint(text) == spelled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://0.0.0.0", "plain http is for this machine only"),
        ("http://127.1", "plain http is for this machine only"),
        ("http://2130706433", "plain http is for this machine only"),
        ("http://[::ffff:10.0.0.1]", "plain http is for this machine only"),
        ("http://localhost\\@evil.example", "expected simulator, or a URL"),
        ("https://api.run\nflow.io", "expected simulator, or a URL"),
        ("https://api runflow.io", "expected simulator, or a URL"),
        ("http://api.runflow.io", "plain http is for this machine only"),
        ("http://localhost.evil.example", "plain http is for this machine only"),
        ("http://127.0.0.1.evil.example", "plain http is for this machine only"),
        ("https://user@host", "no user or password"),
        ("https://user:pass@host", "no user or password"),
        ("https://@host", "no user or password"),
        ("simulater", "did you mean `simulator`?"),
        ("api.runflow.io", "expected simulator, or a URL"),
        ("ftp://host", "expected simulator, or a URL"),
        ("https://", "expected simulator, or a URL"),
        ("https://host:99999", "expected simulator, or a URL"),
        ("https://host?key=1", "expected simulator, or a URL"),
        ("", "expected simulator, or a URL"),
        (5, "expected simulator, or a URL"),
    ],
)
def test_what_is_no_endpoint(text: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_endpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a/",
        "/a",
        "a//b",
        "./b",
        "a/..",
        "a b/c",
        "a/b?c",
        "a/b#c",
        "a/%2e",
        "a\\b/c",
        "",
        5,
        None,
        "https://a/b",
        "a/b\n",
    ],
    ids=repr,
)
def test_what_is_no_model_id(text: object) -> None:
    with pytest.raises(ValueError, match="expected a model id such as google/nano-banana-2"):
        parse_model_id(text)


@pytest.mark.parametrize(
    "text", ["a/b", "-x", " x", "a,b", "", 5, "x" * 101, "..", "a\n"], ids=repr
)
def test_what_is_no_alias(text: object) -> None:
    with pytest.raises(ValueError, match="expected letters, digits"):
        parse_alias(text)


@pytest.mark.parametrize(
    "text", ["a/b", "..", ".", "@x", "-x", " x", "x.", "a\0b", "", "é" * 60, 5]
)
def test_a_name_is_a_folders_name(text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_name(text)


def test_a_hint_is_given_for_a_near_miss_only() -> None:
    assert did_you_mean("promt", ["prompt", "seed"]) == "; did you mean `prompt`?"
    assert did_you_mean("Prompt", ["prompt"]) == "; did you mean `prompt`?"
    assert not did_you_mean("colour", ["seed"])


def test_a_value_in_a_message_is_short_and_printable() -> None:
    assert spell("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert spell({"a": [1, None, "ü"]}) == '{"a": [1, null, "ü"]}'
    assert len(spell("x" * 1000)) == 60


@pytest.mark.parametrize("value", ["refuse", "warn"])
def test_input_errors_are_refused_or_warned_of(value: str) -> None:
    assert parse_input_errors(value) == value


@pytest.mark.parametrize("value", ["none", "failed", "all"])
def test_the_logs_that_are_kept_are_named(value: str) -> None:
    assert parse_keep_logs(value) == value


@pytest.mark.parametrize("value", ["some", "", True, None, 1, ["all"]])
def test_other_logs_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected none, failed or all"):
        parse_keep_logs(value)


@pytest.mark.parametrize("value", ["ignore", "", True, None, 1, ["warn"]])
def test_what_else_might_happen_to_input_errors_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected refuse or warn"):
        parse_input_errors(value)
