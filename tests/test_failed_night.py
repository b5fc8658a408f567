"""A night that failed, as a script and a log see it; and one that went well, which is silent."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import call, simulator

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")
REJECTED = (
    "the API rejected 8 cells of `resize` (UNAVAILABLE: Service unavailable); fix these inputs, "
    "then `batchrun m.yaml --label n1 --endpoint {url}`"
)

MANIFEST = """\
name: nightly
models:
  - {id: openai/gpt-image-1.5, alias: resize}
  - {id: google/nano-banana-2, alias: banana}
inputs: {prompt: ["one ${n}"]}
vars: {n: {$range: [1, 8]}}
limits: {rate: 100/s}
poll: {interval: 100ms}
outputs: {download: false}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that refuses each request for the one model, however often it is asked."""
    state = tmp_path_factory.mktemp("service") / "state.sqlite"
    fault = "error_before=422/create+create_batch~openai/gpt-image-1.5"
    with simulator(state, "--speed", "50", "--fault", fault) as url:
        yield url


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, service: str) -> Path:
    """The folder of a sweep of which all cells of one model were rejected."""
    folder = tmp_path_factory.mktemp("night")
    (folder / "m.yaml").write_text(MANIFEST)
    assert nightly(folder, service).returncode == 1
    return folder


def nightly(folder: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = ("m.yaml", "--label", "n1", "--endpoint", url, *options, "--json")
    return call(*words, cwd=folder)


def said(folder: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return call(*words, "--label", "n1", "--endpoint", url, cwd=folder)


def test_the_object_says_why_for_each_model(night: Path, service: str) -> None:
    done = nightly(night, service)
    report = json.loads(done.stdout)

    assert done.returncode == report["exit_code"] == 1
    assert list(report["models"]) == ["resize", "banana"]
    assert report["models"]["resize"]["cells"] == report["models"]["resize"]["rejected"] == 8
    assert report["models"]["banana"]["succeeded"] == 8
    assert report["models"]["banana"]["cost"] == report["cost"] == "0.64"
    [failure] = report["failures"]
    assert (failure["alias"], failure["code"]) == ("resize", "UNAVAILABLE")
    assert (failure["message"], failure["count"]) == ("Service unavailable", 8)
    assert len(set(failure["cells"])) == 8
    assert report["next"] == REJECTED.format(url=service)


def test_status_and_plan_say_the_same(night: Path, service: str) -> None:
    ran = json.loads(nightly(night, service).stdout)
    for command in ("status", "plan"):
        words = (command, "m.yaml", "--json")
        found = json.loads(said(night, service, *words).stdout)
        assert found["models"] == ran["models"]
        assert found["failures"][0]["cells"] == ran["failures"][0]["cells"]
        assert "the API rejected 8 cells of `resize` (UNAVAILABLE: " in found["next"]

    plan = said(night, service, "plan", "m.yaml").stdout
    assert "8 cells ended badly and are not tried again:\n8 of 8 resize: UNAVAILABLE" in plan
    assert plan.splitlines()[-1].startswith("the API rejected 8 cells of `resize`")


def test_each_line_of_its_log_has_a_time_and_the_last_says_how_it_ended(
    night: Path, service: str
) -> None:
    done = nightly(night, service, "--label", "n2", "--limit", "4")
    lines = done.stderr.splitlines()

    assert all(TIME.match(line) for line in lines), lines
    assert any("`--limit 4` is used up" in line for line in lines)
    assert lines[-1][21:] == f"exit code 3: {json.loads(done.stdout)['next']}"


def test_quiet_says_all_of_a_failure(night: Path, service: str) -> None:
    loud, quiet = (said(night, service, "m.yaml", *more) for more in ([], ["--quiet"]))

    assert quiet.returncode == loud.returncode == 1
    assert quiet.stdout == loud.stdout
    assert "8 of 8 resize: UNAVAILABLE: Service unavailable\nwhich cells: " in quiet.stdout
    assert quiet.stderr.splitlines()[-1][21:].startswith("exit code 1: the API rejected 8")


def test_quiet_says_nothing_of_a_success(tmp_path: Path, service: str) -> None:
    (tmp_path / "m.yaml").write_text(
        "models: [google/nano-banana-2]\npoll: {interval: 100ms}\n"
        "inputs: {prompt: [a chair, a stool]}\noutputs: {download: false}\n"
    )
    first, second = (said(tmp_path, service, "m.yaml", "--quiet") for _ in range(2))
    longer = said(tmp_path, service, "m.yaml", "--quiet", "--only", "prompt=a chair")
    loud = said(tmp_path, service, "m.yaml")
    report = json.loads(said(tmp_path, service, "m.yaml", "--quiet", "--json").stdout)

    assert [(each.returncode, each.stdout, each.stderr) for each in (first, second, longer)] == [
        (0, "", "")
    ] * 3
    assert loud.stdout.splitlines()[-1].startswith("all 2 done; files in ")
    assert "files: " not in loud.stdout
    assert report["succeeded"] == 2


@pytest.mark.parametrize("command", [[], ["plan"], ["recover"]])
def test_a_mistake_of_the_manifest_names_the_night_and_its_place_first(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "job.yaml").write_text("name: nightly\nmodels: [a/b]\ninputs: {prompt: '${x}'}\n")
    done = call(*command, "job.yaml", "--label", "n5", "--json", cwd=tmp_path)
    report: dict[str, Any] = json.loads(done.stdout)
    again = " ".join(["batchrun", *command, "job.yaml --label n5"])

    assert done.returncode == 2
    assert done.stderr.startswith("job.yaml:3:19: unknown reference `${x}`\n")
    assert (report["name"], report["label"]) == ("nightly", "n5")
    assert report["endpoint"] == "https://api.runflow.io"
    assert (report["models"], report["failures"]) == ({}, [])
    assert report["next"] == (
        f"fix 1 mistake in job.yaml, then run `{again}`; the first is job.yaml:3:19: unknown "
        "reference `${x}`"
    )
    last = done.stderr.splitlines()[-1]
    assert (TIME.match(last) is not None) == (command != ["plan"])


def test_outputs_that_cannot_be_saved_have_their_reason_in_the_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.engine.downloader.PAUSES", ())
    text = MANIFEST.replace("outputs: {download: false}\n", "").replace("[1, 8]", "[1, 2]")
    (tmp_path / "m.yaml").write_text(text)
    with simulator(tmp_path / "s.sqlite", "--speed", "50", "--fault", "output_expired") as url:
        done = nightly(tmp_path, url, "--quiet")
    report = json.loads(done.stdout)

    assert done.returncode == report["exit_code"] == 3
    assert report["unsaved"] == 4
    assert "4 outputs could not be saved: " in report["error"]["message"]
    assert "4 outputs could not be saved: " in done.stderr


def test_an_object_that_was_asked_for_with_a_slip_says_why_there_is_no_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)

    done = call("m.yaml", "--json=1", cwd=tmp_path)

    assert done.returncode == 2
    assert "--json" in json.loads(done.stdout)["error"]["message"]
