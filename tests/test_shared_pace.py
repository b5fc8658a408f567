"""One pace for several processes: the file, its locks, and what becomes of them in accidents."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import floor
from pathlib import Path

import pytest
from processes import PATIENCE, ask, simulator, start

from batchrun.commands.connection import pace_folder
from batchrun.runflow.ratelimit.kinds import Kind
from batchrun.runflow.ratelimit.shared_pace import SharedPace, shared_pace
from batchrun.runflow.ratelimit.shared_pace_state import SharedPaceState, decode, encode

KEY = "rf_live_do_not_tell"
URL = "https://api.example"


class Clock:
    """Begins where the machine's stands, because other processes read that."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


def silent(_message: str) -> None:
    pass


@contextmanager
def sharing(folder: Path, **more: str) -> Iterator[SharedPace]:
    with shared_pace(folder, more.get("url", URL), more.get("key", KEY), log=silent) as shared:
        assert shared is not None
        yield shared


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# A process of its own: counts as one that shares, does what its words say, and waits to be ended.
MEMBER = """
import sys, fcntl, os
from pathlib import Path
from batchrun.runflow.ratelimit.shared_pace import shared_pace
folder, interval, then = sys.argv[1:]
with shared_pace(Path(folder), "https://api.example", "rf_live_do_not_tell", log=print) as shared:
    shared.claim(float(interval))
    if then == "lock":
        shared._lock(0)
    if then == "pause":
        shared.hold(3600.0)
    print("here", flush=True)
    sys.stdin.read()
"""


@contextmanager
def member(folder: Path, interval: float, then: str = "") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", MEMBER, str(folder), str(interval), then]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        try:
            yield process
        finally:
            process.kill()


def test_alone_the_file_changes_nothing(tmp_path: Path) -> None:
    clock = Clock()
    shared = SharedPace(tmp_path / "pace", clock=clock)

    assert shared.claim(0.5) == 0.0
    assert shared.claim(0.5) == pytest.approx(0.5, abs=1e-5)
    clock.now += 0.51
    assert shared.claim(0.5) == 0.0
    shared.close()


def test_neither_key_nor_endpoint_can_be_read_in_the_folder_which_is_the_user_s_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "pace"
    with sharing(folder) as shared:
        shared.claim(0.5)
        shared.hold(1.0)

    path = the_file(folder)
    text = path.name.encode() + path.read_bytes()
    assert KEY.encode() not in text
    assert b"example" not in text
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_key_or_another_endpoint_is_another_pace(tmp_path: Path) -> None:
    with sharing(tmp_path / "pace"):
        pass
    with sharing(tmp_path / "pace", key="another"), sharing(tmp_path / "pace", url="https://b"):
        pass

    assert len(list((tmp_path / "pace").iterdir())) == 3


@pytest.mark.parametrize("what", ["readable", "a link", "a file", "somebody else's"])
def test_a_folder_that_others_have_a_hand_in_is_not_used(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, said = tmp_path / "pace", list[str]()
    match what:
        case "readable":
            folder.mkdir(mode=0o755)
        case "a link":
            (tmp_path / "real").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "real")
        case "a file":
            folder.touch()
        case _:
            folder.mkdir(mode=0o700)
            monkeypatch.setattr(os, "getuid", lambda: 12345)

    with shared_pace(folder, URL, KEY, log=said.append) as shared:
        assert shared is None

    assert len(said) == 1
    assert said[0].startswith("paces alone: ")


def test_a_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "pace"
    with sharing(folder):
        path = the_file(folder)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")

    with shared_pace(folder, URL, KEY, log=silent) as shared:
        assert shared is None

    assert not (tmp_path / "elsewhere").exists()


def test_without_a_folder_nothing_is_shared(tmp_path: Path) -> None:
    with shared_pace(None, URL, KEY, log=silent) as shared:
        assert shared is None


def test_garbage_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "pace"
    path.write_bytes(b"not a register, by any means")
    clock = Clock()
    shared = SharedPace(path, clock=clock)

    assert shared.claim(0.5) == 0.0

    assert decode(path.read_bytes()[:40], clock.now).last == clock.now
    shared.close()


def test_a_file_from_before_the_machine_was_started_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pace"
    clock = Clock()
    path.write_bytes(encode(SharedPaceState(clock.now + 1e6, clock.now + 5e6, [60.0, 0.5])))
    shared = SharedPace(path, clock=clock)

    assert shared.claim(0.1) <= 0.1 + 1e-5
    clock.now += 0.2
    assert shared.claim(0.1) == 0.0
    shared.close()


def test_a_disk_that_fails_leaves_the_process_to_pace_alone(tmp_path: Path) -> None:
    said: list[str] = []
    full = tmp_path / "pace"
    full.touch()
    shared = SharedPace(full, log=said.append)
    os.dup2(os.open("/dev/full", os.O_RDWR), shared._file)

    assert shared.claim(0.5) == 0.0
    assert shared.claim(0.5) == 0.0
    assert len(said) == 1
    assert "No space left" in said[0]


def test_a_claim_in_which_the_process_was_stopped_is_made_again(tmp_path: Path) -> None:
    now, moments = time.monotonic(), iter((0.0, 5.0, 5.1))
    shared = SharedPace(tmp_path / "pace", clock=lambda: now + next(moments))

    assert shared.claim(0.05) > 0, "others may have left meanwhile"
    shared._clock = lambda: now + 5.2
    assert shared.claim(0.05) == 0.0
    shared.close()


def test_old_files_are_thrown_away(tmp_path: Path) -> None:
    folder = tmp_path / "pace"
    with sharing(folder, key="old"):
        old = the_file(folder)
    eight_days = time.time() - 8 * 86400
    os.utime(old, (eight_days, eight_days))

    with sharing(folder):
        assert not old.exists()


def test_nothing_of_anybody_else_s_is_thrown_away(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    letter = folder / "letter.txt"
    letter.touch()
    eight_days = time.time() - 8 * 86400
    os.utime(letter, (eight_days, eight_days))

    with sharing(folder):
        assert letter.exists()


def test_without_a_temporary_folder_a_process_paces_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.delenv("BATCHRUN_PACE_FOLDER")
    monkeypatch.setattr(tempfile, "gettempdir", none)

    assert pace_folder(KEY) is None


def test_a_file_thrown_away_under_a_process_is_made_again(tmp_path: Path) -> None:
    path, clock = tmp_path / "pace", Clock()
    shared = SharedPace(path, clock=clock)
    shared.claim(0.1)
    path.unlink()
    clock.now += 1.0

    while (wait := shared.claim(0.1)) > 0:
        clock.now += wait

    assert decode(path.read_bytes(), clock.now).last == clock.now
    shared.close()


@pytest.mark.slow
def test_the_slowest_process_sets_the_pace_until_it_is_killed(tmp_path: Path) -> None:
    with member(tmp_path / "pace", 3600.0) as slow, sharing(tmp_path / "pace") as shared:
        shared._clock = clock = Clock()
        assert shared.claim(0.01) == 1.0, "asked again each second"
        slow.kill()
        slow.wait()
        clock.now += 1.0

        assert shared.claim(0.01) == 0.0


@pytest.mark.slow
def test_a_429_of_one_process_pauses_the_others(tmp_path: Path) -> None:
    with member(tmp_path / "pace", 0.001), sharing(tmp_path / "pace") as shared:
        shared._clock = clock = Clock()
        shared.hold(30.0)

        kept = decode(the_file(tmp_path / "pace").read_bytes(), clock.now)

    assert kept.wait(clock.now) == pytest.approx(30.0, abs=1e-5)


def test_a_wait_of_one_kind_holds_back_that_kind_of_all_and_the_file_shrinks_after_it(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "pace", Clock()
    path.write_bytes(encode(SharedPaceState(clock.now - 9, clock.now - 9, [0.0, 0.0])))
    shared = SharedPace(path, clock=clock)
    told = decode(path.read_bytes(), clock.now)
    told.let_wait(Kind.CREATES, clock.now + 30.0)
    path.write_bytes(encode(told))

    assert shared.claim(0.5, Kind.CREATES) == 1.0, "asked again each second"
    assert shared.pause(Kind.CREATES) == pytest.approx(30.0)
    assert shared.pause(Kind.READS) == 0.0
    assert shared.claim(0.5, Kind.READS) == 0.0, "the other kind goes at once"
    clock.now += 31.0
    assert shared.pause(Kind.CREATES) == 0.0
    assert shared.claim(0.5, Kind.CREATES) == 0.0
    assert path.read_bytes() == encode(SharedPaceState(clock.now, clock.now - 40, [0.5, 0.0]))
    shared.close()


def test_what_this_process_is_asked_to_wait_is_written_for_the_others(tmp_path: Path) -> None:
    path, clock = tmp_path / "pace", Clock()
    shared = SharedPace(path, clock=clock)

    shared.hold(3600.0, Kind.CREATES)
    shared.hold(1.0)

    kept = decode(path.read_bytes(), clock.now)
    assert kept.held(clock.now, Kind.CREATES) == pytest.approx(60.0)
    assert kept.held(clock.now, Kind.READS) == 0.0
    assert kept.wait(clock.now) == pytest.approx(1.0)
    shared.close()


@pytest.mark.slow
def test_a_pause_of_an_hour_is_asked_about_by_each_process_after_a_minute(tmp_path: Path) -> None:
    with member(tmp_path / "pace", 0.001, "pause"), sharing(tmp_path / "pace") as shared:
        began = time.monotonic()
        shared._clock = lambda: began + 1.0
        assert shared.claim(0.001) > 0
        shared._clock = lambda: began + 61.0

        assert shared.claim(0.001) == 0.0


@pytest.mark.slow
def test_a_process_stopped_while_it_holds_the_lock_hangs_nobody(tmp_path: Path) -> None:
    with member(tmp_path / "pace", 0.01, "lock") as stuck:
        stuck.send_signal(signal.SIGSTOP)
        with sharing(tmp_path / "pace") as shared:
            began = time.monotonic()
            while (wait := shared.claim(0.01)) > 0:
                time.sleep(wait)

            assert time.monotonic() - began >= 2.0
            while (wait := shared.claim(0.01)) > 0:  # for good: the new file is locked by no other
                time.sleep(wait)


# Sends a datagram at each departure: its name, and when it left.
CALLER = """
import random, socket, sys
from pathlib import Path
import anyio
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.runflow.ratelimit.shared_pace import shared_pace

async def call(name, rate, port, folder):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with shared_pace(Path(folder), "http://127.0.0.1", "key", log=print) as shared:
        limiter = Limiter(Pace(float(rate), jitter=random.random), shared)
        while True:
            sent_at = await limiter.wait()
            out.sendto(f"{name} {sent_at!r}".encode(), ("127.0.0.1", int(port)))
            limiter.well(sent_at)

anyio.run(call, *sys.argv[1:])
"""


Calls = Mapping[str, Sequence[float]]


class Log:
    """A service on loopback that notes who called it and when the call left."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def listen(
        self, seconds: float, until: Callable[[Calls], bool] = lambda _: True
    ) -> dict[str, list[float]]:
        """Return the departures of each caller in so many seconds, or more, *until* they do."""
        calls: dict[str, list[float]] = {}
        self._socket.settimeout(PATIENCE)
        end = time.monotonic() + seconds
        while time.monotonic() < end or not until(calls):
            name, sent_at = self._socket.recv(100).decode().split()
            calls.setdefault(name, []).append(float(sent_at))
        return calls

    def close(self) -> None:
        self._socket.close()


@contextmanager
def callers(
    folder: Path, log: Log, rates: dict[str, float]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-c", CALLER, name, str(rate), str(log.port), str(folder)]
        )
        for name, rate in rates.items()
    }
    try:
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
        log.close()


def together(calls: Calls) -> list[float]:
    return sorted(moment for each in calls.values() for moment in each)


def most_over(rate: float, left: list[float]) -> int:
    """Return by how many the fullest window holds more than floor(rate * w) + 1 departures."""
    return max(
        bisect_right(left, start + window) - first - floor(rate * window) - 1
        for first, start in enumerate(left)
        for window in (1 / rate, 0.5, 1.0, 2.0)
    )


def busy(calls: Calls, processes: int, each: int) -> bool:
    """Say whether so many processes have made so many calls each."""
    return len(calls) == processes and min(map(len, calls.values())) >= each


def faster(calls: Calls, rate: float) -> bool:
    """Say whether more calls have left than *rate* allows, however late their stamps are."""
    left = together(calls)
    return bool(left) and most_over(rate, left) > len(calls)


@pytest.mark.slow
def test_three_processes_keep_to_the_lowest_rate_and_speed_up_when_the_slow_one_is_gone(
    tmp_path: Path,
) -> None:
    log = Log()
    with callers(tmp_path / "pace", log, {"slow": 10, "fast": 50, "faster": 80}) as processes:
        log.listen(0.5, until=lambda calls: len(calls) == 3)
        three = log.listen(4.0, until=lambda calls: busy(calls, 3, 4))  # none starves
        processes["slow"].kill()
        processes["slow"].wait()
        log.listen(1.5)
        two = log.listen(3.0, until=lambda calls: busy(calls, 2, 4) and faster(calls, 10))
        processes["faster"].send_signal(signal.SIGSTOP)
        log.listen(0.5)
        one = log.listen(2.0, until=lambda calls: faster(calls, 10))  # it is held up by none

    # A stamp is taken after the claim: on a busy machine the last of each process may be late.
    assert most_over(10, together(three)) <= len(three) == 3
    assert set(two) == {"fast", "faster"}
    assert most_over(50, together(two)) <= len(two)
    assert set(one) == {"fast"}


def requests_of(url: str) -> int:
    return sum(ask(url, "/_simulator/stats")["requests"].values())


@pytest.mark.slow
def test_two_calls_of_batchrun_share_the_rate_of_the_service_they_have_in_common(
    tmp_path: Path,
) -> None:
    with simulator(tmp_path / "state", "--speed", "100") as url:
        calls, began = [], time.monotonic()
        for name in ("one", "two"):
            manifest = tmp_path / f"{name}.yaml"
            manifest.write_text(
                "models: [google/nano-banana-2]\n"
                f"inputs: {{prompt: chair {name}, seed: {{$range: [1, 40]}}}}\n"
                "limits: {rate: 10/s, concurrency: 40}\noutputs: {download: false}\n"
            )
            calls.append(start(manifest, "--endpoint", url, "--quiet", cwd=tmp_path))
        codes = [call.wait(timeout=PATIENCE) for call in calls]
        took = time.monotonic() - began
        requests = requests_of(url)
    for call in calls:
        call.communicate()

    assert codes == [0, 0]
    assert requests > 80
    assert took >= (requests - 2) / 10
