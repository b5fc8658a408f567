"""What a sweep waits for, in one line, and only what is known."""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from batchrun.ledger import lock
from batchrun.ledger.file import open_ledger
from batchrun.ledger.lock import holder_of
from batchrun.results.waiting import Waiting


@pytest.mark.parametrize(
    ("waiting", "line"),
    [
        (Waiting(), ""),
        (Waiting(running=3), "waiting for 3 runs, the oldest for 4 min"),
        (Waiting(doubtful=1), "waiting for a look-up of 1 send in doubt, the oldest for 4 min"),
        (
            Waiting(running=1, doubtful=2, unpriced=1),
            (
                "waiting for 1 run, the oldest for 4 min; a look-up of 2 sends in doubt; "
                "the cost of 1 run, which is not known yet"
            ),
        ),
        (
            Waiting(pending=2, budget=Decimal("0.2"), spent=Decimal("0.16")),
            "waiting for a larger budget for 2 cells: 0.16 of 0.20 USD are spent",
        ),
        (
            Waiting(holder="pid 7 on here since noon"),
            "waiting for another process, which holds the ledger: pid 7 on here since noon",
        ),
    ],
)
def test_each_reason_has_its_words(waiting: Waiting, line: str) -> None:
    assert waiting.line("4 min") == line
    assert bool(waiting) == bool(line)


@pytest.mark.parametrize("table", [True, False])
def test_a_ledger_is_held_as_long_as_its_process_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, table: bool
) -> None:
    if not table:
        monkeypatch.setattr(lock, "_in_table", lambda *_: None)
    assert holder_of(tmp_path) is None

    with open_ledger(tmp_path):
        assert f"pid {os.getpid()} on " in str(holder_of(tmp_path))
        with pytest.raises(Exception, match="another batchrun holds"), open_ledger(tmp_path):
            pass  # to ask has not taken the lock from its holder

    if table:  # without it a process that is still there is all that is known
        assert holder_of(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"pid":"x","host":"h"}', '{"pid":0,"host":"elsewhere"}']
)
def test_an_odd_lock_file_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(lock, "_in_table", lambda *_: None)
    with open_ledger(tmp_path):
        pass
    (tmp_path / "lock").write_text(text)

    assert holder_of(tmp_path) is None
    dead = {"pid": 2**31 - 1, "host": os.uname().nodename, "since": "x"}
    (tmp_path / "lock").write_text(json.dumps(dead))
    assert holder_of(tmp_path) is None
