"""Local files: uploaded once per content, sent as documented, and noticed when they change."""

import json
import signal
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from called import cease
from processes import PATIENCE, ask, call, simulator, start

pytestmark = pytest.mark.slow

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
MANIFEST = """\
models: [runflow/background-removal, runflow/skin-fix]
inputs:
  image_url: {$glob: "photos/*.png"}
limits: {settle: 1s, rate: 1000/s}
poll: {interval: 50ms}
outputs: {download: false}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos, two of them the same."""
    (tmp_path / "photos").mkdir()
    for name, last in {"a": b"1", "b": b"2", "copy-of-a": b"1"}.items():
        (tmp_path / "photos" / f"{name}.png").write_bytes(PNG + last)
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return tmp_path


def batchrun(folder: Path, url: str, *options: object) -> tuple[int, dict[str, Any], str]:
    done = call("m.yaml", "--endpoint", url, "--json", *options, cwd=folder)
    return done.returncode, json.loads(done.stdout), done.stderr


def images(url: str) -> Counter[str]:
    return Counter(made["input"]["image_url"] for made in ask(url, "/_simulator/runs"))


def requests(url: str) -> dict[str, int]:
    counted: dict[str, int] = ask(url, "/_simulator/stats")["requests"]
    return counted


def fault(url: str, *faults: str) -> None:
    body = json.dumps(faults).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/_simulator/faults", data=body, method="POST"),
        timeout=PATIENCE,
    ):
        pass


def test_a_content_is_uploaded_once_and_remembered(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        code, summary, _ = batchrun(folder, url)
        first = requests(url)
        (folder / "photos" / "new-name.png").write_bytes(PNG + b"2")
        (folder / "m.yaml").write_text(MANIFEST.replace("skin-fix", "model-removal"))
        again, _, _ = batchrun(folder, url)
        second = requests(url)
        sent = images(url)

    assert (code, summary["succeeded"], summary["folded"]) == (0, 4, 2)
    assert (first["upload 201"], first["put 200"], first["confirm 201"]) == (2, 2, 2)
    assert again == 0
    assert (second["upload 201"], second["put 200"]) == (2, 2)
    assert second["asset 200"] == 2  # asked for before it is relied on
    assert all(each.startswith("runflow://assets/") for each in sent)
    assert sorted(sent.values()) == [3, 3]


def test_what_the_service_forgot_between_two_calls_is_uploaded_again(
    folder: Path, tmp_path: Path
) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        batchrun(folder, url)
        fault(url, "forget_asset@1-2")
        (folder / "m.yaml").write_text(MANIFEST.replace("skin-fix", "model-removal"))
        code, summary, _ = batchrun(folder, url)
        counted, sent = requests(url), images(url)

    assert (code, summary["succeeded"]) == (0, 4)
    assert counted["upload 201"] == 4
    assert sorted(sent.values()) == [1, 1, 2, 2]


def test_what_the_service_forgot_meanwhile_is_uploaded_again(folder: Path, tmp_path: Path) -> None:
    with simulator(
        tmp_path / "s.sqlite", "--speed", "100", "--fault", "forget_asset@1/create"
    ) as url:
        code, summary, _ = batchrun(folder, url)
        counted = requests(url)

    assert (code, summary["succeeded"], summary["rejected"]) == (0, 4, 0)
    assert counted["upload 201"] == 3
    assert counted["create 422"] in {1, 2}  # one content, two models


@pytest.mark.parametrize(
    "broken",
    [
        "error_before@1/upload",
        "lost_answer@1/upload",
        "half_answer@1/upload",
        "throttle=1@1/upload",
        "error_before@1/put",
        "reset@1/put",
        "lost_answer@1/put",
        "upload_expired@1",
        "error_before_html@1/confirm",
        "lost_answer@1/confirm",
        "error_after@1/confirm",
    ],
)
def test_an_upload_that_breaks_is_done_again(broken: str, folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100", "--fault", broken) as url:
        code, summary, _ = batchrun(folder, url)
        sent = images(url)

    assert (code, summary["succeeded"]) == (0, 4)
    assert sorted(sent.values()) == [2, 2]


def test_a_model_that_takes_https_only_gets_https(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100", "--fault", "https_only") as url:
        code, summary, _ = batchrun(folder, url)
        sent = images(url)

    assert (code, summary["succeeded"]) == (0, 4)
    assert all(each.startswith(url) for each in sent)


def test_a_refused_type_rejects_its_cells_and_no_others(folder: Path, tmp_path: Path) -> None:
    (folder / "photos" / "d.svg").write_text("<svg/>")
    (folder / "m.yaml").write_text(MANIFEST.replace("*.png", "*"))
    with simulator(tmp_path / "s.sqlite", "--speed", "100") as url:
        code, summary, _ = batchrun(folder, url)
        again, _, _ = batchrun(folder, url)
        counted = requests(url)

    assert (code, again) == (1, 1)
    assert (summary["succeeded"], summary["rejected"]) == (4, 2)
    assert counted["create 201"] == 4
    results = Path(summary["outputs"], "results.jsonl").read_text().splitlines()
    failed = [row for line in results if (row := json.loads(line))["failure_message"]]
    assert all("image/svg+xml" in row["failure_message"] for row in failed)
    assert [row["image_url"] for row in failed] == ["photos/d.svg"] * 2


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("large.png", 52_428_801, "has 52428801 bytes, more than the 52428800"),
        ("empty.png", 0, "is empty"),
        ("mystery.zzz", 9, "its name has no known content type"),
    ],
)
def test_limits_are_checked_before_anything_is_sent(
    name: str, size: int, said: str, folder: Path, tmp_path: Path
) -> None:
    with (folder / "photos" / name).open("wb") as file:
        file.truncate(size)
    (folder / "m.yaml").write_text(MANIFEST.replace("*.png", "*"))
    with simulator(tmp_path / "s.sqlite") as url:
        code, summary, _ = batchrun(folder, url)
        counted = requests(url)

    assert code == 2
    assert "m.yaml:3:" in summary["error"]["message"]
    assert said in summary["error"]["message"]
    assert counted == {}


def test_a_file_that_changes_under_a_running_sweep_is_noticed(folder: Path, tmp_path: Path) -> None:
    with simulator(
        tmp_path / "s.sqlite", "--speed", "100", "--fault", "error_before/upload"
    ) as url:
        with start("m.yaml", "--endpoint", url, "--json", cwd=folder) as process:
            wait_for(url, "upload 503")
            (folder / "photos" / "b.png").write_bytes(PNG + b"3")
            cease(url)
            out, err = process.communicate(timeout=PATIENCE)
        summary = json.loads(out)
        before = images(url)
        code, later, _ = batchrun(folder, url)
        after = images(url)

    assert process.returncode == 3
    assert (summary["succeeded"], summary["pending"]) == (2, 2)
    changed = "2 cells were not sent: `photos/b.png` has changed since this call read the manifest"
    assert changed in err
    assert changed in summary["error"]["message"]
    assert sorted(before.values()) == [2]
    assert (code, later["succeeded"]) == (0, 4)
    assert sorted(after.values()) == [2, 2]


def test_a_call_killed_while_it_uploads_goes_on(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100", "--fault", "slow=3600@1-2/put") as url:
        with start("m.yaml", "--endpoint", url, cwd=folder) as process:
            wait_for(url, "upload 201")
            process.send_signal(signal.SIGKILL)
            process.communicate()
        cease(url)  # else the next call meets what is left of the fault, or doesn't, by chance
        code, summary, _ = batchrun(folder, url)
        sent = images(url)

    assert (code, summary["succeeded"]) == (0, 4)
    assert sorted(sent.values()) == [2, 2]


def wait_for(url: str, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not requests(url).get(what):
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


def test_a_file_that_storage_refuses_rejects_its_cells_alone(folder: Path, tmp_path: Path) -> None:
    with simulator(tmp_path / "s.sqlite", "--speed", "100", "--fault", "upload_expired@1-3") as url:
        code, summary, _ = batchrun(folder, url, "--concurrency", "1")
        again, _, _ = batchrun(folder, url)

    assert (code, again) == (1, 1)
    assert (summary["succeeded"], summary["rejected"]) == (2, 2)
