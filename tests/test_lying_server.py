"""Each fault of the simulator, and the promises that it could break.

The command itself, in this process, against the simulator on a real socket. What holds under every
fault is checked under every fault; the table says how the first call ends. Then the faults cease,
and calling again has to reach what an undisturbed sweep reaches, and then to send nothing more.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from called import Sweep, ask, cease, created

from batchrun.ledger.records import Extra, Submitted
from batchrun.simulator.fault_kinds import KINDS
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

CELLS: Final = 6
CONCURRENCY: Final = 3
MANIFEST: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: "a chair", seed: {$range: [1, 6]}}
limits: {concurrency: 3, rate: 100/s, settle: 250ms, give_up: 30s}
poll: {interval: 50ms}
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """*code* is the first call's exit code, *counts* are what it says of the cells, if anything."""

    faults: Sequence[str]
    code: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    options: Sequence[str] = ()
    text: str = MANIFEST
    said: str = ""
    end: str = "succeeded"  # what all cells are in the end


LOST: Final = ("lost_answer:40%", "no_idempotency")
"""Doubts for a list that lies, and no key that would make up for it."""

GIVE_UP: Final = ("--give-up", "1s")
CANCELLED: Final = MANIFEST + "metadata: {simulate: {outcome: canceled}}\n"

TABLE: Final[Mapping[str, Sequence[Case]]] = {
    "slow": [Case(faults=["slow=0.3:50%"])],
    "throttle": [
        Case(faults=["throttle:20%"]),
        Case(faults=["throttle=1@3"]),
        Case(
            faults=["throttle=3600@4+/create"],
            code=8,
            counts={"succeeded": 3, "in_flight": 0, "unsaved": 0},
            said="the service takes no new run before ",
        ),
        Case(faults=["throttle=3600@9+/list+get"], code=8, said="answers no question before "),
    ],
    "unauthorized": [
        Case(faults=["unauthorized@3/create"], code=4),
        Case(faults=["unauthorized/auth"], code=4, counts={"pending": CELLS}),
    ],
    "forbidden": [Case(faults=["forbidden@3/create"], code=4)],
    "no_credit": [
        Case(faults=["no_credit@3"], code=5),
        Case(faults=["no_credit@3+~google/nano-banana-2"], code=5, counts={"succeeded": 2}),
        Case(faults=["no_credit~openai/gpt-image-1.5"]),
    ],
    "conflict_409": [Case(faults=["conflict_409@2"], code=3, counts={"in_doubt": 1})],
    "proxy_page": [
        Case(faults=["proxy_page=403:20%"]),
        Case(faults=["proxy_page=404/create"], code=8, options=GIVE_UP),
        Case(faults=["proxy_page=200/list"], code=8, options=GIVE_UP),
    ],
    "redirect": [
        Case(faults=["redirect:20%"]),
        Case(faults=["redirect=308/create"], code=8, options=GIVE_UP),
    ],
    "error_before": [
        Case(faults=["error_before:20%"]),
        Case(faults=["error_before=500:40%/create", "no_idempotency"]),
    ],
    "error_before_html": [Case(faults=["error_before_html:20%"])],
    "drop_before": [Case(faults=["drop_before:20%"])],
    "reset": [Case(faults=["reset:20%"])],
    "lost_answer": [Case(faults=LOST)],
    "error_after": [Case(faults=["error_after:40%", "no_idempotency"])],
    "error_after_html": [Case(faults=["error_after_html:40%", "no_idempotency"])],
    "reset_after": [Case(faults=["reset_after:40%", "no_idempotency"])],
    "half_answer": [Case(faults=["half_answer:40%", "no_idempotency"])],
    "cut_json": [Case(faults=["cut_json:40%", "no_idempotency"])],
    "no_run_id": [Case(faults=["no_run_id:40%", "no_idempotency"])],
    "last_answer": [Case(faults=["last_answer:40%", "no_idempotency"])],
    "list_refs": [
        Case(faults=[f"list_refs={how}", *LOST]) for how in ("upper", "cut", "prefix", "blank")
    ],
    "commit_lag": [Case(faults=["commit_lag=0.2", *LOST])],
    "list_lag": [Case(faults=["list_lag=0.2", *LOST])],
    "no_idempotency": [Case(faults=["no_idempotency", "error_after=503:40%"])],
    "list_no_filter": [Case(faults=["list_no_filter", *LOST])],
    "list_ignores_filter": [Case(faults=["list_ignores_filter", *LOST])],
    "list_empty_on_filter": [Case(faults=["list_empty_on_filter", *LOST])],
    "page_cap": [Case(faults=["page_cap=1", *LOST])],
    "next_pq": [Case(faults=["next_pq", "page_cap=2", *LOST])],
    "forget_run": [Case(faults=["forget_run@2,3"], code=3, counts={"parked": 2})],
    "stuck_queued": [
        Case(
            faults=["stuck_queued@2"],
            code=3,
            counts={"parked": 1, "succeeded": CELLS - 1},
            options=["--timeout", "5s"],  # the others end in 20 ms
        )
    ],
    "unknown_status": [
        Case(
            faults=["unknown_status=warming_up"],
            text=MANIFEST + "metadata: {simulate: {seconds: 1000}}\n",  # five, at this speed
            said="warming_up",
        )
    ],
    "spelling": [
        Case(faults=[fault], code=1, counts={"cancelled": CELLS}, text=CANCELLED, end="cancelled")
        for fault in ("spelling=cancelled", "spelling=canceled", "spelling=CANCELLED")
    ],
    "old_output": [Case(faults=["old_output"])],
    "data_output": [Case(faults=["data_output"])],
    "leave_out": [Case(faults=["leave_out=metadata/list", "leave_out=client_ref/list", *LOST])],
    "output_expired": [
        Case(faults=["output_expired:40%"]),
        Case(faults=["output_expired"], code=3, counts={"unsaved": CELLS, "succeeded": CELLS}),
    ],
    "output_cut": [Case(faults=["output_cut@2,5"])],
}

ELSEWHERE: Final = {
    "hang_before_commit": "test_signals.py",
    "hang_before_headers": "test_signals.py",
    "hang_after_headers": "test_hangs.py",
    "commit_late": "test_crash_matrix.py",
    "post_twice": "test_crash_virtual.py",
    "list_ends": "test_crash_virtual.py",
    "crowd": "test_post_outcomes.py",
    "no_run": "simulated.py",
    "commit_on_resend": "test_crash_matrix.py",
    "https_only": "test_uploader.py",
    "forget_asset": "test_uploader.py",
    "upload_expired": "test_uploader.py",
    **dict.fromkeys(
        (f"callback_{each}" for each in ("lost", "late", "reorder", "twice", "forged", "unsigned")),
        "test_simulator_deliveries.py",
    ),
    "callback_stranger": "test_simulator_deliveries.py",
    "callback_lies": "test_simulator_deliveries.py",
}
"""Faults that need time, a kill or a file, and where they are."""

CASES: Final = [
    pytest.param(case, id=" ".join(case.faults)) for cases in TABLE.values() for case in cases
]


def test_every_fault_of_the_simulator_is_in_the_table() -> None:
    assert set(TABLE) | set(ELSEWHERE) == set(KINDS)
    assert not set(TABLE) & set(ELSEWHERE)
    for fault, file in ELSEWHERE.items():
        assert fault in (Path(__file__).parent / file).read_text(), f"{fault} is not in {file}"


def assert_paid_once_and_nothing_lost(sweep: Sweep, url: str) -> None:
    stats = ask(url, "/_simulator/stats")
    known = {r.run_id for r in sweep.records() if isinstance(r, Submitted | Extra)}
    assert stats["twice"] == {}
    assert {run["id"] for run in ask(url, "/_simulator/runs")} <= known
    assert stats["most_in_flight"] <= CONCURRENCY


@pytest.mark.parametrize("case", CASES)
def test_under_the_fault_and_after_it_every_promise_is_kept(
    case: Case,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_0123456789")
    # Its state outlives a call: the next would wait a minute for what the first was refused.
    monkeypatch.setenv("BATCHRUN_PACE_FOLDER", "")
    faults = tuple(parse_fault(fault) for fault in case.faults)
    with embedded(None, settings=Settings(seed=3, speed=200, faults=faults)) as url:
        sweep = Sweep(tmp_path, url, case.text, capsys)
        code, first, said = sweep.call(*case.options)
        cease(url)
        calls = Counter({code: 1})
        while code not in {0, 1} and calls.total() < 4:
            code, report, _ = sweep.call()
            calls[code] += 1
        assert_paid_once_and_nothing_lost(sweep, url)
        before = created(url)
        last, report, _ = sweep.call()
        after = created(url)

    assert first["exit_code"] == case.code, said
    assert {name: first[name] for name in case.counts} == dict(case.counts)
    assert first["failed"] == first["rejected"] == 0, "infrastructure fails no cell"
    assert case.said in said
    assert last == (0 if case.end == "succeeded" else 1), calls
    assert report[case.end] == CELLS
    assert report["unsaved"] == report["in_doubt"] == report["parked"] == 0
    assert after == before, "a finished sweep created something"
    if case.end == "succeeded":
        files = [path for path in tmp_path.rglob("files/**/*") if path.is_file()]
        assert len(files) == CELLS
        assert all(re.search(r"\.(png|jpg|webp)$", path.name) for path in files)
