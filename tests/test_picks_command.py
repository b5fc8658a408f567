"""`batchrun picks`: marks are taken in and said, and the files of picked cells are taken out."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from batchrun.cli import main
from batchrun.sweep.kept_picks import PICKS

MANIFEST: Final = """
name: chairs
endpoint: simulator
models: [google/nano-banana-2]
inputs: {prompt: [a red chair, a blue chair, a green chair]}
outputs: {name: "by prompt/${prompt}"}
poll: {interval: 1ms}
"""


class Chairs:
    """A sweep that is done, and the command on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.manifest = folder / "chairs.yaml"
        self.folder = folder / "outputs/@simulator/chairs"
        self.sweep = json.loads((self.folder / "sweep.json").read_text())["sweep"]
        rows = map(json.loads, (self.folder / "results.jsonl").read_text().splitlines())
        self.cells = {row["prompt"].split()[1]: row["cell"] for row in rows}
        self._capsys = capsys

    def marks(self, *marks: tuple[str, str], name: str = "given.jsonl", **rest: Any) -> Path:
        """Write a file of marks: of a colour, and a kind."""
        path = self.manifest.parent / name
        lines = [
            {
                "id": f"{name}-{number}",
                "sweep": self.sweep,
                "cell": self.cells.get(color, color),
                "kind": kind,
                "note": "",
                "at": f"2026-11-29T03:00:{number:02}Z",
            }
            for number, (color, kind) in enumerate(marks)
        ]
        path.write_text("".join(json.dumps(each | rest) + "\n" for each in lines))
        return path

    def picks(self, *words: str | Path) -> tuple[int, Any]:
        code = main(["picks", str(self.manifest), *map(str, words), "--json"])
        return code, self.shown()[-1]

    def shown(self) -> list[Any]:
        return [json.loads(each) for each in self._capsys.readouterr().out.splitlines()]

    def text(self) -> str:
        return self._capsys.readouterr().out

    def said(self, *words: str | Path) -> str:
        assert main(["picks", str(self.folder), *map(str, words)]) == 0
        return self._capsys.readouterr().out


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "chairs.yaml").write_text(MANIFEST)
    assert main([str(folder / "chairs.yaml"), "--quiet"]) == 0
    return folder


@pytest.fixture
def chairs(swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Chairs:
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    return Chairs(tmp_path, capsys)


def test_marks_are_taken_in_once_and_said(chairs: Chairs) -> None:
    given = chairs.marks(("red", "pick"), ("blue", "reject"), ("green", "redo"), ("red", "note"))

    code, found = chairs.picks(given)

    assert (code, found["new"], found["sweep"]) == (0, 4, chairs.sweep)
    assert [each["cell"] for each in found["picked"]] == [chairs.cells["red"]]
    assert found["picked"][0]["files"] == ["files/by prompt/a red chair.png"]
    assert [each["cell"] for each in found["rejected"]] == [chairs.cells["blue"]]
    assert [each["made"] for each in found["redo"]] == [None]
    assert found["notes"] == []  # an empty one is none
    assert chairs.picks(given)[1]["new"] == 0
    assert chairs.picks()[1] == {**found, "new": 0}


def test_before_a_sweep_has_begun_there_is_nothing_to_mark(chairs: Chairs) -> None:
    (chairs.folder / "sweep.json").unlink()
    (chairs.folder / "ledger.jsonl").write_bytes(b"")

    code, found = chairs.picks()

    assert code == 2
    assert "no sweep has begun in" in found["error"]["message"]


def test_people_read_which_cells_are_marked_and_a_note_does_nothing(chairs: Chairs) -> None:
    note = "<script>alert(1)</script>\u202e\x1b[31m"
    chairs.said(chairs.marks(("red", "pick"), ("nonesuch", "redo")))
    said = chairs.said(chairs.marks(("red", "note"), name="b.jsonl", note=note))

    assert "1 picked, 0 rejected, 1 to redo, 1 with a note; 1 new mark" in said
    assert "<script>alert(1)</script>\\u202e\\u001b[31m" in said
    assert "nonesuch  not in the manifest" in said
    assert "1 marked cell not among the manifest's" in said


def test_marks_of_other_labels_are_left_and_said_in_one_line(chairs: Chairs) -> None:
    other = chairs.folder / "@tue"
    assert main([str(chairs.manifest), "--quiet", "--label", "tue"]) == 0
    sweep = json.loads((other / "sweep.json").read_text())["sweep"]
    (other / "sweep.json").unlink()  # its ledger says who it is
    ours = chairs.marks(("red", "pick"))
    theirs = chairs.marks(("red", "pick"), ("blue", "redo"), name="theirs.jsonl", sweep=sweep)
    ours.write_text(ours.read_text() + theirs.read_text())

    code, found = chairs.picks(ours, theirs)

    assert (code, found["new"], len(found["picked"]), len(found["redo"])) == (0, 1, 1, 0)
    assert found["left"] == [{"sweep": sweep, "label": "tue", "marks": 2}]
    assert b"theirs" not in (chairs.folder / PICKS).read_bytes()
    assert chairs.said(ours).endswith(
        "2 marks left, of other labels: 2 of tue; `batchrun picks` on these takes them in\n"
    )
    assert main(["picks", str(other), str(ours)]) == 0
    assert "1 mark left, of other labels: 1 of the sweep without one" in chairs.text()


def test_marks_of_an_unknown_sweep_are_refused_with_all_of_their_file(chairs: Chairs) -> None:
    assert main([str(chairs.manifest), "--quiet", "--label", "tue"]) == 0
    given = chairs.marks(("red", "pick"))
    more = chairs.marks(("red", "pick"), name="more.jsonl", sweep="elsewhere")
    given.write_text(given.read_text() + more.read_text())

    code, found = chairs.picks(given)

    assert code == 2
    assert "1 of its marks are of the sweep elsewhere" in found["error"]["message"]
    assert not (chairs.folder / PICKS).exists()


def test_marks_of_another_sweep_are_refused(chairs: Chairs) -> None:
    code, found = chairs.picks(chairs.marks(("red", "pick"), sweep="elsewhere"))

    assert (code, found["sweep"], found["name"]) == (2, chairs.sweep, "chairs")
    assert "are of the sweep elsewhere, and this one is" in found["error"]["message"]
    assert not (chairs.folder / PICKS).exists()


def test_picked_files_are_copied_under_their_names(chairs: Chairs, tmp_path: Path) -> None:
    given = chairs.marks(("red", "pick"), ("blue", "pick"), ("green", "reject"))
    target = tmp_path / "chosen"

    code, found = chairs.picks(given, "--copy", target)

    assert (code, found["copied"]["files"], found["copied"]["new"]) == (0, 2, 2)
    names = {str(each.relative_to(target)) for each in target.rglob("*.*")}
    assert names == {"by prompt/a red chair.png", "by prompt/a blue chair.png"}
    copied = target / "by prompt/a red chair.png"
    source = chairs.folder / "files/by prompt/a red chair.png"
    assert copied.read_bytes() == source.read_bytes()
    assert copied.stat().st_ino != source.stat().st_ino
    assert chairs.picks("--copy", target)[1]["copied"]["new"] == 0


def test_a_copy_never_takes_the_place_of_another_file(chairs: Chairs, tmp_path: Path) -> None:
    target = tmp_path / "chosen"
    (target / "by prompt").mkdir(parents=True)
    (target / "by prompt/a blue chair.png").write_text("mine")

    code, found = chairs.picks(chairs.marks(("red", "pick"), ("blue", "pick")), "--copy", target)

    assert code == 2
    assert "1 of 2 files are in" in found["error"]["message"]
    assert "a blue chair.png; nothing was copied" in found["error"]["message"]
    assert [each.read_text() for each in target.rglob("*.png")] == ["mine"]


def test_a_link_at_the_destination_is_not_written_through(chairs: Chairs, tmp_path: Path) -> None:
    target = tmp_path / "chosen/by prompt"
    target.mkdir(parents=True)
    (target / "a red chair.png").symlink_to(tmp_path / "elsewhere.png")

    code, _ = chairs.picks(chairs.marks(("red", "pick")), "--copy", tmp_path / "chosen")

    assert code == 2
    assert not (tmp_path / "elsewhere.png").exists()


def test_picked_files_are_put_into_a_zip_file(chairs: Chairs, tmp_path: Path) -> None:
    target = tmp_path / "chosen.zip"

    assert chairs.picks(chairs.marks(("red", "pick")), "--zip", target)[0] == 0

    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["by prompt/a red chair.png"]
        assert archive.testzip() is None
    code, found = chairs.picks("--zip", target)
    assert code == 2
    assert "exists already" in found["error"]["message"]


def test_a_picked_file_that_is_gone_is_said(chairs: Chairs, tmp_path: Path) -> None:
    given = chairs.marks(("red", "pick"), ("blue", "pick"))
    chairs.picks(given)
    (chairs.folder / "files/by prompt/a red chair.png").unlink()

    code, found = chairs.picks("--copy", tmp_path / "chosen")

    assert (code, found["copied"]["files"], found["copied"]["without_file"]) == (3, 1, 1)
    assert main(["picks", str(chairs.folder), "--copy", str(tmp_path / "chosen")]) == 3


def test_without_a_picked_file_there_is_nothing_to_copy(chairs: Chairs, tmp_path: Path) -> None:
    code, found = chairs.picks("--copy", tmp_path / "chosen")

    assert code == 2
    assert "there is nothing to copy" in found["error"]["message"]


def test_a_redo_mark_is_priced_first_made_once_and_said(chairs: Chairs) -> None:
    chairs.picks(chairs.marks(("green", "redo")))
    words = ["redo", str(chairs.manifest), "--only", "redo=true", "--json", "--quiet"]

    codes = [main([*words, "--dry-run"]), main([*words, "--yes"]), main([*words, "--yes"])]

    priced, made, again = chairs.shown()
    assert codes == [0, 0, 0]
    assert (len(priced["redo"]["cells"]), priced["redo"]["cost"] is not None) == (1, True)
    assert made["cells"] == 4
    assert (again["redo"]["cells"], again["redo"]["granted"]) == ([], 1)
    [redo] = chairs.picks()[1]["redo"]
    assert redo["made"] == priced["redo"]["cells"][0]
    text = (chairs.folder / "ledger.jsonl").read_text()
    assert text.count('"type":"marks"') == 1
    assert text.index('"id":"given.jsonl-0"') < text.index(f'"cell":"{redo["made"]}"')


def test_a_redo_by_other_words_grants_the_mark_of_the_cell(chairs: Chairs) -> None:
    chairs.picks(chairs.marks(("green", "redo")))
    words = ["redo", str(chairs.manifest), "--json", "--quiet", "--yes"]

    main([*words, "--only", "prompt=a green chair"])
    main([*words, "--only", "redo=true"])

    [redo] = chairs.picks()[1]["redo"]
    assert redo["made"] is not None
    assert (chairs.folder / "ledger.jsonl").read_text().count('"type":"marks"') == 1
