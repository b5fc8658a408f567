"""Each start is kept once, with what it was made of, and with no secret."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from called import Sweep

from batchrun.base.git_commit import commit_of
from batchrun.errors import FolderError
from batchrun.manifest.load import load_manifest
from batchrun.results.edits import by_manifest
from batchrun.results.starts import STARTS, keep_start, newest_start, start_of
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

MANIFEST = """\
models: [a/b]
inputs: {image_url: {$file: a.png}, mood: "${env:MOOD}"}
rows: prompts.csv
"""
ROWS = b"prompt\na chair\n"
PNG = b"\x89PNG\r\n\x1a\n"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "prompts.csv").write_bytes(ROWS)
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST)
    return path


def keep(manifest: Path, mood: str = "calm") -> None:
    keep_start(manifest.parent / "out", start_of(load_manifest(manifest, {"MOOD": mood})))


def kept(manifest: Path) -> list[Path]:
    return sorted((manifest.parent / "out" / STARTS).iterdir())


def test_it_holds_the_manifest_and_the_digests_of_what_was_read(manifest: Path) -> None:
    keep(manifest)

    found = newest_start(manifest.parent / "out")
    assert found is not None
    assert found.manifest == MANIFEST
    assert found.path == str(manifest)
    assert found.files == {
        "a.png": sha256(PNG).hexdigest(),
        "prompts.csv": sha256(ROWS).hexdigest(),
    }
    assert found.host
    assert found.version


def test_the_same_start_adds_no_file_and_another_does(manifest: Path) -> None:
    keep(manifest)
    keep(manifest)
    [first] = kept(manifest)
    (manifest.parent / "prompts.csv").write_text("prompt\na stool\n")
    keep(manifest)

    assert len(kept(manifest)) == 2
    assert first in kept(manifest)


def test_the_start_that_came_again_is_the_newest(manifest: Path) -> None:
    keep(manifest)
    [first] = kept(manifest)
    manifest.write_text(MANIFEST + "repeat: 2\n")
    keep(manifest)
    for path in kept(manifest):
        os.utime(path, ns=(0, 1_000 if path == first else 2_000))
    manifest.write_text(MANIFEST)
    keep(manifest)

    found = newest_start(manifest.parent / "out")
    assert found is not None
    assert found.manifest == MANIFEST


def test_no_value_of_the_environment_is_in_it(manifest: Path) -> None:
    keep(manifest, mood="a-secret-mood")
    [path] = kept(manifest)

    assert b"a-secret-mood" not in path.read_bytes()


def test_what_can_not_be_read_is_passed_over(manifest: Path) -> None:
    keep(manifest)
    [whole] = kept(manifest)
    for name, text in (("x.json", b"{"), ("y.json", b"\xff"), ("z.json", b"{}")):
        whole.with_name(name).write_bytes(text)

    found = newest_start(manifest.parent / "out")
    assert found is not None
    assert found.manifest == MANIFEST
    assert newest_start(manifest.parent / "elsewhere") is None


def test_a_folder_that_takes_no_file_is_an_error(manifest: Path) -> None:
    (manifest.parent / "out").write_text("a file")

    with pytest.raises(FolderError, match="starts"):
        keep(manifest)


@pytest.mark.slow
def test_a_call_keeps_its_start_and_a_call_with_nothing_to_do_adds_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        text = "models: [google/nano-banana-2]\ninputs: {prompt: a chair}\n"
        sweep = Sweep(tmp_path, url, text, capsys)
        codes = [sweep.call()[0]]
        [path] = (sweep.ledger.parent / STARTS).iterdir()
        kept = path.stat()
        codes += [sweep.call()[0], sweep.call("--budget", "9")[0]]

    assert codes == [0, 0, 0]
    assert json.loads(path.read_bytes())["manifest"].startswith("models:")
    assert list((sweep.ledger.parent / STARTS).iterdir()) == [path]
    assert path.stat().st_ino == kept.st_ino


def test_a_path_that_holds_a_value_of_the_environment_is_left_out(manifest: Path) -> None:
    (manifest.parent / "s3cret.csv").write_bytes(ROWS)
    manifest.write_text(MANIFEST.replace("prompts.csv", '"${env:MOOD}.csv"'))
    keep(manifest, mood="s3cret")

    [path] = kept(manifest)
    assert b"s3cret" not in path.read_bytes()


def test_a_start_that_was_cut_is_written_anew(manifest: Path) -> None:
    keep(manifest)
    [path] = kept(manifest)
    path.write_bytes(path.read_bytes()[:20])
    keep(manifest)

    found = newest_start(manifest.parent / "out")
    assert found is not None
    assert found.manifest == MANIFEST


@pytest.mark.slow
def test_starts_that_can_not_be_written_end_no_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        text = "models: [google/nano-banana-2]\ninputs: {prompt: a chair}\n"
        sweep = Sweep(tmp_path, url, text, capsys)
        sweep.call("--limit", "1", "--only", "prompt=a chair")
        starts = sweep.ledger.parent / STARTS
        for path in starts.iterdir():
            path.unlink()
        starts.rmdir()
        starts.write_text("a file")
        code, _, said = sweep.call("--budget", "9")

    assert code == 0
    assert "this start is not kept" in said


def test_a_plan_shows_no_value_of_the_environment(manifest: Path) -> None:
    environ = {"SA": "first-secret", "SB": "other-secret"}
    text = 'models: [a/b]\ninputs: {prompt: "${env:SA}"}\n'
    manifest.write_text(text)
    old = load_manifest(manifest, environ)
    manifest.write_text(text.replace("SA", "SB"))

    [change] = by_manifest(load_manifest(manifest, environ), old)

    assert (change.was, change.now) == (['"${env:SA}"'], ['"${env:SB}"'])


# The commit.


def git(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_commit_is_read_from_a_branch_a_pack_or_the_head_itself(tmp_path: Path) -> None:
    below = tmp_path / "manifests"
    below.mkdir()
    assert commit_of(below) is None

    git(tmp_path, **{".git__HEAD": f"{COMMIT}\n"})
    assert commit_of(below) == COMMIT

    git(tmp_path, **{".git__HEAD": "ref: refs/heads/main\n"})
    assert commit_of(below) is None

    git(tmp_path, **{".git__packed_refs": f"# pack\n{COMMIT} refs/heads/main\n"})
    assert commit_of(below) == COMMIT

    other = COMMIT[::-1]
    git(tmp_path, **{".git__refs__heads__main": f"{other}\n"})
    assert commit_of(below) == other


def test_a_worktree_names_the_folder_of_its_repository(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    git(
        tmp_path,
        **{
            "repo__.git__refs__heads__main": COMMIT,
            "repo__.git__worktrees__tree__HEAD": "ref: refs/heads/main",
            "repo__.git__worktrees__tree__commondir": "../..",
            "tree__.git": f"gitdir: {tmp_path}/repo/.git/worktrees/tree",
        },
    )

    assert commit_of(tree) == COMMIT


@pytest.mark.parametrize("head", ["", "main", "ref: refs/heads/none", "ref: HEAD", "\0", "ref: /"])
def test_a_repository_that_makes_no_sense_has_no_commit(tmp_path: Path, head: str) -> None:
    git(tmp_path, **{".git__HEAD": head})

    assert commit_of(tmp_path) is None


def test_bytes_that_are_no_text_are_no_commit(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")

    assert commit_of(tmp_path) is None


@pytest.mark.parametrize("name", ["../key.hex", "refs/../../key.hex", "key.hex"])
def test_a_reference_names_no_other_file(tmp_path: Path, name: str) -> None:
    git(tmp_path, **{".git__HEAD": f"ref: {name}\n", "key.hex": COMMIT, ".git__key.hex": COMMIT})

    assert commit_of(tmp_path) is None


def test_a_head_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")

    assert commit_of(tmp_path) is None


def test_a_large_head_is_not_read(tmp_path: Path) -> None:
    git(tmp_path, **{".git__HEAD": COMMIT + " " * 70_000})

    assert commit_of(tmp_path) is None
