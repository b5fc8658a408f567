"""Signals in every stage of a call: the first ends it well and soon, the second at once.

Each stage is held open by the simulator, for good or until its faults are taken away: a call that
waited for it would not end. In each stage all signals are tried at once, each on its own process.
"""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine_world import Begun, World
from processes import BATCHRUN, PATIENCE, ask, environment, run, simulator, start
from simulated import Runflow

from batchrun.base.values import Rate
from batchrun.commands.signals import Interrupted, Signals
from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown, Wakeup, obey
from batchrun.errors import INCOMPLETE, KILLED, OutOfCreditError, most_severe
from batchrun.ledger.history import State
from batchrun.ledger.reader import open_reader
from batchrun.settings import Settings
from batchrun.sweep.references import marker, sweep_of

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
ONCE: Sequence[Sequence[signal.Signals]] = ([INT], [TERM], [HUP])
# Two that are alike and come at once are one to the system.
TWICE: Sequence[Sequence[signal.Signals]] = ([INT, TERM], [TERM, HUP], [HUP, INT])

MANIFEST = """\
models: [google/nano-banana-2]
inputs: {prompt: "a chair", seed: {$range: [1, 6]}}
limits: {concurrency: 2, rate: 50/s, settle: 1s}
poll: {interval: 200ms}
"""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """*faults* hold it open; a ledger that has *line* shows that it was reached."""

    faults: Sequence[str]
    line: str
    options: Sequence[str] = ("--no-download",)
    before: Sequence[str] | None = None  # faults of an earlier call that left a run in flight


STAGES = {
    "starting": Stage(faults=["hang_before_commit/auth"], line="sweep"),
    "resuming": Stage(faults=["hang_before_commit/auth"], line="sweep", before=["stuck_queued"]),
    "submitting": Stage(faults=["hang_before_headers"], line="intent"),
    "watching": Stage(faults=["stuck_queued"], line="submitted"),
    "looking up": Stage(faults=["lost_answer", "list_lag=3600"], line="intent"),
    "downloading": Stage(faults=["slow=3600/download"], line="finished", options=[]),
}


STAGE_NAMES = list(STAGES)


@dataclass
class Call:
    """A process of batchrun with a folder of its own."""

    process: "subprocess.Popen[str]"
    folder: Path
    signals: Sequence[signal.Signals]
    out: str = ""
    err: str = ""
    ledger: Path = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = self.folder / "ledger.jsonl"

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.ledger.read_bytes().splitlines()]


def eventually(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def reached(call: Call, line: str, number: int = 1) -> bool:
    """Say whether the ledger has as many lines of that type; a sweep's own is written early."""
    if not call.ledger.exists():
        return False
    return call.ledger.read_bytes().count(f'"type":"{line}"'.encode()) >= number


def set_faults(url: str, *faults: str) -> None:
    for method, body in (("DELETE", None), ("POST", json.dumps(faults).encode())):
        request = urllib.request.Request(f"{url}/_simulator/faults", body, method=method)
        urllib.request.urlopen(request, timeout=PATIENCE).close()


def folder_of(outputs: Path, url: str, label: int | None = None) -> Path:
    folder = outputs / f"@127.0.0.1-{url.rpartition(':')[2]}" / "m"
    return folder if label is None else folder / f"@{label}"


@contextmanager
def calls(tmp_path: Path, url: str, *options: str) -> Iterator[list[Call]]:
    """Start a call for each of the signals, each of a sweep of its own; none outlives the block."""
    under_way = []
    for number, signals in enumerate([*ONCE, *TWICE]):
        words = ["m.yaml", "--endpoint", url, "--outputs", "out", "--label", number, "--json"]
        process = start(*words, *options, cwd=tmp_path)
        under_way.append(Call(process, folder_of(tmp_path / "out", url, number), signals))
    try:
        yield under_way
    finally:
        for call in under_way:
            call.process.kill()
            call.process.communicate()


def interrupt(call: Call) -> None:
    """Send the signals, so that none is obeyed before all of them have come."""
    for number in (signal.SIGSTOP, *call.signals, signal.SIGCONT):
        call.process.send_signal(number)


def end(call: Call) -> None:
    call.out, call.err = call.process.communicate(timeout=PATIENCE)


def assert_ended_well(call: Call) -> None:
    code = 3 if len(call.signals) == 1 else 130
    assert len(call.out.splitlines()) == 1, call.err
    report = json.loads(call.out)
    assert (call.process.returncode, report["exit_code"]) == (code, code), call.err
    assert report["complete"] is False
    assert report["next"].startswith("go on with `batchrun m.yaml --endpoint http")
    assert "Traceback" not in call.err
    assert "ignored" not in call.err
    with open_reader(call.ledger) as reader:
        assert reader.torn == 0


def earlier_calls(tmp_path: Path, url: str) -> None:
    """Leave runs in flight in each of the sweeps."""
    with calls(tmp_path, url) as under_way:
        for call in under_way:
            eventually(lambda call=call: reached(call, "submitted", 2))  # type: ignore[misc]
            call.process.send_signal(INT)
        for call in under_way:
            end(call)
            assert call.process.returncode == 3, call.err


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_a_signal_ends_the_call_in_every_stage_and_the_next_one_goes_on(
    tmp_path: Path, name: str
) -> None:
    stage = STAGES[name]
    (tmp_path / "m.yaml").write_text(MANIFEST)
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        starts = 1
        if stage.before is not None:
            set_faults(url, *stage.before)
            earlier_calls(tmp_path, url)
            starts = 3  # one line more once the organisation is known
        set_faults(url, *stage.faults)
        with calls(tmp_path, url, *stage.options) as under_way:
            for call in under_way:
                eventually(lambda call=call: reached(call, stage.line, starts))  # type: ignore[misc]
                interrupt(call)
            for call in under_way:
                end(call)
                assert_ended_well(call)
                results = (call.folder / "results.csv").exists()
                assert results == (len(call.signals) == 1 or stage.before is not None)
        set_faults(url)
        resumed = under_way[STAGE_NAMES.index(name)]
        words = ["m.yaml", "--endpoint", url, "--outputs", "out"]
        label = ["--label", STAGE_NAMES.index(name)]
        again = run(*words, *label, *stage.options, cwd=tmp_path)
        runs = ask(url, "/_simulator/runs")

    assert again.returncode == 0, again.stderr
    label_of = {marker("m", str(label)): label for label in range(len(under_way))}
    label_of |= {call.lines()[0]["sweep"]: label for label, call in enumerate(under_way)}
    refs = [(each["client_ref"], each["cell"]) for each in runs]
    paid = [(label_of[sweep_of(ref) or ref], cell) for ref, cell in refs]
    assert len(paid) == len(set(paid)), "a cell of a sweep was paid twice"
    with open_reader(resumed.ledger) as reader:
        assert Counter(h.state for h in reader.book.histories.values()) == {State.SUCCEEDED: 6}


@pytest.mark.slow
def test_draining_sees_runs_to_their_end_unless_a_second_signal_comes(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        set_faults(url, "stuck_queued")
        with calls(tmp_path, url, "--on-interrupt", "drain") as under_way:
            for call in under_way:
                eventually(lambda call=call: reached(call, "submitted", 2))  # type: ignore[misc]
                interrupt(call)
            for call in under_way[len(ONCE) :]:
                end(call)
            drained = under_way[: len(ONCE)]
            before = [call.process.poll() for call in drained]
            set_faults(url)
            for call in drained:
                end(call)
        runs = ask(url, "/_simulator/runs")

    for call in under_way:
        assert_ended_well(call)
    assert before == [None] * len(ONCE), "it did not wait for its runs"
    assert len(runs) == 2 * len(under_way), "something was sent after the signal"
    for call in drained:
        assert Counter(line["type"] for line in call.lines())["saved"] == 2


@pytest.mark.slow
def test_a_signal_while_the_manifest_is_read_sends_nothing_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "m.yaml")
    with calls(tmp_path, "http://127.0.0.1:9") as under_way:
        for call in under_way:
            eventually(lambda call=call: waits_for_a_pipe(call.process.pid))  # type: ignore[misc]
            interrupt(call)
        for call in under_way:
            end(call)

    for call in under_way:
        report = json.loads(call.out)
        assert call.process.returncode == report["exit_code"], call.err
        # The first one may have ended it before the second one comes.
        assert report["exit_code"] in ({3} if len(call.signals) == 1 else {3, 130})
        assert report["complete"] is False
        assert call.err.splitlines()[-1].endswith(
            f"Z exit code {report['exit_code']}: {report['next']}"
        )
        assert report["next"].startswith("go on with `batchrun m.yaml")
        assert "Traceback" not in call.err
        assert not call.folder.exists()


def waits_for_a_pipe(pid: int) -> bool:
    try:
        return "fifo" in Path(f"/proc/{pid}/wchan").read_text() or is_opening(pid)
    except OSError:
        return False


def is_opening(pid: int) -> bool:
    """Say whether the process stands in open(2), as one does who opens a pipe nobody writes to."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in {"257", "56", "2"}


@pytest.mark.slow
def test_in_a_terminal_the_last_line_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    with simulator(tmp_path / "state.sqlite") as url:
        set_faults(url, "stuck_queued")
        process = start("m.yaml", "--endpoint", url, cwd=tmp_path)
        call = Call(process, folder_of(tmp_path / "outputs", url), [INT])
        eventually(lambda: reached(call, "submitted"))
        interrupt(call)
        end(call)

    assert process.returncode == 3, call.err
    assert call.out.splitlines()[-1].startswith(f"go on with `batchrun m.yaml --endpoint {url}`")
    assert "stopped by Ctrl-C (SIGINT)" in call.err


@pytest.mark.slow
def test_under_nohup_a_hangup_is_no_signal(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    with simulator(tmp_path / "state.sqlite") as url:
        set_faults(url, "stuck_queued")
        words = [*BATCHRUN, "m.yaml", "--endpoint", url, "--json"]
        process = subprocess.Popen(
            ["bash", "-c", 'trap "" HUP; exec "$@"', "-", *words],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        call = Call(process, folder_of(tmp_path / "outputs", url), [TERM])
        eventually(lambda: reached(call, "submitted"))
        process.send_signal(HUP)
        interrupt(call)
        end(call)

    assert_ended_well(call)
    assert "SIGHUP" not in call.err


@pytest.mark.slow
def test_the_results_of_a_large_sweep_are_left_to_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST.replace("[1, 6]", "[1, 20001]"))
    with simulator(tmp_path / "state.sqlite") as url:
        set_faults(url, "stuck_queued")
        process = start("m.yaml", "--endpoint", url, "--json", cwd=tmp_path)
        call = Call(process, folder_of(tmp_path / "outputs", url), [TERM])
        eventually(lambda: reached(call, "submitted"))
        interrupt(call)
        end(call)

    assert_ended_well(call)
    assert json.loads(call.out)["cells"] == 20_001
    assert "results.csv and results.jsonl are left to the next call" in call.err
    assert not list(call.folder.glob("results.*"))


# In virtual time.


@dataclass
class Signalled(Begun):
    """A world whose process gets *signals*, by the moments at which they come."""

    signals: dict[float, str] = field(default_factory=dict)

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        received: list[str] = []

        async def send() -> None:
            for moment, name in self.signals.items():
                await anyio.sleep(moment - anyio.current_time())
                received.append(name)

        async def obeying() -> None:
            await obey(runner.shutdown, received, drain=settings.drain)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            tasks.start_soon(obeying)
            stops = await super().run(runner, settings)
            tasks.cancel_scope.cancel()
        return stops


async def test_what_has_not_left_when_the_signal_comes_is_not_sent(tmp_path: Path) -> None:
    """At one call a second, six cells with a slot each are a queue."""
    world = Signalled(tmp_path, Runflow(), signals={11.5: "SIGTERM"})

    stops = await world.call(concurrency=6, rate=Rate(Decimal(1)), drain=True)

    sent = len(world.service.posts)
    assert 0 < sent < 6
    assert max(at for at, _, _ in world.service.posts) < 11.7
    assert stops.codes == [INCOMPLETE]
    assert Counter(h.state for h in world.book().histories.values()) == {
        State.SUCCEEDED: sent,
        State.PENDING: 6 - sent,
    }


@pytest.mark.parametrize("word", ["429", "unreachable"])
@pytest.mark.parametrize("drain", [False, True])
async def test_what_was_not_taken_before_the_signal_is_not_sent_again_after_it(
    tmp_path: Path, word: str, *, drain: bool
) -> None:
    """It certainly created no run: the next call sends it, and has no doubt to wait for."""
    service = Runflow(script=[word] * 20)
    world = Signalled(tmp_path, service, signals={6.0: "SIGTERM"})

    stops = await world.call(drain=drain, give_up=1e6)

    assert service.runs == []
    assert max(at for at, _, _ in service.posts) < 6.2
    assert stops.codes == [INCOMPLETE]
    assert {h.state for h in world.book().histories.values()} == {State.PENDING}
    assert anyio.current_time() < 8


@dataclass(kw_only=True)
class Slow(Runflow):
    """Calls *meanwhile* while the n-th POST is on its way."""

    number: int = 1
    meanwhile: Callable[[], None] = lambda: None
    arrived: int = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.arrived += request.method == "POST"
        if request.method == "POST" and self.arrived == self.number:
            await anyio.sleep(self.latency)
            self.meanwhile()
            await anyio.sleep(2.0)
        return await super().answer(request)


@dataclass
class Draining(World):
    """A world that is signalled to drain in the middle of a POST."""

    async def run(self, runner: Runner, settings: Settings) -> Shutdown:
        assert isinstance(self.service, Slow)
        self.service.meanwhile = lambda: runner.shutdown.interrupt("SIGTERM", drain=True)
        return await super().run(runner, settings)


@pytest.mark.parametrize("word", ["429", "unreachable"])
@pytest.mark.parametrize(
    ("before", "state"), [([], State.PENDING), (["reset"], State.DOUBTFUL)], ids=["first", "resend"]
)
async def test_what_comes_back_not_taken_after_the_signal_is_not_sent_again(
    tmp_path: Path, word: str, before: list[str], state: State
) -> None:
    """It was on its way when the signal came: there was nothing to hold back yet."""
    service = Slow(script=[*before, word], number=len(before) + 1)
    world = Draining(tmp_path, service, text="models: [a/b]\ninputs: {prompt: a}\n")

    stops = await world.call(settle=5.0)

    assert len(service.posts) == len(before) + 1
    assert service.runs == []
    assert set(stops.codes) == {INCOMPLETE}
    assert {h.state for h in world.book().histories.values()} == {state}


@pytest.mark.parametrize("word", ["429", "unreachable"])
async def test_what_comes_back_not_taken_after_a_402_is_not_sent_again(
    tmp_path: Path, word: str
) -> None:
    service = Slow(script=["402", word])
    world = Begun(tmp_path, service, text="models: [a/b]\ninputs: {prompt: [a, b]}\n")

    stops = await world.call()

    assert len(service.posts) == 2
    assert service.runs == []
    assert most_severe(stops.codes) == OutOfCreditError.exit_code


async def test_the_second_signal_waits_for_no_answer(tmp_path: Path) -> None:
    service = Runflow(script=["hang"] * 6)
    world = Signalled(tmp_path, service, signals={3.0: "SIGINT", 3.2: "SIGTERM"})

    stops = await world.call()

    assert anyio.current_time() == pytest.approx(3.2, abs=0.2)
    assert most_severe(stops.codes) == KILLED
    assert State.PENDING not in {h.state for h in world.book().histories.values()}


async def test_each_signal_is_obeyed_once_and_in_its_order() -> None:
    stops = Shutdown(Wakeup())
    received: list[str] = []

    async with anyio.create_task_group() as tasks:

        async def obeying() -> None:
            await obey(stops, received, drain=False)

        tasks.start_soon(obeying)
        await anyio.sleep(1)
        assert not stops.leaving
        received.append("SIGHUP")
        await anyio.sleep(1)
        assert (stops.leaving, stops.at_once) == (True, False)
        received.append("SIGINT")
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()

    assert stops.at_once
    assert stops.notes == [
        "stopped by the end of its terminal (SIGHUP)",
        "killed by a second Ctrl-C (SIGINT)",
    ]


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in (INT, TERM, HUP)}
    signals = Signals()
    signals.install()
    yield signals
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_signal_interrupts_and_one_on_the_way_out_only_counts(signals: Signals) -> None:
    with pytest.raises(Interrupted):
        signal.raise_signal(TERM)
    assert signals.exit_code == 3
    signal.raise_signal(TERM)
    assert signals.exit_code == 130
    with pytest.raises(Interrupted):
        signal.raise_signal(TERM)


def test_where_signals_are_counted_none_interrupts_and_then_the_second_does(
    signals: Signals,
) -> None:
    with signals.counted() as received:
        signal.raise_signal(HUP)
    assert received == ["SIGHUP"]
    with pytest.raises(Interrupted):
        signal.raise_signal(INT)
    assert signals.exit_code == 130


def test_the_last_words_are_said_whole(signals: Signals) -> None:
    signals.hush()
    signal.raise_signal(INT)

    assert signals.exit_code == 3
