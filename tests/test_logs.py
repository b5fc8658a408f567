"""`batchrun logs`: the logs and the steps of a cell's runs, kept or asked of the service."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from ledger_lines import SWEEP, finished, intent, submitted
from msgspec.structs import replace

from batchrun.cli import main
from batchrun.commands import fetched_logs
from batchrun.commands.call import prepare
from batchrun.commands.connection import served
from batchrun.commands.target import Place
from batchrun.engine.kept_logs import (
    MOST_BYTES,
    has_logs,
    keep_logs,
    kept_logs,
    name_of,
)
from batchrun.ledger.records import AnyRecord, encode
from batchrun.results.log_words import LONGEST_TAIL, MOST_ON_PAGE, in_words, tail_of
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.run_logs import NONE, LogLine, NodeRun, RunLogs, log_line, logs_of_run
from batchrun.sweep.identity import Identity, write_identity

CELL = "ab" * 16
FIRST, SECOND = f"run-{CELL}-1", f"run-{CELL}-2"
Captured = pytest.CaptureFixture[str]
Sweep = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNFLOW_API_KEY", raising=False)
    monkeypatch.setattr(fetched_logs, "GIVE_UP", 0.01)


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Write a ledger of one cell that failed twice, or of *records*; return its folder."""

    def made(*records: AnyRecord) -> Path:
        lines = records or (
            intent(CELL),
            submitted(CELL),
            finished(CELL, status="failed"),
            intent(CELL, attempt=2),
            submitted(CELL, attempt=2),
            finished(CELL, attempt=2, status="failed"),
        )
        (tmp_path / "ledger.jsonl").write_bytes(b"".join(map(encode, (SWEEP, *lines))))
        endpoint = "http://127.0.0.1:9"
        write_identity(tmp_path, Identity(sweep=SWEEP.sweep, name="m", endpoint=endpoint))
        return tmp_path

    return made


def logs(run_id: str = FIRST, *, lines: int = 1, **changes: Any) -> RunLogs:
    said = [
        LogLine(at=f"2026-05-04T14:00:{n % 60:02}+02:00", level="error", message=f"word {n}")
        for n in range(lines)
    ]
    step = NodeRun(
        node="upscale",
        state="failed",
        started_at=None,
        duration_ms=1500,
        cost="0.04",
        retries=1,
        error="out of memory",
    )
    return replace(RunLogs(run_id=run_id, lines=tuple(said), node_runs=(step,)), **changes)


def test_kept_logs_are_shown_without_key_and_network_the_newest_attempt_last(
    sweep: Sweep, capsys: Captured
) -> None:
    folder = sweep()
    keep_logs(folder, CELL, logs(SECOND))
    keep_logs(folder, CELL, logs(FIRST))

    assert main(["logs", str(folder), CELL[:6]]) == 0

    shown = capsys.readouterr().out
    assert shown.index(f"attempt 1, run {FIRST}: failed") < shown.index(f"attempt 2, run {SECOND}")
    assert "  2026-05-04 12:00:00.000  error: word 0\n" in shown
    assert "  step upscale: failed, 1.5 s, 0.04 USD, 1 retries, out of memory\n" in shown
    assert "no logs" not in shown


def test_a_run_that_is_named_is_shown_alone_as_one_object(sweep: Sweep, capsys: Captured) -> None:
    folder = sweep()
    keep_logs(folder, CELL, logs(SECOND))

    assert main(["logs", str(folder), SECOND, "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["cell"], found["status"], found["left_out"]) == (CELL, "failed", None)
    assert [run["run_id"] for run in found["runs"]] == [SECOND]
    (run,) = found["runs"]
    assert (run["attempt"], run["status"], run["said"]) == (2, "failed", None)
    assert run["lines"] == [
        {"at": "2026-05-04T14:00:00+02:00", "level": "error", "message": "word 0"}
    ]
    assert run["node_runs"][0]["error"] == "out of memory"


def test_without_a_key_or_a_network_it_says_so(
    sweep: Sweep, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sweep()

    assert main(["logs", str(folder), CELL]) == 0
    said = "no logs: no key for http://127.0.0.1:9; put it into RUNFLOW_API_KEY"
    assert capsys.readouterr().out.count(said) == 2

    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_nothing_at_all")
    assert main(["logs", str(folder), CELL, "--json"]) == 0
    for run in json.loads(capsys.readouterr().out)["runs"]:
        assert run["said"].startswith("no logs: ")
        assert (run["lines"], run["node_runs"]) == ([], [])


def test_a_cell_without_a_run_and_one_that_is_not_there_say_so(
    sweep: Sweep, capsys: Captured
) -> None:
    folder = sweep(intent(CELL))

    assert main(["logs", str(folder), CELL]) == 0
    assert "the cell has no run" in capsys.readouterr().out
    assert main(["logs", str(folder), "ffff"]) == 2
    assert "no cell of the ledger has the key, the run or the file `ffff`" in (
        capsys.readouterr().err
    )
    assert main(["logs", str(folder / "nowhere.yaml"), CELL]) == 2


def test_only_the_newest_runs_are_shown_and_the_others_counted(
    sweep: Sweep, capsys: Captured
) -> None:
    made = [
        line
        for n in range(1, 14)
        for line in (intent(CELL, attempt=n), submitted(CELL, attempt=n), bad(n))
    ]
    folder = sweep(*made)

    assert main(["logs", str(folder), CELL, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["attempt"] for run in found["runs"]] == [*range(4, 14)]
    assert found["left_out"].startswith("3 earlier runs are left out")


def bad(attempt: int) -> AnyRecord:
    return finished(CELL, attempt=attempt, status="failed")


def test_a_service_that_was_simulated_shows_logs_and_steps(
    tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("models: [google/nano-banana-2]\ninputs: {prompt: x}\n")
    call = prepare(path, Place(endpoint="simulator"))
    with served(call.endpoint, call.folder) as url:
        made = httpx.post(
            f"{url}/v1/models/google/nano-banana-2/runs",
            json={"input": {"prompt": "a chair"}},
            headers={"Authorization": "Bearer simulator"},
        ).json()
    line = replace(SWEEP, endpoint=call.endpoint, label=None, name="m")
    lines = (line, intent(CELL), submitted(CELL, run_id=made["id"]))
    (call.folder / "ledger.jsonl").write_bytes(b"".join(map(encode, lines)))
    identity = Identity(sweep=line.sweep, name="m", endpoint="simulator", manifest=str(path))
    write_identity(call.folder, identity)

    assert main(["logs", str(path), CELL, "--endpoint", "simulator"]) == 0
    assert "info: run accepted" in capsys.readouterr().out


def test_a_call_whose_logs_are_missing_is_not_taken_for_one_with_nothing_to_do(
    tmp_path: Path, capsys: Captured
) -> None:
    path, folder = tmp_path / "m.yaml", tmp_path / "outputs" / "@simulator" / "m"
    path.write_text(
        "endpoint: simulator\nmodels: [google/nano-banana-2]\ninputs: {prompt: this will fail}\n"
        "limits: {rate: 100/s, settle: 100ms, attempts: 1}\npoll: {interval: 100ms}\n"
        "outputs: {logs: failed}\n"
    )
    folder.mkdir(parents=True)
    (folder / "logs").write_text("in the way")

    assert main([str(path), "--no-progress"]) == 1
    said = capsys.readouterr().err
    assert "the logs of 1 run are not kept; the next call asks for them" in said
    (folder / "logs").unlink()
    assert main([str(path), "--quiet"]) == 1
    assert len(list(folder.glob("logs/*/*.json"))) == 1
    assert "not kept" not in capsys.readouterr().err


# What services say.


def client(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    http = api_client("https://x.test", "key", connections=4, transport=httpx.MockTransport(answer))
    return Client(http, Limiter(Pace(1000, jitter=Random(1).random)), give_up=1.0)


@pytest.mark.parametrize("status", [204, 403, 404, 405])
@pytest.mark.parametrize("enveloped", [True, False])
async def test_a_service_that_refuses_logs_has_none(status: int, *, enveloped: bool) -> None:
    body = {"code": "NO", "message": "no", "errors": None} if enveloped else {"detail": "no"}

    found = await logs_of_run("r", client(lambda _: httpx.Response(status, json=body)).part_of_run)

    assert found == RunLogs(run_id="r", said=NONE)


async def test_what_a_run_says_that_it_has_not_is_not_asked_for() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"items": []})

    ask = client(answer).part_of_run

    assert await logs_of_run("r", ask, has_logs=False, has_node_runs=False) == RunLogs(
        run_id="r", said=NONE
    )
    assert asked == []
    assert (await logs_of_run("r", ask, has_logs=None, has_node_runs=False)).said == NONE
    assert asked == ["/v1/runs/r/logs"]


async def test_one_part_that_is_missing_is_named() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("node-runs"):
            return httpx.Response(404, json={"code": "NOT_FOUND", "message": "no"})
        return httpx.Response(200, json={"items": [{"message": "a"}]})

    found = await logs_of_run("r", client(answer).part_of_run)

    assert [line.message for line in found.lines] == ["a"]
    assert found.said == f"node-runs: {NONE}"


def test_the_end_of_long_logs_stands_on_the_page() -> None:
    lines = tuple(LogLine(at=None, level="info", message=f"step {n}") for n in range(99))
    short = tail_of(RunLogs(run_id="r", lines=lines))
    long = tail_of(
        RunLogs(run_id="r", lines=tuple(replace(each, message="x" * 999) for each in lines))
    )

    shown = short.splitlines()
    assert shown[0].strip() == "info: step 79"
    assert shown[-1] == f"the last {MOST_ON_PAGE} of 99 lines; the file shows them all"
    assert len(shown) == MOST_ON_PAGE + 1
    assert len(long) == LONGEST_TAIL
    assert long.startswith("…")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, ""),
        ({"message": None, "level_code": None, "timestamp": None}, ""),
        ({"message": "\x1b]0;title\x07", "level_code": {"x": 1}, "timestamp": 7}, "\\x1b]0;"),
        ({"message": ["a", {"b": None}], "level_code": True}, "['a', {'b': None}]"),
        ({"message": "x" * 5_000_000, "timestamp": "yesterday"}, "x"),
    ],
)
def test_odd_lines_are_read_and_shown(item: dict[str, Any], message: str) -> None:
    line = log_line(item)
    (shown,) = in_words(RunLogs(run_id="r", lines=(line,)))

    assert line.message.startswith(message)
    assert len(shown) < 2000
    assert shown.isprintable()


# What the folder keeps.


def test_logs_come_back_as_they_were_kept(tmp_path: Path) -> None:
    for run_id in ("01J0-x_Y", "../../etc/passwd", "a/b", "", "x" * 500, "鮫", "con\x00"):
        assert not has_logs(tmp_path, CELL, run_id)
        keep_logs(tmp_path, CELL, logs(run_id))
        name = name_of(CELL, run_id)

        assert name.count("/") == 2
        assert ".." not in name
        assert len(name) < 200
        assert kept_logs(tmp_path, CELL, run_id) == logs(run_id)
        assert has_logs(tmp_path, CELL, run_id)
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run_id": 7}', b"\xff\xfe", b"null"])
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    keep_logs(tmp_path, CELL, logs())
    (tmp_path / name_of(CELL, FIRST)).write_bytes(content)

    assert kept_logs(tmp_path, CELL, FIRST) is None


def test_of_logs_that_are_too_large_the_end_is_kept(tmp_path: Path) -> None:
    large = logs(lines=500)
    lines = tuple(
        replace(each, message=f"{n} " + "鮫" * 1000) for n, each in enumerate(large.lines)
    )
    keep_logs(tmp_path, CELL, replace(large, lines=lines))

    assert (tmp_path / name_of(CELL, FIRST)).stat().st_size <= MOST_BYTES + 1
    kept = kept_logs(tmp_path, CELL, FIRST)
    assert kept is not None
    assert kept.lines == lines[-len(kept.lines) :]
    assert kept.said == f"only the last {len(kept.lines)} lines and 1 steps are kept"


# `why`


def test_why_shows_the_end_of_kept_logs_without_network(sweep: Sweep, capsys: Captured) -> None:
    folder = sweep()
    fine = NodeRun(
        node="resize",
        state="succeeded",
        started_at=None,
        duration_ms=1,
        cost=None,
        retries=0,
        error=None,
    )
    many = logs(SECOND, lines=9)
    keep_logs(folder, CELL, replace(many, node_runs=(fine, *many.node_runs)))

    assert main(["why", str(folder), CELL]) == 0

    shown = capsys.readouterr().out
    assert f"logs of run {SECOND}:" in shown
    assert [f"word {n}" in shown for n in (3, 4, 8)] == [False, True, True]
    assert "step upscale: failed" in shown
    assert "step resize" not in shown
    assert "the last 5 of 9 lines; `--logs` shows them all" in shown
    assert main(["why", str(folder), CELL, "--logs"]) == 0
    assert "word 0" in capsys.readouterr().out
    assert main(["why", str(folder), FIRST]) == 0
    assert "logs of run" not in capsys.readouterr().out


def test_kept_logs_that_show_nothing_are_asked_for_again(sweep: Sweep, capsys: Captured) -> None:
    folder = sweep()
    keep_logs(folder, CELL, RunLogs(run_id=SECOND, said=NONE))

    assert main(["logs", str(folder), SECOND]) == 0
    assert NONE in capsys.readouterr().out  # no key: what is kept
