"""`recover`: a ledger that is gone, broken or old is rebuilt from what the service knows."""

import json
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from called import cease
from processes import (
    BATCHRUN,
    PATIENCE,
    ask,
    call,
    environment,
    simulator,
    start,
    wait_for_runs,
)

from batchrun.ledger.records import Extra, Finished, Intent, Submitted, decode

pytestmark = pytest.mark.slow

MANIFEST = """\
models:
  - {id: google/nano-banana-2, alias: banana}
  - {id: google/nano-banana-pro, alias: pro}
inputs:
  prompt: [one, two, flaky three, fail four]
limits: {settle: 300ms, rate: 1000/s, concurrency: 3}
poll: {interval: 50ms}
outputs: {download: false}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return tmp_path


def batchrun(folder: Path, url: str, *words: object) -> tuple[int, dict[str, Any], str]:
    done = call(*(words or ["m.yaml"]), "--endpoint", url, "--json", cwd=folder)
    return done.returncode, json.loads(done.stdout), done.stderr


def recover(folder: Path, url: str, *words: object) -> tuple[int, dict[str, Any], str]:
    return batchrun(folder, url, "recover", "m.yaml", *words)


def counted(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what a summary says of cells, without what a call needed for it."""
    names = ("sweep", "cells", "succeeded", "failed", "rejected", "pending", "in_flight", "cost")
    return {name: summary[name] for name in names}


def runs(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(url, "/_simulator/runs")
    return found


def known_runs(ledger: Path) -> Counter[str]:
    records = map(decode, ledger.read_bytes().splitlines(keepends=True))
    return Counter(record.run_id for record in records if isinstance(record, Submitted | Extra))


def results(summary: dict[str, Any]) -> list[Any]:
    text = Path(summary["outputs"], "results.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


FAULTS = {"as it is": (), "no filter": ("--fault", "list_no_filter")}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_deleted_ledger_is_rebuilt_and_nothing_runs_again(
    faults: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100", *faults) as url:
        code, before, _ = batchrun(folder, url)
        rows = results(before)
        Path(before["ledger"]).unlink()
        refused, stopped, _ = batchrun(folder, url)
        made = runs(url)
        recovered, after, said = recover(folder, url)
        again, last, _ = batchrun(folder, url)

        assert (code, refused, recovered, again) == (1, 9, 0, 1)
        assert "batchrun recover" in stopped["error"]["message"]
        assert f"the service has {len(made)} runs of this sweep, {len(made)} of them new" in said
        assert counted(after) == counted(before) == counted(last)
        assert runs(url) == made
        assert known_runs(Path(before["ledger"])) == Counter(run["id"] for run in made)
        assert results(last) == rows


def test_a_deleted_folder_is_found_again_by_its_name(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        _, before, _ = batchrun(folder, url)
        shutil.rmtree(folder / "outputs")
        code, after, _ = recover(folder, url)
        made = runs(url)
        again, _, _ = batchrun(folder, url)

        assert (code, again) == (0, 1)
        assert counted(after) == counted(before)
        assert runs(url) == made


def test_of_two_sweeps_of_one_name_the_user_says_which(folder: Path, tmp_path: Path) -> None:
    """Each was begun with cells of its own; the manifest has come to name both."""
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        _, first, _ = batchrun(folder, url)
        shutil.rmtree(folder / "outputs")
        (folder / "m.yaml").write_text(MANIFEST.replace("one, two, flaky three, fail four", "five"))
        _, second, said = batchrun(folder, url)
        shutil.rmtree(folder / "outputs")
        (folder / "m.yaml").write_text(MANIFEST.replace("fail four", "fail four, five"))
        refused, stopped, _ = recover(folder, url)
        code, after, _ = recover(folder, url, "--recover", first["sweep"])

    assert "another sweep of this name and label has no cell in common" in said
    assert (refused, code) == (9, 0)
    assert f"sweep {first['sweep']} has at least 12 runs" in stopped["error"]["message"]
    assert f"sweep {second['sweep']} has at least 2 runs" in stopped["error"]["message"]
    assert "--recover ID" in stopped["error"]["message"]
    assert after["sweep"] == first["sweep"]
    assert (after["succeeded"], after["cost"]) == (first["succeeded"], first["cost"])


def test_where_there_is_nothing_to_recover_it_says_so(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite") as url:
        code, stopped, _ = recover(folder, url)
        started, _, _ = batchrun(folder, url, "m.yaml", "--limit", 1)

    assert code == 9
    assert "no runs of the name 'm'" in stopped["error"]["message"]
    assert started == 3  # and the folder can still be begun in


def test_an_old_copy_is_brought_up_to_date(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        _, first, _ = batchrun(folder, url, "m.yaml", "--limit", 3)
        ledger = Path(first["ledger"])
        old = ledger.read_bytes()
        _, before, _ = batchrun(folder, url)
        ledger.write_bytes(old)
        refused, _, _ = batchrun(folder, url)
        copy = ledger.read_bytes()
        made = runs(url)
        recovered, after, _ = recover(folder, url)
        again, last, _ = batchrun(folder, url)

        assert (refused, recovered, again) == (9, 0, 1)
        assert counted(after) == counted(before) == counted(last)
        assert ledger.read_bytes().startswith(copy)
        assert runs(url) == made
        kept = list(ledger.parent.glob("ledger-*.jsonl"))
        assert [each.read_bytes() for each in kept] == [copy]


@pytest.mark.parametrize("kind", [Intent, Submitted, Finished])
def test_a_broken_ledger_keeps_what_can_be_read(kind: type, folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        _, before, _ = batchrun(folder, url)
        ledger = Path(before["ledger"])
        lines = ledger.read_bytes().splitlines(keepends=True)
        broken = next(n for n, line in enumerate(lines) if isinstance(decode(line), kind))
        lines[broken] = b"#" + lines[broken][1:]
        ledger.write_bytes(b"".join(lines))
        refused, stopped, _ = batchrun(folder, url)
        made = runs(url)
        recovered, after, _ = recover(folder, url)
        again, last, _ = batchrun(folder, url)

        assert (refused, recovered, again) == (9, 0, 1)
        assert set(lines[:broken]) <= set(ledger.read_bytes().splitlines(keepends=True))
        assert (
            f"line {broken + 1}, byte {sum(map(len, lines[:broken]))}"
            in stopped["error"]["message"]
        )
        assert counted(after) == counted(before) == counted(last)
        assert runs(url) == made


def test_runs_in_flight_are_seen_to_their_end_afterwards(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100", "--fault", "stuck_queued") as url:
        with start("m.yaml", "--endpoint", url, "--json", cwd=folder) as process:
            wait_for_runs(url, 3)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
        Path(json.loads(out)["ledger"]).unlink()
        made = runs(url)
        recovered, after, _ = recover(folder, url)
        cease(url)
        code, last, _ = batchrun(folder, url)
        stats = ask(url, "/_simulator/stats")

    assert recovered == 0
    assert len(made) == 3
    assert after["in_flight"] == 3
    assert (code, last["succeeded"], last["failed"]) == (1, 6, 2)
    assert stats["runs"] == 12  # two flaky cells and two that fail were tried twice
    assert stats["most_in_flight"] <= 3


def test_another_organisations_key_is_refused(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        _, before, _ = batchrun(folder, url)
        Path(before["ledger"]).unlink()
        done = subprocess.run(
            [*BATCHRUN, "recover", "m.yaml", "--endpoint", url],
            cwd=folder,
            env=environment() | {"RUNFLOW_API_KEY": "rf_live_other"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 4
    assert "the key belongs to organisation" in done.stderr


def test_a_machine_with_an_empty_disk_is_refused_and_has_three_ways_on(
    folder: Path, tmp_path: Path
) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        _, before, _ = batchrun(folder, url)
        made = runs(url)
        shutil.rmtree(folder / "outputs")
        code, stopped, said = batchrun(folder, url)
        planned, plan, _ = batchrun(folder, url, "plan", "m.yaml")
        again, after, _ = batchrun(folder, url, "m.yaml", "--recover")
        twice, _, _ = batchrun(folder, url, "m.yaml", "--recover")

        assert (code, planned, again, twice) == (9, 0, 1, 1)
        assert f"sweep {before['sweep']} has at least {len(made)} runs since 20" in said
        assert f"cost at least {before['cost']} USD" in said
        for way in ("batchrun recover m.yaml --endpoint", " --recover`", "--new-sweep"):
            assert way in stopped["error"]["message"]
        [elsewhere] = plan["elsewhere"]
        assert elsewhere["sweep"] == before["sweep"]
        assert (elsewhere["runs"], elsewhere["cost"]) == (len(made), before["cost"])
        assert counted(after) == counted(before)
        assert runs(url) == made

        shutil.rmtree(folder / "outputs")
        anew = ["m.yaml", "--new-sweep", before["sweep"]]
        code, second, _ = batchrun(folder, url, *anew)
        refused, stopped, _ = batchrun(folder, url, *anew)

        assert (code, refused) == (1, 2)
        assert second["cost"] == before["cost"]
        assert "--label" in stopped["error"]["message"]
        assert min(Counter(run["cell"] for run in runs(url)).values()) == 2

        shutil.rmtree(folder / "outputs")
        _, third, said = recover(folder, url)
        assert third["sweep"] == second["sweep"], "what it set aside is not taken"
        assert f"`--recover {before['sweep']}` takes it" in said


def test_where_nothing_is_to_be_recovered_the_sweep_begins(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        code, summary, said = batchrun(folder, url, "m.yaml", "--recover")

    assert code == 1
    assert "the sweep begins here" in said
    assert summary["complete"]


def test_an_option_that_ate_the_manifest_says_so(folder: Path) -> None:
    done = call("--recover", "m.yaml", cwd=folder)

    assert done.returncode == 2
    assert "'m.yaml': expected the id of a sweep" in done.stderr
