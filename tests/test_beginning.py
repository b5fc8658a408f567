"""Which sweep a ledger is of: the last of the starts before its first run."""

import os
from pathlib import Path

import pytest

from batchrun.ledger.beginning import sweep_at_beginning


def start(sweep: str) -> str:
    return (
        f'{{"type":"sweep","at":"2026-05-01T00:00:00.000000Z","format":1,"sweep":"{sweep}",'
        '"name":"m","endpoint":"simulator","manifest_sha256":"0","version":"0.1.0"}\n'
    )


LOOKED = '{"type":"looked","at":"2026-05-01T00:00:00.000000Z","client_ref":"br1.a.1"}\n'
THROTTLED = '{"type":"throttled","since":"2026-05-01T00:00:00Z","step":10,"counts":[2]}\n'


@pytest.mark.parametrize(
    ("text", "sweep"),
    [
        (start("a"), "a"),
        (start("a") + start("a") + start("b") + LOOKED, "b"),  # refused, and then `--recover`
        (start("a") + LOOKED + start("b"), "a"),
        (start("a") + THROTTLED + start("b") + THROTTLED, "b"),  # refused for too many requests
        (start("a") + start("b")[:-1], "a"),  # a torn line
        (start("a") + "no JSON\n" + start("b"), "a"),
        ("", None),
        (LOOKED + start("a"), None),
        (start("a")[:-1], None),
    ],
)
def test_the_last_start_before_the_first_run_says_it(
    tmp_path: Path, text: str, sweep: str | None
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(text)
    fd = os.open(path, os.O_RDONLY)
    try:
        found = sweep_at_beginning(fd)
    finally:
        os.close(fd)

    assert (found and found.sweep) == sweep
