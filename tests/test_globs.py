"""`$glob`: each file once, in bounded time, and what is left out is said."""

import glob
import json
import os
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchrun.cli import main
from batchrun.errors import ManifestError
from batchrun.manifest.data.globs import Found, Why, any_case, search
from batchrun.manifest.data.left_out import SHOWN, leaving_out
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest

PNG = b"\x89PNG\r\n\x1a\n"


def make(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(PNG + path.encode())


def notes(folder: Path, *patterns: str) -> list[str]:
    globs = ", ".join(f'{{$glob: "{pattern}"}}' for pattern in patterns)
    path = folder / "m.yaml"
    path.write_text(f"models: [google/nano-banana-2]\ninputs: {{image_url: [{globs}]}}\n")
    return [note.message for note in load_manifest(path, {}).notes]


def test_a_link_to_the_folder_itself_gives_no_file_twice(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sub/b.png")
    (tmp_path / "sub" / "again").symlink_to("..")
    (tmp_path / "loop").symlink_to(".")

    assert search(tmp_path, "**/*.png") == Found(("a.png", "sub/b.png"), {})
    assert search(tmp_path, "**/**/*.png").files == ("a.png", "sub/b.png")
    assert search(tmp_path, "**").files == ("a.png", "sub/b.png")


def test_links_that_lead_to_each_other_end(tmp_path: Path) -> None:
    make(tmp_path, "one/a.png", "two/b.png")
    (tmp_path / "one" / "there").symlink_to(tmp_path / "two")
    (tmp_path / "two" / "back").symlink_to(tmp_path / "one")

    assert search(tmp_path, "one/**/*.png").files == ("one/a.png",)
    assert search(tmp_path, "**/*.png").files == ("one/a.png", "two/b.png")


def test_a_link_to_another_folder_is_followed_where_the_pattern_names_it(tmp_path: Path) -> None:
    make(tmp_path, "store/a.png", "here/b.png")
    (tmp_path / "here" / "shots").symlink_to(tmp_path / "store")

    assert search(tmp_path, "here/shots/*.png").files == ("here/shots/a.png",)
    assert search(tmp_path, "here/*/*.png").files == ("here/shots/a.png",)
    assert search(tmp_path, "here/shots/**/*.png").files == ("here/shots/a.png",)
    assert search(tmp_path, "here/**/*.png") == Found(("here/b.png",), {"here/shots": Why.LINKED})
    assert notes(tmp_path, "here/**/*.png") == [
        (
            "`here/**/*.png` leaves out 1 folder: `shots` (a link to a folder; `**` doesn't "
            "follow it; add a `$glob` that names it, such as `here/shots/*`)"
        )
    ]


def test_a_link_to_nowhere_and_another_case_are_said(tmp_path: Path) -> None:
    make(tmp_path, "photos/a.jpg", "photos/IMG_1.JPG", "photos/.hidden.JPG")
    (tmp_path / "photos" / "gone.jpg").symlink_to("nowhere")

    assert notes(tmp_path, "photos/*.jpg") == [
        (
            "`photos/*.jpg` leaves out 2 files: `IMG_1.JPG` (case counts; write "
            "`photos/*.[jJ][pP][gG]`), `gone.jpg` (a link to nowhere)"
        )
    ]
    [note] = notes(tmp_path, "**/*.jpg")
    assert "write `**/*.[jJ][pP][gG]`" in note


def test_another_glob_that_finds_a_file_makes_it_no_loss(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "B.JPG")

    assert notes(tmp_path, "*.jpg", "*.JPG") == []
    assert notes(tmp_path, "*.[jJ][pP][gG]") == []


def test_what_is_no_file_is_left_out_and_said(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "x.png/b.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "one.png").symlink_to("two.png")
    (tmp_path / "two.png").symlink_to("one.png")
    (tmp_path / os.fsdecode(b"\xe4.png")).write_bytes(PNG)

    found = search(tmp_path, "*.png")

    assert found.files == ("a.png",)
    assert list(found.left_out.values()) == [
        *(Why.CIRCLE, Why.NO_FILE, Why.CIRCLE, Why.FOLDER, Why.NAME)
    ]
    assert search(tmp_path, "*").left_out.keys() == found.left_out.keys() - {"x.png"}
    assert notes(tmp_path, "*.png") == [
        (
            "`*.png` leaves out 4 files and 1 folder: `one.png`, `two.png` (a link that leads "
            "in a circle), `pipe.png` (a pipe, a socket or a device), `x.png` (a folder), "
            "`\\udce4.png` (its name is not UTF-8)"
        )
    ]


def test_a_folder_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.png", "closed/b.png")
    scan = os.scandir

    def scandir(path: str) -> Any:
        if "closed" in path:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("os.scandir", scandir)

    assert search(tmp_path, "**/*.png") == Found(("a.png",), {"closed": Why.UNREADABLE})


def test_a_pattern_that_finds_nothing_says_what_is_near(tmp_path: Path) -> None:
    make(tmp_path, "A.JPG")

    with pytest.raises(ManifestError, match=r"leaves out 1 file: `A\.JPG` \(case counts; write"):
        notes(tmp_path, "*.jpg")


def test_two_stars_within_a_name_are_said(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sub/b.png")

    assert notes(tmp_path, "**.png") == [
        "`**.png`: `**` goes through folders only where it stands alone, such as `**/*`"
    ]


def test_many_names_are_counted() -> None:
    left = {f"{number}.PNG": Why.CASE for number in range(SHOWN + 2)}

    said = leaving_out(Found((), left), "*.png")

    assert said is not None
    assert said.endswith("`4.PNG` and 2 more (case counts; write `*.[pP][nN][gG]`)")


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("*.jpg", "a.JPG", "*.[jJ][pP][gG]"),
        ("x/img*.jpg", "IMG.jpg", "[iI][mM][gG]*.[jJ][pP][gG]"),
        ("[a-c].jpg", "a.JPG", "[a-c].[jJ][pP][gG]"),
        ("shot*", "SHOT1", "[sS][hH][oO][tT]*"),
        ("ß7.*", "ß7.png", "ß7.*"),
    ],
)
def test_a_pattern_of_any_case(pattern: str, name: str, wanted: str) -> None:
    assert any_case(pattern, [name]) == wanted


NAMES = st.sampled_from(["a", "b.png", "B.PNG", ".h", ".h.png", "a[b", "x.jpg", "ab.png"])
PARTS = st.sampled_from(
    ["a", "**", "*", "?.png", "*.png", ".*", "[ab]*", "a[[]b", "x.jpg", "*.[pP][nN][gG]", "[!a]*"]
)


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    paths=st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=6),
    pattern=st.lists(PARTS, min_size=1, max_size=4),
)
def test_without_links_it_finds_what_the_library_does(
    tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]], pattern: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for path in paths:
        place = folder.joinpath(*path)
        if not any(each.is_file() for each in [*place.parents, place]) and not place.exists():
            make(folder, "/".join(path))
    written = "/".join(pattern)

    known = glob.glob(written, root_dir=folder, recursive=True)  # noqa: PTH207  (hidden files)

    assert set(search(folder, written).files) == {
        path for path in known if (folder / path).is_file()
    }


def test_plan_says_the_notes_and_the_object_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "a.jpg", "B.JPG")
    path = tmp_path / "m.yaml"
    path.write_text(
        "models: [google/nano-banana-2]\nendpoint: simulator\n"
        "inputs: {prompt: a chair, x: {$glob: '*.jpg'}}\nlimits: {input_errors: warn}\n"
    )
    said = "`*.jpg` leaves out 1 file: `B.JPG` (case counts; write `*.[jJ][pP][gG]`)"

    assert main(["plan", str(path), "--json"]) == 0
    shown = capsys.readouterr()

    assert [each["message"] for each in json.loads(shown.out)["notes"]] == [said]
    assert shown.err.splitlines() == [f"note: {path}:3:38: {said}"]
    assert len(list(expand(load_manifest(path, {})))) == 1
