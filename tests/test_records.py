import contextlib
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import EACH, NOON, SWEEP, finished, intent, stamped, submitted
from msgspec.structs import replace

from batchrun.ledger.records import (
    FORMAT,
    KINDS,
    AnyRecord,
    Finished,
    Intent,
    NewerFormatError,
    Sweep,
    decode,
    decode_headers,
    encode,
    kind_of,
    starts_group,
    timestamp,
)

GOLDEN = {
    "sweep": (
        '{"type":"sweep","at":"2026-05-04T12:00:00.000250Z","group":7,"format":1,"sweep":"k3f9",'
        '"name":"chairs","endpoint":"https://api.runflow.io","manifest_sha256":"' + "ab" * 32 + '",'
        '"version":"0.1.0","label":"2026-05-04","organisation":"org_1"}'
    ),
    "intent": (
        '{"type":"intent","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"model":"google/nano-banana-2","alias":"banana","client_ref":"br1.k3f9.1",'
        '"idempotency_key":"key","body_sha256":"' + "cd" * 32 + '","name":"banana/c1",'
        '"metadata":{"project":"spring"},"reserved":"0.05",'
        '"server_at":"2026-05-04T11:59:58.000000Z","input":{"prompt":"a chair","seed":1}}'
    ),
    "submitted": (
        '{"type":"submitted","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"run_id":"run-c1-1"}'
    ),
    "finished": (
        '{"type":"finished","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"run_id":"run-c1-1","status_code":"succeeded","cost":"0.04"}'
    ),
    "rejected": (
        '{"type":"rejected","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"http_status":422,"code":"INVALID","message":"no such ratio"}'
    ),
    "dropped": (
        '{"type":"dropped","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"reason":"the key was refused"}'
    ),
    "parked": (
        '{"type":"parked","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"reason":"older than 15 min","run_id":"run-c1-1"}'
    ),
    "extra": (
        '{"type":"extra","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"run_id":"run-extra","cost":"0.04"}'
    ),
    "priced": (
        '{"type":"priced","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1","attempt":1,'
        '"run_id":"run-c1-1","cost":"0.08"}'
    ),
    "saved": (
        '{"type":"saved","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1",'
        '"run_id":"run-c1-1","files":[{"path":"files/banana/c1.png","bytes":1000,'
        '"sha256":"' + "ef" * 32 + '","content_type":"image/png"}]}'
    ),
    "absent": (
        '{"type":"absent","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1",'
        '"run_id":"run-c1-1","place":1,"all":3,"file":"files/c1-2","message":"HTTP 404"}'
    ),
    "lost": (
        '{"type":"lost","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1",'
        '"run_id":"run-c1-1","place":1,"all":3,"file":"files/c1-2","message":"HTTP 404"}'
    ),
    "looked": (
        '{"type":"looked","at":"2026-05-04T12:00:00.000250Z","group":7,"client_ref":"br1.k3f9.1"}'
    ),
    "throttled": (
        '{"type":"throttled","at":"2026-05-04T12:00:00.000250Z","group":7,'
        '"since":"2026-05-04T12:00:00.000000Z","step":10,"counts":[3,0,1]}'
    ),
    "uploaded": (
        '{"type":"uploaded","at":"2026-05-04T12:00:00.000250Z","group":7,"sha256":"'
        + "01" * 32
        + '","asset_id":"asset_1","reference":"https://assets.test/1"}'
    ),
    "learnt": (
        '{"type":"learnt","at":"2026-05-04T12:00:00.000250Z","group":7,'
        '"model":"runflow/smart-resize","batches":true}'
    ),
    "reused": (
        '{"type":"reused","at":"2026-05-04T12:00:00.000250Z","group":7,"cell":"c1",'
        '"model":"google/nano-banana-2","alias":"banana","sweep":"other","run_id":"run-other-1",'
        '"cost":"0.04","files":[{"path":"files/banana/c1.png","bytes":1000,'
        '"sha256":"' + "ef" * 32 + '","content_type":"image/png"}]}'
    ),
    "marks": (
        '{"type":"marks","at":"2026-05-04T12:00:00.000250Z","group":7,"marks":[{"id":"m1",'
        '"cell":"c1","first":"c1","replicate":2,"makes":"c2"}]}'
    ),
}

kinds = pytest.mark.parametrize("record", EACH, ids=lambda record: type(record).__name__)


def test_there_is_an_example_of_each_kind() -> None:
    assert {type(record) for record in EACH} == set(KINDS.values())
    assert set(GOLDEN) == set(KINDS)


@kinds
def test_the_keys_of_a_line_keep_their_order(record: AnyRecord) -> None:
    line = encode(stamped(record, group=7)).decode()

    assert line == GOLDEN[type(record).__name__.lower()] + "\n"


@kinds
def test_a_record_survives_its_text(record: AnyRecord) -> None:
    assert decode(encode(record)) == record


@kinds
def test_type_and_at_come_first(record: AnyRecord) -> None:
    assert list(json.loads(encode(stamped(record))))[:2] == ["type", "at"]


@kinds
def test_a_key_of_a_later_version_is_ignored(record: AnyRecord) -> None:
    line = json.dumps({**json.loads(encode(record)), "blessed": {"by": ["whom"]}}).encode()

    assert decode(line) == record


@kinds
def test_a_line_that_lacks_a_key_is_none(record: AnyRecord) -> None:
    whole = json.loads(encode(record))
    required = [field.name for field in msgspec.structs.fields(record) if field.required]
    needed = {name: whole[name] for name in ["type", *required]}
    assert decode(json.dumps(needed).encode()) is not None

    for key in required:
        less = {name: value for name, value in needed.items() if name != key}
        with pytest.raises(ValueError, match="not a line of a ledger"):
            decode(json.dumps(less).encode())


def test_a_type_of_a_later_version_is_no_record_and_no_error() -> None:
    assert decode(b'{"type":"blessed","cell":3,"format":"png"}\n') is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}",
        b"[]",
        b"7",
        b'"submitted"',
        b'{"at":"x"}',
        b'{"type":3}',
        b'{"type":"submitted"}',
        b'{"type":"blessed","group":"one"}',
        b'{"type":"submitted","cell":"c","attempt":"one","run_id":"r"}',
        b'{"type":"submitted","cell":"c","attempt":1,"run_id":"r"}{}',
        b'{"type":"submitted","cell":"\xff","attempt":1,"run_id":"r"}',
        b"\0" * 100,
    ],
)
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a line of a ledger"):
        decode(line)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_value_error(line: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(line)
    starts_group(line)


@given(
    st.text(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    ),
)
def test_any_text_cost_and_output_survive(message: str, cost: Decimal, output: object) -> None:
    if isinstance(output, float) and output in {float("inf"), float("-inf")}:
        output = None
    record = finished(failure_message=message, cost=cost)
    line = encode(record)

    assert line.count(b"\n") == 1
    assert decode(line) == record
    assert json.loads(encode(finished(output=[message])))["output"] == [message]


def test_numbers_keep_every_digit() -> None:
    record = intent(
        input={"seed": 2**70, "strength": 0.1, "tiny": 1e-300}, reserved=Decimal("1E-9")
    )
    again = decode(encode(record))

    assert again == record
    assert isinstance(again, Intent)
    assert again.input == {"seed": 2**70, "strength": 0.1, "tiny": 1e-300}


def test_half_a_surrogate_pair_in_a_message_does_not_stop_the_ledger() -> None:
    record = finished(status="failed", failure_message="bad \ud800 text", cost=Decimal("0.10"))
    again = decode(encode(record))

    assert isinstance(again, Finished)
    assert again.failure_message == "bad ? text"
    assert again.cost == Decimal("0.10")


@pytest.mark.parametrize(
    "line",
    [
        encode(SWEEP).replace(b'"format":1', b'"format":2'),
        b'{"type":"sweep","format":2,"version":"0.1.0"}\n',
        b'{"type":"sweep","format":2,"version":"0.1.0","sweep":{"id":"changed its form"}}\n',
    ],
)
def test_a_newer_format_is_refused_by_name_whatever_else_it_changed(line: bytes) -> None:
    with pytest.raises(NewerFormatError, match=r"format 2 of a newer batchrun \(0\.1\.0\)"):
        decode(line)


def test_a_sweep_line_of_this_format_that_is_damaged_is_just_that() -> None:
    with pytest.raises(ValueError, match="not a line of a ledger"):
        decode(f'{{"type":"sweep","format":{FORMAT}}}\n'.encode())


def test_moments_are_utc_with_microseconds() -> None:
    east = datetime(2026, 5, 4, 14, 0, 0, 250, tzinfo=timezone(timedelta(hours=2)))

    assert timestamp(NOON) == timestamp(east) == "2026-05-04T12:00:00.000250Z"
    assert timestamp(NOON.replace(microsecond=0)) == "2026-05-04T12:00:00.000000Z"


@kinds
def test_the_first_line_of_a_group_says_so_however_little_of_it_is_left(record: AnyRecord) -> None:
    line = encode(stamped(record, group=3))
    enough = line.index(b'"group":3') + len(b'"group":3')

    assert all(starts_group(line[:end]) for end in range(enough, len(line)))
    assert not any(starts_group(line[:end]) for end in range(enough))
    assert starts_group(b"glued to it" + line, 1)
    assert not starts_group(line, 1)
    assert not starts_group(encode(stamped(record)))


def test_text_that_looks_like_the_first_line_of_a_group_is_none() -> None:
    line = encode(stamped(SWEEP, group=3)).decode()

    assert not starts_group(encode(stamped(finished(failure_message=line))))


@pytest.mark.parametrize("record", EACH, ids=lambda record: type(record).__name__)
def test_a_glance_tells_a_fold_the_same(record: AnyRecord) -> None:
    [line] = lines = [encode(record)]
    seen = decode_headers(lines)
    if isinstance(record, Sweep):
        assert seen is None  # its format is to be judged first
        return
    assert seen is not None
    unread = {"metadata", "input", "output"}

    assert kind_of(seen[0]) is kind_of(record) is type(decode(line))
    for name in set(record.__struct_fields__) - unread:
        assert getattr(seen[0], name) == getattr(record, name)
    if isinstance(record, Intent):
        assert isinstance(seen[0], Intent)
        assert seen[0].input is not None
        bare = decode_headers([encode(replace(record, input=None))])
        assert bare is not None
        assert isinstance(bare[0], Intent)
        assert bare[0].input is None


@given(
    st.sampled_from([each for each in EACH if not isinstance(each, Sweep)]),
    st.integers(0, 2000),
    st.one_of(
        st.binary(max_size=2), st.sampled_from([b"\0", b"\xff", b'"', b"{", b"}", b"\\", b","])
    ),
    st.integers(0, 2),
)
def test_a_damage_that_is_no_line_is_none_at_a_glance_either(
    record: AnyRecord, place: int, bytes_: bytes, lost: int
) -> None:
    line = encode(record)[:-1]
    place %= len(line)
    damaged = line[:place] + bytes_.replace(b"\n", b" ") + line[place + lost :] + b"\n"
    try:
        whole = decode(damaged) is not None
    except ValueError:
        whole = False

    assert (decode_headers([damaged]) is not None) <= whole


def test_a_line_without_an_end_is_none_at_a_glance() -> None:
    assert decode_headers([encode(intent()), encode(submitted())[:-1]]) is None


def test_what_is_left_unread_is_text_all_the_same() -> None:
    line = encode(intent(metadata={"note": "here"}))
    assert decode_headers([line]) is not None

    damaged = line.replace(b"here", b"he\xffe")
    assert decode_headers([damaged]) is None
    with pytest.raises(ValueError, match="not a line"):
        decode(damaged)
