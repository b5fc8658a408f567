"""A folder or a ledger that can't be used: exit 9, said clearly; nothing is sent unwritten.

The command against the simulator. What has to happen to a process happens to one; the rest is
called in this one.
"""

import json
import os
import re
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from called import Sweep, ask, asked, cease, created
from processes import BATCHRUN, PATIENCE, call, environment, simulator, start

from batchrun.cli import main
from batchrun.ledger.records import Intent, decode
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

MANIFEST: Final = """\
models: [google/nano-banana-2]
inputs: {prompt: "a chair", seed: {$range: [1, 12]}}
limits: {concurrency: 6, rate: 100/s, settle: 300ms}
poll: {interval: 100ms}
outputs: {download: false}
"""


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_0123456789")


@pytest.fixture
def url(key: None) -> Iterator[str]:
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        yield url


def intents(ledger: Path) -> set[str]:
    """Return the cells whose intents stand whole in the ledger."""
    lines = ledger.read_bytes().splitlines(keepends=True) if ledger.exists() else []
    cells = set()
    for line in lines:
        try:
            record = decode(line) if line.endswith(b"\n") else None
        except ValueError:
            continue
        if isinstance(record, Intent):
            cells.add(record.cell)
    return cells


def ledger_of(folder: Path) -> Path:
    return next(iter(folder.rglob("ledger.jsonl")), folder / "none")


def said_of(done: "subprocess.CompletedProcess[str]", code: int) -> Any:
    """Return the object of a call that had to end with that exit code."""
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    assert (report["exit_code"], report["complete"]) == (code, False)
    assert report["error"]["message"]
    assert "Traceback" not in done.stderr
    return report


def assert_all_once(folder: Path, url: str) -> None:
    """Call again, and find every cell done and paid once."""
    done = call("m.yaml", "--endpoint", url, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    stats = ask(url, "/_simulator/stats")
    assert (stats["runs"], stats["twice"]) == (12, {})


# The disk.


@pytest.mark.parametrize("kilobytes", [1, 3, 5, 8, 11])
def test_a_disk_that_fills_up_in_a_commit_group_ends_the_call_and_nothing_is_lost(
    tmp_path: Path, kilobytes: int
) -> None:
    """The limit of a file's size stands for the disk's: the write is cut where it is reached."""
    (tmp_path / "m.yaml").write_text(MANIFEST)
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        command = [*BATCHRUN, "m.yaml", "--endpoint", url, "--json"]
        done = subprocess.run(
            ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "-", *command],
            cwd=tmp_path,
            env=environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        report = said_of(done, 9)
        written = intents(ledger_of(tmp_path))
        sent = {each["cell"] for each in ask(url, "/_simulator/runs")}
        assert_all_once(tmp_path, url)

    assert sent <= written, "something was sent that is not written"
    assert "ledger.jsonl" in report["error"]["message"] or "manifest" in report["error"]["message"]
    assert "cannot write" in done.stderr
    assert report["next"].startswith("fix the error, then run `batchrun m.yaml")


FAILING: Final = """\
import errno, os
fsync, left = os.fsync, [{good}]

def failing(fd):
    left[0] -= 1
    if left[0] < 0 and "ledger.jsonl" in os.readlink(f"/proc/self/fd/{{fd}}"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return fsync(fd)

os.fsync = failing
"""


@pytest.mark.parametrize("good", [0, 6, 10, 13, 16])
def test_a_failed_fsync_ends_the_call_and_nothing_is_sent_on_its_word(
    tmp_path: Path, good: int
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(FAILING.format(good=good))
    path = os.pathsep.join([str(patch), str(Path(__file__).parent.parent)])
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        done = subprocess.run(
            [*BATCHRUN, "m.yaml", "--endpoint", url, "--json"],
            cwd=tmp_path,
            env=environment() | {"PYTHONPATH": path},
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        report = said_of(done, 9)
        sent = {each["cell"] for each in ask(url, "/_simulator/runs")}
        assert_all_once(tmp_path, url)

    assert sent <= intents(ledger_of(tmp_path))
    assert "Input/output error" in report["error"]["message"]
    assert str(ledger_of(tmp_path)) in report["error"]["message"]


@pytest.mark.parametrize("place", ["/proc/nowhere", "file"])
def test_a_folder_that_cannot_be_made_is_named_and_nothing_is_asked(
    tmp_path: Path, url: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    outputs = tmp_path / place
    sweep = Sweep(tmp_path, url, MANIFEST, capsys)

    code, report, said = sweep.call("--outputs", str(outputs))

    assert code == 9
    assert str(outputs) in said
    assert str(outputs) in report["error"]["message"]
    assert asked(url) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named_and_nothing_is_asked(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "outputs"
    outputs.mkdir(mode=0o500)
    sweep = Sweep(tmp_path, url, MANIFEST, capsys)

    code, _, said = sweep.call()

    assert code == 9
    assert "Permission denied" in said
    assert asked(url) == 0


def test_results_that_cannot_be_written_hide_no_reason_and_no_count(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = Sweep(tmp_path, url, MANIFEST, capsys)
    sweep.call("--limit", "2")
    (sweep.ledger.parent / "results.jsonl.part" / "x").mkdir(parents=True)

    code, report, said = sweep.call("--limit", "2")

    assert code == 9
    assert "cannot write" in said
    assert "results.jsonl" in said
    assert "`--limit 2` is used up" in said
    assert (report["succeeded"], report["pending"]) == (4, 8)
    assert report["next"].startswith("fix the error, then run `batchrun ")


def test_why_the_call_stopped_is_said_before_what_came_after_it(
    tmp_path: Path, key: None, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = (parse_fault("no_credit@3+"),)
    with embedded(None, settings=Settings(seed=3, speed=200, faults=faults)) as url:
        sweep = Sweep(tmp_path, url, MANIFEST, capsys)
        sweep.call("--limit", "1")
        (sweep.ledger.parent / "results.csv.part" / "x").mkdir(parents=True)

        code, report, said = sweep.call()

    assert code == 9
    assert said.index("out of credit") < said.index("results.csv")
    assert report["error"]["message"].index("credit") < report["error"]["message"].index("results")


# Whose ledger it is.


def test_two_processes_and_a_dead_one(tmp_path: Path) -> None:
    """One holds the ledger: the other is told who, `status` is not held up, a dead one is gone."""
    (tmp_path / "m.yaml").write_text(MANIFEST)
    with simulator(tmp_path / "state.sqlite", "--fault", "stuck_queued") as url:
        first = start("m.yaml", "--endpoint", url, cwd=tmp_path)
        try:
            deadline = time.monotonic() + PATIENCE
            while b'"submitted"' not in (
                ledger_of(tmp_path).read_bytes() if ledger_of(tmp_path).exists() else b""
            ):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            before = created(url)
            second = call("m.yaml", "--endpoint", url, "--json", cwd=tmp_path)
            after = created(url)
            status = call("status", "m.yaml", "--endpoint", url, "--json", cwd=tmp_path)
            assert first.poll() is None
        finally:
            first.kill()
            first.communicate()
        cease(url)
        third = call("m.yaml", "--endpoint", url, "--json", cwd=tmp_path)
        stats = ask(url, "/_simulator/stats")

    report = said_of(second, 7)
    who = rf"pid {first.pid} on {re.escape(socket.gethostname())} since 20\d\d-\d\d-\d\dT"
    assert re.search(who, report["error"]["message"])
    assert report["next"].startswith("wait for the other batchrun or stop it, then `batchrun m")
    assert before == after or before + 6 >= after  # the first one may still be sending
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["in_flight"] >= 1
    assert third.returncode == 0, third.stderr
    assert (stats["runs"], stats["twice"]) == (12, {})


def other_endpoint(ledger: Path) -> str:
    data = ledger.read_bytes()
    ledger.write_bytes(data.replace(b'"endpoint":"http://127', b'"endpoint":"https://x'))
    return "is of the endpoint https://x"


def newer_format(ledger: Path) -> str:
    data = ledger.read_bytes()
    ledger.write_bytes(data.replace(b'"format":1', b'"format":99', 1))
    return "99"


def broken_line(ledger: Path) -> str:
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join([lines[0], b"rubbish\n", *lines[1:]]))
    return f"line 2, byte {len(lines[0])}"


def deleted(ledger: Path) -> str:
    ledger.unlink()
    return "batchrun recover"


def emptied(ledger: Path) -> str:
    ledger.write_bytes(b"")
    return "batchrun recover"


def zeroed(ledger: Path) -> str:
    """What a power cut can leave of a file whose length was written and whose blocks were not."""
    ledger.write_bytes(bytes(ledger.stat().st_size))
    return "damaged from its first line on"


def cut(ledger: Path) -> str:
    ledger.write_bytes(ledger.read_bytes()[:100])
    return "damaged from its first line on"


def garbage(ledger: Path) -> str:
    ledger.write_text("garbage\n")
    return "damaged from its first line on"


def another_sweeps(ledger: Path) -> str:
    text = ledger.read_text()
    sweep = json.loads(text.splitlines()[0])["sweep"]
    ledger.write_text(text.replace(sweep, "f" * len(sweep)))
    return f"is of sweep {'f' * len(sweep)}, and the sweep.json beside it of sweep {sweep}"


SPOILT = [
    other_endpoint,
    newer_format,
    broken_line,
    deleted,
    emptied,
    zeroed,
    cut,
    garbage,
    another_sweeps,
]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda f: f.__name__)
def test_a_ledger_that_is_not_ours_or_not_whole_is_refused_before_anything_is_asked(
    spoil: Callable[[Path], str], tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = Sweep(tmp_path, url, MANIFEST, capsys)
    sweep.call("--limit", "2")
    ledger = sweep.ledger
    expected = spoil(ledger)
    left, before = ledger.read_bytes() if ledger.exists() else None, asked(url)

    code, report, said = sweep.call()

    assert code == 9
    assert expected in said
    assert expected in report["error"]["message"]
    assert asked(url) == before
    assert (ledger.read_bytes() if ledger.exists() else None) == left, "it was not left alone"
    status = main(["status", str(tmp_path / "m.yaml"), "--endpoint", url])
    assert status == (0 if spoil is other_endpoint else 9)
    assert (expected in capsys.readouterr().err) is bool(status)


@pytest.mark.parametrize("lines", range(2, 14))
def test_a_restored_old_ledger_is_noticed_before_the_first_post(
    tmp_path: Path, url: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever line the copy ends with, as long as intents of its last wave are missing."""
    sweep = Sweep(tmp_path, url, MANIFEST, capsys)
    assert sweep.call("--limit", "8")[0] == 3
    whole = sweep.ledger.read_bytes().splitlines(keepends=True)
    first = next(number for number, line in enumerate(whole) if b'"type":"intent"' in line)
    kept = b"".join(whole[: first + lines])
    before = created(url)
    sweep.ledger.write_bytes(kept)

    code, report, _ = sweep.call()

    assert code == 9, report
    assert "is behind" in report["error"]["message"]
    rebuild = f"`batchrun recover {tmp_path / 'm.yaml'} --endpoint {url}`"
    assert report["error"]["message"].endswith(rebuild)
    assert created(url) == before


def test_the_key_of_another_organisation_is_noticed_before_the_first_post(
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep = Sweep(tmp_path, url, MANIFEST, capsys)
    sweep.call("--limit", "2")
    before = created(url)
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_somebody_elses")

    code, report, _ = sweep.call()

    assert code == 4
    assert "belongs to organisation" in report["error"]["message"]
    assert created(url) == before


def test_an_empty_label_is_a_mistake(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report, _ = Sweep(tmp_path, url, MANIFEST, capsys).call("--label", "")

    assert code == 2
    assert "the label ''" in report["error"]["message"]


@pytest.mark.parametrize("how", ["garbage", "a folder", "of another version"])
def test_a_state_of_the_simulator_that_cannot_be_used_is_exit_9(tmp_path: Path, how: str) -> None:
    (tmp_path / "m.yaml").write_text(
        "models: [google/nano-banana-2]\ninputs: {prompt: a chair}\nendpoint: simulator\n"
    )
    state = tmp_path / "outputs" / "@simulator" / "m" / "simulator.sqlite"
    state.parent.mkdir(parents=True)
    match how:
        case "garbage":
            state.write_bytes(b"no database" * 1000)
        case "a folder":
            state.mkdir()
        case _:
            with closing(sqlite3.connect(state)) as db:
                db.execute("PRAGMA user_version = 99")

    done = call("m.yaml", cwd=tmp_path)

    assert done.returncode == 9
    assert "simulator.sqlite" in done.stderr
    assert "delete it" in done.stderr
    assert "bug" not in done.stderr
