"""Programs that fork while a call is at work, such as with a pool of processes for their pictures."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

BEGIN = """\
import asyncio, os, signal, sys, time
from multiprocessing import get_context
import batchrun
from batchrun import errors

sweep = {
    "name": "chairs",
    "endpoint": sys.argv[1],
    "models": ["google/nano-banana-2"],
    "inputs": {"prompt": "a chair", "seed": {"$range": [1, 6]}},
    "limits": {"rate": "200/s", "settle": "100ms"},
    "poll": {"interval": "50ms"},
}
context = get_context("fork")

async def main():
    async with batchrun.stream(sweep) as results:
        await anext(results)
        await worked_on(results)
    print(results.end)
    await after()

async def after():
    pass
"""

POOL = """
async def worked_on(results):
    global pool
    pool = context.Pool(1)
    async for result in results:
        pool.apply(str, (result.files[0],))

async def after():
    print((await batchrun.run_async(sweep)).exit_code, "again")
    begun = time.monotonic()
    pool.close()
    pool.join()
    print(time.monotonic() - begun < 10, "soon")

asyncio.run(main())
"""

CHILD = """
def of_child(results):
    try:
        asyncio.run(anext(results))
    except errors.UsageError as error:
        print(error, flush=True)
    end = batchrun.run(sweep, label="of the child")
    print(end.exit_code, "of the child", flush=True)

async def worked_on(results):
    child = context.Process(target=of_child, args=(results,))
    child.start()
    async for result in results:
        pass
    await asyncio.to_thread(child.join)

asyncio.run(main())
"""

KILLED = """
if sys.argv[2:]:
    print(batchrun.run(sweep).exit_code, "again")
    sys.exit()

async def worked_on(results):
    child = context.Process(target=time.sleep, args=(60,))
    child.start()
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def endpoint() -> Iterator[str]:
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        yield url


def played(folder: Path, program: str, *words: str) -> tuple[int, list[str]]:
    """Return how a program ended, and the lines that it and its children said."""
    (folder / "program.py").write_text(BEGIN + program)
    with (folder / "said").open("w+") as said:  # a pipe would wait for a child that goes on
        done = subprocess.run(
            [sys.executable, "program.py", *words],
            check=False,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=folder,
            timeout=240,
            env={**os.environ, "RUNFLOW_API_KEY": "a-key"},
        )
    return done.returncode, (folder / "said").read_text().splitlines()


def test_a_pool_of_processes_holds_neither_the_ledger_nor_the_end(
    endpoint: str, tmp_path: Path
) -> None:
    code, said = played(tmp_path, POOL, endpoint)

    assert said == [
        "<End chairs: 6 of 6 cells succeeded, 0.48 USD, exit code 0>",
        "0 again",
        "True soon",
    ]
    assert code == 0


def test_a_call_is_over_in_a_child_which_may_begin_its_own(endpoint: str, tmp_path: Path) -> None:
    code, said = played(tmp_path, CHILD, endpoint)

    assert code == 0
    assert said[0].startswith("this call is at work in the process that this one was forked from")
    assert said[1:] == [
        "0 of the child",
        "<End chairs: 6 of 6 cells succeeded, 0.48 USD, exit code 0>",
    ]


def test_a_child_that_outlives_a_killed_program_does_not_hold_the_ledger(
    endpoint: str, tmp_path: Path
) -> None:
    code, [child] = played(tmp_path, KILLED, endpoint)
    try:
        assert code == -signal.SIGKILL
        assert played(tmp_path, KILLED, endpoint, "again") == (0, ["0 again"])
    finally:
        os.kill(int(child), signal.SIGKILL)
