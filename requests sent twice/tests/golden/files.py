"""The golden files: what is asked, and what it came to, side by side.

A file is a list of cases. All keys of a case but `comes to` are the question and stay as they are;
`comes to` is the answer. Of a ledger the folder is the question and `expected.json` the answer.
"""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from golden import observed

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parent.parent
ANSWER: Final = "comes to"
MOST_LISTED: Final = 300
"""Cells of a manifest that are listed one by one."""
MOST_SHOWN: Final = 300
"""Characters of an input that is shown beside its key."""

Case = dict[str, Any]
Observe = Callable[[Case, Path], Any]


@dataclass(frozen=True)
class Question:
    """One case, and the answer that the golden file has; *scratch* is an empty folder."""

    name: str
    case: Case
    expected: Any
    observe: Observe

    def check(self, scratch: Path) -> None:
        """Raise AssertionError where the product answers otherwise, in another order too."""
        found = self.answer(scratch)
        assert found == self.expected
        assert json.dumps(found) == json.dumps(self.expected)

    def answer(self, scratch: Path) -> Any:
        """Return what the product answers now, as JSON has it."""
        return json.loads(json.dumps(self.observe(self.case, scratch.resolve())))


def questions(section: str) -> Iterator[Question]:
    """Yield the cases of a section of the golden files."""
    observe = SECTIONS[section]
    if section == "ledgers":
        for folder in sorted(path.parent for path in FOLDER.glob("ledgers/*/ledger.jsonl")):
            answer = folder / "expected.json"
            expected = json.loads(answer.read_bytes()) if answer.exists() else None
            yield Question(folder.name, {"ledger": folder.name}, expected, observe)
        return
    for number, case in enumerate(json.loads((FOLDER / f"{section}.json").read_bytes()), start=1):
        question = {name: value for name, value in case.items() if name != ANSWER}
        name = f"{number} {case.get('what', '')}".strip()
        yield Question(name, question, case.get(ANSWER), observe)


def write(section: str, answers: Sequence[Any]) -> None:
    """Put *answers* into the files of a section."""
    asked = list(questions(section))
    if section == "ledgers":
        for each, answer in zip(asked, answers, strict=True):
            path = FOLDER / "ledgers" / each.name / "expected.json"
            path.write_text(spelled(answer, deep=3) + "\n", encoding="utf-8")
        return
    cases = [{**each.case, ANSWER: answer} for each, answer in zip(asked, answers, strict=True)]
    (FOLDER / f"{section}.json").write_text(spelled(cases, deep=4) + "\n", encoding="utf-8")


def spelled(value: Any, *, deep: int, indent: str = "") -> str:
    """Spell *value* as JSON; what lies *deep* levels below stands on one line."""
    inner = indent + " "
    if deep and isinstance(value, dict) and value:
        below = (
            f"{inner}{json.dumps(name)}: {spelled(each, deep=deep - 1, indent=inner)}"
            for name, each in value.items()
        )
        return "{\n" + ",\n".join(below) + f"\n{indent}}}"
    if deep and isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        items = (f"{inner}{spelled(each, deep=deep - 1, indent=inner)}" for each in value)
        return "[\n" + ",\n".join(items) + f"\n{indent}]"
    # What is no text for UTF-8 stays an escape, and so the files are ASCII.
    return json.dumps(value)


def of_draw(case: Case, scratch: Path) -> Any:
    """Answer for a manifest that stands in the golden file, with the files it needs."""
    for name, content in case["files"].items():
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_text = isinstance(content, str)
        data = content.encode() if is_text else base64.b64decode(content["base64"])
        path.write_bytes(data)
    path = scratch / case["name"]
    path.write_bytes(case["manifest"].encode())
    found = {"cells": listed(observed.cells(path, case["environment"]))}
    if case["with settings"]:
        found["settings"] = observed.settings([str(path)], case["environment"])
    return found


def of_manifest(case: Case, _scratch: Path) -> Any:
    """Answer for a manifest of the repository."""
    path, variables = ROOT / case["manifest"], case["environment"]
    return {
        "settings": observed.settings([str(path)], variables),
        "cells": listed(observed.cells(path, variables)),
    }


def of_command(case: Case, _scratch: Path) -> Any:
    """Answer for a command line; its first word is a manifest, ROOT is the repository."""
    manifest, *options = case["command"]
    options = [option.replace("ROOT", str(ROOT)) for option in options]
    found = observed.settings([str(ROOT / manifest), *options], case["environment"])
    return {**found, "folder": found["folder"].replace(str(ROOT), "ROOT")}


def of_record(case: Case, _scratch: Path) -> Any:
    """Answer for a record that is written."""
    line, comes_back = observed.written(case["fields"])
    return {"line": line.decode(), "comes back": comes_back}


def of_line(case: Case, _scratch: Path) -> Any:
    """Answer for a line that is read; its characters are its bytes."""
    line = case["line"].encode("latin-1")
    return {"is": observed.reading_of(line), "begins a group": observed.begins_group(line)}


def of_ledger(case: Case, scratch: Path) -> Any:
    """Answer for a real ledger: its replay, and `status` with its manifest and without."""
    stored = FOLDER / "ledgers" / case["ledger"]
    identity = json.loads((stored / "sweep.json").read_bytes())
    manifest = scratch / "there" / "manifest.yaml"
    copied(stored, manifest.parent, "manifest.yaml", "photos/a.png", "photos/b.png", "photos/c.png")
    place = {"endpoint": identity["endpoint"], "label": identity["label"]}
    folder = observed.folder_of(manifest, **place)
    copied(stored, folder, "ledger.jsonl", "sweep.json")
    (scratch / "copy").mkdir()
    words = [f"--{name}={value}" for name, value in place.items() if value is not None]
    return {
        "folder": folder.relative_to(manifest.parent).as_posix(),
        **observed.replayed(stored / "ledger.jsonl", scratch / "copy"),
        "status MANIFEST": without_place(observed.status([str(manifest), *words]), scratch),
        "status FOLDER": without_place(observed.status([str(folder)]), scratch),
    }


def copied(source: Path, target: Path, *names: str) -> None:
    """Copy those of the files *names* that are there."""
    for name in names:
        if (source / name).exists():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((source / name).read_bytes())


def without_place(shown: Any, scratch: Path) -> Any:
    """Return what was *shown* without the folder that it was tried in."""
    return json.loads(json.dumps(shown).replace(str(scratch), "SCRATCH"))


def listed(cells: Sequence[dict[str, Any]]) -> Any:
    """Return the cells one by one, or the first and the last of many and a hash over all."""
    shown = [_row(cell) for cell in cells]
    if len(shown) <= MOST_LISTED:
        return shown
    text = json.dumps([[cell[name] for name in cell] for cell in cells], sort_keys=True)
    return {
        "count": len(shown),
        "first": shown[:10],
        "last": shown[-10:],
        "sha256 of the keys": sha256("\n".join(cell["key"] for cell in cells).encode()).hexdigest(),
        "sha256 of all": sha256(text.encode()).hexdigest(),
    }


def _row(cell: dict[str, Any]) -> list[Any]:
    """Return one cell as a row: key, alias, replicate, file, and what else of it is small."""
    row = [cell["key"], cell["alias"], cell["replicate"], cell["file"]]
    if len(json.dumps(cell["input"])) <= MOST_SHOWN:
        row.append(cell["input"])
    if cell["metadata"]:
        row.append({"metadata": cell["metadata"]})
    return row


SECTIONS: Final[dict[str, Observe]] = {
    "draws": of_draw,
    "manifests": of_manifest,
    "settings": of_command,
    "records": of_record,
    "lines": of_line,
    "ledgers": of_ledger,
}
