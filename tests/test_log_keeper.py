"""Logs are kept beside the cells after their runs, and are worth no wait and no stop."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine_world import World
from simulated import Runflow, answered, refused

from batchrun.base.values import KeepLogs
from batchrun.engine import log_keeper
from batchrun.engine.kept_logs import has_logs, kept_logs
from batchrun.engine.log_keeper import GIVEN_UP, LAST
from batchrun.errors import most_severe
from batchrun.ledger.history import State
from batchrun.runflow.run_logs import NONE, RunLogs

FOUR = "models: [a/b]\ninputs: {n: {$range: [1, 4]}}\nlimits: {concurrency: 2, attempts: 1}\n"
Reply = Callable[[httpx.Request], Any]


@dataclass(kw_only=True)
class Logging(Runflow):
    """*reply* answers questions for logs and node-runs; None: as the simulator does."""

    reply: Reply | None = None
    asked: Counter[str] = field(default_factory=Counter)
    asked_at: list[float] = field(default_factory=list)

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        part = request.url.path.rpartition("/")[2]
        if part in {"logs", "node-runs"}:
            self.asked[request.url.path] += 1
            self.asked_at.append(anyio.current_time())
            if self.reply is not None:
                found = self.reply(request)
                return await found if not isinstance(found, httpx.Response) else found
        return await super().serve(request, word)


def fails(n: int) -> str:
    return "failed" if n % 2 == 0 else "succeeded"


def world(tmp_path: Path, service: Logging, text: str = FOUR) -> World:
    return World(tmp_path, service, text=text)


def kept(tmp_path: Path, service: Runflow) -> dict[str, RunLogs | None]:
    return {each.id: kept_logs(tmp_path / "sweep", each.cell, each.id) for each in service.runs}


async def test_logs_of_failed_runs_are_kept_and_asked_for_once(tmp_path: Path) -> None:
    service = Logging(ending=fails)
    call = world(tmp_path, service)

    shutdown = await call.call(logs=KeepLogs.FAILED)

    assert not shutdown.codes
    found = kept(tmp_path, service)
    assert [found[run.id] is not None for run in service.runs] == [True, False, True, False]
    for run in service.runs[::2]:
        logs = found[run.id]
        assert logs is not None
        assert "PROVIDER_ERROR" in logs.lines[-1].message
        assert logs.node_runs[0].state == "failed"
        assert logs.said is None
    assert set(service.asked.values()) == {1}
    assert len(service.asked) == 4

    await call.call(logs=KeepLogs.FAILED)
    assert len(service.asked) == 4
    assert set(service.asked.values()) == {1}


async def test_each_failed_attempt_has_its_own(tmp_path: Path) -> None:
    service = Logging(ending=lambda _: "failed")
    await world(tmp_path, service, FOUR.replace("attempts: 1", "attempts: 3")).call(
        logs=KeepLogs.FAILED
    )

    found = kept(tmp_path, service)
    assert len(found) == 12
    assert None not in found.values()


@pytest.mark.parametrize(
    ("keep", "ending", "there"),
    [
        (KeepLogs.NONE, "failed", False),
        (KeepLogs.FAILED, "succeeded", False),
        (KeepLogs.FAILED, "cancelled", True),
        (KeepLogs.FAILED, "partial_succeeded", True),
        (KeepLogs.ALL, "succeeded", True),
        (KeepLogs.ALL, "failed", True),
    ],
)
async def test_the_setting_says_whose_logs_are_kept(
    tmp_path: Path, keep: KeepLogs, ending: str, *, there: bool
) -> None:
    service = Logging(ending=lambda _: ending)

    await world(tmp_path, service).call(logs=keep, download=False)

    assert {each is not None for each in kept(tmp_path, service).values()} == {there}
    assert bool(service.asked) is there
    assert (tmp_path / "sweep" / "logs").exists() is there


async def hang(_: httpx.Request) -> httpx.Response:
    await anyio.sleep_forever()
    raise AssertionError


async def reset(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset", request=request)


FAULTS: dict[str, Reply] = {
    "500": lambda _: refused(500, "INTERNAL", "no"),
    "503 html": lambda _: httpx.Response(503, text="<html>"),
    "401": lambda _: refused(401, "UNAUTHORIZED", "no"),
    "429": lambda _: refused(429, "RATE_LIMITED", "no"),
    "no JSON": lambda _: httpx.Response(200, text="{"),
    "hang": hang,
    "reset": reset,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_logs_that_cannot_be_had_end_no_call_and_hold_up_no_slot(
    tmp_path: Path, fault: str
) -> None:
    service = Logging(ending=lambda _: "failed", reply=FAULTS[fault])
    call = world(tmp_path, service)
    began = anyio.current_time()

    shutdown = await call.call(logs=KeepLogs.FAILED)

    assert most_severe(shutdown.codes) == 0
    states = [call.book().history(run.cell).state for run in service.runs]
    assert states == [State.FAILED] * 4
    # Two at a time, ten seconds each: the second two begin when the slots of the first are free.
    assert service.runs[-1].created - service.runs[0].created < 20
    assert anyio.current_time() - began < 20 + 15 + LAST
    assert not any(has_logs(call.folder, run.cell, run.id) for run in service.runs)
    assert shutdown.unkept == 4
    assert "the logs of 4 runs are not kept; the next call asks for them" in call.listener.notes


async def test_logs_do_not_make_a_call_that_is_done_one_that_is_not(tmp_path: Path) -> None:
    service = Logging(ending=lambda _: "failed", reply=hang)

    shutdown = await world(tmp_path, service).call(logs=KeepLogs.FAILED, max_duration=40.0)

    assert (shutdown.codes, shutdown.notes) == ([], [])
    assert shutdown.unkept == 4


@pytest.mark.parametrize("status", [204, 403, 404, 405])
async def test_a_refusal_is_an_answer_that_is_kept(tmp_path: Path, status: int) -> None:
    service = Logging(ending=fails, reply=lambda _: refused(status, "NO", "no"))
    call = world(tmp_path, service)

    shutdown = await call.call(logs=KeepLogs.FAILED)
    asked = service.asked.total()
    await call.call(logs=KeepLogs.FAILED)

    assert (most_severe(shutdown.codes), shutdown.unkept) == (0, 0)
    run = service.runs[0]
    assert kept(tmp_path, service)[run.id] == RunLogs(run_id=run.id, said=NONE)
    assert service.asked.total() == asked


async def test_the_next_call_fetches_what_is_missing(tmp_path: Path) -> None:
    service = Logging(ending=fails)
    call = world(tmp_path, service)
    await call.call()
    assert not service.asked

    await call.call(logs=KeepLogs.FAILED)

    assert sum(each is not None for each in kept(tmp_path, service).values()) == 2
    assert service.asked.total() == 4


async def test_what_a_run_has_not_is_not_asked_for(tmp_path: Path) -> None:
    none = {"has_logs": False, "has_node_runs": False}
    service = Logging(ending=lambda _: "failed", edit_run=lambda run: run | none)

    await world(tmp_path, service).call(logs=KeepLogs.FAILED)

    assert not service.asked
    assert {each and each.said for each in kept(tmp_path, service).values()} == {NONE}


async def test_no_further_logs_are_asked_for_after_some_in_vain(tmp_path: Path) -> None:
    service = Logging(ending=lambda _: "failed", reply=hang)
    text = FOUR.replace("[1, 4]", "[1, 40]").replace("concurrency: 2", "concurrency: 1")
    call = world(tmp_path, service, text)

    shutdown = await call.call(logs=KeepLogs.FAILED)

    assert service.asked.total() == GIVEN_UP
    assert shutdown.unkept == 40
    assert sum("could not be kept: no answer in 60 s" in note for note in call.listener.notes) == 1


async def test_a_folder_that_takes_no_logs_ends_no_call(tmp_path: Path) -> None:
    service = Logging(ending=lambda _: "failed")
    call = world(tmp_path, service)
    call.folder.mkdir()
    (call.folder / "logs").write_text("a file of mine")

    shutdown = await call.call(logs=KeepLogs.FAILED)

    assert most_severe(shutdown.codes) == 0
    assert any("could not be kept: can't write" in note for note in call.listener.notes)
    assert len(service.asked) == 2
    assert (call.folder / "logs").read_text() == "a file of mine"


async def test_logs_wait_until_no_other_call_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_keeper, "PATIENCE", 1000.0)
    service = Logging(ending=lambda _: "failed", duration=lambda _: 1.0)
    text = (
        "models: [a/b]\ninputs: {n: {$range: [1, 100]}}\n"
        "limits: {concurrency: 100, rate: 2/s, attempts: 1, batch: 1}\n"
    )
    await world(tmp_path, service, text).call(logs=KeepLogs.FAILED)

    last_post = service.posts[-1][0]
    assert sum(at < last_post - 5 for at in service.asked_at) < 10


async def test_odd_logs_are_kept_as_far_as_they_can_be_read(tmp_path: Path) -> None:
    odd: list[Any] = [
        None,
        7,
        "x",
        [],
        {"message": "\x1b[2J", "level_code": None},
        {"message": {"a": [1]}},
    ]
    pages = {"items": odd * 1000, "next": "again"}
    service = Logging(ending=lambda _: "failed", reply=lambda _: answered(200, pages))

    await world(tmp_path, service).call(logs=KeepLogs.FAILED)

    for logs in kept(tmp_path, service).values():
        assert logs is not None
        assert logs.lines[0].message == "\\x1b[2J"
        assert len(logs.lines) == 500
        assert "only the first 500 are shown" in str(logs.said)


async def test_a_run_whose_id_is_a_path_writes_nothing_elsewhere(tmp_path: Path) -> None:
    def renamed(run: dict[str, Any]) -> dict[str, Any]:
        return run | {"id": f"../../../{run['id']}"}

    service = Logging(
        ending=lambda _: "failed", edit_run=renamed, reply=lambda _: answered(200, {"items": []})
    )
    text = FOUR.replace("$range: [1, 4]", "$range: [1, 1]")

    await world(tmp_path, service, text).call(logs=KeepLogs.FAILED, settle=0.1)

    assert not {folder for folder in _with_json(tmp_path) if folder[:2] != ("sweep", "logs")}


def _with_json(below: Path) -> set[tuple[str, ...]]:
    """Return the folders that hold files of JSON, but for that of the sweep."""
    folders = {path.parent.relative_to(below).parts for path in below.rglob("*.json")}
    return folders - {("sweep",)}
