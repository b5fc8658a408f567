"""What batchrun came to before its modules were moved, it comes to still: see golden/README.md."""

import json
import re
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import pytest
from golden import files, observed
from golden.files import FOLDER, ROOT, Question

LEDGERS: Final = {each.name: each for each in files.questions("ledgers")}


def each(section: str) -> pytest.MarkDecorator:
    """Run a test for each question of a section."""
    asked = list(files.questions(section))
    names = [re.sub(r"[^\w -]+", "_", question.name)[:60] for question in asked]
    return pytest.mark.parametrize("question", asked, ids=names)


def asked_in(section: str, name: str) -> list[Any]:
    return [question.case[name] for question in files.questions(section)]


@each("draws")
def test_a_drawn_manifest_comes_to_the_same_cells(question: Question, tmp_path: Path) -> None:
    question.check(tmp_path)


@each("manifests")
def test_a_manifest_of_the_repository_comes_to_the_same(question: Question, tmp_path: Path) -> None:
    question.check(tmp_path)


@each("settings")
def test_a_command_line_comes_to_the_same_settings(question: Question, tmp_path: Path) -> None:
    question.check(tmp_path)


@each("records")
def test_a_record_is_written_as_the_same_bytes(question: Question, tmp_path: Path) -> None:
    question.check(tmp_path)


@each("lines")
def test_a_line_is_read_as_the_same(question: Question, tmp_path: Path) -> None:
    question.check(tmp_path)


@each("ledgers")
def test_a_real_ledger_adds_up_to_the_same(question: Question, tmp_path: Path) -> None:
    question.check(tmp_path)


def test_each_manifest_that_loads_is_asked_about() -> None:
    folders = ("manifests", "tests/manifests", "tests/golden/manifests", "tests/golden/ledgers/*")
    paths = [path for folder in folders for path in ROOT.glob(f"{folder}/*.yaml")]
    names = {str(path.relative_to(ROOT)) for path in paths if observed.loads(path)}
    needs_environment = {"tests/golden/manifests/settings.yaml"}

    assert names | needs_environment == set(asked_in("manifests", "manifest"))
    assert len(names) > 20


def test_each_option_of_a_run_is_asked_about() -> None:
    words = {word.partition("=")[0] for line in asked_in("settings", "command") for word in line}

    assert observed.options() == {word for word in words if word.startswith("--")}


def test_each_kind_of_line_is_written_with_all_and_without_each_optional_field() -> None:
    written: dict[str, set[frozenset[str]]] = {}
    for fields in asked_in("records", "fields"):
        written.setdefault(fields["type"], set()).add(frozenset(fields) - {"type"})

    assert written.keys() == observed.kinds().keys()
    for kind, required in observed.kinds().items():
        everything = frozenset(required)
        needed = frozenset(name for name in required if required[name])
        one_less = {everything - {name} for name in everything - needed}
        assert {everything, needed, *one_less} <= written[kind]


def test_a_torn_line_is_cut_at_its_first_byte() -> None:
    data = (FOLDER / "ledgers" / "killed" / "ledger.jsonl").read_bytes()

    expected = LEDGERS["killed"].expected

    assert expected["bytes"] == data.rindex(b"\n") + 1
    assert expected["bytes"] + expected["torn bytes"] == len(data)
    assert expected["torn bytes"] > 0


def replayed(data: bytes, scratch: Path) -> dict[str, Any]:
    scratch.mkdir()
    (scratch / "copy").mkdir()
    (scratch / "ledger.jsonl").write_bytes(data)
    return observed.replayed(scratch / "ledger.jsonl", scratch / "copy")


def without_lines(cells: dict[str, Any]) -> dict[str, Any]:
    """Return the cells without the numbers of their lines."""
    return {
        key: {name: value for name, value in cell.items() if name != "lines"}
        for key, cell in cells.items()
    }


@pytest.mark.parametrize("name", LEDGERS)
def test_what_a_later_version_adds_changes_nothing(name: str, tmp_path: Path) -> None:
    whole = (FOLDER / "ledgers" / name / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    later = b'{"type":"heartbeat","at":"2026-05-04T12:00:00.000000Z","beats":3}\n'
    more = b"".join(
        line[:-2] + b',"added_later":{"a":[1]}}\n' + later if line.endswith(b"}\n") else line
        for line in whole
    )

    found = replayed(more, tmp_path / "more")

    expected = LEDGERS[name].expected
    assert without_lines(found["cells"]) == without_lines(expected["cells"])
    assert found["totals"] == expected["totals"]
    assert found["torn bytes"] == expected["torn bytes"]


def test_a_cell_among_many_is_as_among_few(tmp_path: Path) -> None:
    few = (FOLDER / "ledgers" / "changed" / "ledger.jsonl").read_bytes()
    expected = without_lines(LEDGERS["changed"].expected["cells"])
    names = sorted({*re.findall(rb'"(?:cell|run_id)":"([^"]+)"', few)})
    copies, cells = [], {}
    for number in range(25):
        others = {old: other(old.decode(), number) for old in names}
        text = few
        for old, new in others.items():
            text = text.replace(old, new.encode())
        copies.append(text)
        for key, cell in expected.items():
            run = cell["run_id"] and others[cell["run_id"].encode()]
            cells[others[key.encode()]] = {**cell, "run_id": run}

    found = replayed(b"".join(copies), tmp_path / "many")

    keys = {"idempotency_key": None}
    assert len(cells) > 300
    assert {key: {**cell, **keys} for key, cell in without_lines(found["cells"]).items()} == {
        key: {**cell, **keys} for key, cell in cells.items()
    }


def other(name: str, number: int) -> str:
    """Return another id of the same form, of 32 hexadecimal digits with the dashes that it has."""
    digits = iter(blake2b(f"{name} {number}".encode(), digest_size=16).hexdigest())
    return "".join(character if character == "-" else next(digits) for character in name)


def test_a_golden_file_is_spelled_as_it_is_written() -> None:
    for section in files.SECTIONS:
        for path in FOLDER.glob(
            "ledgers/*/expected.json" if section == "ledgers" else f"{section}.json"
        ):
            text = path.read_text(encoding="utf-8")
            deep = 3 if section == "ledgers" else 4
            assert text == files.spelled(json.loads(text), deep=deep) + "\n", path


def test_no_golden_file_holds_a_place_of_a_machine_or_a_key() -> None:
    for path in FOLDER.rglob("*"):
        if path.is_file() and path.suffix in {".json", ".jsonl", ".yaml", ".csv", ".txt"}:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"/tmp/|/root\b|/var/|/Users/|rf_live|Bearer ", text), path
            assert str(ROOT) not in text, path
