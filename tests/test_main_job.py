"""The main job as a user meets it: processes, sockets, signals, files."""

import csv
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from called import cease
from processes import (
    PATIENCE,
    ask,
    call,
    run,
    simulator,
    simulator_process,
    start,
    wait_for_runs,
)

pytestmark = pytest.mark.slow

QUICKSTART = Path(__file__).parent.parent / "manifests" / "quickstart.yaml"
SWEEP = """\
models: [google/nano-banana-2]
inputs: {prompt: "a chair", seed: {$range: [1, 200]}}
limits: {concurrency: 40, rate: 200/s, settle: 500ms}
poll: {interval: 200ms}
outputs: {download: false}
"""
SLOW = SWEEP.replace("200]", "40]").replace("200/s", "40/s")
QUICK = ("--speed", "10")


def write(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def wait_for_handler(process: subprocess.Popen[str]) -> None:
    """Return when the process has slept some times since it got a signal: it has heard of it."""
    deadline = time.monotonic() + PATIENCE
    before = times_slept(process.pid)
    while times_slept(process.pid) < before + 5:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def times_slept(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def summary(done: subprocess.CompletedProcess[str]) -> Any:
    assert len(done.stdout.splitlines()) == 1
    return json.loads(done.stdout)


def printed_in_readme(folder: Path) -> str:
    """Return what README.md says that the quickstart prints, as if its files were in *folder*."""
    text = (QUICKSTART.parent.parent / "README.md").read_text(encoding="utf-8")
    _, _, printed = text.partition("```text\n")
    shown = "/home/you/batchrun/outputs/@simulator/quickstart"
    assert shown in printed
    return printed.partition("```")[0].replace(shown, str(folder))


def test_the_quickstart_makes_pictures_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    first = run(QUICKSTART, "--outputs", tmp_path, "--json", cwd=tmp_path)
    folder = tmp_path / "@simulator" / "quickstart"
    again = run(QUICKSTART, "--outputs", tmp_path, cwd=tmp_path)
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert first.returncode == again.returncode == 0, first.stderr
    report = summary(first)
    assert 24 <= report["cells"] == report["succeeded"] <= 60
    assert again.stdout == printed_in_readme(folder)
    assert len(rows) == report["cells"] + report["folded"]
    files = [path for path in (folder / "files").rglob("*") if path.is_file()]
    assert len(files) == report["cells"]
    beginnings = {".png": b"\x89PNG", ".webm": b"\x1aE\xdf\xa3"}
    assert {path.suffix for path in files} == set(beginnings)
    assert all(path.read_bytes().startswith(beginnings[path.suffix]) for path in files)
    assert len({path.read_bytes() for path in files}) == len(files)


def test_killed_five_times_and_resumed_no_run_is_made_twice(tmp_path: Path) -> None:
    manifest = write(tmp_path, SWEEP)
    with simulator_process(tmp_path / "state.sqlite", "--speed", "4") as url:
        for kill in range(5):
            process = start(manifest, "--endpoint", url, cwd=tmp_path)
            wait_for_runs(url, 10 + 35 * kill)
            process.kill()
            process.communicate()
        done = call(manifest, "--endpoint", url, "--json", cwd=tmp_path)
        stats = ask(url, "/_simulator/stats")

    assert done.returncode == 0, done.stderr
    assert summary(done)["succeeded"] == 200
    assert (stats["runs"], stats["cells"], stats["twice"]) == (200, 200, {})


def test_a_ratio_that_is_not_quoted_is_sent_as_text(tmp_path: Path) -> None:
    manifest = write(
        tmp_path,
        "models: [google/nano-banana-2]\ninputs: {prompt: a chair, aspect_ratio: 16:9}\n"
        "poll: {interval: 200ms}\n",
    )
    with simulator(tmp_path / "state.sqlite", *QUICK) as url:
        done = call(manifest, "--endpoint", url, cwd=tmp_path)
        sent = [each["input"] for each in ask(url, "/_simulator/runs")]

    assert done.returncode == 0, done.stderr
    assert sent == [{"prompt": "a chair", "aspect_ratio": "16:9"}]


def test_five_mistakes_are_named_at_once_and_nothing_is_sent(tmp_path: Path) -> None:
    manifest = write(
        tmp_path,
        "modles: [a/b]\nmodels: [google]\ninputs: {n: {$range: [3]}}\n"
        "limits: {rate: 10 per sec, concurency: 4}\n",
    )

    done = call(manifest, "--json", cwd=tmp_path)

    assert done.returncode == 2
    places = [(each["line"], each["column"]) for each in summary(done)["error"]["problems"]]
    assert len(places) == 5
    assert [line for line, _ in places] == [1, 2, 3, 4, 4]
    assert "did you mean" in done.stderr
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_leaves_runs_to_the_next_call(
    tmp_path: Path, number: signal.Signals
) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--fault", "stuck_queued") as url:
        process = start(manifest, "--endpoint", url, "--json", cwd=tmp_path)
        wait_for_runs(url, 5)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)  # its runs never end
        cease(url)
        done = call(manifest, "--endpoint", url, "--json", cwd=tmp_path)
        stats = ask(url, "/_simulator/stats")

    report = json.loads(out)
    assert (process.returncode, report["complete"], report["exit_code"]) == (3, False, 3), err
    assert "go on with" in report["next"]
    assert "Traceback" not in err
    assert summary(done)["succeeded"] == 40
    assert stats["twice"] == {}


def test_a_second_process_is_told_who_holds_the_ledger(tmp_path: Path) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--fault", "stuck_queued") as url:
        first = start(manifest, "--endpoint", url, cwd=tmp_path)
        wait_for_runs(url, 1)
        second = call(manifest, "--endpoint", url, cwd=tmp_path)
        first.kill()
        first.communicate()

    assert second.returncode == 7
    assert f"pid {first.pid}" in second.stderr


def test_an_endpoint_out_of_reach_exits_with_8(tmp_path: Path) -> None:
    manifest = write(tmp_path, SLOW)

    done = call(
        manifest, "--endpoint", "http://127.0.0.1:9", "--give-up", "1s", "--json", cwd=tmp_path
    )

    assert done.returncode == 8
    assert summary(done)["exit_code"] == 8


@pytest.mark.parametrize(
    ("fault", "code"), [("unauthorized/create", 4), ("no_credit", 5), ("proxy_page=404/create", 8)]
)
def test_each_refusal_has_its_exit_code(tmp_path: Path, fault: str, code: int) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--fault", fault) as url:
        done = call(manifest, "--endpoint", url, "--give-up", "1s", "--json", cwd=tmp_path)

    assert done.returncode == code, done.stderr
    report = summary(done)
    assert (report["failed"], report["rejected"]) == (0, 0)


@pytest.mark.parametrize(
    "fault",
    [
        "lost_answer:30%",
        "error_after:30%",
        "error_before:30%/create",
        "half_answer:30%",
        "no_run_id:30%",
    ],
)
def test_under_faults_every_cell_is_paid_once(tmp_path: Path, fault: str) -> None:
    manifest = write(tmp_path, SLOW.replace("40]", "20]"))
    faults = ["--fault", fault, "--fault", "no_idempotency"]
    with simulator(tmp_path / "state.sqlite", *QUICK, *faults) as url:
        done = call(manifest, "--endpoint", url, "--json", cwd=tmp_path)
        stats = ask(url, "/_simulator/stats")

    assert done.returncode == 0, done.stderr
    assert (stats["runs"], stats["twice"]) == (20, {})


def test_the_plan_sends_and_writes_nothing(tmp_path: Path) -> None:
    done = call(QUICKSTART, "--outputs", tmp_path / "out", "--dry-run", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "nothing was sent" in done.stdout
    assert not (tmp_path / "out").exists()


def test_the_key_is_nowhere_in_what_is_written(tmp_path: Path) -> None:
    manifest = write(
        tmp_path, SLOW.replace("40]", "10]").replace("download: false", "download: true")
    )
    with simulator(tmp_path / "state.sqlite", *QUICK) as url:
        done = call(manifest, "--endpoint", url, "--verbose", cwd=tmp_path)

    written = [path.read_bytes() for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    texts = [*written, done.stdout.encode(), done.stderr.encode()]
    assert done.returncode == 0
    assert not any(b"rf_live_test" in text for text in texts)


def test_the_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--fault", "stuck_queued") as url:
        process = start(
            manifest, "--endpoint", url, "--on-interrupt", "drain", "--json", cwd=tmp_path
        )
        wait_for_runs(url, 10)
        process.send_signal(signal.SIGINT)
        wait_for_handler(process)  # two that are alike and come at once are one to the system
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        cease(url)
        done = call(manifest, "--endpoint", url, "--json", cwd=tmp_path)
        stats = ask(url, "/_simulator/stats")

    assert (process.returncode, json.loads(out)["exit_code"]) == (130, 130), err
    assert summary(done)["succeeded"] == 40
    assert stats["twice"] == {}


def test_a_lost_ledger_is_refused_and_names_the_way_out(tmp_path: Path) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        call(manifest, "--endpoint", url, "--limit", "2", cwd=tmp_path)
        [ledger] = (tmp_path / "outputs").rglob("ledger.jsonl")
        ledger.unlink()
        done = call(manifest, "--endpoint", url, cwd=tmp_path)
        stats = ask(url, "/_simulator/stats")

    assert done.returncode == 9
    assert "recover" in done.stderr
    assert stats["runs"] == 2


def test_a_budget_that_was_passed_is_said(tmp_path: Path) -> None:
    text = SWEEP.replace("[google/nano-banana-2]", "[{id: google/nano-banana-2, price: 0.05}]")
    manifest = write(tmp_path, text.replace("200]", "2]"))
    with simulator(tmp_path / "state", *QUICK) as url:
        done = call(manifest, "--endpoint", url, "--budget", "0.10", "--quiet", cwd=tmp_path)

    assert "the budget of 0.10 USD is passed by 0.06 USD" in done.stderr
    assert done.returncode == 0


def test_a_budget_stops_before_it_is_exceeded(tmp_path: Path) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        done = call(manifest, "--endpoint", url, "--budget", "0.30", "--json", cwd=tmp_path)

    report = summary(done)
    assert (done.returncode, report["succeeded"], report["cost"]) == (6, 3, "0.24")


def test_quiet_leaves_out_no_word_of_an_unfinished_call(tmp_path: Path) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        loud = call(manifest, "--endpoint", url, "--limit", "2", cwd=tmp_path)
        quiet = call(manifest, "--endpoint", url, "--limit", "2", "--quiet", cwd=tmp_path)

    assert "is used up" in loud.stderr
    assert quiet.returncode == 3
    assert [line[21:] for line in quiet.stderr.splitlines()] == [
        "`--limit 2` is used up",
        f"exit code 3: {quiet.stdout.splitlines()[-1]}",
    ]
    assert "google-nano-banana-2     40     4" in quiet.stdout
    assert quiet.stdout.splitlines()[-1].startswith("go on with")


def test_a_call_with_nothing_to_do_leaves_results_that_stand(tmp_path: Path) -> None:
    manifest = write(tmp_path, SLOW)
    with simulator(tmp_path / "state.sqlite", "--speed", "20") as url:
        call(manifest, "--endpoint", url, cwd=tmp_path)
        [table] = (tmp_path / "outputs").rglob("results.csv")
        written, text = table.stat().st_ino, table.read_bytes()
        for _ in range(2):
            assert call(manifest, "--endpoint", url, cwd=tmp_path).returncode == 0
        left = table.stat().st_ino
        table.unlink()
        call(manifest, "--endpoint", url, cwd=tmp_path)

    assert left == written
    assert table.read_bytes() == text
