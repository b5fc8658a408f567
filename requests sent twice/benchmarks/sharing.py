"""What it costs to share the pace with other processes: CPU for each departure.

    python -m benchmarks.sharing

Beside it the limiter that shares nothing, in rounds between: its waits with an answer at once.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import anyio

from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.ratelimit.shared_pace import SharedPace, shared_pace

ENDPOINT, KEY = "http://127.0.0.1", "key"
FASTEST = 1e7  # calls a second: none has to wait
DEPARTURES, ROUNDS = 5000, 5

PEER = f"""
import sys
from pathlib import Path
from batchrun.runflow.ratelimit.shared_pace import shared_pace
with shared_pace(Path(sys.argv[1]), {ENDPOINT!r}, {KEY!r}, log=print) as shared:
    shared.claim(1 / {FASTEST})
    print(flush=True)
    sys.stdin.read()
"""


@contextmanager
def peer(folder: Path) -> Iterator[None]:
    """Count as one that shares, in a process of its own."""
    command = [sys.executable, "-c", PEER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


async def departures(shared: SharedPace | None) -> float:
    """Return the microseconds of CPU that a departure takes."""
    limiter = Limiter(Pace(FASTEST, jitter=Random(1).random), shared)
    began = time.process_time()
    for _ in range(DEPARTURES):
        limiter.well(await limiter.wait())
    return (time.process_time() - began) / DEPARTURES * 1e6


def measure(peers: int) -> dict[str, float]:
    """Return microseconds a departure, "shared" with so many *peers* and "alone"."""
    with tempfile.TemporaryDirectory() as base, ExitStack() as others:
        folder = Path(base, "pace")
        for _ in range(peers):
            others.enter_context(peer(folder))
        shared = others.enter_context(shared_pace(folder, ENDPOINT, KEY, log=print))
        rounds = [
            (anyio.run(departures, shared), anyio.run(departures, None)) for _ in range(ROUNDS)
        ]
    return {
        "shared": min(with_others for with_others, _ in rounds),
        "alone": min(without for _, without in rounds),
    }


def main() -> None:
    print("peers  shared µs  alone µs")
    for peers in (0, 1, 3, 10):
        found = measure(peers)
        print(f"{peers:>5}{found['shared']:>11.1f}{found['alone']:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
