"""What a callback is taken for: whose end, by whose signature."""

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from batchrun.runflow.callbacks import Ended, is_signed, parse_secrets, read_end, signature

SECRET = "whsec_0123456789abcdef"
OTHER = "whsec_fedcba9876543210"
RUN: dict[str, Any] = {
    "event": "run.completed",
    "run_id": "r-1",
    "status": "succeeded",
    "output": {"outputs": [{"url": "https://host/a.png", "type": "image"}]},
    "duration_ms": 1200,
    "created_at": "2026-01-01T00:00:00+00:00",
    "completed_at": "2026-01-01T00:00:01+00:00",
    "metadata": None,
}


def read(**changes: Any) -> Ended | None:
    return read_end(json.dumps({**RUN, **changes}).encode())


def test_the_signature_is_the_documented_one() -> None:
    body = b'{"a": 1}'

    assert signature(body, SECRET) == hmac.new(SECRET.encode(), body, sha256).hexdigest()
    assert is_signed(body, signature(body, SECRET), [SECRET])


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", "0" * 64, "\udcff", "é" * 64),
        signature(b"{}", OTHER),
        signature(b"{} ", SECRET),
        signature(b"{}", SECRET)[:-1],
        f"sha256={signature(b'{}', SECRET)}",
    ],
)
def test_what_isnt_the_signature_of_just_these_bytes_is_none(given: str | None) -> None:
    assert not is_signed(b"{}", given, [SECRET])
    assert not is_signed(b"{}", signature(b"{}", SECRET), [])


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_while_the_secret_is_being_changed_both_count(secret: str) -> None:
    secrets = parse_secrets(f"{SECRET},{OTHER}")

    assert is_signed(b"{}", signature(b"{}", secret), secrets)


@pytest.mark.parametrize("between", [",", ", ", " ", "\n", " ,\t"])
def test_two_secrets_stand_apart_by_a_comma_or_a_blank(between: str) -> None:
    assert parse_secrets(f" {SECRET}{between}{OTHER} ") == (SECRET, OTHER)
    assert parse_secrets(f"{SECRET}{between}{SECRET}") == (SECRET,)


@pytest.mark.parametrize("value", ["", " , ", "whsec_", f"{SECRET},{OTHER},{SECRET}1", "ü" * 20])
def test_what_are_no_secrets_is_said_without_a_letter_of_them(value: str) -> None:
    with pytest.raises(ValueError, match=r"holds") as caught:
        parse_secrets(value)

    assert all(word not in str(caught.value) for word in value.split(",") if len(word) > 9)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("run.completed", "succeeded"),
        ("run.partial_succeeded", "partial_succeeded"),
        ("run.failed", "failed"),
        ("run.cancelled", "canceled"),
        ("run.cancelled", "cancelled"),
        ("run.completed", None),
        ("run.done", "completed"),
        ("", "succeeded"),
        (None, "timeout"),
    ],
)
def test_the_end_of_a_run_is_known_by_its_status_or_else_by_its_event(
    event: Any, status: Any
) -> None:
    assert read(event=event, status=status) == Ended("r-1")


@pytest.mark.parametrize("status", ["succeeded", "partial_succeeded", "failed", "cancelled"])
def test_the_end_of_a_batch_is_that_of_all_its_runs(status: str) -> None:
    batch = {"event": f"batch.{status}", "status": status, "run_id": None, "batch_id": "b-1"}

    assert read(**batch) == Ended("b-1", batch=True)
    assert read(**batch | {"batch_id": None, "id": "b-1"}) == Ended("b-1", batch=True)


def test_a_run_that_names_its_batch_is_that_run_alone() -> None:
    assert read(batch_id="b-1") == Ended("r-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "running"},
        {"status": "reticulating", "event": "run.completed"},
        {"status": None, "event": "run.reticulating"},
        {"status": {"code": "succeeded"}, "event": 7},
        {"run_id": None},
        {"run_id": ["r-1"]},
        {"run_id": ""},
        {"run_id": "r" * 100_000},
    ],
)
def test_what_is_no_end_is_passed_over(changes: dict[str, Any]) -> None:
    assert read(**changes) is None


def test_fields_that_are_not_documented_are_no_mistake() -> None:
    assert read(attempt=3, delivery={"id": "d-1"}, duration_ms="long", metadata=[1]) == Ended("r-1")


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b'"run"', b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_no_callback(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_end(body)

    assert "Traceback" not in str(caught.value)
