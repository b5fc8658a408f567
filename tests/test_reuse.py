"""`--reuse FOLDER`: what has succeeded and is saved elsewhere is taken over, and paid once."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from called import created

from batchrun.base.output_store import OutputStore
from batchrun.cli import main
from batchrun.errors import FolderError
from batchrun.ledger.records import REUSING, AnyRecord, Reused, Sweep, decode
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

MANIFEST: Final = """\
name: chairs
models: [google/nano-banana-2]
inputs: {prompt: [one, two, three]}
limits: {settle: 300ms, rate: 1000/s}
poll: {interval: 50ms}
"""


class Project:
    """A sweep that is paid and saved, and a manifest that was renamed since."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.manifest = folder / "m.yaml"
        self.url = url
        self._capsys = capsys
        self.manifest.write_text(MANIFEST)
        code, found, _ = self.call()
        assert code == 0
        self.first = Path(found["outputs"])
        self.first_sweep = found["sweep"]
        self.manifest.write_text(MANIFEST.replace("chairs", "stools"))
        self.made = created(url)

    @property
    def second(self) -> Path:
        return self.first.with_name("stools")

    def call(self, *words: str) -> tuple[int, Any, str]:
        command = words[:1] if words[:1] in {("recover",), ("status",), ("plan",)} else ()
        rest = words[len(command) :]
        code = main([*command, str(self.manifest), "--endpoint", self.url, "--json", *rest])
        shown = self._capsys.readouterr()
        return code, json.loads(shown.out), shown.err

    def plan(self, *words: str) -> str:
        assert main(["plan", str(self.manifest), "--endpoint", self.url, *words]) == 0
        shown: str = self._capsys.readouterr().out
        return shown

    def take(self, *words: str) -> tuple[int, Any, str]:
        return self.call("--reuse", str(self.first), *words)

    def sent(self) -> int:
        """Return how many runs were asked for since the first sweep."""
        return created(self.url) - self.made

    def rows(self) -> list[Any]:
        text = (self.second / "results.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def records(self) -> list[AnyRecord]:
        lines = (self.second / "ledger.jsonl").read_bytes().splitlines(keepends=True)
        return [record for line in lines if (record := decode(line)) is not None]


@pytest.fixture
def project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        yield Project(tmp_path, url, capsys)


def test_all_of_it_is_taken_over_and_nothing_is_sent(project: Project) -> None:
    code, found, said = project.take()

    assert (code, found["cells"], found["succeeded"], found["unsaved"]) == (0, 3, 3, 0)
    assert (found["cost"], found["complete"], project.sent()) == ("0.00", True, 0)
    assert f"took over 3 cells from {project.first}, at no cost" in said
    for row in project.rows():
        assert (row["status"], row["cost"], row["attempts"]) == ("succeeded", "0.00", 0)
        [file] = row["files"]
        there = [path for path in project.first.rglob("*.png") if path.name == Path(file).name]
        assert (project.second / file).read_bytes() == there[0].read_bytes()
    reused = [record for record in project.records() if isinstance(record, Reused)]
    assert {record.sweep for record in reused} == {project.first_sweep}
    assert {str(record.cost) for record in reused} == {"0.08"}
    assert {record.run_id for record in reused} == {row["run_id"] for row in project.rows()}


def test_later_calls_have_nothing_to_do(project: Project) -> None:
    project.take()

    for words in ([], ["--reuse", str(project.first)], ["--budget", "9"], []):
        code, found, _ = project.call(*words)
        assert (code, found["succeeded"], found["complete"]) == (0, 3, True)
    assert project.sent() == 0
    assert project.call("status")[1]["succeeded"] == 3


def test_only_what_is_new_is_paid(project: Project) -> None:
    project.manifest.write_text(project.manifest.read_text().replace("three", "three, four"))
    _, planned, _ = project.call("plan", "--reuse", str(project.first))
    code, found, _ = project.take()

    assert planned["next"].endswith("begins 1 cell")
    assert (code, found["succeeded"], found["cost"], project.sent()) == (0, 4, "0.08", 1)


def test_a_plan_that_was_kept_holds_where_cells_are_taken_over(project: Project) -> None:
    project.manifest.write_text(project.manifest.read_text().replace("three", "three, four"))
    kept = str(project.manifest.with_name("plan.json"))
    project.call("plan", "--reuse", str(project.first), "-o", kept)

    code, found, _ = project.take("--plan", kept)

    assert (code, found["succeeded"], project.sent()) == (0, 4, 1)


def test_a_file_that_was_changed_or_is_gone_is_not_taken_for_the_runs(project: Project) -> None:
    changed, gone, _ = sorted(project.first.rglob("*.png"))
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    gone.unlink()

    code, found, _ = project.take()

    message = found["error"]["message"]
    assert (code, project.sent()) == (9, 0)
    assert (
        "2 cells of this manifest can't be taken over, and would be paid a second time" in message
    )
    assert "1 changed since it was saved, 1 not saved" in message
    assert "go on with the sweep 'chairs'" in message
    assert f"--reuse {project.first} --new-sweep {project.first_sweep}`" in message
    _, planned, _ = project.call("plan", "--reuse", str(project.first))
    assert [(each["cells"], each["not_taken"]) for each in planned["reused"]] == [(1, 2)]
    code, found, said = project.take("--new-sweep", project.first_sweep)
    assert "took over 1 cell from" in said
    assert (code, found["succeeded"], project.sent()) == (0, 3, 2)


def test_it_is_taken_over_from_what_was_taken_over_too(project: Project) -> None:
    project.take()
    project.manifest.write_text(MANIFEST.replace("chairs", "benches"))

    code, found, _ = project.call("--reuse", str(project.second))

    assert (code, found["succeeded"], project.sent()) == (0, 3, 0)


def test_a_file_that_is_deleted_here_is_fetched_again_and_not_paid(project: Project) -> None:
    project.take()
    [first, *_] = sorted(project.second.rglob("*.png"))
    data = first.read_bytes()
    first.unlink()

    code, found, said = project.call()

    assert "files of 1 cell are gone from the folder; they are fetched again" in said
    assert (code, found["succeeded"], project.sent()) == (0, 3, 0)
    assert first.read_bytes() == data
    assert {row["cost"] for row in project.rows()} == {"0.00"}


def test_names_that_meet_do_not_write_over_each_other(project: Project) -> None:
    text = project.manifest.read_text()
    project.manifest.write_text(f'{text}outputs: {{name: "all/${{prompt}}"}}\n')
    blocking = project.second / "files" / "all" / "one.png"
    blocking.parent.mkdir(parents=True)
    blocking.write_bytes(b"the user's own")

    project.take()

    files = [file for row in project.rows() for file in row["files"]]
    assert len(set(files)) == 3
    assert blocking.read_bytes() == b"the user's own"


def test_a_call_that_was_killed_amid_it_is_gone_on_with(project: Project) -> None:
    """Its files are there, and the lines are not."""
    project.take()
    ledger = project.second / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(line for line in lines if b'"type":"reused"' not in line))
    before = sorted(path.name for path in project.second.rglob("*.png"))

    code, found, _ = project.take()

    assert (code, found["succeeded"], project.sent()) == (0, 3, 0)
    assert sorted(path.name for path in project.second.rglob("*.png")) == before


def test_a_call_that_was_stopped_amid_it_does_not_let_the_next_one_pay(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    take = OutputStore.take

    def full(store: OutputStore, name: str, source: Path) -> None:
        taken.append(name)
        if len(taken) == 3:
            raise FolderError("no space is left")
        take(store, name, source)

    with monkeypatch.context() as patch:
        patch.setattr(OutputStore, "take", full)
        patch.setattr("batchrun.commands.taking_over.AT_ONCE", 1)
        assert project.take()[0] == 9
    code, found, _ = project.call()

    assert code == 9
    assert "a call was stopped amid it" in found["error"]["message"]
    assert f"--reuse {project.first}`" in found["error"]["message"]
    code, found, _ = project.take()
    assert (code, found["succeeded"], project.sent()) == (0, 3, 0)
    assert project.call()[0] == 0


@pytest.mark.parametrize("recover", ["recover", "--recover"])
def test_recover_can_not_find_it_and_asks_for_it_again(project: Project, recover: str) -> None:
    project.manifest.write_text(project.manifest.read_text().replace("three", "three, four"))
    project.take()
    sent = project.sent()
    (project.second / "ledger.jsonl").unlink()
    words = f"--reuse {project.first}`"

    if recover == "recover":
        code, _, said = project.call("recover")
        assert code == 0
        assert words in said
        code, found, _ = project.call()
    else:
        code, found, _ = project.call("--recover")
    assert code == 9
    assert words in found["error"]["message"]
    assert words in project.plan()
    planned = project.plan("--reuse", str(project.first))
    assert "can't show them" not in planned
    assert f"3 cells taken over from {project.first}, at no cost" in planned
    assert project.sent() == sent
    code, found, _ = project.take()
    assert (code, found["succeeded"], project.sent()) == (0, 4, sent)


def test_what_the_simulator_made_is_nothing_elsewhere(project: Project) -> None:
    words = ["--endpoint", "https://api.runflow.io", "--reuse", str(project.first)]

    code, found, _ = project.call(*words)

    assert code == 2
    assert (
        "is nothing real, and is not reused at https://api.runflow.io"
        in (found["error"]["message"])
    )


@pytest.mark.parametrize("which", ["none", "own"])
def test_a_folder_that_is_no_other_sweep_is_a_mistake(project: Project, which: str) -> None:
    folder = project.first.parent / "nothing"
    if which == "own":
        project.manifest.write_text(MANIFEST)
        folder = project.first
    code, found, _ = project.call("--reuse", str(folder))

    assert code == 2
    says = {"none": "no sweep is there", "own": "this sweep's own folder"}
    assert says[which] in found["error"]["message"]
    assert project.sent() == 0


def test_why_says_where_it_comes_from(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.take()
    key = project.rows()[0]["cell"]
    assert main(["why", str(project.manifest), key, "--endpoint", project.url]) == 0

    shown = capsys.readouterr().out
    assert f"taken over from sweep {project.first_sweep}, run " in shown
    assert "0.08 USD there: files/" in shown


def test_without_links_the_files_are_copied(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    code, found, _ = project.take()
    shutil.rmtree(project.first)

    assert (code, found["succeeded"]) == (0, 3)
    assert len(list(project.second.rglob("*.png"))) == 3


def other(project: Project, text: str, name: str) -> Path:
    """Pay for another sweep beside the first one; return its folder."""
    kept = project.manifest.read_text()
    project.manifest.write_text(MANIFEST.replace("chairs", name).replace("one, two, three", text))
    code, found, _ = project.call()
    assert code == 0
    project.manifest.write_text(kept)
    return Path(found["outputs"])


def test_what_is_not_saved_there_is_not_paid_again(project: Project) -> None:
    """It was made with `download: false`: the refusal of a renamed sweep advises `--reuse`."""
    project.manifest.write_text(
        MANIFEST.replace("chairs", "plain") + "outputs: {download: false}\n"
    )
    code, found, _ = project.call("--new-sweep", project.first_sweep)
    assert code == 0
    sent = project.sent()
    project.manifest.write_text(MANIFEST.replace("chairs", "stools"))

    code, refused, _ = project.call("--reuse", found["outputs"])

    assert (code, project.sent()) == (9, sent)
    assert "would be paid a second time: 3 not saved" in refused["error"]["message"]
    assert not (project.second / "results.jsonl").exists()


def test_a_folder_of_which_nothing_is_taken_is_a_mistake(project: Project) -> None:
    wrong = other(project, "seven", "wrong")
    sent = project.sent()

    code, found, _ = project.call("--reuse", str(wrong))

    assert (code, project.sent()) == (2, sent)
    assert "takes over 0 cells" in found["error"]["message"]


def test_what_another_folder_has_is_refused_with_reuse_too(project: Project) -> None:
    little = other(project, "one", "little")
    sent = project.sent()

    code, found, _ = project.call("--reuse", str(little))

    assert (code, project.sent()) == (9, sent)
    assert f"in {project.first} has 2 cells of this manifest" in found["error"]["message"]
    code, found, _ = project.take("--reuse", str(little))
    assert (code, found["succeeded"], project.sent()) == (0, 3, sent)


def test_each_folder_is_owed_until_it_is_taken_over_again(project: Project) -> None:
    more = other(project, "four", "more")
    sent = project.sent()
    project.manifest.write_text(project.manifest.read_text().replace("three", "three, four"))
    both = ["--reuse", str(project.first), "--reuse", str(more)]
    assert project.call(*both)[0] == 0
    ledger = project.second / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    owed = f'"sweep":"{project.first_sweep}","run_id"'.encode()
    ledger.write_bytes(b"".join(line for line in lines if owed not in line))

    for words in ([], ["--reuse", str(more)]):
        code, found, _ = project.call(*words)
        assert code == 9
        assert f"--reuse {project.first}`" in found["error"]["message"]
    assert project.call(*both)[0] == 0
    assert project.sent() == sent


def test_a_kill_amid_the_first_cell_leaves_its_trace(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise FolderError("no space is left")

    with monkeypatch.context() as patch:
        patch.setattr(OutputStore, "take", full)
        assert project.take()[0] == 9
    shutil.rmtree(project.first)  # so that no sibling refuses the call

    code, found, _ = project.call()

    assert (code, project.sent()) == (9, 0)
    assert "a call was stopped amid it" in found["error"]["message"]


def test_siblings_are_looked_at_after_a_recovery(project: Project) -> None:
    project.manifest.write_text(project.manifest.read_text().replace("three", "three, four"))
    project.take()
    sent = project.sent()
    shutil.rmtree(project.second)

    code, _, said = project.call("--recover", "--limit", "1", "--quiet")

    assert code in {0, 3}
    assert f"in {project.first} has 3 cells of this manifest" in said
    assert "they are paid again" in said
    assert project.sent() >= sent


def test_the_same_name_in_another_folder_is_not_begun_elsewhere(project: Project) -> None:
    text = MANIFEST.replace("three", "three, four") + "outputs: {dir: elsewhere}\n"
    project.manifest.write_text(text)

    planned = project.plan("--reuse", str(project.first))
    code, found, _ = project.take()

    assert "begun elsewhere" not in planned
    assert (code, found["succeeded"], project.sent()) == (0, 4, 1)
    assert "one too many" not in project.call("recover")[2]
    assert project.call()[0] == 0
    assert project.sent() == 1


def test_an_older_batchrun_reads_no_reused_line(project: Project) -> None:
    assert project.take()[0] == 0
    project.call("--budget", "9")

    formats = [each.format if isinstance(each, Sweep) else each for each in project.records()]
    first = next(at for at, each in enumerate(formats) if isinstance(each, Reused))
    assert REUSING in formats[:first]
    assert formats[-1] == REUSING
    lines = (project.first / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    plain = [record for line in lines if isinstance(record := decode(line), Sweep)]
    assert {record.format for record in plain} == {1}


def test_a_signal_ends_it_between_two_cells_and_nothing_is_sent(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.manifest.write_text(project.manifest.read_text().replace("three", "three, four"))
    take = OutputStore.take

    def interrupted(store: OutputStore, name: str, source: Path) -> None:
        take(store, name, source)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(OutputStore, "take", interrupted)
        code, found, said = project.take()

    assert (code, found["succeeded"], project.sent()) == (3, 1, 0)
    assert "stopped amid it, nothing is sent" in said
    assert project.call()[0] == 9
    assert project.take()[0] == 0
    assert project.sent() == 1


def test_a_file_that_is_deleted_here_is_put_back_from_there(project: Project) -> None:
    project.take()
    [first, *_] = sorted(project.second.rglob("*.png"))
    data = first.read_bytes()
    first.unlink()

    code, _, said = project.take()

    assert code == 0
    assert "put back the files of 1 cell" in said
    assert "fetched again" not in said
    assert first.read_bytes() == data
