"""The page's data: columns, chunks, files on disk; and the page that names them."""

import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from PIL import Image
from report_pages import HOSTILE, data_files, head, inside, row, written

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import Saved, SavedFile
from batchrun.report import page_file
from batchrun.report.columns import ABSENT, packed
from batchrun.report.data_files import FOLDER, DataFiles
from batchrun.report.embedded import embedded
from batchrun.report.page_file import MODULES, code, page, source
from batchrun.report.thumbnails import SIDE, SMALL, Thumbnails, drawn
from batchrun.results.result_files import REPORT
from batchrun.sweep.picks import Kind, Pick


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_embedded_json_says_the_same_and_has_no_markup(value: object) -> None:
    text = embedded(value)

    assert json.loads(text) == value
    assert not set(text) & set(b"<>&")


def test_a_hostile_text_is_the_same_text_again() -> None:
    text = embedded({HOSTILE: HOSTILE}).decode()

    assert json.loads(text) == {HOSTILE: HOSTILE}
    assert "\u202e" not in text
    assert "\u2028" not in text


def unpacked(packed: dict[str, Any], rows: int) -> list[Any]:
    if "all" in packed:
        return [packed["all"]] * rows
    codes = packed.get("codes", range(rows))
    return [ABSENT if code < 0 else packed["values"][code] for code in codes]


@given(
    st.lists(st.just(ABSENT) | st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=1))
)
def test_a_packed_column_is_the_column(column: list[Any]) -> None:
    again = unpacked(packed(column), len(column))

    assert [(type(each), each) for each in again] == [(type(each), each) for each in column]


def test_values_that_repeat_are_spelled_once() -> None:
    assert packed(["a", "b", "a"]) == {"values": ["a", "b"], "codes": [0, 1, 0]}
    assert packed(["a", "a"]) == {"all": "a"}
    assert packed([[1], [1], {"x": 1}]) == {"values": [[1], {"x": 1}], "codes": [0, 0, 1]}
    assert packed([1, True, "1"]) == {"values": [1, True, "1"]}


def test_numbers_that_javascript_does_not_have_are_their_digits() -> None:
    column = [2**53 - 1, 2**53, -(2**53), [{"seed": 2**64}], float("inf"), True, 0.1]

    assert packed(column)["values"] == [
        2**53 - 1,
        {"$number": str(2**53)},
        {"$number": str(-(2**53))},
        [{"seed": {"$number": str(2**64)}}],
        {"$number": "inf"},
        True,
        0.1,
    ]


def test_a_key_is_one_in_a_script_whatever_it_is_called(tmp_path: Path) -> None:
    values = {"__proto__": {"__proto__": '"__proto__":'}}

    name = DataFiles(OutputStore(tmp_path)).put("o", 0, values)

    script = (tmp_path / FOLDER / f"{name}.js").read_text()
    assert script == (
        f'batchrunTake("{name}",{{["__proto__"]:{{["__proto__"]:"\\"__proto__\\":"}}}})\n'
    )


def test_a_chunk_that_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    data = DataFiles(OutputStore(tmp_path))
    name = data.put("o", 0, {"a": 1})
    path = tmp_path / FOLDER / f"{name}.js"
    before = path.stat().st_ino

    again = data.put("o", 0, {"a": 1})

    assert again == name
    assert path.stat().st_ino == before


def outdate(folder: Path) -> set[str]:
    """Make all data of the page old; return its names."""
    names = set(data_files(folder))
    for name in names:
        os.utime(folder / FOLDER / name, (0, 0))
    return names


def test_what_the_page_no_longer_names_is_removed_after_a_while_and_nothing_else(
    tmp_path: Path,
) -> None:
    written(tmp_path, [row("c1", {"seed": 1})])
    before = outdate(tmp_path)
    (tmp_path / FOLDER / "mine.txt").write_text("mine")

    written(tmp_path, [row("c1", {"seed": 1}, status="failed")])
    assert before < set(data_files(tmp_path))  # a page that was opened just before reads it still
    written(tmp_path, [row("c1", {"seed": 1}, status="failed")])
    assert before < set(data_files(tmp_path))
    outdate(tmp_path)
    written(tmp_path, [row("c1", {"seed": 1}, status="failed")])

    after = set(data_files(tmp_path))
    assert "mine.txt" in after
    assert len(after) == 3
    assert len(after & before) == 1  # the details say nothing of the status


def test_a_writer_that_comes_too_late_leaves_the_data_of_the_page_that_stays(
    tmp_path: Path,
) -> None:
    late = time.time_ns() - 2 * 10**9
    written(tmp_path, [row("c1", {"seed": 1})], as_of=late + 10**9)
    text = (tmp_path / REPORT).read_text()
    before = outdate(tmp_path)

    written(tmp_path, [row("c1", {"seed": 2}, status="pending")], as_of=late)

    assert (tmp_path / REPORT).read_text() == text
    assert before <= set(data_files(tmp_path))


def test_an_overview_has_the_axes_and_how_cells_stand(tmp_path: Path) -> None:
    rows = [row("c1", {"prompt": "a", "seed": 1}), row("c2", {"prompt": "b"}, status="failed")]

    text = written(tmp_path, rows)

    (name,) = [name for name in data_files(tmp_path) if name.startswith("o")]
    script = data_files(tmp_path)[name].decode()
    chunk = json.loads(script.removeprefix(f'batchrunTake("{name[:-3]}",').removesuffix(")\n"))
    assert list(chunk)[:3] == ["prompt", "seed", "alias"]
    assert chunk["seed"] == {"values": [1], "codes": [0, -1]}
    assert chunk["status"] == {"values": ["succeeded", "failed"]}
    assert json.loads(inside(text))["axes"] == ["prompt", "seed"]


def test_nothing_from_outside_is_markup_in_the_page(tmp_path: Path) -> None:
    file = SavedFile(
        path=f"files/{HOSTILE}.png", bytes=1, sha256="ab" * 32, content_type="image/png"
    )
    saved = Saved(cell="c1", run_id="r", files=(file,), at="t")
    rows = [row("c1", {"prompt": HOSTILE}, saved=saved, failure_message=HOSTILE)]

    marks = [Pick(id="m1", sweep="s", cell="c1", kind=Kind.NOTE, note=HOSTILE, at="t")]

    text = written(tmp_path, rows, name=HOSTILE, label=HOSTILE, next=HOSTILE, marks=marks)

    assert text.count("<script") == 3  # the head's data, the marks, and the page's own code
    assert "alert(1)</script>" not in text
    for script in data_files(tmp_path).values():
        assert not set(script) & set(b"<>&")


def test_only_the_pages_own_code_runs() -> None:
    text = page(head(), {}).decode()
    policy = re.search(r'Security-Policy" content="([^"]*)"', text)

    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert page_file._hash(code()) in policy[1]
    assert f'<script type="module">{code()}</script>' in text


def test_text_of_the_page_is_escaped_and_a_word_that_it_lacks_is_an_error() -> None:
    text = page(head(name="<b>", label="\"'&", cost="<i>"), {}).decode()

    assert text.count("&lt;b&gt; @&#34;&#39;&amp;") == 2  # the title, and where scripts are off
    assert "; &lt;i&gt; USD" in text
    with pytest.raises(UndefinedError):
        page_file.template().render(title="chairs")


def test_the_pages_modules_can_be_put_into_one() -> None:
    names: list[str] = []
    for number, module in enumerate(MODULES):
        text = source(f"{module}.js")
        imports = re.findall(r'^import [^;]* from "\./(\w+)\.js";$', text, re.MULTILINE)
        names += re.findall(
            r"^(?:export )?(?:async )?(?:function|const|class|let) (\w+)", text, re.MULTILINE
        )
        assert set(imports) <= set(MODULES[:number]), module

    assert len(names) == len(set(names))
    assert not re.search(r"^(import|export) ", code(), re.MULTILINE)
    assert "</script" not in code()


def test_every_module_of_the_page_is_in_it() -> None:
    folder = Path(page_file.__file__).parent / "page"

    assert {path.stem for path in folder.glob("*.js")} == set(MODULES)


def saved_picture(folder: Path, name: str = "files/a.png", side: int = 900) -> SavedFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((side, side), 80).save(path)
    size = path.stat().st_size
    assert size > SMALL
    return SavedFile(path=name, bytes=size, sha256="ab" * 32, content_type="image/png")


def never() -> bool:
    return False


def test_a_thumbnail_is_made_once_for_each_content(tmp_path: Path) -> None:
    file = saved_picture(tmp_path)

    address = Thumbnails(OutputStore(tmp_path), until=never).of(file)
    assert address is not None
    made = (tmp_path / address).stat()
    again = Thumbnails(OutputStore(tmp_path), until=never).of(file)

    assert again == address
    assert (tmp_path / address).stat().st_ino == made.st_ino
    with Image.open(tmp_path / address) as picture:
        assert max(picture.size) == SIDE


def test_a_small_picture_a_sound_and_a_broken_file_have_no_thumbnail(tmp_path: Path) -> None:
    small = SavedFile(path="files/a.png", bytes=9, sha256="aa", content_type="image/png")
    sound = SavedFile(path="files/a.mp3", bytes=99999, sha256="aa", content_type="audio/mpeg")
    broken = SavedFile(path="files/b.png", bytes=99999, sha256="aa", content_type="image/png")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/b.png").write_bytes(b"no picture" * 9999)
    thumbnails = Thumbnails(OutputStore(tmp_path), until=never)

    assert [thumbnails.of(each) for each in (small, sound, broken)] == [None, None, None]
    assert thumbnails.left == 0


def test_what_only_claims_to_be_a_picture_is_not_drawn(tmp_path: Path) -> None:
    """PostScript is drawn by a program of its own; a pipe has no end."""
    (tmp_path / "files").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "files/a.bmp")
    os.mkfifo(tmp_path / "files/a.png")

    assert drawn(tmp_path / "files/a.bmp") is None
    assert drawn(tmp_path / "files/a.png") is None


def test_a_picture_too_large_to_be_drawn_in_the_memory_of_a_call_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (100, 50)).save(path)

    monkeypatch.setattr("batchrun.report.thumbnails.PIXELS", 4999)
    assert drawn(path) is None
    monkeypatch.setattr("batchrun.report.thumbnails.PIXELS", 5000)
    assert drawn(path) is not None


def test_a_folder_of_thumbnails_that_cannot_be_listed_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved_picture(tmp_path)
    assert Thumbnails(OutputStore(tmp_path), until=never).of(file) is not None
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if os.fspath(path).endswith("/ab"):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)

    assert Thumbnails(OutputStore(tmp_path), until=never).of(file) is not None


def test_pictures_for_which_there_is_no_time_are_counted(tmp_path: Path) -> None:
    thumbnails = Thumbnails(OutputStore(tmp_path), until=lambda: True)

    assert thumbnails.of(saved_picture(tmp_path)) is None
    assert thumbnails.left == 1


def test_without_pillow_the_pictures_themselves_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.report.thumbnails.DRAWS", False)

    assert Thumbnails(OutputStore(tmp_path), until=never).of(saved_picture(tmp_path)) is None


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_page_names_the_chunks_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("batchrun.report.writing.ROWS", 2)

    text = written(tmp_path, [row(f"c{number}", {"seed": number}) for number in range(rows)])

    chunks = json.loads(inside(text))["chunks"]
    assert [each["rows"] for each in chunks] == [2] * (rows // 2) + [1] * (rows % 2)
    assert len(chunks) * 2 == len(data_files(tmp_path) if rows else [])


def test_a_name_stands_in_one_module_of_the_page() -> None:
    declared = re.compile(
        r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE
    )
    names = Counter(name for each in MODULES for name in declared.findall(source(f"{each}.js")))

    assert [name for name, count in names.items() if count > 1] == []
