"""What a user waits for before anything happens: CPU, as ratios to what Python itself takes.

    python -m benchmarks.startup [--rounds R]

`help` is `batchrun --help` as its console script runs it, against `python -c pass`. `first request`
is all that a call on a sweep of four cells takes until its first request has arrived, against a
process that only imports what every such call needs and connects: `bare` the libraries by name,
`bare + asyncio` with the event loop that each of them runs on. `plan` is a whole call on that sweep
that has no key and sends nothing, its exit among it, against `bare to its end`, which only imports.

The first requests are CPU of all threads as Linux counts it (schedstat), read by the server in the
moment of that arrival; all are taken in turns, and the figures are medians. What an async program
can come down to is `bare + asyncio`, and h11, which httpx, too, imports with its first request: 6 %
of `bare`. What is left is our own modules, the manifest, the folder, and the ledger's first lines,
which are on disk before anything is sent.
"""

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

SCRIPT: Final = "from batchrun.cli import entry; entry()"
KEY: Final = "rf_live_benchmark"
BARE: Final = "import httpx, anyio, yaml, tqdm, msgspec"
CONNECT: Final = (
    "import socket, sys; peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    "peer.sendall(b'.'); peer.recv(1)"
)
MANIFEST: Final = "models: [a/b]\ninputs: {prompt: p, seed: [1, 2, 3, 4]}\n"


def of_process(*words: str) -> float:
    """Return milliseconds of CPU that `python` takes with *words*, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "m.yaml").write_text(MANIFEST, encoding="utf-8")
        command = [sys.executable, *words]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, cwd=folder, capture_output=True, env=_environ(key=""))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def until_connected(*words: str) -> float:
    """Return milliseconds of CPU that `python` takes until it says something to `PORT`."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        tempfile.TemporaryDirectory() as folder,
    ):
        port = str(listener.getsockname()[1])
        Path(folder, "m.yaml").write_text(MANIFEST, encoding="utf-8")
        command = [sys.executable, *(word.replace("PORT", port) for word in words)]
        with subprocess.Popen(command, cwd=folder, env=_environ(key=KEY)) as process:
            try:
                listener.settimeout(60)
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    return _used(process.pid)
            finally:
                process.kill()


def _used(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text("ascii").split()[0]) for task in tasks) / 1e6


def _environ(*, key: str) -> dict[str, str]:
    environ = {**os.environ, "RUNFLOW_API_KEY": key}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each start compiles all of batchrun
    return environ


def compare(rounds: int = 7) -> dict[str, float]:
    """Return the milliseconds of each case; the first round, which compiles, is left out."""
    found: dict[str, list[float]] = {}
    cases: dict[str, Callable[[], float]] = {
        "python": lambda: of_process("-c", "pass"),
        "help": lambda: of_process("-c", SCRIPT, "--help"),
        "bare to its end": lambda: of_process("-c", BARE),
        "plan": lambda: of_process("-c", SCRIPT, "plan", "m.yaml"),
        "bare": lambda: until_connected("-c", f"{BARE}; {CONNECT}", "PORT"),
        "bare + asyncio": lambda: until_connected(
            "-c", f"{BARE}, anyio._backends._asyncio; {CONNECT}", "PORT"
        ),
        "first request": lambda: until_connected(
            "-c", SCRIPT, "m.yaml", "--endpoint", "http://127.0.0.1:PORT"
        ),
    }
    for number in range(rounds + 1):
        for case, measured in cases.items():
            took = measured()
            if number:
                found.setdefault(case, []).append(took)
    return {case: median(each) for case, each in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    found = compare(parser.parse_args().rounds)
    for case, took in found.items():
        print(f"{case:<20}{took:>8.1f} ms CPU")
    print(f"help / python                  {found['help'] / found['python']:.2f}")
    print(f"plan / bare to its end         {found['plan'] / found['bare to its end']:.2f}")
    print(f"first request / bare           {found['first request'] / found['bare']:.2f}")
    with_loop = found["first request"] / found["bare + asyncio"]
    print(f"first request / bare + asyncio {with_loop:.2f}")


if __name__ == "__main__":
    main()
