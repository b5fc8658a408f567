"""A file's text as a value: known by the text, the same wherever the file was written."""

import io
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from batchrun.errors import ManifestError
from batchrun.manifest.data.text_files import LARGEST_TEXT, text_of
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.results.starts import start_of

HEAD: Final = "models: [google/nano-banana-2]\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a chair", "a chair"),
        (b"a chair\n", "a chair"),
        (b"a chair\r\n", "a chair"),
        (b"a chair\n\n", "a chair\n"),
        (b"\xef\xbb\xbfa chair", "a chair"),
        (b"a chair\r\nand a stool\r\n", "a chair\nand a stool"),
        (b"a chair\rand a stool\r", "a chair\nand a stool"),
        (b" a chair \n", " a chair "),
        (b"\na chair", "\na chair"),
        ("ein Stuhl für 5 €\n".encode(), "ein Stuhl für 5 €"),
        (b"a" * LARGEST_TEXT, "a" * LARGEST_TEXT),
    ],
)
def test_the_text_of_a_file_is_the_same_wherever_it_was_written(data: bytes, text: str) -> None:
    found = text_of(io.BytesIO(data), "a.txt")

    assert found.text == text
    assert found.sha256 == sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "`a.txt` has no text"),
        (b"\n \n", "`a.txt` has no text"),
        (b"\xef\xbb\xbf", "`a.txt` has no text"),
        (b"one\ntw\xe9", "line 2 of `a.txt` is not UTF-8; `$file` sends a file that is no text"),
        ("a".encode("utf-16"), "`a.txt` is UTF-16; save the file as UTF-8"),
        ("a".encode("utf-32"), "`a.txt` is UTF-32; save the file as UTF-8"),
        (b"a\0b", "`a.txt` is no text: it holds U+0000"),
        (b"a" * (LARGEST_TEXT + 1), "`a.txt` has more than the 262144 bytes that a text may have"),
    ],
)
def test_a_file_that_is_no_text_is_said_to_be_none(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        text_of(io.BytesIO(data), "a.txt")

    assert str(caught.value) == message


class Folder:
    """A manifest and the texts beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.path / f"{name}.txt").write_text(text, encoding="utf-8")

    def load(self, body: str) -> Manifest:
        (self.path / "m.yaml").write_text(HEAD + body, encoding="utf-8")
        return load_manifest(self.path / "m.yaml", {})

    def sent(self, body: str) -> list[dict[str, Any]]:
        return [cell.input for cell in expand(self.load(body))]

    def key(self, body: str) -> str:
        [cell] = expand(self.load(body))
        return cell.key

    def mistakes(self, body: str) -> list[str]:
        with pytest.raises(ManifestError) as caught:
            self.load(body)
        where = f"{self.path}/"
        return [str(each).partition("\n")[0].replace(where, "") for each in caught.value.problems]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    found = Folder(tmp_path)
    found.write(a="a chair for ${price}\n", b="a stool\n")
    return found


def test_a_text_is_known_by_itself_and_not_by_its_file(folder: Folder) -> None:
    folder.write(b="a chair for ${price}", c="a stool")

    first = folder.key("inputs: {prompt: {$text: a.txt}}\n")

    assert folder.key("inputs: {prompt: {$text: b.txt}}\n") == first
    assert folder.key("inputs: {prompt: 'a chair for $${price}'}\n") == first
    assert folder.key("inputs: {prompt: {$text: c.txt}}\n") != first


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("inputs: {p: {$text: a.txt}}", [{"p": "a chair for ${price}"}]),
        ("inputs: {p: [{$text: b.txt}, x]}", [{"p": "a stool"}, {"p": "x"}]),
        ("vars: {k: [b, b]}\ninputs: {p: {$text: '${k}.txt'}}", [{"p": "a stool"}] * 2),
        ("vars: {t: {$text: b.txt}}\ninputs: {p: '${t}, red'}", [{"p": "a stool, red"}]),
        ("inputs: {p: {q: [{$text: b.txt}]}}", [{"p": {"q": ["a stool"]}}]),
        ("rows: [{p: {$text: b.txt}}, {p: x}]", [{"p": "a stool"}, {"p": "x"}]),
        ("zip: {p: [{$text: b.txt}], q: [1]}", [{"p": "a stool", "q": 1}]),
        ("inputs: {q: 1}\ninclude: [{p: {$text: b.txt}}]", [{"q": 1}, {"q": 1, "p": "a stool"}]),
        ("vars: {f: {$glob: '[ab].txt'}, n: 1}\ninputs: {p: {$text: '${f}'}}", None),
        ("vars: {f: {$glob: '[ab].txt'}, n: 1}\ninputs: {p: {$text: '${f.path}'}}", None),
        ("inputs: {q: 1, p: {$text: {$omit: true}}}", [{"q": 1}]),
    ],
)
def test_a_text_stands_where_a_value_stands(
    folder: Folder, body: str, expected: list[dict[str, Any]] | None
) -> None:
    both = [{"p": "a chair for ${price}"}, {"p": "a stool"}]

    assert folder.sent(f"{body}\n") == (expected or both)


def test_a_column_of_a_data_file_names_texts(folder: Folder) -> None:
    (folder.path / "d.csv").write_text("sku,code\nx,a\ny,b\n")

    found = folder.sent("rows: {file: d.csv, send: []}\ninputs: {p: {$text: '${code}.txt'}}\n")

    assert [each["p"] for each in found] == ["a chair for ${price}", "a stool"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("inputs: {p: {$text: aa.txt}}", "m.yaml:2:21: no file `aa.txt`; did you mean `a.txt`?"),
        ("inputs: {p: {$text: .}}", "m.yaml:2:21: `.` is a folder, not a file"),
        ("inputs: {p: {$text: 5}}", "m.yaml:2:21: expected the path of a file"),
        ("inputs: {p: {$text: ''}}", "m.yaml:2:21: expected a path"),
        ("inputs: {p: {$txt: a}}", "m.yaml:2:14: unknown operator `$txt`; did you mean `$text`?"),
        ("inputs: {p: {$read: a.txt}}", "m.yaml:2:14: unknown operator `$read`; did you mean `$te"),
        ("inputs: {p: {$text: a.txt, q: 1}}", "m.yaml:2:28: `$text` stands alone in its mapping"),
        (
            "vars: {k: [a, zz]}\ninputs: {p: {$text: '${k}.txt'}}",
            "m.yaml:3:21: no file `zz.txt`",
        ),
    ],
)
def test_a_text_that_can_not_be_had_is_a_mistake_with_its_place(
    folder: Folder, body: str, message: str
) -> None:
    [found] = folder.mistakes(f"{body}\n")

    assert found.startswith(message)


def test_a_start_holds_the_digest_of_each_text_that_cells_name(folder: Folder) -> None:
    manifest = folder.load("vars: {k: [a, b]}\ninputs: {p: {$text: '${k}.txt'}}\n")

    assert start_of(manifest).files == {
        "a.txt": sha256(b"a chair for ${price}\n").hexdigest(),
        "b.txt": sha256(b"a stool\n").hexdigest(),
    }


def test_a_text_is_read_once_a_call(folder: Folder) -> None:
    manifest = folder.load("vars: {k: [a, b]}\ninputs: {p: {$text: '${k}.txt'}}\n")
    folder.write(a="edited meanwhile", b="edited meanwhile")

    assert [cell.input["p"] for cell in expand(manifest)] == ["a chair for ${price}", "a stool"]
