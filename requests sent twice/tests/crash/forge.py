"""A warm process: it has imported everything, and forks one life after the other.

    python -m crash.forge

Reads jobs from stdin, a JSON object a line, and answers with one each: `{job, pid}` when it has
begun, `{job, code}` when it is over. At the end of stdin it kills what is left, and goes.
"""

import functools
import gc
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

import anyio._backends._asyncio  # noqa: F401  (imported late by a run, so before the fork)
import httpcore  # noqa: F401  (likewise)
import httpx._transports.default as transports
import uvicorn.lifespan.off
import uvicorn.loops.asyncio
import uvicorn.protocols.http.h11_impl  # noqa: F401  (likewise)
from PIL import Image

from batchrun.cli import main
from batchrun.commands import init, run, schema, simulate, status  # noqa: F401  (likewise)
from crash.boundaries import Reaper, install


def serve() -> None:
    """Fork until there are no more jobs."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _warm()
    jobs: dict[int, int] = {}
    rest = b""
    while True:
        ready, _, _ = select.select([0, reading], [], [])
        if reading in ready:
            os.read(reading, 4096)
        _reap(jobs)
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _begin(json.loads(line), jobs)
    for pid in jobs:
        os.kill(pid, signal.SIGKILL)


def _warm() -> None:
    """Do once what each life would do again, and take longer for than for the rest of its life."""
    module: Any = transports
    create = module.create_ssl_context = functools.cache(module.create_ssl_context)
    create(verify=True, cert=None, trust_env=True)
    create(verify=True, cert=None, trust_env=False)
    Image.init()
    gc.freeze()


def _begin(job: dict[str, Any], jobs: dict[int, int]) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(_live(job))
    jobs[pid] = job["job"]
    _say(job=job["job"], pid=pid)


def _reap(jobs: dict[int, int]) -> None:
    while jobs:
        pid, status_word = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _say(job=jobs.pop(pid), code=os.waitstatus_to_exitcode(status_word))


def _say(**words: int) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _live(job: dict[str, Any]) -> int:
    """Be the command, in the child; what it prints goes to files."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder = Path(job["folder"])
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, end in ((1, "out"), (2, "err")):
        path = folder / f"{job['name']}.{end}"
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(job["environment"])
    reaper = Reaper(tuple(job["kill"]) if job["kill"] else None, folder / "outputs")
    if job["watched"]:
        install(reaper)
    code = main(job["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    if job["watched"]:
        reaper.passing("exit")
        passed = json.dumps(reaper.passed)
        (folder / f"{job['name']}.passed").write_text(passed, encoding="utf-8")
    return code


if __name__ == "__main__":
    serve()
