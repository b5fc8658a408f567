"""The functions for Python programs: what they take, give and raise, on asyncio and trio."""

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import batchrun
from batchrun import errors
from batchrun.ledger.records import Intent, Saved, Submitted
from batchrun.python import running
from batchrun.python.running import Running
from batchrun.runflow.ratelimit import process_pace
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

PROMPTS = ["a red chair", "a blue chair", "a green chair", "a grey chair"]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("RUNFLOW_API_KEY", "a-key")
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        yield url


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chairs(url: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "chairs",
        "endpoint": url,
        "models": [{"id": "google/nano-banana-2", "alias": "banana"}],
        "inputs": {"prompt": PROMPTS},
        "limits": {"rate": "200/s", "settle": "100ms"},
        "poll": {"interval": "50ms"},
        **more,
    }


def slow(url: str) -> dict[str, Any]:
    """A sweep that isn't over before a test has left it."""
    inputs = {"prompt": "a chair", "seed": {"$range": [1, 200]}}
    return chairs(url, inputs=inputs, limits={"rate": "10/s", "concurrency": 2, "batch": 1})


def at_work() -> list[Running]:
    """Return the calls that are still at work in this process."""
    return [each for each in running.all_running() if each.alive]


def test_run_returns_how_a_call_ended(endpoint: str, capfd: pytest.CaptureFixture[str]) -> None:
    end = batchrun.run(chairs(endpoint), label="a night")

    assert end.exit_code == 0
    assert end.complete
    assert (end.counts.cells, end.counts.succeeded) == (4, 4)
    assert end.cost == Decimal("0.32")
    assert (end.name, end.label, end.endpoint) == ("chairs", "a night", endpoint)
    assert end.as_dict()["cost"] == "0.32"
    assert end.models["banana"].tally.succeeded == 4
    assert end.models["banana"].cost == Decimal("0.32")
    assert end.failures == ()
    assert [result.axes["prompt"] for result in end.results] == PROMPTS
    assert all(path.stat().st_size for result in end.results for path in result.files)
    assert repr(end) == "<End chairs: 4 of 4 cells succeeded, 0.32 USD, exit code 0>"
    assert not at_work()
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_progress_is_shown_on_stderr_alone(
    endpoint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = chairs(endpoint, models=["google/nano-banana-2", "no/such-model"])

    with contextlib.suppress(errors.ManifestError):
        batchrun.run(manifest, progress=True)
    end = batchrun.run(chairs(endpoint), progress=True)

    assert end.exit_code == 0
    assert capfd.readouterr().out == ""


def test_a_plan_says_what_a_call_would_cost(endpoint: str) -> None:
    manifest = batchrun.load(chairs(endpoint))

    plan = batchrun.plan(manifest, limit=3)

    assert (plan.cells, plan.done, plan.to_do, plan.later) == (4, 0, 3, 1)
    assert plan.expected == Decimal("0.24")
    assert plan.models[0].alias == "banana"
    assert plan.models[0].to_do == 3
    assert "nothing was sent" in str(plan)
    assert plan.as_dict()["plan"]["to_do"] == 3
    assert not plan.outputs.exists()


async def test_a_plan_can_be_made_inside_an_event_loop(endpoint: str) -> None:
    assert batchrun.plan(chairs(endpoint)).to_do == 4


async def test_stream_gives_each_result_and_at_last_the_end(endpoint: str) -> None:
    results = batchrun.stream(chairs(endpoint))

    found = [result async for result in results]

    assert sorted(result.axes["prompt"] for result in found) == sorted(PROMPTS)
    assert all(result.succeeded and result.files[0].exists() for result in found)
    assert results.end.exit_code == 0
    assert not at_work()


async def test_run_async_does_what_run_does(endpoint: str) -> None:
    end = await batchrun.run_async(chairs(endpoint))

    assert (end.exit_code, end.counts.succeeded) == (0, 4)


async def test_run_inside_an_event_loop_names_what_works_there(endpoint: str) -> None:
    with pytest.raises(errors.UsageError, match=r"await batchrun\.run_async"):
        batchrun.run(chairs(endpoint))


@pytest.mark.parametrize("function", [batchrun.plan, batchrun.run])
async def test_a_thread_of_an_event_loop_may_call_what_blocks(
    function: Callable[..., Any], endpoint: str, anyio_backend_name: str
) -> None:
    if anyio_backend_name == "asyncio":
        called = await asyncio.to_thread(function, chairs(endpoint))
    else:
        called = await anyio.to_thread.run_sync(function, chairs(endpoint))

    assert called.name == "chairs"


async def test_a_loop_left_by_break_leaves_a_call_that_the_next_goes_on_with(
    endpoint: str,
) -> None:
    async for result in batchrun.stream(slow(endpoint)):
        assert result.succeeded
        break

    # It takes the ledger over from the call that is about to stop.
    end = await batchrun.run_async(slow(endpoint), limit=1)

    assert end.exit_code == 3
    assert end.counts.succeeded >= 1
    assert not at_work()
    once_each(end.outputs)


async def test_an_error_in_the_body_leaves_the_ledger_whole(endpoint: str) -> None:
    manifest = slow(endpoint)

    async def body() -> None:
        async with batchrun.stream(manifest) as results:
            async for _ in results:
                raise ValueError("of the body")

    with pytest.raises(ValueError, match="of the body"):
        await body()

    assert not at_work()
    end = await batchrun.run_async(manifest, limit=1)
    assert end.exit_code == 3
    once_each(end.outputs)


async def test_aclose_waits_for_the_call(endpoint: str) -> None:
    async with contextlib.aclosing(batchrun.stream(slow(endpoint))) as results:
        async for _ in results:
            break

    assert not at_work()
    assert results.end.exit_code == 3
    assert [each async for each in results] == []


async def test_a_cancelled_loop_leaves_the_call_before_it_goes_on(endpoint: str) -> None:
    manifest, came = slow(endpoint), []

    async def follow(scope: anyio.CancelScope) -> None:
        with scope:
            async for result in batchrun.stream(manifest):
                came.append(result)
                if len(came) == 2:
                    scope.cancel()

    await follow(anyio.CancelScope())

    assert len(came) == 2
    assert not at_work()
    end = await batchrun.run_async(manifest, limit=1)
    assert end.counts.succeeded >= 2
    once_each(end.outputs)


async def test_other_tasks_have_their_turn_between_results_that_are_there(endpoint: str) -> None:
    await batchrun.run_async(chairs(endpoint))
    turns = ""

    async def other(scope: anyio.CancelScope) -> None:
        nonlocal turns
        with scope:
            while True:
                turns += "o"
                await anyio.lowlevel.checkpoint()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other, scope)
        async for _ in batchrun.stream(chairs(endpoint)):
            turns += "R"
        scope.cancel()

    assert turns.count("R") == 4
    assert "RRR" not in turns  # trio shuffles the tasks of a round, so two may come together


async def test_the_end_of_a_call_is_not_known_before_it_is_over(endpoint: str) -> None:
    async with batchrun.stream(slow(endpoint)) as results:
        with pytest.raises(errors.UsageError, match="isn't over"):
            _ = results.end


async def test_a_rerun_yields_the_whole(endpoint: str) -> None:
    first = {result.cell: result async for result in batchrun.stream(chairs(endpoint))}

    again = [result async for result in batchrun.stream(chairs(endpoint))]

    assert [result.axes["prompt"] for result in again] == PROMPTS
    assert {result.cell: result for result in again} == first


async def test_two_streams_of_one_task_group_go_on_together(endpoint: str) -> None:
    found: dict[str, list[batchrun.Result]] = {"one": [], "two": []}

    async def follow(name: str) -> None:
        async for result in batchrun.stream(chairs(endpoint), label=name):
            found[name].append(result)

    async with anyio.create_task_group() as tasks:
        for name in found:
            tasks.start_soon(follow, name)

    assert [len(each) for each in found.values()] == [4, 4]


async def test_two_streams_of_one_program_keep_to_one_pace(endpoint: str) -> None:
    async with (
        batchrun.stream(slow(endpoint), label="one") as one,
        batchrun.stream(slow(endpoint), label="two") as two,
    ):
        await anext(one)
        await anext(two)

        assert [len(pace) for pace, _ in process_pace._paces.values()] == [2]

    assert not process_pace._paces


async def test_a_second_call_of_one_sweep_is_refused_while_the_first_is_at_work(
    endpoint: str,
) -> None:
    async with batchrun.stream(slow(endpoint)) as results:
        async for _ in results:
            with pytest.raises(errors.LedgerLockedError, match="another call of this program"):
                await batchrun.run_async(slow(endpoint))
            break


async def test_what_keeps_a_call_from_beginning_is_raised(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNFLOW_API_KEY")

    with pytest.raises(errors.UsageError, match="RUNFLOW_API_KEY"):
        async for _ in batchrun.stream(chairs(endpoint)):
            pass


def test_an_interrupt_while_a_call_begins_leaves_none_at_work(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "batchrun chairs":
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)

    with pytest.raises(KeyboardInterrupt):
        batchrun.run(slow(endpoint))

    assert not at_work()


def test_an_interrupt_while_python_ends_has_calls_leave_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = Running(lambda _: pytest.fail("it does not begin"), Path("chairs"))
    waits: list[float | None] = []

    def interrupted(_: Running, seconds: float | None = None) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Running, "join", interrupted)
    monkeypatch.setattr(Running, "alive", property(lambda _: True))
    monkeypatch.setattr(running, "all_running", lambda: [left])

    running._leave_all()

    assert waits == [running.AT_EXIT] * 2
    assert left.asked_to_stop == [running.LEFT] * 2  # the second time, at once


def test_what_stops_a_call_is_no_error_but_the_end_of_it(endpoint: str) -> None:
    end = batchrun.run(chairs(endpoint), budget="0.16")

    assert end.exit_code == 6
    assert [type(error) for error in end.errors] == [errors.BudgetReachedError]
    assert end.counts.pending == 2


def test_a_ledger_is_read_without_a_lock_and_typed(endpoint: str) -> None:
    end = batchrun.run(chairs(endpoint))

    ledger = batchrun.read_ledger(end.outputs)

    assert ledger.cost == end.cost
    assert ledger.counts.succeeded == 4
    assert list(ledger.results) == list(end.results)
    assert ledger.models == end.models
    assert (ledger.name, ledger.endpoint, ledger.sweep) == ("chairs", endpoint, end.sweep)
    records = list(ledger)
    assert sum(isinstance(each, Intent) for each in records) == 4
    assert sum(isinstance(each, Saved) for each in records) == 4


def test_a_folder_without_a_sweep_has_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="there is no sweep"):
        batchrun.read_ledger(tmp_path)


def test_a_data_file_that_has_changed_since_is_to_be_loaded_again(
    endpoint: str, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("prompt\na red chair\n")
    mapping = chairs(endpoint, rows="rows.csv")
    del mapping["inputs"]
    manifest = batchrun.load(mapping)
    rows.write_text("prompt\na blue chair\n")

    with pytest.raises(errors.UsageError, match=r"rows\.csv has changed .*load it again"):
        batchrun.plan(manifest)


def test_the_options_are_those_of_the_command_line(endpoint: str) -> None:
    end = batchrun.run(
        chairs(endpoint),
        only={"prompt": [PROMPTS[0], PROMPTS[2]]},
        outputs="elsewhere",
        timeout=timedelta(minutes=5),
        budget=Decimal("1.50"),
    )

    assert end.counts.succeeded == 2
    assert end.outputs.is_relative_to(Path("elsewhere").absolute())
    assert "--budget 1.50" in end.next


def once_each(folder: Path) -> None:
    """Assert that no cell has a second run."""
    runs = {
        (each.cell, each.run_id)
        for each in batchrun.read_ledger(folder)
        if isinstance(each, Submitted)
    }
    assert len(runs) == len({cell for cell, _ in runs}) > 0


SCRIPT = """\
import os, signal, sys, threading, time
from pathlib import Path
import batchrun

def interrupt():
    while b'"submitted"' not in b"".join(map(Path.read_bytes, Path().rglob("ledger.jsonl"))):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
threading.Thread(target=interrupt).start()
try:
    batchrun.run(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
assert handlers == [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
from batchrun.python.running import all_running
assert not any(each.alive for each in all_running())
"""

LEAVING = """\
import asyncio, sys
import batchrun

async def main():
    global results
    results = batchrun.stream(sys.argv[1])
    async for result in results:
        break

asyncio.run(main())
print("left")
"""


@pytest.mark.parametrize(("script", "says"), [(SCRIPT, "interrupted\n"), (LEAVING, "left\n")])
def test_a_script_that_is_left_early_ends_soon_and_the_next_goes_on(
    script: str, says: str, endpoint: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        textwrap.dedent(f"""\
        name: chairs
        endpoint: {endpoint}
        models: [google/nano-banana-2]
        inputs: {{prompt: a chair, seed: {{$range: [1, 500]}}}}
        limits: {{rate: 20/s, concurrency: 2, batch: 1}}
        poll: {{interval: 50ms}}
        """)
    )
    (tmp_path / "script.py").write_text(script)

    done = subprocess.run(
        [sys.executable, "script.py", str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env=dict(os.environ),
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, says, "")
    end = batchrun.run(path, limit=1)
    assert end.exit_code == 3
    once_each(end.outputs)
