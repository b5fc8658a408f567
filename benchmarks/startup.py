"""What a user waits for before anything happens: CPU, as ratios to what Python itself takes.

    python -m benchmarks.startup [--rounds R]

`help` is `batchrun --help` as its console script runs it, against `python -c pass`. `first request`
is all that a call on a sweep of four cells takes until its first request has arrived, against a
process that only imports what every such call needs and connects: `bare` the libraries by name,
`bare + asyncio` with the event loop that each of them runs on.

Both are CPU of all threads as Linux counts it (schedstat), read by the server in the moment of
that arrival, in turns; the figures are medians.
"""

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

SCRIPT: Final = "from batchrun.cli import entry; entry()"
BARE: Final = "import httpx, anyio, yaml, tqdm, msgspec"
CONNECT: Final = (
    "import socket, sys; peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    "peer.sendall(b'.'); peer.recv(1)"
)
MANIFEST: Final = "models: [a/b]\ninputs: {prompt: p, seed: [1, 2, 3, 4]}\n"


def of_process(*words: str) -> float:
    """Return milliseconds of CPU that `python` takes with *words*, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=_environ())
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
        with subprocess.Popen(command, cwd=folder, env=_environ()) as process:
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


def _environ() -> dict[str, str]:
    environ = {**os.environ, "RUNFLOW_API_KEY": "rf_live_benchmark"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each start compiles all of batchrun
    return environ


def compare(rounds: int = 7) -> dict[str, float]:
    """Return the milliseconds of each case; the first round, which compiles, is left out."""
    found: dict[str, list[float]] = {}
    cases = {
        "python": lambda: of_process("-c", "pass"),
        "help": lambda: of_process("-c", SCRIPT, "--help"),
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
    print(f"first request / bare           {found['first request'] / found['bare']:.2f}")
    with_loop = found["first request"] / found["bare + asyncio"]
    print(f"first request / bare + asyncio {with_loop:.2f}")


if __name__ == "__main__":
    main()
